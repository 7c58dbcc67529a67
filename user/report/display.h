/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * How output for people looks. Decided by the caller: a report never asks
 * whether it writes to a terminal and never reads the environment.
 */
#ifndef ASYNCPROF_DISPLAY_H
#define ASYNCPROF_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct display {
	bool colour;
	int width; /* columns; below 40 counts as 40 */
	bool full_filenames;
	int stack_depth;      /* frames shown; 0: the useful ones, at most 6 */
	bool verbose;	      /* library frames, budget and ids as well */
	int32_t utc_offset_s; /* of local time, for the clock on each line */
	/*
	 * A line of the target's source, without its newline, into buf (NUL
	 * terminated); returns its length, negative when it can't be read.
	 * NULL: source is not shown.
	 */
	int (*source)(void *ctx, uint32_t pid, const char *file, int line, char *buf,
		      size_t buf_sz);
	void *ctx;
};

#endif
