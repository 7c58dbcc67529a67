/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A recording (.apdb): one SQLite file that holds a whole run, so that every
 * report can be made again without the target, by asyncprof or by anyone's SQL.
 *
 * It must never leave a second file beside it for a reader to need (no
 * write-ahead log), never lose what was committed, and never trust a file: one
 * that is truncated, foreign or forged gets one clear line.
 */
#ifndef ASYNCPROF_RECORDING_H
#define ASYNCPROF_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "model/point.h"
#include "model/profile.h"
#include "model/run.h"
#include "model/stall.h"
#include "refusal.h"

struct recording;

/* What is known before the first point. Strings are copied. */
struct recording_head {
	const struct run_start *start;
	int64_t period_ns;   /* of the tick */
	const char *machine; /* "x86_64, 2 CPUs"; NULL: not known */
};

/*
 * What a refusal says begins with the file's name. Opening a pipe waits for its writer, as
 * everywhere.
 */

/*
 * A new recording at `path`, which must not exist as anything but a recording
 * or an empty file (a recording there is replaced); NULL: a private one, on disk
 * without a name, for a run that only wants a picture. A file that is there empty keeps its owner
 * and mode. 0, or -1 with `why`.
 */
int recording__create(const char *path, const struct recording_head *head, struct recording **out,
		      struct refusal *why);

/* An existing one, for reading. 0, or -1 with `why` (EXIT_FAILED). */
int recording__open(const char *path, struct recording **out, struct refusal *why);

void recording__close(struct recording *recording);

/*
 * Writing. Each returns 0 or a negative errno (-ENOSPC: the disk is full, -ENOMEM);
 * after the first error the file keeps what was committed and takes no more.
 */
int recording__joined(struct recording *r, const struct run_joined *joined);
int recording__point(struct recording *r, const struct point *point);
int recording__stall(struct recording *r,
		     const struct stall *stall); /* closed, or ongoing: replaces by id */
/* A line of the process's source, for recording_source(). */
int recording__source(struct recording *r, uint32_t pid, const char *file, int line,
		      const char *text);
int recording__commit(struct recording *r); /* once a second */
/*
 * What the run knows so far, for a recording that may be cut; a later one replaces it.
 * It is written with the next commit. Not needed before recording__finish().
 */
int recording__summarise(struct recording *r, const struct run_summary *summary);
/* Summary, loops, accounts, losses; marks it complete. */
int recording__finish(struct recording *r, const struct run_summary *summary);

/*
 * Reading, also of one that was just written. Pointers that are handed out live
 * until the recording is closed, those of a stall until its call returns.
 * 0, or -1 with `why`.
 */
int recording_profile(struct recording *r, struct profile **out, struct refusal *why);
int recording_start(struct recording *r, struct run_start *out, struct refusal *why);
int recording_joined(struct recording *r, void (*each)(void *ctx, const struct run_joined *joined),
		     void *ctx, struct refusal *why);
int recording_stalls(struct recording *r, void (*each)(void *ctx, const struct stall *stall),
		     void *ctx, struct refusal *why);
/*
 * A line of source that was kept, into buf (NUL terminated); `ctx` is a recording. Its length, or
 * -1: it has none. As report/display.h wants it.
 */
int recording_source(void *ctx, uint32_t pid, const char *file, int line, char *buf, size_t buf_sz);
/*
 * What the run knew at its end. Of one that was cut: what can be told from the rows, with
 * `*complete` 0; accounts and losses after the last commit are not known then.
 */
int recording_summary(struct recording *r, struct run_summary *out, int *complete,
		      struct refusal *why);

#endif
