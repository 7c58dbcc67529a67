/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The part of the interpreter's eval function that gcc moved away from it, as
 * unlikely (`_PyEval_EvalFrameDefault.cold`). In a stripped file it has no
 * name, though `async with` and all that fails run there: in Debian's
 * python3.11 it is 13 913 bytes, 1 MiB below the rest.
 *
 * It must never take another function for it: without a clear majority of
 * jumps there is none.
 */
#ifndef ASYNCPROF_TARGET_EVAL_PART_H
#define ASYNCPROF_TARGET_EVAL_PART_H

#include "target/elf.h"

/* 1 and where it lies (addresses of the file), or 0: there is none, or .symtab names it. */
int eval_part_find(const struct elf *e, uint64_t *start, uint64_t *end);

#endif
