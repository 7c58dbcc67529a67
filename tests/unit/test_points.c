/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Records in, points out: whose time it was, what it waited for, whose stack it has. */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model.h"
#include "records.h"

#define PERIOD_NS	    10101010
#define SYS_CLOCK_NANOSLEEP 230
#define SYS_RECVFROM	    45
#define POINTS_MAX	    8

/* The points of one test, as text: their strings do not outlive the call. */
static struct {
	int cnt;
	struct point point[POINTS_MAX];
	char task[POINTS_MAX][64], coro[POINTS_MAX][64], comm[POINTS_MAX][32];
	char stack[POINTS_MAX][2048]; /* "kind:func@file|...", leaf first */
} got;

static void on_point(void *ctx, const struct point *point)
{
	char *stack = got.stack[got.cnt];
	size_t len = 0;

	(void)ctx;
	assert_true(got.cnt < POINTS_MAX);
	got.point[got.cnt] = *point;
	snprintf(got.task[got.cnt], sizeof(got.task[0]), "%s", point->task ? point->task : "-");
	snprintf(got.coro[got.cnt], sizeof(got.coro[0]), "%s", point->coro ? point->coro : "-");
	snprintf(got.comm[got.cnt], sizeof(got.comm[0]), "%s", point->comm);
	for (size_t i = 0; i < point->frame_cnt; i++) {
		const struct point_frame *frame = &point->frames[i];

		len += (size_t)snprintf(stack + len, sizeof(got.stack[0]) - len, "%s%s:%s@%s",
					i ? "|" : "", frame_kind_name(frame->kind),
					frame->func ? frame->func : "?",
					frame->file ? frame->file : "-");
		assert_true(len < sizeof(got.stack[0]));
	}
	got.cnt++;
}

static const char *symbol(void *ctx, uint64_t ip)
{
	(void)ctx;
	switch (ip >> 12) {
	case 1:
		return "trace";
	case 2:
		return "__schedule";
	case 3:
		return "do_nanosleep";
	default:
		return NULL;
	}
}

static struct model *new_model(void)
{
	struct model *model = model__new(&(struct model_options){
		.unix_offset_ns = 1700000000000000000LL,
		.on_point = on_point,
		.period_ns = PERIOD_NS,
		.kernel_symbol = symbol,
	});

	assert_non_null(model);
	memset(&got, 0, sizeof(got));
	return model;
}

static void feed(struct model *model, const union any_record *record)
{
	assert_int_equal(model__feed(model, record, record->head.size), 0);
}

static void feed_code(struct model *model, uint64_t code, const char *name, const char *file)
{
	union any_record record;

	make_code(&record, code, name, file, 10);
	feed(model, &record);
}

static void make_point_sample(union any_record *record, uint64_t seq)
{
	make_sample(record, seq, 2000 * MS);
	record->sample.flags = AP_T_POINT | AP_T_EARLY;
	record->sample.loop = LOOP;
	record->sample.mark = 77;
	strcpy(record->sample.comm, "python3");
	sample_frame(record, CODE_SLEEPER, 20);
}

static void make_point_block(union any_record *record, uint64_t seq, enum ap_off off, int syscall)
{
	make_block(record, seq, off, syscall, 2000 * MS, 5 * MS);
	record->block.flags = AP_T_POINT | AP_T_EARLY;
	strcpy(record->block.comm, "python3");
	block_frame(record, CODE_SLEEPER, 20);
}

