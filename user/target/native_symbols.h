/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The functions of one file, sorted, as libdw reads its symbol table: libdw's
 * own search looks at every symbol for every address.
 *
 * It must never name an address that is not inside a function of known size:
 * in a stripped file the function before it is a neighbour.
 */
#ifndef ASYNCPROF_TARGET_NATIVE_SYMBOLS_H
#define ASYNCPROF_TARGET_NATIVE_SYMBOLS_H

#include <elfutils/libdwfl.h>
#include <stdint.h>

#define NATIVE_SYMBOLS_MAX (2 * 1024 * 1024) /* a browser engine has half a million */

struct native_symbols;

struct native_symbol {
	uint64_t start, end; /* addresses in the target */
	const char *name;    /* bytes of the file: they live as long as the module */
	uint8_t rank;	     /* among names of one address the lowest stays */
	uint8_t eval;	     /* 1: (part of) the interpreter's eval function */
};

/* Never NULL but for want of memory: a file without symbols has none. The caller frees it. */
struct native_symbols *native_symbols__read(Dwfl_Module *module);
void native_symbols__free(struct native_symbols *s);

/* The function that holds `addr`, or NULL. */
const struct native_symbol *native_symbols_find(const struct native_symbols *s, uint64_t addr);

/* 1: there is an eval function among them. */
int native_symbols_have_eval(const struct native_symbols *s);

#endif
