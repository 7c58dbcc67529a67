/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Lines for people: what is shown, how it folds, that it fits, and that nothing evil gets out. */
#include "cmocka_all.h"

#include <errno.h>

#include "report/debuglog.h"
#include "report/summary.h"
#include "report/text.h"
#include "report/words.h"
#include "stalls.h"

static int source(void *ctx, uint32_t pid, const char *file, int line, char *buf, size_t buf_sz)
{
	(void)ctx;
	assert_int_equal(pid, 100);
	if (strcmp(file, "/srv/shop/app.py") || line != 12)
		return -ENOENT;
	return snprintf(buf, buf_sz, "        time.sleep(0.15)");
}

struct fixture {
	struct capture capture;
	struct display display;
	struct text *text;
};

static void open_text(struct fixture *fixture, struct display display)
{
	capture_open(&fixture->capture);
	fixture->display = display;
	fixture->text = text__new(fixture->capture.file, &display);
	assert_non_null(fixture->text);
}

static void close_text(struct fixture *fixture)
{
	text__free(fixture->text);
	capture_close(&fixture->capture);
}

static const char *show(struct fixture *fixture, const struct stall *stall)
{
	capture_reset(&fixture->capture);
	assert_int_equal(text__stall(fixture->text, stall), 0);
	return capture_text(&fixture->capture);
}

/* The same stall at another line. */
static void move(struct stall *stall)
{
	static struct stall_frame frames[8];

	memmove(frames, stall->frames, stall->frame_cnt * sizeof(frames[0]));
	frames[0].line++;
	stall->frames = frames;
	stall->line++;
}

static void assert_fits(const char *text, size_t width)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		if (len > width)
			fail_msg("%zu columns: %.*s", len, (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static void test_whole(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;

	(void)state;
	open_text(&fixture, (struct display){.width = 80, .source = source});
	assert_string_equal(show(&fixture, &stall),
			    "12:00:00 stall 153 ms  task 'Task-5' Server.handle()  blocked: sleep\n"
			    "    asleep in clock_nanosleep\n"
			    "    sleeper                   shop/app.py:12\n"
			    "        time.sleep(0.15)\n"
			    "    ... 2 library frames\n"
			    "    Server.handle             shop/server.py:40\n"
			    "    hint: use await asyncio.sleep()\n");
	close_text(&fixture);
}

static void test_options(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80, .utc_offset_s = -3600});
	assert_has(show(&fixture, &stall), "11:00:00 stall");
	close_text(&fixture);

	open_text(&fixture, (struct display){.width = 80, .full_filenames = true});
	assert_has(show(&fixture, &stall), "/srv/shop/app.py:12");
	close_text(&fixture);

	open_text(&fixture, (struct display){.width = 80, .verbose = true});
	text = show(&fixture, &stall);
	assert_has(text, "functools.py:33");
	assert_has(text, "    time: cpu 3.00 ms, syscall 150 ms\n    id 100-101-7\n");
	assert_has_not(text, "library frame");
	close_text(&fixture);

	open_text(&fixture, (struct display){.width = 80, .stack_depth = 1});
	text = show(&fixture, &stall);
	assert_has(text, "app.py:12");
	assert_has(text, "... 3 more frames\n");
	assert_has_not(text, "server.py");
	close_text(&fixture);
}

static void test_colour(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;

	(void)state;
	open_text(&fixture, (struct display){.width = 80, .colour = true});
	assert_has(show(&fixture, &stall), "\033[1;31mstall 153 ms\033[0m");
	close_text(&fixture);
	open_text(&fixture, (struct display){.width = 80});
	assert_has_not(show(&fixture, &stall), "\033");
	close_text(&fixture);
}

