/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * /proc/PID/task/TID/syscall tells number and arguments of a sleeping thread,
 * /proc/PID/fd what a descriptor is. Both are a moment's answer.
 *
 * It must never read a table of /proc further than its bound.
 */
#include "target/syscall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GIL_BEFORE 8   /* struct _gil_runtime_state begins 8 bytes before last_holder */
#define GIL_SZ	   208 /* its size, 3.8 to 3.15 (Include/internal/pycore_gil.h) */
#define LINES_MAX  65536
#define FDS_MAX	   65536 /* polled descriptors believed */

/* What the first argument is. */
enum shape { SHAPE_NONE, SHAPE_FD, SHAPE_POLLFD, SHAPE_NFDS, SHAPE_PATH, SHAPE_AT_PATH };

static enum shape shape_of(long nr)
{
	switch (nr) {
	case SYS_poll:
	case SYS_ppoll:
		return SHAPE_POLLFD;
	case SYS_select:
	case SYS_pselect6:
		return SHAPE_NFDS;
	case SYS_read:
	case SYS_write:
	case SYS_fstat:
	case SYS_lseek:
	case SYS_ioctl:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_sendfile:
	case SYS_connect:
	case SYS_accept:
	case SYS_accept4:
	case SYS_sendto:
	case SYS_recvfrom:
	case SYS_sendmsg:
	case SYS_recvmsg:
	case SYS_sendmmsg:
	case SYS_recvmmsg:
	case SYS_shutdown:
	case SYS_fcntl:
	case SYS_flock:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_ftruncate:
	case SYS_getdents64:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_splice:
	case SYS_fallocate:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_syncfs:
	case SYS_copy_file_range:
	case SYS_preadv2:
	case SYS_pwritev2:
		return SHAPE_FD;
	case SYS_open:
	case SYS_stat:
	case SYS_lstat:
	case SYS_access:
	case SYS_truncate:
	case SYS_rename:
	case SYS_mkdir:
	case SYS_rmdir:
	case SYS_unlink:
	case SYS_readlink:
		return SHAPE_PATH;
	case SYS_openat:
	case SYS_openat2:
	case SYS_mkdirat:
	case SYS_newfstatat:
	case SYS_unlinkat:
	case SYS_renameat:
	case SYS_readlinkat:
	case SYS_faccessat:
	case SYS_faccessat2:
	case SYS_statx:
		return SHAPE_AT_PATH;
	default:
		return SHAPE_NONE;
	}
}

/* "/srv/data/log" becomes "log\0data\0srv\0": as the kernel programs walk dentries. */
static void note_components(struct ap_file *out, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t end = strlen(path), used = 0;

	if (end > sizeof(deleted) - 1 && !strcmp(path + end - (sizeof(deleted) - 1), deleted))
		end -= sizeof(deleted) - 1;
	while (end && used <= AP_PATH_SZ - AP_COMPONENT_SZ) {
		size_t start = end, len;

		while (start && path[start - 1] != '/')
			start--;
		len = end - start;
		if (len) {
			if (len > AP_COMPONENT_SZ - 1)
				len = AP_COMPONENT_SZ - 1;
			memcpy(out->path + used, path + start, len);
			out->path[used + len] = '\0';
			used += len + 1;
		}
		end = start ? start - 1 : 0;
	}
	out->path_len = (uint16_t)used;
}

/* A line of /proc/net/tcp, udp: "  0: ADDR:PORT ADDR:PORT ..." and the inode as tenth field. */
static int match_line(const char *line, uint64_t ino, int family, struct ap_file *out)
{
	char local[33], peer[33];
	unsigned int local_port, peer_port, word[4] = {0};
	unsigned long long inode;
	size_t words = family == AF_INET ? 1 : 4;

	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%4x %*x %*s %*s %*s %*u %*u %llu",
		   local, &local_port, peer, &peer_port, &inode) != 5 ||
	    inode != ino || strlen(peer) != words * 8)
		return -1;
	/* Each word is printed as the machine's number of bytes in network order. */
	for (size_t i = 0; i < words; i++) {
		char part[9];

		memcpy(part, peer + 8 * i, 8);
		part[8] = '\0';
		word[i] = (unsigned int)strtoul(part, NULL, 16);
	}
	memcpy(out->addr, word, words * 4);
	out->family = (uint16_t)family;
	out->port = (uint16_t)peer_port;
	out->local_port = (uint16_t)local_port;
	return 0;
}

/* "NUM: REFS PROTOCOL FLAGS TYPE STATE INODE PATH": of a local socket there is no peer to be had
 * here. */
static int match_unix_line(const char *line, uint64_t ino, int family, struct ap_file *out)
{
	unsigned int type;
	unsigned long long inode;

	if (sscanf(line, "%*x: %*x %*x %*x %x %*x %llu", &type, &inode) != 2 || inode != ino)
		return -1;
	out->family = (uint16_t)family;
	out->type = (uint16_t)type;
	return 0;
}

static int find_socket(const struct process *p, pid_t tid, const char *table, uint64_t ino,
		       int family, struct ap_file *out)
{
	int found = -1, fd;
	char name[64], line[512];
	FILE *f;

	snprintf(name, sizeof(name), "task/%d/%s", (int)tid, table);
	fd = process_open_file(p, name);
	if (fd < 0)
		return -1;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -1;
	}
	for (unsigned int i = 0; found && i < LINES_MAX && fgets(line, sizeof(line), f); i++)
		found = family == AF_UNIX ? match_unix_line(line, ino, family, out)
					  : match_line(line, ino, family, out);
	fclose(f);
	return found;
}

