/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The well-known cure of a stall, one line. Decided from the cause and the
 * functions on the stack, by a table (advice.c).
 *
 * It must never guess: no row that fits, no advice.
 */
#ifndef ASYNCPROF_ADVICE_H
#define ASYNCPROF_ADVICE_H

struct stall;

struct advice {
	const char *key;  /* stable word for JSON: "time.sleep" */
	const char *text; /* one line */
};

/* Static storage; NULL: none is known. Needs kind, cause, syscall and frames of the stall. */
const struct advice *advice_for(const struct stall *stall);

#endif
