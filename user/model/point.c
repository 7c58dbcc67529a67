/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/point.h"

#include <string.h>

static const char *const kinds[POINT_KIND_CNT] = {
	[POINT_CPU] = "cpu",
	[POINT_BLOCKED] = "blocked",
	[POINT_RUNQUEUE] = "runqueue",
	[POINT_IDLE] = "idle",
};

static const char *const frames[FRAME_KIND_CNT] = {
	[FRAME_PYTHON] = "python",
	[FRAME_NATIVE] = "native",
	[FRAME_KERNEL] = "kernel",
	[FRAME_WAIT] = "wait",
};

static int find(const char *const *names, int cnt, const char *name)
{
	for (int i = 0; i < cnt; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

const char *point_kind_name(enum point_kind kind)
{
	return kinds[(unsigned int)kind < POINT_KIND_CNT ? kind : POINT_CPU];
}

int point_kind_from_name(const char *name)
{
	return find(kinds, POINT_KIND_CNT, name);
}

const char *frame_kind_name(enum frame_kind kind)
{
	return frames[(unsigned int)kind < FRAME_KIND_CNT ? kind : FRAME_PYTHON];
}

int frame_kind_from_name(const char *name)
{
	return find(frames, FRAME_KIND_CNT, name);
}
