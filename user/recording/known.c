/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which row a process, thread, task, frame or stack has: an old one, or a new
 * one that waits for the next commit.
 *
 * Where there is no room for a new one, the answer is 0 and the caller says
 * what it does without.
 */
#include <string.h>

#include "recording/writer.h"

/* `joined`: NULL of one that did not */
static int put_process(struct recording *r, int64_t id, const struct run_target *process,
		       const struct run_joined *joined)
{
	struct row row;

	writer_stage(r, TABLE_PROCESSES, &row);
	row_put(&row, id);
	row_put(&row, process->pid);
	row_put_text(&row, process->comm);
	row_put_text(&row, process->python);
	row_put_text(&row, process->exe);
	row_put_if(&row, process->stripped >= 0, process->stripped > 0);
	row_put(&row, id <= r->writer->start_cnt);
	row_put_if(&row, joined, joined ? joined->parent : 0);
	row_put_if(&row, joined, joined ? joined->unix_ns : 0);
	return writer_staged(r, &row);
}

static int64_t process_id(struct recording *r, uint32_t pid, bool *added)
{
	struct intern *processes = &r->writer->processes;
	struct intern_hash hash;

	intern_hash_begin(processes, &hash);
	intern_hash_number(&hash, pid);
	return intern_id(processes, &hash, PROCESSES_MAX, added);
}

int known_start(struct recording *r, const struct run_start *start)
{
	for (size_t i = 0; i < start->target_cnt; i++) {
		const struct run_target *target = &start->targets[i];
		bool added;
		int64_t id = process_id(r, target->pid, &added);
		int err = id < 0 ? (int)id : 0;

		if (added) {
			r->writer->start_cnt = id;
			err = put_process(r, id, target, NULL);
		}
		if (err)
			return err;
	}
	return 0;
}

static int put_reason(struct recording *r, int64_t process, const char *reason)
{
	struct row row;

	writer_stage(r, TABLE_DEGRADED, &row);
	row_put(&row, process);
	row_put_text(&row, reason);
	return writer_staged(r, &row);
}

int recording__joined(struct recording *r, const struct run_joined *joined)
{
	bool added;
	int64_t id;
	int err;

	if (!r->writer || r->writer->finished)
		return 0;
	if (r->writer->err)
		return r->writer->err;
	id = process_id(r, joined->target.pid, &added);
	/* What the run began with stays as it was then. */
	if (id <= r->writer->start_cnt)
		return id < 0 ? (int)id : 0;
	err = put_process(r, id, &joined->target, joined);
	for (size_t i = 0; i < joined->degraded_cnt && !err; i++)
		err = put_reason(r, id, joined->degraded[i]);
	return err;
}

static int64_t thread_id(struct recording *r, const struct point *point, uint32_t tid,
			 uint64_t loop, const char *comm, uint32_t cnt_max)
{
	struct writer *w = r->writer;
	struct run_target unknown = {.pid = point->pid, .stripped = -1};
	int64_t process, id;
	struct intern_hash hash;
	uint32_t plain = point->plain;
	struct row row;
	bool added;
	int err = 0;

	process = process_id(r, point->pid, &added);
	if (added)
		err = put_process(r, process, &unknown, NULL);
	if (process <= 0 || err)
		return err ? err : process;
	intern_hash_begin(&w->threads, &hash);
	intern_hash_number(&hash, (uint64_t)process);
	intern_hash_number(&hash, tid);
	intern_hash_number(&hash, plain);
	intern_hash_number(&hash, loop);
	id = intern_id(&w->threads, &hash, cnt_max, &added);
	if (!added)
		return id;
	writer_stage(r, TABLE_THREADS, &row);
	row_put(&row, id);
	row_put(&row, process);
	row_put(&row, tid);
	row_put_text(&row, comm);
	row_put(&row, plain);
	row_put_if(&row, loop, (int64_t)loop);
	err = writer_staged(r, &row);
	return err ? err : id;
}

int64_t known_thread(struct recording *r, const struct point *point)
{
	int64_t id = thread_id(r, point, point->tid, point->loop, point->comm, THREADS_MAX / 2);

	/* A program that makes threads without end: the later ones share a row. */
	return id ? id : thread_id(r, point, 0, 0, "other threads", THREADS_MAX);
}

static size_t text_sz(const char *text)
{
	return text ? strnlen(text, ROW_TEXT_MAX) + 1 : 0;
}

/* How many rows a table may have that gets one with so many bytes of names. */
static uint32_t cnt_max_for(const struct writer *w, size_t sz, uint32_t cnt_max)
{
	return sz <= TEXT_SUM_MAX - w->text_sz ? cnt_max : 0;
}

