/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * From samples and waits to points: whose time it was, on what, with the
 * kernel's and the native frames that came for it.
 *
 * It must never give a stack to the wrong time: a kernel or native stack
 * counts only for the sample or wait whose mark it carries.
 */
#ifndef ASYNCPROF_POINTS_H
#define ASYNCPROF_POINTS_H

#include <stdint.h>

#include "model/code.h"
#include "model/evidence.h"
#include "model/point.h"
#include "record.h"

struct points;

struct points_options {
	int64_t unix_offset_ns; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
	int64_t period_ns;	/* of the tick: the weight of a sample */
	void (*on_point)(void *ctx, const struct point *point);
	/* Name of a kernel address, NULL: not known; lives as long as the model. May be NULL. */
	const char *(*kernel_symbol)(void *ctx, uint64_t ip);
	void *ctx;
};

struct points *points__new(const struct points_options *options); /* NULL: out of memory */
void points__free(struct points *points);

/* Checked records. A stack is kept until the next one of its thread. 0, -ENOMEM. */
int points_kernel(struct points *points, const struct ap_kernel *kernel);
int points_native(struct points *points, const struct ap_native *native);

/* A sample is one point, a wait up to two: asleep, and then in the run queue. `evidence` may be NULL. */
void points_sample(struct points *points, const struct ap_sample *sample,
		   const struct evidence *evidence, struct codes *codes);
void points_block(struct points *points, const struct ap_block *block,
		  const struct evidence *evidence, struct codes *codes);

/* What the kernel side only sums up of a loop's thread, since its beginning. */
struct points_sums {
	uint64_t idle_ns;   /* in its own poll, asleep */
	uint64_t queued_ns; /* in its own poll, woken and without a CPU yet */
	uint64_t own_cnt;   /* ticks that found a program of ours at work: what we cost it */
};

/* As it stands at `ts`: the growth of each since the last call is a point. */
void points_sums(struct points *points, uint32_t pid, uint32_t tid, const char *comm, uint64_t loop,
		 const struct points_sums *sums, uint64_t ts);

/* The thread is gone; another one may have its tid. */
void points_gone(struct points *points, uint32_t pid, uint32_t tid);

#endif
