/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which stalls a person asked for: --only, --exclude, --cause, --task.
 *
 * It must never change what is counted, only what is shown.
 */
#ifndef ASYNCPROF_FILTER_H
#define ASYNCPROF_FILTER_H

#include <stdbool.h>

#include "model/stall.h"
#include "refusal.h"

struct filter;

struct filter *filter__new(void); /* NULL: out of memory */
void filter__free(struct filter *filter);

/*
 * Each adds one pattern; patterns of one kind are alternatives, kinds must all
 * hold. 0, or -1 with `why` filled (exit code EXIT_USAGE).
 *
 * only, exclude: MODULE:FUNCTION, FUNCTION or MODULE:, shell patterns (* ? []).
 * MODULE is dotted and matches the end of the path (app.views matches
 * /srv/app/views.py); FUNCTION is the qualified name or its last part. A stall
 * matches with any frame of its stack, or its coroutine or callback.
 */
int filter__only(struct filter *filter, const char *pattern, struct refusal *why);
int filter__exclude(struct filter *filter, const char *pattern, struct refusal *why);
int filter__cause(struct filter *filter, const char *cause, struct refusal *why);
int filter__task(struct filter *filter, const char *pattern, struct refusal *why);

bool filter_match(const struct filter *filter, const struct stall *stall);

/* Shell pattern over bytes: * ? [a-z] [!a-z] and \ to quote; never recursive. */
bool filter_glob(const char *pattern, const char *text);

#endif
