/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One JSON object a line: start, joined, slow, stack, summary. Unknown is null, never 0.
 * schema.h says what they hold, and a test holds the two together.
 *
 * It must never print anything that is not ASCII: other characters are \u
 * escapes, bytes that are no UTF-8 are the text \xHH.
 */
#ifndef ASYNCPROF_JSON_H
#define ASYNCPROF_JSON_H

#include <stdio.h>

#include "model/profile.h"
#include "model/run.h"
#include "model/stall.h"

#define JSON_SCHEMA_VERSION 1

struct json_t;

/* Each writes one line, flushes, and returns 0, -EIO (closed pipe) or -ENOMEM. */
int json_print_start(FILE *out, const struct run_start *start);
int json_print_joined(FILE *out, const struct run_joined *joined);
int json_print_stall(FILE *out, const struct stall *stall);
int json_print_summary(FILE *out, const struct run_summary *summary);

/*
 * A line too, but not flushed: there may be a million of them, and the caller
 * flushes. An entry of no thread or process, as only a forged profile has one,
 * is left out. 0, or a negative errno.
 */
int json_print_stack(FILE *out, const struct profile *profile, const struct profile_entry *entry);

/* Only the text as a JSON string ("null" for NULL), for what is too big for a tree of objects. */
int json_print_string(FILE *out, const char *text);

/* The same as objects, owned by the caller. NULL: out of memory. */
struct json_t *json_of_start(const struct run_start *start);
struct json_t *json_of_joined(const struct run_joined *joined);
struct json_t *json_of_stall(const struct stall *stall);
struct json_t *json_of_summary(const struct run_summary *summary);

#endif
