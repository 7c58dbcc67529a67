/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/pids.h"

static void test_numbers(void **state)
{
	static const char status[] = "Name:\tx\nNgid:\t0\nNStgid:\t70\t7\t1\nNSpid:\t71\t8\t2\nNSpgid:\t9\t9\t9\n";

	(void)state;
	assert_int_equal(pids_number(status, 0), 71);
	assert_int_equal(pids_number(status, 1), 8);
	assert_int_equal(pids_number(status, 2), 2);
	assert_int_equal(pids_number(status, PIDS_LAST), 2);
	/* Not those of the next line. */
	assert_int_equal(pids_number(status, 3), 0);
	assert_int_equal(pids_number("\nNSpid:\t5", 0), 5);
	assert_int_equal(pids_number("\nNSpid:\t5", 1), 0);
	assert_int_equal(pids_number("\nNSpid:", PIDS_LAST), 0);
	assert_int_equal(pids_number("\nNSpid:\tx\n", PIDS_LAST), 0);
	assert_int_equal(pids_number("Name:\tNSpid:\t5\n", PIDS_LAST), 0);
	assert_int_equal(pids_number("", 0), 0);
}

/* In whichever namespaces the test runs. */
static void test_self(void **state)
{
	pid_t shown = pids_shown(getpid());
	int fd;

	(void)state;
	assert_true(pids_depth() >= 0);
	assert_true(shown > 0);
	fd = pids_open(shown);
	assert_true(fd >= 0);
	close(fd);
	assert_true(pids_open(0x7ffffff0) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
