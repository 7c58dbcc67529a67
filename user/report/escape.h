/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The only way from bytes of the target to output. A name may hold a terminal
 * control sequence, a bidi override that turns a line around, or bytes that
 * are no text at all.
 *
 * It must never let such a byte through, and never read past `in_sz`.
 */
#ifndef ASYNCPROF_ESCAPE_H
#define ASYNCPROF_ESCAPE_H

#include <stddef.h>

/*
 * Both write at most out_sz bytes with a NUL, never split a character or an
 * escape, and return the bytes written without the NUL.
 *
 * terminal: C0, DEL and bytes that are no UTF-8 become \xHH; C1, bidi and
 * other invisible characters \uHHHH or \UHHHHHHHH.
 * json: valid UTF-8 as it is, other bytes the text \xHH; the JSON writer
 * escapes the rest.
 * What does not fit ends in "...".
 */
size_t escape_terminal(char *out, size_t out_sz, const char *in, size_t in_sz);
size_t escape_json(char *out, size_t out_sz, const char *in, size_t in_sz);

/* Bytes that are enough for any escape of in_sz bytes, NUL included: \xHH for each. */
#define ESCAPE_SZ(in_sz) (4 * (in_sz) + 4)

#endif