/* A sample weighs the tick's period, and is its task's; no stall was told of. */
static void test_sample(void **state)
{
	struct model *model = new_model();
	union any_record record;
	struct model_counts counts;

	(void)state;
	make_name(&record, 7, "Task-5", "Server.handle");
	feed(model, &record);
	feed_code(model, CODE_SLEEPER, "sleeper", "/srv/app.py");
	make_point_sample(&record, 7);
	feed(model, &record);
	assert_int_equal(got.cnt, 1);
	assert_int_equal(got.point[0].kind, POINT_CPU);
	assert_int_equal(got.point[0].ns, PERIOD_NS);
	assert_int_equal(got.point[0].unix_ns, 1700000002000000000LL);
	assert_int_equal(got.point[0].what, STALL_TASK);
	assert_true(got.point[0].unnamed);
	assert_int_equal(got.point[0].loop, LOOP);
	assert_string_equal(got.task[0], "Task-5");
	assert_string_equal(got.coro[0], "Server.handle");
	assert_string_equal(got.comm[0], "python3");
	assert_string_equal(got.stack[0], "python:sleeper@/srv/app.py");
	assert_int_equal(got.point[0].frames[0].line, 12);

	/* Without a Python frame above the callback it was C's time; one that was cut tells nothing. */
	make_point_sample(&record, 7);
	record.head.size -= sizeof(struct ap_frame);
	record.sample.stack.cnt = 0;
	feed(model, &record);
	assert_string_equal(got.stack[1], "native:[C code]@-");
	record.sample.stack.cut = AP_CUT_FAULT;
	feed(model, &record);
	assert_string_equal(got.stack[2], "");
	assert_true(got.point[2].cut);

	/* Another callback's, of which no name came: nobody else's name. */
	make_point_sample(&record, 8);
	feed(model, &record);
	assert_int_equal(got.point[3].what, STALL_CALLBACK);
	assert_string_equal(got.task[3], "-");
	model__counts(model, &counts);
	assert_int_equal(counts.stalls, 0);
	model__free(model);
}

/* A name that somebody gave is no number of asyncio's. */
static void test_named(void **state)
{
	static const struct {
		const char *name;
		bool unnamed;
	} rows[] = {{"Task-1", true}, {"Task-", false}, {"Task-1a", false}, {"poller", false}};
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (int i = 0; i < 4; i++) {
		make_name(&record, 10 + i, rows[i].name, "main");
		feed(model, &record);
		make_point_sample(&record, 10 + i);
		feed(model, &record);
		assert_int_equal(got.point[i].unnamed, rows[i].unnamed);
	}
	model__free(model);
}

/* Asleep, then in the run queue: two points, each with what was measured. */
static void test_wait(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_code(model, CODE_SLEEPER, "sleeper", "/srv/app.py");
	make_point_block(&record, 7, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP);
	record.block.runqueue_ns = 2 * MS;
	feed(model, &record);
	assert_int_equal(got.cnt, 2);
	assert_int_equal(got.point[0].kind, POINT_BLOCKED);
	assert_int_equal(got.point[0].ns, 5 * MS);
	assert_int_equal(got.point[0].cause, CAUSE_SLEEP);
	assert_string_equal(got.stack[0], "wait:clock_nanosleep@-|python:sleeper@/srv/app.py");
	assert_int_equal(got.point[1].kind, POINT_RUNQUEUE);
	assert_int_equal(got.point[1].ns, 2 * MS);
	assert_int_equal(got.point[1].cause, CAUSE_RUNQUEUE);
	assert_string_equal(got.stack[1], "wait:run queue@-|python:sleeper@/srv/app.py");

	/* For a stall only: no point. */
	make_point_block(&record, 7, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP);
	record.block.flags = 0;
	feed(model, &record);
	assert_int_equal(got.cnt, 2);
	model__free(model);
}

static void test_reasons(void **state)
{
	static const struct {
		enum ap_off off;
		const char *func;
		enum cause cause;
	} rows[] = {
		{AP_OFF_GIL, "the GIL", CAUSE_GIL},
		{AP_OFF_FUTEX, "a lock", CAUSE_LOCK},
		{AP_OFF_FAULT, "page fault", CAUSE_FAULT},
		{AP_OFF_THROTTLED, "throttled by its cgroup", CAUSE_THROTTLED},
	};
	struct model *model = new_model();
	union any_record record;
	char stack[64];

	(void)state;
	for (int i = 0; i < 4; i++) {
		make_point_block(&record, 7, rows[i].off, SYS_RECVFROM);
		feed(model, &record);
		snprintf(stack, sizeof(stack), "wait:%s@-|python:?@-", rows[i].func);
		assert_string_equal(got.stack[i], stack);
		assert_int_equal(got.point[i].cause, rows[i].cause);
	}
	make_point_block(&record, 7, AP_OFF_SYSCALL, 9999);
	feed(model, &record);
	assert_string_equal(got.stack[4], "wait:syscall 9999@-|python:?@-");
	model__free(model);
}

