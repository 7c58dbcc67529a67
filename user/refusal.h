/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Why something can't be done: one clear line, the remedy, the exit code.
 * The one shape in which target/ and kernel/ say no; main.c and doctor print it.
 */
#ifndef ASYNCPROF_REFUSAL_H
#define ASYNCPROF_REFUSAL_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_PROCESS = 3,	/* no such process, or not Python */
	EXIT_PERMISSION = 4,
	EXIT_KERNEL = 5,	/* the kernel lacks something */
	EXIT_INTERPRETER = 6,	/* interpreter or loop not supported */

	/* Of a program that we were to start, as env(1) and timeout(1) have them. */
	EXIT_BEFORE_PROGRAM = 125, /* we failed before it began */
	EXIT_CANNOT_EXECUTE = 126,
	EXIT_NOT_FOUND = 127,
};

struct refusal {
	enum exit_code code;
	char what[256];		/* one line, no newline, already safe to print */
	char remedy[256];	/* empty when there is none */
};

/* Fills `why` (printf style for `what`) and returns -1, so that callers can `return refuse(...)`. */
int refuse(struct refusal *why, enum exit_code code, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
