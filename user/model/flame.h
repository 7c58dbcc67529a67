/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A tree of frames with their time: a profile folded the way a person asked
 * for. Flame graphs, folded stacks and tables are renderings of it.
 *
 * From the root: process; loop (or thread); task or coroutine; frames from the
 * outermost to the leaf. Children are in the order of their labels, so that two
 * pictures of one program look alike.
 *
 * It must never lose or invent time: the self times of all nodes add up to the
 * total of the root, also when sums would not fit 64 bits (they stop there).
 * Time without a stack is a leaf "[no stack]".
 */
#ifndef ASYNCPROF_FLAME_H
#define ASYNCPROF_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/profile.h"

/* Which time counts. Run queue counts as blocked: the callback made no progress. */
enum flame_clock { FLAME_WALL, FLAME_CPU, FLAME_BLOCKED, FLAME_CLOCK_CNT };

/* What stands between a loop and its frames. */
enum flame_by {
	FLAME_BY_TASK,	    /* the task's name; unnamed ones fold by their coroutine */
	FLAME_BY_COROUTINE, /* the coroutine or callback */
	FLAME_BY_FUNCTION,  /* nothing */
	FLAME_BY_CNT
};

struct flame_options {
	enum flame_clock clock;
	enum flame_by by;
	bool per_process;    /* processes of one name stay apart */
	bool threads;	     /* plain threads as well as loops */
	bool idle;	     /* also POINT_IDLE, in FLAME_WALL */
	bool full_filenames; /* whole paths in labels, not their last part */
};

enum flame_kind {
	FLAME_ALL, /* the root */
	FLAME_PROCESS,
	FLAME_LOOP,
	FLAME_THREAD,
	FLAME_TASK,
	FLAME_CALLBACK, /* a callback without task, or the loop's own work */
	FLAME_PYTHON,
	FLAME_NATIVE,
	FLAME_KERNEL,
	FLAME_WAIT, /* blocked, or runnable without a CPU */
	FLAME_IDLE, /* the loop's own poll, a thread without work: nobody waits for it */
	FLAME_KIND_CNT
};

struct flame_node {
	enum flame_kind kind;
	const char *label; /* "fetch (db.py:17)", "recvfrom 10.0.0.7:443"; raw bytes, never NULL */
	const char *file;  /* whole path, NULL: none */
	int line;
	uint32_t parent, first_child, next; /* PROFILE_NONE: none */
	uint32_t depth;			    /* of the root: 0 */
	int64_t self_ns, total_ns;
	uint64_t self_cnt, total_cnt;
	int64_t old_self_ns, old_total_ns; /* of a comparison: in the old profile, else 0 */
};

struct flame {
	struct flame_node *nodes; /* the root is nodes[0]; a parent comes before its children */
	size_t node_cnt;
	uint32_t depth_max;
	struct flame_options options;
	bool compared; /* made by flame__compare() */
	char *text;    /* labels */
	/* Of the profile(s), for captions: */
	int64_t duration_ns, period_ns;
	bool complete;
	uint64_t lost_cnt, cut_stack_cnt;
	/* Entries whose innermost frames found no room in the tree: their time is the caller's own.
	 */
	uint64_t clipped_cnt;
};

/* Bounds that only a forged recording meets: frames of a stack, nodes of a tree. */
#define FLAME_STACK_MAX 512
#define FLAME_NODES_MAX 4000000

/* NULL: out of memory. The profile may be freed before the flame. */
struct flame *flame__new(const struct profile *profile, const struct flame_options *options);

/*
 * Both in one tree, by function: lines are left out, and with short labels folders as well,
 * since a new version moves both. total_ns of `current`, old_total_ns of `old`, which is
 * scaled to the duration of `current` when they differ.
 */
struct flame *flame__compare(const struct profile *old, const struct profile *current,
			     const struct flame_options *options);
void flame__free(struct flame *flame);

const char *flame_clock_name(enum flame_clock clock); /* "wall" */
const char *flame_by_name(enum flame_by by);	      /* "task" */
int flame_clock_from_name(const char *name);	      /* or -1 */
int flame_by_from_name(const char *name);	      /* or -1 */
const char *flame_kind_name(enum flame_kind kind);    /* "python"; also the CSS class */

#endif
