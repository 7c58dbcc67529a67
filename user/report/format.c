/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/format.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX_MAX 5

struct row {
	const char *name;
	/* The first that fits wins; the longer one first where one ends in another. */
	const char *suffixes[SUFFIX_MAX];
	bool binary;
	/* %s: the file; %b.svg: beside it, with this suffix instead of its own. */
	const char *open;
};

static const struct row table[FORMAT_CNT] = {
	[FORMAT_NONE] = {"none", {NULL}, false, "open it"},
	[FORMAT_TEXT] = {"text", {NULL}, false, "less %s"},
	[FORMAT_SVG] = {"svg", {".svg"}, false, "open it in a browser"},
	[FORMAT_HTML] = {"html", {".html", ".htm"}, false, "open it in a browser"},
	[FORMAT_FOLDED] = {"folded",
			   {".folded", ".collapsed", ".txt"},
			   false,
			   "flamegraph.pl --countname=us %s > %b.svg"},
	[FORMAT_SPEEDSCOPE] = {"speedscope",
			       {".speedscope.json", ".speedscope", ".json"},
			       false,
			       "https://www.speedscope.app or: npx speedscope %s"},
	[FORMAT_PPROF] = {"pprof",
			  {".pprof", ".pb.gz", ".pb", ".prof"},
			  true,
			  "go tool pprof -http=: %s"},
	[FORMAT_NDJSON] = {"ndjson", {".ndjson", ".jsonl"}, false, "jq . %s"},
	[FORMAT_APDB] = {"apdb", {".apdb"}, true, "asyncprof report %s"},
};

static const struct row *row_of(enum format format)
{
	return &table[(unsigned int)format < FORMAT_CNT ? format : FORMAT_NONE];
}

const char *format_name(enum format format)
{
	return row_of(format)->name;
}

const char *format_suffix(enum format format)
{
	const char *suffix = row_of(format)->suffixes[0];

	return suffix ? suffix : "";
}

int format_from_name(const char *name)
{
	for (int format = FORMAT_NONE + 1; format < FORMAT_CNT; format++) {
		if (!strcmp(table[format].name, name))
			return format;
	}
	return -1;
}

static bool same_text(const char *text, const char *lower)
{
	for (; *text && *lower; text++, lower++) {
		if (tolower((unsigned char)*text) != *lower)
			return false;
	}
	return *text == *lower;
}

/* Length of the suffix of `path` that belongs to the format, 0: none of them. */
static size_t suffix_len(enum format format, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t base_len = strlen(base);

	for (int i = 0; i < SUFFIX_MAX && row_of(format)->suffixes[i]; i++) {
		const char *suffix = row_of(format)->suffixes[i];
		size_t len = strlen(suffix);

		/* ".svg" alone is a hidden file without a suffix. */
		if (base_len > len && same_text(base + base_len - len, suffix))
			return len;
	}
	return 0;
}

enum format format_from_path(const char *path)
{
	for (int format = FORMAT_NONE + 1; format < FORMAT_CNT; format++) {
		if (suffix_len(format, path))
			return format;
	}
	return FORMAT_NONE;
}

const char *format_names(void)
{
	return "svg, html, folded, speedscope, pprof, ndjson, apdb, text";
}

bool format_is_binary(enum format format)
{
	return row_of(format)->binary;
}

struct line {
	char *buf;
	size_t sz, len;
};

static void put(struct line *line, const char *text, size_t len)
{
	for (size_t i = 0; i < len && line->len + 1 < line->sz; i++)
		line->buf[line->len++] = text[i];
	line->buf[line->len] = 0;
}

/* As a shell takes it, since people paste the line: quoted when it must be. */
static void put_path(struct line *line, const char *path, size_t len, const char *suffix)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./,:=@%+-";
	bool quoted = strspn(path, plain) < len;

	if (path[0] == '-')
		put(line, "./", 2);
	if (quoted)
		put(line, "'", 1);
	for (size_t i = 0; i < len; i++) {
		if (path[i] == '\'')
			put(line, "'\\''", 4);
		else
			put(line, path + i, 1);
	}
	put(line, suffix, strlen(suffix));
	if (quoted)
		put(line, "'", 1);
}

void format_how_to_open(enum format format, const char *path, char *buf, size_t buf_sz)
{
	struct line line = {.buf = buf, .sz = buf_sz};
	size_t path_len = strlen(path);
	const char *c = row_of(format)->open;

	if (!buf_sz)
		return;
	buf[0] = 0;
	while (*c) {
		if (!strncmp(c, "%s", 2)) {
			put_path(&line, path, path_len, "");
			c += 2;
		} else if (!strncmp(c, "%b.svg", 6)) {
			put_path(&line, path, path_len - suffix_len(format, path), ".svg");
			c += 6;
		} else {
			put(&line, c++, 1);
		}
	}
}
