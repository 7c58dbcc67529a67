/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Where an interpreter's layout comes from: the tables that it brings itself
 * (_Py_DebugOffsets from 3.13, _asyncio's .AsyncioDebug from 3.14), which
 * beat ours, and ours for the rest.
 *
 * It must never mix two sources for one field.
 */
#ifndef ASYNCPROF_TARGET_TABLES_H
#define ASYNCPROF_TARGET_TABLES_H

#include "elf.h"
#include "layout.h"
#include "memory.h"
#include "refusal.h"

/* Two files, as they are loaded in a process; `asyncio` is `python` where it is built in. */
struct tables_from {
	const struct elf *python, *asyncio; /* asyncio NULL: not loaded */
	uint64_t runtime;		    /* of _PyRuntime in the file */
	uint64_t bias;			    /* of `python` */
	struct memory *memory;
	uint32_t version, task_basicsize;
};

struct tables {
	const char *source;  /* for people: "_Py_DebugOffsets"; a constant */
	uint64_t task_heads; /* offset of the list of tasks in a thread state, 0: unknown */
	uint64_t task_node;  /* of its link in a Task */
};

/* 0, or -1 with `why` (EXIT_INTERPRETER). */
int tables_read(const struct tables_from *from, struct ap_layout *layout, struct tables *out,
		struct refusal *why);

#endif
