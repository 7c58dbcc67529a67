/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The line tables of all versions, any offset into them. */
#include "fuzz.h"

#include <string.h>

#include "model/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lines lines = {.version = 0x0308};
	int lasti;

	if (size < 8)
		return 0;
	lines.version += data[0] % 8;
	memcpy(&lines.firstlineno, data + 1, 3);
	lines.table = data + 8;
	lines.table_sz = size - 8;
	lines.whole_sz = lines.table_sz + (data[4] & 1);
	memcpy(&lasti, data + 4, 4);
	FUZZ_CHECK(lines_find(&lines, lasti) >= 0);
	for (lasti = -2; lasti < 300; lasti += 2)
		FUZZ_CHECK(lines_find(&lines, lasti) >= 0);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	/* def f(x): / y = x + 1 / return y, as co_lnotab, 3.10's and 3.11's co_linetable. */
	static const uint8_t tables[][24] = {
		{0, 1, 0, 0, 8, 0, 0, 0, 0, 1, 8, 1},
		{2, 1, 0, 0, 8, 0, 0, 0, 0, 0, 8, 1, 4, 1},
		{3, 1, 0, 0, 8, 0, 0, 0, 0x80, 0x00, 0xd8, 0x08, 0x09, 0x88, 0x41, 0x89, 0x05, 0x80,
		 0x41, 0xd8, 0x0b, 0x0c, 0x80, 0x48},
	};

	if (n >= sizeof(tables) / sizeof(tables[0]) || max < sizeof(tables[0]))
		return 0;
	memcpy(data, tables[n], sizeof(tables[0]));
	return sizeof(tables[0]);
}
