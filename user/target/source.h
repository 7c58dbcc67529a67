/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One line of the target's own source, for the report. The path comes from a
 * code object, so it is hostile: it may name a device, a FIFO, or a file on a
 * FUSE mount that never answers. A child opens it and is killed when it
 * takes too long. The child has the target's user and group and nothing of
 * ours: a path of /etc/shadow must show no more than the target itself can read.
 */
#ifndef ASYNCPROF_TARGET_SOURCE_H
#define ASYNCPROF_TARGET_SOURCE_H

#include <stddef.h>

#include "target/process.h"

#define SOURCE_DEADLINE_MS 200
#define SOURCE_BYTES_MAX   (4U << 20)	/* of a file: what lies behind is not shown */

/*
 * Line `line` (from 1) of `file` as process `p` sees it, without its newline,
 * NUL-terminated into buf. Returns its length, or a negative errno.
 */
int source_line(const struct process *p, const char *file, int line, char *buf, size_t size);

#endif
