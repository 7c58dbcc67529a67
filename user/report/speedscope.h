/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * speedscope's own file format (https://www.speedscope.app/file-format-schema.json):
 * one sampled profile for each loop or thread, weights in nanoseconds.
 */
#ifndef ASYNCPROF_SPEEDSCOPE_H
#define ASYNCPROF_SPEEDSCOPE_H

#include <stdio.h>

#include "model/flame.h"

/* 0, or a negative errno when it could not be written. */
int speedscope_print(FILE *out, const struct flame *flame, const char *title, const char *version);

#endif
