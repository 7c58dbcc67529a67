/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* One line of the target's source: the right one, and none that the target itself can't read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/source.h"

#define NOBODY 65534

static char folder[64], file[128], fifo[128];

static int make_files(void **state)
{
	FILE *f;

	(void)state;
	strcpy(folder, "/tmp/test_source.XXXXXX");
	if (!mkdtemp(folder) || chmod(folder, 0755))
		return -1;
	snprintf(file, sizeof(file), "%s/program.py", folder);
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	f = fopen(file, "w");
	if (!f)
		return -1;
	fputs("first\n\tsecond \r\n\nlast without an end", f);
	fclose(f);
	return mkfifo(fifo, 0644);
}

static int remove_files(void **state)
{
	(void)state;
	unlink(file);
	unlink(fifo);
	return rmdir(folder);
}

/* A process to stand for the target, with user `uid`. */
static struct process *start(uid_t uid, pid_t *pid)
{
	struct process *p = NULL;
	struct refusal why;
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	*pid = fork();
	assert_true(*pid >= 0);
	if (*pid == 0) {
		if (uid && (setgid(uid) || setuid(uid)))
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a failed test leaves nobody behind */
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(process__open(*pid, &p, &why), 0);
	return p;
}

static void stop(struct process *p, pid_t pid)
{
	process__close(p);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_lines(void **state)
{
	char line[64];
	pid_t pid;
	struct process *p = start(0, &pid);

	(void)state;
	assert_int_equal(source_line(p, file, 1, line, sizeof(line)), 5);
	assert_string_equal(line, "first");
	assert_int_equal(source_line(p, file, 2, line, sizeof(line)), 8);
	assert_string_equal(line, "\tsecond ");
	assert_true(source_line(p, file, 3, line, sizeof(line)) <= 0);
	assert_int_equal(source_line(p, file, 4, line, sizeof(line)), 19);
	assert_true(source_line(p, file, 5, line, sizeof(line)) < 0);
	assert_int_equal(source_line(p, file, 4, line, 5), 4);
	assert_string_equal(line, "last");
	stop(p, pid);
}

static void test_what_is_no_source(void **state)
{
	char line[64];
	pid_t pid;
	struct process *p = start(0, &pid);

	(void)state;
	assert_true(source_line(p, fifo, 1, line, sizeof(line)) < 0);
	assert_true(source_line(p, "/dev/zero", 1, line, sizeof(line)) < 0);
	assert_true(source_line(p, folder, 1, line, sizeof(line)) < 0);
	assert_true(source_line(p, "relative.py", 1, line, sizeof(line)) < 0);
	assert_true(source_line(p, file, 0, line, sizeof(line)) < 0);
	assert_true(source_line(p, NULL, 1, line, sizeof(line)) < 0);
	stop(p, pid);
}

/* co_filename can name any file: only what the target's user may read is shown. */
static void test_rights_of_the_target(void **state)
{
	char line[64];
	struct process *p;
	pid_t pid;

	(void)state;
	if (geteuid()) {
		print_message("skip: needs root, to be another user: sudo make check\n");
		skip();
	}
	p = start(NOBODY, &pid);
	assert_int_equal(source_line(p, file, 1, line, sizeof(line)), 5);
	assert_int_equal(chmod(file, 0600), 0);
	assert_true(source_line(p, file, 1, line, sizeof(line)) < 0);
	stop(p, pid);
	p = start(0, &pid);
	assert_int_equal(source_line(p, file, 1, line, sizeof(line)), 5);
	stop(p, pid);
	assert_int_equal(chmod(file, 0644), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_what_is_no_source),
		cmocka_unit_test(test_rights_of_the_target),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
