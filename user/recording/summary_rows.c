/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A run's summary, read back. Of a recording that was cut, loops and their
 * stalls are counted again from the stalls; accounts are what asyncprof said
 * last, or not known.
 */
#include <stdlib.h>
#include <string.h>

#include "recording/file.h"
#include "recording/intern.h"

struct summing {
	struct recording *r;
	struct intern threads;	  /* pid and tid -> which of `loops`, from 1 on */
	struct kept_loop **loops; /* LOOPS_MAX */
	size_t text_sz;		  /* of all places */
	uint64_t stall_cnt;	  /* that ended */
	bool full;		  /* more than a recording holds */
	bool no_memory;
};

/* The loop of a thread, new where `*added`. NULL: no room, or no memory. */
static struct kept_loop *get_loop(struct summing *sum, uint32_t pid, uint32_t tid, bool *added)
{
	struct intern_hash hash;
	struct kept_loop *kept;
	int64_t id;

	intern_hash_begin(&sum->threads, &hash);
	intern_hash_number(&hash, (uint64_t)pid << 32 | tid);
	id = intern_id(&sum->threads, &hash, LOOPS_MAX, added);
	if (id > 0 && !*added)
		return sum->loops[id - 1];
	kept = id > 0 ? calloc(1, sizeof(*kept)) : NULL;
	sum->full = sum->full || !id;
	sum->no_memory = sum->no_memory || (id && !kept);
	if (!kept)
		return NULL;
	kept->loop.pid = pid;
	kept->loop.tid = tid;
	kept->next = sum->r->loops;
	sum->r->loops = kept;
	sum->loops[id - 1] = kept;
	return kept;
}

static int say_full(const struct summing *sum, const char *table, int64_t id, struct refusal *why)
{
	if (sum->no_memory)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	return file_forged(why, table, id);
}

static int read_loop(struct summing *sum, struct row *row)
{
	uint32_t pid = (uint32_t)row_get(row, 0, UINT32_MAX);
	uint32_t tid = (uint32_t)row_get(row, 0, UINT32_MAX);
	struct kept_loop *kept;
	struct loop *loop;
	const char *comm;
	bool added;

	kept = row->bad ? NULL : get_loop(sum, pid, tid, &added);
	if (!kept || !added)
		return -1;
	loop = &kept->loop;
	loop->address = row_get_bits(row);
	comm = row_get_words(row);
	row->bad = row->bad || strlen(comm) >= sizeof(loop->comm);
	strncat(loop->comm, comm, sizeof(loop->comm) - 1);
	loop->gone = row_get_flag(row);
	loop->stall_cnt = (uint64_t)row_get(row, 0, INT64_MAX);
	loop->stall_ns = row_get(row, 0, INT64_MAX);
	loop->ongoing_cnt = (uint64_t)row_get(row, 0, INT64_MAX);
	loop->place_overflow_cnt = (uint64_t)row_get(row, 0, INT64_MAX);
	loop->has_account = row_get_or(row, 1, LOOPS_MAX, 0) != 0;
	if (loop->has_account)
		run_rows_get_account(row, &loop->account);
	return row->bad ? -1 : 0;
}

static int read_loops(struct summing *sum, struct refusal *why)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int64_t id = 0;
	int rc;

	rc = file_prepare(sum->r,
			  "SELECT id, pid, tid, address, comm, gone, loops.stalls, stalled_ns, "
			  "ongoing, places_overflow, accounts.* FROM loops NOT INDEXED "
			  "LEFT JOIN accounts NOT INDEXED ON accounts.loop = loops.id "
			  "ORDER BY id",
			  &stmt);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		id++;
		if (row_get(&row, 1, LOOPS_MAX) != id || read_loop(sum, &row)) {
			sqlite3_finalize(stmt);
			return say_full(sum, "loops", id, why);
		}
		rc = 0;
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

static char *copy_text(struct summing *sum, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	sum->no_memory = sum->no_memory || (text && !copy);
	sum->text_sz += text ? strlen(text) + 1 : 0;
	return copy;
}

