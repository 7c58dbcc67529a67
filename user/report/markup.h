/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Bytes of the target as text of an XML or HTML document: as an element's
 * content or in a quoted attribute, the same for both.
 *
 * It must never write a byte that could end where it stands (quotes, tags,
 * entities), nor one that XML 1.0 forbids: controls, characters that hide or
 * turn a line around and bytes that are no UTF-8 are shown as escape.h does.
 */
#ifndef ASYNCPROF_MARKUP_H
#define ASYNCPROF_MARKUP_H

#include <stdio.h>

void markup_text(FILE *out, const char *text);

#endif
