/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The run as rows: its end on the way into the file, its start on the way out.
 */
#include <string.h>

#include "recording/writer.h"

/* Columns of `accounts` after its key are the members of the struct, in its order. */
#define ACCOUNT_COLUMNS (sizeof(struct ap_account) / sizeof(__u64))
_Static_assert(ACCOUNT_COLUMNS == 32, "the table `accounts` in schema.sql has other columns");

static const char account_sql[] =
	"INSERT INTO accounts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
	"?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

/* --- Putting --- */

static int put_account(sqlite3_stmt *stmt, int64_t loop, const struct ap_account *account)
{
	const __u64 *counter = (const __u64 *)account;
	struct row row;

	row_begin(&row, stmt);
	row_put(&row, loop);
	for (size_t i = 0; i < ACCOUNT_COLUMNS; i++)
		row_put(&row, (int64_t)counter[i]);
	return row_insert(&row);
}

static int put_place(sqlite3_stmt *stmt, int64_t loop, const struct loop_place *place)
{
	struct row row;

	row_begin(&row, stmt);
	row_put(&row, loop);
	row_put_text(&row, place->title);
	row_put_text(&row, place->file);
	row_put_if(&row, place->line > 0, place->line);
	row_put_text(&row, stall_kind_name(place->kind));
	row_put_text(&row, cause_name(place->cause));
	row_put(&row, (int64_t)place->cnt);
	row_put(&row, place->total_ns);
	row_put(&row, place->max_ns);
	return row_insert(&row);
}

static int put_loop(sqlite3_stmt *stmt, int64_t id, const struct loop *loop)
{
	struct row row;

	row_begin(&row, stmt);
	row_put(&row, id);
	row_put(&row, loop->pid);
	row_put(&row, loop->tid);
	row_put_if(&row, loop->address, (int64_t)loop->address);
	row_put_text(&row, loop->comm);
	row_put(&row, loop->gone);
	row_put(&row, (int64_t)loop->stall_cnt);
	row_put(&row, loop->stall_ns);
	row_put(&row, (int64_t)loop->ongoing_cnt);
	row_put(&row, (int64_t)loop->place_overflow_cnt);
	return row_insert(&row);
}

static int put_loops(struct recording *r, const struct run_summary *summary)
{
	sqlite3_stmt *loops = NULL, *places = NULL, *accounts = NULL;
	int rc;

	rc = file_prepare(r, "INSERT INTO loops VALUES (?,?,?,?,?,?,?,?,?,?)", &loops);
	if (!rc)
		rc = file_prepare(r, "INSERT INTO places VALUES (NULL,?,?,?,?,?,?,?,?,?)", &places);
	if (!rc)
		rc = file_prepare(r, account_sql, &accounts);
	if (!rc)
		rc = put_account(accounts, 0, &summary->homeless);
	for (size_t i = 0; i < summary->loop_cnt && !rc; i++) {
		const struct loop *loop = summary->loops[i];
		int64_t id = (int64_t)i + 1;

		rc = put_loop(loops, id, loop);
		if (!rc && loop->has_account)
			rc = put_account(accounts, id, &loop->account);
		for (size_t k = 0; k < loop->place_cnt && !rc; k++)
			rc = put_place(places, id, &loop->places[k]);
	}
	sqlite3_finalize(loops);
	sqlite3_finalize(places);
	sqlite3_finalize(accounts);
	return rc;
}

