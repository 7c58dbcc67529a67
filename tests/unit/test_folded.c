/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Folded stacks as their readers take them apart: speedscope with
 * /^(.*) (\d+)$/, flamegraph.pl with /^(.*)\s+?(\d+(?:\.\d*)?)$/ and then once
 * more for a second column.
 */
#include "cmocka_all.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>

#include "profiles.h"
#include "report/folded.h"
#include "stalls.h"

static struct made made, old_made;
static struct made_evil evil;

static const struct flame_options everything = {.threads = true, .idle = true};

static void render(struct capture *capture, struct flame *flame)
{
	assert_non_null(flame);
	capture_open(capture);
	assert_int_equal(folded_print(capture->file, flame), 0);
}

/* One line as its readers see it, into names of `line` and its last number. */
static int64_t parse_line(char *line, char *names[], size_t *name_cnt)
{
	regex_t grammar, column;
	regmatch_t match[3];
	char *number;

	assert_int_equal(regcomp(&grammar, "^(.*) ([0-9]+)$", REG_EXTENDED), 0);
	assert_int_equal(
		regcomp(&column, "[[:space:]][0-9]+(\\.[0-9]*)?$", REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&grammar, line, 3, match, 0))
		fail_msg("no line of folded stacks: %s", line);
	number = line + match[2].rm_so;
	line[match[1].rm_eo] = 0;
	if (!regexec(&column, line, 0, NULL, 0))
		fail_msg("flamegraph.pl finds one more column in: %s", line);
	regfree(&grammar);
	regfree(&column);
	*name_cnt = 0;
	for (char *at = line; at; *name_cnt += 1) {
		char *end = strchr(at, ';');

		if (end)
			*end++ = 0;
		assert_true(*name_cnt < 32);
		assert_true(*at);
		names[*name_cnt] = at;
		at = end;
	}
	return strtoll(number, NULL, 10);
}

/* All lines; returns their sum. */
static int64_t parse_all(const char *text, size_t *line_cnt)
{
	char *copy = strdup(text), *at = copy, *names[32];
	int64_t sum = 0;
	size_t name_cnt;

	assert_no_controls(text, 1);
	*line_cnt = 0;
	while (*at) {
		char *end = strchr(at, '\n');

		assert_non_null(end);
		*end = 0;
		sum += parse_line(at, names, &name_cnt);
		assert_true(name_cnt >= 3);
		at = end + 1;
		++*line_cnt;
	}
	free(copy);
	return sum;
}

static void test_shop(void **state)
{
	struct flame_options options = {};
	struct capture capture;
	struct flame *flame;
	size_t line_cnt;

	(void)state;
	made_shop(&made);
	flame = flame__new(&made.profile, &options);
	render(&capture, flame);
	assert_string_equal(
		capture_text(&capture),
		"python3;loop (python3);coro fetch;fetch (web.py:9);blocked: lock 100000\n"
		"python3;loop (python3);coro fetch;fetch (web.py:9);tcp_sendmsg_[k] 20000\n"
		"python3;loop (python3);event loop;[no stack] 10000\n"
		"python3;loop (python3);task worker;Worker.run (work.py:40);query (db.py:17) "
		"100000\n"
		"python3;loop (python3);task worker;Worker.run (work.py:40);query (db.py:17);"
		"recvfrom 10.0.0.7:443 900000\n"
		"python3;loop (python3);task worker;Worker.run (work.py:40);query (db.py:17);"
		"run queue 500000\n");
	assert_int_equal(parse_all(capture_text(&capture), &line_cnt), 1630000);
	assert_int_equal(line_cnt, 6);
	capture_close(&capture);
	flame__free(flame);
}

static void test_options(void **state)
{
	struct capture capture;
	struct flame *flame;
	size_t line_cnt;

	(void)state;
	made_shop(&made);
	flame = flame__new(&made.profile, &everything);
	render(&capture, flame);
	assert_has(capture_text(&capture), ";idle 28000000\n");
	assert_has(capture_text(&capture), "thread pool_0;<module> (pool.py:3) 50000\n");
	assert_int_equal(parse_all(capture_text(&capture), &line_cnt), 29680000);
	capture_close(&capture);
	flame__free(flame);
}

/* Each line less than a microsecond off, and so the sum of a thousand. */
static void test_rounding(void **state)
{
	struct flame_options options = {};
	struct capture capture;
	struct flame *flame;
	int64_t sum_ns = 0;
	size_t line_cnt;
	uint32_t loop;
	char name[MADE_MAX][16];

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", NULL);
	loop = made_thread(&made, 0, 1, "python3", 0x1000);
	for (int i = 0; i < 100; i++) {
		uint32_t call;

		snprintf(name[i], sizeof(name[i]), "f%02d", i);
		call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, name[i], "x.py", 1);
		made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 1500 + i);
		sum_ns += 1500 + i;
	}
	flame = flame__new(&made.profile, &options);
	render(&capture, flame);
	assert_int_equal(parse_all(capture_text(&capture), &line_cnt), sum_ns / 1000);
	assert_int_equal(line_cnt, 100);
	assert_has_not(capture_text(&capture), " 0\n");
	assert_has_not(capture_text(&capture), " 3\n");
	capture_close(&capture);
	flame__free(flame);
}

