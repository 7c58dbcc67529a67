/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The parts of a recording that its files share: the SQLite connection, what the
 * writer remembers between commits, and what a reader has handed out.
 * Nobody outside recording/ includes it.
 */
#ifndef ASYNCPROF_RECORDING_FILE_H
#define ASYNCPROF_RECORDING_FILE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recording/recording.h"
#include "recording/row.h"

/*
 * What a recording may hold of each. A writer keeps to it, so a file that has more
 * is forged; three quarters of powers of two, as intern.c fills its slots.
 */
#define PROCESSES_MAX 12288
#define THREADS_MAX   49152
#define TASKS_MAX     196608
#define FRAMES_MAX    196608
#define STACKS_MAX    786432
#define POINTS_MAX    786432
#define TEXT_SUM_MAX  (64 << 20) /* bytes of all names in tasks and frames together */
#define DEGRADED_MAX  64
#define LOOPS_MAX     4096 /* in a summary; the model has fewer */

/* Bytes of asyncprof's own words, far more than the longest that it has. */
#define VERSION_SZ 64
#define TIER_SZ	   16
#define SYSCALL_SZ 48
#define ADVICE_SZ  512
#define REASON_SZ  512

/* Times that no clock shows and no callback lasts: sums of two still fit. */
#define TIME_NS_MAX (INT64_MAX / 4)

struct writer;

/* A text or an array that a reader handed out. */
struct kept {
	struct kept *next;
	max_align_t bytes[];
};

struct kept_loop;

struct recording {
	sqlite3 *db;
	struct writer *writer; /* NULL: open for reading */
	struct kept *kept;
	int64_t steps_max,
		steps_left; /* of reading: a forged file could keep SQLite busy for ever */
	struct kept_loop *loops;
};

/*
 * Files. Each 0, or -1 with `why`. A recording is given back, also when it could
 * not be opened, with recording__close().
 */
int file_create(struct recording *r, const char *path, struct refusal *why);
int file_open(struct recording *r, const char *path, struct refusal *why);
/* "x.apdb: " before what is said of it; bytes that may not be printable become '?'. */
void file_name_it(struct refusal *why, const char *path);
/* Takes an SQLite database that is open as r->db for a recording, if it is one. */
int file_check(struct recording *r, struct refusal *why);

/* A statement that lives as long as the recording's reader or writer wants. SQLite result code. */
int file_prepare(struct recording *r, const char *sql, sqlite3_stmt **out);

/* -ENOSPC, -ENOMEM, -EIO, ... for an SQLite result code. */
int file_errno(const struct recording *r, int rc);

/* "the recording is damaged: ..." for a code that a read ended with; returns -1. */
int file_damaged(struct refusal *why, int rc);
int file_forged(struct refusal *why, const char *table, int64_t id);

/* A reader goes on: it has as many steps as a file of this size needs, many times over. */
void file_go_on(struct recording *r);

/* Rows that a file of its size could hold at most: a forged tree of pages can claim any number. */
int64_t file_rows_max(struct recording *r);

/* Memory until the recording is closed; NULL: out of memory, or, for a text, NULL. */
void *file_keep(struct recording *r, size_t sz);
const char *file_keep_text(struct recording *r, const char *text);

void writer__free(struct writer *writer);

/* Columns that more than one table has: a kind as an enum stall_kind, counters of an account. */
int stall_kind_from_row(struct row *row);
int run_rows_get_account(struct row *row, struct ap_account *account);

/* A loop that lives as long as the recording. */
struct kept_loop {
	struct loop loop;
	struct kept_loop *next;
};

#endif
