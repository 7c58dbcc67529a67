/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The run that watch and record share: targets understood and attached, kernel
 * records fed to the model, what still hangs looked at, until it is over. What
 * comes out goes to a sink, which is a face or a recording.
 *
 * Its life: open, run, close. It must never write to stdout, and to stderr only what a
 * person must know while it runs.
 */
#ifndef ASYNCPROF_COLLECTOR_H
#define ASYNCPROF_COLLECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"
#include "model/point.h"
#include "model/run.h"
#include "model/stall.h"
#include "refusal.h"

struct collector;

#define COLLECTOR_ENOUGH 1 /* a sink has all that was asked for: the run ends */

/*
 * Where it goes. Each returns 0, COLLECTOR_ENOUGH, or a negative errno when it could not be
 * kept, which ends the run as well.
 */
struct collector_sink {
	int (*start)(void *ctx, const struct run_start *start);	/* every probe is live */
	int (*joined)(void *ctx, const struct run_joined *joined);
	int (*stall)(void *ctx, const struct stall *stall);
	int (*point)(void *ctx, const struct point *point);	/* NULL: no points are wanted */
	int (*tick)(void *ctx, int64_t unix_ns);		/* about ten times a second; NULL: not wanted */
	/* At the end; before it `interim`: when a signal asks, with points about once a second. */
	int (*summary)(void *ctx, const struct run_summary *summary);
	void *ctx;
};

/* Understands the targets and loads the programs; nothing is attached yet. 0, or -1 with `why`. */
int collector__open(const struct options *options, struct collector **out, struct refusal *why);

/* The names of what is watched, once open: "python3 (1234)". */
void collector_title(const struct collector *c, char *buf, size_t buf_sz);

/* The first process that is watched, 0: none yet. */
int collector_pid(const struct collector *c);

/*
 * Runs to the end: the duration, Ctrl-C, the last target's exit, the sink's word. 0, or
 * -1 with `why`. `*sink_error`: what the sink returned if that ended it, else 0.
 */
int collector_run(struct collector *c, const struct collector_sink *sink, int *sink_error,
		  struct refusal *why);

/*
 * With a program that was started: waits for its end, and turns what the command has come to
 * (`failed`, -1 with `why`) into what it is with the program's own exit code. 0, or -1 with `why`,
 * whose `what` is empty when there is nothing to say but the code. A NULL collector is fine.
 */
int collector_finish(struct collector *c, int failed, struct refusal *why);

void collector__close(struct collector *c);

/* A line of the target's source, see report/display.h; `ctx` is a collector. */
int collector_source(void *ctx, uint32_t pid, const char *file, int line, char *buf, size_t size);

#endif
