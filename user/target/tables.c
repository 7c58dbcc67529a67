/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The tables are constants of the file, which is checked to be the one that
 * runs; a linker may have put _PyRuntime where the file has no bytes.
 *
 * It must never read more than the words that are known.
 */
#include "target/tables.h"

#include <string.h>

#include "target/layouts.h"

#define VERSION_DEBUG 0x030d /* _Py_DebugOffsets */
#define VERSION_TASKS 0x030e /* .AsyncioDebug */

static int read_tasks(const struct elf *e, uint64_t table[LAYOUT_TASK_WORDS])
{
	const size_t size = LAYOUT_TASK_WORDS * sizeof(*table);
	uint64_t at = e ? elf_section(e, ".AsyncioDebug", size) : 0;
	const void *bytes = at ? elf_bytes(e, at, size) : NULL;

	if (!bytes)
		return -1;
	memcpy(table, bytes, size);
	return 0;
}

int tables_read(const struct tables_from *from, struct ap_layout *layout, struct tables *out,
		struct refusal *why)
{
	uint64_t debug[LAYOUT_DEBUG_WORDS], tasks[LAYOUT_TASK_WORDS];
	const void *in_file = elf_bytes(from->python, from->runtime, sizeof(debug));
	int has_tasks = from->version >> 16 >= VERSION_TASKS && !read_tasks(from->asyncio, tasks);
	size_t cnt = LAYOUT_DEBUG_WORDS;

	memset(out, 0, sizeof(*out));
	if (in_file)
		memcpy(debug, in_file, sizeof(debug));
	else if (memory_read(from->memory, from->bias + from->runtime, debug, sizeof(debug)))
		cnt = 0;
	if (layout_fill(from->version, has_tasks ? 0 : from->task_basicsize, debug, cnt, layout,
			why))
		return -1;
	out->source = from->version >> 16 >= VERSION_DEBUG ? "_Py_DebugOffsets"
							   : "asyncprof's own table";
	if (!has_tasks)
		return 0;
	if (layout_take_tasks(from->task_basicsize, tasks, layout, why))
		return -1;
	out->source = "_Py_DebugOffsets and .AsyncioDebug";
	if (tasks[THREAD_TASKS] % 8 == 0 && tasks[THREAD_TASKS] < LAYOUT_THREAD_MAX &&
	    tasks[TASK_NODE] % 8 == 0 && tasks[TASK_NODE] < tasks[TASK_SIZE]) {
		out->task_heads = tasks[THREAD_TASKS];
		out->task_node = tasks[TASK_NODE];
	}
	return 0;
}
