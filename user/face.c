/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "face.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "report/debuglog.h"
#include "report/json.h"
#include "report/summary.h"
#include "report/text.h"

#define PLAIN_WIDTH 80	/* columns where there is no terminal to ask */

struct face {
	FILE *out;
	const struct options *options;
	struct display display;
	struct text *text;	/* NULL: another face */
};

static int terminal_width(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || size.ws_col == 0)
		return PLAIN_WIDTH;
	return size.ws_col;
}

static int32_t utc_offset_s(void)
{
	time_t now = time(NULL);
	struct tm local;

	return localtime_r(&now, &local) ? (int32_t)local.tm_gmtoff : 0;
}

void face_display(FILE *out, const struct options *options, struct display *display)
{
	int terminal = isatty(fileno(out));

	*display = (struct display){
		.colour = terminal && !options->no_color,
		.width = terminal ? terminal_width(fileno(out)) : PLAIN_WIDTH,
		.full_filenames = options->full_filenames,
		.stack_depth = (int)options->stack_depth,
		.verbose = options->verbosity > 0,
		.utc_offset_s = utc_offset_s(),
	};
}

struct face *face__new(FILE *out, const struct options *options,
		       int (*source)(void *ctx, uint32_t pid, const char *file, int line, char *buf,
				     size_t size),
		       void *ctx)
{
	struct face *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->out = out;
	f->options = options;
	face_display(out, options, &f->display);
	f->display.source = source;
	f->display.ctx = ctx;
	if (options->json || options->log)
		return f;
	f->text = text__new(out, &f->display);
	if (!f->text) {
		free(f);
		return NULL;
	}
	return f;
}

void face__free(struct face *f)
{
	if (!f)
		return;
	text__free(f->text);
	free(f);
}

int face__start(struct face *f, const struct run_start *start)
{
	if (f->options->json)
		return json_print_start(f->out, start);
	if (!f->text || f->options->verbosity < 0)
		return 0;
	return text__start(f->text, start);
}

int face__joined(struct face *f, const struct run_joined *joined)
{
	if (f->options->json)
		return json_print_joined(f->out, joined);
	if (!f->text || f->options->verbosity < 0)
		return 0;
	return text__joined(f->text, joined);
}

int face__stall(struct face *f, const struct stall *stall)
{
	if (f->options->json)
		return json_print_stall(f->out, stall);
	return f->text ? text__stall(f->text, stall) : debuglog_stall(f->out, stall);
}

int face__tick(struct face *f, int64_t now_unix_ns)
{
	return f->text ? text__tick(f->text, now_unix_ns) : 0;
}

int face__summary(struct face *f, const struct run_summary *summary)
{
	if (f->options->json)
		return json_print_summary(f->out, summary);
	if (!f->text)
		return 0;
	/* The summary has the repeats as well; a quiet run ends without one, unless asked by a signal. */
	if (f->options->verbosity < 0 && !summary->interim)
		return text__flush(f->text, summary->unix_ns);
	return summary_text(f->out, &f->display, summary);
}
