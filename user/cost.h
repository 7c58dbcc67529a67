/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a run cost its targets: what was hit how often, times what one hit was
 * measured to cost. An estimate, and called one wherever it is shown.
 */
#ifndef ASYNCPROF_COST_H
#define ASYNCPROF_COST_H

#include <stdint.h>

#include "kernel/session.h"
#include "model/run.h"

/* Nanoseconds over the whole run, -1: not known. `summary` has its loops by now. */
int64_t cost_estimate(const struct session_cost *cost, const struct run_summary *summary);

#endif
