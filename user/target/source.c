/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "target/source.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Below the target's root, without leaving it, and no waiting for a FIFO's other end. */
static int open_below(int root, const char *file)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	struct stat st;
	int fd = (int)syscall(SYS_openat2, root, file, &how, sizeof(how));

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* In the child: copies the line to `out`. What it can't do shows as nothing written. */
static void copy_line(int root, const char *file, int line, int out, size_t size)
{
	char buf[4096], keep[512];
	size_t total = 0, kept = 0;
	ssize_t n, i;
	int fd = open_below(root, file);

	if (fd < 0)
		return;
	if (size > sizeof(keep))
		size = sizeof(keep);
	while (total < SOURCE_BYTES_MAX && (n = read(fd, buf, sizeof(buf))) > 0) {
		total += (size_t)n;
		for (i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				if (--line == 0)
					goto done;
			} else if (line == 1 && kept < size) {
				keep[kept++] = buf[i];
			}
		}
	}
	if (line != 1)
		return;
done:
	while (kept && keep[kept - 1] == '\r')
		kept--;
	if (write(out, keep, kept) != (ssize_t)kept)
		return;
}

static int read_answer(int fd, char *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int ready;

	do {
		ready = poll(&p, 1, SOURCE_DEADLINE_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready < 0 ? -errno : -ETIMEDOUT;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENOENT;
	buf[n] = 0;
	return (int)n;
}

/* Effective user and group of the target (/proc/PID/status). 0, or a negative errno. */
static int read_ids(const struct process *p, uid_t *uid, gid_t *gid)
{
	char text[4096], *at;
	int fd = process_open_file(p, "status");
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = 0;
	at = strstr(text, "\nUid:");
	if (!at || sscanf(at, "\nUid: %*u %u", uid) != 1)
		return -EINVAL;
	at = strstr(text, "\nGid:");
	if (!at || sscanf(at, "\nGid: %*u %u", gid) != 1)
		return -EINVAL;
	return 0;
}

/* In the child, for good. 0 when nothing of our own rights is left. */
static int become(uid_t uid, gid_t gid)
{
	if (geteuid() == 0 && setgroups(0, NULL))
		return -errno;
	if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

int source_line(const struct process *p, const char *file, int line, char *buf, size_t size)
{
	int pair[2], root, status, n;
	pid_t child, parent = getpid();
	uid_t uid;
	gid_t gid;

	if (!file || file[0] != '/' || line < 1 || size < 2)
		return -EINVAL;
	n = read_ids(p, &uid, &gid);
	if (n)
		return n;
	root = process_open_dir(p, "root");
	if (root < 0)
		return root;
	if (pipe2(pair, O_CLOEXEC)) {
		n = -errno;
		goto out_root;
	}
	child = fork();
	if (child < 0) {
		n = -errno;
		close(pair[1]);
		goto out_pipe;
	}
	if (child == 0) {
		/* In this order: a change of user clears the signal. */
		if (become(uid, gid))
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			copy_line(root, file, line, pair[1], size - 1);
		_exit(0);
	}
	close(pair[1]);
	n = read_answer(pair[0], buf, size);
	kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
out_pipe:
	close(pair[0]);
out_root:
	close(root);
	return n;
}
