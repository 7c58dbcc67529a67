/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * THE table of CPython offsets: one line a field, one column a minor
 * version. To add a version, add a column to every line, a Task row, and from
 * 3.13 a column to the debug words; then try it on a real build.
 *
 * Columns 3.8 to 3.13 were read from the DWARF of 3.8.18, 3.9.18, 3.10.13,
 * 3.11.7, 3.12.1 and 3.13.0 (x86-64, with GIL); header diffs from 3.8.0,
 * 3.9.0, 3.10.0rc2, 3.11.2 and 3.12.0 to these show no change to the fields.
 * Columns 3.14 and 3.15 are those of Debian's 3.14.10 and 3.15.2.
 *
 * It must never hold a value that was not seen in a build of that version.
 */
#include "target/layouts.h"

#include <stdio.h>
#include <string.h>

#define MINOR_FIRST 8
#define MINOR_LAST  15
#define MINOR_CNT   (MINOR_LAST - MINOR_FIRST + 1)
#define NO	    AP_NO_OFFSET

struct field {
	const char *name;
	uint16_t at, size; /* where in struct ap_layout */
	uint32_t value[MINOR_CNT];
};

#define FIELD(name, ...)                                                                           \
	{                                                                                          \
#name, offsetof(struct ap_layout, name), sizeof(((struct ap_layout *)0)->name),    \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* clang-format off */
static const struct field fields[] = {
	/*				   3.8   3.9  3.10  3.11  3.12  3.13  3.14  3.15 */

	/* _PyStackRef, Include/internal/pycore_stackref.h: tagged from 3.14 on */
	FIELD(tag_mask,                     0,    0,    0,    0,    0,    0,    3,    3),

	/* struct _ts, Include/cpython/pystate.h; 3.10 has a cframe, and `frame` still holds */
	FIELD(thread_frame,                24,   24,   24,   56,   56,   72,   72,   72),
	FIELD(cframe_frame,                NO,   NO,   NO,    8,    0,   NO,   NO,   NO),
	FIELD(thread_next,                  8,    8,    8,    8,    8,    8,    8,    8),
	FIELD(thread_native_id,            NO,   NO,   NO,  160,  144,  160,  160,  184),

	/*
	 * struct _frame, Include/cpython/frameobject.h (3.8-3.10); struct _PyInterpreterFrame,
	 * Include/internal/pycore_frame.h (pycore_interpframe_structs.h from 3.14). Owner 3 is
	 * FRAME_OWNED_BY_CSTACK; from 3.14 on 3 is BY_INTERPRETER and 4 BY_CSTACK.
	 */
	FIELD(frame_code,                  32,   32,   32,   32,    0,    0,    0,    0),
	FIELD(frame_previous,              24,   24,   24,   48,    8,    8,    8,    8),
	FIELD(frame_instr,                104,  104,   96,   56,   56,   56,   56,   56),
	FIELD(frame_owner,                 NO,   NO,   NO,   NO,   70,   70,   74,   74),
	FIELD(frame_shim,                   0,    0,    0,    0,    3,    3,    3,    3),
	FIELD(frame_locals,               360,  360,  352,   72,   72,   72,   80,   80),
	/* f_lasti: bytes until 3.9, code units in 3.10 (Objects/frameobject.c), a pointer after */
	FIELD(lasti_scale,                  1,    1,    2,    0,    0,    0,    0,    0),

	/* PyCodeObject, Include/cpython/code.h */
	FIELD(code_filename,              104,  104,  104,  112,  112,  112,  112,  112),
	FIELD(code_name,                  112,  112,  112,  120,  120,  120,  120,  120),
	FIELD(code_qualname,              112,  112,  112,  128,  128,  128,  128,  128),
	FIELD(code_firstlineno,            40,   40,   40,   72,   68,   68,   68,   68),
	FIELD(code_linetable,             120,  120,  120,  136,  136,  136,  136,  136),
	FIELD(code_adaptive,                0,    0,    0,  184,  192,  200,  208,  208),

	/* PyASCIIObject, PyCompactUnicodeObject, Include/cpython/unicodeobject.h; 3.12: no wstr */
	FIELD(str_length,                  16,   16,   16,   16,   16,   16,   16,   16),
	FIELD(str_state,                   32,   32,   32,   32,   32,   32,   32,   32),
	FIELD(str_ascii,                   48,   48,   48,   48,   40,   40,   40,   40),
	FIELD(str_compact,                 72,   72,   72,   72,   56,   56,   56,   56),
	/* PyBytesObject, Include/cpython/bytesobject.h */
	FIELD(bytes_size,                  16,   16,   16,   16,   16,   16,   16,   16),
	FIELD(bytes_data,                  32,   32,   32,   32,   32,   32,   32,   32),
	/* _PyLongValue, Include/cpython/longintrepr.h */
	FIELD(long_tag,                    NO,   NO,   NO,   NO,   16,   16,   16,   16),
	FIELD(long_digit,                  NO,   NO,   NO,   NO,   24,   24,   24,   24),

	/* PyFunctionObject, Include/cpython/funcobject.h */
	FIELD(function_code,               16,   16,   48,   48,   48,   48,   48,   48),
	FIELD(function_qualname,          104,  104,   40,   40,   40,   40,   40,   40),
	/* PyMethodObject, Include/cpython/classobject.h */
	FIELD(method_function,             16,   16,   16,   16,   16,   16,   16,   16),
	/* _PyGenObject_HEAD, Include/cpython/genobject.h */
	FIELD(coro_qualname,               56,   56,   48,   40,   32,   32,   32,   32),
	/* Handle.__slots__, Lib/asyncio/events.py, sorted by type_new(): _args 16, _callback 24 */
	FIELD(handle_callback,             24,   24,   24,   24,   24,   24,   24,   24),
	/*
	 * PyHeapTypeObject, Include/cpython/object.h; _PyObject_ValuesPointer(), pycore_object.h (3.11);
	 * struct _dictvalues and _dictkeysobject, pycore_dict.h (Objects/dict-common.h before 3.11);
	 * PyDictObject, Include/cpython/dictobject.h.
	 */
	FIELD(type_cached_keys,            NO,   NO,   NO,  872,  880,  880,  880,  888),
	FIELD(object_values,               NO,   NO,   NO,   32,   NO,   NO,   NO,   NO),
	FIELD(values_data,                  0,    0,    0,    0,    0,    8,    8,    8),
	FIELD(dict_keys,                   32,   32,   32,   32,   32,   32,   32,   32),
	FIELD(dict_values,                 40,   40,   40,   40,   40,   40,   40,   40),
	FIELD(keys_cnt,                    32,   32,   32,   24,   24,   24,   24,   24),
	FIELD(keys_indices,                40,   40,   40,   32,   32,   32,   32,   32),
	FIELD(keys_index_bytes,            NO,   NO,   NO,    9,    9,    9,    9,    9),
	/*
	 * PyHeapTypeObject, Include/cpython/object.h; PyModuleObject, pycore_moduleobject.h; asyncio_state,
	 * Modules/_asynciomodule.c, where current_tasks is {loop: task}; 3.14 has it in the thread state,
	 * and .AsyncioDebug says where. Only where tasks can be eager.
	 */
	FIELD(type_module,                 NO,   NO,   NO,   NO,  888,  888,  888,  896),
	FIELD(module_state,                NO,   NO,   NO,   NO,   32,   32,   32,   24),
	FIELD(asyncio_task_type,           NO,   NO,   NO,   NO,   24,   24,   24,   24),
	FIELD(asyncio_current,             NO,   NO,   NO,   NO,   48,   48,   NO,   NO),
	FIELD(thread_running_task,         NO,   NO,   NO,   NO,   NO,   NO,   NO,   NO),

	/* PyTypeObject, Include/cpython/object.h */
	FIELD(type_name,                   24,   24,   24,   24,   24,   24,   24,   24),
	/*
	 * struct pyruntimestate, PyInterpreterState: Include/internal/pycore_runtime.h,
	 * pycore_interp.h, pycore_gil.h, pycore_gc.h. In 3.8 gc belongs to the runtime; from
	 * 3.13 on the sum of two debug words gives interp_collecting.
	 */
	FIELD(runtime_interpreters_main,   40,   40,   40,   48,   48,  640,  816,  944),
	FIELD(gil_in_runtime,               1,    1,    1,    1,    0,    0,    0,    0),
	FIELD(gil_last_holder,           1160,  360,  360,  368, 1048, 7760, 7792, 7744),
	FIELD(interp_threads_head,          8,    8,    8,   16,   72, 7344, 7344, 7336),
	FIELD(interp_collecting,            0,  816,  816,  848,  312, 7600,    0,    0),
};

/*
 * TaskObj, Modules/_asynciomodule.c. FutureObj grew fut_exception_tb in 3.10.6
 * (gh-30274), inside a minor version: the size of the type tells.
 */
static const struct task_row {
	uint8_t minor;
	uint16_t basicsize, coro, name, state;
} tasks[] = {
	{  8, 144, 112, 120,  72 },
	{  9, 184, 152, 160,  80 },
	{ 10, 184, 152, 160,  80 },	/* 3.10.0 to 3.10.5 */
	{ 10, 192, 160, 168,  88 },
	{ 11, 176, 136, 144,  88 },
	{ 12, 176, 136, 144,  88 },
	{ 13, 144, 120, 128,  96 },
	{ 14, 168, 128, 136, 104 },
	{ 15, 168, 128, 136, 104 },
};

/*
 * Index of the u64 in _Py_DebugOffsets, Include/internal/pycore_runtime.h
 * (pycore_debug_offsets.h from 3.14). The table gives each structure's size as
 * well: a field that does not end within it is none.
 */
#define MINOR_DEBUG 13
enum { RUNTIME, INTERP, THREAD, FRAME, CODE, TYPE, DICT, LONG, BYTES, STR, GC };

static const uint16_t sizes[][MINOR_LAST - MINOR_DEBUG + 1] = {
	/*		3.13 3.14 3.15 */
	[RUNTIME] =	{  3,   3,   3 },
	[INTERP] =	{  6,   6,   6 },
	[THREAD] =	{ 19,  22,  22 },
	[FRAME] =	{ 28,  31,  39 },
	[CODE] =	{ 34,  39,  47 },
	[TYPE] =	{ 46,  52,  60 },
	[DICT] =	{ 56,  66,  78 },
	[LONG] =	{ 61,  71,  83 },
	[BYTES] =	{ 64,  74,  86 },
	[STR] =		{ 67,  77,  89 },
	[GC] =		{ 71,  81,  94 },
};

static const struct word {
	const char *name;
	uint16_t at, size;
	uint16_t index[MINOR_LAST - MINOR_DEBUG + 1];
	uint8_t owner, width;
	uint32_t max;
} words[] = {
#define WORD(name, owner, width, max, ...)                                                         \
	{ #name, offsetof(struct ap_layout, name), sizeof(((struct ap_layout *)0)->name),          \
	  { __VA_ARGS__ }, owner, width, max }
#define FRAME_MAX (AP_FRAME_WORDS * 8 - 8)
	/*			  owner	 width	       max   3.13 3.14 3.15 */
	WORD(interp_threads_head, INTERP,    8,  0x1000000,    9,   9,   9),
	WORD(gil_last_holder,	  INTERP,    8,  0x1000000,   18,  19,  19),
	WORD(thread_next,	  THREAD,    8,	    0x1000,   21,  24,  24),
	WORD(thread_frame,	  THREAD,    8,	    0x1000,   23,  26,  26),
	WORD(thread_native_id,	  THREAD,    8,	    0x1000,   25,  28,  31),
	WORD(frame_previous,	  FRAME,     8,  FRAME_MAX,   29,  32,  40),
	WORD(frame_code,	  FRAME,     8,  FRAME_MAX,   30,  33,  41),
	WORD(frame_instr,	  FRAME,     8,  FRAME_MAX,   31,  34,  42),
	WORD(frame_locals,	  FRAME,     8,	    0x1000,   32,  35,  43),
	WORD(frame_owner,	  FRAME,     1,  FRAME_MAX,   33,  36,  44),
	WORD(code_filename,	  CODE,	     8,	    0x1000,   35,  40,  48),
	WORD(code_name,		  CODE,	     8,	    0x1000,   36,  41,  49),
	WORD(code_qualname,	  CODE,	     8,	    0x1000,   37,  42,  50),
	WORD(code_linetable,	  CODE,	     8,	    0x1000,   38,  43,  51),
	WORD(code_firstlineno,	  CODE,	     4,	    0x1000,   39,  44,  52),
	WORD(code_adaptive,	  CODE,	     8,	    0x1000,   43,  48,  56),
	WORD(type_name,		  TYPE,	     8,	    0x1000,   47,  53,  61),
	WORD(dict_keys,		  DICT,	     8,	    0x1000,   57,  67,  79),
	WORD(dict_values,	  DICT,	     8,	    0x1000,   58,  68,  80),
	WORD(long_tag,		  LONG,	     8,	    0x1000,   62,  72,  84),
	WORD(long_digit,	  LONG,	     4,	    0x1000,   63,  73,  85),
	WORD(bytes_size,	  BYTES,     8,	    0x1000,   65,  75,  87),
	WORD(bytes_data,	  BYTES,     1,	    0x1000,   66,  76,  88),
	WORD(str_state,		  STR,	     4,	    0x1000,   68,  78,  90),
	WORD(str_length,	  STR,	     8,	    0x1000,   69,  79,  91),
	WORD(str_ascii,		  STR,	     8,	    0x1000,   70,  80,  92),
};

/* The same for sums: runtime.interpreters_head (main follows it), interp.gc + gc.collecting. */
static const uint16_t word_head[] = { 5, 5, 5 };
static const uint16_t word_gc[] = { 10, 11, 11 };
static const uint16_t word_collecting[] = { 72, 82, 95 };
/* clang-format on */

#define TASK_MAX 4096

static const char remedy[] = "use a regular release of CPython 3.8 to 3.15";

static void set_field(struct ap_layout *l, uint16_t at, uint16_t size, uint32_t value)
{
	uint16_t half = (uint16_t)value;

	if (size == sizeof(half))
		memcpy((char *)l + at, &half, sizeof(half));
	else
		memcpy((char *)l + at, &value, sizeof(value));
}

void layout_version_text(uint32_t version, char *buf, size_t size)
{
	/* PY_VERSION_HEX, Include/patchlevel.h: 0xMMmmppLS, L = a, b, c, f */
	static const char *const level[16] = {[0xa] = "a", [0xb] = "b", [0xc] = "rc", [0xf] = ""};
	const char *name = level[version >> 4 & 0xf];
	int n = snprintf(buf, size, "%u.%u.%u", version >> 24, version >> 16 & 0xff,
			 version >> 8 & 0xff);

	if (n < 0 || (size_t)n >= size || (name && !*name))
		return;
	snprintf(buf + n, size - (size_t)n, "%s%u", name ? name : "?", version & 0xf);
}

static int fill_task(uint32_t minor, uint32_t basicsize, struct ap_layout *out)
{
	int found = -1;

	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		const struct task_row *t = &tasks[i];

		if (t->minor != minor || (basicsize && t->basicsize != basicsize))
			continue;
		out->task_coro = t->coro;
		out->task_name = t->name;
		out->task_state = t->state;
		found = 0;
	}
	return found;
}

