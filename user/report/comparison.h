/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Two recordings side by side, as a table for people: which functions take more
 * time than before, and which less. By function, not by line: between two
 * versions of a program lines move.
 *
 * It must never count the time of a function twice where it calls itself, and
 * never hide that the old times are scaled when the recordings differ in length.
 */
#ifndef ASYNCPROF_COMPARISON_H
#define ASYNCPROF_COMPARISON_H

#include <stdio.h>

#include "model/flame.h"
#include "report/display.h"

/* `flame` comes from flame__compare(). 0, or a negative errno. */
int comparison_print(FILE *out, const struct display *display, const struct flame *flame);

#endif
