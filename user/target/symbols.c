/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * CPython's own tables, read from its files. Field offsets of PyTypeObject
 * (Include/cpython/object.h), PyMethodDef (Include/methodobject.h: name,
 * function, flags, doc) and PyType_Spec (Include/object.h: name, basicsize,
 * itemsize, flags, slots) are the same from 3.8 to 3.15.
 *
 * It must never walk a table further than its bound: the end mark is the
 * target's too.
 */
#include "target/symbols.h"

#include <stdio.h>
#include <string.h>

#define TYPE_NAME      24
#define TYPE_BASICSIZE 32
#define TYPE_DEALLOC   48
#define TYPE_CALL      128
#define TYPE_METHODS   232
#define METHOD_SZ      32
#define METHODS_MAX    256
#define SPEC_BASICSIZE 8
#define SPEC_SLOTS     24
#define SLOT_SZ	       16
#define SLOTS_MAX      80
#define SLOT_CALL      50 /* Py_tp_call, Include/typeslots.h */
#define SLOT_DEALLOC   52 /* Py_tp_dealloc */
#define BASICSIZE_MAX  4096

/* Include/methodobject.h */
#define METH_O	      0x08
#define METH_FASTCALL 0x80
#define METH_KEYWORDS 0x02

/* The function that the method tables know by a name. */
struct method {
	const struct elf *e;
	uint32_t flags;
	unsigned int cnt; /* different functions found */
	uint64_t function;
};

static int word32(const struct elf *e, uint64_t vaddr, uint32_t *value)
{
	const void *at = elf_bytes(e, vaddr, sizeof(*value));

	if (!at)
		return -1;
	memcpy(value, at, sizeof(*value));
	return 0;
}

static int see_method(void *ctx, uint64_t slot)
{
	struct method *m = ctx;
	uint64_t function = elf_pointer(m->e, slot + 8);
	uint32_t flags;

	if (!elf_is_code(m->e, function) || word32(m->e, slot + 16, &flags) || flags != m->flags ||
	    function == m->function)
		return 0;
	m->function = function;
	m->cnt++;
	return 0;
}

/* 0 when there is none, or more than one. */
static uint64_t find_method(const struct elf *e, const char *name, uint32_t flags,
			    unsigned int *cnt)
{
	struct method m = {.e = e, .flags = flags};

	elf_each_reference(e, name, see_method, &m);
	*cnt = m.cnt;
	return m.cnt == 1 ? m.function : 0;
}

static uint64_t find_in_type(const struct elf *e, uint64_t type, const char *name, uint32_t flags)
{
	uint64_t method = elf_pointer(e, type + TYPE_METHODS);

	for (unsigned int i = 0; method && i < METHODS_MAX; i++, method += METHOD_SZ) {
		uint64_t name_at = elf_pointer(e, method);
		uint64_t function = elf_pointer(e, method + 8);
		const char *s;
		uint32_t f;

		if (!name_at)
			break;
		s = elf_string(e, name_at, 64);
		if (s && !strcmp(s, name) && !word32(e, method + 16, &f) && f == flags &&
		    elf_is_code(e, function))
			return function;
	}
	return 0;
}

/* A data symbol of the interpreter: exported by every build seen, else in .symtab. */
static uint64_t find_data(const struct elf *e, const char *name)
{
	uint64_t value = elf_dynsym(e, name);

	return value ? value : elf_symtab(e, name);
}

int symbols_find(const struct elf *e, struct symbols *out, struct refusal *why)
{
	static const char remedy[] = "use a regular build of CPython 3.8 to 3.15";
	const uint32_t flags = METH_FASTCALL | METH_KEYWORDS;
	uint64_t type = find_data(e, "PyContext_Type");
	uint64_t named = elf_symtab(e, "context_run");
	unsigned int cnt = 1;

	memset(out, 0, sizeof(*out));
	if (type)
		out->context_run = find_in_type(e, type, "run", flags);
	if (!out->context_run)
		out->context_run = find_method(e, "run", flags, &cnt);
	if (!out->context_run)
		return refuse(why, EXIT_INTERPRETER, remedy,
			      cnt ? "the interpreter has %u functions that could be Context.run()"
				  : "the interpreter has no Context.run() (%u found): too old, or "
				    "no CPython",
			      cnt);
	if (named && named != out->context_run)
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "the interpreter's symbol table and its method table name different "
			      "functions for Context.run()");
	out->runtime = find_data(e, "_PyRuntime");
	if (!out->runtime)
		return refuse(why, EXIT_INTERPRETER, remedy,
			      "the interpreter does not export _PyRuntime");
	out->version_word = find_data(e, "Py_Version");
	out->code_type = find_data(e, "PyCode_Type");
	out->method_type = find_data(e, "PyMethod_Type");
	out->str_type = find_data(e, "PyUnicode_Type");
	out->bytes_type = find_data(e, "PyBytes_Type");
	out->int_type = find_data(e, "PyLong_Type");
	return 0;
}

