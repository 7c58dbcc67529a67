/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The tables of a recording as a struct profile: ids become indices, and all
 * samples of a point one entry.
 *
 * It must never hand out an index that is not there: every row is checked
 * against the rows before it, and a file may have no more of them than its
 * writer would have written.
 */
#include <stdlib.h>
#include <string.h>

#include "recording/file.h"

/* While names are read, the pointers to them are offsets, from 1 on: the text moves as it grows. */
struct loading {
	struct recording *r;
	struct profile *profile;
	size_t text_sz, text_room;
	struct refusal *why;
};

static int no_memory(struct loading *l)
{
	return refuse(l->why, EXIT_FAILED, "", "out of memory");
}

static const char *add_text(struct loading *l, struct row *row, bool never_null)
{
	const char *text = never_null ? row_get_words(row) : row_get_text(row);
	size_t sz = text ? strlen(text) + 1 : 0, room = l->text_room ? l->text_room : 65536;
	const char *at = text ? (const char *)(uintptr_t)(l->text_sz + 1) : NULL;
	char *grown;

	if (l->text_sz + sz > 2 * (size_t)TEXT_SUM_MAX) {
		row->bad = true;
		return NULL;
	}
	while (room < l->text_sz + sz)
		room *= 2;
	if (room != l->text_room) {
		grown = realloc(l->profile->text, room);
		if (!grown) {
			row->rc = SQLITE_NOMEM;
			return NULL;
		}
		l->profile->text = grown;
		l->text_room = room;
	}
	if (text)
		memcpy(l->profile->text + l->text_sz, text, sz);
	l->text_sz += sz;
	return at;
}

static void fix(const struct loading *l, const char **text)
{
	if (*text)
		*text = l->profile->text + ((uintptr_t)*text - 1);
}

static void fix_all(const struct loading *l)
{
	struct profile *p = l->profile;

	for (size_t i = 0; i < p->process_cnt; i++) {
		fix(l, &p->processes[i].comm);
		fix(l, &p->processes[i].python);
		fix(l, &p->processes[i].exe);
	}
	for (size_t i = 0; i < p->thread_cnt; i++)
		fix(l, &p->threads[i].comm);
	for (size_t i = 0; i < p->task_cnt; i++) {
		fix(l, &p->tasks[i].task);
		fix(l, &p->tasks[i].coro);
		fix(l, &p->tasks[i].callback);
	}
	for (size_t i = 0; i < p->frame_cnt; i++) {
		fix(l, &p->frames[i].func);
		fix(l, &p->frames[i].file);
	}
}

/* An id that another row has, as its index. */
static uint32_t get_index(struct row *row, size_t cnt)
{
	return (uint32_t)row_get(row, 1, (int64_t)cnt) - 1;
}

static uint32_t get_index_or_none(struct row *row, size_t cnt)
{
	/* Where there are no rows, no id is good. */
	int64_t id = row_get_or(row, 1, (int64_t)cnt, 0);

	return id ? (uint32_t)id - 1 : PROFILE_NONE;
}

static void read_process(struct loading *l, struct row *row)
{
	struct profile_process *process = &l->profile->processes[l->profile->process_cnt++];

	process->pid = (uint32_t)row_get(row, 0, UINT32_MAX);
	process->comm = add_text(l, row, false);
	process->python = add_text(l, row, false);
	process->exe = add_text(l, row, false);
}

static void read_thread(struct loading *l, struct row *row)
{
	struct profile_thread *thread = &l->profile->threads[l->profile->thread_cnt++];

	thread->process = get_index(row, l->profile->process_cnt);
	thread->tid = (uint32_t)row_get(row, 0, UINT32_MAX);
	thread->comm = add_text(l, row, true);
	thread->plain = row_get_flag(row);
	thread->loop = row_get_bits(row);
}

static void read_task(struct loading *l, struct row *row)
{
	struct profile_task *task = &l->profile->tasks[l->profile->task_cnt++];

	task->what = (enum stall_kind)stall_kind_from_row(row);
	task->task = add_text(l, row, false);
	task->unnamed = row_get_flag(row);
	task->coro = add_text(l, row, false);
	task->callback = add_text(l, row, false);
}

static void read_frame(struct loading *l, struct row *row)
{
	struct profile_frame *frame = &l->profile->frames[l->profile->frame_cnt++];

	frame->kind = (enum frame_kind)row_get_name(row, frame_kind_from_name);
	frame->func = add_text(l, row, false);
	frame->file = add_text(l, row, false);
	frame->line = (int)row_get_or(row, 1, INT32_MAX, 0);
}

