/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * speedscope's own file format (https://www.speedscope.app/file-format-schema.json):
 * one sampled profile for each loop or thread, weights in nanoseconds.
 *
 * It must never have two frames that are the same: speedscope adds up by frame.
 * It is written as it is walked, since a tree of objects of it would be huge.
 */
#ifndef ASYNCPROF_SPEEDSCOPE_H
#define ASYNCPROF_SPEEDSCOPE_H

#include <stdio.h>

#include "model/flame.h"

/* 0, or a negative errno when it could not be written. */
int speedscope_print(FILE *out, const struct flame *flame, const char *title, const char *version);

#endif
