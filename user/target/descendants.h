/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a process has started, and what that has started, as /proc shows it at
 * one moment. Who starts something while it is read may be missed.
 */
#ifndef ASYNCPROF_DESCENDANTS_H
#define ASYNCPROF_DESCENDANTS_H

#include <stddef.h>
#include <sys/types.h>

struct descendant {
	pid_t pid, parent;
};

/*
 * Those of `root`, without them, parents before children. How many, or a negative errno;
 * `*out` is the caller's to free in either case.
 */
int descendants__find(const pid_t *root, size_t root_cnt, struct descendant **out);

#endif
