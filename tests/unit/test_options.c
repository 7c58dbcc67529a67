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

static void test_record(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "record -p 7");
	assert_int_equal(options.command, COMMAND_RECORD);
	assert_int_equal(options.format, FORMAT_NONE);
	assert_null(options.output);
	assert_int_equal(options.rate_hz, 99);
	assert_int_equal(options.flame.clock, FLAME_WALL);
	assert_int_equal(options.flame.by, FLAME_BY_TASK);
	assert_false(options.kernel || options.native || options.json || options.flame.idle);
	assert_false(options.flame.threads || options.flame.per_process ||
		     options.flame.full_filenames);
	options__free(&options);

	accepts(&options, "record -p 7 -p 8 -d 30 -r 1000 -o out.pb.gz --clock blocked "
			  "--by function --per-process --threads --idle --kernel --native -t 20ms "
			  "--full-filenames -q --no-color");
	assert_int_equal(options.pid_cnt, 2);
	assert_int_equal(options.duration_ns, 30000000000);
	assert_int_equal(options.rate_hz, 1000);
	/* Each file has the format that its name tells. */
	assert_int_equal(options.format, FORMAT_NONE);
	assert_int_equal(options.outputs.cnt, 1);
	assert_int_equal(options.flame.clock, FLAME_BLOCKED);
	assert_int_equal(options.flame.by, FLAME_BY_FUNCTION);
	assert_true(options.flame.per_process && options.flame.threads && options.flame.idle &&
		    options.flame.full_filenames);
	assert_true(options.kernel && options.native && options.full_filenames);
	assert_int_equal(options.threshold_ns, 20000000);
	assert_int_equal(options.verbosity, -1);
	options__free(&options);

	/* What -f says counts, whatever the name. */
	accepts(&options, "record -p 7 -f folded -o out.svg");
	assert_int_equal(options.format, FORMAT_FOLDED);
	options__free(&options);
	accepts(&options, "record -p 7 -f apdb -o -");
	assert_int_equal(options.format, FORMAT_APDB);
	options__free(&options);
	accepts(&options, "record -p 7 -f svg");
	assert_int_equal(options.format, FORMAT_SVG);
	assert_null(options.output);
	options__free(&options);
	accepts(&options, "record -p 7 -o x.ndjson --idle -o all.apdb -o x.svg --by function");
	assert_int_equal(options.outputs.cnt, 3);
	assert_string_equal(options.outputs.item[0], "x.ndjson");
	assert_string_equal(options.outputs.item[2], "x.svg");
	options__free(&options);
}

static void test_report(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "report day.apdb");
	assert_int_equal(options.command, COMMAND_REPORT);
	assert_string_equal(options.file, "day.apdb");
	assert_int_equal(options.format, FORMAT_TEXT);
	assert_null(options.diff_old);
	assert_null(options.output);
	options__free(&options);

	accepts(&options, "report day.apdb -o -");
	assert_int_equal(options.format, FORMAT_TEXT);
	options__free(&options);
	accepts(&options, "report day.apdb -o x.html --clock cpu --by coroutine");
	assert_int_equal(options.format, FORMAT_HTML);
	assert_int_equal(options.flame.clock, FLAME_CPU);
	assert_int_equal(options.flame.by, FLAME_BY_COROUTINE);
	options__free(&options);
	accepts(&options, "report day.apdb -j -o stalls --only a: --cause cpu --task T -v");
	assert_int_equal(options.format, FORMAT_NDJSON);
	assert_true(options.json);
	options__free(&options);
	accepts(&options, "report day.apdb -f ndjson");
	assert_true(options.json);
	options__free(&options);
	accepts(&options, "report day.apdb --log -o slow.log --stack-depth 9");
	assert_int_equal(options.format, FORMAT_TEXT);
	assert_true(options.log);
	options__free(&options);
	accepts(&options, "report -- -day.apdb");
	assert_string_equal(options.file, "-day.apdb");
	options__free(&options);

	accepts(&options, "report --diff old.apdb new.apdb --clock cpu");
	assert_string_equal(options.diff_old, "old.apdb");
	assert_string_equal(options.file, "new.apdb");
	assert_int_equal(options.format, FORMAT_TEXT);
	options__free(&options);
	accepts(&options, "report new.apdb --diff old.apdb -o d.svg --idle");
	assert_string_equal(options.diff_old, "old.apdb");
	assert_string_equal(options.file, "new.apdb");
	assert_int_equal(options.format, FORMAT_SVG);
	options__free(&options);
}

