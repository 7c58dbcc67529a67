/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * User registers and the top of the user stack, copied by perf at the tick:
 * one buffer a CPU, filled only for ticks whose program asked for it (it
 * returned 1).
 *
 * It must never block, and what found no room is counted.
 */
#ifndef ASYNCPROF_STACKS_H
#define ASYNCPROF_STACKS_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

#include "target/native.h"

/*
 * Bytes of stack in a sample; a record's size is a __u16, so less than 64 KiB with its head, and
 * a multiple of 8. With it, a buffer of 1 MiB holds 63 samples: 0.6 s of 99 Hz on its CPU.
 */
#define STACKS_STACK_SZ 16384
#define STACKS_CPUS_MAX 1024

struct stacks;

/* `sample` and its stack live until the return. */
typedef void (*stacks_sample)(void *ctx, uint32_t tgid, uint32_t tid, uint64_t ts,
			      const struct native_sample *sample);

/* Makes the attributes of a tick event ask for registers, stack and CLOCK_MONOTONIC times. */
void stacks_ask(struct perf_event_attr *attr);

/* 0, or a negative errno. */
int stacks__open(struct stacks **out);
void stacks__close(struct stacks *s);

/*
 * Maps the buffer of one event; the event stays its owner's, and must outlive it. 0, or a
 * negative errno; -EPERM: no CAP_IPC_LOCK, and kernel.perf_event_mlock_kb has no room left.
 */
int stacks__add(struct stacks *s, int event_fd);

/* Hands over what is there. Returns how many, or a negative errno. */
int stacks__read(struct stacks *s, stacks_sample each, void *ctx);

/* Samples that found no room, as the kernel counted them; it says so with the next one that does.
 */
uint64_t stacks_lost_cnt(const struct stacks *s);

/* Records that are not what was asked for: without registers (a kernel thread's), or malformed. */
uint64_t stacks_refused_cnt(const struct stacks *s);

/*
 * One record as perf writes it, `size` bytes of it there. 1 and what it says, or 0: no sample
 * of ours. The stack points into the record.
 */
int stacks_parse(const void *record, size_t size, uint32_t *tgid, uint32_t *tid, uint64_t *ts,
		 struct native_sample *sample);

#endif