static void read_stack(struct loading *l, struct row *row)
{
	struct profile *p = l->profile;

	/* Only the stacks before it: a walk towards the root ends. */
	p->stacks[p->stack_cnt].parent = get_index_or_none(row, p->stack_cnt);
	p->stacks[p->stack_cnt].frame = get_index(row, p->frame_cnt);
	p->stack_cnt++;
}

static void read_point(struct loading *l, struct row *row)
{
	struct profile *p = l->profile;
	struct profile_entry *entry = &p->entries[p->entry_cnt++];

	entry->thread = get_index(row, p->thread_cnt);
	entry->task = get_index_or_none(row, p->task_cnt);
	entry->stack = get_index_or_none(row, p->stack_cnt);
	entry->kind = (enum point_kind)row_get_name(row, point_kind_from_name);
	entry->cause = (enum cause)row_get_name(row, cause_from_name);
}

/* How many rows it has, if it is dense; load() sees whether it is. */
static int64_t last_id(struct recording *r, const char *table)
{
	char *sql = sqlite3_mprintf("SELECT max(id) FROM %s", table);
	sqlite3_stmt *stmt = NULL;
	int64_t id = 0;

	if (sql && !file_prepare(r, sql, &stmt) && sqlite3_step(stmt) == SQLITE_ROW)
		id = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return id;
}

/* One of the tables whose ids count up from 1 without gaps. */
struct dense {
	const char *table, *columns;
	int64_t cnt_max;
	size_t sz;
	void (*read)(struct loading *l, struct row *row);
};

static int load(struct loading *l, const struct dense *dense, void **array)
{
	sqlite3_stmt *stmt = NULL;
	int64_t cnt = last_id(l->r, dense->table), id = 0;
	struct row row = {};
	char *sql;
	int rc;

	if (cnt > dense->cnt_max || cnt > file_rows_max(l->r))
		return file_forged(l->why, dense->table, cnt);
	*array = calloc(cnt > 0 ? (size_t)cnt : 1, dense->sz);
	sql = sqlite3_mprintf("SELECT id, %s FROM %s NOT INDEXED ORDER BY id", dense->columns,
			      dense->table);
	if (!*array || !sql) {
		sqlite3_free(sql);
		return no_memory(l);
	}
	rc = file_prepare(l->r, sql, &stmt);
	sqlite3_free(sql);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		row_begin(&row, stmt);
		if (++id > cnt || row_get(&row, 1, cnt) != id) {
			row.bad = true;
			break;
		}
		dense->read(l, &row);
		if (row.bad || row.rc)
			break;
		rc = 0;
	}
	sqlite3_finalize(stmt);
	if (row.rc)
		return no_memory(l);
	if (row.bad)
		return file_forged(l->why, dense->table, id);
	return rc == SQLITE_DONE ? 0 : file_damaged(l->why, rc);
}

/* In the order in which they lie in the file: sorting a million rows takes longer than adding. */
static int add_samples(struct loading *l)
{
	int64_t left = file_rows_max(l->r), second = 0;
	struct profile *p = l->profile;
	sqlite3_stmt *stmt = NULL;
	struct row row = {};
	int rc;

	rc = file_prepare(l->r, "SELECT second, point, ns, cnt FROM samples NOT INDEXED", &stmt);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct profile_entry *entry;
		uint32_t index;
		int64_t ns;

		row_begin(&row, stmt);
		second = row_get(&row, INT32_MIN, INT32_MAX);
		index = get_index(&row, p->entry_cnt);
		if (row.bad || !left--) {
			row.bad = true;
			break;
		}
		entry = &p->entries[index];
		ns = row_get(&row, 0, INT64_MAX);
		if (__builtin_add_overflow(entry->ns, ns, &entry->ns))
			entry->ns = INT64_MAX;
		entry->cnt += (uint64_t)row_get(&row, 0, INT64_MAX);
		if (row.bad)
			break;
		rc = 0;
	}
	sqlite3_finalize(stmt);
	if (row.bad)
		return refuse(
			l->why, EXIT_FAILED, "asyncprof did not write it like this; record again",
			"the recording is not sound: a sample at second %lld", (long long)second);
	return rc == SQLITE_DONE ? 0 : file_damaged(l->why, rc);
}

