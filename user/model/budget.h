/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Where the time of one callback went: parts that add up to its duration.
 *
 * It must never stretch a part to make the sum fit: what was not measured is
 * `other`, what cannot be measured yet is unknown.
 */
#ifndef ASYNCPROF_BUDGET_H
#define ASYNCPROF_BUDGET_H

#include <stdint.h>

#include "record.h"

enum part {
	PART_CPU,
	PART_GC,
	PART_SYSCALL,
	PART_LOCK,
	PART_GIL,
	PART_RUNQUEUE,
	PART_THROTTLED,
	PART_STEAL,
	PART_FAULT,
	PART_OTHER,
	PART_CNT
};

#define BUDGET_UNKNOWN (-1)

struct budget {
	int64_t ns[PART_CNT]; /* BUDGET_UNKNOWN: not measured, its time is inside `cpu` */
};

const char *part_name(enum part part); /* "runqueue"; never NULL */
enum part part_of_off(enum ap_off off);

/* From hi, start, suspended and off_ns[]; a record that contradicts itself gives parts of 0. */
struct budget budget_of(const struct ap_slow *slow);
int64_t budget_sum_ns(const struct budget *budget);

#endif
