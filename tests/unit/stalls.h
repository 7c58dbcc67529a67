/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Stalls for tests of the reports, and what a report printed as a string. */
#ifndef ASYNCPROF_TEST_STALLS_H
#define ASYNCPROF_TEST_STALLS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/stall.h"

#define MS   1000000LL
#define NOON 43200000000000LL /* 12:00:00 of 1 January 1970 */

static const struct stall_frame stall_frames[] = {
	{"sleeper", "/srv/shop/app.py", 12},
	{"wrap", "/usr/lib/python3.11/functools.py", 33},
	{"call", "/srv/venv/lib/python3.11/site-packages/lib/x.py", 5},
	{"Server.handle", "/srv/shop/server.py", 40},
};

static inline struct stall stall_of_sleep(void)
{
	static const struct advice advice = {"time.sleep", "use await asyncio.sleep()"};

	return (struct stall){
		.id = "100-101-7",
		.pid = 100,
		.tid = 101,
		.comm = "python3",
		.loop = 0x7f0000001000,
		.kind = STALL_TASK,
		.task = "Task-5",
		.coro = "Server.handle",
		.file = "/srv/shop/app.py",
		.line = 12,
		.ts_unix_ns = NOON,
		.start_unix_ns = NOON - 153 * MS,
		.duration_ns = 153 * MS,
		.duration_lo_ns = 152 * MS,
		.exact = true,
		.cause = CAUSE_SLEEP,
		.causes = 1 << CAUSE_SLEEP,
		.syscall = "clock_nanosleep",
		.fd = {.num = -1},
		.budget_known = true,
		.budget = {.ns = {[PART_CPU] = 3 * MS,
				  [PART_GC] = BUDGET_UNKNOWN,
				  [PART_STEAL] = BUDGET_UNKNOWN,
				  [PART_SYSCALL] = 150 * MS}},
		.samples_cnt = 3,
		.frames = stall_frames,
		.frame_cnt = sizeof(stall_frames) / sizeof(stall_frames[0]),
		.stack_at_ns = 5 * MS,
		.advice = &advice,
	};
}

/* Everything unknown that can be. */
static inline struct stall stall_of_nothing(void)
{
	return (struct stall){
		.id = "1-1-1",
		.pid = 1,
		.tid = 1,
		.comm = "",
		.duration_ns = -1,
		.at_attach = true,
		.ongoing = true,
		.cause = CAUSE_OTHER,
		.causes = 1 << CAUSE_OTHER,
		.fd = {.num = -1},
		.stack_at_ns = -1,
		.stack_reason = "no sample or long block fell into it",
	};
}

/* Every string of the target is a string of bytes that should not be printed. */
static inline struct stall stall_of_evil(const char *bytes)
{
	static struct stall_frame frame;
	struct stall stall = stall_of_sleep();

	frame = (struct stall_frame){bytes, bytes, 3};
	stall.task = stall.coro = stall.callback = stall.file = stall.comm = bytes;
	stall.fd = (struct stall_fd){.num = 4, .kind = FD_FILE, .path = bytes};
	stall.holder_known = true;
	stall.holder_tid = 9;
	stall.holder_comm = bytes;
	stall.holder = frame;
	stall.frames = &frame;
	stall.frame_cnt = 1;
	return stall;
}

#define EVIL "a\033[2Jb\u202ec\xff\r\n\x07\x7f\"'\\%n"

/* A FILE that writes to memory. */
struct capture {
	FILE *file;
	char *text;
	size_t text_sz, mark;
};

static inline void capture_open(struct capture *capture)
{
	*capture = (struct capture){};
	capture->file = open_memstream(&capture->text, &capture->text_sz);
	assert_non_null(capture->file);
}

/* Forgets what was printed so far. */
static inline void capture_reset(struct capture *capture)
{
	fflush(capture->file);
	capture->mark = capture->text_sz;
}

/* What was printed since the last reset; borrowed until more is. */
static inline const char *capture_text(struct capture *capture)
{
	fflush(capture->file);
	return capture->text + capture->mark;
}

static inline void capture_close(struct capture *capture)
{
	fclose(capture->file);
	free(capture->text);
}

/* A file that can't be written, as a closed pipe. */
static inline FILE *broken_file(void)
{
	return fopen("/dev/full", "w");
}

static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in: %s", part, text);
}

static inline void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' in: %s", part, text);
}

static inline int count(const char *text, const char *part)
{
	int cnt = 0;

	while ((text = strstr(text, part))) {
		cnt++;
		text++;
	}
	return cnt;
}

static inline void assert_no_controls(const char *text, int newlines)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '\n' && newlines)
			continue;
		if (*c < 0x20 || *c == 0x7f)
			fail_msg("control %#x in: %s", *c, text);
		assert_false(c[0] == 0xe2 && c[1] == 0x80 && c[2] == 0xae); /* U+202E */
	}
}

#endif
