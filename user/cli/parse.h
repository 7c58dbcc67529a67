/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A command line on its way to become options: what was seen of it so far.
 * Between options.c, which reads it word by word, and check.c, which judges
 * the whole; nobody else may look.
 */
#ifndef ASYNCPROF_PARSE_H
#define ASYNCPROF_PARSE_H

#include "cli/options.h"

/* Options that have only a long name; the others go by their letter. */
enum {
	OPTION_TIER = 256,
	OPTION_ONLY,
	OPTION_EXCLUDE,
	OPTION_CAUSE,
	OPTION_TASK,
	OPTION_STACK_DEPTH,
	OPTION_FULL_FILENAMES,
	OPTION_CLOCK,
	OPTION_BY,
	OPTION_PER_PROCESS,
	OPTION_THREADS,
	OPTION_IDLE,
	OPTION_KERNEL,
	OPTION_NATIVE,
	OPTION_DIFF,
	OPTION_AS_ROOT,
	OPTION_SCHEMA,
	OPTION_LOG,
	OPTION_NO_COLOR,
	OPTION_VERSION,
};

/* used[]: by letter, what was given at all. */
struct parse {
	struct options *options;
	struct refusal *why;
	bool has_command;
	bool quiet;
	bool used[OPTION_VERSION + 1];
};

const char *parse_option_name(int letter); /* "threshold" */
const char *parse_command_name(enum command command);

/* What only the whole line can tell. 0, or -1 with `why`. */
int parse_check(struct parse *parse);

#endif
