/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Every byte, every pair of bytes and the characters that lie, on their way out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "report/escape.h"

static const char *terminal(const char *in, size_t in_sz)
{
	static char out[4096];
	size_t len = escape_terminal(out, sizeof(out), in, in_sz);

	assert_int_equal(len, strlen(out));
	return out;
}

static const char *json(const char *in, size_t in_sz)
{
	static char out[4096];
	size_t len = escape_json(out, sizeof(out), in, in_sz);

	assert_int_equal(len, strlen(out));
	return out;
}

static void test_all_bytes(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char in = (char)byte, want[8];

		if (byte >= 0x20 && byte < 0x7f)
			snprintf(want, sizeof(want), "%c", byte);
		else
			snprintf(want, sizeof(want), "\\x%02x", byte);
		assert_string_equal(terminal(&in, 1), want);
		if (byte && byte < 0x80)
			snprintf(want, sizeof(want), "%c", byte);
		if (byte)
			assert_string_equal(json(&in, 1), want);
	}
}

/* Nothing that a terminal takes for a control may come out, whatever goes in. */
static void assert_harmless(const char *out)
{
	const unsigned char *c = (const unsigned char *)out;

	for (; *c; c++) {
		assert_true(*c >= 0x20 && *c != 0x7f);
		if (c[0] == 0xc2)
			assert_true(c[1] >= 0xa0); /* C1 in UTF-8 */
	}
}

static void test_all_pairs(void **state)
{
	(void)state;
	for (int first = 0; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			char in[2] = {(char)first, (char)second};

			assert_harmless(terminal(in, 2));
		}
	}
}

static void test_sequences(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"\033[2J", "\\x1b[2J"},
		{"\033]0;title\007", "\\x1b]0;title\\x07"},
		{"a\r\nb\tc", "a\\x0d\\x0ab\\x09c"},
		{"\xc2\x9b"
		 "31m",
		 "\\u009b31m"}, /* CSI as one C1 character */
		{"\x9b"
		 "31m",
		 "\\x9b31m"},
		{"a\u202eb", "a\\u202eb"}, /* right-to-left override */
		{"a\u2066b\u2069", "a\\u2066b\\u2069"},
		{"\u200b\u200f\ufeff", "\\u200b\\u200f\\ufeff"},
		{"\U000e0041", "\\U000e0041"}, /* tags: text nobody sees */
		{"\u2028", "\\u2028"},
		{"caf\u00e9 \u4e2d \U0001f600", "caf\u00e9 \u4e2d \U0001f600"},
		{"\xc0\x80", "\\xc0\\x80"}, /* overlong NUL */
		{"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xe2\x82", "\\xe2\\x82"}, /* cut */
		{"\xff\xfe", "\\xff\\xfe"},
		{"%s%n", "%s%n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(terminal(rows[i].in, strlen(rows[i].in)), rows[i].out);
}

static void test_json(void **state)
{
	(void)state;
	/* The JSON writer escapes controls; only what is no UTF-8 is changed here. */
	assert_string_equal(json("a\033\u202e\xff"
				 "b",
				 7),
			    "a\033\u202e\\xff"
			    "b");
}

/* In a room of any size: ends in NUL, is whole, and says that it was cut. */
static void test_rooms(void **state)
{
	static const char in[] = "caf\u00e9\033\u202e\xff\U0001f600 and some more";
	const char *whole = terminal(in, sizeof(in) - 1);
	size_t whole_sz = strlen(whole);

	(void)state;
	for (size_t room = 0; room < whole_sz + 4; room++) {
		char *out = malloc(room + 1), again[256];
		size_t len;

		out[room] = 'x';
		len = escape_terminal(out, room, in, sizeof(in) - 1);
		assert_int_equal(out[room], 'x');
		if (room) {
			assert_true(len < room);
			assert_int_equal(out[len], 0);
			assert_harmless(out);
			/* Whole characters: a second pass finds nothing to escape. */
			assert_int_equal(escape_terminal(again, sizeof(again), out, len), len);
			if (room > whole_sz)
				assert_string_equal(out, whole);
			else if (room >= 4)
				assert_string_equal(out + len - 3, "...");
		}
		free(out);
	}
}

static void test_enough(void **state)
{
	char in[64], *out = malloc(ESCAPE_SZ(sizeof(in)));

	(void)state;
	memset(in, 0xff, sizeof(in));
	assert_int_equal(escape_terminal(out, ESCAPE_SZ(sizeof(in)), in, sizeof(in)), 256);
	for (size_t i = 0; i < sizeof(in); i += 2)
		memcpy(in + i, "\xc2\x9b", 2);
	assert_int_equal(escape_terminal(out, ESCAPE_SZ(sizeof(in)), in, sizeof(in)), 192);
	free(out);
}

static void test_random(void **state)
{
	(void)state;
	srand(4);
	for (int round = 0; round < 20000; round++) {
		size_t in_sz = (size_t)rand() % 32, out_sz = (size_t)rand() % 64 + 1;
		char *in = malloc(in_sz ? in_sz : 1), *out = malloc(out_sz);

		for (size_t i = 0; i < in_sz; i++)
			in[i] = (char)(rand() & 1 ? rand() : 0x80 | rand() % 0x40);
		assert_true(escape_terminal(out, out_sz, in, in_sz) < out_sz);
		assert_harmless(out);
		assert_true(escape_json(out, out_sz, in, in_sz) < out_sz);
		free(in);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_bytes), cmocka_unit_test(test_all_pairs),
		cmocka_unit_test(test_sequences), cmocka_unit_test(test_json),
		cmocka_unit_test(test_rooms),	  cmocka_unit_test(test_enough),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
