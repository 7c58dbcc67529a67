/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Brings a sample of the kernel side and perf's copy of the same tick
 * together, and unwinds that: a tick makes both, on two ways, since a BPF
 * program can't copy 16 KiB of stack and perf can't walk Python's frames.
 *
 * It must never give a sample another tick's stack: one that can't be found
 * has none, and counts as not whole.
 */
#ifndef ASYNCPROF_NATIVES_H
#define ASYNCPROF_NATIVES_H

#include <stdint.h>
#include <sys/types.h>

#include "kernel/stacks.h"
#include "record.h"
#include "target/process.h"

struct natives;

/* The tick's period in ns: two ticks of a thread are not closer than that. 0, or a negative errno. */
int natives__open(uint64_t period_ns, struct natives **out);
void natives__close(struct natives *n);

/* Where session__start() is to send perf's copies. */
struct stacks *natives_stacks(struct natives *n);

/*
 * Its stacks will come, no more those of another image of the same pid; the process must live until
 * the natives are closed, or forget it. 0, or a negative errno.
 */
int natives_add(struct natives *n, struct process *process);
void natives_forget(struct natives *n, pid_t pid);

/* Reads what perf has copied: before the ring, so that the ring's samples find it. */
void natives_read(struct natives *n);

/* The native stack of a sample, with what could not be followed or found marked as cut. */
void natives_find(struct natives *n, const struct ap_sample *sample, struct ap_native *out);

#endif
