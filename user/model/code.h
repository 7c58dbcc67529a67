/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Code objects of the targets, by process and address: names and lines for the
 * frames of a stack.
 *
 * It must never hold more than CODES_MAX of them nor CODES_BYTES_MAX bytes: the
 * longest unused go first and are counted.
 */
#ifndef ASYNCPROF_CODE_H
#define ASYNCPROF_CODE_H

#include <stdint.h>

#include "model/stall.h"
#include "record.h"

#define CODES_MAX	16384
#define CODES_BYTES_MAX (5U << 20) /* 13 000 like those of the standard library */

struct codes;

/* NULL: out of memory. `forgotten` is called for each that went for lack of room; may be NULL. */
struct codes *codes__new(void (*forgotten)(void *ctx, uint32_t pid, uint64_t code), void *ctx);
void codes__free(struct codes *codes);

/* A checked AP_CODE; one that is known already is replaced. 0, -ENOMEM. */
int codes__add(struct codes *codes, const struct ap_code *code);

/* The process called exec: its addresses mean something else now. */
void codes__forget(struct codes *codes, uint32_t pid);

/*
 * Names and line of one frame; members that are not known are NULL and 0.
 * The strings live until the next codes__add() or codes__forget().
 */
void codes__resolve(struct codes *codes, uint32_t pid, const struct ap_frame *frame,
		    struct stall_frame *resolved);

uint64_t codes__evicted_cnt(const struct codes *codes);

#endif
