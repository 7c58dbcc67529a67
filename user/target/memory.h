/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The target's memory, read with a deadline. A page that userfaultfd or FUSE
 * serves can keep process_vm_readv waiting for ever, so a child does the
 * reading and is killed when it takes too long.
 *
 * It must never write to the target, and never read it in the collector's
 * own threads.
 */
#ifndef ASYNCPROF_TARGET_MEMORY_H
#define ASYNCPROF_TARGET_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "process.h"

#define MEMORY_READ_MAX	   65536 /* bytes in one read */
#define MEMORY_DEADLINE_MS 200
#define MEMORY_HANGS_MAX   4	/* time-outs, each soon after the last, before we stop asking */
#define MEMORY_PAUSE_MS	   2000 /* for that long */

struct memory;

/*
 * 0, or a negative errno. The caller closes it, before the process. One
 * object serves the one thread of the collector that opened it: its child
 * dies with that thread.
 */
int memory__open(const struct process *p, struct memory **out);
void memory__close(struct memory *m);

/*
 * Reads exactly `size` bytes (at most MEMORY_READ_MAX). 0, or -EFAULT (some of
 * it is not readable; buf is undefined), -ETIMEDOUT, -ESRCH, -EPERM, -E2BIG,
 * or what kept the child from starting again. After a time-out the page is
 * remembered and refused at once; after several everything is for a while, also
 * with -ETIMEDOUT: a target may have any number of pages that hang.
 */
int memory_read(struct memory *m, uint64_t addr, void *buf, size_t size);

/* How often a read took longer than the deadline and its child was killed. */
unsigned int memory_timeouts(const struct memory *m);

#endif