static void note_socket(const struct process *p, pid_t tid, struct ap_file *out)
{
	static const struct {
		const char *table;
		uint16_t family, type;
	} tables[] = {
		{"net/unix", AF_UNIX, 0},
		{"net/tcp", AF_INET, SOCK_STREAM},
		{"net/tcp6", AF_INET6, SOCK_STREAM},
		{"net/udp", AF_INET, SOCK_DGRAM},
		{"net/udp6", AF_INET6, SOCK_DGRAM},
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (!find_socket(p, tid, tables[i].table, out->ino, tables[i].family, out)) {
			if (tables[i].type)
				out->type = tables[i].type;
			return;
		}
	}
}

/* Of the thread: a main thread that has exited has no descriptors any more. */
static void note_fd(const struct process *p, pid_t tid, int32_t num, struct ap_block *out)
{
	struct ap_file *file = &out->file;
	char name[64], link[4096];
	struct statx st;
	int fd;

	out->fd = num;
	snprintf(name, sizeof(name), "task/%d/fd/%d", (int)tid, (int)num);
	if (num < 0 || process_read_link(p, name, link, sizeof(link)) < 0)
		return;
	fd = process_open_path(p, name);
	if (fd < 0)
		return;
	/* Cached attributes only: a FUSE server is asked for nothing. */
	if (!statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &st)) {
		file->mode = st.stx_mode;
		file->ino = st.stx_ino;
	}
	close(fd);
	if (S_ISSOCK(file->mode)) {
		file->magic = SOCKFS_MAGIC;
		note_socket(p, tid, file);
	} else if (!strncmp(link, "pipe:[", 6)) {
		file->magic = PIPEFS_MAGIC;
	} else if (!strncmp(link, "anon_inode:", 11)) {
		file->magic = ANON_INODE_FS_MAGIC;
		note_components(file, link + 11);
	} else if (link[0] == '/') {
		note_components(file, link);
	}
}

static void note_user_path(struct memory *m, uint64_t addr, struct ap_file *out)
{
	size_t used = 0, step;

	while (used < AP_PATH_SZ) {
		step = 16 - (addr + used) % 16;
		if (step > AP_PATH_SZ - used)
			step = AP_PATH_SZ - used;
		if (memory_read(m, addr + used, out->path + used, step))
			break;
		if (memchr(out->path + used, 0, step)) {
			used += strlen(out->path + used) + 1;
			out->path_len = (uint16_t)used;
			return;
		}
		used += step;
	}
	/* It did not end in time: cut, with its NUL. */
	if (used) {
		out->path[used - 1] = '\0';
		out->path_len = (uint16_t)used;
	}
}

static void note_file(const struct process *p, struct memory *m, pid_t tid, struct ap_block *out)
{
	int32_t fd;

	switch (shape_of(out->syscall)) {
	case SHAPE_FD:
		note_fd(p, tid, (int32_t)out->arg[0], out);
		break;
	case SHAPE_POLLFD:
		out->fds = out->arg[1] < FDS_MAX ? (uint32_t)out->arg[1] : FDS_MAX;
		if (out->fds && !memory_read(m, out->arg[0], &fd, sizeof(fd)))
			note_fd(p, tid, fd, out);
		break;
	case SHAPE_NFDS:
		out->fds = out->arg[0] < FDS_MAX ? (uint32_t)out->arg[0] : FDS_MAX;
		break;
	case SHAPE_PATH:
		note_user_path(m, out->arg[0], &out->file);
		break;
	case SHAPE_AT_PATH:
		note_user_path(m, out->arg[1], &out->file);
		break;
	case SHAPE_NONE:
		break;
	}
}

static int read_line(const struct process *p, pid_t tid, const char *file, char *buf, size_t size)
{
	char name[64];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "task/%d/%s", (int)tid, file);
	fd = process_open_file(p, name);
	if (fd < 0)
		return fd;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? 0 : n < 0 ? (int)n : -ESRCH;
}

static char thread_state(const struct process *p, pid_t tid)
{
	char stat[512];
	const char *s;

	if (read_line(p, tid, "stat", stat, sizeof(stat)))
		return '?';
	s = strrchr(stat, ')');
	return s && s[1] == ' ' ? s[2] : '?';
}

int syscall_read(const struct process *p, struct memory *m, pid_t tid, uint64_t gil_holder,
		 struct ap_block *out)
{
	unsigned long long arg[3];
	char line[256], state;
	long nr = -1;
	int err, cnt;

	out->syscall = -1;
	out->fd = -1;
	err = read_line(p, tid, "syscall", line, sizeof(line));
	if (err)
		return err;
	cnt = sscanf(line, "%ld %llx %llx %llx", &nr, &arg[0], &arg[1], &arg[2]);
	if (cnt < 1)
		return 0; /* "running" */
	/* A stopped thread still shows the call on whose way out the signal came. */
	state = thread_state(p, tid);
	if (state == 'T' || state == 't') {
		out->off = AP_OFF_STOPPED;
		return 1;
	}
	if (nr < 0 || cnt < 4) {
		/* Off the CPU and in no call: it waits for a page. */
		out->off = AP_OFF_FAULT;
		return 1;
	}
	out->syscall = (int32_t)nr;
	for (unsigned int i = 0; i < 3; i++)
		out->arg[i] = arg[i];
	if (nr != SYS_futex)
		out->off = AP_OFF_SYSCALL;
	else if (gil_holder && arg[0] - (gil_holder - GIL_BEFORE) < GIL_SZ)
		out->off = AP_OFF_GIL;
	else
		out->off = AP_OFF_FUTEX;
	note_file(p, m, tid, out);
	return 1;
}
