/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A frame fits when its code is code, three of its words are str, one is
 * bytes, and the instruction lies within the code. Strings and bytes end with
 * a NUL of their own (Objects/unicodeobject.c, bytesobject.c), which tells
 * lengths and data from other words.
 *
 * It must never walk without a bound: all of this is the target's.
 */
#include "target/fit.h"

#include <string.h>
#include <time.h>

#include "target/frames.h"

#define TYPE_WORD    8	/* PyObject.ob_type, builds with a GIL */
#define SIZE_WORD    16 /* PyVarObject.ob_size */
#define THREADS_MAX  64
#define CHAIN_MAX    128
#define TASKS_MAX    8
#define NAME_MAX_LEN 255
#define LINE_MAX     (1 << 28)
#define TABLE_MAX    (1 << 28)
#define OWNER_MAX    4 /* FRAME_OWNED_BY_CSTACK in 3.14; fewer before and after */
/* Include/cpython/unicodeobject.h, 3.8 to 3.15 */
#define STATE_COMPACT (1 << 5)
#define STATE_ASCII   (1 << 6)
#define LENGTH_MAX    (1 << 28)

static uint64_t word_at(const struct fit *f, uint64_t addr)
{
	uint64_t word = 0;

	if (addr < 4096 || addr >= 1ULL << 47 || addr & 7 ||
	    memory_read(f->memory, addr, &word, sizeof(word)))
		return 0;
	return word;
}

static int is_a(const struct fit *f, uint64_t object, uint64_t type)
{
	uint64_t word = word_at(f, object + TYPE_WORD);

	return word && (!type || word == type);
}

/* The str that names a function: ASCII and short as a rule, which can be held against its NUL. */
static const char *misfit_of_text(const struct fit *f, uint64_t str)
{
	const struct ap_layout *l = f->layout;
	uint64_t length = word_at(f, str + l->str_length);
	char text[NAME_MAX_LEN + 1];
	uint32_t state = 0;

	if (memory_read(f->memory, str + l->str_state, &state, sizeof(state)) ||
	    !(state & STATE_COMPACT))
		return "str_state";
	if (length > LENGTH_MAX)
		return "str_length";
	if (!(state & STATE_ASCII) || length > NAME_MAX_LEN)
		return NULL;
	if (memory_read(f->memory, str + l->str_ascii, text, length + 1))
		return "str_ascii";
	if (strnlen(text, length + 1) == length)
		return NULL;
	return text[0] > ' ' && text[0] < 0x7f ? "str_length" : "str_ascii";
}

static const char *misfit_of_table(const struct fit *f, uint64_t bytes)
{
	const struct ap_layout *l = f->layout;
	uint64_t size = word_at(f, bytes + l->bytes_size);
	char end = 1;

	if (size > TABLE_MAX ||
	    memory_read(f->memory, bytes + l->bytes_data + size, &end, 1) || end)
		return "bytes_size";
	return NULL;
}

static const char *misfit_of_code(const struct fit *f, uint64_t code)
{
	const struct ap_layout *l = f->layout;
	const struct {
		const char *name;
		uint16_t at;
		uint64_t type;
	} fields[] = {
		{"code_filename", l->code_filename, f->types.str},
		{"code_name", l->code_name, f->types.str},
		{"code_qualname", l->code_qualname, f->types.str},
		{"code_linetable", l->code_linetable, f->types.bytes},
	};
	int32_t line = -1;
	const char *bad;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!is_a(f, word_at(f, code + fields[i].at), fields[i].type))
			return fields[i].name;
	}
	if (memory_read(f->memory, code + l->code_firstlineno, &line, sizeof(line)) || line < 0 ||
	    line > LINE_MAX)
		return "code_firstlineno";
	bad = misfit_of_text(f, word_at(f, code + l->code_name));
	return bad ? bad : misfit_of_table(f, word_at(f, code + l->code_linetable));
}

/* From 3.11 the code object holds its instructions, ob_size units of two bytes. */
static int is_within(const struct fit *f, const struct frames_one *one)
{
	uint64_t units = f->layout->lasti_scale ? 0 : word_at(f, one->code + SIZE_WORD);

	return one->lasti >= -2 && (!units || (uint64_t)(one->lasti + 2) <= units * 2 + 2);
}

