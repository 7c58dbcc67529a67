/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* What goes into a recording comes out again, and prints the same. */
#include "cmocka_all.h"

#include <errno.h>

#include "recording/intern.h"
#include "recordings.h"
#include "report/debuglog.h"
#include "report/json.h"
#include "report/summary.h"
#include "report/text.h"
#include "stalls.h"

#define HOSTILE "a\"'`;--\n</script><!--\xff\xfe\xc3(\xed\xa0\x80\x1b[31m\xe2\x80\xae%n\\x"

/* --- Points --- */

static const struct profile_entry *find_entry(const struct profile *profile, enum point_kind kind)
{
	const struct profile_entry *found = NULL;

	for (size_t i = 0; i < profile->entry_cnt; i++) {
		if (profile->entries[i].kind != kind)
			continue;
		assert_null(found);
		found = &profile->entries[i];
	}
	assert_non_null(found);
	return found;
}

static void same_text(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_true(a == b);
}

/* A stack of the profile is the frames of a point. */
static void assert_stack(const struct profile *profile, uint32_t stack,
			 const struct point_frame *frames, size_t frame_cnt)
{
	for (size_t i = 0; i < frame_cnt; i++) {
		const struct profile_frame *frame;

		assert_true(stack < profile->stack_cnt);
		frame = &profile->frames[profile->stacks[stack].frame];
		assert_int_equal(frame->kind, frames[i].kind);
		same_text(frame->func, frames[i].func);
		same_text(frame->file, frames[i].file);
		assert_int_equal(frame->line, frames[i].line);
		stack = profile->stacks[stack].parent;
	}
	assert_int_equal(stack, PROFILE_NONE);
}

static struct profile *profile_of(struct recording *r)
{
	struct profile *profile = NULL;
	struct refusal why = {};

	if (recording_profile(r, &profile, &why))
		fail_msg("%s", why.what);
	return profile;
}

static void put_points(struct recording *r)
{
	struct point point = point_of_wait();

	/* Three waits in two seconds, in one place. */
	assert_int_equal(recording__point(r, &point), 0);
	assert_int_equal(recording__point(r, &point), 0);
	point.unix_ns += SECOND;
	assert_int_equal(recording__point(r, &point), 0);
	/* On the CPU, in a plain thread, without a stack. */
	point = (struct point){.kind = POINT_CPU,
			       .unix_ns = START_NS,
			       .ns = PERIOD_NS,
			       .cnt = 1,
			       .pid = 555,
			       .tid = 556,
			       .comm = "worker",
			       .plain = true,
			       .cut = true};
	assert_int_equal(recording__point(r, &point), 0);
	/* Unnamed tasks of one coroutine, with a hostile frame. */
	point = point_of_wait();
	point.kind = POINT_RUNQUEUE;
	point.cause = CAUSE_RUNQUEUE;
	point.frames = &(struct point_frame){FRAME_PYTHON, HOSTILE, HOSTILE, 3};
	point.frame_cnt = 1;
	point.coro = HOSTILE;
	point.unnamed = true;
	for (int i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "Task-%d", i);
		point.task = name;
		assert_int_equal(recording__point(r, &point), 0);
	}
}

