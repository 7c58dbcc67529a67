/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The system call that a thread sleeps in at this moment, and the file or
 * peer behind it, read from /proc. For a thread that slept before our probes
 * came: it makes no event that the kernel programs could see.
 *
 * It must never open a file of the target nor ask its file system anything:
 * a FUSE server of the target's may never answer.
 */
#ifndef ASYNCPROF_TARGET_SYSCALL_H
#define ASYNCPROF_TARGET_SYSCALL_H

#include "memory.h"
#include "process.h"
#include "record.h"

/*
 * Fills syscall, off, arg, fd, fds and file of a zeroed `out`. 1: it sleeps;
 * 0: it is running or runnable, `out` is as it was but for syscall and fd
 * (-1); a negative errno. `gil_holder`: address of the interpreter's last_holder.
 */
int syscall_read(const struct process *p, struct memory *m, pid_t tid, uint64_t gil_holder,
		 struct ap_block *out);

#endif
