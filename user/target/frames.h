/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The collector's use of the walker in walk.h: threads of an interpreter,
 * their frames, and where on a frame chain a loop and its callback stand.
 *
 * It must never keep anything between two moments: a code object seen a
 * second ago may be another one now.
 */
#ifndef ASYNCPROF_TARGET_FRAMES_H
#define ASYNCPROF_TARGET_FRAMES_H

#include "memory.h"
#include "record.h"

#define FRAMES_CACHE 64

/* What asyncio runs with a code object, by its name and file. */
enum frames_class {
	FRAMES_OTHER = 1,
	FRAMES_RUN,	   /* `_run` of asyncio/events.py: Handle._run */
	FRAMES_NAMED_RUN,  /* another `_run`: a Handle of someone else's, an executor's job */
	FRAMES_NAMED_ONCE, /* `_run_once` */
};

/* For one moment's look: zero it, set the first two, drop it. */
struct frames {
	struct memory *memory;
	const struct ap_layout *layout;
	struct {
		uint64_t code;
		enum frames_class class;
	} cache[FRAMES_CACHE];
};

struct frames_one {
	uint64_t code, previous;
	int32_t lasti;
	int shim; /* 1: a C shim, without code */
};

/* Where a loop stands on a chain; addresses as in struct ap_open. */
struct frames_loop {
	int has_run; /* 1: a callback is open, `run` and `run_prev` are set */
	uint64_t run, run_prev;
	uint64_t run_code;
	uint64_t once, forever, root, loop;
	uint64_t handle; /* local 0 of the `_run` frame */
};

/* Thread states of an interpreter, newest first: how many (at most `max`), or a negative errno. */
int frames_threads(struct frames *f, uint64_t interpreter, uint64_t *tstate, size_t max);

/* No frame's address: whatever follows it finds that it can't. */
#define FRAMES_UNREADABLE (~0ULL)

/* The frame that a thread runs, 0: none; or FRAMES_UNREADABLE. */
uint64_t frames_current(struct frames *f, uint64_t tstate);

/* One frame of a chain. 0, or -EFAULT. */
int frames_read(struct frames *f, uint64_t frame, struct frames_one *out);

/* Code of a frame, and local 0 of it (`self` of a method); 0: unreadable. */
uint64_t frames_code(struct frames *f, uint64_t frame);
uint64_t frames_self(struct frames *f, uint64_t frame);

enum frames_class frames_class(struct frames *f, uint64_t code);

/*
 * Looks for the innermost `_run_once` on the chain that starts at `frame`.
 * 1: found; 0: there is none; a negative errno when the chain can't be followed
 * to its end or is longer than AP_FRAMES_MAX.
 */
int frames_find_loop(struct frames *f, uint64_t frame, struct frames_loop *out);

/* Where a loop without frames of its own (uvloop) stands on a chain. */
struct frames_foreign {
	uint64_t run, run_prev; /* the frame that called run_forever */
	uint64_t root;
	uint64_t callee; /* code of the frame right above it: what the loop called; 0: nothing */
	int coroutine;	 /* 1: that is a coroutine, so the callback is a task's step */
	uint64_t generator; /* before 3.11 its object, which has the qualified name; else 0 */
};

/*
 * Looks for asyncio.run() or uvloop.run() on a chain that has no `_run_once`. 1: found, 0: there is
 * none, a negative errno when the chain can't be followed to its end.
 */
int frames_find_foreign(struct frames *f, uint64_t frame, struct frames_foreign *out);

/*
 * 1 when a `run_forever` that is not asyncio's own is on a chain that has no `_run_once`: a loop of
 * another library, such as qasync's, which lends asyncio's handles another one's poll.
 */
int frames_run_borrowed(struct frames *f, uint64_t frame);

/* 1 when the frame's code is of a file whose name ends so. */
int frames_is_in(struct frames *f, uint64_t frame, const char *tail);

/* 1 when code of a file whose name ends so is on the chain. */
int frames_run_file(struct frames *f, uint64_t frame, const char *tail);

/* The first frame from `frame` on that is no shim; code 0 when there is none. */
void frames_first(struct frames *f, uint64_t frame, struct ap_frame *out);

/* Test A1 of rule R: where `open` stands, seen from `frame`, and the stack above it. */
enum ap_seen frames_look(struct frames *f, uint64_t frame, const struct ap_open *open,
			 struct ap_stack *stack);

#endif