static int64_t task_id(struct recording *r, const struct point *point, const char *name,
		       uint32_t cnt_max)
{
	struct writer *w = r->writer;
	struct intern_hash hash;
	struct row row;
	size_t sz;
	bool added;
	int64_t id;
	int err;

	intern_hash_begin(&w->tasks, &hash);
	intern_hash_number(&hash, (uint64_t)point->what << 1 | point->unnamed);
	intern_hash_text(&hash, name);
	intern_hash_text(&hash, point->coro);
	intern_hash_text(&hash, point->callback);
	sz = text_sz(name) + text_sz(point->coro) + text_sz(point->callback);
	id = intern_id(&w->tasks, &hash, cnt_max_for(w, sz, cnt_max), &added);
	if (!added)
		return id;
	w->text_sz += sz;
	writer_stage(r, TABLE_TASKS, &row);
	row_put(&row, id);
	row_put_text(&row, stall_kind_name(point->what));
	row_put_text(&row, name);
	row_put(&row, point->unnamed);
	row_put_text(&row, point->coro);
	row_put_text(&row, point->callback);
	err = writer_staged(r, &row);
	return err ? err : id;
}

int64_t known_task(struct recording *r, const struct point *point)
{
	/* A server makes millions of tasks without a name of their own: one row a coroutine. */
	const char *name = point->unnamed ? NULL : point->task;
	int64_t id = task_id(r, point, name, TASKS_MAX / 4 * 3);

	if (id)
		return id;
	r->writer->lost[LOSS_TASKS] += point->cnt;
	return name ? task_id(r, point, NULL, TASKS_MAX) : 0;
}

static int64_t frame_id(struct recording *r, enum frame_kind kind, const char *func,
			const char *file, int line)
{
	struct writer *w = r->writer;
	struct intern_hash hash;
	struct row row;
	bool added;
	int64_t id;
	size_t sz;
	int err;

	intern_hash_begin(&w->frames, &hash);
	intern_hash_number(&hash, (uint64_t)kind << 32 | (uint32_t)(line > 0 ? line : 0));
	intern_hash_text(&hash, func);
	intern_hash_text(&hash, file);
	sz = text_sz(func) + text_sz(file);
	id = intern_id(&w->frames, &hash, cnt_max_for(w, sz, FRAMES_MAX), &added);
	if (!added)
		return id;
	w->text_sz += sz;
	writer_stage(r, TABLE_FRAMES, &row);
	row_put(&row, id);
	row_put_text(&row, frame_kind_name(kind));
	row_put_text(&row, func);
	row_put_text(&row, file);
	row_put_if(&row, line > 0, line);
	err = writer_staged(r, &row);
	return err ? err : id;
}

/* The stack whose leaf is `frame`, called by the stack `parent` (0: by none). */
static int64_t stack_id(struct recording *r, int64_t parent, int64_t frame)
{
	struct writer *w = r->writer;
	struct intern_hash hash;
	struct row row;
	bool added;
	int64_t id;
	int err;

	if (frame <= 0)
		return frame;
	intern_hash_begin(&w->stacks, &hash);
	intern_hash_number(&hash, (uint64_t)parent << 32 | (uint64_t)frame);
	id = intern_id(&w->stacks, &hash, STACKS_MAX, &added);
	if (!added)
		return id;
	writer_stage(r, TABLE_STACKS, &row);
	row_put(&row, id);
	row_put_if(&row, parent, parent);
	row_put(&row, frame);
	err = writer_staged(r, &row);
	return err ? err : id;
}

int64_t known_point_stack(struct recording *r, const struct point *point)
{
	int64_t stack = 0;

	for (size_t i = point->frame_cnt; i--;) {
		const struct point_frame *frame = &point->frames[i];

		stack = stack_id(r, stack,
				 frame_id(r, frame->kind, frame->func, frame->file, frame->line));
		if (stack <= 0)
			break;
	}
	return stack;
}

int64_t known_stall_stack(struct recording *r, const struct stall *stall)
{
	int64_t stack = 0;

	/* The model keeps no more; a reader has no room for more. */
	for (size_t i = stall->frame_cnt < AP_FRAMES_MAX ? stall->frame_cnt : AP_FRAMES_MAX; i--;) {
		const struct stall_frame *frame = &stall->frames[i];

		stack = stack_id(r, stack,
				 frame_id(r, FRAME_PYTHON, frame->func, frame->file, frame->line));
		if (stack <= 0)
			break;
	}
	return stack;
}