static void assert_points(struct recording *r, bool complete)
{
	const struct point_frame hostile = {FRAME_PYTHON, HOSTILE, HOSTILE, 3};
	struct profile *profile = profile_of(r);
	const struct profile_entry *entry;
	const struct profile_thread *thread;
	const struct profile_task *task;

	assert_int_equal(profile->entry_cnt, 3);
	entry = find_entry(profile, POINT_BLOCKED);
	assert_int_equal(entry->ns, 3 * 1234567);
	assert_int_equal(entry->cnt, 3);
	assert_int_equal(entry->cause, CAUSE_SOCKET);
	assert_stack(profile, entry->stack, point_frames, 5);
	thread = &profile->threads[entry->thread];
	assert_int_equal(thread->tid, 100);
	assert_int_equal(thread->loop, 0x7f0000001000);
	assert_false(thread->plain);
	assert_string_equal(thread->comm, "python3");
	assert_int_equal(profile->processes[thread->process].pid, 100);
	assert_string_equal(profile->processes[thread->process].python, "3.11.2");
	task = &profile->tasks[entry->task];
	assert_int_equal(task->what, STALL_TASK);
	assert_string_equal(task->task, "poller");
	assert_string_equal(task->coro, "fetch");
	assert_null(task->callback);

	entry = find_entry(profile, POINT_CPU);
	assert_int_equal(entry->task, PROFILE_NONE);
	assert_int_equal(entry->stack, PROFILE_NONE);
	thread = &profile->threads[entry->thread];
	assert_true(thread->plain);
	assert_int_equal(profile->processes[thread->process].pid, 555);
	assert_null(profile->processes[thread->process].exe);

	entry = find_entry(profile, POINT_RUNQUEUE);
	assert_int_equal(entry->cnt, 1000);
	assert_stack(profile, entry->stack, &hostile, 1);
	task = &profile->tasks[entry->task];
	assert_null(task->task);
	assert_true(task->unnamed);
	assert_string_equal(task->coro, HOSTILE);

	assert_int_equal(profile->task_cnt, 2);
	assert_int_equal(profile->period_ns, PERIOD_NS);
	assert_int_equal(profile->start_unix_ns, START_NS);
	assert_int_equal(profile->cut_stack_cnt, 1);
	assert_int_equal(profile->lost_cnt, complete ? 7 : 0);
	assert_int_equal(profile->complete, complete);
	if (complete)
		assert_int_equal(profile->duration_ns, 30 * SECOND);
	profile__free(profile);
}

static const struct run_summary short_summary = {
	.unix_ns = START_NS + 30 * SECOND,
	.duration_ns = 30 * SECOND,
	.tier = "exact",
	.overhead_ns = -1,
	.events_lost = 7,
};

static void test_points(void **state)
{
	struct folder folder;
	struct recording *r;

	(void)state;
	folder_make(&folder);
	r = create(folder.file);
	put_points(r);
	assert_int_equal(recording__commit(r), 0);
	assert_points(r, false);
	assert_int_equal(recording__finish(r, &short_summary), 0);
	assert_points(r, true);
	recording__close(r);
	assert_int_equal(access(folder.journal, F_OK), -1);

	r = open_again(folder.file);
	assert_points(r, true);
	recording__close(r);
	/* A second each, and what the views make of it. */
	assert_int_equal(sql_number(folder.file, "SELECT count(*) FROM samples"), 4);
	assert_int_equal(sql_number(folder.file,
				    "SELECT sum(cnt) FROM detail WHERE task = 'poller' "
				    "AND second = 0 AND kind = 'blocked'"),
			 2);
	assert_int_equal(sql_number(folder.file,
				    "SELECT count(*) FROM folded WHERE text = 'fetch (db.py:17);"
				    "read (ssl.py:1100);SSL_read libssl.so.3;tcp_recvmsg;"
				    "recvfrom 10.0.0.7:443'"),
			 1);
	assert_int_equal(sql_number(folder.file, "SELECT 1e6 * self_s FROM top_functions "
						 "WHERE func = 'recvfrom'"),
			 4000);
	assert_int_equal(sql_number(folder.file, "SELECT state = 'complete' FROM about"), 1);
	assert_int_equal(sql_number(folder.file, "SELECT count(*) FROM pragma_integrity_check "
						 "WHERE integrity_check = 'ok'"),
			 1);
	folder_remove(&folder);
}

/* A run that only wants a picture. */
static void test_private(void **state)
{
	struct recording *r = create(NULL);

	(void)state;
	put_points(r);
	assert_int_equal(recording__finish(r, &short_summary), 0);
	assert_points(r, true);
	recording__close(r);
}

