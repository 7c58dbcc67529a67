/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The numbers of processes and threads. People give and read those of /proc,
 * and so do we everywhere; a system call takes those of our own pid namespace,
 * which may lie below the one that /proc shows: a container with the host's
 * /proc, or unshare --pid.
 *
 * It must never take a number of the one kind for the other: it may be
 * another process's.
 */
#ifndef ASYNCPROF_TARGET_PIDS_H
#define ASYNCPROF_TARGET_PIDS_H

#include <sys/types.h>

/* How far ours lies below that of /proc. 0: they are the same. A negative errno: it does not show us. */
int pids_depth(void);

/* A pidfd of /proc's process `pid`, or a negative errno; EXDEV: it is in no pid namespace of ours. */
int pids_open(pid_t pid);

/* What /proc calls the process that system calls know as `own`, 0: nothing. */
pid_t pids_shown(pid_t own);

/*
 * One of the numbers in /proc/PID/status, as text: /proc's at `place` 0, then one a namespace
 * down, PIDS_LAST its own. 0: it has none there.
 */
#define PIDS_LAST (-1)
pid_t pids_number(const char *status, int place);

#endif
