/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The values of options: from a word of argv to a number, a time, a list.
 * What is wrong with one is said in a line that quotes it safely.
 *
 * It must never guess: "100" is no time, "1,2" is no number.
 */
#ifndef ASYNCPROF_VALUES_H
#define ASYNCPROF_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"

#define NS_PER_S 1000000000ULL

#define SEE_HELP "asyncprof --help lists what there is"

/* A word of argv as it may stand in a message: printable, and not for ever. */
struct shown {
	char text[48];
};

struct shown value_show(const char *word);

/* All of these: 0, or -1 with `why` (EXIT_USAGE; EXIT_FAILED without memory). */

/* A time with its unit; with `seconds` a bare number is taken, for seconds. */
int value_time(const char *text, bool seconds, uint64_t *ns, struct refusal *why);

/* A whole number from 1 to `max`; `option` as it is spelled ("--count"). */
int value_count(const char *option, const char *text, uint64_t max, uint64_t *value,
		struct refusal *why);

/* A user or group id, as `name` of the environment has it. */
int value_id(const char *name, const char *text, uint32_t *id, struct refusal *why);

/* Each process is kept once. */
int value_add_pid(struct options *options, const char *text, struct refusal *why);

int value_add_string(struct string_list *list, const char *option, const char *text,
		     struct refusal *why);

/* MODULE:FUNCTION, FUNCTION or MODULE: */
int value_add_place(struct string_list *list, const char *option, const char *text,
		    struct refusal *why);

#endif
