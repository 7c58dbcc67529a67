/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Writing a recording: what is new since the last commit waits in memory, and
 * goes into the file in one short transaction. Between commits the file is
 * whole, and no journal lies beside it.
 *
 * It must never grow with the length of the run but for its bounded tables of
 * what has a row already, and never drop time without counting it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recording/writer.h"

#define STAGED_MAX 20000 /* rows that wait for a commit; more go out early */
#define BUSY_MAX   600	 /* commits in a row that a reader kept out */
#define NS_PER_S   1000000000LL

/* Columns in the order in which a row of a staging table is filled. */
static const struct {
	const char *name, *columns, *verb;
	int column_cnt;
} tables[TABLE_CNT] = {
	/* A process of which more is known later keeps its row. */
	[TABLE_PROCESSES] = {"processes",
			     "id, pid, comm, python, exe, stripped, at_start, parent, joined_unix_ns",
			     "INSERT OR REPLACE", 9},
	[TABLE_DEGRADED] = {"degraded", "process, reason", "INSERT", 2},
	[TABLE_THREADS] = {"threads", "id, process, tid, comm, plain, loop", "INSERT", 6},
	[TABLE_TASKS] = {"tasks", "id, kind, task, unnamed, coro, callback", "INSERT", 6},
	[TABLE_FRAMES] = {"frames", "id, kind, func, file, line", "INSERT", 5},
	[TABLE_STACKS] = {"stacks", "id, parent, frame", "INSERT", 3},
	[TABLE_POINTS] = {"points", "id, thread, task, stack, kind, cause, cut", "INSERT", 7},
	[TABLE_ADVICE] = {"advice", "key, text", "INSERT OR IGNORE", 2},
	[TABLE_SOURCES] = {"sources", "pid, file, line, text", "INSERT OR IGNORE", 4},
	/* One that ends after it was reported gets the place of its end. */
	[TABLE_STALLS] = {"stalls", stall_columns, "INSERT OR REPLACE", STALL_COLUMNS},
};

static const struct {
	const char *what, *meaning;
} losses[LOSS_CNT] = {
	[LOSS_STACKS] = {"stacks", "points without their stack: the recording has no room for more "
				   "different ones"},
	[LOSS_TASKS] = {"tasks", "points without their task: no room for more different names"},
	[LOSS_POINTS] = {"points", "points that are missing: no room for more different ones"},
};

/* --- Life --- */

void writer__free(struct writer *w)
{
	if (!w)
		return;
	for (int t = 0; t < TABLE_CNT; t++) {
		sqlite3_finalize(w->stage[t]);
		sqlite3_finalize(w->move[t]);
		sqlite3_finalize(w->clear[t]);
	}
	sqlite3_finalize(w->touch);
	sqlite3_finalize(w->sample);
	sqlite3_finalize(w->loss);
	intern__free(&w->processes);
	intern__free(&w->threads);
	intern__free(&w->tasks);
	intern__free(&w->frames);
	intern__free(&w->stacks);
	intern__free(&w->points);
	free(w->sums);
	free(w);
}

int writer_fail_errno(struct recording *r, int err)
{
	struct writer *w = r->writer;

	if (!w->err) {
		w->err = err;
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	}
	return w->err;
}

int writer_fail(struct recording *r, int rc)
{
	return writer_fail_errno(r, file_errno(r, rc));
}