static void assert_late(void *ctx, const struct run_joined *joined)
{
	++*(int *)ctx;
	assert_int_equal(joined->unix_ns, 77);
	assert_int_equal(joined->target.pid, 555);
	assert_string_equal(joined->target.comm, "child");
	assert_int_equal(joined->parent, 100);
	assert_int_equal(joined->degraded_cnt, 1);
	assert_string_equal(joined->degraded[0], "it is small");
}

static void test_processes(void **state)
{
	static const char *const reasons[] = {"it is small"};
	struct run_joined late = {
		.unix_ns = 77,
		.target = {555, "child", "3.12.1", "/usr/bin/python3.12", 0},
		.parent = 100,
		.degraded = reasons,
		.degraded_cnt = 1,
	};
	struct run_joined known = {.target = {100, "renamed", "9", "/x", 0}, .parent = 1};
	int joined_cnt = 0;
	struct run_start start;
	struct profile *profile;
	struct refusal why;
	struct recording *r = create(NULL);

	(void)state;
	put_points(r);
	/* Later than its first point; one of the start keeps what the start said. */
	assert_int_equal(recording__joined(r, &late), 0);
	assert_int_equal(recording__joined(r, &known), 0);
	assert_int_equal(recording__commit(r), 0);
	profile = profile_of(r);
	assert_int_equal(profile->process_cnt, 3);
	assert_string_equal(profile->processes[0].comm, "python3");
	assert_string_equal(profile->processes[2].comm, "child");
	assert_string_equal(profile->processes[2].exe, "/usr/bin/python3.12");
	profile__free(profile);
	assert_int_equal(recording_start(r, &start, &why), 0);
	assert_int_equal(start.target_cnt, 2);
	assert_int_equal(recording_joined(r, assert_late, &joined_cnt, &why), 0);
	assert_int_equal(joined_cnt, 1);
	recording__close(r);
}

/*
 * A program that names each task after its request, and one that makes a thread for each: what
 * does not fit loses its name, not its time.
 */
static void test_no_room(void **state)
{
	const int cnt = 160000;
	struct profile *profile;
	struct recording *r;
	struct folder folder;
	uint64_t sum = 0;
	int apart = 0, together = 0;

	(void)state;
	folder_make(&folder);
	r = create(folder.file);
	for (int i = 0; i < cnt; i++) {
		struct point point = point_of_wait();
		char name[32];

		snprintf(name, sizeof(name), "request-%d", i);
		point.task = name;
		point.tid = (uint32_t)(i % 40000);
		point.plain = i % 4 == 3;
		assert_int_equal(recording__point(r, &point), 0);
	}
	assert_int_equal(recording__commit(r), 0);
	recording__close(r);
	r = open_again(folder.file);
	profile = profile_of(r);
	for (size_t i = 0; i < profile->entry_cnt; i++)
		sum += profile->entries[i].cnt;
	assert_int_equal(sum, cnt);
	for (size_t i = 0; i < profile->thread_cnt; i++) {
		if (strcmp(profile->threads[i].comm, "other threads"))
			apart++;
		else
			together++;
	}
	assert_true(apart > 20000 && together == 2);
	assert_int_equal(profile->lost_cnt, 0);
	profile__free(profile);
	recording__close(r);
	folder_remove(&folder);

	folder_make(&folder);
	r = create(folder.file);
	for (int i = 0; i < cnt; i++) {
		struct point point = point_of_wait();
		char name[32];

		snprintf(name, sizeof(name), "request-%d", i);
		point.task = name;
		assert_int_equal(recording__point(r, &point), 0);
	}
	assert_int_equal(recording__commit(r), 0);
	recording__close(r);
	assert_int_equal(sql_number(folder.file, "SELECT sum(cnt) FROM samples"), cnt);
	assert_int_equal(sql_number(folder.file, "SELECT cnt FROM losses WHERE what = 'tasks'"),
			 sql_number(folder.file, "SELECT sum(cnt) FROM detail WHERE task IS NULL"));
	assert_true(sql_number(folder.file, "SELECT count(*) FROM tasks WHERE coro = 'fetch'") >
		    100000);
	folder_remove(&folder);
}

