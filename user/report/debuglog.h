/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Slow callbacks as asyncio's debug mode logs them (Lib/asyncio/base_events.py,
 * _run_once: 'Executing %s took %.3f seconds'), so that log rules written for
 * it go on working.
 *
 * The subset of the repr (base_tasks.py, events.py, format_helpers.py):
 *	<Task pending name='NAME' coro=<QUALNAME() running at FILE:LINE>>
 *	<Handle QUALNAME() at FILE:LINE>
 * FILE:LINE of a task is where its coroutine stood during the stall (its
 * outermost frame), of a handle where the callback stood (asyncio: where it is
 * defined). What can't be known from outside is not made up: the state is
 * always `pending`, there are no arguments, `wait_for`, `cb` or `created at`.
 * Iterations and stalls that still go on are not logged: asyncio logs neither.
 */
#ifndef ASYNCPROF_DEBUGLOG_H
#define ASYNCPROF_DEBUGLOG_H

#include <stdio.h>

#include "model/stall.h"

/* 0, or -EIO when it could not be written. */
int debuglog_stall(FILE *out, const struct stall *stall);

#endif