static void test_durations(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	char out[WORDS_DURATION_SZ];

	(void)state;
	open_text(&fixture, (struct display){.width = 100});
	stall.duration_lo_ns = 83 * MS;
	assert_has(show(&fixture, &stall), "stall between 83 and 153 ms  ");
	move(&stall);
	stall.duration_ns = 1530 * MS;
	assert_has(show(&fixture, &stall), "stall between 83 ms and 1.53 s  ");
	/* 2 % apart is one number. */
	move(&stall);
	stall.duration_lo_ns = 1500 * MS;
	assert_has(show(&fixture, &stall), "stall 1.53 s  ");
	move(&stall);
	stall.duration_ns = -1;
	stall.at_attach = true;
	assert_has(show(&fixture, &stall), "stall at least 1.50 s  ");
	move(&stall);
	stall.duration_lo_ns = 0;
	assert_has(show(&fixture, &stall), "stall of unknown length  ");
	close_text(&fixture);

	assert_string_equal(words_duration(250000, out), "250 us");
	assert_string_equal(words_duration(1250000, out), "1.25 ms");
	assert_string_equal(words_duration(9999000, out), "10 ms");
	assert_string_equal(words_duration(999900000, out), "1.00 s");
	assert_string_equal(words_duration(123456000000LL, out), "123 s");
	assert_string_equal(words_duration(0, out), "0 us");
}

static void test_cause_words(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80});
	stall.cause = CAUSE_SOCKET;
	stall.causes = 1 << CAUSE_SOCKET | 1 << CAUSE_CPU;
	stall.syscall = "recvfrom";
	stall.fd = (struct stall_fd){9, FD_SOCKET, NULL, "10.0.0.7:443"};
	text = show(&fixture, &stall);
	assert_has(text, "waiting for a socket in recvfrom on fd 9 to 10.0.0.7:443\n");
	assert_has(text, "also busy on the CPU\n");

	stall.cause = CAUSE_FILE;
	stall.causes = 1 << CAUSE_FILE;
	stall.syscall = "openat";
	stall.fd = (struct stall_fd){-1, FD_NONE, "/mnt/x", NULL};
	assert_has(show(&fixture, &stall), "waiting for a file in openat of /mnt/x\n");

	stall.cause = CAUSE_GIL;
	stall.holder_known = true;
	stall.holder_tid = 77;
	stall.holder_comm = "worker";
	stall.holder = stall_frames[0];
	assert_has(show(&fixture, &stall),
		   "    held by thread 77 'worker'\n      in sleeper() shop/app.py:12\n");
	stall.holder_tid = 0;
	stall.holder_comm = NULL;
	move(&stall);
	assert_has(show(&fixture, &stall),
		   "    held by another thread\n      in sleeper() shop/app.py:12\n");
	/* What does not fit beside the words has a line of its own, and loses its beginning. */
	stall.fd.path = "/srv/a/very/long/path/to/something/that/lies/deep/down/in/the/file/system";
	move(&stall);
	assert_has(show(&fixture, &stall), " of\n      /srv/a/very/long/path/to/");
	move(&stall);
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		char words[WORDS_CAUSE_SZ];

		assert_non_null(words_cause(cause, words));
	}
	close_text(&fixture);
}

/* Whatever the names, a headline and its frames fit the terminal. */
static void test_width(void **state)
{
	char name[300];
	struct stall_frame frame = {name, name, 2147483600};
	struct stall stall = stall_of_sleep();
	struct fixture fixture;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	stall.coro = stall.task = name;
	stall.frames = &frame;
	stall.frame_cnt = 1;
	open_text(&fixture, (struct display){.width = 80});
	assert_fits(show(&fixture, &stall), 80);
	move(&stall);
	stall.duration_lo_ns = 83 * MS;
	assert_fits(show(&fixture, &stall), 80);
	/* A name that does not fit beside the cause is worth more: the next line says it. */
	move(&stall);
	stall.task = "Task-5";
	stall.coro = "OrderService.reserve_stock";
	assert_has(show(&fixture, &stall), "153 ms  task 'Task-5' OrderService.reserve_stock()\n");
	/* Nor does a repeat, a budget of all parts, the GIL's holder or a path. */
	for (int part = 0; part < PART_CNT; part++)
		stall.budget.ns[part] = 123456 * MS;
	stall.task = stall.coro = stall.holder_comm = name;
	stall.holder_known = true;
	stall.holder_tid = 4194304;
	stall.holder = frame;
	stall.fd = (struct stall_fd){1048576, FD_SOCKET, NULL, name};
	close_text(&fixture);
	open_text(&fixture, (struct display){.width = 80, .verbose = true});
	assert_fits(show(&fixture, &stall), 80);
	show(&fixture, &stall);
	capture_reset(&fixture.capture);
	text__flush(fixture.text, NOON + 9999 * MS);
	assert_fits(capture_text(&fixture.capture), 80);
	close_text(&fixture);
}

