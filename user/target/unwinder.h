/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The unwinding itself, with elfutils' libdw: nothing but one sample and the
 * files of the process. It runs in the child that native.c keeps, since libdw
 * reads files that the target may have written to hang or crash it.
 *
 * It must never open anything itself: files are asked for.
 */
#ifndef ASYNCPROF_TARGET_UNWINDER_H
#define ASYNCPROF_TARGET_UNWINDER_H

#include "target/native.h"

#define UNWINDER_FILE_MAX (1ULL << 30) /* bytes of a file; the largest CUDA libraries are close */

/* A file as it is mapped: from the mapping of its first byte to the end of its last one. */
struct unwinder_module {
	uint64_t start, end;
	char file[NATIVE_FILE_SZ];
	uint32_t interpreter; /* 1: if the process has an eval function, it may be in here */
	uint32_t pad;
};

struct unwinder;

/* A descriptor of the module's file, which the unwinder closes, or a negative errno. */
typedef int (*unwinder_open)(void *ctx, uint32_t module);

/* Takes a copy of the modules, which must be sorted and disjoint. 0, or a negative errno. */
int unwinder__new(const struct unwinder_module *module, size_t cnt, unwinder_open open, void *ctx,
		  struct unwinder **out);
void unwinder__free(struct unwinder *u);

/* As native_unwind(). `*unknown` is 1 when a return address was in no module. */
int unwinder_run(struct unwinder *u, const struct native_sample *sample,
		 struct native_frame frames[NATIVE_FRAMES_MAX], enum native_end *end, int *unknown);

#endif
