/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the threads of a target do at one moment: whose loop is inside a
 * callback, which one, where. Taken at attach, since a callback that was
 * open before the probes came makes no event; and again later for a loop
 * that makes no event because it sleeps or spins.
 *
 * The target runs on meanwhile. Nothing here must be taken as proof that
 * outlives the read: the caller re-checks with snapshot_look() after it has
 * told the kernel side.
 */
#ifndef ASYNCPROF_TARGET_SNAPSHOT_H
#define ASYNCPROF_TARGET_SNAPSHOT_H

#include "interpreter.h"
#include "memory.h"
#include "process.h"
#include "record.h"

#define SNAPSHOT_THREADS_MAX 4096

struct snapshot;

/* One record of the kind that the kernel programs send; its bytes live until the call returns. */
typedef void (*snapshot_emit)(void *ctx, const struct ap_head *record);

/*
 * Looks at every thread of the interpreter and keeps those that run a loop; those that
 * run none as well, as `plain`, when the target's description asks for them (AP_REC_THREADS).
 * 0, or a negative errno. The caller frees it, before the three it is made of.
 */
int snapshot__take(const struct process *p, struct memory *m, const struct interpreter *in,
		   const struct ap_target *target, struct snapshot **out);
void snapshot__free(struct snapshot *s);

/* Threads that were kept. */
size_t snapshot_cnt(const struct snapshot *s);
/* Threads that could not be walked or told apart (fault, bad word, no native id). */
unsigned int snapshot_unread(const struct snapshot *s);
/* 1: a thread runs a loop of another library that runs asyncio's handles, as qasync does. */
int snapshot_borrowed(const struct snapshot *s);

/*
 * The state of thread `i` for the `threads` map; out_ts: the moment of the walk. depth 1: open[0] is a
 * callback that was open when we came (AP_F_AT_ATTACH; start_ts = lo_ts = the
 * moment of the walk; counted in account.attach_opened; its seq is 1), else
 * depth 0 and the loop polls or is between two callbacks.
 */
const struct ap_thread *snapshot_thread(const struct snapshot *s, size_t i, pid_t *tid);

/*
 * For an open callback: emits AP_NAME, AP_CODE for each code object of the
 * stack, then AP_BLOCK (asleep; off_ns 0: still away) or AP_SAMPLE (on the CPU).
 */
void snapshot_records(const struct snapshot *s, size_t i, snapshot_emit emit, void *ctx);

/*
 * Looks at one callback again: enum ap_seen, or a negative errno. `t` is the
 * thread's state as the kernel side has it, `open` the callback of it to look for.
 * AP_SEEN_UNDER is proof; of a thread that runs, the others may come from a torn
 * read. -ESRCH: the thread has gone.
 * Unless `emit` is NULL it gets AP_CODE records and one AP_BLOCK (asleep) or AP_SAMPLE (on the
 * CPU) with the stack of this moment.
 */
int snapshot_look(const struct process *p, struct memory *m, const struct interpreter *in,
		  pid_t tid, const struct ap_thread *t, const struct ap_open *open,
		  snapshot_emit emit, void *ctx);

#endif
