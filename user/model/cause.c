/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/cause.h"

#include <string.h>

#include "model/syscall.h"

#define FD_ANY	 FD_KIND_CNT
#define FDS_LIST 4 /* more fds than this polled at once are an event loop */
#define FDS_MANY UINT32_MAX

/*
 * THE TABLE. The first row that fits decides. To add one: put it above the
 * more general rows, say in the comment who waits like that, and add it to
 * tests/unit/test_cause.c, which has a case for every row.
 *
 *	off reason	what the syscall does	the fd		fds polled	cause
 */
struct row {
	enum ap_off off;
	enum syscall_class class;
	enum fd_kind fd;
	uint32_t fds_min, fds_max;
	enum cause cause;
};

static const struct row table[] = {
	/* Runnable, but another thread had the CPU (sched_info.run_delay). */
	{AP_OFF_RUNQUEUE, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_RUNQUEUE},
	/* Runnable, but the cgroup's CPU quota was used up. */
	{AP_OFF_THROTTLED, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_THROTTLED},
	/* A page had to come from a file, from swap or from a userfaultfd. */
	{AP_OFF_FAULT, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_FAULT},
	/* A futex inside the interpreter's GIL (Python/ceval_gil.h). */
	{AP_OFF_GIL, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_GIL},
	/* Any other futex: threading.Lock, queue.Queue, Future.result() of an executor. */
	{AP_OFF_FUTEX, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_LOCK},
	/* SIGSTOP, a debugger, the freezer. */
	{AP_OFF_STOPPED, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_OTHER},
	/* Switches were missed. */
	{AP_OFF_UNKNOWN, SYSCALL_ANY, FD_ANY, 0, FDS_MANY, CAUSE_OTHER},

	/* time.sleep from 3.11 on (Modules/timemodule.c), and C libraries. */
	{AP_OFF_SYSCALL, SYSCALL_SLEEP, FD_ANY, 0, FDS_MANY, CAUSE_SLEEP},
	/* select and poll of no fd at all: time.sleep before 3.11 was select(0, ...). */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_ANY, 0, 0, CAUSE_SLEEP},
	/* One or a few fds, so it is the first that counts: glibc's resolver polls its socket. */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_DNS, 1, FDS_LIST, CAUSE_DNS},
	/* Socket timeouts: settimeout() makes each recv a poll (Modules/socketmodule.c). */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_SOCKET, 1, FDS_LIST, CAUSE_SOCKET},
	/* Popen.communicate() polls the child's pipes (Lib/subprocess.py). */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_PIPE, 1, FDS_LIST, CAUSE_PIPE},
	/* A pidfd is readable when its process ends. */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_PIDFD, 1, FDS_LIST, CAUSE_CHILD},
	/* A terminal or a device. */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_CHAR, 1, FDS_LIST, CAUSE_FILE},
	/* Many fds, or one that says nothing: a loop inside the loop. */
	{AP_OFF_SYSCALL, SYSCALL_SELECT, FD_ANY, 1, FDS_MANY, CAUSE_POLL},
	/* A nested selector; io_uring. */
	{AP_OFF_SYSCALL, SYSCALL_EPOLL, FD_ANY, 0, FDS_MANY, CAUSE_POLL},

	/* subprocess.run, os.waitpid; vfork waits for the child's exec. */
	{AP_OFF_SYSCALL, SYSCALL_CHILD, FD_ANY, 0, FDS_MANY, CAUSE_CHILD},
	/* fcntl.flock. */
	{AP_OFF_SYSCALL, SYSCALL_FLOCK, FD_ANY, 0, FDS_MANY, CAUSE_FLOCK},
	/* fcntl.lockf; only commands that wait come here, see class_of_place(). */
	{AP_OFF_SYSCALL, SYSCALL_FCNTL, FD_ANY, 0, FDS_MANY, CAUSE_FLOCK},
	/* System V semaphores; futex calls that the kernel side did not call one. */
	{AP_OFF_SYSCALL, SYSCALL_SEM, FD_ANY, 0, FDS_MANY, CAUSE_LOCK},
	/* Message queues carry what another process writes, as pipes do. */
	{AP_OFF_SYSCALL, SYSCALL_QUEUE, FD_ANY, 0, FDS_MANY, CAUSE_PIPE},
	/* open, stat, fsync, ... wait for a disk or a server of files. */
	{AP_OFF_SYSCALL, SYSCALL_PATH, FD_ANY, 0, FDS_MANY, CAUSE_FILE},

	/* recv of an answer from port 53 or a resolver's local socket. */
	{AP_OFF_SYSCALL, SYSCALL_SOCKET, FD_DNS, 0, FDS_MANY, CAUSE_DNS},
	/* recv, send, connect, accept: a socket even where the fd was not resolved. */
	{AP_OFF_SYSCALL, SYSCALL_SOCKET, FD_ANY, 0, FDS_MANY, CAUSE_SOCKET},

	/* read, write and alike: what they wait for is what the fd is. */
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_DNS, 0, FDS_MANY, CAUSE_DNS},
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_SOCKET, 0, FDS_MANY, CAUSE_SOCKET},
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_PIPE, 0, FDS_MANY, CAUSE_PIPE},
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_FILE, 0, FDS_MANY, CAUSE_FILE},
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_DIR, 0, FDS_MANY, CAUSE_FILE},
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_BLOCK, 0, FDS_MANY, CAUSE_FILE},
	/* input(), a serial line. */
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_CHAR, 0, FDS_MANY, CAUSE_FILE},
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_PIDFD, 0, FDS_MANY, CAUSE_CHILD},
	/* An eventfd or a timerfd is read to be woken up. */
	{AP_OFF_SYSCALL, SYSCALL_IO, FD_ANON, 0, FDS_MANY, CAUSE_POLL},
};

