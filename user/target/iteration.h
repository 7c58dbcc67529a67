/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The turn that a loop is in, by what its own `_run_once` keeps of it.
 */
#ifndef ASYNCPROF_ITERATION_H
#define ASYNCPROF_ITERATION_H

#include <stdint.h>

#include "target/interpreter.h"
#include "target/memory.h"

/*
 * When the iteration began whose `_run_once` frame is `once`, in ns of CLOCK_MONOTONIC: its local
 * `end_time`, read from the clock after each poll. 0, or a negative errno: -EINVAL where it
 * is not asyncio's own function, -EIO where it has no such value yet.
 */
int iteration_began(struct memory *m, const struct interpreter *in, uint64_t once, uint64_t *ns);

#endif
