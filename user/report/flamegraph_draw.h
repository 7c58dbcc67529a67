/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which frames of a flame a picture shows: those that someone could see, each
 * with its place. What is left out is counted, by number and by time.
 *
 * It must never draw more frames than a browser can handle, however large the
 * flame is.
 */
#ifndef ASYNCPROF_FLAMEGRAPH_DRAW_H
#define ASYNCPROF_FLAMEGRAPH_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include "model/flame.h"

#define FLAMEGRAPH_WIDTH     1200  /* px that widths are judged by */
#define FLAMEGRAPH_DRAWN_MAX 20000 /* Chromium 156 opens as many in 1.5 to 3 s on two busy CPUs */

struct drawn {
	uint32_t node;
	double x, width; /* shares of the whole width */
};

struct drawing {
	struct drawn *drawn; /* a parent comes right before its first child, siblings by label */
	size_t drawn_cnt;
	uint32_t depth_max; /* of what is drawn */
	uint64_t left_out_cnt;
	int64_t left_out_ns; /* their time, which their callers show */
};

int drawing__init(struct drawing *drawing, const struct flame *flame); /* 0, -ENOMEM */
void drawing__clear(struct drawing *drawing);

#endif
