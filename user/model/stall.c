/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/stall.h"

#include <string.h>

static const char *const kinds[STALL_KIND_CNT] = {
	[STALL_CALLBACK] = "callback",
	[STALL_TASK] = "task",
	[STALL_ITERATION] = "iteration",
	[STALL_SIGNAL] = "signal",
};

const char *stall_kind_name(enum stall_kind kind)
{
	return kinds[(unsigned int)kind < STALL_KIND_CNT ? kind : STALL_CALLBACK];
}

const char *stall_title(const struct stall *stall)
{
	if (stall->coro)
		return stall->coro;
	if (stall->callback)
		return stall->callback;
	if (stall->kind == STALL_ITERATION)
		return "iteration";
	if (stall->frame_cnt && stall->frames[0].func)
		return stall->frames[0].func;
	return "?";
}

bool stall_is_library(const char *file)
{
	const char *python;

	if (!file || file[0] == '<')
		return true;
	if (strstr(file, "/site-packages/") || strstr(file, "/dist-packages/"))
		return true;
	/* The standard library: /usr/lib/python3.11/socket.py, but not /srv/python3/app.py. */
	python = strstr(file, "/lib/python");
	return python && python[11] >= '2' && python[11] <= '9';
}

const struct stall_frame *stall_blame(const struct stall *stall)
{
	for (size_t i = 0; i < stall->frame_cnt; i++) {
		if (!stall_is_library(stall->frames[i].file))
			return &stall->frames[i];
	}
	return stall->frame_cnt ? stall->frames : NULL;
}
