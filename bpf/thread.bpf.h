/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The state of one thread that runs loops. Only programs that run on that
 * thread write it. They can still meet: a tick, or a switch when the kernel
 * preempts a uprobe program, may come in the middle of another program's work.
 * Whoever changes openings says so with thread_enter() and thread_leave();
 * ticks and switches keep out meanwhile and count what they did not see.
 */
#ifndef ASYNCPROF_THREAD_BPF_H
#define ASYNCPROF_THREAD_BPF_H

#include "pids.bpf.h"
#include "read.bpf.h"
#include "walk.h"

/* NULL: this thread runs no loop of a target. */
static __always_inline struct ap_thread *thread_find(void)
{
	__u64 id = pids_current();

	return stopped ? NULL : bpf_map_lookup_elem(&threads, &id);
}

/* "_run" as the word that lies in memory. */
#define WORD_RUN 0x6e75725fU

int thread_make(__u64 id, int sure);

/* Like thread_find(), and makes the entry when the process is a target. `sure`: it runs a loop. */
static __always_inline struct ap_thread *thread_get(int sure)
{
	__u64 id = pids_current();
	struct ap_thread *t = thread_find();

	if (t || stopped || !thread_make(id, sure))
		return t;
	return bpf_map_lookup_elem(&threads, &id);
}

static __always_inline void thread_enter(struct ap_thread *t)
{
	t->working = 1;
	barrier();
}

static __always_inline void thread_leave(struct ap_thread *t)
{
	barrier();
	t->working = 0;
}

/* It counts no longer as one that runs none. */
static __always_inline void thread_has_loop(struct ap_thread *t)
{
	if (!t->plain)
		return;
	t->plain = 0;
	__sync_fetch_and_sub(&plain_cnt, 1);
}

static __always_inline struct ap_open *thread_top(struct ap_thread *t)
{
	return &t->open[(t->depth - 1) & (AP_OPEN_MAX - 1)];
}

#endif
