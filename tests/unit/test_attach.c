/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Stalls that go on while they are told, that were open when we came, or were suspended. */
#include "cmocka_all.h"
#include "seen.h"

/* Told while it goes on, then closed: one id, one stall in the sums. */
static void test_ongoing(void **state)
{
	struct model *model = new_model();
	struct run_summary summary = {};
	union any_record record;
	char id[64];

	(void)state;
	feed_codes(model);
	make_name(&record, 3, "Task-1", "main");
	feed(model, &record);
	make_block(&record, 3, AP_OFF_SYSCALL, SYS_RECVFROM, 1001 * MS, 0);
	block_frame(&record, CODE_SLEEPER, 0);
	feed(model, &record);
	for (int i = 0; i < 2; i++) {
		make_slow(&record, 3, 500);
		record.slow.flags = AP_F_ONGOING;
		slow_place(&record, SYS_RECVFROM, 5, 0140777, 499);
		feed(model, &record);
		assert_true(seen.stall.ongoing);
		assert_int_equal(seen.stall.cause, CAUSE_SOCKET);
		assert_string_equal(seen.leaf, "sleeper");
		assert_string_equal(seen.task, "Task-1");
	}
	strcpy(id, seen.stall.id);
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loops[0]->ongoing_cnt, 1);
	assert_int_equal(summary.stalls, 0);

	make_slow(&record, 3, 900);
	slow_place(&record, SYS_RECVFROM, 5, 0140777, 899);
	feed(model, &record);
	assert_false(seen.stall.ongoing);
	assert_string_equal(seen.stall.id, id);
	assert_string_equal(seen.task, "Task-1");
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loops[0]->ongoing_cnt, 0);
	assert_int_equal(summary.stalls, 1);
	assert_int_equal(summary.loops[0]->stall_ns, 900 * MS);
	assert_int_equal(summary.loops[0]->places[0].cnt, 1);
	model__free(model);
}

static void test_at_attach(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_slow(&record, 3, 500);
	record.slow.flags = AP_F_AT_ATTACH;
	slow_place(&record, SYS_RECVFROM, 5, 0140777, 499);
	feed(model, &record);
	assert_true(seen.stall.at_attach);
	assert_int_equal(seen.stall.duration_ns, -1);
	assert_int_equal(seen.stall.duration_lo_ns, 500 * MS);
	assert_false(seen.stall.budget_known);
	assert_int_equal(seen.stall.cause, CAUSE_SOCKET);
	model__free(model);
}

/*
 * It slept when we came: the kernel side never saw it fall asleep, so the record
 * that closes it holds nothing of that. What was seen at attach and told since stays.
 */
static void test_at_attach_closed(void **state)
{
	union any_record record;

	(void)state;
	for (int told = 0; told < 2; told++) {
		struct model *model = new_model();

		make_block(&record, 3, AP_OFF_SYSCALL, SYS_RECVFROM, 1000 * MS, 0);
		record.block.fd = 5;
		record.block.file.mode = 0140777;
		feed(model, &record);
		if (told) {
			make_slow(&record, 3, 300);
			record.slow.flags = AP_F_AT_ATTACH | AP_F_ONGOING;
			slow_place(&record, SYS_RECVFROM, 5, 0140777, 300);
			feed(model, &record);
		}
		make_slow(&record, 3, 500);
		record.slow.flags = AP_F_AT_ATTACH;
		record.slow.lo_ts = record.slow.start_ts;
		feed(model, &record);
		assert_int_equal(seen.stall.cause, CAUSE_SOCKET);
		assert_int_equal(seen.stall.fd.num, 5);
		assert_int_equal(seen.stall.duration_lo_ns, told * 300 * MS);
		model__free(model);
	}
}

/* It woke up long before its end, which a sample saw: then it was busy. */
static void test_at_attach_woken(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_block(&record, 3, AP_OFF_SYSCALL, SYS_RECVFROM, 1000 * MS, 0);
	feed(model, &record);
	for (int i = 0; i < 3; i++) {
		make_sample(&record, 3, (1100 + 100 * (uint64_t)i) * MS);
		feed(model, &record);
	}
	make_slow(&record, 3, 500);
	record.slow.flags = AP_F_AT_ATTACH;
	feed(model, &record);
	assert_int_equal(seen.stall.cause, CAUSE_CPU);
	model__free(model);
}

/* While it goes on the collector knows how long it slept: nothing is added. */
static void test_at_attach_ongoing(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_block(&record, 3, AP_OFF_SYSCALL, SYS_RECVFROM, 1000 * MS, 0);
	feed(model, &record);
	make_slow(&record, 3, 500);
	record.slow.flags = AP_F_AT_ATTACH | AP_F_ONGOING;
	slow_place(&record, SYS_RECVFROM, 5, 0140777, 100);
	feed(model, &record);
	assert_int_equal(seen.stall.cause, CAUSE_CPU);
	model__free(model);
}

/* Of any other callback the kernel side has it all: nothing is added. */
static void test_asleep_but_not_at_attach(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_block(&record, 3, AP_OFF_SYSCALL, SYS_RECVFROM, 1000 * MS, 0);
	feed(model, &record);
	make_slow(&record, 3, 500);
	feed(model, &record);
	assert_int_equal(seen.stall.cause, CAUSE_CPU);
	model__free(model);
}

static void test_suspended(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_slow(&record, 3, 300);
	record.slow.suspended_ns = 180 * MS;
	feed(model, &record);
	assert_int_equal(seen.stall.duration_ns, 120 * MS);
	assert_int_equal(seen.stall.suspended_ns, 180 * MS);
	assert_int_equal(budget_sum_ns(&seen.stall.budget), 120 * MS);
	model__free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ongoing),
		cmocka_unit_test(test_at_attach),
		cmocka_unit_test(test_at_attach_ongoing),
		cmocka_unit_test(test_at_attach_closed),
		cmocka_unit_test(test_at_attach_woken),
		cmocka_unit_test(test_asleep_but_not_at_attach),
		cmocka_unit_test(test_suspended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
