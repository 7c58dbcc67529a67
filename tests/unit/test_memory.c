/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Reads of another process: right, refused, and of a page that never comes. */
#include "cmocka_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/memory.h"

#define PAGE  4096
#define PAGES (2 + MEMORY_HANGS_MAX)

/* What a target has to tell. */
struct told {
	int status; /* 0: ready, else an errno of its preparation */
	uint64_t addr;
};

struct target {
	pid_t pid;
	int control; /* closing it ends the target */
	struct told told;
	struct process *process;
	struct memory *memory;
};

/* Pages: the first full of a pattern; the second is not readable, or all others hang. */
static void target_main(int report, int control, int hang)
{
	struct told told = {0};
	uint8_t *page =
		mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char byte;

	/* Yama lets only ancestors read; the reading child is a brother. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	for (int i = 0; i < PAGE; i++)
		page[i] = (uint8_t)(i * 7);
	told.addr = (uint64_t)(uintptr_t)page;
	if (hang) {
		struct uffdio_api api = {.api = UFFD_API};
		struct uffdio_register reg = {.range = {told.addr + PAGE, (PAGES - 1) * PAGE},
					      .mode = UFFDIO_REGISTER_MODE_MISSING};
		int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

		if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
			told.status = errno;
	} else {
		munmap(page + PAGE, PAGE);
	}
	if (write(report, &told, sizeof(told)) != (ssize_t)sizeof(told))
		_exit(1);
	while (read(control, &byte, 1) > 0)
		;
	_exit(0);
}

static void start(struct target *t, int hang)
{
	struct refusal why;
	int report[2], control[2];

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	assert_int_equal(pipe2(control, O_CLOEXEC), 0);
	t->pid = fork();
	if (!t->pid) {
		close(control[1]);
		target_main(report[1], control[0], hang);
	}
	close(report[1]);
	close(control[0]);
	t->control = control[1];
	assert_int_equal(read(report[0], &t->told, sizeof(t->told)), sizeof(t->told));
	close(report[0]);
	assert_int_equal(process__open(t->pid, &t->process, &why), 0);
	assert_int_equal(memory__open(t->process, &t->memory), 0);
}

static void end(struct target *t)
{
	memory__close(t->memory);
	process__close(t->process);
	close(t->control);
	waitpid(t->pid, NULL, 0);
}

static void test_reads(void **state)
{
	uint8_t buf[MEMORY_READ_MAX];
	struct target t;

	(void)state;
	start(&t, 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, PAGE), 0);
	for (int i = 0; i < PAGE; i++)
		assert_int_equal(buf[i], (uint8_t)(i * 7));
	assert_int_equal(memory_read(t.memory, t.told.addr + 100, buf, 1), 0);
	assert_int_equal(buf[0], (uint8_t)(100 * 7));
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, 0), 0);
	end(&t);
}

static void test_refuses(void **state)
{
	uint8_t buf[MEMORY_READ_MAX];
	struct target t;

	(void)state;
	start(&t, 0);
	assert_int_equal(memory_read(t.memory, 0, buf, 8), -EFAULT);
	assert_int_equal(memory_read(t.memory, ~0ULL, buf, 8), -EFAULT);
	assert_int_equal(memory_read(t.memory, 0xffff800000000000, buf, 8), -EFAULT);
	/* partly there is not there */
	assert_int_equal(memory_read(t.memory, t.told.addr + PAGE - 4, buf, 8), -EFAULT);
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, MEMORY_READ_MAX + 1), -E2BIG);
	/* and it still works */
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, 8), 0);
	assert_int_equal(memory_timeouts(t.memory), 0);
	end(&t);
}

static void test_target_gone(void **state)
{
	uint8_t buf[8];
	struct target t;

	(void)state;
	start(&t, 0);
	kill(t.pid, SIGKILL);
	waitpid(t.pid, NULL, 0);
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, 8), -ESRCH);
	end(&t);
}