static int put_records(struct recording *r, const struct run_summary *summary)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc = file_prepare(r, "INSERT INTO records VALUES (?,?,?,?,?)", &stmt);

	for (int kind = 0; kind < AP_KIND_CNT && !rc; kind++) {
		row_begin(&row, stmt);
		row_put(&row, kind);
		row_put(&row, (int64_t)summary->sent.attempted[kind]);
		row_put(&row, (int64_t)summary->sent.dropped[kind]);
		row_put(&row, (int64_t)summary->synthesised[kind]);
		row_put(&row, (int64_t)summary->received[kind]);
		rc = row_insert(&row);
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int put_numbers(struct recording *r, const struct run_summary *summary)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc = file_prepare(r, "INSERT INTO summary VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", &stmt);

	if (!rc) {
		row_begin(&row, stmt);
		row_put(&row, summary->unix_ns);
		row_put(&row, summary->duration_ns);
		row_put_text(&row, summary->tier);
		row_put(&row, summary->interim);
		row_put_if(&row, summary->hit_ns, (int64_t)summary->hit_ns);
		row_put_if(&row, summary->overhead_ns >= 0, summary->overhead_ns);
		row_put(&row, (int64_t)summary->events_lost);
		row_put(&row, (int64_t)summary->malformed);
		row_put(&row, (int64_t)summary->stalls);
		row_put(&row, (int64_t)summary->evicted_codes);
		row_put(&row, (int64_t)summary->evicted_evidence);
		row_put(&row, (int64_t)summary->evicted_loops);
		rc = row_insert(&row);
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int put_losses(struct recording *r, const struct run_summary *summary)
{
	const struct {
		const char *what, *meaning;
		uint64_t cnt;
	} losses[] = {
		{"events", "events that did not arrive: their time is missing",
		 summary->events_lost},
		{"malformed", "records that made no sense", summary->malformed},
	};
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc = file_prepare(r, "INSERT OR REPLACE INTO losses VALUES (?,?,?)", &stmt);

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]) && !rc; i++) {
		if (!losses[i].cnt)
			continue;
		row_begin(&row, stmt);
		row_put_text(&row, losses[i].what);
		row_put(&row, (int64_t)losses[i].cnt);
		row_put_text(&row, losses[i].meaning);
		rc = row_insert(&row);
	}
	sqlite3_finalize(stmt);
	return rc;
}

int run_rows_put_summary(struct recording *r, const struct run_summary *summary)
{
	int rc;

	/* What it knew before goes: counters grow, so the new ones hold all of it. */
	rc = sqlite3_exec(r->db,
			  "DELETE FROM summary; DELETE FROM records; DELETE FROM loops;"
			  "DELETE FROM places; DELETE FROM accounts",
			  NULL, NULL, NULL);
	if (!rc)
		rc = put_numbers(r, summary);
	if (!rc)
		rc = put_records(r, summary);
	if (!rc)
		rc = put_loops(r, summary);
	return rc ? rc : put_losses(r, summary);
}

/* --- Getting --- */

int run_rows_get_account(struct row *row, struct ap_account *account)
{
	__u64 *counter = (__u64 *)account;

	for (size_t i = 0; i < ACCOUNT_COLUMNS; i++)
		counter[i] = (__u64)row_get(row, INT64_MIN, INT64_MAX);
	return row->bad ? -1 : 0;
}

static int get_run(struct recording *r, struct run_start *out, struct refusal *why)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc, ret = -1;

	rc = file_prepare(r,
			  "SELECT version, start_unix_ns, tier, threshold_ns, kernel "
			  "FROM run LEFT JOIN machine LIMIT 1",
			  &stmt);
	if (!rc)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		row_begin(&row, stmt);
		out->version = file_keep_text(r, row_get_own(&row, VERSION_SZ));
		out->unix_ns = row_get(&row, -TIME_NS_MAX, TIME_NS_MAX);
		out->tier = file_keep_text(r, row_get_own(&row, TIER_SZ));
		out->threshold_ns = (uint64_t)row_get(&row, 0, TIME_NS_MAX);
		out->kernel = file_keep_text(r, row_get_text(&row));
		if (row.bad)
			file_forged(why, "run", 1);
		else if (!out->version || !out->tier)
			refuse(why, EXIT_FAILED, "", "out of memory");
		else
			ret = 0;
	} else if (rc == SQLITE_DONE) {
		file_forged(why, "run", 1);
	} else {
		file_damaged(why, rc);
	}
	sqlite3_finalize(stmt);
	return ret;
}

