/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One slow callback with everything that a report needs: names, lines, cause,
 * budget, stack. The only shape in which the model hands a stall out.
 *
 * Strings are bytes of the target, UTF-8 where the target's were sound: nothing
 * may print them but through report/escape.h. All pointers are borrowed: they
 * live until the function that was handed the stall returns.
 */
#ifndef ASYNCPROF_STALL_H
#define ASYNCPROF_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/advice.h"
#include "model/budget.h"
#include "model/cause.h"
#include "model/fd.h"

enum stall_kind { STALL_CALLBACK, STALL_TASK, STALL_ITERATION, STALL_SIGNAL, STALL_KIND_CNT };

struct stall_frame {
	const char *func; /* qualified name (plain name before 3.11), NULL: not known */
	const char *file; /* co_filename as the interpreter has it, NULL: not known */
	int line;	  /* 0: not known */
};

struct stall_fd {
	int num; /* -1: none; with a path all the same: the one given to open, stat, ... */
	enum fd_kind kind;
	const char *path; /* at most one of path and peer is not NULL */
	const char *peer;
};

struct stall {
	char id[64]; /* a record with `ongoing` is closed by a later one with the same id */
	uint32_t pid, tid;
	const char *comm; /* of the thread, never NULL */
	uint64_t loop;	  /* address of the loop object, 0: not known */
	enum stall_kind kind;
	const char *task;     /* name, NULL: no task, or not known */
	const char *coro;     /* qualified name of the task's coroutine */
	const char *callback; /* qualified name where there is no task */
	const char *file;     /* of the guilty line, NULL: not known */
	int line;	      /* 0: not known */

	int64_t ts_unix_ns;	/* when the record was made */
	int64_t start_unix_ns;	/* meaningless when at_attach */
	int64_t duration_ns;	/* upper bound; -1: not known (at_attach) */
	int64_t duration_lo_ns; /* lower bound; of at_attach: since the first proof */
	int64_t suspended_ns;	/* not part of the duration: an inner run of the same loop */
	bool at_attach;		/* open already when asyncprof came */
	bool ongoing;
	bool exited; /* ended because the thread or the process did */
	bool exact, eager;
	uint32_t inner_cnt; /* of an iteration: how many callbacks it ran, 0: not known */

	enum cause cause;
	uint32_t causes;     /* mask of 1 << enum cause */
	const char *syscall; /* "clock_nanosleep"; NULL: none, or not known */
	bool native_sleep;   /* a sleep that time.sleep() would not make: a C library's */
	struct stall_fd fd;
	bool holder_known;	 /* gil_holder: its tid or its frame */
	uint32_t holder_tid;	 /* 0: not known, thread states have none before 3.11 */
	const char *holder_comm; /* NULL: not known */
	struct stall_frame holder;

	bool budget_known; /* false when at_attach */
	struct budget budget;
	uint32_t sampled;     /* mask of 1 << enum part: these come from samples */
	uint32_t samples_cnt; /* samples that saw it run */

	const struct stall_frame *frames; /* leaf first, down to the task's coroutine */
	size_t frame_cnt;
	int64_t stack_at_ns; /* since the start (at_attach: since the first proof), -1: no stack */
	const char *stack_reason; /* why there is none, or why it is cut; NULL: whole */

	const struct advice *advice; /* NULL: no well-known cure */
};

const char *stall_kind_name(enum stall_kind kind); /* "task"; never NULL */

/* What a person calls it: coroutine, else callback, else leaf function, else "?"; or "iteration".
 */
const char *stall_title(const struct stall *stall);

/* Does the file belong to the standard library or to an installed package? */
bool stall_is_library(const char *file);

/* The frame to look at: the project's own nearest to the leaf, else the leaf; NULL: no stack. */
const struct stall_frame *stall_blame(const struct stall *stall);

#endif
