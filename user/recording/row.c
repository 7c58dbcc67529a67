/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "recording/row.h"

#include <string.h>

void row_begin(struct row *row, sqlite3_stmt *stmt)
{
	*row = (struct row){.stmt = stmt};
}

static void note(struct row *row, int rc)
{
	if (!row->rc)
		row->rc = rc;
}

void row_put(struct row *row, int64_t value)
{
	note(row, sqlite3_bind_int64(row->stmt, ++row->column, value));
}

void row_put_if(struct row *row, bool known, int64_t value)
{
	if (known)
		row_put(row, value);
	else
		note(row, sqlite3_bind_null(row->stmt, ++row->column));
}

void row_put_text(struct row *row, const char *text)
{
	size_t sz = text ? strnlen(text, ROW_TEXT_MAX) : 0;

	/* SQLite keeps the bytes of a text as they are, UTF-8 or not. */
	note(row, sqlite3_bind_text(row->stmt, ++row->column, text, (int)sz, SQLITE_STATIC));
}

int row_insert(struct row *row)
{
	if (!row->rc)
		sqlite3_step(row->stmt);
	note(row, sqlite3_reset(row->stmt));
	return row->rc;
}

int64_t row_get(struct row *row, int64_t min, int64_t max)
{
	int column = row->column++;
	int64_t value;

	if (sqlite3_column_type(row->stmt, column) != SQLITE_INTEGER) {
		row->bad = true;
		return min;
	}
	value = sqlite3_column_int64(row->stmt, column);
	if (value < min || value > max) {
		row->bad = true;
		return min;
	}
	return value;
}

int64_t row_get_or(struct row *row, int64_t min, int64_t max, int64_t unknown)
{
	if (sqlite3_column_type(row->stmt, row->column) != SQLITE_NULL)
		return row_get(row, min, max);
	row->column++;
	return unknown;
}

bool row_get_flag(struct row *row)
{
	return row_get(row, 0, 1);
}

uint64_t row_get_bits(struct row *row)
{
	return (uint64_t)row_get_or(row, INT64_MIN, INT64_MAX, 0);
}

const char *row_get_text(struct row *row)
{
	int column = row->column++;
	const char *text;

	switch (sqlite3_column_type(row->stmt, column)) {
	case SQLITE_NULL:
		return NULL;
	case SQLITE_TEXT:
		text = (const char *)sqlite3_column_text(row->stmt, column);
		if (text && sqlite3_column_bytes(row->stmt, column) <= ROW_TEXT_MAX)
			return text;
	}
	row->bad = true;
	return NULL;
}

const char *row_get_words(struct row *row)
{
	const char *text = row_get_text(row);

	if (text)
		return text;
	row->bad = true;
	return "";
}

int row_get_name(struct row *row, row_name from_name)
{
	int number = from_name(row_get_words(row));

	if (number >= 0)
		return number;
	row->bad = true;
	return 0;
}

const char *row_get_own(struct row *row, size_t max_sz)
{
	const char *text = row_get_text(row);

	if (!text)
		return NULL;
	row->bad = row->bad || strlen(text) >= max_sz;
	for (const char *c = text; *c && !row->bad; c++)
		row->bad = *c < ' ' || *c > '~';
	return row->bad ? NULL : text;
}
