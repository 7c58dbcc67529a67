/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The processes of one run, from the first to the last that is left.
 *
 * What becomes of one while it is watched is said on stderr, once.
 */
#ifndef ASYNCPROF_TARGETS_H
#define ASYNCPROF_TARGETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/options.h"
#include "kernel/session.h"
#include "refusal.h"
#include "watched.h"

struct targets {
	const struct options *options;
	struct watched *watched;
	size_t cnt;
};

/* Understands each that was given by its pid, attaches none. 0, or -1 with `why`; targets__close() in either case. */
int targets__open(struct targets *t, const struct options *options, struct refusal *why);
void targets__close(struct targets *t);

/* Records that are made here go to `emit`. 0, or -1 with `why`. */
int targets_attach(struct targets *t, struct session *s, watched_record emit, void *ctx,
		   struct refusal *why);

/*
 * Understands one more, for watched__attach(). NULL with `why`: then there is not one more.
 * Pointers to others are invalid from here on, and after targets__forget().
 */
struct watched *targets__add(struct targets *t, pid_t pid, struct refusal *why);
void targets__forget(struct targets *t, struct watched *target);

/* Looks what has become of them; returns how many are left. */
size_t targets_check(struct targets *t, struct session *s);

/* Takes all probes away. */
void targets_drop(struct targets *t, struct session *s);

/* Of those that are left; NULL: none of them. */
struct watched *targets_find(const struct targets *t, pid_t pid);

/* The name of a thread (comm) into buf, NUL terminated; its length, or a negative errno. */
int targets_thread_name(const struct targets *t, pid_t pid, pid_t tid, char *buf, size_t size);

#endif
