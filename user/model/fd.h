/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a file descriptor is: its kind, and its path or peer in words.
 *
 * It must never look the fd up again: what the kernel program saw when the
 * thread went to sleep is the truth, a moment later it may be another file.
 */
#ifndef ASYNCPROF_FD_H
#define ASYNCPROF_FD_H

#include <stddef.h>

#include "record.h"

enum fd_kind {
	FD_NONE, /* no fd, or not resolved */
	FD_FILE,
	FD_DIR,
	FD_BLOCK,
	FD_CHAR, /* a terminal, a device */
	FD_PIPE, /* a pipe or a FIFO */
	FD_SOCKET,
	FD_DNS, /* a socket whose peer is a resolver */
	FD_PIDFD,
	FD_ANON, /* epoll, eventfd, timerfd, ... */
	FD_KIND_CNT
};

#define FD_WORDS_SZ (AP_PATH_SZ + 64)

const char *fd_kind_name(enum fd_kind kind); /* "socket"; NULL for FD_NONE */
enum fd_kind fd_kind_of_file(const struct ap_file *file);
enum fd_kind fd_kind_of_place(const struct ap_place *place);

/*
 * Path or peer of a file into `words` (raw bytes of the target, always NUL
 * terminated): "/srv/data.db", "10.0.0.7:443", "[::1]:80", "/run/x.sock".
 * A file that is not open yet has the path as the target wrote it. Returns its length, 0 when
 * nothing is known.
 */
size_t fd_path(const struct ap_file *file, char *words, size_t words_sz);
size_t fd_peer(const struct ap_file *file, char *words, size_t words_sz);

#endif