static int add_numbers(struct loading *l)
{
	struct profile *p = l->profile;
	sqlite3_stmt *stmt = NULL;
	struct row row;
	int rc;

	rc = file_prepare(l->r,
			  "SELECT start_unix_ns, complete, period_ns, "
			  "CASE complete WHEN 1 THEN (SELECT duration_ns FROM summary) "
			  "ELSE max(last_unix_ns - start_unix_ns, 0) END, "
			  "(SELECT count(*) FROM (SELECT 1 FROM stalls NOT INDEXED LIMIT ?)), "
			  "(SELECT coalesce(sum(cnt), 0) FROM losses "
			  "WHERE what IN ('events', 'points')) FROM run LIMIT 1",
			  &stmt);
	if (!rc)
		rc = sqlite3_bind_int64(stmt, 1, file_rows_max(l->r));
	if (!rc)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW) {
		sqlite3_finalize(stmt);
		return rc == SQLITE_DONE ? file_forged(l->why, "run", 1) : file_damaged(l->why, rc);
	}
	row_begin(&row, stmt);
	p->start_unix_ns = row_get(&row, -TIME_NS_MAX, TIME_NS_MAX);
	p->complete = row_get_flag(&row);
	p->period_ns = row_get(&row, 0, TIME_NS_MAX);
	p->duration_ns = row_get(&row, 0, TIME_NS_MAX);
	p->stall_cnt = (uint64_t)row_get(&row, 0, INT64_MAX);
	p->lost_cnt = (uint64_t)row_get(&row, 0, INT64_MAX);
	sqlite3_finalize(stmt);
	return row.bad ? file_forged(l->why, "run", 1) : 0;
}

/* Points whose stack is not whole, and how often each was met. */
static int count_cut(struct loading *l)
{
	struct profile *p = l->profile;
	sqlite3_stmt *stmt = NULL;
	int rc;

	rc = file_prepare(l->r, "SELECT id FROM points NOT INDEXED WHERE cut = 1", &stmt);
	while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(stmt, 0);

		if (id < 1 || id > (int64_t)p->entry_cnt)
			break;
		p->cut_stack_cnt += p->entries[id - 1].cnt;
		rc = 0;
	}
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW)
		return file_forged(l->why, "points", 0);
	return rc == SQLITE_DONE ? 0 : file_damaged(l->why, rc);
}

/* Points that only ever stood in a commit that failed, or whose time a forger left out. */
static void drop_empty(struct profile *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->entry_cnt; i++) {
		if (p->entries[i].ns || p->entries[i].cnt)
			p->entries[kept++] = p->entries[i];
	}
	p->entry_cnt = kept;
}

int recording_profile(struct recording *r, struct profile **out, struct refusal *why)
{
	struct loading l = {.r = r, .profile = calloc(1, sizeof(*l.profile)), .why = why};
	struct profile *p = l.profile;
	const struct {
		struct dense dense;
		void **array;
	} tables[] = {
		{{"processes", "pid, comm, python, exe", PROCESSES_MAX, sizeof(*p->processes),
		  read_process},
		 (void **)&p->processes},
		{{"threads", "process, tid, comm, plain, loop", THREADS_MAX, sizeof(*p->threads),
		  read_thread},
		 (void **)&p->threads},
		{{"tasks", "kind, task, unnamed, coro, callback", TASKS_MAX, sizeof(*p->tasks),
		  read_task},
		 (void **)&p->tasks},
		{{"frames", "kind, func, file, line", FRAMES_MAX, sizeof(*p->frames), read_frame},
		 (void **)&p->frames},
		{{"stacks", "parent, frame", STACKS_MAX, sizeof(*p->stacks), read_stack},
		 (void **)&p->stacks},
		{{"points", "thread, task, stack, kind, cause", POINTS_MAX, sizeof(*p->entries),
		  read_point},
		 (void **)&p->entries},
	};
	int err = 0;

	*out = NULL;
	file_go_on(r);
	if (!p)
		return no_memory(&l);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && !err; i++)
		err = load(&l, &tables[i].dense, tables[i].array);
	if (!err)
		err = add_samples(&l);
	if (!err)
		err = add_numbers(&l);
	if (!err)
		err = count_cut(&l);
	if (err) {
		profile__free(p);
		return -1;
	}
	drop_empty(p);
	fix_all(&l);
	*out = p;
	return 0;
}
