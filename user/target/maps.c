/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * /proc/PID/maps as an array, and mapped files opened without trusting the
 * path in it: map_files leads to the mapped inode itself, the path only
 * where the kernel does not let us use that.
 *
 * It must never hold more than its two caps, whatever the target maps.
 */
#include "target/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef BTRFS_SUPER_MAGIC
#define BTRFS_SUPER_MAGIC 0x9123683E
#endif

struct maps {
	size_t cnt, room;
	struct mapping *map;
	char *text; /* the paths lie here */
};

static const char deleted[] = " (deleted)";

/* The kernel writes a newline in a path as \012 and nothing else so (fs/proc/task_mmu.c). */
static void unescape(char *path)
{
	char *to = path;

	for (char *from = path; *from; to++) {
		if (!strncmp(from, "\\012", 4)) {
			*to = '\n';
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static int parse_hex(const char **s, char end, uint64_t *value)
{
	uint64_t v = 0;
	const char *p = *s;

	for (; *p && *p != end; p++) {
		int digit = *p >= '0' && *p <= '9'   ? *p - '0'
			    : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
						     : -1;

		if (digit < 0 || v >> 60)
			return -1;
		v = v << 4 | (unsigned int)digit;
	}
	if (p == *s || *p != end)
		return -1;
	*s = p + 1;
	*value = v;
	return 0;
}

static int parse_line(char *line, struct mapping *map)
{
	const char *s = line;
	uint64_t major, minor;
	char *path, *end;
	size_t len;

	if (parse_hex(&s, '-', &map->start) || parse_hex(&s, ' ', &map->end) || strlen(s) < 5 ||
	    map->end <= map->start)
		return -1;
	map->readable = s[0] == 'r';
	map->writable = s[1] == 'w';
	map->executable = s[2] == 'x';
	s += 5;
	if (parse_hex(&s, ' ', &map->offset) || parse_hex(&s, ':', &major) ||
	    parse_hex(&s, ' ', &minor) || major > 0xfffff || minor > 0xfffff)
		return -1;
	map->dev = makedev((unsigned int)major, (unsigned int)minor);
	errno = 0;
	map->ino = strtoull(s, &end, 10);
	if (errno || end == s)
		return -1;
	path = end + strspn(end, " ");
	len = strlen(path);
	map->deleted = 0;
	if (len > sizeof(deleted) - 1 && !strcmp(path + len - (sizeof(deleted) - 1), deleted)) {
		map->deleted = 1;
		path[len - (sizeof(deleted) - 1)] = '\0';
	}
	unescape(path);
	map->path = path;
	return 0;
}

static int add_line(struct maps *m, char *line)
{
	if (m->cnt == MAPS_MAX)
		return -E2BIG;
	if (m->cnt == m->room) {
		size_t room = m->room ? m->room * 2 : 128;
		struct mapping *map = realloc(m->map, room * sizeof(*map));

		if (!map)
			return -ENOMEM;
		m->map = map;
		m->room = room;
	}
	/* A line of another shape is not a mapping: later kernels may add some. */
	if (!parse_line(line, &m->map[m->cnt]))
		m->cnt++;
	return 0;
}

int maps__parse(const char *text, size_t len, struct maps **out)
{
	struct maps *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;
	char *line, *next;

	*out = NULL;
	if (!m)
		return err;
	m->text = malloc(len + 1);
	if (!m->text)
		goto out;
	memcpy(m->text, text, len);
	m->text[len] = '\0';
	for (line = m->text; *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		else
			next = line + strlen(line);
		err = add_line(m, line);
		if (err)
			goto out;
	}
	*out = m;
	m = NULL;
	err = 0;
out:
	maps__free(m);
	return err;
}

/* All of it in one go as far as the kernel gives it: 0 and malloc'ed text, or a negative errno. */
static int read_text(int fd, char **out, size_t *len)
{
	size_t used = 0, room = 65536;
	char *text = malloc(room);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	for (;;) {
		if (used == room) {
			char *more = room < MAPS_TEXT_MAX ? realloc(text, room * 2) : NULL;

			if (!more) {
				free(text);
				return -E2BIG;
			}
			text = more;
			room *= 2;
		}
		n = read(fd, text + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (n < 0) {
		int err = -errno;

		free(text);
		return err;
	}
	*out = text;
	*len = used;
	return 0;
}

int maps__read(const struct process *p, struct maps **out, struct refusal *why)
{
	char name[64], *text = NULL;
	size_t len = 0;
	pid_t tid = process_live_tid(p);
	int err, fd;

	*out = NULL;
	snprintf(name, sizeof(name), "task/%d/maps", (int)tid);
	fd = tid ? process_open_file(p, name) : -ESRCH;
	err = fd;
	if (fd >= 0) {
		err = read_text(fd, &text, &len);
		close(fd);
	}
	if (!err)
		err = maps__parse(text, len, out);
	free(text);
	if (!err && (*out)->cnt)
		return 0;
	maps__free(*out);
	*out = NULL;
	if (err == -EACCES || err == -EPERM)
		return refuse(why, EXIT_PERMISSION, "run it as root: sudo asyncprof ...",
			      "no permission to read the mappings of process %d",
			      (int)process_pid(p));
	if (!err || err == -ESRCH || err == -ENOENT)
		return refuse(why, EXIT_NO_PROCESS, NULL, "process %d has exited",
			      (int)process_pid(p));
	return refuse(why, EXIT_FAILED, NULL, "cannot read the mappings of process %d: %s",
		      (int)process_pid(p), strerror(-err));
}

void maps__free(struct maps *m)
{
	if (!m)
		return;
	free(m->map);
	free(m->text);
	free(m);
}

size_t maps_cnt(const struct maps *m)
{
	return m->cnt;
}

const struct mapping *maps_at(const struct maps *m, size_t i)
{
	return i < m->cnt ? &m->map[i] : NULL;
}

const struct mapping *maps_find(const struct maps *m, uint64_t addr)
{
	size_t low = 0, high = m->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (addr < m->map[mid].start)
			high = mid;
		else if (addr >= m->map[mid].end)
			low = mid + 1;
		else
			return &m->map[mid];
	}
	return NULL;
}

const struct mapping *maps_find_file(const struct maps *m, int (*match)(const char *base))
{
	for (size_t i = 0; i < m->cnt; i++) {
		const char *slash = strrchr(m->map[i].path, '/');

		if (m->map[i].ino && slash && match(slash + 1))
			return &m->map[i];
	}
	return NULL;
}

static int open_by_range(const struct process *p, const struct mapping *map)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)map->start,
		 (unsigned long)map->end);
	return process_open_file(p, name);
}

/* Below `root`, no symlink on the way: the path in maps is resolved already. */
static int open_below(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* 0: the mapped inode; 1: a file system whose numbers differ from those in maps; -ESTALE: another.
 */
static int compare_inode(int fd, const struct mapping *map)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_dev == map->dev && st.st_ino == map->ino)
		return 0;
	if (fstatfs(fd, &fs))
		return -errno;
	return fs.f_type == OVERLAYFS_SUPER_MAGIC || fs.f_type == BTRFS_SUPER_MAGIC ? 1 : -ESTALE;
}

