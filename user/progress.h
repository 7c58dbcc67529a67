/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The line that tells a person how far a recording is: on stderr, in place, and
 * only where stderr is a terminal.
 */
#ifndef ASYNCPROF_PROGRESS_H
#define ASYNCPROF_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"

struct progress {
	bool shown;	     /* wanted, and there is a terminal */
	bool dirty;	     /* a line stands there */
	int64_t start_unix_ns;
	int64_t duration_ns; /* asked for (0: until Ctrl-C); at the end what it was */
	uint64_t stall_cnt, point_cnt, lost_cnt;
	int quiet;
};

void progress_begin(struct progress *p, const struct options *options);
void progress_start(struct progress *p, int64_t unix_ns); /* every probe is live */
void progress_show(struct progress *p, int64_t unix_ns, uint64_t lost_cnt);
/* Takes the line away, and says what the recording holds. */
void progress_end(struct progress *p);

#endif
