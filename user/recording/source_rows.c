/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Source lines as rows: text shows a stall with the line it stands on, and a
 * recording is read where the program's files are not.
 */
#include <string.h>

#include "recording/writer.h"

int recording__source(struct recording *r, uint32_t pid, const char *file, int line,
		      const char *text)
{
	struct row row;

	if (!r->writer || r->writer->finished)
		return 0;
	if (r->writer->err)
		return r->writer->err;
	writer_stage(r, TABLE_SOURCES, &row);
	row_put(&row, pid);
	row_put_text(&row, file);
	row_put(&row, line);
	row_put_text(&row, text);
	return writer_staged(r, &row);
}

int recording_source(void *ctx, uint32_t pid, const char *file, int line, char *buf, size_t buf_sz)
{
	struct recording *r = ctx;
	sqlite3_stmt *stmt = NULL;
	const char *text;
	struct row row;
	int len = -1;

	file_go_on(r);
	if (file_prepare(r, "SELECT text FROM sources WHERE pid = ? AND file = ? AND line = ?",
			 &stmt))
		return -1;
	sqlite3_bind_int64(stmt, 1, pid);
	sqlite3_bind_text(stmt, 2, file, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, line);
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		row_begin(&row, stmt);
		text = row_get_words(&row);
		if (!row.bad && strlen(text) < buf_sz) {
			len = (int)strlen(text);
			memcpy(buf, text, (size_t)len + 1);
		}
	}
	sqlite3_finalize(stmt);
	return len;
}
