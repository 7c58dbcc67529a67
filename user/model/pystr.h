/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A Python str, as it lay in the target's memory, as UTF-8.
 *
 * It must never believe a length: a string that contradicts itself is none.
 */
#ifndef ASYNCPROF_PYSTR_H
#define ASYNCPROF_PYSTR_H

#include <stddef.h>

#include "record.h"

/* UTF-8 bytes that data_sz bytes of any width can become, "..." and NUL included. */
#define PYSTR_SZ(data_sz) (3 * (data_sz) + 4)

/*
 * Into `out` (NUL terminated), which must hold PYSTR_SZ(data_sz). Returns the
 * length, or -1 when there is no string. One that was cut ends in "...". NUL
 * becomes U+FFFD; U+DC80..U+DCFF (PEP 383) the byte that it stands for, so that
 * file names of any bytes survive; other lone surrogates U+FFFD.
 */
int pystr_utf8(const struct ap_text *text, const void *data, size_t data_sz, char *out,
	       size_t out_sz);

#endif
