/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/fd.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Linux's own numbers, whatever the machine that reads a recording calls them. */
enum {
	MODE_FMT = 0170000,
	MODE_SOCKET = 0140000,
	MODE_FILE = 0100000,
	MODE_BLOCK = 0060000,
	MODE_DIR = 0040000,
	MODE_CHAR = 0020000,
	MODE_FIFO = 0010000,
	FAMILY_UNIX = 1,
	FAMILY_INET = 2,
	FAMILY_INET6 = 10,
	PORT_DNS = 53,
};

#define MAGIC_PIDFS	 0x50494446 /* include/uapi/linux/magic.h */
#define MAGIC_ANON_INODE 0x09041934

/* Where resolvers listen: systemd-resolved (varlink), nscd, avahi through nss-mdns. */
static const char *const resolver_sockets[] = {
	"io.systemd.Resolve",
	"nscd/socket",
	"avahi-daemon/socket",
};

static const char *const names[FD_KIND_CNT] = {
	[FD_FILE] = "file",   [FD_DIR] = "directory", [FD_BLOCK] = "block device",
	[FD_CHAR] = "device", [FD_PIPE] = "pipe",     [FD_SOCKET] = "socket",
	[FD_DNS] = "dns",     [FD_PIDFD] = "pidfd",   [FD_ANON] = "anonymous",
};

const char *fd_kind_name(enum fd_kind kind)
{
	return (unsigned int)kind < FD_KIND_CNT ? names[kind] : NULL;
}

static enum fd_kind kind_of_mode(uint32_t mode)
{
	switch (mode & MODE_FMT) {
	case MODE_SOCKET:
		return FD_SOCKET;
	case MODE_FILE:
		return FD_FILE;
	case MODE_BLOCK:
		return FD_BLOCK;
	case MODE_DIR:
		return FD_DIR;
	case MODE_CHAR:
		return FD_CHAR;
	case MODE_FIFO:
		return FD_PIPE;
	default:
		/* Anonymous inodes had permission bits and no type until Linux 6.16. */
		return mode ? FD_ANON : FD_NONE;
	}
}

enum fd_kind fd_kind_of_place(const struct ap_place *place)
{
	enum fd_kind kind = kind_of_mode(place->mode);

	if (kind == FD_SOCKET && (place->port == PORT_DNS || place->unix_dns == 1))
		return FD_DNS;
	return kind;
}

enum fd_kind fd_kind_of_file(const struct ap_file *file)
{
	enum fd_kind kind = kind_of_mode(file->mode);
	char path[FD_WORDS_SZ];

	if (!file->mode)
		return FD_NONE;
	if (file->magic == MAGIC_PIDFS)
		return FD_PIDFD;
	if (file->magic == MAGIC_ANON_INODE) {
		/* A pidfd was one of these until Linux 6.9. */
		fd_path(file, path, sizeof(path));
		return strstr(path, "[pidfd]") ? FD_PIDFD : FD_ANON;
	}
	if (kind != FD_SOCKET)
		return kind;
	if (file->port == PORT_DNS && file->family != FAMILY_UNIX)
		return FD_DNS;
	if (file->family == FAMILY_UNIX && fd_peer(file, path, sizeof(path))) {
		for (size_t i = 0; i < sizeof(resolver_sockets) / sizeof(resolver_sockets[0]);
		     i++) {
			if (strstr(path, resolver_sockets[i]))
				return FD_DNS;
		}
	}
	return kind;
}

size_t fd_path(const struct ap_file *file, char *words, size_t words_sz)
{
	size_t len = file->path_len, pos = 0, end;

	if (!words_sz)
		return 0;
	words[0] = 0;
	if (len > AP_PATH_SZ)
		len = AP_PATH_SZ;
	if (file->family || !len)
		return 0;
	if (!file->mode) {
		int got = snprintf(words, words_sz, "%.*s", (int)len, file->path);

		return (size_t)got < words_sz ? (size_t)got : words_sz - 1;
	}
	/* The kernel walks a path from its leaf; people read it from its root. */
	if (len == AP_PATH_SZ && file->path[len - 1] && words_sz > 3)
		pos = (size_t)snprintf(words, words_sz, "...");
	while (len && !file->path[len - 1])
		len--;
	for (end = len; end; end = len) {
		size_t component_sz;

		while (len && file->path[len - 1])
			len--;
		component_sz = end - len;
		if (pos + component_sz + 2 > words_sz)
			break;
		/* Anonymous inodes and pipes have a name, but no path: "[eventfd]". */
		if (pos || file->path[len] != '[')
			words[pos++] = '/';
		memcpy(words + pos, file->path + len, component_sz);
		pos += component_sz;
		while (len && !file->path[len - 1])
			len--;
	}
	words[pos] = 0;
	return pos;
}

/*
 * RFC 5952: the longest run of two or more zero groups is "::". Written here
 * because inet_ntop() is the system's, and so are its numbers for families.
 */
static void format_inet6(const unsigned char addr[16], char *text, size_t text_sz)
{
	int best = -1, best_len = 1, i, j;
	size_t pos = 0;

	for (i = 0; i < 8; i = j + 1) {
		for (j = i; j < 8 && !addr[2 * j] && !addr[2 * j + 1]; j++)
			;
		if (j - i > best_len) {
			best = i;
			best_len = j - i;
		}
	}
	text[0] = 0;
	for (i = 0; i < 8 && pos < text_sz; i++) {
		if (i == best) {
			pos += (size_t)snprintf(text + pos, text_sz - pos, "::");
			i += best_len - 1;
			continue;
		}
		pos += (size_t)snprintf(text + pos, text_sz - pos, "%s%x",
					i && i != best + best_len ? ":" : "",
					addr[2 * i] << 8 | addr[2 * i + 1]);
	}
}

size_t fd_peer(const struct ap_file *file, char *words, size_t words_sz)
{
	char addr[48];
	int len = 0;

	if (!words_sz)
		return 0;
	words[0] = 0;
	switch (file->family) {
	case FAMILY_UNIX:
		len = file->path_len < AP_PATH_SZ ? file->path_len : AP_PATH_SZ;
		len = snprintf(words, words_sz, "%.*s", len, file->path);
		break;
	case FAMILY_INET:
		if (file->port)
			len = snprintf(words, words_sz, "%u.%u.%u.%u:%u", file->addr[0],
				       file->addr[1], file->addr[2], file->addr[3], file->port);
		break;
	case FAMILY_INET6:
		format_inet6(file->addr, addr, sizeof(addr));
		if (file->port)
			len = snprintf(words, words_sz, "[%s]:%u", addr, file->port);
		break;
	default:
		break;
	}
	if (len < 0)
		return 0;
	return (size_t)len < words_sz ? (size_t)len : words_sz - 1;
}
