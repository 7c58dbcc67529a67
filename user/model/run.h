/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One run of asyncprof as reports need to know it: what it watches (start) and
 * what it saw and cost (summary). Filled by the collector and by the model.
 *
 * It must never hold an estimate that does not say that it is one.
 */
#ifndef ASYNCPROF_RUN_H
#define ASYNCPROF_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/loop.h"
#include "record.h"

struct run_target {
	uint32_t pid;
	const char *comm;   /* NULL: not known */
	const char *python; /* "3.11.2", NULL: not known */
	const char *exe;    /* NULL: not known */
	int stripped;	    /* 1, 0; -1: not known */
};

struct run_start {
	const char *version; /* asyncprof's own */
	int64_t unix_ns;
	const struct run_target *targets;
	size_t target_cnt;
	const char *tier; /* "exact" */
	uint64_t threshold_ns;
	const char *kernel; /* release, NULL: not known */
	const char *const *degraded;
	size_t degraded_cnt;
};

/* One more process, watched from here on: found by who started it. */
struct run_joined {
	int64_t unix_ns;
	struct run_target target;
	uint32_t parent; /* process, 0: not known */
	const char *const *degraded;
	size_t degraded_cnt;
};

struct run_summary {
	/* The collector's */
	int64_t unix_ns;
	int64_t duration_ns;
	const char *tier;
	bool interim;		    /* asked for by a signal: the run goes on */
	struct ap_sent sent;	    /* attempted and dropped, by kind */
	struct ap_account homeless; /* hits that no thread's account holds */
	uint64_t hit_ns;	    /* calibrated cost of one hit, 0: not known */
	int64_t overhead_ns;	    /* estimated: all hits times their cost, -1: not known */
	uint64_t events_lost;	    /* dropped on the ring, or switches missed */

	/* Kinds of records that the collector made itself: not on the ring, not in `sent`. */
	uint64_t synthesised[AP_KIND_CNT];

	/* The model's, see model__summarise() */
	const struct loop *const *loops;
	size_t loop_cnt;
	uint64_t received[AP_KIND_CNT];
	uint64_t malformed;
	uint64_t stalls;
	uint64_t evicted_codes, evicted_evidence, evicted_loops;
};

/* attempted == sent + dropped, sent == received: without what the collector made itself. */
struct run_records {
	uint64_t attempted, dropped, sent, received;
};

void run_account(const struct run_summary *summary, struct ap_account *sum);
void run_count_records(const struct run_summary *summary, struct run_records *sum);

#endif
