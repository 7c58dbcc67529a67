/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

void progress_begin(struct progress *p, const struct options *options)
{
	p->quiet = options->verbosity < 0;
	p->shown = !p->quiet && isatty(STDERR_FILENO);
	p->duration_ns = (int64_t)options->duration_ns;
}

void progress_start(struct progress *p, int64_t unix_ns)
{
	p->start_unix_ns = unix_ns;
	progress_show(p, unix_ns, 0);
}

static const char *plural(uint64_t cnt)
{
	return cnt == 1 ? "" : "s";
}

void progress_show(struct progress *p, int64_t unix_ns, uint64_t lost_cnt)
{
	long long gone_s = (long long)((unix_ns - p->start_unix_ns) / 1000000000);
	long long left_s = (long long)((p->duration_ns + 999999999) / 1000000000) - gone_s;
	char left[48] = "Ctrl-C ends it";

	if (!p->shown)
		return;
	if (p->duration_ns)
		snprintf(left, sizeof(left), "%lld s left", left_s > 0 ? left_s : 0);
	/* \033[K: what a longer line left behind. */
	fprintf(stderr, "\rrecording: %lld s, %s, %llu stall%s, %llu lost \033[K", gone_s, left,
		(unsigned long long)p->stall_cnt, plural(p->stall_cnt),
		(unsigned long long)lost_cnt);
	fflush(stderr);
	p->dirty = true;
}

void progress_end(struct progress *p)
{
	if (p->dirty)
		fputs("\r\033[K", stderr);
	p->dirty = false;
	if (p->quiet || !p->start_unix_ns)
		return;
	fprintf(stderr, "asyncprof: recorded %.1f s, %llu samples and waits, %llu stall%s, %llu lost\n",
		(double)p->duration_ns / 1e9, (unsigned long long)p->point_cnt,
		(unsigned long long)p->stall_cnt, plural(p->stall_cnt),
		(unsigned long long)p->lost_cnt);
}