static const struct {
	const char *name, *words;
} causes[CAUSE_CNT] = {
	[CAUSE_CPU] = {"cpu", "busy on the CPU"},
	[CAUSE_GC] = {"gc", "collecting garbage"},
	[CAUSE_GIL] = {"gil", "waiting for the GIL"},
	[CAUSE_LOCK] = {"lock", "waiting for a lock"},
	[CAUSE_SLEEP] = {"sleep", "asleep"},
	[CAUSE_SOCKET] = {"socket", "waiting for a socket"},
	[CAUSE_DNS] = {"dns", "waiting for a name server"},
	[CAUSE_PIPE] = {"pipe", "waiting for a pipe"},
	[CAUSE_FILE] = {"file", "waiting for a file"},
	[CAUSE_FLOCK] = {"flock", "waiting for a file lock"},
	[CAUSE_CHILD] = {"child", "waiting for a child process"},
	[CAUSE_POLL] = {"poll", "waiting in a nested poll"},
	[CAUSE_FAULT] = {"fault", "waiting for a page of memory"},
	[CAUSE_RUNQUEUE] = {"runqueue", "ready to run, but other threads had the CPU"},
	[CAUSE_THROTTLED] = {"throttled", "stopped by its cgroup's CPU quota"},
	[CAUSE_STEAL] = {"steal", "the hypervisor gave the CPU away"},
	[CAUSE_LOOP] = {"loop", "busy in the event loop itself"},
	[CAUSE_OTHER] = {"other", "off the CPU for another reason"},
};

const char *cause_name(enum cause cause)
{
	return causes[(unsigned int)cause < CAUSE_CNT ? cause : CAUSE_OTHER].name;
}

const char *cause_words(enum cause cause)
{
	return causes[(unsigned int)cause < CAUSE_CNT ? cause : CAUSE_OTHER].words;
}

int cause_from_name(const char *name)
{
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		if (!strcmp(causes[cause].name, name))
			return cause;
	}
	return -1;
}

/* What the syscall does there: fcntl only waits with some of its commands. */
static enum syscall_class class_of_place(const struct cause_place *place)
{
	enum syscall_class class = syscall_class_of(place->syscall);

	if (class == SYSCALL_FCNTL && place->arg != SYSCALL_F_SETLKW &&
	    place->arg != SYSCALL_F_OFD_SETLKW)
		return SYSCALL_PATH;
	return class;
}

struct cause_place cause_place_of_block(const struct ap_block *block)
{
	return (struct cause_place){
		.off = block->off,
		.syscall = block->syscall,
		.fd = fd_kind_of_file(&block->file),
		.fds = block->fds,
		.arg = block->arg[1],
	};
}

enum cause cause_of_place(const struct cause_place *place)
{
	enum syscall_class class = class_of_place(place);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct row *row = &table[i];

