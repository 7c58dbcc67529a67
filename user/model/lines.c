/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/lines.h"

#include <limits.h>

/* A line that a broken table made of nothing is no line. */
static int checked(int64_t line)
{
	return line > 0 && line <= INT_MAX ? (int)line : 0;
}

/*
 * 3.8, 3.9: co_lnotab, pairs of (bytes, signed lines); an entry says where the
 * next line begins (Objects/codeobject.c, PyCode_Addr2Line).
 */
static int find_lnotab(const struct lines *lines, int lasti)
{
	int64_t line = lines->firstlineno, addr = 0;

	for (size_t i = 0; i + 2 <= lines->table_sz; i += 2) {
		addr += lines->table[i];
		if (addr > lasti)
			return checked(line);
		line += (int8_t)lines->table[i + 1];
	}
	/* The last line reaches to the end, which a cut table doesn't show. */
	return lines->table_sz < lines->whole_sz ? 0 : checked(line);
}

/*
 * 3.10: PEP 626, pairs of (bytes, signed lines) that say which line a range
 * has; -128: it has none (Objects/lnotab_notes.txt of 3.10).
 */
static int find_ranges(const struct lines *lines, int lasti)
{
	int64_t line = lines->firstlineno, end = 0;

	for (size_t i = 0; i + 2 <= lines->table_sz; i += 2) {
		int8_t delta = (int8_t)lines->table[i + 1];

		end += lines->table[i];
		if (delta != -128)
			line += delta;
		if (lasti < end)
			return delta == -128 ? 0 : checked(line);
	}
	return 0;
}

/* Six bits a byte, least first, bit 6 set: more follow. Past six bytes it is no int of CPython. */
static size_t read_varint(const struct lines *lines, size_t at, uint32_t *value)
{
	size_t start = at;
	uint64_t sum = 0;

	for (int shift = 0; shift <= 30 && at < lines->table_sz; shift += 6) {
		uint8_t byte = lines->table[at++];

		sum |= (uint64_t)(byte & 63) << shift;
		if (!(byte & 64)) {
			*value = (uint32_t)sum;
			return sum <= UINT32_MAX ? at - start : 0;
		}
	}
	return 0;
}

enum { CODE_ONE_LINE0 = 10, CODE_ONE_LINE2 = 12, CODE_NO_COLUMNS = 13, CODE_LONG = 14, CODE_NONE };

/*
 * 3.11 on: PEP 657, entries of a first byte with bit 7 set (code, length in
 * 16-bit units) and bytes without it (Objects/locations.md of 3.11).
 */
static int find_locations(const struct lines *lines, int lasti)
{
	int64_t line = lines->firstlineno, end = 0;
	size_t i = 0;

	while (i < lines->table_sz) {
		uint8_t first = lines->table[i];
		int code = first >> 3 & 15;
		uint32_t value;

		if (!(first & 0x80))
			return 0;
		end += ((first & 7) + 1) * 2;
		if (code >= CODE_ONE_LINE0 && code <= CODE_ONE_LINE2) {
			line += code - CODE_ONE_LINE0;
		} else if (code == CODE_NO_COLUMNS || code == CODE_LONG) {
			if (!read_varint(lines, i + 1, &value))
				return 0;
			line += value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
		}
		if (lasti < end)
			return code == CODE_NONE ? 0 : checked(line);
		for (i++; i < lines->table_sz && !(lines->table[i] & 0x80); i++)
			;
	}
	return 0;
}

int lines_find(const struct lines *lines, int lasti)
{
	if (lines->version < 0x0308 || lines->version > 0x030f)
		return 0;
	/* A frame that has not begun stands at the `def`, as PyCode_Addr2Line has it. */
	if (lasti < 0)
		return checked(lines->firstlineno);
	if (lines->version < 0x030a)
		return find_lnotab(lines, lasti);
	if (lines->version == 0x030a)
		return find_ranges(lines, lasti);
	return find_locations(lines, lasti);
}
