/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A program that we start, as a child that knows nothing of us: its own user,
 * its own streams, no descriptor and no signal setting of ours. It stands still
 * for the moment in which its interpreter has begun and no Python code has run,
 * so that not one callback is missed, however loaded the machine is.
 *
 * It must never end the program, nor leave it standing: when we are killed the
 * kernel lets it go on. It must never stop code of the program's own.
 */
#ifndef ASYNCPROF_LAUNCH_H
#define ASYNCPROF_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "cli/options.h"
#include "refusal.h"

struct launch;

/*
 * Starts options->program. To be called when all that takes time is done (the
 * kernel side loaded). 0, or -1 with `why`: EXIT_NOT_FOUND, EXIT_CANNOT_EXECUTE,
 * EXIT_BEFORE_PROGRAM. From here on SIGCHLD interrupts what waits, but not between
 * LAUNCH_LOOK and launch_go_on(). One launch at a time; the caller frees it.
 */
int launch__start(const struct options *options, struct launch **out, struct refusal *why);

/* From now on it goes its own way: it never stands again, and we only wait for its end. */
void launch_let_go(struct launch *l);

/* As launch_let_go(). */
void launch__free(struct launch *l);

pid_t launch_pid(const struct launch *l);

enum launch_news {
	LAUNCH_NONE, /* nothing for this long, or a signal of ours came */
	/*
	 * Look at the process now: Python has just begun, and stands still (unless
	 * launch_is_late()) until launch_go_on(); or it has just mapped a library, and goes on.
	 */
	LAUNCH_LOOK,
	LAUNCH_ENDED, /* see launch_exit_code() */
};

/* What has become of it, waiting up to `timeout_ms`. Often: while it stands, it waits for us. */
enum launch_news launch_wait(struct launch *l, int timeout_ms);

enum launch_next {
	LAUNCH_HOLD, /* the look came to nothing: once more, a little later; stands a few times only */
	LAUNCH_TELL, /* say when it maps libraries */
	LAUNCH_FREE, /* nothing is of interest until an exec */
};

/* After LAUNCH_LOOK. */
void launch_go_on(struct launch *l, enum launch_next next);

/* Python was there before we noticed: what it ran until then was not seen. */
bool launch_is_late(const struct launch *l);

/* Passes a signal on, that its terminal did not give it already. */
void launch_signal(const struct launch *l, int number);

/* Its exit status, 128 + N when signal N ended it, -1: it still runs. */
int launch_exit_code(const struct launch *l);

/* What ran in it last ("bash"), safe to print. */
const char *launch_comm(const struct launch *l);

#endif