static int take_debug(uint32_t version, const uint64_t *debug, size_t cnt, struct ap_layout *out,
		      struct refusal *why)
{
	uint32_t column = (version >> 16 & 0xff) - MINOR_DEBUG;
	uint64_t head, gc, collecting;
	const char *bad = NULL;

	if (!debug || cnt < LAYOUT_DEBUG_WORDS || memcmp(debug, "xdebugpy", 8))
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "the interpreter has no table of debug offsets in _PyRuntime");
	if (debug[1] != version)
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "the table of debug offsets is of another version (0x%llx)",
			      (unsigned long long)debug[1]);
	if (debug[2])
		return refuse(why, EXIT_INTERPRETER, "use a build with the GIL",
			      "free-threaded builds of CPython are not supported");
	for (size_t i = 0; !bad && i < sizeof(words) / sizeof(words[0]); i++) {
		uint64_t value = debug[words[i].index[column]];

		if (value % words[i].width || value >= words[i].max ||
		    value + words[i].width > debug[sizes[words[i].owner][column]])
			bad = words[i].name;
		else
			set_field(out, words[i].at, words[i].size, (uint32_t)value);
	}
	head = debug[word_head[column]];
	if (!bad && (head % 8 || head >= NO - 8 || head + 16 > debug[sizes[RUNTIME][column]]))
		bad = "runtime_interpreters_main";
	out->runtime_interpreters_main = (uint16_t)(head + 8);
	gc = debug[word_gc[column]];
	collecting = debug[word_collecting[column]];
	if (!bad && (gc >= 0x1000000 || collecting % 4 || collecting >= 0x1000 ||
		     collecting + 4 > debug[sizes[GC][column]] ||
		     gc + collecting + 4 > debug[sizes[INTERP][column]]))
		bad = "interp_collecting";
	out->interp_collecting = (uint32_t)(gc + collecting);
	/* walk.h reads code and previous in one go: 16 bytes at 0. */
	if (!bad && (out->frame_code || out->frame_previous != 8))
		bad = "frame_previous";
	if (bad)
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "the interpreter's own debug offsets give an impossible %s", bad);
	return 0;
}