/* Many short callbacks have no name of their own: an iteration says how many there were. */
static void test_iteration(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;

	(void)state;
	stall.kind = STALL_ITERATION;
	stall.coro = stall.task = NULL;
	stall.inner_cnt = 60;
	open_text(&fixture, (struct display){.width = 80});
	assert_has(show(&fixture, &stall),
		   "stall 153 ms  iteration of 60 callbacks  blocked: sleep\n");
	show(&fixture, &stall);
	capture_reset(&fixture.capture);
	text__flush(fixture.text, NOON + 9999 * MS);
	assert_has(capture_text(&fixture.capture), "  sleep  iteration  shop/app.py:12\n");
	close_text(&fixture);
	stall.kind = STALL_SIGNAL;
	stall.callback = "on_term";
	open_text(&fixture, (struct display){.width = 80});
	assert_has(show(&fixture, &stall), "  signal handler on_term()  ");
	close_text(&fixture);
}

static void test_start(void **state)
{
	static const char *const degraded[] = {
		"some threads could not be looked at when we attached: what hung there before is "
		"not known",
		"short",
	};
	struct run_target target = {4194304, "a-comm-of-sixtee", "3.15.0rc1+", "/usr/bin/python3",
				    1};
	struct run_start start = {.version = "1.0",
				  .targets = &target,
				  .target_cnt = 1,
				  .tier = "exact",
				  .threshold_ns = 100 * MS,
				  .kernel = "6.1",
				  .degraded = degraded,
				  .degraded_cnt = 2};
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80, .verbose = true});
	assert_int_equal(text__start(fixture.text, &start), 0);
	text = capture_text(&fixture.capture);
	assert_fits(text, 80);
	assert_has(
		text,
		"watching 4194304 a-comm-of-sixtee, CPython 3.15.0rc1+: callbacks over 100 ms\n");
	assert_has(text, "  interpreter /usr/bin/python3 (stripped)\n");
	assert_has(text, "what hung there\n        before is not known\n  note: short\n");
	close_text(&fixture);
}

/* With more than one process each stall says whose it is, within the line. */
static void test_joined(void **state)
{
	static const char *const degraded[] = {"it was forked"};
	struct run_joined joined = {
		.target = {4194303, "worker", "3.11.2", NULL, 0},
		.parent = 4194304,
		.degraded = degraded,
		.degraded_cnt = 1,
	};
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80});
	assert_has(show(&fixture, &stall), "12:00:00 stall 153 ms");
	capture_reset(&fixture.capture);
	assert_int_equal(text__joined(fixture.text, &joined), 0);
	assert_string_equal(capture_text(&fixture.capture),
			    "watching 4194303 worker, CPython 3.11.2: started by 4194304\n"
			    "  note: it was forked\n");
	stall.pid = 4194303;
	stall.task = "a-task-with-a-very-long-name";
	stall.coro = "Other.handle";
	text = show(&fixture, &stall);
	assert_has(text, "12:00:00 4194303 stall 153 ms  task 'a-task-with");
	assert_fits(text, 80);
	close_text(&fixture);
}

static void test_repeats(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80});
	show(&fixture, &stall);
	for (int i = 0; i < 37; i++) {
		snprintf(stall.id, sizeof(stall.id), "again-%d", i);
		stall.duration_ns = stall.duration_lo_ns = (160 + i) * MS;
		stall.ts_unix_ns += 100 * MS;
		assert_string_equal(show(&fixture, &stall), "");
	}
	capture_reset(&fixture.capture);
	assert_int_equal(text__tick(fixture.text, NOON + 9999 * MS), 0);
	assert_string_equal(capture_text(&fixture.capture), "");
	text__tick(fixture.text, NOON + 10000 * MS);
	text = capture_text(&fixture.capture);
	assert_string_equal(text, "12:00:10 x37 in 10 s  up to 196 ms  sleep  Server.handle()  "
				  "shop/app.py:12\n");
	/* Still going on: counted again, not shown in full. */
	assert_string_equal(show(&fixture, &stall), "");
	/* After a quiet window it is news. */
	text__tick(fixture.text, NOON + 20000 * MS);
	text__tick(fixture.text, NOON + 30000 * MS);
	assert_has(show(&fixture, &stall), "stall 196 ms");
	/* Another line, cause or process is another stall. */
	move(&stall);
	assert_has(show(&fixture, &stall), "stall 196 ms");
	stall.cause = CAUSE_LOCK;
	assert_has(show(&fixture, &stall), "stall 196 ms");
	close_text(&fixture);
}

