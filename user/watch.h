/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * `asyncprof watch`: attach, print each stall as it happens, sum up. The run
 * in which everything meets.
 */
#ifndef ASYNCPROF_WATCH_H
#define ASYNCPROF_WATCH_H

#include "cli/options.h"
#include "refusal.h"

/* Returns the exit code; with anything but EXIT_DONE `why` says what went wrong. */
enum exit_code watch_run(const struct options *options, struct refusal *why);

#endif
