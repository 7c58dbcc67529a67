/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The child that reads. One request at a time goes over a socket pair, the
 * bytes come back in a shared page range; a child that has been killed keeps
 * its own range, so that nothing it still does can reach a later answer.
 *
 * The child must never hold a descriptor of the collector but its socket: an
 * inherited BPF link would keep probes in the target after we are gone.
 */
#include "target/memory.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BAD_PAGES_MAX 64
#define STUCK_MAX     8 /* killed children that the kernel has not let go yet */
#define PAGE_SHIFT    12

struct request {
	uint64_t addr;
	uint32_t size;
	int32_t tid;
};

struct memory {
	const struct process *process;
	pid_t tid;
	pid_t child; /* 0: none runs */
	int sock;
	void *buf;
	pid_t stuck[STUCK_MAX];
	unsigned int stuck_cnt;
	unsigned int timeouts;
	unsigned int hangs; /* of those, one soon after the other until hang_ms */
	uint64_t hang_ms;
	uint64_t bad_page[BAD_PAGES_MAX];
	unsigned int bad_cnt;
};

static void __attribute__((noreturn)) serve(int sock, void *buf, pid_t parent)
{
	struct request req;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	prctl(PR_SET_NAME, "asyncprof-read");
	if (dup2(sock, 3) != 3 || syscall(SYS_close_range, 4U, ~0U, 0U))
		_exit(1);
	syscall(SYS_close_range, 0U, 2U, 0U);
	while (recv(3, &req, sizeof(req), 0) == (ssize_t)sizeof(req)) {
		struct iovec local = {buf, req.size};
		struct iovec remote = {(void *)(uintptr_t)req.addr, req.size};
		ssize_t n = process_vm_readv(req.tid, &local, 1, &remote, 1, 0);
		int32_t answer = n < 0 ? -errno : n == (ssize_t)req.size ? 0 : -EFAULT;

		if (send(3, &answer, sizeof(answer), MSG_NOSIGNAL) != (ssize_t)sizeof(answer))
			break;
	}
	_exit(0);
}

static void reap(struct memory *m)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < m->stuck_cnt; i++) {
		if (waitpid(m->stuck[i], NULL, WNOHANG) == 0)
			m->stuck[kept++] = m->stuck[i];
	}
	m->stuck_cnt = kept;
}

static void stop_child(struct memory *m)
{
	if (m->child > 0) {
		kill(m->child, SIGKILL);
		m->stuck[m->stuck_cnt++] = m->child;
	}
	if (m->sock >= 0)
		close(m->sock);
	if (m->buf)
		munmap(m->buf, MEMORY_READ_MAX);
	m->child = 0;
	m->sock = -1;
	m->buf = NULL;
	reap(m);
}

static int start_child(struct memory *m)
{
	sigset_t all, old;
	pid_t parent = getpid();
	int pair[2];
	int err = 0;

	reap(m);
	if (m->stuck_cnt == STUCK_MAX)
		return -EBUSY;
	m->buf = mmap(NULL, MEMORY_READ_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (m->buf == MAP_FAILED) {
		m->buf = NULL;
		return -ENOMEM;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		err = -errno;
		goto out;
	}
	/* Ctrl-C goes to the whole process group: the child must not die of it first. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	m->child = fork();
	if (m->child == 0)
		serve(pair[1], m->buf, parent);
	if (m->child < 0)
		err = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(pair[1]);
	m->sock = pair[0];
out:
	if (err) {
		m->child = 0;
		stop_child(m);
	}
	return err;
}

int memory__open(const struct process *p, struct memory **out)
{
	struct memory *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	*out = NULL;
	if (!m)
		return err;
	m->process = p;
	m->sock = -1;
	m->tid = process_own_tid(p, process_live_tid(p));
	err = m->tid ? start_child(m) : -ESRCH;
	if (err)
		memory__close(m);
	else
		*out = m;
	return err;
}

void memory__close(struct memory *m)
{
	if (!m)
		return;
	stop_child(m);
	/* Killed just now: it is as good as gone, unless the kernel holds it. */
	for (int i = 0; i < 100 && m->stuck_cnt; i++) {
		struct timespec ms = {0, 1000000};

		nanosleep(&ms, NULL);
		reap(m);
	}
	free(m);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* 0 and the child's answer, or -ETIMEDOUT, or -EPIPE when it died. */
static int await(struct memory *m, int32_t *answer)
{
	uint64_t deadline = now_ms() + MEMORY_DEADLINE_MS;

	for (;;) {
		struct pollfd fd = {.fd = m->sock, .events = POLLIN};
		uint64_t now = now_ms();
		int n = poll(&fd, 1, now < deadline ? (int)(deadline - now) : 0);

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			break;
		if (errno != EINTR)
			return -errno;
	}
	if (recv(m->sock, answer, sizeof(*answer), 0) != (ssize_t)sizeof(*answer))
		return -EPIPE;
	return 0;
}

static int is_bad(const struct memory *m, uint64_t addr, size_t size)
{
	unsigned int cnt = m->bad_cnt < BAD_PAGES_MAX ? m->bad_cnt : BAD_PAGES_MAX;
	uint64_t first = addr >> PAGE_SHIFT, last = (addr + size - 1) >> PAGE_SHIFT;

	for (unsigned int i = 0; i < cnt; i++) {
		if (m->bad_page[i] >= first && m->bad_page[i] <= last)
			return 1;
	}
	return 0;
}

static int ask(struct memory *m, uint64_t addr, size_t size)
{
	struct request req = {.addr = addr, .size = (uint32_t)size, .tid = m->tid};
	int32_t answer = 0;
	int err;

	if (!m->child) {
		err = start_child(m);
		if (err)
			return err;
	}
	if (send(m->sock, &req, sizeof(req), MSG_NOSIGNAL) != (ssize_t)sizeof(req))
		err = -EPIPE;
	else
		err = await(m, &answer);
	if (!err)
		return answer;
	if (err == -ETIMEDOUT) {
		m->timeouts++;
		m->hangs++;
		m->hang_ms = now_ms();
		/* Which of several pages hung is not known; the first is the one a walk asks for
		 * again. */
		m->bad_page[m->bad_cnt++ % BAD_PAGES_MAX] = addr >> PAGE_SHIFT;
	}
	stop_child(m);
	return err;
}

/* Whoever waits for one page after the other does nothing else, not even end when told to. */
static int is_paused(struct memory *m)
{
	if (m->hangs && now_ms() - m->hang_ms >= MEMORY_PAUSE_MS)
		m->hangs = 0;
	return m->hangs >= MEMORY_HANGS_MAX;
}

int memory_read(struct memory *m, uint64_t addr, void *buf, size_t size)
{
	uint64_t end;
	int err;

	if (!size)
		return 0;
	if (size > MEMORY_READ_MAX)
		return -E2BIG;
	if (__builtin_add_overflow(addr, size, &end) || is_bad(m, addr, size))
		return -EFAULT;
	if (is_paused(m))
		return -ETIMEDOUT;
	err = ask(m, addr, size);
	if (err == -ESRCH) {
		/* The thread we read through has exited: any other will do. */
		m->tid = process_own_tid(m->process, process_live_tid(m->process));
		if (!m->tid)
			return -ESRCH;
		err = ask(m, addr, size);
	}
	if (!err)
		memcpy(buf, m->buf, size);
	return err;
}

unsigned int memory_timeouts(const struct memory *m)
{
	return m->timeouts;
}