/* --- Stalls --- */

/* Prints a stall in every form that shows all of it. */
static void print_stall(FILE *out, const struct stall *stall)
{
	struct display display = {.width = 400, .verbose = true, .full_filenames = true};
	struct text *text = text__new(out, &display);

	assert_int_equal(json_print_stall(out, stall), 0);
	assert_int_equal(text__stall(text, stall), 0);
	assert_int_equal(debuglog_stall(out, stall), 0);
	text__free(text);
}

static void print_each(void *ctx, const struct stall *stall)
{
	print_stall(ctx, stall);
}

static void assert_same_stalls(const struct stall *stalls, size_t cnt)
{
	struct capture live, read;
	struct recording *r;
	struct folder folder;
	struct refusal why;

	folder_make(&folder);
	r = create(folder.file);
	capture_open(&live);
	capture_open(&read);
	for (size_t i = 0; i < cnt; i++) {
		assert_int_equal(recording__stall(r, &stalls[i]), 0);
		print_stall(live.file, &stalls[i]);
	}
	assert_int_equal(recording__commit(r), 0);
	recording__close(r);
	r = open_again(folder.file);
	if (recording_stalls(r, print_each, read.file, &why))
		fail_msg("%s", why.what);
	assert_string_equal(capture_text(&read), capture_text(&live));
	recording__close(r);
	capture_close(&live);
	capture_close(&read);
	folder_remove(&folder);
}

static struct stall stall_of_everything(void)
{
	static const struct advice advice = {"any.key", "any text of ours"};
	struct stall stall = stall_of_evil(HOSTILE);

	stall.loop = 0xfffffffffffff000;
	stall.kind = STALL_ITERATION;
	stall.inner_cnt = UINT32_MAX;
	stall.line = INT32_MAX;
	stall.suspended_ns = 17;
	stall.exited = true;
	stall.exact = true;
	stall.eager = true;
	stall.causes = (1U << CAUSE_CNT) - 1;
	stall.sampled = (1U << PART_CNT) - 1;
	stall.syscall = "rt_sigtimedwait";
	stall.native_sleep = true;
	stall.fd = (struct stall_fd){.num = INT32_MAX, .kind = FD_DNS, .peer = HOSTILE};
	stall.samples_cnt = UINT32_MAX;
	for (int part = 0; part < PART_CNT; part++)
		stall.budget.ns[part] = part + 1;
	stall.stack_reason = "memory that could not be read";
	stall.advice = &advice;
	return stall;
}

static void test_stalls(void **state)
{
	struct stall stalls[64] = {stall_of_sleep(), stall_of_nothing(), stall_of_evil(HOSTILE),
				   stall_of_everything()};
	size_t cnt = 4;

	(void)state;
	/* Every kind, cause and kind of fd, and what can be known or not. */
	for (int kind = 0; kind < STALL_KIND_CNT; kind++) {
		stalls[cnt] = stall_of_sleep();
		stalls[cnt++].kind = kind;
	}
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		stalls[cnt] = stall_of_sleep();
		stalls[cnt++].cause = cause;
	}
	for (int kind = 0; kind < FD_KIND_CNT; kind++) {
		stalls[cnt] = stall_of_sleep();
		stalls[cnt++].fd =
			(struct stall_fd){.num = kind - 1, .kind = kind, .path = "/srv/x"};
	}
	stalls[cnt] = stall_of_everything();
	stalls[cnt++].budget_known = false;
	stalls[cnt] = stall_of_everything();
	stalls[cnt++].holder_known = false;
	stalls[cnt] = stall_of_everything();
	stalls[cnt++].holder_tid = 0;
	stalls[cnt] = stall_of_sleep();
	stalls[cnt++].frame_cnt = 0;
	stalls[cnt] = stall_of_sleep();
	for (int part = 0; part < PART_CNT; part++)
		stalls[cnt].budget.ns[part] = BUDGET_UNKNOWN;
	stalls[cnt].task = stalls[cnt].coro = stalls[cnt].file = "";
	stalls[cnt++].line = 0;
	for (size_t i = 0; i < cnt; i++)
		snprintf(stalls[i].id, sizeof(stalls[i].id), "1-2-%zu", i);
	/* As long as an id can be. */
	memset(stalls[3].id, 'x', sizeof(stalls[3].id) - 1);
	assert_same_stalls(stalls, cnt);
}

