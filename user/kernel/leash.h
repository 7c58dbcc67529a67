/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Stops a child of ours at a moment that counts in the child's own time, not in
 * ours: after so much CPU time since its exec, or when it enters a function. A
 * perf event of the child whose overflow the kernel answers with SIGSTOP
 * (F_SETSIG), before the child runs another line. However loaded the machine
 * is, the child waits for us, and not the other way round.
 *
 * It must never be put on a process that is not our child, and whoever holds
 * one must see the child stop (waitpid) and let it go on.
 */
#ifndef ASYNCPROF_LEASH_H
#define ASYNCPROF_LEASH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/sites.h"

#define LEASH_SITES_MAX 2

/* Starts as LEASH_NONE. */
struct leash {
	int fd[LEASH_SITES_MAX]; /* -1: none */
};

#define LEASH_NONE ((struct leash){{-1, -1}})

/*
 * From its next exec on, for as long as the leash is there, the child stops
 * each time it has spent `period_ns` on CPU. 0, or a negative errno.
 */
int leash__clock(struct leash *leash, pid_t child, uint64_t period_ns);

/* It stops at each of these places from now on. */
int leash__sites(struct leash *leash, pid_t child, const struct site *const *sites, size_t cnt);

/* What it was about to stop it does not any more; a stop that has happened stays. */
void leash__free(struct leash *leash);

#endif
