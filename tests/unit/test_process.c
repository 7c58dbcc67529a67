/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Is it still the process that we opened? Exit, exec, a dead main thread, strange pids. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <poll.h>

#include "target/process.h"

static struct process *process;
static struct refusal why;

/* A child that does what a byte on its control pipe says. */
struct child {
	pid_t pid;
	int control, report;
};

static void *stay(void *arg)
{
	char byte;

	while (read(*(int *)arg, &byte, 1) > 0)
		;
	_exit(0);
}

/* Another process that has the same memory, and keeps it. */
static int keep_memory(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pause())
		;
	return 0;
}

static void child_main(int control, int report)
{
	static char stack[65536];

	pthread_t thread;
	char byte = 0;

	if (write(report, "!", 1) != 1 || read(control, &byte, 1) <= 0)
		_exit(0);
	switch (byte) {
	case 'k':
		if (clone(keep_memory, stack + sizeof(stack), CLONE_VM, NULL) < 0)
			_exit(1);
		/* fall through */
	case 'x': /* another image, of the same file */
		execl("/proc/self/exe", "test_process", "sleep", NULL);
		_exit(1);
	case 't': /* the main thread leaves, another one stays */
		if (pthread_create(&thread, NULL, stay, &control))
			_exit(1);
		syscall(SYS_exit, 0);
	}
	_exit(0);
}

static struct child start(void)
{
	int control[2], report[2];
	struct child c;
	char byte;

	assert_int_equal(pipe(control), 0);
	assert_int_equal(pipe(report), 0);
	c.pid = fork();
	if (!c.pid) {
		close(control[1]);
		close(report[0]);
		/* kept open over exec: its end says that the child is gone */
		dup2(control[0], 0);
		dup2(report[1], 1);
		child_main(0, 1);
	}
	close(control[0]);
	close(report[1]);
	c.control = control[1];
	c.report = report[0];
	assert_int_equal(read(c.report, &byte, 1), 1);
	return c;
}

static void end(struct child *c)
{
	close(c->control);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->report);
	process__close(process);
	process = NULL;
}

static void test_same(void **state)
{
	struct child c = start();
	pid_t tid[4];

	(void)state;
	assert_int_equal(process__open(c.pid, &process, &why), 0);
	assert_int_equal(process_pid(process), c.pid);
	assert_int_equal(process_state(process), PROCESS_SAME);
	assert_int_equal(process_is_same(process), 1);
	assert_int_equal(process_live_tid(process), c.pid);
	assert_int_equal(process_inner_tid(process, c.pid), c.pid);
	assert_int_equal(process_threads(process, tid, 4), 1);
	assert_int_equal(tid[0], c.pid);
	assert_true(process_start_ticks(process) > 0);
	assert_non_null(strstr(process_command(process), "test_process"));
	end(&c);
}

static void test_exited(void **state)
{
	struct child c = start();
	struct pollfd fd = {.events = POLLIN};

	(void)state;
	assert_int_equal(process__open(c.pid, &process, &why), 0);
	fd.fd = process_pidfd(process);
	assert_int_equal(poll(&fd, 1, 0), 0);
	kill(c.pid, SIGKILL);
	assert_int_equal(poll(&fd, 1, -1), 1);
	/* a zombie still has its pid, and is gone */
	assert_int_equal(process_state(process), PROCESS_EXITED);
	waitpid(c.pid, NULL, 0);
	assert_int_equal(process_state(process), PROCESS_EXITED);
	assert_int_equal(process_is_same(process), 0);
	assert_int_equal(process_live_tid(process), 0);
	end(&c);
}

/* The same file again, under the same pid: only the memory tells. */
static void check_execed(const char *how)
{
	struct child c = start();
	char byte;

	assert_int_equal(process__open(c.pid, &process, &why), 0);
	assert_int_equal(write(c.control, how, 1), 1);
	assert_int_equal(read(c.report, &byte, 1), 1);
	assert_int_equal(process_state(process), PROCESS_EXECED);
	assert_int_equal(process_is_same(process), 0);
	end(&c);
}

static void test_execed(void **state)
{
	(void)state;
	check_execed("x");
}

/* As the kernel does while somebody else places a uprobe there. */
static void test_execed_memory_kept(void **state)
{
	(void)state;
	check_execed("k");
}

static void test_main_thread_exited(void **state)
{
	struct child c = start();
	char path[64], line[256] = "";
	pid_t tid;

	(void)state;
	assert_int_equal(process__open(c.pid, &process, &why), 0);
	assert_int_equal(write(c.control, "t", 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)c.pid);
	while (!strstr(line, ") Z")) {
		FILE *f = fopen(path, "r");

		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		fclose(f);
		usleep(1000);
	}
	assert_int_equal(process_state(process), PROCESS_SAME);
	tid = process_live_tid(process);
	assert_true(tid > 0 && tid != c.pid);
	/* and it can be opened as it is */
	process__close(process);
	assert_int_equal(process__open(c.pid, &process, &why), 0);
	assert_int_equal(process_state(process), PROCESS_SAME);
	end(&c);
}

