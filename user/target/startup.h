/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A program image that may become Python: has it the interpreter mapped, and
 * where does it come by before it runs a line of Python? At the functions that
 * make a module (3.8 to 3.15): the first module is made when the main
 * interpreter, its thread and the GIL are there; and every extension module,
 * _asyncio among them, comes by when it has just been mapped. What may map the
 * interpreter as a library has done so when it comes to its entry point.
 *
 * It must never look at the memory of the process: at this time it holds
 * nothing yet.
 */
#ifndef ASYNCPROF_TARGET_STARTUP_H
#define ASYNCPROF_TARGET_STARTUP_H

#include "process.h"
#include "sites.h"

#define STARTUP_SITES 2

enum startup_kind {
	STARTUP_NOTHING, /* not Python, or nothing that we can read */
	STARTUP_ENTRY,	 /* not Python; site[0] is its entry point */
	STARTUP_PYTHON,	 /* the interpreter is there; the sites make modules */
};

struct startup {
	enum startup_kind kind;
	uint64_t dev, ino; /* of the file that was looked at last */
	size_t site_cnt;
	struct site site[STARTUP_SITES];
	int fd; /* of the sites' file, -1: none */
};

#define STARTUP_NONE ((struct startup){.fd = -1})

/* Looks at what it has mapped by now. The sites stay usable until the next look, or the close. */
enum startup_kind startup__look(struct startup *s, const struct process *p);
void startup__close(struct startup *s);

#endif
