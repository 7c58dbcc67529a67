/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The cause table, a case a row; and which cause wins in a whole callback. */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "model/cause.h"
#include "model/syscall.h"

#define MS 1000000ULL

struct row {
	enum ap_off off;
	const char *syscall;
	enum fd_kind fd;
	uint32_t fds;
	uint64_t arg;
	enum cause cause;
};

static const struct row rows[] = {
	{AP_OFF_RUNQUEUE, NULL, FD_NONE, 0, 0, CAUSE_RUNQUEUE},
	/* A runnable thread may stand in any syscall: that does not matter. */
	{AP_OFF_RUNQUEUE, "recvfrom", FD_SOCKET, 0, 0, CAUSE_RUNQUEUE},
	{AP_OFF_THROTTLED, "read", FD_FILE, 0, 0, CAUSE_THROTTLED},
	{AP_OFF_FAULT, NULL, FD_NONE, 0, 0, CAUSE_FAULT},
	{AP_OFF_GIL, "futex", FD_NONE, 0, 0, CAUSE_GIL},
	{AP_OFF_FUTEX, "futex", FD_NONE, 0, 0, CAUSE_LOCK},
	{AP_OFF_STOPPED, NULL, FD_NONE, 0, 0, CAUSE_OTHER},
	{AP_OFF_UNKNOWN, NULL, FD_NONE, 0, 0, CAUSE_OTHER},
	{AP_OFF_NONE, "read", FD_FILE, 0, 0, CAUSE_OTHER},

	{AP_OFF_SYSCALL, "clock_nanosleep", FD_NONE, 0, 0, CAUSE_SLEEP},
	{AP_OFF_SYSCALL, "nanosleep", FD_NONE, 0, 0, CAUSE_SLEEP},
	{AP_OFF_SYSCALL, "select", FD_NONE, 0, 0, CAUSE_SLEEP},
	{AP_OFF_SYSCALL, "pselect6", FD_NONE, 0, 0, CAUSE_SLEEP},
	{AP_OFF_SYSCALL, "poll", FD_NONE, 0, 0, CAUSE_SLEEP},
	{AP_OFF_SYSCALL, "ppoll", FD_NONE, 0, 0, CAUSE_SLEEP},
	{AP_OFF_SYSCALL, "poll", FD_DNS, 1, 0, CAUSE_DNS},
	{AP_OFF_SYSCALL, "poll", FD_SOCKET, 1, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "ppoll", FD_SOCKET, 4, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "poll", FD_SOCKET, 5, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "poll", FD_PIPE, 2, 0, CAUSE_PIPE},
	{AP_OFF_SYSCALL, "poll", FD_PIPE, 5, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "select", FD_PIDFD, 1, 0, CAUSE_CHILD},
	{AP_OFF_SYSCALL, "select", FD_CHAR, 1, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "poll", FD_NONE, 1, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "poll", FD_ANON, 1, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "select", FD_DNS, 100, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "epoll_wait", FD_ANON, 0, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "epoll_pwait", FD_NONE, 0, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "epoll_pwait2", FD_ANON, 3, 0, CAUSE_POLL},

	{AP_OFF_SYSCALL, "wait4", FD_NONE, 0, 0, CAUSE_CHILD},
	{AP_OFF_SYSCALL, "waitid", FD_PIDFD, 0, 0, CAUSE_CHILD},
	{AP_OFF_SYSCALL, "vfork", FD_NONE, 0, 0, CAUSE_CHILD},
	{AP_OFF_SYSCALL, "flock", FD_FILE, 0, 0, CAUSE_FLOCK},
	{AP_OFF_SYSCALL, "fcntl", FD_FILE, 0, SYSCALL_F_SETLKW, CAUSE_FLOCK},
	{AP_OFF_SYSCALL, "fcntl", FD_FILE, 0, SYSCALL_F_OFD_SETLKW, CAUSE_FLOCK},
	/* F_SETLK never waits for the lock, but a network file system may take its time. */
	{AP_OFF_SYSCALL, "fcntl", FD_FILE, 0, 6, CAUSE_FILE},
	{AP_OFF_SYSCALL, "semop", FD_NONE, 0, 0, CAUSE_LOCK},
	{AP_OFF_SYSCALL, "futex_wait", FD_NONE, 0, 0, CAUSE_LOCK},
	{AP_OFF_SYSCALL, "msgrcv", FD_NONE, 0, 0, CAUSE_PIPE},
	{AP_OFF_SYSCALL, "mq_timedreceive", FD_NONE, 0, 0, CAUSE_PIPE},
	{AP_OFF_SYSCALL, "open", FD_NONE, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "openat", FD_NONE, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "newfstatat", FD_DIR, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "fsync", FD_FILE, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "getdents64", FD_DIR, 0, 0, CAUSE_FILE},

	{AP_OFF_SYSCALL, "recvfrom", FD_DNS, 0, 0, CAUSE_DNS},
	{AP_OFF_SYSCALL, "recvfrom", FD_SOCKET, 0, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "recvmsg", FD_NONE, 0, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "sendto", FD_SOCKET, 0, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "connect", FD_NONE, 0, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "accept4", FD_SOCKET, 0, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "read", FD_DNS, 0, 0, CAUSE_DNS},
	{AP_OFF_SYSCALL, "read", FD_SOCKET, 0, 0, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, "write", FD_PIPE, 0, 0, CAUSE_PIPE},
	{AP_OFF_SYSCALL, "read", FD_FILE, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "read", FD_DIR, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "pread64", FD_BLOCK, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "read", FD_CHAR, 0, 0, CAUSE_FILE},
	{AP_OFF_SYSCALL, "read", FD_PIDFD, 0, 0, CAUSE_CHILD},
	{AP_OFF_SYSCALL, "read", FD_ANON, 0, 0, CAUSE_POLL},
	{AP_OFF_SYSCALL, "read", FD_NONE, 0, 0, CAUSE_OTHER},
	{AP_OFF_SYSCALL, "pause", FD_NONE, 0, 0, CAUSE_OTHER},
	{AP_OFF_SYSCALL, NULL, FD_NONE, 0, 0, CAUSE_OTHER},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		int number = row->syscall ? syscall_number(row->syscall) : -1;
		struct cause_place place = {row->off, number, row->fd, row->fds, row->arg};
		enum cause cause = cause_of_place(&place);

		if (row->syscall)
			assert_true(number >= 0);
		if (cause != row->cause)
			fail_msg("row %zu (%s): %s, not %s", i, row->syscall ? row->syscall : "-",
				 cause_name(cause), cause_name(row->cause));
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		assert_int_equal(cause_from_name(cause_name(cause)), cause);
		assert_non_null(cause_words(cause));
	}
	assert_int_equal(cause_from_name("sleepy"), -1);
	assert_string_equal(cause_name((enum cause)1000), "other");
}

