/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Writes a recording of a million rows of time, as a busy service of 500 tasks
 * leaves one behind in a quarter of an hour: what rendering is measured with.
 *
 * It goes through the recording's own writer, so that the file is one that asyncprof
 * could have written. It must always write the same one: no clock, no chance.
 *
 * usage: million FILE
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording/recording.h"

#define START_NS	1790000000000000000LL
#define SECOND_NS	1000000000LL
#define PERIOD_NS	10101010LL
#define ROWS_CNT	1000000
#define ROWS_PER_SECOND 1000
#define TASKS_CNT	500
#define COROUTINES_CNT	60
#define CHAINS_CNT	355 /* of a coroutine: its different stacks */
#define DEPTH_MAX	40
#define FUNCTIONS_CNT	3000
#define FILES_CNT	200

struct chain {
	struct point_frame frame[DEPTH_MAX]; /* outermost first */
	size_t cnt;
	enum point_kind kind;
	enum cause cause;
};

static char functions[FUNCTIONS_CNT][64], files[FILES_CNT][80];
static char coroutines[COROUTINES_CNT][48], tasks[TASKS_CNT][32];
static struct chain chains[COROUTINES_CNT][CHAINS_CNT];
static int last_second[TASKS_CNT][CHAINS_CNT]; /* in which a pair had its row; rows are distinct */

/* xorshift64: the same numbers each time. */
static uint64_t draw(uint64_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* --- A program that never was --- */

static void name_all(void)
{
	static const char *const parts[] = {"api", "db", "cache", "auth", "queue", "http", "model"};
	static const char *const verbs[] = {"fetch", "parse", "encode", "check", "send", "merge"};
	size_t i;

	for (i = 0; i < FILES_CNT; i++)
		snprintf(files[i], sizeof(files[i]),
			 "/usr/lib/python3/dist-packages/service/%s/%s_%zu.py", parts[i % 7],
			 parts[i / 7 % 7], i);
	for (i = 0; i < FUNCTIONS_CNT; i++)
		snprintf(functions[i], sizeof(functions[i]), "%s%zu.%s_%s", parts[i % 7], i / 40,
			 verbs[i % 6], parts[i / 6 % 7]);
	for (i = 0; i < COROUTINES_CNT; i++)
		snprintf(coroutines[i], sizeof(coroutines[i]), "Service.handle_%s_%zu",
			 parts[i % 7], i);
	for (i = 0; i < TASKS_CNT; i++)
		snprintf(tasks[i], sizeof(tasks[i]), "worker-%zu", i);
}

static struct point_frame some_frame(void)
{
	uint64_t function = draw(FUNCTIONS_CNT);

	return (struct point_frame){FRAME_PYTHON, functions[function], files[function % FILES_CNT],
				    1 + (int)draw(800)};
}

static void end_in_wait(struct chain *chain)
{
	static const struct {
		const char *func, *file;
		enum cause cause;
	} waits[] = {
		{"recvfrom", "10.0.0.7:5432", CAUSE_SOCKET},
		{"futex", NULL, CAUSE_LOCK},
		{"read", "/var/lib/service/index.db", CAUSE_FILE},
		{"clock_nanosleep", NULL, CAUSE_SLEEP},
	};
	size_t i = draw(sizeof(waits) / sizeof(waits[0]));

	chain->kind = POINT_BLOCKED;
	chain->cause = waits[i].cause;
	chain->frame[chain->cnt++] =
		(struct point_frame){FRAME_WAIT, waits[i].func, waits[i].file, 0};
}

/* Each stack shares its outer part with the one before, as those of one coroutine do. */
static void make_chains(struct chain *chain, const char *coroutine)
{
	struct chain python = {};
	size_t i, more;

	python.frame[python.cnt++] = (struct point_frame){FRAME_PYTHON, coroutine, files[0], 40};
	for (i = 0; i < CHAINS_CNT; i++) {
		python.cnt -= draw(python.cnt < 6 ? python.cnt : 6);
		if (python.cnt > DEPTH_MAX - 6)
			python.cnt = DEPTH_MAX / 2;
		for (more = 1 + draw(4); more; more--)
			python.frame[python.cnt++] = some_frame();
		chain[i] = python;
		chain[i].kind = POINT_CPU;
		chain[i].cause = CAUSE_CPU;
		if (i % 3 == 0)
			end_in_wait(&chain[i]);
	}
}

/* --- Its recording --- */

static int add_row(struct recording *r, int second, size_t task, size_t which)
{
	const size_t coroutine = task % COROUTINES_CNT;
	const struct chain *chain = &chains[coroutine][which];
	struct point_frame frames[DEPTH_MAX];
	struct point point = {
		.kind = chain->kind,
		.unix_ns = START_NS + second * SECOND_NS + 1,
		.ns = chain->kind == POINT_CPU ? PERIOD_NS : 1000 + (int64_t)draw(4000000),
		.cnt = 1,
		.pid = 4242,
		.tid = 4242 + (uint32_t)(task % 4),
		.comm = "python3",
		.loop = 0x7f0000001000 + 4096 * (task % 4),
		.what = STALL_TASK,
		.task = tasks[task],
		.coro = coroutines[coroutine],
		.cause = chain->cause,
		.frames = frames,
		.frame_cnt = chain->cnt,
	};

	for (size_t i = 0; i < chain->cnt; i++)
		frames[i] = chain->frame[chain->cnt - 1 - i];
	return recording__point(r, &point);
}

static int add_all(struct recording *r)
{
	int err = 0;

	for (int row = 0, second = 0; row < ROWS_CNT && !err;) {
		size_t task = draw(TASKS_CNT), which = draw(CHAINS_CNT);

		/* Some places are met far more often than others. */
		which = which * which / CHAINS_CNT;
		if (last_second[task][which] == second + 1)
			continue;
		last_second[task][which] = second + 1;
		err = add_row(r, second, task, which);
		if (++row % ROWS_PER_SECOND == 0 && !err) {
			err = recording__commit(r);
			second++;
		}
	}
	return err;
}

int main(int argc, char **argv)
{
	const struct run_target target = {4242, "python3", "3.11.2", "/usr/bin/python3.11", 1};
	const struct run_start start = {
		.version = ASYNCPROF_VERSION,
		.unix_ns = START_NS,
		.targets = &target,
		.target_cnt = 1,
		.tier = "exact",
		.threshold_ns = 100000000,
	};
	const struct recording_head head = {.start = &start, .period_ns = PERIOD_NS};
	const struct run_summary summary = {
		.unix_ns = START_NS + ROWS_CNT / ROWS_PER_SECOND * SECOND_NS,
		.duration_ns = ROWS_CNT / ROWS_PER_SECOND * SECOND_NS,
		.tier = "exact",
		.overhead_ns = -1,
	};
	struct recording *r = NULL;
	struct refusal why = {};
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: million FILE\n");
		return EXIT_USAGE;
	}
	name_all();
	for (size_t i = 0; i < COROUTINES_CNT; i++)
		make_chains(chains[i], coroutines[i]);
	if (recording__create(argv[1], &head, &r, &why)) {
		fprintf(stderr, "million: %s\n", why.what);
		return EXIT_FAILED;
	}
	err = add_all(r);
	if (!err)
		err = recording__finish(r, &summary);
	recording__close(r);
	if (err)
		fprintf(stderr, "million: %s\n", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}
