/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Stops a child of ours at a moment that counts in the child's own life, not in
 * our time: when it has called exec, or when it enters a function. A perf event
 * of the child whose overflow the kernel answers with SIGSTOP (F_SETSIG), before
 * the child runs another line. However loaded the machine is, the child waits
 * for us, and not the other way round.
 *
 * It must never be put on a process that is not our child, and whoever holds
 * one must see the child stop (waitpid) and let it go on. It must never stop a
 * program that has run a line of its own: SIGCONT, which lets it go on, it may
 * handle, and a stop ends some system calls of all its threads with EINTR
 * (signal(7)). leash_tell_us() is for that time.
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
	uint64_t hit_cnt;	 /* that leash_is_hit() has told of */
};

#define LEASH_NONE ((struct leash){.fd = {-1, -1}})

/*
 * A leash on every exec, before the first line of the new image. One of a set-user-ID program,
 * or one that the child may not read, takes it away (kernel, begin_new_exec()). It is loose.
 * 0, or a negative errno.
 */
int leash__exec(struct leash *leash, pid_t child);

/* One on each of these places, loose as well. */
int leash__sites(struct leash *leash, pid_t child, const struct site *sites, size_t cnt);

/* From now on: */
void leash_stop(const struct leash *leash, pid_t child); /* a hit stops the child */
void leash_tell_us(const struct leash *leash);		 /* a hit is SIGCHLD for us */
/*
 * A hit is counted only. Neither a child of ours that was forked a moment ago, and holds the
 * leash too, makes it stop then. A stop that has happened stays.
 */
void leash_loosen(const struct leash *leash);

/* 1 when it has been hit since the last call: every stop of ours is a hit. */
int leash_is_hit(struct leash *leash);

/* Taking one off functions takes the kernel 70 ms: best while the child runs. */
void leash__free(struct leash *leash);

#endif
