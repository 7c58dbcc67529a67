/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a person may type, and what they are told when it makes no sense. Each
 * row of `refusals` is a mistake that somebody makes in their first minute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/options.h"

#define WORDS_MAX 32

/* Splits `line` at single spaces. */
static int parse(struct options *options, const char *line, struct refusal *why)
{
	static char copy[512];
	static char *argv[WORDS_MAX + 2];
	int argc = 0;
	char *at;

	snprintf(copy, sizeof(copy), "asyncprof %s", line);
	for (at = copy; at && argc <= WORDS_MAX; argc++) {
		char *end = strchr(at, ' ');

		argv[argc] = at;
		if (end)
			*end++ = '\0';
		at = end;
	}
	if (!argv[argc - 1][0])
		argc--;
	argv[argc] = NULL;
	memset(why, 0, sizeof(*why));
	return options__parse(options, argc, argv, why);
}

static void accepts(struct options *options, const char *line)
{
	struct refusal why;

	if (parse(options, line, &why))
		fail_msg("'%s' is refused: %s", line, why.what);
}

static void test_defaults(void **state)
{
	struct options options;

	(void)state;
	unsetenv("NO_COLOR");
	accepts(&options, "-p 42");
	assert_int_equal(options.command, COMMAND_WATCH);
	assert_int_equal(options.pid_cnt, 1);
	assert_int_equal(options.pid[0], 42);
	assert_int_equal(options.threshold_ns, 100000000);
	assert_int_equal(options.duration_ns, 0);
	assert_int_equal(options.stall_cnt_max, 0);
	assert_int_equal(options.tier, TIER_AUTO);
	assert_int_equal(options.verbosity, 0);
	assert_null(options.output);
	assert_false(options.json || options.log || options.no_color || options.full_filenames);
	options__free(&options);
}

static void test_everything(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "watch --pid 7 -p 8 -p7 -d 2.5 -n 3 --threshold=250us --tier exact "
			  "--only app.db:fetch --only main --exclude x: -j -o out.ndjson");
	assert_int_equal(options.command, COMMAND_WATCH);
	assert_int_equal(options.pid_cnt, 2);
	assert_int_equal(options.pid[1], 8);
	assert_int_equal(options.duration_ns, 2500000000);
	assert_int_equal(options.stall_cnt_max, 3);
	assert_int_equal(options.threshold_ns, 250000);
	assert_int_equal(options.tier, TIER_EXACT);
	assert_int_equal(options.only.cnt, 2);
	assert_string_equal(options.only.item[0], "app.db:fetch");
	assert_string_equal(options.only.item[1], "main");
	assert_int_equal(options.exclude.cnt, 1);
	assert_true(options.json);
	assert_string_equal(options.output, "out.ndjson");
	options__free(&options);

	accepts(&options, "-vvp9 --log --cause cpu --cause gil --task Task-1 --stack-depth 128 "
			  "--full-filenames --no-color");
	assert_int_equal(options.pid[0], 9);
	assert_int_equal(options.verbosity, 2);
	assert_true(options.log && options.full_filenames && options.no_color);
	assert_int_equal(options.cause.cnt, 2);
	assert_string_equal(options.task.item[0], "Task-1");
	assert_int_equal(options.stack_depth, 128);
	options__free(&options);

	accepts(&options, "-q -p 1");
	assert_int_equal(options.verbosity, -1);
	options__free(&options);
}

static void test_commands(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "doctor");
	assert_int_equal(options.command, COMMAND_DOCTOR);
	assert_int_equal(options.pid_cnt, 0);
	options__free(&options);
	accepts(&options, "-p 3 doctor --json");
	assert_int_equal(options.command, COMMAND_DOCTOR);
	assert_int_equal(options.pid_cnt, 1);
	assert_true(options.json);
	options__free(&options);
	accepts(&options, "--help");
	assert_int_equal(options.command, COMMAND_HELP);
	assert_int_equal(options.help_for, COMMAND_HELP);
	options__free(&options);
	accepts(&options, "doctor -h");
	assert_int_equal(options.command, COMMAND_HELP);
	assert_int_equal(options.help_for, COMMAND_DOCTOR);
	options__free(&options);
	accepts(&options, "--version");
	assert_int_equal(options.command, COMMAND_VERSION);
	options__free(&options);
	accepts(&options, "--json-schema");
	assert_int_equal(options.command, COMMAND_SCHEMA);
	options__free(&options);
}