static void test_deep_stack(void **state)
{
	static struct stall_frame frames[AP_FRAMES_MAX + 1];
	static char names[AP_FRAMES_MAX + 1][16];
	struct stall stall = stall_of_sleep();

	(void)state;
	for (int i = 0; i <= AP_FRAMES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		frames[i] = (struct stall_frame){names[i], i % 3 ? "/srv/a.py" : NULL, i};
	}
	stall.frames = frames;
	stall.frame_cnt = AP_FRAMES_MAX;
	assert_same_stalls(&stall, 1);
}

static void collect_ids(void *ctx, const struct stall *stall)
{
	char *ids = ctx;

	snprintf(ids + strlen(ids), 70, "%s%s ", stall->id, stall->ongoing ? "..." : "");
}

/* One that ends after it was reported stands once, where it ended. */
static void test_ongoing(void **state)
{
	struct stall stall = stall_of_sleep();
	struct recording *r = create(NULL);
	struct refusal why;
	char ids[256] = "";

	(void)state;
	stall.ongoing = true;
	strcpy(stall.id, "a");
	assert_int_equal(recording__stall(r, &stall), 0);
	strcpy(stall.id, "b");
	assert_int_equal(recording__stall(r, &stall), 0);
	assert_int_equal(recording__commit(r), 0);
	stall.ongoing = false;
	strcpy(stall.id, "c");
	assert_int_equal(recording__stall(r, &stall), 0);
	strcpy(stall.id, "a");
	assert_int_equal(recording__stall(r, &stall), 0);
	assert_int_equal(recording__commit(r), 0);
	assert_int_equal(recording_stalls(r, collect_ids, ids, &why), 0);
	assert_string_equal(ids, "b... c a ");
	recording__close(r);
}

/* --- The run --- */

static void test_start(void **state)
{
	struct run_start start = start_of_test(), read;
	struct capture live, again;
	struct recording *r;
	struct folder folder;
	struct refusal why;

	(void)state;
	folder_make(&folder);
	recording__close(create(folder.file));
	r = open_again(folder.file);
	assert_int_equal(recording_start(r, &read, &why), 0);
	capture_open(&live);
	capture_open(&again);
	json_print_start(live.file, &start);
	json_print_start(again.file, &read);
	assert_string_equal(capture_text(&again), capture_text(&live));
	capture_close(&live);
	capture_close(&again);
	recording__close(r);
	folder_remove(&folder);
}

static void print_summary(FILE *out, const struct run_summary *summary)
{
	struct display display = {.width = 100, .verbose = true, .full_filenames = true};

	assert_int_equal(json_print_summary(out, summary), 0);
	assert_int_equal(summary_text(out, &display, summary), 0);
}

static void assert_same_summary(const struct run_summary *a, const struct run_summary *b)
{
	struct capture left, right;

	capture_open(&left);
	capture_open(&right);
	print_summary(left.file, a);
	print_summary(right.file, b);
	assert_string_equal(capture_text(&left), capture_text(&right));
	capture_close(&left);
	capture_close(&right);
}

