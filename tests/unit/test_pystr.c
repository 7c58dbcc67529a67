/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Python strings of every width as UTF-8; strings that lie. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "model/pystr.h"

static int convert(uint32_t length, uint16_t kept, uint8_t width, const void *data, char *out)
{
	struct ap_text text = {.length = length, .kept = kept, .width = width};
	unsigned char room[AP_NAME_SZ] = {};

	if (kept <= sizeof(room))
		memcpy(room, data, kept);
	return pystr_utf8(&text, room, sizeof(room), out, PYSTR_SZ(sizeof(room)));
}

static void test_widths(void **state)
{
	static const uint16_t two[] = {'a', 0x20ac, 0xfeff};
	static const uint32_t four[] = {'a', 0x1f600, 0x10ffff};
	char out[PYSTR_SZ(AP_NAME_SZ)];

	(void)state;
	assert_int_equal(convert(5, 5, 1, "Task1", out), 5);
	assert_string_equal(out, "Task1");
	assert_int_equal(convert(2, 2, 1, "\xe9z", out), 3);
	assert_string_equal(out, "\u00e9z");
	convert(3, 6, 2, two, out);
	assert_string_equal(out, "a\u20ac\ufeff");
	convert(3, 12, 4, four, out);
	assert_string_equal(out, "a\U0001f600\xf4\x8f\xbf\xbf");
	assert_int_equal(convert(0, 0, 1, "", out), 0);
	assert_string_equal(out, "");
	/* a C string: as it is, but for NUL */
	assert_int_equal(convert(6, 6, AP_TEXT_UTF8, "\u20ac\0\xffz", out), 8);
	assert_string_equal(out, "\u20ac\ufffd\xffz");
}

static void test_cut(void **state)
{
	static const uint16_t two[] = {'a', 'b', 'c'};
	char out[PYSTR_SZ(AP_NAME_SZ)];

	(void)state;
	convert(900, 3, 1, "abc", out);
	assert_string_equal(out, "abc...");
	/* Half a character at the end is none. */
	convert(900, 5, 2, two, out);
	assert_string_equal(out, "ab...");
}

/* PEP 383: the byte; anything else that is no character: U+FFFD. */
static void test_surrogates(void **state)
{
	static const uint16_t two[] = {0xdcff, 0xd800, 0, 0xdc7f};
	static const uint32_t four[] = {0x110000, 0xffffffff};
	char out[PYSTR_SZ(AP_NAME_SZ)];

	(void)state;
	convert(4, 8, 2, two, out);
	assert_string_equal(out, "\xff\ufffd\ufffd\ufffd");
	convert(2, 8, 4, four, out);
	assert_string_equal(out, "\ufffd\ufffd");
}

static void test_lies(void **state)
{
	char out[PYSTR_SZ(AP_NAME_SZ)];

	(void)state;
	assert_int_equal(convert(4, 4, 0, "abcd", out), -1);
	assert_int_equal(convert(4, 4, 3, "abcd", out), -1);
	assert_int_equal(convert(4, 4, 255, "abcd", out), -1);
	assert_int_equal(convert(1000, AP_NAME_SZ + 1, 1, "", out), -1);
	assert_int_equal(convert(1, 4, 1, "abcd", out), -1);
	assert_int_equal(convert(5, 4, AP_TEXT_UTF8, "abcd", out), -1);
	assert_int_equal(convert(AP_NAME_SZ + 1, AP_NAME_SZ + 1, AP_TEXT_UTF8, "", out), -1);
	assert_int_equal(convert(4, 0, 1, "", out), -1);
	assert_int_equal(convert(UINT32_MAX, 4, 4, "abcd", out), 6);
}

static void test_longest(void **state)
{
	struct ap_text text = {.length = AP_FILE_SZ, .kept = AP_FILE_SZ, .width = 2};
	uint16_t data[AP_FILE_SZ / 2];
	char out[PYSTR_SZ(AP_FILE_SZ)];

	(void)state;
	for (size_t i = 0; i < AP_FILE_SZ / 2; i++)
		data[i] = 0x20ac;
	assert_int_equal(pystr_utf8(&text, data, sizeof(data), out, sizeof(out)),
			 AP_FILE_SZ / 2 * 3 + 3);
	memset(data, 0xff, sizeof(data));
	text.width = 1;
	assert_int_equal(pystr_utf8(&text, data, sizeof(data), out, sizeof(out)), AP_FILE_SZ * 2);
	assert_int_equal(pystr_utf8(&text, data, sizeof(data), out, sizeof(out) - 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_widths),	   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_surrogates), cmocka_unit_test(test_lies),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
