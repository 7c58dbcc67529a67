/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a process has mapped, as of one moment: one read of /proc/PID/maps
 * (a second one would wait for the target's mmap lock again), and the only
 * way to open a file that the target names.
 *
 * It must never open anything but the mapped inode itself: no symlink, FIFO
 * or device of the target's choice, and no file of the same name in our own
 * mount namespace.
 */
#ifndef ASYNCPROF_TARGET_MAPS_H
#define ASYNCPROF_TARGET_MAPS_H

#include "process.h"

#define MAPS_MAX      65536 /* mappings; vm.max_map_count is 65530 by default */
#define MAPS_TEXT_MAX (16 * 1024 * 1024)

struct maps;

struct mapping {
	uint64_t start, end; /* addresses in the target */
	uint64_t offset;     /* bytes into the file */
	uint64_t dev, ino;   /* dev as makedev() packs it; ino 0: no file */
	uint8_t readable, writable, executable;
	uint8_t deleted;  /* 1: the path has been unlinked */
	const char *path; /* as the target sees it, raw bytes; "" for none. Belongs to the maps */
};

/* 0, or -1 with `why`. The caller frees it. */
int maps__read(const struct process *p, struct maps **out, struct refusal *why);
/* The same from text of that format: the reader's tests and fuzzers come in here. */
int maps__parse(const char *text, size_t len, struct maps **out);
void maps__free(struct maps *m);

size_t maps_cnt(const struct maps *m);
const struct mapping *maps_at(const struct maps *m, size_t i);

/* The mapping that holds an address, or NULL. */
const struct mapping *maps_find(const struct maps *m, uint64_t addr);

/* The first mapping of a file whose last path component satisfies `match`, or NULL. */
const struct mapping *maps_find_file(const struct maps *m, int (*match)(const char *base));

/*
 * Opens the mapped file: through map_files, else below /proc/PID/root with
 * O_NOFOLLOW | O_NONBLOCK and the device and inode compared. On overlayfs and
 * btrfs the numbers in maps are not those of stat: then `*doubtful` is 1 and
 * the caller must compare build ids with the mapped memory. An fd, which the
 * caller closes, or a negative errno.
 */
int maps_open_file(const struct process *p, const struct mapping *map, int *doubtful);

#endif
