/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * `asyncprof record`: a run into a recording, and from it the files that were
 * asked for. And `asyncprof report`: the same from a recording of before.
 */
#ifndef ASYNCPROF_RECORDER_H
#define ASYNCPROF_RECORDER_H

#include "cli/options.h"
#include "refusal.h"

/* Each returns the exit code; with anything but EXIT_DONE `why` says what went wrong. */
enum exit_code record_run(const struct options *options, struct refusal *why);
enum exit_code report_run(const struct options *options, struct refusal *why);

#endif