/* Next to nothing, but seen: a line all the same. Nothing at all: none. */
static void test_zero(void **state)
{
	struct flame_options options = {};
	struct capture capture;
	struct flame *flame;
	uint32_t loop, seen, unseen;

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", NULL);
	loop = made_thread(&made, 0, 1, "python3", 0x1000);
	seen = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "seen", "x.py", 1);
	unseen = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "unseen", "x.py", 1);
	made_entry(&made, loop, PROFILE_NONE, seen, POINT_CPU, CAUSE_CPU, 10);
	made_entry(&made, loop, PROFILE_NONE, unseen, POINT_CPU, CAUSE_CPU, 10);
	made.entries[1].cnt = 0;
	flame = flame__new(&made.profile, &options);
	render(&capture, flame);
	assert_string_equal(capture_text(&capture), "python3;loop (python3);seen (x.py:1) 0\n");
	capture_close(&capture);
	flame__free(flame);
}

/* No name makes a line that its readers would take apart differently. */
static void test_hostile(void **state)
{
	static const char *const bytes[] = {
		EVIL,	    ";", " 12", " 1.", " 1.5", "\n7", ";;; 3", " ", "", "\xe2\x80\xa8 5",
		"\xc2\x85",
	};
	struct flame_options options = {.full_filenames = true};
	struct capture capture;
	struct flame *flame;
	size_t line_cnt, name_cnt;
	char *line, *names[32];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		made_evil(&evil, bytes[i]);
		flame = flame__new(&evil.made.profile, &options);
		render(&capture, flame);
		assert_int_equal(parse_all(capture_text(&capture), &line_cnt), 100000);
		assert_int_equal(line_cnt, 2);
		line = strdup(strchr(capture_text(&capture), '\n') + 1);
		line[strlen(line) - 1] = 0;
		assert_int_equal(parse_line(line, names, &name_cnt), 30000);
		assert_int_equal(name_cnt, 8);
		assert_ptr_equal(strstr(names[0], "comm"), names[0]);
		assert_ptr_equal(strstr(names[5], "symbol"), names[5]);
		assert_ptr_equal(strstr(names[7], "kernel"), names[7]);
		free(line);
		capture_close(&capture);
		flame__free(flame);
	}
}

/* Byte for byte: what each hostile name becomes. */
static void test_escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"a;b", "a:b"},
		{"w 12", "w_12"},
		{"w 1.", "w_1."},
		{"w 1.5", "w_1.5"},
		{"w 1.5x", "w 1.5x"},
		{"w 1 2", "w 1_2"},
		{"a\nb", "a\\x0ab"},
		{"a\xff", "a\\xff"},
		{"a\tb 1", "a\\x09b_1"},
		{"\xc3\xa4", "\xc3\xa4"},
		{"a\xe2\x80\xa8", "a\\u2028"},
		{"", "?"},
	};
	struct flame_node nodes[2] = {
		{.kind = FLAME_ALL,
		 .label = "all",
		 .parent = PROFILE_NONE,
		 .first_child = 1,
		 .next = PROFILE_NONE},
		{.kind = FLAME_WAIT,
		 .first_child = PROFILE_NONE,
		 .next = PROFILE_NONE,
		 .depth = 1,
		 .self_ns = 1000,
		 .self_cnt = 1},
	};
	struct flame flame = {.nodes = nodes, .node_cnt = 2, .depth_max = 1};
	struct capture capture;
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nodes[1].label = rows[i].in;
		render(&capture, &flame);
		snprintf(line, sizeof(line), "%s 1\n", rows[i].out);
		assert_string_equal(capture_text(&capture), line);
		capture_close(&capture);
	}
}

/* Two columns, the old one first, as difffolded.pl has them. */
static void test_compared(void **state)
{
	struct flame_options options = {};
	struct capture capture;
	struct flame *flame;

	(void)state;
	made_shop(&made);
	made_shop(&old_made);
	old_made.entries[0].ns = 40000000;
	flame = flame__compare(&old_made.profile, &made.profile, &options);
	render(&capture, flame);
	assert_has(capture_text(&capture), ";query (db.py) 40000 100000\n");
	assert_has(capture_text(&capture), ";recvfrom 10.0.0.7:443 900000 900000\n");
	capture_close(&capture);
	flame__free(flame);
}

static void test_broken_output(void **state)
{
	struct flame_options options = {};
	FILE *out = broken_file();
	struct flame *flame;

	(void)state;
	if (!out)
		skip();
	made_shop(&made);
	flame = flame__new(&made.profile, &options);
	assert_int_equal(folded_print(out, flame), -ENOSPC);
	fclose(out);
	/* Also where it fails at the first byte, long before the end. */
	out = broken_file();
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(folded_print(out, flame), -ENOSPC);
	fclose(out);
	flame__free(flame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shop),	 cmocka_unit_test(test_options),
		cmocka_unit_test(test_rounding), cmocka_unit_test(test_zero),
		cmocka_unit_test(test_hostile),	 cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_compared), cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
