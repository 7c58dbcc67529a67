/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Records in, stalls out: names, lines, verdicts, lives of threads. */
#include "cmocka_all.h"
#include "seen.h"

/* A coroutine in time.sleep: task, coroutine, line, cause, times, budget. */
static void test_sleep(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_name(&record, 7, "Task-5", "Server.handle");
	feed(model, &record);
	feed_codes(model);
	make_block(&record, 7, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP, 1005 * MS, 140 * MS);
	record.block.arg[0] = record.block.arg[1] = 1;
	block_frame(&record, CODE_SLEEPER, 20);
	block_frame(&record, CODE_HANDLER, 5);
	feed(model, &record);
	make_slow(&record, 7, 150);
	record.slow.lo_ts -= 4 * MS;
	slow_place(&record, SYS_CLOCK_NANOSLEEP, -1, 0, 140);
	feed(model, &record);

	assert_int_equal(seen.cnt, 1);
	assert_string_equal(seen.stall.id, "100-101-7");
	assert_int_equal(seen.stall.kind, STALL_TASK);
	assert_string_equal(seen.task, "Task-5");
	assert_string_equal(seen.coro, "Server.handle");
	assert_string_equal(seen.callback, "-");
	assert_string_equal(seen.file, "/srv/shop/app.py");
	assert_int_equal(seen.stall.line, 12);
	assert_int_equal(seen.stall.duration_ns, 150 * MS);
	assert_int_equal(seen.stall.duration_lo_ns, 146 * MS);
	assert_int_equal(seen.stall.start_unix_ns, 1700000001000000000LL);
	assert_int_equal(seen.stall.ts_unix_ns, 1700000001150000000LL);
	assert_int_equal(seen.stall.cause, CAUSE_SLEEP);
	assert_string_equal(seen.syscall, "clock_nanosleep");
	assert_int_equal(seen.stall.fd.num, -1);
	assert_int_equal(seen.stall.budget.ns[PART_SYSCALL], 140 * MS);
	assert_int_equal(seen.stall.budget.ns[PART_CPU], 10 * MS);
	assert_int_equal(seen.stall.frame_cnt, 2);
	assert_string_equal(seen.leaf, "sleeper");
	assert_string_equal(seen.root, "Server.handle");
	assert_int_equal(seen.stall.stack_at_ns, 5 * MS);
	assert_string_equal(seen.reason, "-");
	assert_string_equal(seen.advice, "time.sleep");
	assert_int_equal(seen.stall.loop, LOOP);
	model__free(model);
}

/* usleep(): no advice to use asyncio.sleep() for a sleep that Python did not make. */
static void test_native_sleep(void **state)
{
	/* clock, flags: nanosleep(), CLOCK_REALTIME until a moment, CLOCK_MONOTONIC for a while */
	static const uint64_t args[][2] = {{0, 0}, {0, 1}, {1, 0}};
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		make_block(&record, i, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP, 1005 * MS, 140 * MS);
		record.block.arg[0] = args[i][0];
		record.block.arg[1] = args[i][1];
		feed(model, &record);
		make_slow(&record, i, 150);
		slow_place(&record, SYS_CLOCK_NANOSLEEP, -1, 0, 140);
		feed(model, &record);
		assert_int_equal(seen.stall.cause, CAUSE_SLEEP);
		assert_true(seen.stall.native_sleep);
		assert_string_equal(seen.advice, "native.sleep");
	}
	model__free(model);
}