/* A pool's thread that waits for work is idle; the same function elsewhere is not. */
static void test_worker(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (int i = 0; i < 3; i++) {
		feed_code(model, CODE_SLEEPER, i == 2 ? "fetch" : "_worker",
			  "/usr/lib/python3.11/concurrent/futures/thread.py");
		make_point_block(&record, 0, AP_OFF_FUTEX, 202);
		record.block.callee = i ? AP_CALLEE_THREAD : AP_CALLEE_UNKNOWN;
		feed(model, &record);
	}
	assert_int_equal(got.point[0].kind, POINT_BLOCKED);
	assert_false(got.point[0].plain);
	assert_int_equal(got.point[1].kind, POINT_IDLE);
	assert_true(got.point[1].plain);
	assert_int_equal(got.point[2].kind, POINT_BLOCKED);
	model__free(model);
}

static void feed_kernel(struct model *model, uint64_t mark, int cnt)
{
	struct ap_kernel kernel = {.mark = mark, .bytes = cnt * 8};
	static const uint64_t ip[] = {0x1000, 0x1010, 0x2010, 0x3001, 0x9000};

	set_head(&kernel.head, AP_KERNEL, sizeof(kernel), 0);
	memcpy(kernel.ip, ip, sizeof(ip));
	assert_int_equal(model__feed(model, &kernel, sizeof(kernel)), 0);
}

/* The kernel's stack is that of the very switch or tick; of a switch without the tracing in it. */
static void test_kernel(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	feed_kernel(model, 2000 * MS, 5);
	make_point_block(&record, 7, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP);
	feed(model, &record);
	assert_string_equal(got.stack[0], "kernel:__schedule@-|kernel:do_nanosleep@-|kernel:?@-|"
					  "wait:clock_nanosleep@-|python:?@-");
	feed_kernel(model, 2000 * MS + 1, 5);
	feed(model, &record);
	assert_string_equal(got.stack[1], "wait:clock_nanosleep@-|python:?@-");
	feed_kernel(model, 77, 2);
	make_point_sample(&record, 7);
	feed(model, &record);
	assert_string_equal(got.stack[2], "kernel:trace@-|kernel:trace@-|python:?@-");
	/* It could not be walked. */
	feed_kernel(model, 77, -1);
	feed(model, &record);
	assert_string_equal(got.stack[3], "python:?@-");
	/* More than there is room for. */
	feed_kernel(model, 77, 1 << 20);
	feed(model, &record);
	assert_int_equal(got.point[4].frame_cnt, AP_KERNEL_MAX + 1);
	model__free(model);
}

static void test_native(void **state)
{
	struct model *model = new_model();
	struct ap_native *native = calloc(1, sizeof(*native));
	union any_record record;

	(void)state;
	assert_non_null(native);
	native->mark = 77;
	native->cnt = 2;
	strcpy(native->frame[0].func, "compress");
	strcpy(native->frame[0].file, "libz.so.1");
	strcpy(native->frame[1].file, "python3.11");
	set_head(&native->head, AP_NATIVE,
		 offsetof(struct ap_native, frame) + 2 * sizeof(native->frame[0]), 0);
	assert_int_equal(model__feed(model, native, native->head.size), 0);
	make_point_sample(&record, 7);
	feed(model, &record);
	assert_string_equal(got.stack[0], "native:compress@libz.so.1|native:[python3.11]@-|python:?@-");
	assert_false(got.point[0].cut);
	record.sample.mark++;
	feed(model, &record);
	assert_string_equal(got.stack[1], "python:?@-");
	native->mark = 78;
	native->cut = 1;
	assert_int_equal(model__feed(model, native, native->head.size), 0);
	feed(model, &record);
	assert_true(got.point[2].cut);
	/* Forged: more frames than bytes, a name without an end. */
	native->cnt = 3;
	assert_int_equal(model__feed(model, native, native->head.size), -EBADMSG);
	native->cnt = 2;
	memset(native->frame[1].func, 'x', sizeof(native->frame[1].func));
	assert_int_equal(model__feed(model, native, native->head.size), -EBADMSG);
	free(native);
	model__free(model);
}

