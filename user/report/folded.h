/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Folded stacks: one line a stack, frames from the root on with ';' between,
 * then a space and the time in microseconds. flamegraph.pl, inferno and
 * speedscope read it. Of a comparison: two times, the old one first, as
 * difffolded.pl writes them.
 *
 * It must never print a name that its readers would take for something else:
 * a ';' in a name becomes ':', the space before a last word that is a number
 * becomes '_' ("worker 12" is read as one more column), and what no line can
 * hold is escaped as on a terminal. Kernel frames end in "_[k]", as their
 * labels do.
 */
#ifndef ASYNCPROF_FOLDED_H
#define ASYNCPROF_FOLDED_H

#include <stdio.h>

#include "model/flame.h"

/*
 * Whole microseconds, since speedscope reads no others: each line is less than
 * one off, and so is their sum. 0, or a negative errno when it could not be written.
 */
int folded_print(FILE *out, const struct flame *flame);

#endif
