/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "kernel/leash.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char pmu_type[] = "/sys/bus/event_source/devices/uprobe/type";

/*
 * kernel/events/core.c, __perf_event_overflow(): with O_ASYNC each overflow ends
 * in kill_fasync(), and that sends what F_SETSIG names to whom F_SETOWN names.
 * The sender is whoever asked, so that we may send it to a child of another user.
 */
static int open_event(struct perf_event_attr *attr, pid_t child)
{
	int fd, err;

	attr->size = sizeof(*attr);
	fd = (int)syscall(SYS_perf_event_open, attr, child, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fcntl(fd, F_SETOWN, child) && !fcntl(fd, F_SETSIG, SIGSTOP) &&
	    !fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int leash__clock(struct leash *leash, pid_t child, uint64_t period_ns)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.sample_period = period_ns,
		.wakeup_events = 1,
		.disabled = 1,
		.enable_on_exec = 1,
	};

	leash->fd[0] = open_event(&attr, child);
	return leash->fd[0] < 0 ? leash->fd[0] : 0;
}

/* The kernel numbers its kinds of events at boot. */
static int read_type(uint32_t *type)
{
	char text[16] = "";
	int fd = open(pmu_type, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	*type = (uint32_t)strtoul(text, NULL, 10);
	return n > 0 ? 0 : -EIO;
}

int leash__sites(struct leash *leash, pid_t child, const struct site *const *sites, size_t cnt)
{
	struct perf_event_attr attr = {.sample_period = 1, .wakeup_events = 1};
	int err = read_type(&attr.type);
	size_t i;

	for (i = 0; !err && i < cnt && i < LEASH_SITES_MAX; i++) {
		attr.uprobe_path = (uint64_t)(uintptr_t)sites[i]->path;
		attr.probe_offset = sites[i]->offset;
		leash->fd[i] = open_event(&attr, child);
		if (leash->fd[i] < 0)
			err = leash->fd[i];
	}
	if (err)
		leash__free(leash);
	return err;
}

void leash__free(struct leash *leash)
{
	size_t i;

	for (i = 0; i < LEASH_SITES_MAX; i++) {
		if (leash->fd[i] < 0)
			continue;
		/* A child that was forked a moment ago may hold the event as well, and keep it. */
		fcntl(leash->fd[i], F_SETFL, O_NONBLOCK);
		close(leash->fd[i]);
		leash->fd[i] = -1;
	}
}
