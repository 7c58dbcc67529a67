/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The table of CPython's structure offsets, one row a minor version, and the
 * only place that fills a struct ap_layout. From 3.13 the interpreter
 * publishes most of them itself (_Py_DebugOffsets at the start of
 * _PyRuntime): then its values hold, once they have been checked.
 *
 * It must never let an unknown, unfinished or free-threaded interpreter
 * pass with a row that was not made for it.
 */
#ifndef ASYNCPROF_TARGET_LAYOUTS_H
#define ASYNCPROF_TARGET_LAYOUTS_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "refusal.h"

#define LAYOUT_DEBUG_WORDS 160 /* u64 read from the start of _PyRuntime */
#define LAYOUT_TASK_WORDS  13  /* u64 of .AsyncioDebug */
#define LAYOUT_THREAD_MAX  0xf000 /* bytes of a thread state that are believed */

/* Index of the u64 in Py_AsyncioModuleDebugOffsets, Modules/_asynciomodule.c, 3.14 and 3.15 */
enum {
	TASK_SIZE = 0,
	TASK_NAME = 1,
	TASK_CORO = 5,
	TASK_NODE = 6,
	THREAD_SIZE = 9,
	THREAD_RUNNING_TASK = 11,
	THREAD_TASKS = 12,
};

/*
 * `version`: PY_VERSION_HEX. `task_basicsize`: tp_basicsize of _asyncio.Task,
 * 0 when it is not loaded yet (task fields are then those of the newest patch release).
 * `debug`: the first words of _PyRuntime as they lie in the target, needed
 * from 3.13, else NULL. 0, or -1 with `why` (EXIT_INTERPRETER).
 */
int layout_fill(uint32_t version, uint32_t task_basicsize, const uint64_t *debug, size_t debug_cnt,
		struct ap_layout *out, struct refusal *why);

/*
 * From 3.14 on _asyncio publishes where a Task keeps its name and coroutine: `table`, the
 * LAYOUT_TASK_WORDS first u64 of its section. It beats our own, for which layout_fill() then takes
 * the `task_basicsize` 0. 0, or -1 with `why`.
 */
int layout_take_tasks(uint32_t task_basicsize, const uint64_t *table, struct ap_layout *out,
		      struct refusal *why);

/* "3.13.0rc2" from PY_VERSION_HEX. */
void layout_version_text(uint32_t version, char *buf, size_t size);

#endif