static const char *misfit_of_frame(const struct fit *f, uint64_t frame, const struct frames_one *one)
{
	const struct ap_layout *l = f->layout;
	uint8_t owner = 0;
	const char *bad;

	if (l->frame_owner != AP_NO_OFFSET &&
	    (memory_read(f->memory, frame + l->frame_owner, &owner, 1) || owner > OWNER_MAX))
		return "frame_owner";
	bad = misfit_of_code(f, one->code);
	return bad || is_within(f, one) ? bad : "frame_instr";
}

/*
 * A frame fits, and the one below it can be followed. 0: it does not look so, and `bad` says why
 * unless the thread has no frame. What leads to no frame at all is to blame itself.
 */
static int thread_fits(const struct fit *f, uint64_t tstate, const char **bad)
{
	struct frames walk = {.memory = f->memory, .layout = f->layout};
	uint64_t at = frames_current(&walk, tstate);
	const char *leads = "thread_frame";
	unsigned int fits = 0;

	for (unsigned int i = 0; at && fits < 2 && i < CHAIN_MAX; i++) {
		struct frames_one one;
		const char *why;

		if (frames_read(&walk, at, &one) ||
		    (!one.shim && !is_a(f, one.code, f->types.code))) {
			*bad = leads;
			return 0;
		}
		why = one.shim ? NULL : misfit_of_frame(f, at, &one);
		if (why)
			*bad = why;
		fits += !one.shim && !why;
		leads = "frame_previous";
		at = one.previous;
	}
	return fits > 0;
}

static const char *misfit_of_frames(const struct fit *f, const uint64_t *tstate, int cnt)
{
	const char *bad = NULL;

	for (int i = 0; i < cnt; i++) {
		if (thread_fits(f, tstate[i], &bad))
			return NULL;
	}
	return bad;
}

static const char *misfit_of_task(const struct fit *f, uint64_t task)
{
	const struct ap_layout *l = f->layout;
	uint64_t name = word_at(f, task + l->task_name);
	uint64_t coro = word_at(f, task + l->task_coro);

	/* A name is a str, or from 3.12 on the number of an unnamed task. */
	if (!is_a(f, name, f->types.str) && !is_a(f, name, f->types.number))
		return "task_name";
	/* A coroutine may be of any type; that has a type in turn, and a name. */
	if (!is_a(f, word_at(f, coro + TYPE_WORD), 0) ||
	    !word_at(f, word_at(f, coro + TYPE_WORD) + l->type_name))
		return "task_coro";
	return NULL;
}

/* Circular lists of the tasks that a thread made (3.14, Modules/_asynciomodule.c). */
static const char *misfit_of_tasks(const struct fit *f, const uint64_t *tstate, int cnt)
{
	const char *bad = NULL;

	for (int i = 0; f->task_heads && i < cnt; i++) {
		uint64_t head = tstate[i] + f->task_heads, node = word_at(f, head);

		for (int k = 0; k < TASKS_MAX && node && node != head; k++) {
			bad = misfit_of_task(f, node - f->task_node);
			if (!bad)
				return NULL;
			node = word_at(f, node);
		}
	}
	return bad;
}

const char *fit_misfit(const struct fit *f)
{
	static const long wait_ms[] = {0, 1, 5, 20, 50};
	struct frames list = {.memory = f->memory, .layout = f->layout};
	uint64_t tstate[THREADS_MAX];
	const char *bad = NULL;

	for (size_t i = 0; i < sizeof(wait_ms) / sizeof(wait_ms[0]); i++) {
		struct timespec ts = {0, wait_ms[i] * 1000000};
		int cnt;

		nanosleep(&ts, NULL);
		cnt = frames_threads(&list, f->interpreter, tstate, THREADS_MAX);
		bad = misfit_of_frames(f, tstate, cnt);
		if (!bad)
			bad = misfit_of_tasks(f, tstate, cnt);
		if (!bad)
			return NULL;
	}
	/* What took too long to read is not known, and its page is not read again. */
	return memory_timeouts(f->memory) ? NULL : bad;
}
