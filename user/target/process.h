/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One process, for as long as we look at it. A pid is a number that the
 * kernel gives away again: everything else asks this object whether it still
 * means the process that it meant when it was opened.
 *
 * It must never take a missing /proc/PID/exe, or a dead main thread, for the
 * death of the process: other threads may live on.
 */
#ifndef ASYNCPROF_TARGET_PROCESS_H
#define ASYNCPROF_TARGET_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "refusal.h"

#define PROCESS_THREADS_MAX 4096
#define PROCESS_COMMAND_SZ  256

struct process;

enum process_state {
	PROCESS_SAME,	/* alive, and the program that we opened */
	PROCESS_EXITED, /* gone, whoever has its pid now */
	PROCESS_EXECED, /* alive, but it runs another program image */
};

/*
 * Opens the process that /proc calls `pid`. 0, or -1 with `why`: EXIT_NO_PROCESS,
 * EXIT_PERMISSION, EXIT_KERNEL. The caller closes it.
 */
int process__open(pid_t pid, struct process **out, struct refusal *why);
void process__close(struct process *p);

pid_t process_pid(const struct process *p);

/* Polls readable (POLLIN) when the process has exited. Belongs to `p`. */
int process_pidfd(const struct process *p);

/* Kernel clock ticks after boot (field 22 of /proc/PID/stat): with the pid, its identity. */
uint64_t process_start_ticks(const struct process *p);

/* When it began, in ns of CLOCK_MONOTONIC: then, or up to a kernel clock tick later. */
uint64_t process_start_ns(const struct process *p);

/* Nothing but its parent's image: it was forked, and had not called exec when it was opened. */
int process_is_forked(const struct process *p);

/* 1: it has the same memory as the process that /proc calls `pid` (vfork); 0: not, or not known. */
int process_shares_memory(const struct process *p, pid_t pid);

enum process_state process_state(const struct process *p);

/* 1 when process_state() is PROCESS_SAME. */
int process_is_same(const struct process *p);

/* A thread that has memory: the main thread, or another one when that has exited. 0: none. */
pid_t process_live_tid(const struct process *p);

/* Writes up to `max` thread ids; returns how many, or a negative errno. */
int process_threads(const struct process *p, pid_t *tid, size_t max);

/* The id that a thread of it has in its own pid namespace (NSpid), 0: unknown. */
pid_t process_inner_tid(const struct process *p, pid_t tid);

/* The thread that has that id in its own pid namespace, 0: none. */
pid_t process_find_tid(const struct process *p, pid_t inner);

/* The id that system calls of ours take for it (pids.h), 0: none. */
pid_t process_own_tid(const struct process *p, pid_t tid);

/* Opens a file below /proc/PID ("maps", "task/7/syscall"), for reading. An fd, or a negative errno.
 */
int process_open_file(const struct process *p, const char *name);

/* The same for a directory, or a link to one ("root"): only a place to look things up in. */
int process_open_dir(const struct process *p, const char *name);

/* An O_PATH descriptor of what a link below /proc/PID leads to ("fd/3"): it is not opened. */
int process_open_path(const struct process *p, const char *name);

/* Target of a link below /proc/PID ("exe", "fd/3"), NUL-terminated. Bytes, or a negative errno. */
ssize_t process_read_link(const struct process *p, const char *name, char *buf, size_t size);

/* Both were read at open and are escaped: printable ASCII, `\xHH` for the rest. Belong to `p`. */
const char *process_comm(const struct process *p);
const char *process_command(const struct process *p);

/* Copies `src` so that it is safe to print: as above; cut to `size`. */
void process_escape(const char *src, size_t len, char *dst, size_t size);

#endif