/* Each counter another number, so that no two can be taken for each other. */
static void count_up(void *counters, size_t sz, uint64_t from)
{
	uint64_t *counter = counters;

	for (size_t i = 0; i < sz / sizeof(*counter); i++)
		counter[i] = from + i;
}

static void fill_loop(struct loop *loop, uint32_t tid)
{
	struct stall stall = stall_of_sleep();

	*loop = (struct loop){.pid = 100,
			      .tid = tid,
			      .address = 0x7f0000001000,
			      .ongoing_cnt = 2,
			      .place_overflow_cnt = 3,
			      .gone = tid & 1,
			      .comm = "\xff\"<\n"};
	count_up(&loop->account, sizeof(loop->account), 1000 * tid);
	loop->has_account = true;
	for (int i = 0; i < 30; i++) {
		stall.cause = (enum cause)(i % CAUSE_CNT);
		stall.coro = i % 2 ? HOSTILE : "main";
		stall.duration_ns = (i * 7 % 5 + 1) * MS;
		stall.kind = i % 3 ? STALL_TASK : STALL_ITERATION;
		assert_int_equal(loop_add_stall(loop, &stall), 0);
	}
	loop_sort(loop);
}

static void test_summary(void **state)
{
	struct loop loops[3];
	const struct loop *list[] = {&loops[0], &loops[1], &loops[2]};
	struct run_summary summary =
				   {
					   .unix_ns = START_NS + 30 * SECOND,
					   .duration_ns = 30 * SECOND,
					   .tier = "exact",
					   .interim = true,
					   .hit_ns = 850,
					   .overhead_ns = 123456789,
					   .events_lost = 7,
					   .loops = list,
					   .loop_cnt = 3,
					   .malformed = 5,
					   .stalls = 90,
					   .evicted_codes = 1,
					   .evicted_evidence = 2,
					   .evicted_loops = 3,
				   },
			   read;
	struct recording *r;
	struct folder folder;
	struct refusal why = {};
	int complete = 0;

	(void)state;
	fill_loop(&loops[0], 11);
	fill_loop(&loops[1], 12);
	loops[2] = (struct loop){.pid = 7, .tid = 7};
	count_up(&summary.homeless, sizeof(summary.homeless), 1);
	count_up(&summary.sent.attempted, sizeof(summary.sent.attempted), 500);
	count_up(&summary.sent.dropped, sizeof(summary.sent.dropped), 20);
	count_up(&summary.synthesised, sizeof(summary.synthesised), 30);
	count_up(&summary.received, sizeof(summary.received), 400);

	folder_make(&folder);
	r = create(folder.file);
	/* What it said before is replaced. */
	assert_int_equal(recording__summarise(r, &short_summary), 0);
	assert_int_equal(recording__summarise(r, &summary), 0);
	assert_int_equal(recording__finish(r, &summary), 0);
	recording__close(r);
	r = open_again(folder.file);
	if (recording_summary(r, &read, &complete, &why))
		fail_msg("%s", why.what);
	assert_true(complete);
	assert_same_summary(&read, &summary);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(&read.loops[i]->account, &loops[i].account,
				    sizeof(loops[i].account));
	assert_memory_equal(&read.homeless, &summary.homeless, sizeof(summary.homeless));
	assert_memory_equal(&read.sent, &summary.sent, sizeof(summary.sent));
	assert_memory_equal(read.received, summary.received, sizeof(summary.received));
	assert_memory_equal(read.synthesised, summary.synthesised, sizeof(summary.synthesised));
	recording__close(r);
	for (int i = 0; i < 3; i++)
		loop_clear(&loops[i]);
	assert_int_equal(sql_number(folder.file, "SELECT cnt FROM losses WHERE what = 'events'"),
			 7);
	folder_remove(&folder);
}