int layout_take_tasks(uint32_t basicsize, const uint64_t *table, struct ap_layout *out,
		      struct refusal *why)
{
	uint64_t size = table[TASK_SIZE];
	static const struct {
		const char *name;
		uint8_t index;
	} fields[] = {{"task_name", TASK_NAME}, {"task_coro", TASK_CORO}};

	if (size > TASK_MAX || (basicsize && size != basicsize))
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "_asyncio's own debug offsets are for a Task of %llu bytes, not of %u",
			      (unsigned long long)size, basicsize);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t value = table[fields[i].index];

		if (value % 8 || value >= size)
			return refuse(why, EXIT_INTERPRETER, remedy,
				      "_asyncio's own debug offsets give an impossible %s",
				      fields[i].name);
	}
	/* Where the state is it does not say. */
	if (fill_task(out->version & 0xff, (uint32_t)size, out))
		out->task_state = NO;
	out->task_name = (uint16_t)table[TASK_NAME];
	out->task_coro = (uint16_t)table[TASK_CORO];
	if (table[THREAD_RUNNING_TASK] % 8 || table[THREAD_RUNNING_TASK] >= table[THREAD_SIZE] ||
	    table[THREAD_SIZE] > LAYOUT_THREAD_MAX)
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "_asyncio's own debug offsets give an impossible thread_running_task");
	out->thread_running_task = (uint16_t)table[THREAD_RUNNING_TASK];
	return 0;
}

