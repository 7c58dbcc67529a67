/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * All points of a recording, added up by thread, task, stack and kind: what
 * flame graphs and profile formats are rendered from. Plain arrays that refer
 * to each other by index; filled by recording/, read by model/flame.h and report/.
 *
 * Strings are bytes of the target (or of a forged file): nothing may print
 * them but through an escape of its format.
 */
#ifndef ASYNCPROF_PROFILE_H
#define ASYNCPROF_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/point.h"

#define PROFILE_NONE UINT32_MAX /* an index that refers to nothing */

struct profile_process {
	uint32_t pid;
	const char *comm, *python, *exe; /* NULL: not known */
};

struct profile_thread {
	uint32_t process; /* index */
	uint32_t tid;
	const char *comm; /* never NULL */
	bool plain;	  /* runs no loop */
	uint64_t loop;	  /* address of its loop object, 0: not known */
};

struct profile_task {
	enum stall_kind what; /* STALL_TASK: a task; else a callback, iteration, signal */
	const char *task;     /* NULL: not known */
	bool unnamed;	      /* the name is asyncio's own */
	const char *coro, *callback;
};

struct profile_frame {
	enum frame_kind kind;
	const char *func, *file; /* NULL: not known */
	int line;		 /* 0: not known */
};

/* A stack is its leaf: follow `parent` towards the root. A parent's index is lower than its child's. */
struct profile_stack {
	uint32_t parent; /* PROFILE_NONE: this frame is the outermost one */
	uint32_t frame;
};

struct profile_entry {
	uint32_t thread;
	uint32_t task;	/* PROFILE_NONE: plain thread */
	uint32_t stack; /* PROFILE_NONE: no stack */
	enum point_kind kind;
	enum cause cause;
	int64_t ns; /* never negative */
	uint64_t cnt;
};

struct profile {
	struct profile_process *processes;
	struct profile_thread *threads;
	struct profile_task *tasks;
	struct profile_frame *frames;
	struct profile_stack *stacks;
	struct profile_entry *entries;
	size_t process_cnt, thread_cnt, task_cnt, frame_cnt, stack_cnt, entry_cnt;

	int64_t start_unix_ns, duration_ns;
	int64_t period_ns;	/* of the tick: what one CPU sample weighs */
	bool complete;		/* false: the recording was cut, by a kill or a full disk */
	uint64_t stall_cnt;	/* stalls over the threshold in it */
	uint64_t lost_cnt;	/* events that did not arrive; their time is missing */
	uint64_t cut_stack_cnt; /* points whose stack is not whole */
	char *text;		/* all strings */
};

void profile__free(struct profile *profile);

#endif
