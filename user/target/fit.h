/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Does a layout fit the process? A patch release may have moved a field, and
 * a table, ours or the interpreter's own, may lie: what the threads run now
 * must look like frames, code and names, and the tasks like tasks.
 *
 * It must never refuse for what a thread that runs on has torn: one frame
 * that fits in all its fields is enough.
 */
#ifndef ASYNCPROF_TARGET_FIT_H
#define ASYNCPROF_TARGET_FIT_H

#include "layout.h"
#include "memory.h"

/* Addresses of types in the process; 0: unknown, and not looked for. */
struct fit_types {
	uint64_t code, str, bytes, number;
};

struct fit {
	struct memory *memory;
	const struct ap_layout *layout;
	struct fit_types types;
	uint64_t interpreter; /* the main PyInterpreterState */
	uint64_t task_heads, task_node; /* as in struct tables */
};

/* The name of the field of struct ap_layout that does not fit; NULL: all do, or nothing runs. */
const char *fit_misfit(const struct fit *f);

#endif
