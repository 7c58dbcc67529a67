/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Stalls as lines for people: a headline, the cause in words, the frames that
 * help, the source line, one advice. Repeats fold, so that a storm never
 * floods a terminal.
 *
 * It must never print a byte of the target that did not pass escape.h.
 */
#ifndef ASYNCPROF_TEXT_H
#define ASYNCPROF_TEXT_H

#include <stdio.h>

#include "model/run.h"
#include "model/stall.h"
#include "report/display.h"

struct text;

/* `out` is borrowed, `display` is copied. NULL: out of memory. */
struct text *text__new(FILE *out, const struct display *display);
void text__free(struct text *text);

/* Each flushes `out` and returns 0, or -EIO when it could not be written (closed pipe). */
int text__start(struct text *text, const struct run_start *start);
int text__joined(struct text *text, const struct run_joined *joined);
int text__stall(struct text *text, const struct stall *stall);

/* Folded repeats whose 10 s are over. Call it about once a second. */
int text__tick(struct text *text, int64_t now_unix_ns);

/* All folded repeats, at the end and before an interim summary. */
int text__flush(struct text *text, int64_t now_unix_ns);

#endif
