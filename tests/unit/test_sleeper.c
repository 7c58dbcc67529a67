/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* What a sleeping thread waits on, asked of real children in real system calls. */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/syscall.h"

static struct ap_block block;
static uint64_t gil_holder;

/* Runs `sleeper` in a child, and looks at it until it sleeps in the system call `nr`. */
static void look(void (*sleeper)(void), long nr)
{
	struct process *process;
	struct memory *memory;
	struct refusal why;
	pid_t pid = fork();
	int err = 0;

	if (!pid) {
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleeper();
		_exit(1);
	}
	assert_int_equal(process__open(pid, &process, &why), 0);
	assert_int_equal(memory__open(process, &memory), 0);
	do {
		memset(&block, 0, sizeof(block));
		err = syscall_read(process, memory, pid, gil_holder, &block);
		assert_true(err >= 0);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		usleep(1000);
	} while (err == 0 || block.syscall != nr || (nr < 0 && block.off != AP_OFF_STOPPED));
	memory__close(memory);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	process__close(process);
}

static int pair[2];

static void read_pair(void)
{
	char byte;

	if (read(pair[0], &byte, 1) < 0)
		_exit(2);
}

static void test_pipe(void **state)
{
	(void)state;
	assert_int_equal(pipe(pair), 0);
	look(read_pair, SYS_read);
	assert_int_equal(block.off, AP_OFF_SYSCALL);
	assert_int_equal(block.fd, pair[0]);
	assert_int_equal(block.arg[0], pair[0]);
	assert_int_equal(block.arg[2], 1);
	assert_int_equal(block.file.mode & S_IFMT, S_IFIFO);
	assert_int_equal(block.file.magic, PIPEFS_MAGIC);
	close(pair[0]);
	close(pair[1]);
}

static void test_unix_socket(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	look(read_pair, SYS_read);
	assert_int_equal(block.file.mode & S_IFMT, S_IFSOCK);
	assert_int_equal(block.file.family, AF_UNIX);
	assert_int_equal(block.file.type, SOCK_STREAM);
	close(pair[0]);
	close(pair[1]);
}

static uint16_t listen_port;

static void test_tcp(int family, struct sockaddr *addr, socklen_t len)
{
	int listener = socket(family, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, addr, len)) {
		print_message("# skip: no loopback address of family %d\n", family);
		skip();
	}
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, addr, &len), 0);
	pair[0] = socket(family, SOCK_STREAM, 0);
	assert_int_equal(connect(pair[0], addr, len), 0);
	look(read_pair, SYS_read);
	assert_int_equal(block.file.family, family);
	assert_int_equal(block.file.type, SOCK_STREAM);
	close(pair[0]);
	close(listener);
}

static void test_tcp4(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	(void)state;
	test_tcp(AF_INET, (struct sockaddr *)&addr, sizeof(addr));
	listen_port = ntohs(addr.sin_port);
	assert_int_equal(block.file.port, listen_port);
	assert_memory_equal(block.file.addr, &addr.sin_addr, 4);
	assert_int_not_equal(block.file.local_port, 0);
}

static void test_tcp6(void **state)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	(void)state;
	test_tcp(AF_INET6, (struct sockaddr *)&addr, sizeof(addr));
	assert_int_equal(block.file.port, ntohs(addr.sin6_port));
	assert_memory_equal(block.file.addr, &addr.sin6_addr, 16);
}

static char path[64];

static void open_fifo(void)
{
	if (open(path, O_RDONLY) < 0)
		_exit(2);
}

static void read_fifo(void)
{
	char byte;
	int fd = open(path, O_RDWR);

	if (fd < 0 || read(fd, &byte, 1) < 0)
		_exit(2);
}

static void test_paths(void **state)
{
	static const char *const leaf_first[] = {"fifo", "", "tmp"};
	char dir[] = "/tmp/asyncprof-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	/* an open that waits: the path as the target wrote it */
	look(open_fifo, SYS_openat);
	assert_int_equal(block.file.mode, 0);
	assert_string_equal(block.file.path, path);
	assert_int_equal(block.file.path_len, strlen(path) + 1);
	/* a descriptor: components, leaf first */
	look(read_fifo, SYS_read);
	assert_int_equal(block.file.mode & S_IFMT, S_IFIFO);
	assert_string_equal(block.file.path, leaf_first[0]);
	assert_string_equal(block.file.path + 5, dir + 5);
	assert_string_equal(block.file.path + 5 + strlen(dir + 5) + 1, leaf_first[2]);
	assert_int_equal(block.file.path_len, strlen(path));
	unlink(path);
	rmdir(dir);
}

static void poll_pair(void)
{
	struct pollfd fd[2] = {{.fd = pair[0], .events = POLLIN},
			       {.fd = pair[1], .events = POLLIN}};

	poll(fd, 2, -1);
}

static void test_poll(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	look(poll_pair, SYS_poll);
	assert_int_equal(block.fds, 2);
	assert_int_equal(block.fd, pair[0]);
	assert_int_equal(block.file.type, SOCK_DGRAM);
	close(pair[0]);
	close(pair[1]);
}

static uint32_t word[64];

static void futex_wait(void)
{
	syscall(SYS_futex, &word[20], FUTEX_WAIT, 0, NULL, NULL, 0);
}

/* The same futex is a lock, or the GIL when it lies within the interpreter's own struct. */
static void test_futex(void **state)
{
	(void)state;
	gil_holder = 0;
	look(futex_wait, SYS_futex);
	assert_int_equal(block.off, AP_OFF_FUTEX);
	assert_int_equal(block.fd, -1);
	assert_int_equal(block.arg[0], (uint64_t)(uintptr_t)&word[20]);
	gil_holder = (uint64_t)(uintptr_t)&word[2];
	look(futex_wait, SYS_futex);
	assert_int_equal(block.off, AP_OFF_GIL);
	/* one byte past its end is not in it */
	gil_holder = (uint64_t)(uintptr_t)&word[20] + 8 - 208;
	look(futex_wait, SYS_futex);
	assert_int_equal(block.off, AP_OFF_FUTEX);
	gil_holder = (uint64_t)(uintptr_t)&word[22];
	look(futex_wait, SYS_futex);
	assert_int_equal(block.off, AP_OFF_GIL);
	gil_holder = 0;
}

static void stop_self(void)
{
	raise(SIGSTOP);
}

static void test_stopped(void **state)
{
	(void)state;
	look(stop_self, -1);
	assert_int_equal(block.off, AP_OFF_STOPPED);
	assert_int_equal(block.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe),  cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_tcp4),  cmocka_unit_test(test_tcp6),
		cmocka_unit_test(test_paths), cmocka_unit_test(test_poll),
		cmocka_unit_test(test_futex), cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
