/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Finds CPython's functions and data in its files, stripped or not, through
 * the tables that the interpreter itself must keep: method tables, type
 * objects and type specs. Where .symtab exists it is a second opinion, and a
 * contradiction is an error, not a choice.
 *
 * It must never trust a name alone: an answer lies in an executable segment
 * and its table entry has the right flags.
 */
#ifndef ASYNCPROF_TARGET_SYMBOLS_H
#define ASYNCPROF_TARGET_SYMBOLS_H

#include "elf.h"
#include "refusal.h"

/* Addresses as in the file; 0: not there. */
struct symbols {
	uint64_t context_run;
	uint64_t runtime;      /* _PyRuntime */
	uint64_t version_word; /* Py_Version, 3.11+ */
	uint64_t code_type;    /* PyCode_Type */
	uint64_t method_type;  /* PyMethod_Type */
	uint64_t str_type, bytes_type, int_type;
};

struct asyncio_symbols {
	uint64_t set_running_loop;
	uint64_t task_dealloc;
	uint64_t task_step;   /* tp_call of TaskStepMethWrapper */
	uint64_t task_wakeup; /* task_wakeup(task, future), 3.10+ */
	uint64_t task_wakeup_call; /* before: tp_call of TaskWakeupMethWrapper */
	uint32_t task_basicsize; /* key of the TaskObj layout; 0: not found */
};

/* 0, or -1 with `why` (EXIT_INTERPRETER): no such function, or two answers. */
int symbols_find(const struct elf *e, struct symbols *out, struct refusal *why);

/* Functions that uvloop's loop.*.so exports, stripped or not (uvloop/includes/compat.h). */
struct uvloop_symbols {
	uint64_t context_enter, context_exit;
};

/* 0, or -1: it has not both of them. */
int symbols_find_uvloop(const struct elf *e, struct uvloop_symbols *out);

/* Leaves what it can't find 0; `doubt` gets a line (or "") when .symtab contradicts. */
void symbols_find_asyncio(const struct elf *e, struct asyncio_symbols *out, char *doubt,
			  size_t size);

#endif
