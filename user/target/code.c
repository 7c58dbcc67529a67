/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The same readings as the kernel programs make, with the same offsets, but
 * through a child that may take its time, and of whole line tables.
 *
 * It must never follow an object whose type word does not fit.
 */
#include "target/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int ap_read(void *dst, __u32 size, __u64 addr);
#include "attribute.h"

#define BUILTIN_DEF 16 /* PyCFunctionObject.m_ml */
#define TYPE_WORD    8 /* ob_type of every object, builds with a GIL */
#define TYPE_NAME_SZ 32

static int read_word(struct memory *m, uint64_t addr, uint64_t *word)
{
	*word = 0;
	if (addr < 4096 || addr >= 1ULL << 47)
		return -EFAULT;
	return memory_read(m, addr, word, sizeof(*word));
}

/* attribute.h reads without a context: whose memory, for the time of one call. */
static _Thread_local struct memory *reading;

static int ap_read(void *dst, __u32 size, __u64 addr)
{
	return addr < 4096 || addr >= 1ULL << 47 ? -EFAULT : memory_read(reading, addr, dst, size);
}

/* A C string, cut to `size`; it may end where its page does. */
static size_t read_cstring(struct memory *m, uint64_t addr, char *buf, size_t size)
{
	size_t used = 0, len;

	while (used < size - 1) {
		size_t step = 16 - (addr + used) % 16;

		if (addr < 4096 || step > size - 1 - used)
			step = size - 1 - used;
		if (addr < 4096 || memory_read(m, addr + used, buf + used, step))
			break;
		len = strnlen(buf + used, step);
		used += len;
		if (len < step)
			break;
	}
	buf[used] = '\0';
	return used;
}

