/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "kernel/leash.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/features.h"

static const char pmu_type[] = "/sys/bus/event_source/devices/uprobe/type";

/*
 * kernel/events/core.c, __perf_event_overflow(): with O_ASYNC each overflow ends
 * in kill_fasync(), and that sends what F_SETSIG names to whom F_SETOWN names.
 * The sender is whoever asked, so that we may send it to a child of another user.
 */
static void set_signal(const struct leash *leash, pid_t to, int number)
{
	size_t i;

	/* None of these can fail for a perf event and a process that is there. */
	for (i = 0; i < LEASH_SITES_MAX; i++) {
		if (leash->fd[i] < 0)
			continue;
		fcntl(leash->fd[i], F_SETOWN, to);
		fcntl(leash->fd[i], F_SETSIG, number);
		fcntl(leash->fd[i], F_SETFL, O_ASYNC | O_NONBLOCK);
	}
}

static int open_event(struct perf_event_attr *attr, pid_t child)
{
	int fd;

	attr->size = sizeof(*attr);
	attr->sample_period = 1;
	attr->wakeup_events = 1;
	fd = (int)syscall(SYS_perf_event_open, attr, child, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A small number in a file of the kernel's. Closes `fd`. */
static int read_number(int fd, uint64_t *number)
{
	char text[16] = "";
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	*number = strtoul(text, NULL, 10);
	return n > 0 ? 0 : -EIO;
}

int leash__exec(struct leash *leash, pid_t child)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT};
	int tracefs = features_open_tracefs(), err;
	uint64_t id;

	if (tracefs < 0)
		return -errno;
	err = read_number(openat(tracefs, "events/sched/sched_process_exec/id",
				 O_RDONLY | O_CLOEXEC), &id);
	close(tracefs);
	if (err)
		return err;
	attr.config = id;
	*leash = LEASH_NONE;
	leash->fd[0] = open_event(&attr, child);
	return leash->fd[0] < 0 ? leash->fd[0] : 0;
}

int leash__sites(struct leash *leash, pid_t child, const struct site *sites, size_t cnt)
{
	struct perf_event_attr attr = {0};
	uint64_t type;
	int err = read_number(open(pmu_type, O_RDONLY | O_CLOEXEC), &type);
	size_t i;

	*leash = LEASH_NONE;
	for (i = 0; !err && i < cnt && i < LEASH_SITES_MAX; i++) {
		attr.type = (uint32_t)type;
		attr.uprobe_path = (uint64_t)(uintptr_t)sites[i].path;
		attr.probe_offset = sites[i].offset;
		leash->fd[i] = open_event(&attr, child);
		if (leash->fd[i] < 0)
			err = leash->fd[i];
	}
	if (err)
		leash__free(leash);
	return err;
}

void leash_stop(const struct leash *leash, pid_t child)
{
	set_signal(leash, child, SIGSTOP);
}

void leash_tell_us(const struct leash *leash)
{
	set_signal(leash, getpid(), SIGCHLD);
}

int leash_is_hit(struct leash *leash)
{
	uint64_t sum = 0, cnt;
	size_t i;
	int is_hit;

	for (i = 0; i < LEASH_SITES_MAX; i++)
		if (leash->fd[i] >= 0 && read(leash->fd[i], &cnt, sizeof(cnt)) == sizeof(cnt))
			sum += cnt;
	is_hit = sum != leash->hit_cnt;
	leash->hit_cnt = sum;
	return is_hit;
}

void leash_loosen(const struct leash *leash)
{
	size_t i;

	for (i = 0; i < LEASH_SITES_MAX; i++)
		if (leash->fd[i] >= 0)
			fcntl(leash->fd[i], F_SETFL, O_NONBLOCK);
}

void leash__free(struct leash *leash)
{
	size_t i;

	leash_loosen(leash);
	for (i = 0; i < LEASH_SITES_MAX; i++)
		if (leash->fd[i] >= 0)
			close(leash->fd[i]);
	*leash = LEASH_NONE;
}
