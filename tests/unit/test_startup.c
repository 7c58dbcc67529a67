/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Is a program image Python, and where does it come by before a line of it runs? */
#include "cmocka_all.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/startup.h"

struct child {
	pid_t pid;
	int out; /* closes at its end */
};

/* Runs argv, and returns when it has said a byte on stdout. */
static struct child start(char *const *argv)
{
	struct child c;
	int out[2];
	char byte;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		dup2(out[1], 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	c.out = out[0];
	if (read(out[0], &byte, 1) == 1)
		return c;
	close(out[0]);
	waitpid(c.pid, NULL, 0);
	c.pid = 0;
	return c;
}

static void end(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->out);
}

static struct process *open_process(pid_t pid)
{
	struct process *p;
	struct refusal why;

	assert_int_equal(process__open(pid, &p, &why), 0);
	return p;
}

static void another_program_has_its_entry_point(void **state)
{
	struct startup s = STARTUP_NONE;
	struct process *p = open_process(getpid());
	struct stat ours, found;
	Elf64_Ehdr header;
	int fd = open("/proc/self/exe", O_RDONLY);

	(void)state;
	assert_int_equal(read(fd, &header, sizeof(header)), sizeof(header));
	assert_int_equal(startup__look(&s, p), STARTUP_ENTRY);
	assert_int_equal(s.site_cnt, 1);
	assert_int_equal(fstat(fd, &ours), 0);
	assert_int_equal(stat(s.site[0].path, &found), 0);
	assert_int_equal(found.st_ino, ours.st_ino);
	/* A position independent program's code lies in the file where it wants to be mapped. */
	if (header.e_type == ET_DYN)
		assert_int_equal(s.site[0].offset, header.e_entry);
	close(fd);
	startup__close(&s);
	assert_int_equal(s.fd, -1);
	process__close(p);
}

static void the_interpreter_makes_modules(void **state)
{
	char *argv[] = {"python3", "-uc", "import time; print(1); time.sleep(60)", NULL};
	struct startup s = STARTUP_NONE;
	struct child c = start(argv);
	struct process *p;
	int fd;

	(void)state;
	if (!c.pid) {
		print_message("no python3 is installed\n");
		skip();
	}
	p = open_process(c.pid);
	assert_int_equal(startup__look(&s, p), STARTUP_PYTHON);
	assert_int_equal(s.site_cnt, 2);
	assert_string_equal(s.site[0].name, "PyModuleDef_Init");
	assert_string_equal(s.site[1].name, "PyModule_Create2");
	for (int i = 0; i < 2; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", s.fd);
		assert_string_equal(s.site[i].path, path);
		assert_int_not_equal(s.site[i].offset, 0);
	}
	assert_int_not_equal(s.site[0].offset, s.site[1].offset);
	/* The same file is not read once more. */
	fd = s.fd;
	assert_int_equal(startup__look(&s, p), STARTUP_PYTHON);
	assert_int_equal(s.fd, fd);
	assert_int_equal(s.site_cnt, 2);
	startup__close(&s);
	process__close(p);
	end(&c);
}

static void what_has_ended_is_nothing(void **state)
{
	char *argv[] = {"sh", "-c", "echo; exec sleep 60", NULL};
	struct startup s = STARTUP_NONE;
	struct child c = start(argv);
	struct process *p = open_process(c.pid);

	(void)state;
	end(&c);
	assert_int_equal(startup__look(&s, p), STARTUP_NOTHING);
	startup__close(&s);
	process__close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_program_has_its_entry_point),
		cmocka_unit_test(the_interpreter_makes_modules),
		cmocka_unit_test(what_has_ended_is_nothing),
	};

	return cmocka_run_group_tests_name("startup", tests, NULL, NULL);
}