		if (row->off != place->off)
			continue;
		if (row->class != SYSCALL_ANY && row->class != class)
			continue;
		if (row->fd != FD_ANY && row->fd != place->fd)
			continue;
		if (place->fds < row->fds_min || place->fds > row->fds_max)
			continue;
		return row->cause;
	}
	return CAUSE_OTHER;
}

static enum cause cause_of_part(enum part part)
{
	static const enum cause cause[PART_CNT] = {
		[PART_CPU] = CAUSE_CPU,
		[PART_GC] = CAUSE_GC,
		[PART_SYSCALL] = CAUSE_OTHER,
		[PART_LOCK] = CAUSE_LOCK,
		[PART_GIL] = CAUSE_GIL,
		[PART_RUNQUEUE] = CAUSE_RUNQUEUE,
		[PART_THROTTLED] = CAUSE_THROTTLED,
		[PART_STEAL] = CAUSE_STEAL,
		[PART_FAULT] = CAUSE_FAULT,
		[PART_OTHER] = CAUSE_OTHER,
	};

	return cause[part];
}

/* Within 20 % of the largest: not smaller than four fifths of it. */
static int is_close(int64_t ns, int64_t largest_ns)
{
	return ns > 0 && ns >= largest_ns - largest_ns / 5;
}

/* Inside the syscall part: the class with most of it, and those close to it. */
static uint32_t decide_syscall(const struct ap_slow *slow, const enum fd_kind *fd,
			       struct cause_verdict *verdict)
{
	int64_t by_cause[CAUSE_CNT] = {};
	enum cause of[AP_PLACES_MAX];
	enum cause top = CAUSE_OTHER;
	uint64_t place_ns = 0;
	uint32_t mask = 0;
	uint32_t cnt = slow->place_cnt < AP_PLACES_MAX ? slow->place_cnt : AP_PLACES_MAX;

	for (uint32_t i = 0; i < cnt; i++) {
		const struct ap_place *place = &slow->place[i];
		struct cause_place key = {
			.off = place->off,
			.syscall = place->syscall,
			.fd = fd[i],
			.fds = place->fds,
			.arg = place->arg,
		};

		of[i] = CAUSE_CNT;
		if (place->off != AP_OFF_SYSCALL || place->ns > INT64_MAX / AP_PLACES_MAX)
			continue;
		of[i] = cause_of_place(&key);
		by_cause[of[i]] += (int64_t)place->ns;
	}
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		if (by_cause[cause] > by_cause[top])
			top = cause;
	}
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		if (is_close(by_cause[cause], by_cause[top]))
			mask |= 1U << cause;
	}
	for (uint32_t i = 0; i < cnt; i++) {
		if (of[i] == top && slow->place[i].ns > place_ns) {
			place_ns = slow->place[i].ns;
			verdict->place = (int)i;
		}
	}
	verdict->cause = top;
	return mask | 1U << top;
}

struct cause_verdict cause_decide(const struct ap_slow *slow, const struct budget *budget,
				  const enum fd_kind fd[AP_PLACES_MAX])
{
	struct cause_verdict verdict = {.cause = CAUSE_OTHER, .place = -1};
	struct cause_verdict inside = {.place = -1};
	enum part top = PART_OTHER;
	uint32_t mask;

	for (int part = 0; part < PART_CNT; part++) {
		if (budget->ns[part] > budget->ns[top])
			top = part;
	}
	for (int part = 0; part < PART_CNT; part++) {
		if (!is_close(budget->ns[part], budget->ns[top]))
			continue;
		mask = 1U << cause_of_part(part);
		if (part == PART_SYSCALL)
			mask = decide_syscall(slow, fd, &inside);
		verdict.causes |= mask;
	}
	if (top == PART_SYSCALL)
		verdict = (struct cause_verdict){inside.cause, verdict.causes, inside.place};
	else
		verdict.cause = cause_of_part(top);

	/* An iteration that was busy, but not with its callbacks: timers, ready queue, selector. */
	if (verdict.cause == CAUSE_CPU && slow->callee == AP_CALLEE_ITERATION &&
	    slow->inner_ns < (uint64_t)budget_sum_ns(budget) / 2) {
		verdict.cause = CAUSE_LOOP;
		verdict.causes = (verdict.causes & ~(1U << CAUSE_CPU)) | 1U << CAUSE_LOOP;
	}
	verdict.causes |= 1U << verdict.cause;
	return verdict;
}
