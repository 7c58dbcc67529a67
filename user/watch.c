/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli/filters.h"
#include "collector.h"
#include "face.h"

struct watch {
	const struct options *options;
	struct collector *collector;
	struct filter *filter;
	struct face *face;
	FILE *out;
	uint64_t shown;	/* stalls that were closed and shown */
	struct refusal *why;
};

/* A reader that has left shows as an error of the pipe, also while there is nothing to write. */
static int reader_has_left(const struct watch *w)
{
	struct pollfd pfd = { .fd = fileno(w->out) };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLERR | POLLHUP));
}

static int written(const struct watch *w, int err)
{
	if (!err)
		return 0;
	/* What could not be written is still in the buffer: once more, for the reason. */
	if (reader_has_left(w))
		return -EPIPE;
	return fflush(w->out) ? -errno : err;
}

static int on_start(void *ctx, const struct run_start *start)
{
	struct watch *w = ctx;

	return written(w, face__start(w->face, start));
}

static int on_joined(void *ctx, const struct run_joined *joined)
{
	struct watch *w = ctx;

	return written(w, face__joined(w->face, joined));
}

static int on_stall(void *ctx, const struct stall *stall)
{
	struct watch *w = ctx;
	uint64_t limit = w->options->stall_cnt_max;
	int err;

	if (!filter_match(w->filter, stall))
		return 0;
	err = written(w, face__stall(w->face, stall));
	if (!stall->ongoing)
		w->shown++;
	return err ? err : limit && w->shown >= limit ? COLLECTOR_ENOUGH : 0;
}

static int on_tick(void *ctx, int64_t unix_ns)
{
	struct watch *w = ctx;
	int err = written(w, face__tick(w->face, unix_ns));

	return !err && reader_has_left(w) ? -EPIPE : err;
}

static int on_summary(void *ctx, const struct run_summary *summary)
{
	struct watch *w = ctx;

	return written(w, face__summary(w->face, summary));
}

static int open_output(struct watch *w)
{
	const char *name = w->options->output;

	w->out = stdout;
	if (name && strcmp(name, "-") != 0)
		w->out = fopen(name, "we");
	if (!w->out)
		return refuse(w->why, EXIT_FAILED, "", "can't write %s: %s", name, strerror(errno));
	w->face = face__new(w->out, w->options, collector_source, w->collector);
	if (!w->face)
		return refuse(w->why, EXIT_FAILED, "", "out of memory");
	return 0;
}

/* A reader that has left is how it says "enough"; anything else lost what was to be kept. */
static int close_output(struct watch *w, int err)
{
	if (w->out && w->out != stdout && fclose(w->out) && !err)
		err = -errno;
	if (!err || err == -EPIPE)
		return 0;
	return refuse(w->why, EXIT_FAILED, "", "can't write %s: %s",
		      w->out == stdout ? "stdout" : w->options->output, strerror(-err));
}

enum exit_code watch_run(const struct options *options, struct refusal *why)
{
	struct watch w = { .options = options, .why = why };
	const struct collector_sink sink = {
		.start = on_start,
		.joined = on_joined,
		.stall = on_stall,
		.tick = on_tick,
		.summary = on_summary,
		.ctx = &w,
	};
	int sink_error = 0, failed;

	w.filter = filters__make(options, why);
	failed = !w.filter || collector__open(options, &w.collector, why) || open_output(&w) ||
		 collector_run(w.collector, &sink, &sink_error, why);
	face__free(w.face);
	filter__free(w.filter);
	if (!failed && close_output(&w, sink_error))
		failed = 1;
	failed = collector_finish(w.collector, failed, why);
	collector__close(w.collector);
	return failed ? why->code : EXIT_DONE;
}
