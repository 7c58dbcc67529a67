/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The one model behind every report: kernel records go in, stalls and
 * summaries come out. It owns code objects, the evidence of callbacks that
 * are still open, and the loops.
 *
 * It must never trust a record, never grow without bound, never know where
 * records come from nor how a stall is shown.
 */
#ifndef ASYNCPROF_MODEL_H
#define ASYNCPROF_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "model/loop.h"
#include "model/point.h"
#include "model/run.h"
#include "model/stall.h"
#include "record.h"

struct model;

struct model_options {
	int64_t unix_offset_ns; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
	/* Called from model__feed() for each AP_SLOW; may be NULL. */
	void (*on_stall)(void *ctx, const struct stall *stall);
	/* Called for each piece of time, when the kernel side sends them (AP_T_POINT); may be NULL. */
	void (*on_point)(void *ctx, const struct point *point);
	int64_t period_ns; /* of the tick: what a sample weighs as a point */
	void *ctx;
	/* Name of a kernel address, NULL: not known; lives as long as the model. May be NULL. */
	const char *(*kernel_symbol)(void *ctx, uint64_t ip);
	/*
	 * Name of a thread (comm) for a GIL holder, into buf (NUL terminated);
	 * returns its length or a negative number. May be NULL.
	 */
	int (*thread_name)(void *ctx, uint32_t pid, uint32_t tid, char *buf, size_t buf_sz);
	/* A code object went for lack of room: it must be sent again. May be NULL. */
	void (*code_forgotten)(void *ctx, uint32_t pid, uint64_t code);
};

/* NULL: out of memory. */
struct model *model__new(const struct model_options *options);
void model__free(struct model *model);

/*
 * One record. Returns 0, -EBADMSG (malformed: counted, ignored), -ENOMEM.
 * `record` need not be aligned and is not kept.
 */
int model__feed(struct model *model, const void *record, size_t record_sz);

/*
 * The kernel side's account of a thread as it stands now; replaces the one
 * given before. AP_GONE brings a thread's last one itself; after it an account
 * of the same tid is a new thread and adds to the old. tid 0: hits of the process
 * that no thread's account holds, which are no loop.
 */
int model__set_account(struct model *model, uint32_t pid, uint32_t tid, const char *comm,
		       const struct ap_account *account);

/*
 * A thread as it stands at `ts` (CLOCK_MONOTONIC): with on_point its idle time so far
 * becomes points.
 */
void model__idle(struct model *model, uint32_t pid, uint32_t tid, const struct ap_thread *thread,
		 uint64_t ts);

/* What the model counted itself. */
struct model_counts {
	uint64_t received[AP_KIND_CNT]; /* well-formed records by kind */
	uint64_t malformed;
	uint64_t stalls;	   /* closed */
	uint64_t evicted_codes;	   /* code objects forgotten for lack of room */
	uint64_t evicted_evidence; /* callbacks whose samples were forgotten */
	uint64_t evicted_loops;	   /* threads that found no room */
};

void model__counts(const struct model *model, struct model_counts *counts);

/*
 * Fills loops, loop_cnt and counts of `summary`, adds to homeless (the rest is the collector's);
 * valid until the next call on the model.
 */
int model__summarise(struct model *model, struct run_summary *summary);

#endif