int code_read_text(struct memory *m, const struct ap_layout *l, uint64_t addr, struct ap_text *text,
		   uint8_t *data, size_t size)
{
	uint64_t length, kept;
	uint32_t state = 0, width;
	int err;

	memset(text, 0, sizeof(*text));
	err = read_word(m, addr + l->str_length, &length);
	if (!err)
		err = memory_read(m, addr + l->str_state, &state, sizeof(state));
	if (err)
		return err;
	/* Include/cpython/unicodeobject.h: interned 0-1, kind 2-4, compact 5, ascii 6 */
	width = state >> 2 & 7;
	if (!(state & 1 << 5) || (width != 1 && width != 2 && width != 4) || length >> 31)
		return -EINVAL;
	kept = length * width < size ? length * width : size - size % width;
	err = memory_read(m, addr + (state & 1 << 6 ? l->str_ascii : l->str_compact), data, kept);
	if (err)
		return err;
	text->length = (uint32_t)length;
	text->kept = (uint16_t)kept;
	text->width = (uint8_t)width;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int has_type(struct memory *m, uint64_t addr, uint64_t type)
{
	uint64_t word;

	return !read_word(m, addr + TYPE_WORD, &word) && word == type;
}

int code_read(struct memory *m, const struct ap_layout *l, uint64_t code_type, uint64_t addr,
	      uint32_t tgid, uint32_t tid, struct ap_code **out)
{
	uint64_t word = 0, table = 0, len = 0;
	struct ap_code *c;
	uint32_t kept;

	*out = NULL;
	if (addr < 4096 || addr >= 1ULL << 47 || (addr & 7) ||
	    (code_type && !has_type(m, addr, code_type)))
		return -EINVAL;
	if (!read_word(m, addr + l->code_linetable, &table) &&
	    read_word(m, table + l->bytes_size, &len))
		len = 0;
	if (len >> 31)
		len = 0;
	kept = len <= CODE_LINETABLE_MAX ? (uint32_t)len : 0;
	c = calloc(1, sizeof(*c) + kept);
	if (!c)
		return -ENOMEM;
	c->code = addr;
	c->version = l->version;
	c->linetable_len = (uint32_t)len;
	if (kept && !memory_read(m, table + l->bytes_data, c->linetable, kept))
		c->linetable_kept = kept;
	if (memory_read(m, addr + l->code_firstlineno, &c->firstlineno, sizeof(c->firstlineno)))
		c->firstlineno = 0;
	if (!read_word(m, addr + l->code_qualname, &word))
		code_read_text(m, l, word, &c->name.text, c->name.data, sizeof(c->name.data));
	if (!read_word(m, addr + l->code_filename, &word))
		code_read_text(m, l, word, &c->file.text, c->file.data, sizeof(c->file.data));
	c->head = (struct ap_head){AP_CODE, (uint32_t)sizeof(*c) + c->linetable_kept, tgid, tid,
				   now_ns()};
	*out = c;
	return 0;
}

static void read_type_name(struct memory *m, const struct ap_layout *l, uint64_t type, char *name,
			   size_t size)
{
	uint64_t at;

	name[0] = '\0';
	if (!read_word(m, type + l->type_name, &at))
		read_cstring(m, at, name, size);
}

int code_is_type(struct memory *m, const struct ap_layout *l, uint64_t type, const char *name)
{
	char have[TYPE_NAME_SZ];

	read_type_name(m, l, type, have, sizeof(have));
	return !strcmp(have, name);
}

static void name_of_cstring(struct memory *m, uint64_t addr, struct ap_text_name *out)
{
	char text[AP_NAME_SZ];
	size_t len = read_cstring(m, addr, text, sizeof(text));

	if (!len)
		return;
	memcpy(out->data, text, len);
	out->text = (struct ap_text){.length = (uint32_t)len, .kept = (uint16_t)len, .width = AP_TEXT_UTF8};
}

static void name_of_code(struct memory *m, const struct ap_layout *l, uint64_t code,
			 struct ap_text_name *out)
{
	uint64_t name;

	if (!read_word(m, code + l->code_qualname, &name))
		code_read_text(m, l, name, &out->text, out->data, sizeof(out->data));
}

/* From 3.12 an unnamed task keeps its number; digits have 30 bits (longintrepr.h). */
static uint64_t read_number(struct memory *m, const struct ap_layout *l, uint64_t addr)
{
	uint32_t digit[2] = {0};
	uint64_t tag;

	if (l->long_tag == AP_NO_OFFSET || read_word(m, addr + l->long_tag, &tag) ||
	    memory_read(m, addr + l->long_digit, digit, tag >> 3 > 1 ? 8 : 4))
		return 0;
	return digit[0] | (uint64_t)digit[1] << 30;
}

/* `value` is what the task keeps as its name. */
static void name_of_value(struct memory *m, const struct ap_layout *l, uint64_t value,
			  struct ap_name *out)
{
	char type[TYPE_NAME_SZ];
	uint64_t word;

	if (read_word(m, value + TYPE_WORD, &word))
		return;
	read_type_name(m, l, word, type, sizeof(type));
	if (!strcmp(type, "str"))
		code_read_text(m, l, value, &out->task_name.text, out->task_name.data,
			       sizeof(out->task_name.data));
	else if (!strcmp(type, "int"))
		out->task_number = read_number(m, l, value);
}

static void name_of_task(struct memory *m, const struct ap_layout *l, struct ap_name *out)
{
	uint64_t word, coro, name;

	if (!read_word(m, out->task + l->task_coro, &coro) &&
	    !read_word(m, coro + l->coro_qualname, &word))
		code_read_text(m, l, word, &out->coro.text, out->coro.data, sizeof(out->coro.data));
	if (!read_word(m, out->task + l->task_name, &name))
		name_of_value(m, l, name, out);
}

static void name_of_builtin(struct memory *m, const struct ap_open *open, struct ap_name *out)
{
	char def[16];
	uint64_t name;

	/* PyMethodDef.ml_name is at 0 (Include/methodobject.h). */
	if (read_word(m, open->word2, &name))
		return;
	read_cstring(m, name, def, sizeof(def));
	if (strcmp(def, "task_wakeup")) {
		name_of_cstring(m, name, &out->callback);
		return;
	}
	out->callee = AP_CALLEE_TASK;
	out->task = open->word3;
}

/* `__step` of Lib/asyncio/tasks.py, or `__wakeup` that calls it. */
static int is_step(struct memory *m, const struct ap_layout *l, uint64_t code)
{
	struct ap_text_name name = {0};
	uint64_t at;

	if (read_word(m, code + l->code_name, &at) ||
	    code_read_text(m, l, at, &name.text, name.data, sizeof(name.data)))
		return 0;
	return (name.text.kept == 6 && !memcmp(name.data, "__step", 6)) ||
	       (name.text.kept == 8 && !memcmp(name.data, "__wakeup", 8));
}

/* Before 3.11 code has no qualified name, functions do. */
static void name_of_function(struct memory *m, const struct ap_layout *l, uint64_t code,
			     uint64_t qualname, struct ap_name *out)
{
	if (l->code_qualname != l->code_name ||
	    code_read_text(m, l, qualname, &out->callback.text, out->callback.data,
			   sizeof(out->callback.data)))
		name_of_code(m, l, code, &out->callback);
}

/* A bound method or a partial: of a function, as a rule, but a partial may hold a bound method. */
static void name_of_inner(struct memory *m, const struct ap_layout *l, const struct ap_open *open,
			  struct ap_name *out)
{
	uint64_t object = open->word2, type, code, qualname, def;
	char name[TYPE_NAME_SZ];

	if (read_word(m, object + TYPE_WORD, &type))
		return;
	read_type_name(m, l, type, name, sizeof(name));
	if (!strcmp(name, "method")) {
		if (read_word(m, object + l->method_function, &object) ||
		    read_word(m, object + TYPE_WORD, &type))
			return;
		read_type_name(m, l, type, name, sizeof(name));
	}
	if (!strcmp(name, "builtin_function_or_method") && !read_word(m, object + BUILTIN_DEF, &def) &&
	    !read_word(m, def, &def))
		name_of_cstring(m, def, &out->callback);
	if (strcmp(name, "function") != 0 || read_word(m, object + l->function_code, &code) ||
	    read_word(m, object + l->function_qualname, &qualname))
		return;
	name_of_function(m, l, code, qualname, out);
	/* A Task in Python has its step as a bound method. */
	if (out->callee == AP_CALLEE_METHOD && is_step(m, l, code)) {
		out->callee = AP_CALLEE_TASK;
		out->task = open->word3;
		reading = m;
		name_of_value(m, l, ap_task_name(l, out->task), out);
	}
}

/* Of a foreign loop's callback: its task, or the code that the loop called. */
static void name_of_foreign(struct memory *m, const struct ap_layout *l, const struct ap_open *open,
			    struct ap_name *out)
{
	if (open->flags & AP_F_TASK) {
		out->callee = AP_CALLEE_TASK;
		out->task = open->word2;
		name_of_task(m, l, out);
	} else if (open->qualname && is_step(m, l, open->qualname)) {
		out->callee = AP_CALLEE_TASK;
	} else if (open->qualname) {
		out->callee = AP_CALLEE_FUNCTION;
		name_of_code(m, l, open->qualname, &out->callback);
	}
}

void code_read_name(struct memory *m, const struct ap_layout *l, const struct ap_open *open,
		    struct ap_name *out)
{
	char type[TYPE_NAME_SZ];
	uint64_t word;

	if (open->flags & AP_F_LEAVES) {
		name_of_foreign(m, l, open, out);
		return;
	}
	read_type_name(m, l, open->type, type, sizeof(type));
	if (!strcmp(type, "_asyncio.TaskStepMethWrapper") || !strcmp(type, "TaskStepMethWrapper") ||
	    !strcmp(type, "TaskWakeupMethWrapper")) {
		out->callee = AP_CALLEE_TASK;
		out->task = open->word2;
	} else if (!strcmp(type, "builtin_function_or_method")) {
		out->callee = AP_CALLEE_BUILTIN;
		name_of_builtin(m, open, out);
	} else if (!strcmp(type, "function")) {
		out->callee = AP_CALLEE_FUNCTION;
		name_of_function(m, l, l->function_code == 48 ? open->word6 : open->word2, open->qualname,
				 out);
	} else if (!strcmp(type, "method")) {
		out->callee = AP_CALLEE_METHOD;
	} else if (!strcmp(type, "functools.partial")) {
		out->callee = AP_CALLEE_PARTIAL;
	} else if (type[0]) {
		out->callee = AP_CALLEE_OTHER;
		if (!read_word(m, open->type + l->type_name, &word))
			name_of_cstring(m, word, &out->callback);
	}
	if (out->task)
		name_of_task(m, l, out);
	if (out->callee == AP_CALLEE_METHOD || out->callee == AP_CALLEE_PARTIAL)
		name_of_inner(m, l, open, out);
}
