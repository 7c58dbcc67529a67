/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The same time as a plain HTML table: which functions and waits have the most
 * of their own. For readers without a picture, or without scripts.
 *
 * It must never count the time of a function twice because it calls itself.
 */
#ifndef ASYNCPROF_FLAMEGRAPH_TABLE_H
#define ASYNCPROF_FLAMEGRAPH_TABLE_H

#include <stdio.h>

#include "model/flame.h"

#define FLAMEGRAPH_TABLE_ROWS 30

int flamegraph_table(FILE *out, const struct flame *flame); /* 0, -ENOMEM */

#endif
