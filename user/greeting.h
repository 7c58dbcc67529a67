/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a run says of its targets before anything is seen of them: who they
 * are, and what does not work here or with them.
 */
#ifndef ASYNCPROF_GREETING_H
#define ASYNCPROF_GREETING_H

#include <stdint.h>

#include "collector.h"
#include "targets.h"

/* All that are there when every probe is live. What the sink returns. */
int greeting_start(const struct collector_sink *sink, const struct targets *targets, int64_t unix_ns);

/* One that joins the run. */
int greeting_joined(const struct collector_sink *sink, const struct watched *target, int64_t unix_ns);

#endif