/* Only the growth counts, a poll that goes on too; a thread that takes the tid begins anew. */
static void test_idle(void **state)
{
	struct ap_thread *thread = calloc(1, sizeof(*thread));
	struct model *model = new_model();
	union any_record record;

	(void)state;
	assert_non_null(thread);
	strcpy(thread->comm, "python3");
	thread->last_loop = LOOP;
	thread->account.idle_ns = 30 * MS;
	model__idle(model, PID, TID, thread, 1000 * MS);
	model__idle(model, PID, TID, thread, 1001 * MS);
	thread->poll_start = 1001 * MS;
	model__idle(model, PID, TID, thread, 1041 * MS);
	assert_int_equal(got.cnt, 2);
	assert_int_equal(got.point[0].kind, POINT_IDLE);
	assert_int_equal(got.point[0].ns, 30 * MS);
	assert_int_equal(got.point[1].ns, 40 * MS);
	assert_int_equal(got.point[1].what, STALL_ITERATION);
	make_gone(&record, 0);
	record.gone.account.idle_ns = 75 * MS;
	feed(model, &record);
	assert_int_equal(got.point[2].ns, 5 * MS);
	thread->poll_start = 0;
	model__idle(model, PID, TID, thread, 1100 * MS);
	assert_int_equal(got.point[3].ns, 30 * MS);
	free(thread);
	model__free(model);
}

/* A poll's wait for a CPU is no idling, also when the poll was told of while it went on. */
static void test_queued(void **state)
{
	struct ap_thread *thread = calloc(1, sizeof(*thread));
	struct model *model = new_model();

	(void)state;
	assert_non_null(thread);
	thread->last_loop = LOOP;
	thread->account.idle_ns = 30 * MS;
	thread->account.queued_ns = 10 * MS;
	model__idle(model, PID, TID, thread, 1000 * MS);
	assert_int_equal(got.cnt, 2);
	assert_int_equal(got.point[0].kind, POINT_IDLE);
	assert_int_equal(got.point[0].ns, 20 * MS);
	assert_int_equal(got.point[1].kind, POINT_RUNQUEUE);
	assert_int_equal(got.point[1].cause, CAUSE_RUNQUEUE);
	assert_int_equal(got.point[1].ns, 10 * MS);
	thread->poll_start = 1000 * MS;
	model__idle(model, PID, TID, thread, 1040 * MS);
	assert_int_equal(got.point[2].ns, 40 * MS);
	thread->poll_start = 0;
	thread->account.idle_ns = 70 * MS;
	thread->account.queued_ns = 25 * MS;
	model__idle(model, PID, TID, thread, 1050 * MS);
	assert_int_equal(got.cnt, 4);
	assert_int_equal(got.point[3].kind, POINT_RUNQUEUE);
	assert_int_equal(got.point[3].ns, 15 * MS);
	thread->account.idle_ns = 90 * MS;
	model__idle(model, PID, TID, thread, 1070 * MS);
	assert_int_equal(got.point[4].kind, POINT_IDLE);
	assert_int_equal(got.point[4].ns, 5 * MS);
	free(thread);
	model__free(model);
}

/* What a tick found to be our own work is time of the loop's thread as well, and says whose. */
static void test_own(void **state)
{
	struct ap_thread *thread = calloc(1, sizeof(*thread));
	struct model *model = new_model();
	union any_record record;

	(void)state;
	assert_non_null(thread);
	strcpy(thread->comm, "python3");
	thread->account.ticks_busy = 3;
	model__idle(model, PID, TID, thread, 1000 * MS);
	model__idle(model, PID, TID, thread, 1001 * MS);
	assert_int_equal(got.cnt, 1);
	assert_int_equal(got.point[0].kind, POINT_CPU);
	assert_int_equal(got.point[0].cnt, 3);
	assert_int_equal(got.point[0].ns, 3 * PERIOD_NS);
	assert_int_equal(got.point[0].what, STALL_ITERATION);
	assert_string_equal(got.stack[0], "native:[asyncprof]@-");
	make_gone(&record, 0);
	record.gone.account.ticks_busy = 4;
	feed(model, &record);
	assert_int_equal(got.point[1].ns, PERIOD_NS);
	model__idle(model, PID, TID, thread, 1100 * MS);
	assert_int_equal(got.point[2].cnt, 3);
	free(thread);
	model__free(model);
}