/* A type of asyncio's C code, static before 3.12 and made from a spec since, and one of its slots. */
struct task_type {
	const struct elf *e;
	uint32_t at, slot; /* where a type has it, its number in a spec */
	uint64_t function;
	uint32_t basicsize;
};

static int see_type(void *ctx, uint64_t slot)
{
	struct task_type *t = ctx;
	uint64_t type = slot - TYPE_NAME;
	uint64_t function, slots = elf_pointer(t->e, slot + SPEC_SLOTS);
	uint32_t size, id;

	/* The word at +24 is tp_dealloc of a type and the slots of a spec: code or data. */
	function = elf_pointer(t->e, type + t->at);
	if (elf_is_code(t->e, elf_pointer(t->e, type + TYPE_DEALLOC)) &&
	    elf_is_code(t->e, function) && !word32(t->e, type + TYPE_BASICSIZE, &size) && size &&
	    size < BASICSIZE_MAX) {
		t->function = function;
		t->basicsize = size;
		return 1;
	}
	if (!slots || word32(t->e, slot + SPEC_BASICSIZE, &size) || !size || size >= BASICSIZE_MAX)
		return 0;
	for (unsigned int i = 0; i < SLOTS_MAX; i++, slots += SLOT_SZ) {
		if (word32(t->e, slots, &id) || !id)
			break;
		function = elf_pointer(t->e, slots + 8);
		if (id == t->slot && elf_is_code(t->e, function)) {
			t->function = function;
			t->basicsize = size;
			return 1;
		}
	}
	return 0;
}

/* tp_call of a type that wraps a task's method; `name` ends the name that the type has. */
static uint64_t find_call(const struct elf *e, const char *name)
{
	struct task_type type = {.e = e, .at = TYPE_CALL, .slot = SLOT_CALL};

	elf_each_reference(e, name, see_type, &type);
	return type.function;
}

int symbols_find_uvloop(const struct elf *e, struct uvloop_symbols *out)
{
	out->context_enter = elf_dynsym(e, "Context_Enter");
	out->context_exit = elf_dynsym(e, "Context_Exit");
	return elf_is_code(e, out->context_enter) && elf_is_code(e, out->context_exit) ? 0 : -1;
}

void symbols_find_asyncio(const struct elf *e, struct asyncio_symbols *out, char *doubt,
			  size_t size)
{
	struct task_type task = {.e = e, .at = TYPE_DEALLOC, .slot = SLOT_DEALLOC};
	uint64_t named;
	unsigned int cnt;

	memset(out, 0, sizeof(*out));
	doubt[0] = '\0';
	out->set_running_loop = find_method(e, "_set_running_loop", METH_O, &cnt);
	if (cnt > 1)
		snprintf(doubt, size, "%u functions could be _asyncio._set_running_loop", cnt);
	named = elf_symtab(e, "_asyncio__set_running_loop");
	if (named && out->set_running_loop && named != out->set_running_loop) {
		out->set_running_loop = 0;
		snprintf(doubt, size,
			 "symbol table and method table differ about _set_running_loop");
	}
	elf_each_reference(e, "_asyncio.Task", see_type, &task);
	out->task_dealloc = task.function;
	out->task_basicsize = task.basicsize;
	named = elf_symtab(e, "TaskObj_dealloc");
	if (named && out->task_dealloc && named != out->task_dealloc) {
		out->task_dealloc = 0;
		snprintf(doubt, size, "symbol table and type table differ about Task's tp_dealloc");
	}
	/* By the end of its name: "_asyncio.TaskStepMethWrapper" since 3.12. */
	out->task_step = find_call(e, "TaskStepMethWrapper");
	if (!out->task_step)
		out->task_step = find_call(e, "_asyncio.TaskStepMethWrapper");
	out->task_wakeup = find_method(e, "task_wakeup", METH_O, &cnt);
	if (!out->task_wakeup)
		out->task_wakeup_call = find_call(e, "TaskWakeupMethWrapper");
}
