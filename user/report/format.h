/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The formats that a recording can be written in: their names, and the file
 * names that mean them. One table.
 *
 * It must never guess a format from what is in a file.
 */
#ifndef ASYNCPROF_FORMAT_H
#define ASYNCPROF_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

enum format {
	FORMAT_NONE, /* not given */
	FORMAT_TEXT, /* the stalls and the summary, for people */
	FORMAT_SVG,
	FORMAT_HTML,
	FORMAT_FOLDED,	   /* .folded, .collapsed, .txt */
	FORMAT_SPEEDSCOPE, /* .speedscope.json, .speedscope, .json */
	FORMAT_PPROF,	   /* .pprof, .pb.gz, .pb, .prof */
	FORMAT_NDJSON,	   /* .ndjson, .jsonl */
	FORMAT_APDB,	   /* .apdb */
	FORMAT_CNT
};

const char *format_name(enum format format);	/* "svg"; never NULL */
int format_from_name(const char *name);		/* enum format, or -1 */
enum format format_from_path(const char *path); /* FORMAT_NONE: its name says nothing */
const char *format_suffix(enum format format);	/* ".svg": of a file name; never NULL */
const char *format_names(void);			/* "svg, html, folded, ..." for messages */
bool format_is_binary(enum format format);	/* not for a terminal */

/*
 * One line: how to open `path` (already safe to print), such as "asyncprof
 * report X", quoted for a shell where that needs it. Into buf, NUL terminated.
 */
void format_how_to_open(enum format format, const char *path, char *buf, size_t buf_sz);

#endif
