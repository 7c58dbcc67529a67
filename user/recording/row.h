/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One row of a table, column by column, in both directions: putting into a
 * statement, and getting out of one.
 *
 * Getting must never take a value that its column can't have: a text where a
 * number should be, or a number out of its range, marks the row as bad, and what
 * is handed out then is harmless.
 */
#ifndef ASYNCPROF_RECORDING_ROW_H
#define ASYNCPROF_RECORDING_ROW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a text that are kept: far more than the longest name, path or reason. */
#define ROW_TEXT_MAX 32768

struct row {
	sqlite3_stmt *stmt;
	int column;
	int rc;	  /* putting: the first error of SQLite */
	bool bad; /* getting: a value was none that the column can have */
};

/* How a name stands for a number: cause_from_name() and alike. */
typedef int (*row_name)(const char *name);

/* Putting. Texts must live until row_insert(). */
void row_begin(struct row *row, sqlite3_stmt *stmt);
void row_put(struct row *row, int64_t value);
void row_put_if(struct row *row, bool known, int64_t value); /* NULL where it is not known */
void row_put_text(struct row *row, const char *text);	     /* NULL stays NULL */
int row_insert(struct row *row);			     /* an SQLite result code */

/* Getting. Texts live until the next step of the statement. */
int64_t row_get(struct row *row, int64_t min, int64_t max);
int64_t row_get_or(struct row *row, int64_t min, int64_t max, int64_t unknown);
bool row_get_flag(struct row *row);
const char *row_get_text(struct row *row);	       /* NULL: it is NULL */
const char *row_get_words(struct row *row);	       /* never NULL: NULL is bad */
int row_get_name(struct row *row, row_name from_name); /* 0 where bad */

/*
 * Words of asyncprof's own, which reports print as they are: printable ASCII of less than
 * max_sz bytes, or bad. NULL: it is NULL.
 */
const char *row_get_own(struct row *row, size_t max_sz);

/* Sixty-four bits as they are: addresses and counters of the kernel side. */
uint64_t row_get_bits(struct row *row);

#endif
