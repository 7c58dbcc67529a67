/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Which of the files that a process has mapped is what. Lookups by name: the caller checks. */
#ifndef ASYNCPROF_TARGET_IMAGES_H
#define ASYNCPROF_TARGET_IMAGES_H

#include "elf.h"
#include "maps.h"
#include "process.h"

/* The file where an interpreter is, if the process has one; NULL: nothing is mapped. */
const struct mapping *images_interpreter(const struct process *p, const struct maps *maps,
					 int *shared);
/* 1 when it is there: its symbols decide. */
int images_have_interpreter(const struct elf *e);

/* NULL: not mapped. */
const struct mapping *images_asyncio(const struct maps *maps);
const struct mapping *images_pypy(const struct maps *maps);
const struct mapping *images_uvloop(const struct maps *maps);

/* The name of a loop that is not asyncio's and that we can't watch, or NULL. */
const char *images_foreign(const struct maps *maps, int uvloop_is_known);

#endif