static void set_frame_size(struct ap_layout *l)
{
	uint32_t end = l->frame_instr + 8u;

	if (l->frame_previous + 8u > end)
		end = l->frame_previous + 8u;
	if (l->frame_owner != NO && l->frame_owner + 1u > end)
		end = l->frame_owner + 1u;
	l->frame_size = (uint16_t)((end + 7) & ~7u);
}

int layout_fill(uint32_t version, uint32_t task_basicsize, const uint64_t *debug, size_t debug_cnt,
		struct ap_layout *out, struct refusal *why)
{
	uint32_t minor = version >> 16 & 0xff;
	char text[32];

	memset(out, 0, sizeof(*out));
	layout_version_text(version, text, sizeof(text));
	if (version >> 24 != 3 || minor < MINOR_FIRST || minor > MINOR_LAST)
		return refuse(why, EXIT_INTERPRETER, remedy, "CPython %s is not supported", text);
	if ((version & 0xf0) != 0xf0)
		return refuse(
			why, EXIT_INTERPRETER, remedy,
			"CPython %s is a pre-release: its structures may differ at any commit",
			text);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		set_field(out, fields[i].at, fields[i].size, fields[i].value[minor - MINOR_FIRST]);
	out->version = version >> 16;
	if (fill_task(minor, task_basicsize, out))
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "CPython %s has an unknown _asyncio.Task of %u bytes", text,
			      task_basicsize);
	if (minor >= MINOR_DEBUG && take_debug(version, debug, debug_cnt, out, why))
		return -1;
	set_frame_size(out);
	return 0;
}
