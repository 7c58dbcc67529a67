/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The parts of a budget: each goes where it belongs, and they add up. */
#include <stdlib.h>

#include "cmocka_all.h"
#include "model/budget.h"

#define MS 1000000ULL

static void test_parts(void **state)
{
	struct ap_slow slow = {.start_ts = 7 * MS, .hi_ts = 1007 * MS, .suspended_ns = 100 * MS};
	struct budget budget;

	(void)state;
	slow.off_ns[AP_OFF_RUNQUEUE] = 10 * MS;
	slow.off_ns[AP_OFF_THROTTLED] = 20 * MS;
	slow.off_ns[AP_OFF_FAULT] = 30 * MS;
	slow.off_ns[AP_OFF_GIL] = 40 * MS;
	slow.off_ns[AP_OFF_FUTEX] = 50 * MS;
	slow.off_ns[AP_OFF_SYSCALL] = 60 * MS;
	slow.off_ns[AP_OFF_STOPPED] = 70 * MS;
	slow.off_ns[AP_OFF_UNKNOWN] = 80 * MS;
	budget = budget_of(&slow);
	assert_int_equal(budget.ns[PART_RUNQUEUE], 10 * MS);
	assert_int_equal(budget.ns[PART_THROTTLED], 20 * MS);
	assert_int_equal(budget.ns[PART_FAULT], 30 * MS);
	assert_int_equal(budget.ns[PART_GIL], 40 * MS);
	assert_int_equal(budget.ns[PART_LOCK], 50 * MS);
	assert_int_equal(budget.ns[PART_SYSCALL], 60 * MS);
	assert_int_equal(budget.ns[PART_OTHER], 150 * MS);
	assert_int_equal(budget.ns[PART_CPU], (900 - 360) * MS);
	assert_int_equal(budget.ns[PART_GC], BUDGET_UNKNOWN);
	assert_int_equal(budget.ns[PART_STEAL], BUDGET_UNKNOWN);
	assert_int_equal(budget_sum_ns(&budget), 900 * MS);
}

/* Whatever a record says, the sum is its duration and no part is negative. */
static void test_sum(void **state)
{
	(void)state;
	srand(2);
	for (int round = 0; round < 10000; round++) {
		uint64_t wall = (uint64_t)rand(), suspended = (uint64_t)rand() >> (rand() % 31);
		struct ap_slow slow = {.start_ts = 5, .hi_ts = 5 + wall, .suspended_ns = suspended};
		struct budget budget;

		for (int off = 0; off < AP_OFF_CNT; off++)
			slow.off_ns[off] = (uint64_t)rand() >> (rand() % 31);
		budget = budget_of(&slow);
		assert_int_equal(budget_sum_ns(&budget), suspended < wall ? wall - suspended : 0);
		for (int part = 0; part < PART_CNT; part++)
			assert_true(budget.ns[part] >= 0 || part == PART_GC || part == PART_STEAL);
	}
}

static void test_contradictions(void **state)
{
	struct ap_slow slow = {.start_ts = 100, .hi_ts = 50};
	struct budget budget = budget_of(&slow);

	(void)state;
	assert_int_equal(budget_sum_ns(&budget), 0);
	slow = (struct ap_slow){.start_ts = 0, .hi_ts = 100, .suspended_ns = UINT64_MAX};
	for (int off = 0; off < AP_OFF_CNT; off++)
		slow.off_ns[off] = UINT64_MAX;
	budget = budget_of(&slow);
	assert_int_equal(budget_sum_ns(&budget), 0);
}

static void test_names(void **state)
{
	(void)state;
	for (int part = 0; part < PART_CNT; part++)
		assert_non_null(part_name(part));
	assert_string_equal(part_name(PART_RUNQUEUE), "runqueue");
	assert_string_equal(part_name((enum part)99), "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