/* A storm at a thousand places: few lines, and nothing is lost from the counts. */
static void test_storm(void **state)
{
	struct stall_frame frame = stall_frames[0];
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80});
	stall.frames = &frame;
	stall.frame_cnt = 1;
	for (int i = 0; i < 10000; i++) {
		snprintf(stall.id, sizeof(stall.id), "s-%d", i);
		frame.line = i % 1000 + 1;
		assert_int_equal(text__stall(fixture.text, &stall), 0);
	}
	text__flush(fixture.text, NOON + 5000 * MS);
	text = capture_text(&fixture.capture);
	/* 20 places in full, each with 9 repeats; 980 places with 10 each. */
	assert_int_equal(count(text, "stall 153 ms"), 20);
	assert_int_equal(count(text, "x9 in 5 s"), 20);
	assert_has(text, "x9800 in 5 s  up to 153 ms  at other places\n");
	close_text(&fixture);
}

static void test_ongoing(void **state)
{
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80});
	stall.ongoing = true;
	stall.duration_ns = 1000 * MS;
	text = show(&fixture, &stall);
	assert_has(text, "still blocked after 1.00 s  task 'Task-5' Server.handle()  sleep\n");
	assert_has(text, "app.py:12");
	stall.duration_ns = 1900 * MS;
	assert_string_equal(show(&fixture, &stall), "");
	stall.duration_ns = 2000 * MS;
	assert_string_equal(show(&fixture, &stall),
			    "12:00:00 still blocked after 2.00 s  task 'Task-5' "
			    "Server.handle()  sleep\n");
	stall.ongoing = false;
	stall.duration_ns = stall.duration_lo_ns = 3000 * MS;
	assert_string_equal(show(&fixture, &stall),
			    "12:00:00 ended after 3.00 s  task 'Task-5' Server.handle()  "
			    "blocked: sleep\n");
	/* It ended once: the same id again is another stall. */
	assert_has(show(&fixture, &stall), "stall 3.00 s");
	move(&stall);
	/* Another of the same place is shown whole: it was never counted as one that repeats. */
	strcpy(stall.id, "other");
	assert_has(show(&fixture, &stall), "hint:");
	close_text(&fixture);
}

static void test_unknown(void **state)
{
	struct stall stall = stall_of_nothing();
	struct fixture fixture;
	const char *text;

	(void)state;
	open_text(&fixture, (struct display){.width = 80, .verbose = true});
	text = show(&fixture, &stall);
	assert_has(text, "?()");
	assert_has(text, "it began before asyncprof came");
	assert_has(text, "stack: no sample or long block fell into it");
	assert_has(text, "id 1-1-1");
	close_text(&fixture);
}

/* Recursion is one line; of a deep stack the leaf and the coroutine are shown. */
static void test_deep(void **state)
{
	struct stall_frame frames[60];
	struct stall stall = stall_of_sleep();
	struct fixture fixture;
	char names[60][16];
	const char *text;

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		frames[i] = (struct stall_frame){names[i], "/srv/app.py", 100 + i};
	}
	for (int i = 10; i < 50; i++)
		frames[i] = (struct stall_frame){"again", "/srv/app.py", 7};
	stall.frames = frames;
	stall.frame_cnt = 60;
	open_text(&fixture, (struct display){.width = 80});
	text = show(&fixture, &stall);
	assert_has(text, "srv/app.py:104\n    ... 54 more frames\n    f59  ");
	close_text(&fixture);

	open_text(&fixture, (struct display){.width = 80, .stack_depth = 40});
	text = show(&fixture, &stall);
	assert_has(text, "srv/app.py:7  x40\n    f50  ");
	assert_has_not(text, "more");
	close_text(&fixture);
}