/* Threads that come and go by the thousand do not make a loop's time count twice. */
static void test_many_threads(void **state)
{
	struct ap_thread *thread = calloc(1, sizeof(*thread));
	struct model *model = new_model();
	struct ap_kernel kernel = {.bytes = 8};

	(void)state;
	assert_non_null(thread);
	strcpy(thread->comm, "python3");
	thread->account.idle_ns = 30 * MS;
	model__idle(model, PID, TID, thread, 1000 * MS);
	set_head(&kernel.head, AP_KERNEL, sizeof(kernel), 0);
	for (uint32_t tid = TID + 1; tid < TID + 10000; tid++) {
		kernel.head.tid = tid;
		assert_int_equal(model__feed(model, &kernel, sizeof(kernel)), 0);
	}
	model__idle(model, PID, TID, thread, 1001 * MS);
	assert_int_equal(got.cnt, 1);
	free(thread);
	model__free(model);
}

/* A wait that is told of bit by bit is one wait. */
static void test_more(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	make_point_block(&record, 7, AP_OFF_SYSCALL, SYS_CLOCK_NANOSLEEP);
	feed(model, &record);
	record.block.flags |= AP_T_MORE;
	feed(model, &record);
	assert_int_equal(got.point[0].cnt, 1);
	assert_int_equal(got.point[1].cnt, 0);
	assert_int_equal(got.point[1].ns, got.point[0].ns);
	model__free(model);
}

/* What was not late leaves no trace in a stall: its samples are those that watch would have had. */
static void test_early_is_no_evidence(void **state)
{
	struct model *model = new_model();
	struct model_counts counts;
	union any_record record;

	(void)state;
	for (uint64_t seq = 1; seq <= 40; seq++) {
		make_name(&record, seq, "Task-5", "main");
		feed(model, &record);
	}
	model__counts(model, &counts);
	assert_int_equal(counts.evicted_evidence, 0);
	for (uint64_t seq = 41; seq <= 80; seq++) {
		make_sample(&record, seq, 2000 * MS);
		sample_frame(&record, CODE_SLEEPER, 20);
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	feed(model, &record);
	model__counts(model, &counts);
	assert_int_equal(counts.evicted_evidence, 0);
	make_slow(&record, 41, 150);
	feed(model, &record);
	model__counts(model, &counts);
	assert_int_equal(counts.evicted_evidence, 1);
	assert_int_equal(got.cnt, 0);
	model__free(model);
}

/* What is late stays, however many callbacks have a name by then. */
static void test_late_stays(void **state)
{
	struct model *model = new_model();
	struct model_counts counts;
	union any_record record;

	(void)state;
	make_sample(&record, 1, 2000 * MS);
	sample_frame(&record, CODE_SLEEPER, 20);
	feed(model, &record);
	for (uint64_t seq = 2; seq <= 60; seq++) {
		make_name(&record, seq, "Task-5", "main");
		feed(model, &record);
	}
	make_slow(&record, 1, 150);
	feed(model, &record);
	model__counts(model, &counts);
	assert_int_equal(counts.evicted_evidence, 0);
	model__free(model);
}

/* A thread without a loop has points, and is no loop of the summary. */
static void test_plain(void **state)
{
	struct model *model = new_model();
	struct run_summary summary = {};
	union any_record record;

	(void)state;
	make_point_sample(&record, 0);
	record.sample.flags = AP_T_POINT;
	record.sample.callee = AP_CALLEE_THREAD;
	feed(model, &record);
	make_point_block(&record, 0, AP_OFF_SYSCALL, SYS_RECVFROM);
	record.block.flags = AP_T_POINT;
	record.block.callee = AP_CALLEE_THREAD;
	feed(model, &record);
	assert_int_equal(got.cnt, 2);
	assert_true(got.point[0].plain && got.point[1].plain);
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loop_cnt, 0);
	model__free(model);
}

/* Iterations that were late for a moment do not push out who runs now: its next point has its name. */
static void test_name_stays(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	for (uint64_t seq = 1; seq <= 100; seq += 2) {
		make_name(&record, seq, "worker", "main");
		feed(model, &record);
		make_sample(&record, seq + 1, 2000 * MS);
		record.sample.callee = AP_CALLEE_ITERATION;
		feed(model, &record);
		got.cnt = 0;
		make_point_sample(&record, seq);
		feed(model, &record);
		assert_int_equal(got.cnt, 1);
		assert_string_equal(got.task[0], "worker");
	}
	model__free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_queued),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_early_is_no_evidence),
		cmocka_unit_test(test_late_stays),
		cmocka_unit_test(test_name_stays),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