static int read_place(struct summing *sum, struct row *row)
{
	size_t loop_id = (size_t)row_get(row, 1, LOOPS_MAX);
	struct loop_place *grown, place = {};
	struct loop *loop;
	const char *title, *file;

	if (row->bad || loop_id > sum->threads.cnt)
		return -1;
	loop = &sum->loops[loop_id - 1]->loop;
	title = row_get_words(row);
	file = row_get_text(row);
	place.line = (int)row_get_or(row, 1, INT32_MAX, 0);
	place.kind = (enum stall_kind)stall_kind_from_row(row);
	place.cause = (enum cause)row_get_name(row, cause_from_name);
	place.cnt = (uint64_t)row_get(row, 0, INT64_MAX);
	place.total_ns = row_get(row, 0, INT64_MAX);
	place.max_ns = row_get(row, 0, INT64_MAX);
	if (row->bad || loop->place_cnt == LOOP_PLACES_MAX || sum->text_sz > TEXT_SUM_MAX)
		return -1;
	grown = realloc(loop->places, (loop->place_cnt + 1) * sizeof(*grown));
	if (!grown) {
		sum->no_memory = true;
		return -1;
	}
	loop->places = grown;
	place.title = copy_text(sum, title);
	place.file = copy_text(sum, file);
	/* Also where there was no memory: loop_clear() frees what there is. */
	loop->places[loop->place_cnt++] = place;
	return sum->no_memory ? -1 : 0;
}

static int read_places(struct summing *sum, struct refusal *why)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int64_t id = 0;
	int rc;

	rc = file_prepare(sum->r,
			  "SELECT loop, title, file, line, kind, cause, cnt, total_ns, max_ns "
			  "FROM places NOT INDEXED ORDER BY id",
			  &stmt);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		id++;
		if (read_place(sum, &row)) {
			sqlite3_finalize(stmt);
			return say_full(sum, "places", id, why);
		}
		rc = 0;
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

/* As model.c counts them, but that one which never ended is `ongoing`. */
static void count_stall(void *ctx, const struct stall *stall)
{
	struct summing *sum = ctx;
	struct kept_loop *kept;
	struct loop *loop;
	size_t place_cnt;
	bool added;

	if (sum->full || sum->no_memory)
		return;
	kept = get_loop(sum, stall->pid, stall->tid, &added);
	if (!kept)
		return;
	loop = &kept->loop;
	if (!loop->comm[0])
		strncat(loop->comm, stall->comm, sizeof(loop->comm) - 1);
	if (stall->loop)
		loop->address = stall->loop;
	if (stall->ongoing) {
		loop->ongoing_cnt++;
		return;
	}
	sum->stall_cnt++;
	place_cnt = loop->place_cnt;
	sum->no_memory = loop_add_stall(loop, stall) != 0;
	if (loop->place_cnt > place_cnt) {
		const struct loop_place *place = &loop->places[place_cnt];

		sum->text_sz += strlen(place->title) + (place->file ? strlen(place->file) : 0);
		sum->full = sum->text_sz > TEXT_SUM_MAX;
	}
}

/* Stalls came after what asyncprof said last: all are counted again. */
static int count_again(struct summing *sum, struct run_summary *out, struct refusal *why)
{
	for (size_t i = 0; i < sum->threads.cnt; i++) {
		struct loop *loop = &sum->loops[i]->loop;

		loop->stall_cnt = loop->ongoing_cnt = loop->place_overflow_cnt = 0;
		loop->stall_ns = 0;
	}
	if (recording_stalls(sum->r, count_stall, sum, why))
		return -1;
	if (sum->full || sum->no_memory)
		return say_full(sum, "stalls", 1, why);
	for (size_t i = 0; i < sum->threads.cnt; i++)
		loop_sort(&sum->loops[i]->loop);
	out->stalls = sum->stall_cnt;
	return 0;
}

static int read_homeless(struct recording *r, struct run_summary *out, struct refusal *why)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc;

	rc = file_prepare(r, "SELECT * FROM accounts NOT INDEXED WHERE loop = 0", &stmt);
	if (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		row.column++;
		rc = run_rows_get_account(&row, &out->homeless) ? SQLITE_MISMATCH : SQLITE_DONE;
	}
	sqlite3_finalize(stmt);
	if (rc == SQLITE_MISMATCH)
		return file_forged(why, "accounts", 0);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

