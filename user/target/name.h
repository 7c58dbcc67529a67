/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Who an open callback is, read from outside: the same AP_NAME that the kernel
 * side sends, for a callback that went to sleep before any tick saw it.
 *
 * It must only be asked of a callback that is open: a task's memory is used
 * again as soon as it is freed. The caller checks afterwards that it still was.
 */
#ifndef ASYNCPROF_TARGET_NAME_H
#define ASYNCPROF_TARGET_NAME_H

#include "memory.h"
#include "record.h"

/* Fills `out` for `open`, whose `type` and words are set. 0, or a negative errno. */
int name_read(struct memory *m, const struct ap_layout *l, const struct ap_open *open,
	      uint32_t tgid, uint32_t tid, struct ap_name *out);

#endif