static void get_target(struct recording *r, struct row *row, struct run_target *target)
{
	*target = (struct run_target){
		.pid = (uint32_t)row_get(row, 0, UINT32_MAX),
		.comm = file_keep_text(r, row_get_text(row)),
		.python = file_keep_text(r, row_get_text(row)),
		.exe = file_keep_text(r, row_get_text(row)),
		.stripped = (int)row_get_or(row, 0, 1, -1),
	};
}

static int get_targets(struct recording *r, struct run_start *out, struct refusal *why)
{
	struct run_target *targets = file_keep(r, PROCESSES_MAX * sizeof(*targets));
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc;

	rc = file_prepare(r,
			  "SELECT pid, comm, python, exe, stripped FROM processes NOT INDEXED "
			  "WHERE at_start = 1 ORDER BY id",
			  &stmt);
	while (targets && !rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		if (out->target_cnt == PROCESSES_MAX)
			break;
		get_target(r, &row, &targets[out->target_cnt]);
		if (row.bad)
			break;
		out->target_cnt++;
		rc = 0;
	}
	sqlite3_finalize(stmt);
	out->targets = targets;
	if (!targets)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	if (rc == SQLITE_ROW)
		return file_forged(why, "processes", (int64_t)out->target_cnt + 1);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

/* Of the run as it began (`process` 0), or of one that joined. */
static int get_degraded(struct recording *r, int64_t process, const char *const **out, size_t *cnt,
			struct refusal *why)
{
	const char **degraded = file_keep(r, DEGRADED_MAX * sizeof(*degraded));
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc;

	*cnt = 0;
	rc = file_prepare(r,
			  "SELECT reason FROM degraded NOT INDEXED "
			  "WHERE ifnull(process, 0) = ? ORDER BY id",
			  &stmt);
	if (!rc)
		rc = sqlite3_bind_int64(stmt, 1, process);
	while (degraded && !rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		if (*cnt == DEGRADED_MAX)
			break;
		degraded[*cnt] = file_keep_text(r, row_get_words(&row));
		if (row.bad || !degraded[*cnt])
			break;
		++*cnt;
		rc = 0;
	}
	sqlite3_finalize(stmt);
	*out = degraded;
	if (!degraded)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	if (rc == SQLITE_ROW)
		return file_forged(why, "degraded", (int64_t)*cnt + 1);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

int recording_joined(struct recording *r, void (*each)(void *ctx, const struct run_joined *joined),
		     void *ctx, struct refusal *why)
{
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int64_t cnt = 0;
	int rc, failed = 0;

	rc = file_prepare(r,
			  "SELECT pid, comm, python, exe, stripped, id, parent, joined_unix_ns "
			  "FROM processes NOT INDEXED WHERE joined_unix_ns NOT NULL ORDER BY id",
			  &stmt);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct run_joined joined = {};
		int64_t id;

		row_begin(&row, stmt);
		if (cnt++ == PROCESSES_MAX)
			break;
		get_target(r, &row, &joined.target);
		id = row_get(&row, 1, INT64_MAX);
		joined.parent = (uint32_t)row_get(&row, 0, UINT32_MAX);
		joined.unix_ns = row_get(&row, -TIME_NS_MAX, TIME_NS_MAX);
		if (row.bad)
			break;
		failed = get_degraded(r, id, &joined.degraded, &joined.degraded_cnt, why);
		if (failed)
			break;
		each(ctx, &joined);
		rc = 0;
	}
	sqlite3_finalize(stmt);
	if (failed)
		return -1;
	if (rc == SQLITE_ROW)
		return file_forged(why, "processes", cnt);
	return rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
}

int recording_start(struct recording *r, struct run_start *out, struct refusal *why)
{
	*out = (struct run_start){};
	file_go_on(r);
	if (get_run(r, out, why) || get_targets(r, out, why))
		return -1;
	return get_degraded(r, 0, &out->degraded, &out->degraded_cnt, why);
}