static int evil_source(void *ctx, uint32_t pid, const char *file, int line, char *buf,
		       size_t buf_sz)
{
	(void)ctx, (void)pid, (void)file, (void)line;
	return snprintf(buf, buf_sz, "%s", EVIL);
}

static void test_evil(void **state)
{
	struct stall stall = stall_of_evil(EVIL);
	struct loop_place place = {(char *)EVIL, (char *)EVIL, 1, STALL_TASK, CAUSE_CPU, 1, 1, 1};
	struct loop loop = {.comm = "\033[2J\r\n", .places = &place, .place_cnt = 1};
	const struct loop *loops[] = {&loop};
	struct run_summary summary = {.tier = "exact", .loops = loops, .loop_cnt = 1};
	struct run_target target = {1, EVIL, EVIL, EVIL, 0};
	const char *degraded = EVIL;
	struct run_start start = {.targets = &target,
				  .target_cnt = 1,
				  .tier = "exact",
				  .degraded = &degraded,
				  .degraded_cnt = 1};
	struct fixture fixture;

	(void)state;
	open_text(&fixture, (struct display){.width = 80, .verbose = true, .source = evil_source});
	assert_no_controls(show(&fixture, &stall), 1);
	show(&fixture, &stall);
	text__flush(fixture.text, NOON);
	text__start(fixture.text, &start);
	debuglog_stall(fixture.capture.file, &stall);
	summary_text(fixture.capture.file, &fixture.display, &summary);
	assert_no_controls(capture_text(&fixture.capture), 1);
	close_text(&fixture);
}

/* The end of what is too long, never from the middle of a character or of an escape. */
static void test_tail(void **state)
{
	char out[WORDS_TEXT_SZ];

	(void)state;
	assert_string_equal(words_tail("/srv/app.py", 11, out), "/srv/app.py");
	assert_string_equal(words_tail("/srv/app.py", 10, out), ".../app.py");
	assert_string_equal(words_tail("ab\xc3\xa4\xc3\xa4", 5, out), "...\xc3\xa4");
	assert_string_equal(words_tail("ab\033cdef", 8, out), "...cdef");
	assert_string_equal(words_tail("ab\033cdef", 2, out), "..");
	assert_string_equal(words_tail(NULL, 10, out), "?");
}

static void test_library(void **state)
{
	(void)state;
	assert_true(stall_is_library("/usr/lib/python3.11/socket.py"));
	assert_true(stall_is_library("/x/venv/lib/python3.13/site-packages/requests/api.py"));
	assert_true(stall_is_library("/usr/lib/python3/dist-packages/yaml.py"));
	assert_true(stall_is_library("<frozen importlib._bootstrap>"));
	assert_true(stall_is_library(NULL));
	assert_false(stall_is_library("/srv/shop/app.py"));
	assert_false(stall_is_library("app.py"));
	assert_false(stall_is_library("/srv/lib/pythonic/app.py"));
	assert_false(stall_is_library("/srv/lib/python-app/app.py"));
}

static void test_broken_output(void **state)
{
	struct stall stall = stall_of_sleep();
	struct display display = {.width = 80};
	FILE *out = broken_file();
	struct text *text;

	(void)state;
	if (!out)
		skip();
	text = text__new(out, &display);
	assert_int_equal(text__stall(text, &stall), -EIO);
	text__free(text);
	text__free(NULL);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	      cmocka_unit_test(test_options),
		cmocka_unit_test(test_colour),	      cmocka_unit_test(test_durations),
		cmocka_unit_test(test_cause_words),   cmocka_unit_test(test_width),
		cmocka_unit_test(test_iteration),     cmocka_unit_test(test_joined), cmocka_unit_test(test_start),
		cmocka_unit_test(test_tail),	      cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_storm),	      cmocka_unit_test(test_ongoing),
		cmocka_unit_test(test_unknown),	      cmocka_unit_test(test_deep),
		cmocka_unit_test(test_evil),	      cmocka_unit_test(test_library),
		cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
