/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One piece of a thread's time and where it went: what recordings and flame
 * graphs are made of. The only shape in which the model hands time out.
 *
 * It must never mix what was measured with what was sampled: `kind` says which
 * it is, and a sample's weight is the tick's period.
 *
 * Strings are bytes of the target, borrowed as in stall.h.
 */
#ifndef ASYNCPROF_POINT_H
#define ASYNCPROF_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/cause.h"
#include "model/stall.h"

enum point_kind {
	POINT_CPU,	/* sampled: a tick found it on the CPU; ns is the tick's period */
	POINT_BLOCKED,	/* measured at the switch: asleep inside a callback */
	POINT_RUNQUEUE, /* measured: runnable, another thread had the CPU */
	POINT_IDLE,	/* measured: the loop's own poll; a pool's thread without work */
	POINT_KIND_CNT
};

/* What a frame of a stack is; colours and formats go by it. */
enum frame_kind {
	FRAME_PYTHON,
	FRAME_NATIVE,	/* func: symbol; file: the library it is in */
	FRAME_KERNEL,	/* func: symbol */
	FRAME_WAIT,	/* func: what it waits for, "recvfrom"; file: path or peer, NULL: none */
	FRAME_KIND_CNT
};

struct point_frame {
	enum frame_kind kind;
	const char *func; /* NULL: not known */
	const char *file; /* NULL: not known, or none */
	int line;	  /* 0: not known, or none */
};

struct point {
	enum point_kind kind;
	int64_t unix_ns; /* when its end was seen: a wait, at the thread's next event after it */
	int64_t ns;
	uint64_t cnt; /* samples or waits, 1 as a rule */

	uint32_t pid, tid;
	const char *comm; /* of the thread, never NULL */
	bool plain;	  /* the thread runs no loop: an executor's, or another */
	uint64_t loop;	  /* address of the loop object, 0: not known */

	/* STALL_ITERATION: the loop's own work between callbacks, no task and no callback. */
	enum stall_kind what;
	const char *task; /* as in stall.h */
	bool unnamed;	  /* its name is asyncio's own, "Task-7" */
	const char *coro;
	const char *callback;

	enum cause cause; /* CAUSE_CPU for samples */

	/* Leaf first: kernel, the wait, native, then Python down to the task's coroutine. */
	const struct point_frame *frames;
	size_t frame_cnt;
	bool cut; /* the stack is not whole: too deep, or memory that could not be read */
};

const char *point_kind_name(enum point_kind kind); /* "blocked"; never NULL */
int point_kind_from_name(const char *name);	   /* enum point_kind, or -1 */
const char *frame_kind_name(enum frame_kind kind); /* "python"; never NULL */
int frame_kind_from_name(const char *name);	   /* enum frame_kind, or -1 */

#endif
