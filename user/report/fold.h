/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which stalls are shown in full and which are only counted, so that a
 * thousand of them a second read as a few lines.
 *
 * It must never lose one: what is not shown is in a count that is.
 */
#ifndef ASYNCPROF_FOLD_H
#define ASYNCPROF_FOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "model/stall.h"

#define FOLD_WINDOW_NS 10000000000LL
#define FOLD_KEYS_MAX  64
#define FOLD_OPEN_MAX  32
#define FOLD_FULL_MAX  20 /* shown in full in one window; more are counted as others */
#define FOLD_NAME_SZ   128

/* Stalls of one process with the same title, cause, and line to look at. */
struct fold_key {
	bool used;
	uint32_t pid;
	char title[FOLD_NAME_SZ], file[FOLD_NAME_SZ]; /* bytes of the target */
	int line;
	enum stall_kind kind;
	enum cause cause;
	int64_t since_unix_ns;
	uint64_t cnt; /* not shown since then */
	int64_t max_ns;
};

/* A stall that was shown while it went on. */
struct fold_open {
	char id[64];
	int64_t shown_ns; /* its duration when it was shown */
};

struct fold {
	struct fold_key keys[FOLD_KEYS_MAX];
	struct fold_open open[FOLD_OPEN_MAX];
	unsigned int open_next;
	int64_t window_unix_ns;
	unsigned int full_cnt;
	uint64_t others_cnt; /* not shown in this window, and of no key */
	int64_t others_max_ns;
};

enum fold_how {
	FOLD_FULL,     /* show it whole */
	FOLD_HEADLINE, /* its headline: what it waits for was shown before */
	FOLD_HIDE      /* nothing now */
};

enum fold_how fold_stall(struct fold *fold, const struct stall *stall);

/*
 * Calls `repeats` for each key and `others` for the rest, where something was
 * counted and its window is over, or at once with `all`.
 */
struct fold_sink {
	void (*repeats)(void *ctx, const struct fold_key *key, int64_t now_unix_ns);
	void (*others)(void *ctx, uint64_t cnt, int64_t max_ns, int64_t now_unix_ns,
		       int64_t since_unix_ns);
	void *ctx;
};
void fold_flush(struct fold *fold, int64_t now_unix_ns, bool all, const struct fold_sink *sink);

#endif
