/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Line tables: what real interpreters wrote, cut ones, and random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/lines.h"

struct row {
	uint32_t version;
	int firstlineno;
	const char *table;
	int lines[200];
	int line_cnt;
};

static const struct row rows[] = {
#include "lines_data.h"
};

#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		unsigned int byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

static void check_version(uint32_t version)
{
	int checked = 0;

	for (size_t i = 0; i < ROW_CNT; i++) {
		uint8_t table[512];
		size_t table_sz;

		if (rows[i].version != version)
			continue;
		table_sz = unhex(rows[i].table, table);
		for (int at = 0; at < rows[i].line_cnt; at++) {
			struct lines lines = {version, rows[i].firstlineno, table, table_sz,
					      table_sz};

			assert_int_equal(lines_find(&lines, at * 2), rows[i].lines[at]);
			checked++;
		}
	}
	assert_true(checked > 50);
}

static void test_lnotab_3_8(void **state)
{
	(void)state;
	check_version(0x0308);
}

static void test_lnotab_3_9(void **state)
{
	(void)state;
	check_version(0x0309);
}

static void test_ranges_3_10(void **state)
{
	(void)state;
	check_version(0x030a);
}

static void test_locations_3_11(void **state)
{
	(void)state;
	check_version(0x030b);
}

static void test_locations_3_12(void **state)
{
	(void)state;
	check_version(0x030c);
}

static void test_locations_3_13(void **state)
{
	(void)state;
	check_version(0x030d);
}

/* Of a table that was cut, what is there is right and the rest is not known. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROW_CNT; i++) {
		uint8_t table[512];
		size_t whole_sz = unhex(rows[i].table, table);
		int unknown = 0;

		for (size_t cut = 0; cut < whole_sz; cut++) {
			uint8_t *copy = malloc(cut + 1);

			/* The end of what was kept is the end of memory: ASan sees a read past it.
			 */
			memcpy(copy, table, cut);
			copy = realloc(copy, cut ? cut : 1);
			for (int at = 0; at < rows[i].line_cnt; at++) {
				struct lines lines = {rows[i].version, rows[i].firstlineno, copy,
						      cut, whole_sz};
				int line = lines_find(&lines, at * 2);

				if (line && line != rows[i].lines[at])
					fail_msg("row %zu cut at %zu: offset %d is line %d", i, cut,
						 at * 2, line);
				unknown += !line && rows[i].lines[at];
			}
			free(copy);
		}
		assert_true(unknown > 0);
	}
}

static void test_not_begun(void **state)
{
	static const uint8_t table[] = {4, 1};

	(void)state;
	for (uint32_t version = 0x0308; version <= 0x030f; version++) {
		struct lines lines = {version, 42, table, sizeof(table), sizeof(table)};

		assert_int_equal(lines_find(&lines, -1), 42);
	}
}

static void test_unknown_version(void **state)
{
	static const uint8_t table[] = {4, 1};
	struct lines lines = {0x0307, 42, table, sizeof(table), sizeof(table)};

	(void)state;
	assert_int_equal(lines_find(&lines, 0), 0);
	lines.version = 0x0310;
	assert_int_equal(lines_find(&lines, 0), 0);
}

/* A line that grows for ever, a varint that never ends, an entry without its mark. */
static void test_hostile(void **state)
{
	uint8_t table[4096];
	struct lines lines = {0x030b, INT32_MAX, table, sizeof(table), sizeof(table)};

	(void)state;
	memset(table, 0xff, sizeof(table));
	assert_int_equal(lines_find(&lines, 0), 0);
	memset(table, 0x7f, sizeof(table));
	assert_int_equal(lines_find(&lines, 0), 0);
	table[0] = 0xe8; /* no columns, then a varint of 4095 bytes */
	assert_int_equal(lines_find(&lines, 0), 0);
	table[0] = 0xd9; /* one line more than INT_MAX */
	assert_int_equal(lines_find(&lines, 0), 0);
	table[0] = 0x00;	/* no first byte of an entry */
	lines.firstlineno = 1;
	assert_int_equal(lines_find(&lines, 0), 0);
	lines.firstlineno = INT32_MAX;
	lines.version = 0x0309;
	memset(table, 0x01, sizeof(table));
	assert_int_equal(lines_find(&lines, 4000), 0);
}

static void test_random(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t size = (size_t)rand() % 40;
		uint8_t *table = malloc(size ? size : 1);
		struct lines lines = {0x0308 + (uint32_t)rand() % 8, rand() - rand(), table, size,
				      size + (size_t)(rand() & 1)};

		for (size_t i = 0; i < size; i++)
			table[i] = (uint8_t)rand();
		assert_true(lines_find(&lines, rand() % 300 - 2) >= 0);
		free(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lnotab_3_8),
		cmocka_unit_test(test_lnotab_3_9),
		cmocka_unit_test(test_ranges_3_10),
		cmocka_unit_test(test_locations_3_11),
		cmocka_unit_test(test_locations_3_12),
		cmocka_unit_test(test_locations_3_13),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_not_begun),
		cmocka_unit_test(test_unknown_version),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
