/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the targets have started, and start, and what that starts: each that is
 * Python, or becomes it within a few seconds, is watched as they are.
 *
 * It must never take a parent's callback, whose frames a child that was forked
 * inside it has on its stack, for one of the child's own.
 */
#ifndef ASYNCPROF_CHILDREN_H
#define ASYNCPROF_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/session.h"
#include "natives.h"
#include "targets.h"

/* A process that may be Python, or become it. */
struct child {
	pid_t pid, parent;
	uint32_t flags;		/* AP_BORN_* */
	uint64_t since_ns, due_ns;
};

struct children {
	struct targets *targets;
	struct session *session;
	struct natives *natives;	/* NULL: no native stacks are wanted */
	watched_record emit;		/* records that are made here */
	void (*joined)(void *ctx, const struct watched *child);
	void *ctx;
	bool on;			/* they are followed */
	pid_t except;			/* somebody else looks after this one; 0: nobody */
	struct child *waiting;
	size_t cnt, room;
	enum exit_code told;		/* why the last one that was told of is not watched */
	unsigned int untold;		/* that are not, and nobody was told */
};

/* From here on; with those that are there already. 0, or -1 with `why`. */
int children__start(struct children *c, struct refusal *why);
void children__close(struct children *c);

/* A record from the ring. */
void children_born(struct children *c, const struct ap_born *born);

/* Looks at those that are due. Those that joined are told to `joined`. */
void children_check(struct children *c);

#endif