/* Numbers of arch/x86/entry/syscalls/syscall_64.tbl that everyone knows. */
static void test_syscalls(void **state)
{
	(void)state;
	assert_string_equal(syscall_name(0), "read");
	assert_string_equal(syscall_name(35), "nanosleep");
	assert_string_equal(syscall_name(202), "futex");
	assert_string_equal(syscall_name(230), "clock_nanosleep");
	assert_string_equal(syscall_name(232), "epoll_wait");
	assert_string_equal(syscall_name(257), "openat");
	assert_string_equal(syscall_name(441), "epoll_pwait2");
	assert_string_equal(syscall_name(462), "mseal");
	assert_null(syscall_name(-1));
	assert_null(syscall_name(400)); /* a hole */
	assert_null(syscall_name(1 << 30));
	assert_int_equal(syscall_number("no_such"), -1);
}

static struct ap_slow slow_of(uint64_t total_ms)
{
	return (struct ap_slow){.start_ts = 1000 * MS, .hi_ts = (1000 + total_ms) * MS};
}

static void add_place(struct ap_slow *slow, const char *syscall, uint16_t mode, uint64_t ms)
{
	slow->place[slow->place_cnt++] = (struct ap_place){
		.ns = ms * MS,
		.syscall = syscall_number(syscall),
		.fd = 3,
		.mode = mode,
		.off = AP_OFF_SYSCALL,
	};
	slow->off_ns[AP_OFF_SYSCALL] += ms * MS;
}

static struct cause_verdict decide(const struct ap_slow *slow)
{
	struct budget budget = budget_of(slow);
	enum fd_kind fd[AP_PLACES_MAX];

