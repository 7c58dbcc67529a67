/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Stalls that still go on. A callback that never returns makes no event: not
 * when it sleeps for ever, and not when it burns CPU for ever. So the collector
 * looks at the threads' state every few ticks and makes the AP_SLOW record
 * that the kernel side can't make yet, flagged AP_F_ONGOING.
 *
 * It must never say of a callback that it is late unless it was seen to run
 * that long: by a tick, or asleep under it.
 */
#ifndef ASYNCPROF_ONGOING_H
#define ASYNCPROF_ONGOING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record.h"

struct ongoing;

/* Called for each record made, in the order in which the kernel side would send them. */
typedef void (*ongoing_record)(void *ctx, const struct ap_head *record, size_t size);

/*
 * Tells of nothing younger than `min_ns`, whatever its threshold. The tick comes `rate_hz`
 * times a second. NULL: out of memory.
 */
struct ongoing *ongoing__new(uint64_t min_ns, unsigned int rate_hz);
void ongoing__free(struct ongoing *o);

/*
 * Looks at `t`, a copy of thread `tid` that is not torn, at time `now_ns` of
 * CLOCK_MONOTONIC. Each late callback is told of once, unless `again`: then
 * those that were told of are told of again, with their duration by now.
 * Returns a mask of the callbacks (bit i: t->open[i]) that were told of.
 */
unsigned int ongoing__look(struct ongoing *o, pid_t pid, pid_t tid, const struct ap_thread *t,
			   uint64_t now_ns, int again, ongoing_record emit, void *ctx);

/* Is thread `t` certainly still in the interval off the CPU that is pending? A tick would have settled it. */
int ongoing_waits(const struct ongoing *o, const struct ap_thread *t, uint64_t now_ns);

/* The same question without telling: would ongoing__look() tell of callback `i`, for the first time? */
int ongoing_is_due(const struct ongoing *o, pid_t tid, const struct ap_thread *t, uint32_t i,
		   uint64_t now_ns);

#endif
