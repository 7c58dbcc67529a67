/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/stall.h"

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
	if (stall->frame_cnt && stall->frames[0].func)
		return stall->frames[0].func;
	return "?";
}
