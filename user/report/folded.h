/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Folded stacks: one line a stack, frames from the root on with ';' between,
 * then a space and the time in microseconds. flamegraph.pl, inferno and
 * speedscope read it.
 */
#ifndef ASYNCPROF_FOLDED_H
#define ASYNCPROF_FOLDED_H

#include <stdio.h>

#include "model/flame.h"

/* 0, or a negative errno when it could not be written. */
int folded_print(FILE *out, const struct flame *flame);

#endif
