/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "cost.h"

int64_t cost_estimate(const struct session_cost *cost, const struct run_summary *summary)
{
	struct ap_account all = { 0 };
	size_t i;

	if (!cost->measured)
		return -1;
	for (i = 0; i < summary->loop_cnt; i++)
		if (summary->loops[i]->has_account)
			account_add(&all, &summary->loops[i]->account);
	return (int64_t)(all.hits * (cost->trap_ns + cost->context_run_ns) +
			 all.task_deaths * (cost->trap_ns + cost->task_dealloc_ns) +
			 all.foreign_hits * (cost->trap_ns + cost->foreign_ns) +
			 all.loop_calls * (cost->trap_ns + cost->set_running_loop_ns) +
			 all.polls * cost->poll_ns + all.switches * cost->switch_ns +
			 all.ticks * cost->tick_ns);
}
