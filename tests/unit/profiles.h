/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Profiles made by hand, for tests of what is rendered from them. */
#ifndef ASYNCPROF_TEST_PROFILES_H
#define ASYNCPROF_TEST_PROFILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/flame.h"
#include "model/profile.h"

#define MADE_MAX 128

struct made {
	struct profile profile;
	struct profile_process processes[MADE_MAX];
	struct profile_thread threads[MADE_MAX];
	struct profile_task tasks[MADE_MAX];
	struct profile_frame frames[MADE_MAX];
	struct profile_stack stacks[MADE_MAX];
	struct profile_entry entries[MADE_MAX];
};

/* 30 s from a known moment on, nothing in it. Too big for a stack, as a rule. */
static inline void made_init(struct made *made)
{
	memset(made, 0, sizeof(*made));
	made->profile = (struct profile){
		.processes = made->processes,
		.threads = made->threads,
		.tasks = made->tasks,
		.frames = made->frames,
		.stacks = made->stacks,
		.entries = made->entries,
		.start_unix_ns = 1700000000500000000LL,
		.duration_ns = 30000000000LL,
		.period_ns = 10000000,
		.complete = true,
	};
}

/* Room for one more, or the end of the test program. */
static inline uint32_t made_next(size_t *cnt)
{
	if (*cnt >= MADE_MAX)
		abort();
	return (uint32_t)(*cnt)++;
}

static inline uint32_t made_process(struct made *made, uint32_t pid, const char *comm,
				    const char *exe)
{
	uint32_t at = made_next(&made->profile.process_cnt);

	made->processes[at] = (struct profile_process){pid, comm, "3.11.2", exe};
	return at;
}

/* Runs a loop at that address; 0: none. */
static inline uint32_t made_thread(struct made *made, uint32_t process, uint32_t tid,
				   const char *comm, uint64_t loop)
{
	uint32_t at = made_next(&made->profile.thread_cnt);

	made->threads[at] = (struct profile_thread){process, tid, comm, !loop, loop};
	return at;
}

static inline uint32_t made_task(struct made *made, const char *task, bool unnamed,
				 const char *coro)
{
	uint32_t at = made_next(&made->profile.task_cnt);

	made->tasks[at] = (struct profile_task){STALL_TASK, task, unnamed, coro, NULL};
	return at;
}

static inline uint32_t made_callback(struct made *made, enum stall_kind what, const char *callback)
{
	uint32_t at = made_next(&made->profile.task_cnt);

	made->tasks[at] = (struct profile_task){what, NULL, false, NULL, callback};
	return at;
}

/* A frame that `parent` called; PROFILE_NONE: the outermost. */
static inline uint32_t made_call(struct made *made, uint32_t parent, enum frame_kind kind,
				 const char *func, const char *file, int line)
{
	uint32_t frame = made_next(&made->profile.frame_cnt);
	uint32_t at = made_next(&made->profile.stack_cnt);

	made->frames[frame] = (struct profile_frame){kind, func, file, line};
	made->stacks[at] = (struct profile_stack){parent, frame};
	return at;
}

static inline void made_entry(struct made *made, uint32_t thread, uint32_t task, uint32_t stack,
			      enum point_kind kind, enum cause cause, int64_t ns)
{
	uint32_t at = made_next(&made->profile.entry_cnt);

	made->entries[at] = (struct profile_entry){thread, task, stack, kind, cause, ns, 1};
}

/*
 * A shop: one loop with two tasks and work of its own, one thread of a pool.
 * Wall 1630 ms of the loop: 130 on CPU, 1500 blocked, 500 of them for a CPU.
 */
static inline void made_shop(struct made *made)
{
	uint32_t loop, pool, worker, fetch, own, run, query, wait;

	made_init(made);
	made_process(made, 100, "python3", "/usr/bin/python3.11");
	loop = made_thread(made, 0, 100, "python3", 0x7f0000001000);
	pool = made_thread(made, 0, 102, "pool_0", 0);
	worker = made_task(made, "worker", false, "Worker.run");
	fetch = made_task(made, "Task-7", true, "fetch");
	own = made_callback(made, STALL_ITERATION, NULL);

	run = made_call(made, PROFILE_NONE, FRAME_PYTHON, "Worker.run", "/srv/shop/work.py", 40);
	query = made_call(made, run, FRAME_PYTHON, "query", "/srv/shop/db.py", 17);
	wait = made_call(made, query, FRAME_WAIT, "recvfrom", "10.0.0.7:443", 0);
	made_entry(made, loop, worker, query, POINT_CPU, CAUSE_CPU, 100000000);
	made_entry(made, loop, worker, wait, POINT_BLOCKED, CAUSE_SOCKET, 900000000);
	made_entry(made, loop, worker, query, POINT_RUNQUEUE, CAUSE_RUNQUEUE, 500000000);

	run = made_call(made, PROFILE_NONE, FRAME_PYTHON, "fetch", "/srv/shop/web.py", 9);
	query = made_call(made, run, FRAME_KERNEL, "tcp_sendmsg", NULL, 0);
	made_entry(made, loop, fetch, query, POINT_CPU, CAUSE_CPU, 20000000);
	made_entry(made, loop, fetch, run, POINT_BLOCKED, CAUSE_LOCK, 100000000);
	made_entry(made, loop, own, PROFILE_NONE, POINT_CPU, CAUSE_LOOP, 10000000);
	made_entry(made, loop, PROFILE_NONE, PROFILE_NONE, POINT_IDLE, CAUSE_POLL, 28000000000LL);

	run = made_call(made, PROFILE_NONE, FRAME_PYTHON, "<module>", "/srv/shop/pool.py", 3);
	made_entry(made, pool, PROFILE_NONE, run, POINT_CPU, CAUSE_CPU, 50000000);
}

/* Every string is `bytes`, each behind a word of its own so that they stay apart. */
struct made_evil {
	struct made made;
	char text[16][256];
	int text_cnt;
};

static inline const char *evil_name(struct made_evil *evil, const char *word, const char *bytes)
{
	char *text = evil->text[evil->text_cnt++ % 16];

	snprintf(text, sizeof(evil->text[0]), "%s%s", word, bytes);
	return text;
}

static inline void made_evil(struct made_evil *evil, const char *bytes)
{
	struct made *made = &evil->made;
	uint32_t loop, task, call;

	evil->text_cnt = 0;
	made_init(made);
	made_process(made, 666, evil_name(evil, "comm", bytes), evil_name(evil, "/exe", bytes));
	loop = made_thread(made, 0, 667, evil_name(evil, "thread", bytes), 0x1000);
	task = made_task(made, evil_name(evil, "task", bytes), false,
			 evil_name(evil, "coro", bytes));
	call = made_call(made, PROFILE_NONE, FRAME_PYTHON, evil_name(evil, "outer", bytes),
			 evil_name(evil, "/a/outer", bytes), 1);
	call = made_call(made, call, FRAME_PYTHON, evil_name(evil, "func", bytes),
			 evil_name(evil, "/a/file", bytes), 2);
	made_entry(made, loop, task, call, POINT_CPU, CAUSE_CPU, 70000000);
	call = made_call(made, call, FRAME_NATIVE, evil_name(evil, "symbol", bytes),
			 evil_name(evil, "/lib/", bytes), 0);
	call = made_call(made, call, FRAME_WAIT, "openat", evil_name(evil, "/path", bytes), 0);
	call = made_call(made, call, FRAME_KERNEL, evil_name(evil, "kernel", bytes), NULL, 0);
	made_entry(made, loop, task, call, POINT_BLOCKED, CAUSE_FILE, 30000000);
}

#endif