/* All after "--" is the program's, options of ours included. */
static void test_program(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "-- python3 app.py -p 1 --help -- x");
	assert_int_equal(options.command, COMMAND_WATCH);
	assert_int_equal(options.pid_cnt, 0);
	assert_string_equal(options.program[0], "python3");
	assert_string_equal(options.program[3], "1");
	assert_string_equal(options.program[5], "--");
	assert_string_equal(options.program[6], "x");
	assert_null(options.program[7]);
	assert_false(options.as_root);
	options__free(&options);

	accepts(&options, "-- report");
	assert_int_equal(options.command, COMMAND_WATCH);
	assert_string_equal(options.program[0], "report");
	options__free(&options);
	accepts(&options, "-sp 1");
	assert_true(options.subprocesses);
	options__free(&options);
	accepts(&options, "record --as-root -o -- -f svg -- true");
	assert_int_equal(options.command, COMMAND_RECORD);
	assert_string_equal(options.output, "--");
	assert_string_equal(options.program[0], "true");
	assert_true(options.as_root);
	options__free(&options);
	/* A value that looks like the end of the options is a value. */
	accepts(&options, "-p 1 -o --");
	assert_string_equal(options.output, "--");
	assert_null(options.program);
	options__free(&options);
	accepts(&options, "report -h");
	assert_int_equal(options.command, COMMAND_HELP);
	assert_int_equal(options.help_for, COMMAND_REPORT);
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
		{"top -p 1", EXIT_USAGE, "no such command: 'top'", "--help"},
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
		{"watch python3 x.py", EXIT_USAGE, "don't know what to do with 'python3'", "--"},
		{"record python3", EXIT_USAGE, "don't know what to do with 'python3'", "--"},
		{"python3 x.py", EXIT_USAGE, "no such command: 'python3'", "--help"},
		{"--", EXIT_USAGE, "no program after --", "-- python3"},
		{"record -o a.svg --", EXIT_USAGE, "no program after --", "-- python3"},
		{"-p 1 -- python3", EXIT_USAGE, "-p and a program contradict", "one"},
		{"-p 1 --as-root", EXIT_USAGE, "--as-root is for a program that asyncprof starts",
		 "-- python3"},
		{"record", EXIT_USAGE, "which process?", "record -p PID"},
		{"doctor -- python3", EXIT_USAGE, "doctor starts no program", "doctor --help"},
		{"watch -p 1 -f svg", EXIT_USAGE, "watch has no --format", "watch --help"},
		{"-p 1 --kernel", EXIT_USAGE, "watch has no --kernel", "watch --help"},
		{"record -p 1 --only x", EXIT_USAGE, "record has no --only", "record --help"},
		{"record -p 1 -j", EXIT_USAGE, "record has no --json", "record --help"},
		{"record -p 1 -n 3", EXIT_USAGE, "record has no --count", "record --help"},
		{"record -p 1 -r 0", EXIT_USAGE,
		 "--rate wants a whole number from 1 to 1000, not '0'", ""},
		{"record -p 1 -r 1001", EXIT_USAGE,
		 "--rate wants a whole number from 1 to 1000, not '1001'", ""},
		{"record -p 1 --clock user", EXIT_USAGE, "no such clock: 'user'",
		 "wall, cpu or blocked"},
		{"record -p 1 --by line", EXIT_USAGE, "no such grouping: 'line'",
		 "task, coroutine or function"},
		{"record -p 1 -f gif", EXIT_USAGE, "no such format: 'gif'", "speedscope"},
		{"record -p 1 -f none", EXIT_USAGE, "no such format: 'none'", "speedscope"},
		{"record -p 1 -o a.gif", EXIT_USAGE, "the name 'a.gif' tells no format",
		 "speedscope"},
		{"record -p 1 -o -", EXIT_USAGE, "in which format?", "speedscope"},
		{"record -p 1 -o a.svg -o b.gif", EXIT_USAGE, "the name 'b.gif' tells no format",
		 "speedscope"},
		{"record -p 1 -f svg -o a -o b", EXIT_USAGE, "--format is for one file, not 2",
		 "name"},
		{"-p 1 -o a -o b", EXIT_USAGE, "--output was given twice", "one"},
		{"report a -o a.svg -o b.svg", EXIT_USAGE, "--output was given twice", "one"},
		{"record -p 1 -f text", EXIT_USAGE, "record writes no text", "watch"},
		{"record -p 1 -o a.apdb --clock cpu", EXIT_USAGE, "--clock changes nothing in apdb",
		 "report"},
		{"record -p 1 -o a.ndjson --by task", EXIT_USAGE, "--by changes nothing in ndjson",
		 ""},
		{"report", EXIT_USAGE, "which recording?", "asyncprof report FILE"},
		{"report -- ", EXIT_USAGE, "which recording?", "asyncprof report FILE"},
		{"report a b", EXIT_USAGE, "don't know what to do with 'b'", "--help"},
		{"report a -- -b", EXIT_USAGE, "don't know what to do with '-b'", "--help"},
		{"report a -p 1", EXIT_USAGE, "report has no --pid", "report --help"},
		{"report a --native", EXIT_USAGE, "report has no --native", "report --help"},
		{"report a -r 9", EXIT_USAGE, "report has no --rate", "report --help"},
		{"report a -t 9ms", EXIT_USAGE, "report has no --threshold", "report --help"},
		{"report a -d 9", EXIT_USAGE, "report has no --duration", "report --help"},
		{"report a -o b", EXIT_USAGE, "the name 'b' tells no format", "apdb"},
		{"report a -j -f svg", EXIT_USAGE, "--json and --format svg contradict", ""},
		{"report a --log -f html", EXIT_USAGE, "--log and --format html contradict", ""},
		{"report a --log -j", EXIT_USAGE, "--json and --log contradict", ""},
		{"report a --clock cpu", EXIT_USAGE, "--clock changes nothing in text", "-f"},
		{"report a -j --idle", EXIT_USAGE, "--idle changes nothing in ndjson", "-f"},
		{"report a -o b.apdb --by task", EXIT_USAGE, "--by changes nothing in apdb", ""},
		{"report a -f svg --only x", EXIT_USAGE, "--only changes nothing in svg", "text"},
		{"report a -o b.pb --stack-depth 3", EXIT_USAGE,
		 "--stack-depth changes nothing in pprof", "text"},
		{"report --diff a", EXIT_USAGE, "--diff wants two recordings", "OLD NEW"},
		{"report --diff a b c", EXIT_USAGE, "don't know what to do with 'c'", ""},
		{"report --diff= b", EXIT_USAGE, "--diff names no file", "OLD NEW"},
		{"report --diff a b -f pprof", EXIT_USAGE, "--diff can't be written as pprof",
		 "svg"},
		{"report --diff a b -j", EXIT_USAGE, "--diff can't be written as ndjson", "svg"},
		{"report --diff a b --log", EXIT_USAGE, "--diff can't be written as a log", "svg"},
		{"report --diff a b --task x", EXIT_USAGE, "--task changes nothing in a comparison",
		 ""},
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

