/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * From an offset in bytecode to a source line: the three formats of line table
 * that CPython 3.8 to 3.15 have had.
 *
 * It must never read past the table: its bytes come from the target.
 */
#ifndef ASYNCPROF_LINES_H
#define ASYNCPROF_LINES_H

#include <stddef.h>
#include <stdint.h>

struct lines {
	uint32_t version; /* 0x030b: CPython 3.11 */
	int firstlineno;
	const uint8_t *table;
	size_t table_sz; /* bytes that are there */
	size_t whole_sz; /* bytes that the table has in the target */
};

/* lasti: byte offset into co_code. Returns the line, 0 when there is none or it isn't known. */
int lines_find(const struct lines *lines, int lasti);

#endif
