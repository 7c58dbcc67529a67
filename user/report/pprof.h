/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * pprof's gzip'd profile.proto: sample types wall, cpu, blocked and count, all
 * clocks in one file; labels task, coroutine, callback, loop, thread, tid, pid
 * and cause. Run queue counts as wall and as blocked, idle time as wall.
 *
 * It must never write a name that is no UTF-8, or that would move a cursor:
 * pprof prints names as they are. Unnamed tasks are told by their coroutine.
 */
#ifndef ASYNCPROF_PPROF_H
#define ASYNCPROF_PPROF_H

#include <stdio.h>

#include "model/flame.h"
#include "model/profile.h"

/* Of the options counts which is the default clock, and what is left out (threads, idle). */
int pprof_print(FILE *out, const struct profile *profile, const struct flame_options *options,
		const char *version); /* 0, or a negative errno */

#endif