/* A program belongs to the user behind sudo. */
static void test_sudo(void **state)
{
	static const char *const wrong[][2] = {
		{"x", "5"}, {"", "5"}, {"-1", "5"}, {"4294967295", "5"}, {"5", ""}, {"5", "0x10"},
	};
	struct options options;
	struct refusal why;
	size_t i;

	(void)state;
	setenv("SUDO_UID", "1000", 1);
	setenv("SUDO_GID", "0", 1);
	accepts(&options, "-- true");
	assert_true(options.has_sudo_user);
	assert_int_equal(options.sudo_uid, 1000);
	assert_int_equal(options.sudo_gid, 0);
	options__free(&options);
	accepts(&options, "--as-root -- true");
	assert_false(options.has_sudo_user);
	options__free(&options);
	accepts(&options, "-p 1");
	assert_false(options.has_sudo_user);
	options__free(&options);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("SUDO_UID", wrong[i][0], 1);
		setenv("SUDO_GID", wrong[i][1], 1);
		if (!parse(&options, "-- true", &why))
			fail_msg("'%s', '%s' is accepted", wrong[i][0], wrong[i][1]);
		assert_int_equal(why.code, EXIT_USAGE);
		options__free(&options);
	}
	setenv("SUDO_UID", "1000", 1);
	unsetenv("SUDO_GID");
	assert_int_equal(parse(&options, "-- true", &why), -1);
	assert_non_null(strstr(why.what, "SUDO_GID"));
	options__free(&options);
	unsetenv("SUDO_UID");
	accepts(&options, "-- true");
	assert_false(options.has_sudo_user);
	options__free(&options);
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

