/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * All of /proc is read once: /proc/PID/task/TID/children needs CONFIG_PROC_CHILDREN, and misses
 * those whose sibling exits meanwhile (proc(5)).
 */
#include "target/descendants.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0, or -1: it is gone. */
static int read_stat(const char *pid, struct descendant *out)
{
	char path[64], stat[1024];
	const char *s;
	FILE *file;
	size_t n;
	int ppid;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	n = fread(stat, 1, sizeof(stat) - 1, file);
	fclose(file);
	stat[n] = 0;
	/* The name before it may hold anything. */
	s = strrchr(stat, ')');
	if (!s || sscanf(s + 1, " %*c %d", &ppid) != 1)
		return -1;
	out->pid = (pid_t)strtol(pid, NULL, 10);
	out->parent = ppid;
	return 0;
}

static int read_all(struct descendant **out)
{
	size_t cnt = 0, room = 0;
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (cnt == room) {
			struct descendant *more;

			room = room ? 2 * room : 256;
			more = reallocarray(*out, room, sizeof(*more));
			if (!more) {
				closedir(dir);
				return -ENOMEM;
			}
			*out = more;
		}
		cnt += !read_stat(entry->d_name, &(*out)[cnt]);
	}
	closedir(dir);
	return (int)cnt;
}

static bool is_in(pid_t pid, const struct descendant *found, size_t cnt)
{
	size_t i;

	for (i = 0; i < cnt; i++)
		if (found[i].pid == pid)
			return true;
	return false;
}

static bool is_root(pid_t pid, const pid_t *root, size_t root_cnt)
{
	size_t i;

	for (i = 0; i < root_cnt; i++)
		if (root[i] == pid)
			return true;
	return false;
}

int descendants__find(const pid_t *root, size_t root_cnt, struct descendant **out)
{
	size_t found = 0, before, i;
	int cnt;

	*out = NULL;
	cnt = read_all(out);
	if (cnt <= 0)
		return cnt;
	/* Each turn finds one generation more; those that are found stand in front. */
	do {
		before = found;
		for (i = found; i < (size_t)cnt; i++) {
			struct descendant one = (*out)[i];

			if (is_root(one.pid, root, root_cnt) ||
			    (!is_root(one.parent, root, root_cnt) &&
			     !is_in(one.parent, *out, before)))
				continue;
			(*out)[i] = (*out)[found];
			(*out)[found++] = one;
		}
	} while (found > before);
	return (int)found;
}
