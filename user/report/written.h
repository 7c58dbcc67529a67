/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What became of all that a report wrote: a stream remembers that a write
 * failed, but not why, and a closed pipe is no failure to a caller.
 */
#ifndef ASYNCPROF_WRITTEN_H
#define ASYNCPROF_WRITTEN_H

#include <errno.h>
#include <stdio.h>

/* 0, or why it could not be written as a negative errno. errno must have been 0 at the start. */
static inline int written(FILE *out)
{
	fflush(out);
	if (!ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}

#endif