static void test_no_color(void **state)
{
	struct options options;

	(void)state;
	setenv("NO_COLOR", "1", 1);
	accepts(&options, "-p 1");
	assert_true(options.no_color);
	options__free(&options);
	setenv("NO_COLOR", "", 1);
	accepts(&options, "-p 1");
	assert_false(options.no_color);
	options__free(&options);
	unsetenv("NO_COLOR");
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{"1ns", 1},
		{"250us", 250000},
		{"250\xc2\xb5s", 250000},
		{"100ms", 100000000},
		{"0.1s", 100000000},
		{"1.5s", 1500000000},
		{"2.000000001s", 2000000001},
		{"0.0000000019s", 1},
		{"10min", 600000000000},
		{"1h", 3600000000000},
		{"8760h", 31536000000000000},
	};
	static const char *const wrong[] = {
		"",
		"ms",
		"100",
		"-1ms",
		"+1ms",
		" 1ms",
		"1 ms",
		"1ms ",
		"1.ms",
		".5s",
		"1e3ms",
		"0x10ms",
		"nan",
		"inf",
		"1d",
		"1MS",
		"8761h",
		"99999999999999999999ms",
		"31536000000000001ns",
		"1.2.3s",
		"18446744073709551617ns",
	};
	struct refusal why;
	uint64_t ns;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (options_parse_time(rows[i].text, &ns, &why))
			fail_msg("'%s' is refused: %s", rows[i].text, why.what);
		assert_int_equal(ns, rows[i].ns);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!options_parse_time(wrong[i], &ns, &why))
			fail_msg("'%s' is taken for %llu ns", wrong[i], (unsigned long long)ns);
		assert_int_equal(why.code, EXIT_USAGE);
		assert_string_not_equal(why.remedy, "");
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line;
		enum exit_code code;
		const char *what;
		const char *remedy; /* a part of it */
	} rows[] = {
		{"", EXIT_USAGE, "which process?", "-p PID"},
		{"1234", EXIT_USAGE, "no such command: '1234'", "-p"},
		{"watch 1234", EXIT_USAGE, "don't know what to do with '1234'", "-p"},
		{"record -p 1", EXIT_USAGE, "no such command: 'record'", "--help"},
		{"doctor watch", EXIT_USAGE, "don't know what to do with 'watch'", "--help"},
		{"-p", EXIT_USAGE, "--pid wants a value", "--help"},
		{"-p x", EXIT_USAGE, "--pid wants a whole number from 1 to 2147483647, not 'x'",
		 "pgrep"},
		{"-p 0", EXIT_USAGE, "--pid wants a whole number from 1 to 2147483647, not '0'",
		 "pgrep"},
		{"-p -3", EXIT_USAGE, "--pid wants a whole number from 1 to 2147483647, not '-3'",
		 "pgrep"},
		{"-p 1,2", EXIT_USAGE, "--pid wants a whole number from 1 to 2147483647, not '1,2'",
		 "-p 1 -p 2"},
		{"-p 2147483648", EXIT_USAGE,
		 "--pid wants a whole number from 1 to 2147483647, not '2147483648'", "pgrep"},
		{"-p 1 -t 100", EXIT_USAGE, "'100' has no unit", "100ms"},
		{"-p 1 -t 0ms", EXIT_USAGE, "--threshold must be 1us or more", "1ms"},
		{"-p 1 -t fast", EXIT_USAGE, "'fast' is not a time", "100ms"},
		{"-p 1 -d 0", EXIT_USAGE, "--duration must be more than 0", "Ctrl-C"},
		{"-p 1 -n 0", EXIT_USAGE,
		 "--count wants a whole number from 1 to 4294967295, not '0'", ""},
		{"-p 1 -n 2.5", EXIT_USAGE,
		 "--count wants a whole number from 1 to 4294967295, not '2.5'", ""},
		{"-p 1 --stack-depth 129", EXIT_USAGE,
		 "--stack-depth wants a whole number from 1 to 128, not '129'", ""},
		{"-p 1 --tier light", EXIT_INTERPRETER, "the light tier is not built yet", "exact"},
		{"-p 1 --tier slow", EXIT_USAGE, "no such tier: 'slow'", "auto or exact"},
		{"-p 1 --only :", EXIT_USAGE, "--only ':' names no function", "MODULE:FUNCTION"},
		{"-p 1 --exclude a:b:c", EXIT_USAGE, "--exclude 'a:b:c' names no function",
		 "MODULE:FUNCTION"},
		{"-p 1 --task=", EXIT_USAGE, "--task is empty", ""},
		{"-p 1 -o ", EXIT_USAGE, "--output wants a value", ""},
		{"-p 1 --output=", EXIT_USAGE, "--output names no file", "stdout"},
		{"-p 1 --json --log", EXIT_USAGE, "--json and --log contradict", ""},
		{"-p 1 -q -v", EXIT_USAGE, "--quiet and --verbose contradict", ""},
		{"-p 1 --bogus", EXIT_USAGE, "no such option: '--bogus'", "--help"},
		{"-p 1 -x", EXIT_USAGE, "no such option: '-x'", "--help"},
		{"-p 1 --json=yes", EXIT_USAGE, "no such option: '--json=yes'", "--help"},
		{"doctor -t 1ms", EXIT_USAGE, "doctor has no --threshold", "doctor --help"},
		{"doctor --log", EXIT_USAGE, "doctor has no --log", "doctor --help"},
		{"-- python3 x.py", EXIT_USAGE, "can't start a program: 'python3'", "-p"},
		{"-p \x1b[31m", EXIT_USAGE,
		 "--pid wants a whole number from 1 to 2147483647, not '?[31m'", ""},
	};
	struct options options;
	struct refusal why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!parse(&options, rows[i].line, &why))
			fail_msg("'%s' is accepted", rows[i].line);
		if (strcmp(why.what, rows[i].what) || !strstr(why.remedy, rows[i].remedy) ||
		    why.code != rows[i].code)
			fail_msg("'%s': \"%s\", \"%s\", code %d", rows[i].line, why.what,
				 why.remedy, why.code);
		options__free(&options);
	}
}