/* The reading child: it has our pid as its parent and says so by its name. */
static pid_t find_reader(void)
{
	char path[64], comm[32];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	pid_t found = 0;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir))) {
		int ppid = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%.20s/stat", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%*d (%31[^)]) %*c %d", comm, &ppid) == 2 && ppid == getpid() &&
		    !strcmp(comm, "asyncprof-read"))
			found = (pid_t)atoi(entry->d_name);
		fclose(f);
	}
	closedir(dir);
	return found;
}

/* A descriptor that the child kept would keep probes alive after the collector. */
static void test_child_holds_nothing(void **state)
{
	unsigned int cnt = 0;
	uint8_t buf[8];
	char path[64];
	struct dirent *entry;
	struct target t;
	DIR *dir;

	(void)state;
	start(&t, 0);
	/* once it has answered it has closed what it had */
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, 8), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)find_reader());
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		cnt += entry->d_name[0] != '.';
	closedir(dir);
	assert_int_equal(cnt, 1);
	end(&t);
}

static void test_child_killed(void **state)
{
	uint8_t buf[8];
	struct target t;
	int err;

	(void)state;
	start(&t, 0);
	assert_int_equal(memory_read(t.memory, t.told.addr, buf, 8), 0);
	kill(find_reader(), SIGKILL);
	/* the read that notices may fail, the next one has a new child */
	err = memory_read(t.memory, t.told.addr, buf, 8);
	assert_true(err == 0 || err == -EPIPE);
	assert_int_equal(memory_read(t.memory, t.told.addr + 1, buf, 8), 0);
	assert_int_equal(buf[0], 7);
	end(&t);
}

/* A page that userfaultfd never serves: given up, remembered, and all else goes on. */
static void test_page_that_hangs(void **state)
{
	uint8_t buf[8];
	struct target t;

	(void)state;
	start(&t, 1);
	if (t.told.status) {
		print_message("# skip: userfaultfd is not allowed here: %s\n",
			      strerror(t.told.status));
		end(&t);
		skip();
	}
	assert_int_equal(memory_read(t.memory, t.told.addr + PAGE, buf, 8), -ETIMEDOUT);
	assert_int_equal(memory_timeouts(t.memory), 1);
	/* at once, without another child lost */
	assert_int_equal(memory_read(t.memory, t.told.addr + PAGE + 64, buf, 8), -EFAULT);
	assert_int_equal(memory_read(t.memory, t.told.addr + PAGE - 4, buf, 8), -EFAULT);
	assert_int_equal(memory_timeouts(t.memory), 1);
	assert_int_equal(memory_read(t.memory, t.told.addr + 8, buf, 8), 0);
	assert_int_equal(buf[1], (uint8_t)(9 * 7));
	end(&t);
}

/* One page after the other that hangs: not asked for longer than a few, and then again. */
static void test_pages_that_hang(void **state)
{
	uint8_t buf[8];
	struct target t;
	int err;

	(void)state;
	start(&t, 1);
	if (t.told.status) {
		print_message("# skip: userfaultfd is not allowed here: %s\n",
			      strerror(t.told.status));
		end(&t);
		skip();
	}
	for (unsigned int i = 1; i <= MEMORY_HANGS_MAX; i++)
		assert_int_equal(memory_read(t.memory, t.told.addr + i * PAGE, buf, 8),
				 -ETIMEDOUT);
	assert_int_equal(
		memory_read(t.memory, t.told.addr + (MEMORY_HANGS_MAX + 1) * PAGE, buf, 8),
		-ETIMEDOUT);
	assert_int_equal(memory_timeouts(t.memory), MEMORY_HANGS_MAX);
	while ((err = memory_read(t.memory, t.told.addr + 8, buf, 8)) == -ETIMEDOUT)
		usleep(10000);
	assert_int_equal(err, 0);
	assert_int_equal(buf[1], (uint8_t)(9 * 7));
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),	     cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_target_gone),  cmocka_unit_test(test_child_holds_nothing),
		cmocka_unit_test(test_child_killed), cmocka_unit_test(test_page_that_hangs),
		cmocka_unit_test(test_pages_that_hang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
