/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a writer of recordings remembers between commits, and what its files do
 * for each other. Nobody outside recording/ includes it.
 */
#ifndef ASYNCPROF_RECORDING_WRITER_H
#define ASYNCPROF_RECORDING_WRITER_H

#include "recording/file.h"
#include "recording/intern.h"
#include "recording/row.h"

/* Tables whose new rows wait for a commit in a temporary table, in the order of their commit. */
enum table {
	TABLE_PROCESSES,
	TABLE_DEGRADED,
	TABLE_THREADS,
	TABLE_TASKS,
	TABLE_FRAMES,
	TABLE_STACKS,
	TABLE_POINTS,
	TABLE_ADVICE,
	TABLE_SOURCES,
	TABLE_STALLS,
	TABLE_CNT
};

/* What did not fit: each counted, and said in the table `losses`. */
enum loss {
	LOSS_STACKS, /* time without its stack */
	LOSS_TASKS,  /* time without its task's name */
	LOSS_POINTS, /* time that is not in the recording */
	LOSS_CNT
};

/* Time of one second and point, until the commit. */
struct sum {
	uint32_t point; /* 0: free */
	int32_t second;
	int64_t ns;
	uint64_t cnt;
};

#define SUMS_SLOTS 32768 /* a power of two; three quarters full, they go out early */

struct writer {
	struct intern processes, threads, tasks, frames, stacks, points;
	sqlite3_stmt *stage[TABLE_CNT], *move[TABLE_CNT], *clear[TABLE_CNT];
	sqlite3_stmt *touch, *sample, *loss;
	struct sum *sums;
	uint32_t sum_cnt, staged_cnt, busy_cnt;
	size_t text_sz;	   /* of all names, at most TEXT_SUM_MAX */
	int64_t start_cnt; /* processes with an id up to this were there at the start */
	int64_t start_unix_ns;
	uint64_t lost[LOSS_CNT], lost_written[LOSS_CNT];
	bool finished;
	int err; /* the first one: nothing is written after it */
};

/* Notes the first error and takes back what is not committed; returns it as a negative errno. */
int writer_fail(struct recording *r, int rc);
int writer_fail_errno(struct recording *r, int err);

/* A row of a staging table: fill it between the two. 0, or a negative errno. */
void writer_stage(struct recording *r, enum table table, struct row *row);
int writer_staged(struct recording *r, struct row *row);

/* Ids of rows, made where there is none yet; 0: no room, which is counted; or a negative errno. */
int known_start(struct recording *r, const struct run_start *start);
int64_t known_thread(struct recording *r, const struct point *point);
int64_t known_task(struct recording *r, const struct point *point);
int64_t known_point_stack(struct recording *r, const struct point *point);
int64_t known_stall_stack(struct recording *r, const struct stall *stall);

/* Inside the transaction of a commit; SQLite result codes. */
int sample_rows_move(struct recording *r);
int run_rows_put_summary(struct recording *r, const struct run_summary *summary);

/* Columns of `stalls` but `seq`. */
#define STALL_COLUMNS 53
extern const char stall_columns[];

#endif
