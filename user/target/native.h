/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Native stacks: from the registers and the top of a thread's stack, as perf
 * copied them in one sample, to symbols, with elfutils' libdw and the .eh_frame
 * of the process's files. From the leaf up to the topmost interpreter frame:
 * below it the Python frames tell more.
 *
 * It must never read the target's memory: what is not in the sample or in a
 * file is not known. Files are opened through the process (map_files), not by
 * the paths that the target claims.
 */
#ifndef ASYNCPROF_NATIVE_H
#define ASYNCPROF_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#include "target/process.h"

#define NATIVE_FRAMES_MAX 64
#define NATIVE_NAME_SZ	  96
#define NATIVE_FILE_SZ	  48
#define NATIVE_REGS_CNT	  17 /* x86-64: rax..r15 and rip in DWARF order, see native.c */

struct native;

struct native_sample {
	uint64_t reg[NATIVE_REGS_CNT]; /* DWARF numbering, [16] is the instruction pointer */
	uint64_t stack_addr;	       /* address of stack[0]: the stack pointer */
	const uint8_t *stack;
	size_t stack_sz;
};

struct native_frame {
	uint64_t ip;
	char func[NATIVE_NAME_SZ]; /* symbol; empty: none */
	char file[NATIVE_FILE_SZ]; /* last part of its library's path; empty: not known */
};

enum native_end {
	NATIVE_WHOLE,  /* reached an interpreter frame, or the thread's first frame */
	NATIVE_CUT,    /* the copied stack was too short, or no unwind information */
	NATIVE_FAILED, /* nothing but the leaf */
};

/* The process must outlive it. 0, or a negative errno. */
int native__open(struct process *process, struct native **out);
void native__close(struct native *native);

/*
 * Leaf first, without the interpreter's frame. `*end` says how it ended. Returns the
 * number of frames, or a negative errno. Maps are read anew when an address is in none.
 */
int native_unwind(struct native *native, const struct native_sample *sample,
		  struct native_frame frames[NATIVE_FRAMES_MAX], enum native_end *end);

#endif