/* The line that burned most, though its samples are at many places in bytecode. */
static void test_cpu(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_codes(model);
	make_callback(&record, 1, "Timer.fire");
	feed(model, &record);
	for (int i = 0; i < 12; i++) {
		make_sample(&record, 1, 1010 * MS + (uint64_t)i * 10 * MS);
		/* 3 on each of 2 bytecodes of line 11, 4 on one bytecode of line 12, 2 on line 15
		 */
		sample_frame(&record, CODE_SLEEPER, i < 6 ? 10 + i % 2 : i < 10 ? 22 : 55);
		sample_frame(&record, CODE_HANDLER, 5);
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	record.slow.callee = AP_CALLEE_UNKNOWN;
	feed(model, &record);
	assert_int_equal(seen.stall.kind, STALL_CALLBACK);
	assert_string_equal(seen.callback, "Timer.fire");
	assert_int_equal(seen.stall.cause, CAUSE_CPU);
	assert_int_equal(seen.stall.line, 11);
	assert_int_equal(seen.stall.samples_cnt, 12);
	assert_string_equal(seen.syscall, "-");
	assert_string_equal(seen.advice, "cpu");
	model__free(model);
}

static void test_cpu_in_syscall(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (int i = 0; i < 10; i++) {
		make_sample(&record, 1, 1010 * MS);
		record.sample.mode = i < 6 ? AP_MODE_SYSCALL : AP_MODE_USER;
		record.sample.syscall = i < 6 ? SYS_GETPPID : -1;
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	feed(model, &record);
	assert_int_equal(seen.stall.cause, CAUSE_CPU);
	assert_string_equal(seen.syscall, "getppid");
	model__free(model);
}

static void test_cpu_seldom_in_syscall(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (int i = 0; i < 10; i++) {
		make_sample(&record, 1, 1010 * MS);
		record.sample.mode = i < 5 ? AP_MODE_SYSCALL : AP_MODE_USER;
		record.sample.syscall = i < 5 ? SYS_GETPPID : -1;
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	feed(model, &record);
	assert_string_equal(seen.syscall, "-");
	model__free(model);
}

/* Samples that saw it over, or another greenlet, are no evidence of its line. */
static void test_samples_of_others(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_codes(model);
	for (int i = 0; i < 5; i++) {
		make_sample(&record, 1, 1010 * MS);
		record.sample.seen = i < 2 ? AP_SEEN_OVER : AP_SEEN_ELSEWHERE;
		sample_frame(&record, CODE_SLEEPER, 20);
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	feed(model, &record);
	assert_int_equal(seen.stall.samples_cnt, 0);
	assert_int_equal(seen.stall.frame_cnt, 0);
	assert_int_equal(seen.stall.stack_at_ns, -1);
	assert_string_equal(seen.reason, "no sample or long block fell into it");
	assert_string_equal(seen.file, "-");
	/* Looks that lost their way are no evidence either, but they are a reason. */
	make_slow(&record, 2, 150);
	record.slow.cut = AP_CUT_FAULT;
	feed(model, &record);
	assert_string_equal(seen.reason, "cut where memory could not be read");
	model__free(model);
}

/* The block of the verdict is shown, though another single one was longer. */
static void test_block_of_the_verdict(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_codes(model);
	make_block(&record, 1, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP, 1010 * MS, 60 * MS);
	block_frame(&record, CODE_SLEEPER, 0);
	feed(model, &record);
	for (int i = 0; i < 3; i++) {
		make_block(&record, 1, AP_OFF_SYSCALL, SYS_RECVFROM, (1100 + 50 * (uint64_t)i) * MS,
			   (30 + (uint64_t)i) * MS);
		record.block.fd = 9;
		record.block.file.mode = 0140777;
		record.block.file.family = 2;
		record.block.file.port = (uint16_t)(8000 + i);
		record.block.file.addr[0] = 10;
		block_frame(&record, CODE_HANDLER, 10 * i);
		feed(model, &record);
	}
	make_slow(&record, 1, 200);
	slow_place(&record, SYS_CLOCK_NANOSLEEP, -1, 0, 60);
	slow_place(&record, SYS_RECVFROM, 9, 0140777, 93);
	feed(model, &record);
	assert_int_equal(seen.stall.cause, CAUSE_SOCKET);
	assert_string_equal(seen.syscall, "recvfrom");
	assert_int_equal(seen.stall.fd.num, 9);
	assert_string_equal(seen.fd, "10.0.0.0:8002");
	assert_int_equal(seen.stall.line, 42);
	model__free(model);
}

static void feed_held(struct model *model, uint64_t seq, uint32_t tid, uint64_t code)
{
	union any_record record;

	make_block(&record, seq, AP_OFF_GIL, SYS_FUTEX, 1010 * MS, 60 * MS);
	record.block.holder_tid = tid;
	record.block.holder.code = code;
	record.block.holder.lasti = 30;
	block_frame(&record, CODE_HANDLER, 0);
	feed(model, &record);
	make_slow(&record, seq, 100);
	record.slow.off_ns[AP_OFF_GIL] = 60 * MS;
	feed(model, &record);
}

static void test_gil_holder(void **state)
{
	struct model *model = new_model();

	(void)state;
	feed_codes(model);
	feed_held(model, 1, 333, CODE_SLEEPER);
	assert_int_equal(seen.stall.cause, CAUSE_GIL);
	assert_true(seen.stall.holder_known);
	assert_int_equal(seen.stall.holder_tid, 333);
	assert_string_equal(seen.holder, "sleeper");
	assert_int_equal(seen.stall.holder.line, 13);
	assert_non_null(seen.stall.holder_comm);
	/* Before 3.11 no thread state has its tid; what the thread runs is known all the same. */
	feed_held(model, 2, 0, CODE_SLEEPER);
	assert_true(seen.stall.holder_known);
	assert_int_equal(seen.stall.holder_tid, 0);
	assert_string_equal(seen.holder, "sleeper");
	assert_null(seen.stall.holder_comm);
	feed_held(model, 3, 0, 0);
	assert_false(seen.stall.holder_known);
	model__free(model);
}

/* A file that is only being opened has a path, and no number. */
static void test_path_without_fd(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_block(&record, 1, AP_OFF_SYSCALL, 257, 1010 * MS, 90 * MS);
	strcpy(record.block.file.path, "/mnt/slow");
	record.block.file.path_len = 9;
	feed(model, &record);
	make_slow(&record, 1, 100);
	slow_place(&record, 257, -1, 0, 90);
	feed(model, &record);
	assert_int_equal(seen.stall.cause, CAUSE_FILE);
	assert_int_equal(seen.stall.fd.num, -1);
	assert_string_equal(seen.fd, "/mnt/slow");
	model__free(model);
}

static void test_names(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_name(&record, 3, NULL, "main");
	record.name.task_number = 12;
	feed(model, &record);
	make_slow(&record, 3, 150);
	feed(model, &record);
	assert_string_equal(seen.task, "Task-12");

	/* Of a name that comes twice, what can't be read the second time stays. */
	make_name(&record, 4, "job", "main");
	feed(model, &record);
	make_name(&record, 4, NULL, "main2");
	feed(model, &record);
	make_slow(&record, 4, 150);
	feed(model, &record);
	assert_string_equal(seen.task, "job");
	assert_string_equal(seen.coro, "main2");

	/* A name belongs to one callback only. */
	make_slow(&record, 5, 150);
	feed(model, &record);
	assert_string_equal(seen.task, "-");
	model__free(model);
}

/* A Task in Python has its coroutine where its __step called it. */
/* The name that goes with the stack: a parent's own, or that of the eager task inside. */
static void test_eager_child(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_codes(model);
	for (uint64_t seq = 1; seq <= 3; seq++) {
		make_name(&record, seq, "parent", "Parent.run");
		feed(model, &record);
		make_name(&record, seq, "child", "Child.run");
		record.name.child = 7;
		feed(model, &record);
		make_sample(&record, seq, 1010 * MS);
		sample_frame(&record, CODE_SLEEPER, 10);
		record.sample.child = seq == 1 ? 7 : seq == 2 ? 0 : 8;
		feed(model, &record);
		make_slow(&record, seq, 150);
		feed(model, &record);
		/* of 8 no name came */
		assert_string_equal(seen.task, seq == 1 ? "child" : "parent");
		assert_string_equal(seen.coro, seq == 1 ? "Child.run" : "Parent.run");
		assert_int_equal(seen.stall.eager, seq == 1);
		assert_int_equal(seen.stall.kind, STALL_TASK);
	}
	/* what it waited for, in a callback that is no task */
	make_callback(&record, 4, "Timer.fire");
	feed(model, &record);
	make_name(&record, 4, "child", "Child.run");
	record.name.child = 1;
	feed(model, &record);
	make_block(&record, 4, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP, 1005 * MS, 140 * MS);
	record.block.child = 1;
	feed(model, &record);
	make_slow(&record, 4, 150);
	record.slow.callee = AP_CALLEE_UNKNOWN;
	slow_place(&record, SYS_CLOCK_NANOSLEEP, -1, 0, 140);
	feed(model, &record);
	assert_int_equal(seen.stall.kind, STALL_TASK);
	assert_string_equal(seen.task, "child");
	assert_string_equal(seen.callback, "-");
	assert_true(seen.stall.eager);
	model__free(model);
}

static void test_coro_of_python_task(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_codes(model);
	make_code(&record, CODE_LIBRARY, "Task.__step", "/usr/lib/python3.11/asyncio/tasks.py", 1);
	feed(model, &record);
	make_sample(&record, 1, 1010 * MS);
	sample_frame(&record, CODE_SLEEPER, 0);
	sample_frame(&record, CODE_HANDLER, 0);
	sample_frame(&record, CODE_LIBRARY, 0);
	feed(model, &record);
	make_slow(&record, 1, 150);
	feed(model, &record);
	assert_string_equal(seen.coro, "Server.handle");
	model__free(model);
}

/* The code may come after the sample that needs it, and again with other lines. */
static void test_code_order(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (int round = 0; round < 2; round++) {
		make_sample(&record, 1, 1010 * MS);
		sample_frame(&record, CODE_SLEEPER, 0);
		feed(model, &record);
		make_code(&record, CODE_SLEEPER, round ? "late" : "sleeper", "a.py", 10 + round);
		feed(model, &record);
		make_slow(&record, 1, 150);
		feed(model, &record);
		assert_int_equal(seen.stall.line, 10 + round);
		assert_string_equal(seen.leaf, round ? "late" : "sleeper");
	}
	model__free(model);
}

/* After exec addresses mean something else; after a thread's end its seq starts again. */
static void test_gone(void **state)
{
	struct model *model = new_model();
	struct run_summary summary = {};
	union any_record record;

	(void)state;
	feed_codes(model);
	make_name(&record, 1, "old", "old");
	feed(model, &record);
	make_gone(&record, 1);
	record.gone.account.hits = 10;
	record.gone.account.closed[AP_END_NEXT] = 10;
	feed(model, &record);
	make_sample(&record, 1, 1010 * MS);
	sample_frame(&record, CODE_SLEEPER, 0);
	feed(model, &record);
	make_slow(&record, 1, 150);
	feed(model, &record);
	assert_string_equal(seen.stall.id, "100-101-1-1");
	assert_string_equal(seen.task, "-");
	assert_string_equal(seen.leaf, "-");

	record.gone.account = (struct ap_account){.hits = 5};
	assert_int_equal(model__set_account(model, PID, TID, "py", &record.gone.account), 0);
	record.gone.account.hits = 7;
	assert_int_equal(model__set_account(model, PID, TID, "py", &record.gone.account), 0);
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loop_cnt, 1);
	assert_int_equal(summary.loops[0]->account.hits, 17);
	assert_false(summary.loops[0]->gone);
	model__free(model);
}

/* Hits that no thread's account holds are in the sums, and no loop. */
static void test_homeless(void **state)
{
	struct model *model = new_model();
	struct ap_account account = {.hits = 5, .ignored = {[AP_IGN_NO_THREAD] = 5}}, sum;
	struct run_summary summary = {};

	(void)state;
	assert_int_equal(model__set_account(model, PID, 0, "", &account), 0);
	account = (struct ap_account){.hits = 3, .open = 3};
	assert_int_equal(model__set_account(model, PID, TID, "py", &account), 0);
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loop_cnt, 1);
	run_account(&summary, &sum);
	assert_int_equal(sum.hits, 8);
	assert_true(account_holds(&sum));
	model__free(model);
}

/* Evidence of callbacks that never become slow goes: the longest unused first, per thread. */
static void test_forgotten(void **state)
{
	struct model *model = new_model();
	struct model_counts counts;
	union any_record record;

	(void)state;
	make_name(&record, 1, "first", "main");
	feed(model, &record);
	for (uint64_t seq = 2; seq < 1000; seq++) {
		make_name(&record, seq, "other", "main");
		feed(model, &record);
		/* The first is still heard of. */
		make_sample(&record, 1, 1000 * MS);
		feed(model, &record);
	}
	/* Another thread's is not pushed out. */
	make_name(&record, 1, "theirs", "main");
	record.head.tid = 555;
	feed(model, &record);
	for (uint64_t seq = 1000; seq < 1010; seq++) {
		make_name(&record, seq, "other", "main");
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	feed(model, &record);
	assert_string_equal(seen.task, "first");
	make_slow(&record, 2, 150);
	feed(model, &record);
	assert_string_equal(seen.task, "-");
	make_slow(&record, 1, 150);
	record.head.tid = 555;
	feed(model, &record);
	assert_string_equal(seen.task, "theirs");
	/* Forgotten: only of a stall that had samples. */
	for (uint64_t seq = 2000; seq < 2100; seq++) {
		make_sample(&record, seq, 1000 * MS);
		feed(model, &record);
	}
	make_slow(&record, 2001, 150);
	feed(model, &record);
	feed(model, &record);
	make_slow(&record, 2099, 150);
	feed(model, &record);
	model__counts(model, &counts);
	assert_int_equal(counts.evicted_evidence, 1);
	model__free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_native_sleep),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_cpu_in_syscall),
		cmocka_unit_test(test_cpu_seldom_in_syscall),
		cmocka_unit_test(test_samples_of_others),
		cmocka_unit_test(test_block_of_the_verdict),
		cmocka_unit_test(test_gil_holder),
		cmocka_unit_test(test_path_without_fd),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_eager_child),
		cmocka_unit_test(test_coro_of_python_task),
		cmocka_unit_test(test_code_order),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_homeless),
		cmocka_unit_test(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