static int prepare_table(struct recording *r, enum table t)
{
	struct writer *w = r->writer;
	const char *name = tables[t].name, *columns = tables[t].columns;
	char marks[2 * STALL_COLUMNS + 1] = "", *sql;
	int rc = SQLITE_NOMEM;

	for (int i = 0; i < tables[t].column_cnt; i++)
		strcat(marks, i ? ",?" : "?");
	/* Temporary tables are in memory: a row there opens no journal. */
	sql = sqlite3_mprintf("CREATE TEMP TABLE new_%s AS SELECT %s FROM %s WHERE 0", name,
			      columns, name);
	if (sql)
		rc = sqlite3_exec(r->db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	sql = sqlite3_mprintf("INSERT INTO temp.new_%s VALUES (%s)", name, marks);
	if (!rc)
		rc = sql ? file_prepare(r, sql, &w->stage[t]) : SQLITE_NOMEM;
	sqlite3_free(sql);
	sql = sqlite3_mprintf("%s INTO main.%s (%s) SELECT %s FROM temp.new_%s ORDER BY rowid",
			      tables[t].verb, name, columns, columns, name);
	if (!rc)
		rc = sql ? file_prepare(r, sql, &w->move[t]) : SQLITE_NOMEM;
	sqlite3_free(sql);
	sql = sqlite3_mprintf("DELETE FROM temp.new_%s", name);
	if (!rc)
		rc = sql ? file_prepare(r, sql, &w->clear[t]) : SQLITE_NOMEM;
	sqlite3_free(sql);
	return rc;
}

static int prepare(struct recording *r)
{
	struct writer *w = r->writer;
	int rc = 0;

	for (int t = 0; t < TABLE_CNT && !rc; t++)
		rc = prepare_table(r, t);
	if (!rc)
		rc = file_prepare(r, "UPDATE main.run SET last_unix_ns = max(last_unix_ns, ?)",
				  &w->touch);
	if (!rc)
		rc = file_prepare(r,
				  "INSERT INTO main.samples (second, point, ns, cnt) "
				  "VALUES (?,?,?,?)",
				  &w->sample);
	if (!rc)
		rc = file_prepare(r, "INSERT OR REPLACE INTO main.losses VALUES (?,?,?)", &w->loss);
	return rc;
}

static int insert_once(struct recording *r, const char *sql,
		       void (*fill)(struct row *, const void *), const void *from)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc = file_prepare(r, sql, &stmt);

	if (!rc) {
		row_begin(&row, stmt);
		fill(&row, from);
		rc = row_insert(&row);
	}
	sqlite3_finalize(stmt);
	return rc;
}

static void fill_run(struct row *row, const void *from)
{
	const struct recording_head *head = from;

	row_put_text(row, head->start->version);
	row_put(row, head->start->unix_ns);
	row_put(row, head->start->unix_ns);
	row_put_text(row, head->start->tier);
	row_put(row, (int64_t)head->start->threshold_ns);
	row_put(row, head->period_ns);
}

static void fill_machine(struct row *row, const void *from)
{
	const struct recording_head *head = from;

	row_put_text(row, head->start->kernel);
	row_put_text(row, head->machine);
}

static void fill_tier(struct row *row, const void *from)
{
	const struct recording_head *head = from;

	row_put(row, head->start->unix_ns);
	row_put_text(row, head->start->tier);
}

static void fill_text(struct row *row, const void *from)
{
	row_put_text(row, from);
}

static int write_head(struct recording *r, const struct recording_head *head)
{
	const struct run_start *start = head->start;
	int rc;

	rc = insert_once(r, "INSERT INTO run VALUES (?,?,?,0,?,?,?)", fill_run, head);
	if (!rc)
		rc = insert_once(r, "INSERT INTO machine VALUES (?,?)", fill_machine, head);
	if (!rc)
		rc = insert_once(r, "INSERT INTO tiers VALUES (?,?)", fill_tier, head);
	for (size_t i = 0; i < start->degraded_cnt && !rc; i++)
		rc = insert_once(r, "INSERT INTO degraded VALUES (NULL,NULL,?)", fill_text,
				 start->degraded[i]);
	return rc;
}

int recording__create(const char *path, const struct recording_head *head, struct recording **out,
		      struct refusal *why)
{
	struct recording *r = calloc(1, sizeof(*r));
	struct writer *w = calloc(1, sizeof(*w));
	uint64_t key[2];
	int err;

	*out = NULL;
	if (w)
		w->sums = calloc(SUMS_SLOTS, sizeof(*w->sums));
	if (!r || !w || !w->sums) {
		free(r);
		writer__free(w);
		return refuse(why, EXIT_FAILED, "", "out of memory");
	}
	r->writer = w;
	sqlite3_randomness(sizeof(key), key);
	intern__init(&w->processes, key);
	intern__init(&w->threads, key);
	intern__init(&w->tasks, key);
	intern__init(&w->frames, key);
	intern__init(&w->stacks, key);
	intern__init(&w->points, key);
	w->start_unix_ns = head->start->unix_ns;
	if (file_create(r, path, why))
		goto refused;
	err = file_errno(r, write_head(r, head));
	if (!err)
		err = file_errno(r, prepare(r));
	if (!err)
		err = known_start(r, head->start);
	if (!err)
		err = recording__commit(r);
	if (err) {
		refuse(why, EXIT_FAILED, "", "the recording can't be written: %s", strerror(-err));
		goto refused;
	}
	*out = r;
	return 0;
refused:
	if (path)
		file_name_it(why, path);
	recording__close(r);
	return -1;
}