static int open_by_path(int root, const struct mapping *map, int *doubtful)
{
	int fd, same;

	if (root < 0)
		return root;
	fd = open_below(root, map->path);
	if (fd < 0)
		return fd;
	same = compare_inode(fd, map);
	if (same < 0) {
		close(fd);
		return same;
	}
	*doubtful = same;
	return fd;
}

int maps_open_file(const struct process *p, const struct mapping *map, int *doubtful)
{
	char name[64];
	struct stat st;
	int fd, root, own;

	*doubtful = 0;
	if (!map->ino || map->path[0] != '/')
		return -ENOENT;
	fd = open_by_range(p, map);
	if (fd >= 0) {
		if (!fstat(fd, &st) && S_ISREG(st.st_mode))
			return fd;
		close(fd);
		return -EINVAL;
	}
	if (map->deleted)
		return -ENOENT;
	/* With a dead main thread map_files is empty; a living one still has the root. */
	snprintf(name, sizeof(name), "task/%d/root", (int)process_live_tid(p));
	root = process_open_dir(p, name);
	fd = open_by_path(root, map, doubtful);
	if (root >= 0)
		close(root);
	if (fd >= 0)
		return fd;
	/* A chroot in our own mount namespace: maps shows the path from our root. */
	own = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	root = open_by_path(own < 0 ? -errno : own, map, doubtful);
	if (own >= 0)
		close(own);
	if (root >= 0 && *doubtful) {
		close(root);
		root = -ESTALE;
	}
	return root >= 0 ? root : fd;
}
