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

struct stacks;

typedef void (*stacks_sample)(void *ctx, uint32_t tgid, uint32_t tid, uint64_t ts,
			      const struct native_sample *sample);

/* Makes the attributes of a tick event ask for registers, stack and CLOCK_MONOTONIC times. */
void stacks_ask(struct perf_event_attr *attr);

/* 0, or a negative errno. */
int stacks__open(struct stacks **out);
void stacks__close(struct stacks *s);

/* Maps the buffer of one event; the event stays its owner's, and must outlive it. 0, or a negative errno. */
int stacks__add(struct stacks *s, int event_fd);

/* Hands over what is there. Returns how many, or a negative errno. */
int stacks__read(struct stacks *s, stacks_sample each, void *ctx);

uint64_t stacks_lost_cnt(const struct stacks *s);

#endif
