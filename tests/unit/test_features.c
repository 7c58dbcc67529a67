/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The table of features: whole, honest about what it found, and leaving
 * nothing behind. What a probe finds depends on the kernel and on who runs
 * it, so rows are held against other evidence for the same thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/features.h"

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t cnt = 0;

	assert_non_null(dir);
	while (readdir(dir))
		cnt++;
	closedir(dir);
	return cnt;
}

static void try_all(void)
{
	int i;

	for (i = 0; i < FEATURE_CNT; i++)
		feature((enum feature)i);
}

static void test_rows_are_whole(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < FEATURE_CNT; i++) {
		struct feature_row row = feature_row((enum feature)i);

		assert_true(row.name && *row.name);
		assert_true(row.what_for && *row.what_for);
		assert_true(row.since && *row.since);
		assert_non_null(row.remedy);
		assert_non_null(row.why);
		/* What is needed, and what costs something when it is missing, has a remedy. */
		if (row.required || row.degraded)
			assert_true(*row.remedy);
		if (row.required)
			assert_null(row.degraded);
		/* It works, or it says why not. */
		assert_int_equal(row.works, !*row.why);
		assert_int_equal(row.works, feature((enum feature)i));
	}
	assert_false(feature(FEATURE_CNT));
}

static void test_leaves_nothing_open(void **state)
{
	size_t before = open_fds();

	(void)state;
	/* In a process of its own: here the rows have been tried and are remembered. */
	if (!fork()) {
		before = open_fds();
		try_all();
		_exit(open_fds() == before ? 0 : 1);
	}
	int status;

	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	try_all();
	assert_int_equal(open_fds(), before);
}

/* All that a user without any right can get is a refusal that says to use sudo. */
static void test_without_permission(void **state)
{
	struct refusal why;
	int status, pipe_fd[2];

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	if (!fork()) {
		memset(&why, 0, sizeof(why));
		if (!getuid() && (setgid(65534) || setuid(65534)))
			_exit(9);
		if (features_require(&why) == 0)
			_exit(8);
		if (write(pipe_fd[1], &why, sizeof(why)) != (ssize_t)sizeof(why))
			_exit(7);
		_exit(0);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipe_fd[0], &why, sizeof(why)), sizeof(why));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	assert_int_equal(why.code, EXIT_PERMISSION);
	assert_non_null(strstr(why.remedy, "sudo"));
}

static void test_agrees_with_the_kernel(void **state)
{
	(void)state;
	if (geteuid()) {
		print_message("skip: only root may try what the kernel offers\n");
		skip();
	}
	assert_int_equal(feature(FEATURE_BTF), !access("/sys/kernel/btf/vmlinux", R_OK));
	if (access("/sys/bus/event_source/devices/kprobe/type", R_OK))
		assert_false(feature(FEATURE_KPROBE));
	if (access("/sys/bus/event_source/devices/uprobe/type", R_OK))
		assert_false(feature(FEATURE_UPROBE));
	/* One needs the other. */
	if (!feature(FEATURE_TRACEFS))
		assert_false(feature(FEATURE_SYSCALL_TRACEPOINT));
	if (!feature(FEATURE_BPF))
		assert_false(feature(FEATURE_UPROBE));
}

static void test_tracefs_is_tracefs(void **state)
{
	struct statfs fs;
	int fd;

	(void)state;
	if (!feature(FEATURE_TRACEFS)) {
		print_message("skip: %s\n", feature_row(FEATURE_TRACEFS).why);
		skip();
	}
	fd = features_open_tracefs();
	assert_true(fd >= 0);
	assert_int_equal(fstatfs(fd, &fs), 0);
	assert_int_equal(fs.f_type, 0x74726163);
	assert_int_equal(faccessat(fd, "events", F_OK, 0), 0);
	close(fd);
}

static void test_degraded(void **state)
{
	const char *list[FEATURE_CNT];
	size_t cnt = features_degraded(list, FEATURE_CNT), i;

	(void)state;
	assert_true(cnt <= FEATURE_CNT);
	for (i = 0; i < cnt; i++)
		assert_true(*list[i]);
	/* Too short a list is filled, and the whole count returned. */
	assert_int_equal(features_degraded(list, 0), cnt);
	assert_int_equal(cnt == 0, feature(FEATURE_THROTTLED));
}

static void test_libbpf_version(void **state)
{
	(void)state;
	assert_in_range(features_libbpf_version()[0], '0', '9');
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_permission),
		cmocka_unit_test(test_leaves_nothing_open),
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_agrees_with_the_kernel),
		cmocka_unit_test(test_tracefs_is_tracefs),
		cmocka_unit_test(test_degraded),
		cmocka_unit_test(test_libbpf_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