/* --- Commits --- */

static int write_losses(struct recording *r)
{
	struct writer *w = r->writer;
	struct row row;
	int rc = 0;

	for (int i = 0; i < LOSS_CNT && !rc; i++) {
		if (w->lost[i] == w->lost_written[i])
			continue;
		row_begin(&row, w->loss);
		row_put_text(&row, losses[i].what);
		row_put(&row, (int64_t)w->lost[i]);
		row_put_text(&row, losses[i].meaning);
		rc = row_insert(&row);
		w->lost_written[i] = w->lost[i];
	}
	return rc;
}

static int step(sqlite3_stmt *stmt)
{
	sqlite3_step(stmt);
	return sqlite3_reset(stmt);
}

/* All that waits, into the file's transaction. */
static int flush(struct recording *r)
{
	struct writer *w = r->writer;
	struct timespec now;
	struct row row;
	int rc;

	/* First what takes the lock: when a reader holds it, nothing has moved. */
	timespec_get(&now, TIME_UTC);
	row_begin(&row, w->touch);
	row_put(&row, (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec);
	rc = row_insert(&row);
	for (int t = 0; t < TABLE_CNT && w->staged_cnt && !rc; t++) {
		rc = step(w->move[t]);
		if (!rc)
			rc = step(w->clear[t]);
	}
	if (!rc)
		rc = sample_rows_move(r);
	if (!rc)
		rc = write_losses(r);
	if (!rc)
		w->staged_cnt = 0;
	return rc;
}

/* Ends the transaction and begins the next one, which locks nothing until it writes. */
static int commit(struct recording *r)
{
	int rc = sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);

	return rc ? rc : sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL);
}

int recording__commit(struct recording *r)
{
	struct writer *w = r->writer;
	int rc;

	if (!w || w->finished)
		return 0;
	if (w->err)
		return w->err;
	rc = flush(r);
	if (!rc)
		rc = commit(r);
	/* A reader is inside: what waits goes out with a later commit, if that is not too late. */
	if ((rc & 0xff) == SQLITE_BUSY && ++w->busy_cnt < BUSY_MAX)
		return 0;
	if (rc)
		return writer_fail(r, rc);
	w->busy_cnt = 0;
	return 0;
}

int recording__finish(struct recording *r, const struct run_summary *summary)
{
	struct writer *w = r->writer;
	int rc;

	if (!w || w->finished)
		return 0;
	if (w->err)
		return w->err;
	/* A reader gets some time to leave: there is no later commit. */
	sqlite3_busy_timeout(r->db, 5000);
	rc = flush(r);
	if (!rc)
		rc = run_rows_put_summary(r, summary);
	if (!rc)
		rc = sqlite3_exec(r->db, "UPDATE run SET complete = 1; COMMIT", NULL, NULL, NULL);
	if (rc)
		return writer_fail(r, rc);
	w->finished = true;
	return 0;
}

int recording__summarise(struct recording *r, const struct run_summary *summary)
{
	struct writer *w = r->writer;
	int rc;

	if (!w || w->finished)
		return 0;
	if (w->err)
		return w->err;
	rc = flush(r);
	if (!rc)
		rc = run_rows_put_summary(r, summary);
	/* Kept out by a reader: the next commit brings it. */
	if (rc && (rc & 0xff) != SQLITE_BUSY)
		return writer_fail(r, rc);
	return recording__commit(r);
}

void writer_stage(struct recording *r, enum table table, struct row *row)
{
	row_begin(row, r->writer->stage[table]);
}

int writer_staged(struct recording *r, struct row *row)
{
	int rc = row_insert(row);

	if (rc)
		return writer_fail(r, rc);
	return ++r->writer->staged_cnt < STAGED_MAX ? 0 : recording__commit(r);
}
