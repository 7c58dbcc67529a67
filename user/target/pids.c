/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "target/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATUS_SZ 16384 /* "Groups:" comes before NSpid and may be long */

/* The value is on the line that begins with `key`, within the first STATUS_SZ bytes. */
static int read_file(const char *path, char text[STATUS_SZ])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, STATUS_SZ - 1);
	int err = n < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return err;
}

pid_t pids_number(const char *status, int place)
{
	const char *line = strstr(status, "\nNSpid:");
	long number = 0;
	char *end;

	if (!line)
		return 0;
	line += 7;
	for (int i = 0; *line && *line != '\n'; i++, line = end) {
		long n = strtol(line, &end, 10);

		if (end == line)
			break;
		number = n;
		if (i == place)
			return (pid_t)number;
	}
	return place == PIDS_LAST ? (pid_t)number : 0;
}

int pids_depth(void)
{
	static int depth = -1;
	char status[STATUS_SZ];
	int err, found = 0;

	if (depth >= 0)
		return depth;
	err = read_file("/proc/self/status", status);
	if (err)
		return err;
	while (pids_number(status, found + 1))
		found++;
	depth = found;
	return depth;
}

/* The process behind a pidfd, in /proc's words (fs/pidfs.c, pidfd_show_fdinfo()). */
static pid_t shown_by(int pidfd)
{
	char path[64], text[STATUS_SZ];
	const char *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	line = read_file(path, text) ? NULL : strstr(text, "\nPid:");
	return line ? (pid_t)strtol(line + 5, NULL, 10) : 0;
}

int pids_open(pid_t pid)
{
	int depth = pids_depth(), fd;
	char path[64], status[STATUS_SZ];
	pid_t own = pid;

	if (depth < 0)
		return depth;
	if (depth > 0) {
		snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
		if (read_file(path, status))
			return -ESRCH;
		own = pids_number(status, depth);
		if (!own)
			return -EXDEV;
	}
	fd = (int)syscall(SYS_pidfd_open, own, 0);
	if (fd < 0)
		return depth > 0 && errno == ESRCH ? -EXDEV : -errno;
	if (depth > 0 && shown_by(fd) != pid) {
		close(fd);
		return -EXDEV;
	}
	return fd;
}

pid_t pids_shown(pid_t own)
{
	pid_t shown;
	int fd;

	if (pids_depth() == 0)
		return own;
	fd = (int)syscall(SYS_pidfd_open, own, 0);
	if (fd < 0)
		return 0;
	shown = shown_by(fd);
	close(fd);
	return shown;
}