	for (int i = 0; i < AP_PLACES_MAX; i++)
		fd[i] = fd_kind_of_place(&slow->place[i]);
	return cause_decide(slow, &budget, fd);
}

static void test_largest_part(void **state)
{
	struct ap_slow slow = slow_of(100);
	struct cause_verdict verdict;

	(void)state;
	slow.off_ns[AP_OFF_FUTEX] = 60 * MS;
	verdict = decide(&slow);
	assert_int_equal(verdict.cause, CAUSE_LOCK);
	assert_int_equal(verdict.causes, 1 << CAUSE_LOCK);

	/* 45 is within 20 % of 55. */
	slow.off_ns[AP_OFF_FUTEX] = 45 * MS;
	verdict = decide(&slow);
	assert_int_equal(verdict.cause, CAUSE_CPU);
	assert_int_equal(verdict.causes, 1 << CAUSE_CPU | 1 << CAUSE_LOCK);

	/* 40 is not within 20 % of 60. */
	slow.off_ns[AP_OFF_FUTEX] = 40 * MS;
	verdict = decide(&slow);
	assert_int_equal(verdict.causes, 1 << CAUSE_CPU);
}

/* Syscalls are one part first: three short sleeps outweigh a longer spell on the CPU. */
static void test_inside_syscalls(void **state)
{
	struct ap_slow slow = slow_of(100);
	struct cause_verdict verdict;

	(void)state;
	add_place(&slow, "recvfrom", 0140000, 28);
	add_place(&slow, "clock_nanosleep", 0, 14);
	add_place(&slow, "nanosleep", 0, 16);
	verdict = decide(&slow);
	assert_int_equal(verdict.cause, CAUSE_SLEEP);
	assert_int_equal(verdict.place, 2);
	assert_int_equal(verdict.causes, 1 << CAUSE_SLEEP | 1 << CAUSE_SOCKET);
}

static void test_places_without_room(void **state)
{
	struct ap_slow slow = slow_of(100);
	struct cause_verdict verdict;

	(void)state;
	slow.off_ns[AP_OFF_SYSCALL] = 90 * MS;
	verdict = decide(&slow);
	assert_int_equal(verdict.cause, CAUSE_OTHER);
	assert_int_equal(verdict.place, -1);
}

static void test_loop(void **state)
{
	struct ap_slow slow = slow_of(100);

	(void)state;
	slow.callee = AP_CALLEE_ITERATION;
	slow.inner_ns = 49 * MS;
	assert_int_equal(decide(&slow).cause, CAUSE_LOOP);
	assert_int_equal(decide(&slow).causes, 1 << CAUSE_LOOP);
	slow.inner_ns = 51 * MS;
	assert_int_equal(decide(&slow).cause, CAUSE_CPU);
	/* Only an iteration can be the loop's fault, and only on the CPU. */
	slow.inner_ns = 0;
	slow.callee = AP_CALLEE_TASK;
	assert_int_equal(decide(&slow).cause, CAUSE_CPU);
	slow.callee = AP_CALLEE_ITERATION;
	slow.off_ns[AP_OFF_RUNQUEUE] = 80 * MS;
	assert_int_equal(decide(&slow).cause, CAUSE_RUNQUEUE);
}

static void test_nothing_known(void **state)
{
	struct ap_slow slow = {};

	(void)state;
	assert_int_equal(decide(&slow).cause, CAUSE_OTHER);
	assert_int_equal(decide(&slow).causes, 1 << CAUSE_OTHER);
}

static void test_hostile_sizes(void **state)
{
	struct ap_slow slow = slow_of(100);

	(void)state;
	slow.place_cnt = UINT32_MAX;
	memset(slow.place, 0xff, sizeof(slow.place));
	memset(slow.off_ns, 0xff, sizeof(slow.off_ns));
	for (int i = 0; i < AP_PLACES_MAX; i++)
		slow.place[i].off = AP_OFF_SYSCALL;
	assert_true(decide(&slow).cause < CAUSE_CNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_syscalls),
		cmocka_unit_test(test_largest_part),
		cmocka_unit_test(test_inside_syscalls),
		cmocka_unit_test(test_places_without_room),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_hostile_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