static void *tell_tid(void *arg)
{
	int *fd = arg;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	char byte;

	if (write(fd[1], &tid, sizeof(tid)) == (ssize_t)sizeof(tid) && read(fd[2], &byte, 1) < 0)
		abort();
	return NULL;
}

static void test_a_thread(void **state)
{
	int fd[4];
	pthread_t thread;
	pid_t tid;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(pipe(fd + 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, tell_tid, fd), 0);
	assert_int_equal(read(fd[0], &tid, sizeof(tid)), sizeof(tid));
	assert_int_equal(process__open(tid, &process, &why), -1);
	assert_int_equal(why.code, EXIT_NO_PROCESS);
	assert_non_null(strstr(why.what, "thread"));
	close(fd[3]);
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
	close(fd[2]);
}

static void test_no_such_process(void **state)
{
	static const pid_t pid[] = {0, -1, 0x7fffffff};

	(void)state;
	for (size_t i = 0; i < sizeof(pid) / sizeof(pid[0]); i++) {
		assert_int_equal(process__open(pid[i], &process, &why), -1);
		assert_int_equal(why.code, EXIT_NO_PROCESS);
		assert_null(process);
	}
	process__close(NULL);
}

static void test_escape(void **state)
{
	char out[32];

	(void)state;
	process_escape("a\x1b[2J\n\xc3\xa9", 8, out, sizeof(out));
	assert_string_equal(out, "a\\x1b[2J\\x0a\\xc3\\xa9");
	/* cut between characters, never inside an escape */
	process_escape("abc\x01", 4, out, 7);
	assert_string_equal(out, "abc");
	process_escape("abc", 3, out, 3);
	assert_string_equal(out, "ab");
	process_escape("abc", 3, out, 1);
	assert_string_equal(out, "");
	out[0] = 'z';
	process_escape("abc", 3, out, 0);
	assert_int_equal(out[0], 'z');
}

static int wait_for_end(void *fd)
{
	char byte;

	return (int)read(*(int *)fd, &byte, 1);
}

/* As after vfork, and as after fork. */
static void test_shares_memory(void **state)
{
	static char stack[65536] __attribute__((aligned(16)));
	struct refusal why;
	struct process *p;
	pid_t pid;
	int fd[2];

	(void)state;
	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0)) {
		print_message("skip: kcmp: %s; a kernel with CONFIG_KCMP would run it\n",
			      strerror(errno));
		skip();
	}
	for (int shared = 0; shared < 2; shared++) {
		assert_int_equal(pipe(fd), 0);
		pid = clone(wait_for_end, stack + sizeof(stack), (shared ? CLONE_VM : 0) | SIGCHLD, fd);
		assert_true(pid > 0);
		assert_int_equal(process__open(pid, &p, &why), 0);
		assert_int_equal(process_shares_memory(p, getpid()), shared);
		assert_int_equal(process_shares_memory(p, 0), 0);
		process__close(p);
		assert_int_equal(write(fd[1], "", 1), 1);
		waitpid(pid, NULL, 0);
		close(fd[0]);
		close(fd[1]);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A child that was forked, and one that has called exec. */
static void test_birth(void **state)
{
	uint64_t before, after;
	struct refusal why;
	struct process *p;
	pid_t pid;
	int fd[2];
	char byte;

	(void)state;
	for (int exec = 0; exec < 2; exec++) {
		assert_int_equal(pipe2(fd, exec ? O_CLOEXEC : 0), 0);
		before = now_ns();
		pid = fork();
		if (!pid) {
			close(fd[0]);
			if (exec)
				execlp("sleep", "sleep", "1000", NULL);
			else if (write(fd[1], "", 1) == 1)
				for (;;)
					pause();
			_exit(1);
		}
		close(fd[1]);
		assert_int_equal(read(fd[0], &byte, 1), !exec);
		after = now_ns();
		assert_int_equal(process__open(pid, &p, &why), 0);
		assert_int_equal(process_is_forked(p), !exec);
		/* Cut to a tick, 10 ms at most. */
		assert_true(process_start_ns(p) + 10000000 >= before);
		assert_true(process_start_ns(p) <= after);
		process__close(p);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd[0]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),	 cmocka_unit_test(test_exited),
		cmocka_unit_test(test_execed),	 cmocka_unit_test(test_main_thread_exited),
		cmocka_unit_test(test_a_thread), cmocka_unit_test(test_no_such_process),
		cmocka_unit_test(test_escape),	 cmocka_unit_test(test_execed_memory_kept),
		cmocka_unit_test(test_shares_memory), cmocka_unit_test(test_birth),
	};

	if (argc == 2 && !strcmp(argv[1], "sleep"))
		child_main(0, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
