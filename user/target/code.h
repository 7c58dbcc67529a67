/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Python objects read from outside: strings, code objects, what a callback
 * is called. Makes the same AP_CODE and AP_NAME records that the kernel
 * programs send, for what those could not read or came too late for.
 *
 * It must never trust a length: texts and line tables are cut to their caps.
 */
#ifndef ASYNCPROF_TARGET_CODE_H
#define ASYNCPROF_TARGET_CODE_H

#include "memory.h"
#include "record.h"

/* Bytes kept of a line table: what makes the largest record. */
#define CODE_LINETABLE_MAX (AP_RECORD_MAX - sizeof(struct ap_code))

/*
 * Reads the code object at `addr`. 0 and a record that the caller frees
 * (head.ts is now; head.tgid and head.tid are as given), or a negative
 * errno: -EINVAL when it can't be a code object. `code_type` is the address
 * of PyCode_Type, 0: don't check.
 */
int code_read(struct memory *m, const struct ap_layout *l, uint64_t code_type, uint64_t addr,
	      uint32_t tgid, uint32_t tid, struct ap_code **out);

/* Reads a str at `addr` into `text` and `data`. 0, or a negative errno and width 0. */
int code_read_text(struct memory *m, const struct ap_layout *l, uint64_t addr, struct ap_text *text,
		   uint8_t *data, size_t size);

/* 1 when the type object at `type` has this tp_name (of at most 31 characters). */
int code_is_type(struct memory *m, const struct ap_layout *l, uint64_t type, const char *name);

/*
 * Fills callee, task, names and the rest of a zeroed `out` but its head, from
 * the words of the callback that `open` keeps. What can't be read stays absent.
 */
void code_read_name(struct memory *m, const struct ap_layout *l, const struct ap_open *open,
		    struct ap_name *out);

#endif