/* A word of any length and any bytes ends up in one short printable line. */
static void test_hostile_words(void **state)
{
	char word[4096];
	char *argv[] = {"asyncprof", word, NULL};
	struct options options;
	struct refusal why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(word) - 1; i++)
		word[i] = (char)(i % 255 + 1);
	word[0] = 'x';
	word[sizeof(word) - 1] = '\0';
	assert_int_equal(options__parse(&options, 2, argv, &why), -1);
	assert_true(strlen(why.what) < 100);
	for (i = 0; why.what[i]; i++)
		assert_in_range(why.what[i], ' ', '~');
	options__free(&options);
}

/* Every option that --help of a command names is taken by that command. */
static void test_help_is_true(void **state)
{
	static const enum command taught[] = {COMMAND_WATCH, COMMAND_DOCTOR, COMMAND_HELP};
	static const char *const values[] = {"", "=1", "=1ms", "=auto", "=x"};
	size_t i, k, seen = 0;

	(void)state;
	for (i = 0; i < sizeof(taught) / sizeof(taught[0]); i++) {
		const char *at = options_help(taught[i]);

		for (; (at = strstr(at, "--")); at += 2) {
			size_t len = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
			struct options options;
			struct refusal why;
			char line[128];
			int taken = -1;

			for (k = 0; taken && k < sizeof(values) / sizeof(values[0]); k++) {
				snprintf(line, sizeof(line), "%s -p 1 %.*s%s",
					 taught[i] == COMMAND_DOCTOR ? "doctor" : "watch", (int)len,
					 at, values[k]);
				taken = parse(&options, line, &why);
				options__free(&options);
			}
			if (taken)
				fail_msg("--help teaches '%.*s': %s", (int)len, at, why.what);
			seen++;
		}
	}
	assert_true(seen > 25);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_everything),
		cmocka_unit_test(test_commands),      cmocka_unit_test(test_no_color),
		cmocka_unit_test(test_times),	      cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_hostile_words), cmocka_unit_test(test_help_is_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
