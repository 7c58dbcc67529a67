/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Is a record one that the kernel side can have made? Asked once, before the
 * model looks at any of it.
 */
#ifndef ASYNCPROF_SOUND_H
#define ASYNCPROF_SOUND_H

#include <stdbool.h>
#include <stddef.h>

#include "record.h"

/* `head` is aligned, and `record_sz` bytes of its record are there. */
bool sound_record(const struct ap_head *head, size_t record_sz);

#endif
