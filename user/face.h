/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the user sees of a run: text, JSON lines or asyncio's debug log, on one
 * stream. Chooses among the reports, so that the run itself need not know.
 */
#ifndef ASYNCPROF_FACE_H
#define ASYNCPROF_FACE_H

#include <stdio.h>

#include "cli/options.h"
#include "model/run.h"
#include "model/stall.h"
#include "report/display.h"

struct face;

/* `out` is borrowed. NULL: out of memory. `source` shows a line of the target's source, see display.h. */
struct face *face__new(FILE *out, const struct options *options,
		       int (*source)(void *ctx, uint32_t pid, const char *file, int line, char *buf,
				     size_t size),
		       void *ctx);
void face__free(struct face *f);

/* How text on `out` looks, without source lines. */
void face_display(FILE *out, const struct options *options, struct display *display);

/* Each returns 0, or a negative errno when it could not be written: -EIO for a closed pipe. */
int face__start(struct face *f, const struct run_start *start);
int face__joined(struct face *f, const struct run_joined *joined);
int face__stall(struct face *f, const struct stall *stall);
int face__tick(struct face *f, int64_t now_unix_ns);
int face__summary(struct face *f, const struct run_summary *summary);

#endif
