/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One thread that runs event loops: what stalled on it, by place, and the
 * accounts that the kernel side keeps for it.
 *
 * It must never grow without bound: what finds no room is counted apart.
 */
#ifndef ASYNCPROF_LOOP_H
#define ASYNCPROF_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/stall.h"
#include "record.h"

#define LOOP_PLACES_MAX 512

/* Stalls with the same coroutine or callback, cause, and line to look at (stall_blame()). */
struct loop_place {
	char *title, *file; /* file may be NULL */
	int line;
	enum stall_kind kind;
	enum cause cause;
	uint64_t cnt;
	int64_t total_ns, max_ns;
};

struct loop {
	uint32_t pid, tid;
	uint64_t address; /* of the last loop object seen, 0: none yet */
	char comm[AP_COMM_SZ + 1];
	bool gone; /* its thread exited, or called exec */
	bool has_account;
	struct ap_account account; /* the sum, earlier threads of the same tid included */
	uint64_t stall_cnt;	   /* closed ones */
	int64_t stall_ns;
	uint64_t ongoing_cnt;	   /* reported while they went on, and not closed yet */
	struct loop_place *places; /* biggest total first once loop_sort() ran */
	size_t place_cnt;
	uint64_t place_overflow_cnt; /* stalls whose place found no room */

	struct ap_account past; /* of threads that are gone */
	bool fresh;		/* the next account starts a new thread */
};

int loop_add_stall(struct loop *loop, const struct stall *stall); /* 0, -ENOMEM */
void loop_set_account(struct loop *loop, const struct ap_account *account);
void loop_sort(struct loop *loop);
void loop_clear(struct loop *loop);

/* hits == closed + ignored + open */
bool account_holds(const struct ap_account *account);
uint64_t account_closed_cnt(const struct ap_account *account);
uint64_t account_ignored_cnt(const struct ap_account *account);
void account_add(struct ap_account *sum, const struct ap_account *more);

#endif
