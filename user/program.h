/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A program that we start and watch: what launch.h tells of it becomes a
 * target, as often as it becomes Python anew by exec.
 *
 * It must never leave the program standing, whatever happens to the target.
 */
#ifndef ASYNCPROF_PROGRAM_H
#define ASYNCPROF_PROGRAM_H

#include <stdbool.h>

#include "cli/options.h"
#include "kernel/session.h"
#include "launch.h"
#include "natives.h"
#include "refusal.h"
#include "targets.h"

struct program {
	struct launch *launch;	/* NULL: no program was to be started */
	struct targets *targets;
	struct session *session;
	watched_record emit;
	void *ctx;
	struct natives *natives; /* NULL: no native stacks are wanted */
	bool holding;		/* it will soon have something to tell, and perhaps stand */
	bool attached;		/* at least once; or something that it has started */
	bool follows;		/* what it starts is watched as well */
	bool ended;
	bool told;		/* that it can't be watched, and why */
	unsigned int refused;	/* looks in a row that found what can't be watched */
	unsigned int signals;	/* that came for it and us */
	uint64_t signal_ns;	/* when the first did */
	struct refusal why;	/* of the last one refused */
};

/* Starts options->program, if there is one. 0, or -1 with `why` (125 to 127). */
int program__start(struct program *p, const struct options *options, struct refusal *why);
void program__close(struct program *p);

/*
 * What has become of it, waiting up to `timeout_ms`. 0, or a signal number when the user wants
 * the run to end although the program has not.
 */
int program_wait(struct program *p, int timeout_ms);

/* The run is over: nobody looks at it any more, however long what is left to do takes. */
void program_let_go(struct program *p);

/* Waits until the program is over too, unless a signal says that that is enough. */
void program_finish(struct program *p);

/* 0, or -1 with `why`, whose code is then the whole run's: the program's own, or that it never was Python. */
int program_result(const struct program *p, struct refusal *why);

#endif
