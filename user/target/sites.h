/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which instruction of a function gets the breakpoint. The kernel emulates
 * push, nop, jcc and jmp (0.7 us a hit, Linux arch/x86/kernel/uprobes.c:
 * push_setup_xol_ops, branch_setup_xol_ops) and single-steps the rest, which
 * a virtual machine pays with 16 to 20 us.
 *
 * It must never choose a call (a shadow stack or a return probe would see
 * it), a 5-byte nop (the kernel may patch it into a call), a place that some
 * calls pass by, one where the arguments have been overwritten, or the
 * middle of an instruction.
 */
#ifndef ASYNCPROF_TARGET_SITES_H
#define ASYNCPROF_TARGET_SITES_H

#include <stdint.h>

#include "elf.h"
#include "refusal.h"

#define SITE_BYTES 16

enum site_cost {
	SITE_NONE = 0, /* there is no such site */
	SITE_EMULATED, /* under a microsecond a hit */
	SITE_STEPPED,  /* dear: single-stepped */
};

struct site {
	const char *name; /* "context_run"; a constant */
	enum site_cost cost;
	uint32_t skipped;	   /* bytes between the function's entry and the site */
	int fd;			   /* the file; belongs to the interpreter */
	char path[32];		   /* that file, for uprobes: "/proc/self/fd/N" while fd is open */
	char file[256];		   /* the file as the target names it, safe to print */
	uint64_t offset;	   /* of the probed byte in the file: what a uprobe is given */
	uint64_t entry;		   /* address of the function in the process */
	uint64_t vaddr;		   /* address of the probed byte in the process */
	uint8_t bytes[SITE_BYTES]; /* of the file from the probed byte on */
	uint32_t byte_cnt;	   /* of bytes[] that are there */
	char insn[64];		   /* "push rbp" */
};

/*
 * Chooses within `code`, the first `size` bytes of a function that uses its
 * first `arg_cnt` (0 to 4) integer arguments. 0 and `skipped`, `cost`, `insn`, bytes filled,
 * or -1 when no instruction will do.
 */
int site_choose(const uint8_t *code, size_t size, unsigned int arg_cnt, struct site *out);

/* The same for the function at `vaddr` of a file loaded at `bias`; -1 with `why`. */
int site_find(const struct elf *e, uint64_t bias, uint64_t vaddr, const char *name,
	      unsigned int arg_cnt, struct site *out, struct refusal *why);

#endif
