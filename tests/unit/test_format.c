/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Which format a name means, and the line that says how to open it. */
#include "cmocka_all.h"

#include <string.h>

#include "report/format.h"

static void test_names(void **state)
{
	(void)state;
	for (int format = FORMAT_NONE + 1; format < FORMAT_CNT; format++) {
		const char *name = format_name(format), *at = strstr(format_names(), name);

		assert_int_equal(format_from_name(name), format);
		assert_non_null(at);
		assert_true(at[strlen(name)] == ',' || !at[strlen(name)]);
	}
	assert_int_equal(format_from_name("none"), -1);
	assert_int_equal(format_from_name("SVG"), -1);
	assert_int_equal(format_from_name(""), -1);
	assert_non_null(format_name(FORMAT_CNT));
	assert_non_null(format_name((enum format) - 1));
}

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		enum format format;
	} rows[] = {
		{"out.svg", FORMAT_SVG},
		{"/srv/a.b/OUT.SVG", FORMAT_SVG},
		{"out.html", FORMAT_HTML},
		{"out.htm", FORMAT_HTML},
		{"out.folded", FORMAT_FOLDED},
		{"out.collapsed", FORMAT_FOLDED},
		{"out.txt", FORMAT_FOLDED},
		{"out.speedscope.json", FORMAT_SPEEDSCOPE},
		{"out.speedscope", FORMAT_SPEEDSCOPE},
		{"out.json", FORMAT_SPEEDSCOPE},
		{"out.pprof", FORMAT_PPROF},
		{"out.pb.gz", FORMAT_PPROF},
		{"out.pb", FORMAT_PPROF},
		{"out.prof", FORMAT_PPROF},
		{"out.ndjson", FORMAT_NDJSON},
		{"out.jsonl", FORMAT_NDJSON},
		{"out.apdb", FORMAT_APDB},
		{"out", FORMAT_NONE},
		{"", FORMAT_NONE},
		{"-", FORMAT_NONE},
		{"svg", FORMAT_NONE},
		{".svg", FORMAT_NONE},
		{"dir.svg/out", FORMAT_NONE},
		{"out.svg.gz", FORMAT_NONE},
		{"out.svg/", FORMAT_NONE},
		{"/.apdb", FORMAT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(format_from_path(rows[i].path), rows[i].format);
}

static void test_how_to_open(void **state)
{
	static const struct {
		enum format format;
		const char *path, *line;
	} rows[] = {
		{FORMAT_SVG, "out.svg", "open it in a browser"},
		{FORMAT_HTML, "out.html", "open it in a browser"},
		{FORMAT_FOLDED, "d/out.folded",
		 "flamegraph.pl --countname=us d/out.folded > d/out.svg"},
		{FORMAT_FOLDED, "out", "flamegraph.pl --countname=us out > out.svg"},
		{FORMAT_SPEEDSCOPE, "out.json",
		 "https://www.speedscope.app or: npx speedscope out.json"},
		{FORMAT_PPROF, "out.pprof", "go tool pprof -http=: out.pprof"},
		{FORMAT_NDJSON, "out.ndjson", "jq . out.ndjson"},
		{FORMAT_APDB, "out.apdb", "asyncprof report out.apdb"},
		/* What is pasted into a shell must be one word there. */
		{FORMAT_APDB, "a b.apdb", "asyncprof report 'a b.apdb'"},
		{FORMAT_APDB, "a'b.apdb", "asyncprof report 'a'\\''b.apdb'"},
		{FORMAT_APDB, "$(x).apdb", "asyncprof report '$(x).apdb'"},
		{FORMAT_APDB, "-a.apdb", "asyncprof report ./-a.apdb"},
		{FORMAT_FOLDED, "a b.folded",
		 "flamegraph.pl --countname=us 'a b.folded' > 'a b.svg'"},
	};
	char line[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		format_how_to_open(rows[i].format, rows[i].path, line, sizeof(line));
		assert_string_equal(line, rows[i].line);
	}
}

static void test_small_buffer(void **state)
{
	char line[64];

	(void)state;
	for (size_t sz = 0; sz < sizeof(line); sz++) {
		memset(line, 'x', sizeof(line));
		format_how_to_open(FORMAT_APDB, "it's.apdb", line, sz);
		for (size_t i = sz; i < sizeof(line); i++)
			assert_int_equal(line[i], 'x');
		if (sz)
			assert_true(strlen(line) < sz);
	}
}

static void test_binary(void **state)
{
	(void)state;
	assert_true(format_is_binary(FORMAT_PPROF));
	assert_true(format_is_binary(FORMAT_APDB));
	assert_false(format_is_binary(FORMAT_SVG));
	assert_false(format_is_binary(FORMAT_TEXT));
	assert_false(format_is_binary(FORMAT_NDJSON));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_paths),
		cmocka_unit_test(test_how_to_open), cmocka_unit_test(test_small_buffer),
		cmocka_unit_test(test_binary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
