/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A program that may become Python: has it the interpreter mapped, and through
 * which functions does that pass once it has begun? Both that make a module
 * (3.8 to 3.15): the first module is made when the main interpreter, its thread
 * and the GIL are there, but before any Python code ran; and every extension
 * module, _asyncio among them, comes by when it has just been mapped.
 *
 * It must never look at the memory of the process: at this time it holds
 * nothing yet.
 */
#ifndef ASYNCPROF_TARGET_STARTUP_H
#define ASYNCPROF_TARGET_STARTUP_H

#include "process.h"
#include "sites.h"

#define STARTUP_SITES 2

struct startup {
	uint64_t dev, ino; /* of the file that was looked at last, if it was not Python */
	struct site site[STARTUP_SITES]; /* cost SITE_NONE: not there */
	int fd;				 /* of the sites' file, -1: none */
};

#define STARTUP_NONE ((struct startup){.fd = -1})

/* 1: the interpreter is there and the sites stay usable until startup__close(). 0: it is not. */
int startup__find(struct startup *s, const struct process *p);
void startup__close(struct startup *s);

#endif
