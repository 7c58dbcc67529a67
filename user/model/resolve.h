/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * From a slow record and its evidence to a stall: which block or line is
 * guilty, its stack with names, the cause, the budget.
 *
 * It must never keep anything: it only looks things up.
 */
#ifndef ASYNCPROF_RESOLVE_H
#define ASYNCPROF_RESOLVE_H

#include "model/code.h"
#include "model/evidence.h"
#include "model/stall.h"
#include "record.h"

/* A stall with the room for its strings; it must stay where it is. */
struct resolved {
	struct stall stall;
	struct ap_slow slow; /* the record, completed */
	struct stall_frame frames[AP_FRAMES_MAX];
	char comm[AP_COMM_SZ + 1];
	char holder_comm[AP_COMM_SZ + 1];
	char words[FD_WORDS_SZ];
};

/* `evidence` may be NULL: nothing was heard of it. Strings of `out` live in `codes`, `evidence`,
 * `out`. */
void resolve_stall(const struct ap_slow *record, const struct evidence *evidence,
		   struct codes *codes, struct resolved *out);

#endif
