/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The summary's numbers, and lines as asyncio's debug log has them. */
#include "cmocka_all.h"

#include <errno.h>
#include <regex.h>

#include "report/debuglog.h"
#include "report/summary.h"
#include "stalls.h"

/* The line format of asyncio's own debug log, Lib/asyncio/base_events.py. */
static void test_debuglog(void **state)
{
	struct stall stall = stall_of_sleep();
	struct capture capture;

	(void)state;
	capture_open(&capture);
	debuglog_stall(capture.file, &stall);
	assert_string_equal(capture_text(&capture),
			    "Executing <Task pending name='Task-5' coro=<Server.handle() running "
			    "at /srv/shop/server.py:40>> took 0.153 seconds\n");
	capture_close(&capture);

	capture_open(&capture);
	stall.kind = STALL_CALLBACK;
	stall.coro = stall.task = NULL;
	stall.callback = "Timer.fire";
	debuglog_stall(capture.file, &stall);
	assert_string_equal(capture_text(&capture),
			    "Executing <Handle Timer.fire() at /srv/shop/server.py:40> took 0.153 "
			    "seconds\n");
	capture_close(&capture);

	capture_open(&capture);
	stall.kind = STALL_ITERATION;
	assert_int_equal(debuglog_stall(capture.file, &stall), 0);
	stall.kind = STALL_TASK;
	stall.ongoing = true;
	assert_int_equal(debuglog_stall(capture.file, &stall), 0);
	assert_string_equal(capture_text(&capture), "");
	capture_close(&capture);
}

/*
 * A rule that someone wrote for asyncio's own log lines, which are these (CPython
 * 3.11.7 in debug mode), finds ours as well.
 */
static void test_log_rule(void **state)
{
	static const char *const theirs[] = {
		"Executing <Task pending name='Task-1' coro=<main() running at /srv/app.py:8> "
		"wait_for=<Future pending cb=[Task.task_wakeup()] created at "
		"/usr/lib/python3.11/asyncio/base_events.py:427> took 0.121 seconds",
		"Executing <Handle T.fire() created at /srv/app.py:7> took 0.120 seconds",
		"Executing <Handle fire() at /srv/app.py:7> took 0.120 seconds",
	};
	struct stall stall = stall_of_sleep();
	struct capture capture;
	regex_t rule;

	(void)state;
	assert_int_equal(regcomp(&rule,
				 "^Executing <(Task (pending|finished) name='([^']*)' "
				 "coro=<([^ ]+)\\(\\) |Handle ([^ ]+)\\(\\)).* took "
				 "([0-9]+\\.[0-9]{3}) seconds$",
				 REG_EXTENDED | REG_NEWLINE),
			 0);
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		assert_int_equal(regexec(&rule, theirs[i], 0, NULL, 0), 0);
	for (int kind = STALL_CALLBACK; kind <= STALL_TASK; kind++) {
		capture_open(&capture);
		stall.kind = kind;
		debuglog_stall(capture.file, &stall);
		assert_int_equal(regexec(&rule, capture_text(&capture), 0, NULL, 0), 0);
		capture_close(&capture);
	}
	regfree(&rule);
}

static void test_summary(void **state)
{
	struct loop_place place = {
		"Server.handle", "/srv/shop/app.py", 12, STALL_TASK, CAUSE_SLEEP, 38, 6000 * MS,
		200 * MS};
	struct loop loop = {
		.pid = 100,
		.tid = 101,
		.comm = "python3",
		.has_account = true,
		.account = {.hits = 12,
			    .closed = {9},
			    .open = 3,
			    .iterations = 50,
			    .busy_ns = 1,
			    .idle_ns = 3},
		.places = &place,
		.place_cnt = 1,
		.stall_cnt = 38,
		.stall_ns = 6000 * MS,
	};
	const struct loop *loops[] = {&loop};
	struct run_summary summary = {.tier = "exact",
				      .duration_ns = 60000 * MS,
				      .loops = loops,
				      .loop_cnt = 1,
				      .stalls = 38,
				      .hit_ns = 900,
				      .overhead_ns = 600 * MS};
	struct display display = {.width = 80};
	struct capture capture;
	const char *text;

	(void)state;
	capture_open(&capture);
	summary_text(capture.file, &display, &summary);
	text = capture_text(&capture);
	assert_has(text, "summary: 60.00 s, 38 stalls, tier exact\n");
	assert_has(text, "busy 25.0 % of the time, 50 iterations, 9 callbacks\n");
	assert_has(text,
		   "    38    6.00 s    200 ms  sleep      Server.handle()  shop/app.py:12\n");
	assert_has(text, "12 seen = 9 ended + 3 running + 0 ignored\n");
	assert_has(text, "about 600 ms of the program's time, 1.00 % (900 ns a callback)\n");
	assert_has_not(text, "ADD UP");
	assert_has_not(text, "lost:");
	capture_close(&capture);

	capture_open(&capture);
	loop.account.hits++;
	summary.sent.attempted[AP_SLOW] = 5;
	summary.received[AP_SLOW] = 4;
	summary.malformed = 2;
	summary.events_lost = 7;
	summary.evicted_codes = 1;
	summary.overhead_ns = -1;
	summary.interim = true;
	summary_text(capture.file, &display, &summary);
	text = capture_text(&capture);
	assert_has(text, "so far: ");
	assert_int_equal(count(text, "DOES NOT ADD UP"), 2);
	assert_has(text, "lost:      7 events, 2 malformed records\n");
	assert_has(text, "forgotten: 1 code objects");
	assert_has(text, "cost:      not known\n");
	capture_close(&capture);
}

static void test_broken_output(void **state)
{
	struct stall stall = stall_of_sleep();
	struct display display = {.width = 80};
	struct run_summary summary = {.tier = "exact"};
	FILE *out = broken_file();

	(void)state;
	if (!out)
		skip();
	assert_int_equal(debuglog_stall(out, &stall), -EIO);
	assert_int_equal(summary_text(out, &display, &summary), -EIO);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debuglog),
		cmocka_unit_test(test_log_rule),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
