/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * As whom a program is started: the user behind sudo with all their groups, or
 * whoever we are. Looked up before the fork, since databases of users are
 * libraries of their own; become after it, by system calls alone.
 *
 * It must never leave half of root behind: the change is checked, or fails.
 */
#ifndef ASYNCPROF_LAUNCH_USER_H
#define ASYNCPROF_LAUNCH_USER_H

#include "cli/options.h"
#include "refusal.h"

struct launch_user;

/* 0, or -1 with `why` (EXIT_BEFORE_PROGRAM). The caller frees it. */
int launch_user__find(const struct options *options, struct launch_user **out, struct refusal *why);
void launch_user__free(struct launch_user *u);

/* Makes the calling process this user's. 0, or -1 with errno. */
int launch_user_become(const struct launch_user *u);

/* The environment for it. Belongs to `u`. */
char *const *launch_user_env(const struct launch_user *u);

#endif
