/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * From a recording to a file of any format: the one path that a live `record`
 * and a later `report` share, so that they can't disagree.
 */
#ifndef ASYNCPROF_RENDERING_H
#define ASYNCPROF_RENDERING_H

#include <stdio.h>

#include "cli/options.h"
#include "recording/recording.h"
#include "refusal.h"
#include "report/format.h"

/* `name` is what messages call `out`. 0, or -1 with `why`. */
int rendering_write(struct recording *r, enum format format, const struct options *options,
		    FILE *out, const char *name, struct refusal *why);

/* The `stack` lines of ndjson alone, for a run whose other lines went out as they came. */
int rendering_stacks(struct recording *r, FILE *out, struct refusal *why);

/* `current` beside `old`, as table or picture (FORMAT_TEXT, FORMAT_SVG, FORMAT_HTML). */
int rendering_compare(struct recording *old, struct recording *current, enum format format,
		      const struct options *options, FILE *out, const char *name,
		      struct refusal *why);

#endif
