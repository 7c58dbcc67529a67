/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Which stalls are shown, and the pattern matcher underneath. */
#include "cmocka_all.h"

#include "model/filter.h"
#include "stalls.h"

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"a*c", "abbc", true},
		{"a*c", "abcd", false},
		{"*b*", "abc", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[!a-c]x", "dx", true},
		{"[!a-c]x", "ax", false},
		{"[^a]x", "bx", true},
		{"[]]", "]", true},
		{"[a", "[a", true},
		{"[a", "a", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"**a**", "bab", true},
		{"[a-]", "-", true},
		{"*ab*ab", "abxabab", true},
		{"[", "[", true},
		{"abc", "ab", false},
		{"Task-[0-9]", "Task-7", true},
		{"[\xc3-\xc4]", "\xc3", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (filter_glob(rows[i].pattern, rows[i].text) != rows[i].matches)
			fail_msg("'%s' on '%s'", rows[i].pattern, rows[i].text);
	}
}

/* A pattern that makes recursive matchers run for the age of the universe. */
static void test_glob_hostile(void **state)
{
	char text[4001], pattern[401];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (size_t i = 0; i < sizeof(pattern) - 1; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[sizeof(pattern) - 2] = 'b';
	pattern[sizeof(pattern) - 1] = 0;
	assert_false(filter_glob(pattern, text));
}

static bool matches(int (*add)(struct filter *, const char *, struct refusal *),
		    const char *pattern, const struct stall *stall)
{
	struct filter *filter = filter__new();
	struct refusal why = {};
	bool match;

	assert_int_equal(add(filter, pattern, &why), 0);
	match = filter_match(filter, stall);
	filter__free(filter);
	return match;
}

static void test_nothing_asked(void **state)
{
	struct filter *filter = filter__new();
	struct stall stall = stall_of_nothing();

	(void)state;
	assert_true(filter_match(filter, &stall));
	filter__free(filter);
	filter__free(NULL);
}

static void test_only(void **state)
{
	static const struct {
		const char *pattern;
		bool matches;
	} rows[] = {
		{"shop.server:handle", true},
		{"shop.server:Server.handle", true},
		{"server:*", true},
		{"server:", true},
		{"srv.shop.server:", true},
		{"erver:", false},
		{"shop:", false},
		{"shop.*:", true},
		{"sleeper", true},
		{"handle", true},
		{"Server.handle", true},
		{"server", false},
		{":sleeper", true},
		{":Server.*", true},
		{":handl", false},
		{"shop.app:handle", false},
		{"functools:wrap", true},
		{"other:*", false},
	};
	struct stall stall = stall_of_sleep();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (matches(filter__only, rows[i].pattern, &stall) != rows[i].matches)
			fail_msg("--only %s", rows[i].pattern);
		if (matches(filter__exclude, rows[i].pattern, &stall) == rows[i].matches)
			fail_msg("--exclude %s", rows[i].pattern);
	}
}

static void test_package(void **state)
{
	static const struct stall_frame frames[] = {{"f", "/srv/shop/__init__.py", 1}};
	struct stall stall = stall_of_sleep();

	(void)state;
	stall.frames = frames;
	stall.frame_cnt = 1;
	assert_true(matches(filter__only, "shop:f", &stall));
	assert_false(matches(filter__only, "shop.__init__:", &stall));
}

/* Without a stack the coroutine and the callback still have names, but no module. */
static void test_no_stack(void **state)
{
	struct stall stall = stall_of_sleep();

	(void)state;
	stall.frame_cnt = 0;
	assert_true(matches(filter__only, ":handle", &stall));
	assert_false(matches(filter__only, "shop.server:handle", &stall));
	stall.coro = NULL;
	stall.callback = "Timer.fire";
	assert_true(matches(filter__only, ":Timer.*", &stall));
}

static void test_cause_and_task(void **state)
{
	struct stall stall = stall_of_sleep();
	struct refusal why = {};
	struct filter *filter = filter__new();

	(void)state;
	assert_true(matches(filter__cause, "sleep", &stall));
	assert_false(matches(filter__cause, "cpu", &stall));
	assert_true(matches(filter__task, "Task-*", &stall));
	assert_false(matches(filter__task, "job-*", &stall));

	/* One kind: either. Two kinds: both. */
	assert_int_equal(filter__cause(filter, "cpu", &why), 0);
	assert_int_equal(filter__cause(filter, "sleep", &why), 0);
	assert_true(filter_match(filter, &stall));
	assert_int_equal(filter__task(filter, "job-*", &why), 0);
	assert_false(filter_match(filter, &stall));
	assert_int_equal(filter__task(filter, "*5", &why), 0);
	assert_true(filter_match(filter, &stall));
	assert_int_equal(filter__exclude(filter, ":sleeper", &why), 0);
	assert_false(filter_match(filter, &stall));
	stall.task = NULL;
	assert_false(filter_match(filter, &stall));
	filter__free(filter);
}

static void test_refused(void **state)
{
	struct filter *filter = filter__new();
	struct refusal why = {};

	(void)state;
	assert_int_equal(filter__cause(filter, "sleepy", &why), -1);
	assert_int_equal(why.code, EXIT_USAGE);
	assert_true(strlen(why.what) > 0 && strlen(why.remedy) > 0);
	assert_int_equal(filter__only(filter, "", &why), -1);
	assert_int_equal(filter__only(filter, ":", &why), -1);
	assert_int_equal(filter__task(filter, "", &why), -1);
	filter__free(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),	       cmocka_unit_test(test_glob_hostile),
		cmocka_unit_test(test_nothing_asked),  cmocka_unit_test(test_only),
		cmocka_unit_test(test_package),	       cmocka_unit_test(test_no_stack),
		cmocka_unit_test(test_cause_and_task), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
