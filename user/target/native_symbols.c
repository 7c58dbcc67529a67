/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A sorted array over libdw's symbol table (.symtab, or .dynsym of a stripped
 * file, or the two that .gnu_debugdata and .dynsym make up).
 *
 * It must never believe a size or count of it beyond its caps.
 */
#include "target/native_symbols.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Functions lie inside others only where assembly was written so; a few steps back find them. */
#define NESTED_MAX 8

struct native_symbols {
	size_t cnt;
	int have_eval;
	struct native_symbol *symbol;
};

static int starts_with(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/*
 * The function that runs Python code, 3.6-3.15 (Python/ceval.c), and the parts that gcc made of
 * it: ".cold", ".lto_priv.0". With tail calls (3.14, clang) each instruction is a function
 * _TAIL_CALL_name that takes its place on the stack.
 */
static int is_eval(const char *name)
{
	static const char eval[] = "_PyEval_EvalFrameDefault";

	if (starts_with(name, "_TAIL_CALL_"))
		return 1;
	return starts_with(name, eval) &&
	       (!name[sizeof(eval) - 1] || name[sizeof(eval) - 1] == '.');
}

static int fill(Dwfl_Module *module, int index, struct native_symbol *s)
{
	GElf_Sym sym;
	GElf_Addr addr;
	GElf_Word section;
	const char *name =
		dwfl_module_getsym_info(module, index, &sym, &addr, &section, NULL, NULL);
	unsigned int type, binding;

	if (!name || !name[0])
		return 0;
	type = GELF_ST_TYPE(sym.st_info);
	binding = GELF_ST_BIND(sym.st_info);
	/* Assembly often leaves the type out, but functions with a size are functions. */
	if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) ||
	    section == SHN_UNDEF || section == SHN_ABS || !sym.st_size || !addr ||
	    __builtin_add_overflow(addr, sym.st_size, &s->end))
		return 0;
	s->start = addr;
	s->name = name;
	s->rank = binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2;
	s->eval = (uint8_t)is_eval(name);
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct native_symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct native_symbols *native_symbols__read(Dwfl_Module *module)
{
	struct native_symbols *s = calloc(1, sizeof(*s));
	int cnt = s ? dwfl_module_getsymtab(module) : -1;
	size_t kept = 0;

	if (cnt <= 0 || cnt > NATIVE_SYMBOLS_MAX)
		return s;
	s->symbol = malloc((size_t)cnt * sizeof(*s->symbol));
	if (!s->symbol) {
		free(s);
		return NULL;
	}
	/* 0 is no symbol in every table. */
	for (int i = 1; i < cnt; i++)
		s->cnt += (size_t)fill(module, i, &s->symbol[s->cnt]);
	qsort(s->symbol, s->cnt, sizeof(*s->symbol), compare);
	for (size_t i = 0; i < s->cnt; i++) {
		s->have_eval |= s->symbol[i].eval;
		if (!kept || s->symbol[kept - 1].start != s->symbol[i].start)
			s->symbol[kept++] = s->symbol[i];
		else if (s->symbol[i].eval)
			s->symbol[kept - 1] = s->symbol[i];
	}
	s->cnt = kept;
	return s;
}

void native_symbols__free(struct native_symbols *s)
{
	if (!s)
		return;
	free(s->symbol);
	free(s);
}

const struct native_symbol *native_symbols_find(const struct native_symbols *s, uint64_t addr)
{
	size_t low = 0, high = s->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->symbol[mid].start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t i = 0; i < NESTED_MAX && low; i++) {
		if (addr < s->symbol[--low].end)
			return &s->symbol[low];
	}
	return NULL;
}

int native_symbols_have_eval(const struct native_symbols *s)
{
	return s->have_eval;
}