/* Cut: what the rows tell; of accounts, what was said last, and that not all is known. */
static void test_cut(void **state)
{
	struct stall stall = stall_of_sleep();
	struct loop loop;
	const struct loop *list[] = {&loop};
	struct run_summary summary = short_summary, read;
	struct recording *r;
	struct folder folder;
	struct refusal why = {};
	int complete = 1;

	(void)state;
	folder_make(&folder);
	r = create(folder.file);
	assert_int_equal(recording_summary(r, &read, &complete, &why), 0);
	assert_false(complete);
	assert_int_equal(read.loop_cnt, 0);
	assert_int_equal(read.overhead_ns, -1);

	assert_int_equal(recording__stall(r, &stall), 0);
	fill_loop(&loop, 101);
	summary.loops = list;
	summary.loop_cnt = 1;
	assert_int_equal(recording__summarise(r, &summary), 0);
	strcpy(stall.id, "x");
	stall.duration_ns = 10 * SECOND;
	assert_int_equal(recording__stall(r, &stall), 0);
	stall.ongoing = true;
	stall.tid = 102;
	strcpy(stall.id, "y");
	assert_int_equal(recording__stall(r, &stall), 0);
	assert_int_equal(recording__commit(r), 0);
	/* Closed without an end, as by a kill. */
	recording__close(r);

	r = open_again(folder.file);
	if (recording_summary(r, &read, &complete, &why))
		fail_msg("%s", why.what);
	assert_false(complete);
	assert_int_equal(read.stalls, 2);
	assert_true(read.duration_ns > 0);
	assert_int_equal(read.events_lost, 7);
	assert_int_equal(read.loop_cnt, 2);
	assert_int_equal(read.loops[0]->stall_cnt, 2);
	assert_int_equal(read.loops[0]->ongoing_cnt, 0);
	assert_int_equal(read.loops[0]->place_cnt, 1);
	assert_int_equal(read.loops[0]->stall_ns, 153 * MS + 10 * SECOND);
	assert_memory_equal(&read.loops[0]->account, &loop.account, sizeof(loop.account));
	assert_int_equal(read.loops[1]->tid, 102);
	assert_int_equal(read.loops[1]->ongoing_cnt, 1);
	assert_false(read.loops[1]->has_account);
	recording__close(r);
	loop_clear(&loop);
	folder_remove(&folder);
}

/* --- What has a row already --- */

static void test_intern(void **state)
{
	uint64_t key[2] = {1, 2};
	struct intern intern;
	struct intern_hash hash;
	bool added;

	(void)state;
	intern__init(&intern, key);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 3000; i++) {
			intern_hash_begin(&intern, &hash);
			intern_hash_number(&hash, i);
			assert_int_equal(intern_id(&intern, &hash, 2000, &added),
					 i < 2000 ? i + 1 : 0);
			assert_int_equal(added, !round && i < 2000);
		}
	}
	/* "ab", "c" is not "a", "bc"; NULL is not "". */
	for (int i = 0; i < 8; i++) {
		static const char *const pairs[][2] = {
			{"ab", "c"},
			{"a", "bc"},
			{NULL, "x"},
			{"", "x"},
			/* A word and more, and what fills it up. */
			{"12345678", ""},
			{"123456789", ""},
			{"1234567", ""},
			{"12345679", ""},
		};

		intern_hash_begin(&intern, &hash);
		intern_hash_text(&hash, pairs[i][0]);
		intern_hash_text(&hash, pairs[i][1]);
		assert_int_equal(intern_id(&intern, &hash, 5000, &added), 2001 + i);
	}
	intern__free(&intern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),	  cmocka_unit_test(test_private),
		cmocka_unit_test(test_processes), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_stalls),	  cmocka_unit_test(test_deep_stack),
		cmocka_unit_test(test_ongoing),	  cmocka_unit_test(test_start),
		cmocka_unit_test(test_summary),	  cmocka_unit_test(test_cut),
		cmocka_unit_test(test_intern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
