/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/budget.h"

static const char *const names[PART_CNT] = {
	[PART_CPU] = "cpu",
	[PART_GC] = "gc",
	[PART_SYSCALL] = "syscall",
	[PART_LOCK] = "lock",
	[PART_GIL] = "gil",
	[PART_RUNQUEUE] = "runqueue",
	[PART_THROTTLED] = "throttled",
	[PART_STEAL] = "steal",
	[PART_FAULT] = "fault",
	[PART_OTHER] = "other",
};

const char *part_name(enum part part)
{
	return (unsigned int)part < PART_CNT ? names[part] : "other";
}

enum part part_of_off(enum ap_off off)
{
	switch (off) {
	case AP_OFF_RUNQUEUE:
		return PART_RUNQUEUE;
	case AP_OFF_THROTTLED:
		return PART_THROTTLED;
	case AP_OFF_FAULT:
		return PART_FAULT;
	case AP_OFF_GIL:
		return PART_GIL;
	case AP_OFF_FUTEX:
		return PART_LOCK;
	case AP_OFF_SYSCALL:
		return PART_SYSCALL;
	default:
		return PART_OTHER;
	}
}

struct budget budget_of(const struct ap_slow *slow)
{
	struct budget budget = {.ns = {[PART_GC] = BUDGET_UNKNOWN, [PART_STEAL] = BUDGET_UNKNOWN}};
	uint64_t left = 0;

	if (slow->hi_ts > slow->start_ts)
		left = slow->hi_ts - slow->start_ts;
	left -= slow->suspended_ns < left ? slow->suspended_ns : left;

	/*
	 * off_ns[] can be over the duration by the gap between the clock of the
	 * run queue and that of bpf_ktime_get_ns; a part that finds no room is
	 * cut, so that a broken record can't report more than there was.
	 */
	for (int off = AP_OFF_NONE + 1; off < AP_OFF_CNT; off++) {
		uint64_t ns = slow->off_ns[off] < left ? slow->off_ns[off] : left;

		budget.ns[part_of_off(off)] += (int64_t)ns;
		left -= ns;
	}
	budget.ns[PART_CPU] = (int64_t)left;
	return budget;
}

int64_t budget_sum_ns(const struct budget *budget)
{
	int64_t sum = 0;

	for (int part = 0; part < PART_CNT; part++) {
		if (budget->ns[part] > 0)
			sum += budget->ns[part];
	}
	return sum;
}
