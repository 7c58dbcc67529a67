/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Why a callback was late, in one word. The rule is one table (cause.c), from
 * (reason off CPU, syscall, what its fd is) to a cause; contributors edit it.
 *
 * It must never look at a stack or a name: a cause is decided from what the
 * kernel counted, not from what the code looks like.
 */
#ifndef ASYNCPROF_CAUSE_H
#define ASYNCPROF_CAUSE_H

#include <stdint.h>

#include "model/budget.h"
#include "model/fd.h"
#include "record.h"

enum cause {
	CAUSE_CPU,
	CAUSE_GC,
	CAUSE_GIL,
	CAUSE_LOCK,
	CAUSE_SLEEP,
	CAUSE_SOCKET,
	CAUSE_DNS,
	CAUSE_PIPE,
	CAUSE_FILE,
	CAUSE_FLOCK,
	CAUSE_CHILD,
	CAUSE_POLL,
	CAUSE_FAULT,
	CAUSE_RUNQUEUE,
	CAUSE_THROTTLED,
	CAUSE_STEAL,
	CAUSE_LOOP,
	CAUSE_OTHER,
	CAUSE_CNT
};

/* One off-CPU place, as the table sees it. */
struct cause_place {
	enum ap_off off;
	int syscall;	 /* -1: none */
	enum fd_kind fd; /* of the fd, or of the first one polled */
	uint32_t fds;	 /* polled; 0: none */
	uint64_t arg;	 /* of fcntl: its command */
};

struct cause_verdict {
	enum cause cause;
	uint32_t causes; /* mask of 1 << enum cause: all within 20 % of the largest */
	int place;	 /* index in slow->place[] that decided, -1: none did */
};

const char *cause_name(enum cause cause);  /* "sleep"; never NULL */
int cause_from_name(const char *name);	   /* enum cause, or -1 */
const char *cause_words(enum cause cause); /* "asleep in time.sleep or alike" */
enum cause cause_of_place(const struct cause_place *place);
struct cause_place cause_place_of_block(const struct ap_block *block);

/*
 * The verdict over a whole callback. `fd` holds what each place's fd is, in the
 * order of slow->place[]; `budget` may come from a callback whose start is not
 * known: only the sizes of its parts matter here.
 */
struct cause_verdict cause_decide(const struct ap_slow *slow, const struct budget *budget,
				  const enum fd_kind fd[AP_PLACES_MAX]);

#endif