static int read_records(struct recording *r, struct run_summary *out, struct refusal *why)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int64_t kind = 0;
	int rc;

	rc = file_prepare(r,
			  "SELECT kind, attempted, dropped, synthesised, received "
			  "FROM records NOT INDEXED",
			  &stmt);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		kind = row_get(&row, 0, AP_KIND_CNT - 1);
		out->sent.attempted[kind] = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->sent.dropped[kind] = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->synthesised[kind] = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->received[kind] = (uint64_t)row_get(&row, 0, INT64_MAX);
		rc = row.bad ? SQLITE_MISMATCH : 0;
	}
	sqlite3_finalize(stmt);
	if (rc == SQLITE_MISMATCH)
		return file_forged(why, "records", kind);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

/* The run's own row, and the summary's where there is one. */
static int read_numbers(struct recording *r, struct run_summary *out, int *complete,
			struct refusal *why)
{
	int64_t start_ns, last_ns;
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc;

	rc = file_prepare(r,
			  "SELECT complete, start_unix_ns, last_unix_ns, run.tier, unix_ns, "
			  "duration_ns, summary.tier, interim, hit_ns, overhead_ns, events_lost, "
			  "malformed, summary.stalls, evicted_codes, evicted_callbacks, "
			  "evicted_loops FROM run LEFT JOIN summary LIMIT 1",
			  &stmt);
	if (!rc)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW) {
		sqlite3_finalize(stmt);
		return rc == SQLITE_DONE ? file_forged(why, "run", 1) : file_damaged(why, rc);
	}
	row_begin(&row, stmt);
	*complete = row_get_flag(&row);
	start_ns = row_get(&row, -TIME_NS_MAX, TIME_NS_MAX);
	last_ns = row_get(&row, -TIME_NS_MAX, TIME_NS_MAX);
	out->tier = file_keep_text(r, row_get_own(&row, TIER_SZ));
	out->overhead_ns = -1;
	if (sqlite3_column_type(stmt, row.column) != SQLITE_NULL) {
		out->unix_ns = row_get(&row, -TIME_NS_MAX, TIME_NS_MAX);
		out->duration_ns = row_get(&row, 0, TIME_NS_MAX);
		out->tier = file_keep_text(r, row_get_own(&row, TIER_SZ));
		out->interim = row_get_flag(&row);
		out->hit_ns = (uint64_t)row_get_or(&row, 0, TIME_NS_MAX, 0);
		out->overhead_ns = row_get_or(&row, 0, TIME_NS_MAX, -1);
		out->events_lost = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->malformed = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->stalls = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->evicted_codes = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->evicted_evidence = (uint64_t)row_get(&row, 0, INT64_MAX);
		out->evicted_loops = (uint64_t)row_get(&row, 0, INT64_MAX);
	} else if (*complete) {
		row.bad = true;
	}
	if (!*complete) {
		out->unix_ns = last_ns;
		out->duration_ns = last_ns > start_ns ? last_ns - start_ns : 0;
		out->interim = false;
	}
	sqlite3_finalize(stmt);
	if (row.bad)
		return file_forged(why, "summary", 1);
	return out->tier ? 0 : refuse(why, EXIT_FAILED, "", "out of memory");
}

int recording_summary(struct recording *r, struct run_summary *out, int *complete,
		      struct refusal *why)
{
	struct summing sum = {.r = r};
	const struct loop **loops;
	uint64_t key[2];
	int err;

	*out = (struct run_summary){};
	file_go_on(r);
	if (read_numbers(r, out, complete, why) || read_records(r, out, why) ||
	    read_homeless(r, out, why))
		return -1;
	sqlite3_randomness(sizeof(key), key);
	intern__init(&sum.threads, key);
	sum.loops = calloc(LOOPS_MAX, sizeof(*sum.loops));
	loops = file_keep(r, LOOPS_MAX * sizeof(*loops));
	err = sum.loops && loops ? read_loops(&sum, why)
				 : refuse(why, EXIT_FAILED, "", "out of memory");
	if (!err)
		err = *complete ? read_places(&sum, why) : count_again(&sum, out, why);
	for (size_t i = 0; i < sum.threads.cnt && !err; i++)
		loops[i] = &sum.loops[i]->loop;
	out->loops = loops;
	out->loop_cnt = err ? 0 : sum.threads.cnt;
	intern__free(&sum.threads);
	free(sum.loops);
	return err;
}