/* `pattern` with `word` in place of its %s. */
static void fill(char *line, size_t size, const char *pattern, const char *word)
{
	const char *mark = strstr(pattern, "%s");

	snprintf(line, size, "%.*s%s%s", (int)(mark - pattern), pattern, word, mark + 2);
}

/* Every option that --help of a command names is taken by that command. */
static void test_help_is_true(void **state)
{
	static const struct {
		enum command command;
		const char *lines[4]; /* %s: the option */
	} taught[] = {
		{COMMAND_HELP, {"-p 1 %s"}},
		{COMMAND_WATCH, {"-p 1 %s", "%s -- x"}},
		{COMMAND_RECORD, {"record -p 1 %s", "record %s -- x"}},
		{COMMAND_REPORT, {"report x %s", "report x -f svg %s"}},
		{COMMAND_DOCTOR, {"doctor -p 1 %s"}},
	};
	static const char *const values[] = {"",     "=1",    "=1ms", "=auto", "=x",
					     "=cpu", "=task", "=svg", "=x.svg"};
	size_t i, k, n, seen = 0;

	(void)state;
	for (i = 0; i < sizeof(taught) / sizeof(taught[0]); i++) {
		const char *at = options_help(taught[i].command);

		for (; (at = strstr(at, "--")); at += 2) {
			size_t len = 2 + strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
			char option[64], line[128];
			struct options options;
			struct refusal why;
			int taken = -1;

			if (len == 2) /* before a program */
				continue;
			for (n = 0; n < 4 && taught[i].lines[n]; n++) {
				for (k = 0; taken && k < sizeof(values) / sizeof(values[0]); k++) {
					snprintf(option, sizeof(option), "%.*s%s", (int)len, at,
						 values[k]);
					fill(line, sizeof(line), taught[i].lines[n], option);
					taken = parse(&options, line, &why);
					options__free(&options);
				}
			}
			if (taken)
				fail_msg("--help teaches '%.*s': %s", (int)len, at, why.what);
			seen++;
		}
	}
	assert_true(seen > 70);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_everything),
		cmocka_unit_test(test_commands),      cmocka_unit_test(test_no_color),
		cmocka_unit_test(test_times),	      cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_hostile_words), cmocka_unit_test(test_help_is_true),
		cmocka_unit_test(test_sudo),	      cmocka_unit_test(test_record),
		cmocka_unit_test(test_report),	      cmocka_unit_test(test_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
