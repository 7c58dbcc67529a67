/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Stalls as rows and rows as stalls: what is read back prints, in every report,
 * as what was written did.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recording/writer.h"

/* Longer than `causes` or `sampled` with every name in it. */
#define NAMES_SZ 256

const char stall_columns[] =
	"id, pid, tid, comm, loop, kind, task, coro, callback, file, line, ts_unix_ns, "
	"start_unix_ns, duration_ns, duration_lo_ns, suspended_ns, at_attach, ongoing, exited, "
	"exact, eager, callbacks, cause, causes, syscall, native_sleep, fd, fd_kind, path, peer, "
	"holder_known, holder_tid, holder_comm, holder_func, holder_file, holder_line, "
	"budget_known, cpu_ns, gc_ns, syscall_ns, lock_ns, gil_ns, runqueue_ns, throttled_ns, "
	"steal_ns, fault_ns, other_ns, sampled, samples, stack, stack_at_ns, stack_reason, advice";

static const char no_room[] = "the recording had no room for it";

/* --- Putting --- */

static const char *cause_of_bit(int bit)
{
	return cause_name((enum cause)bit);
}

static const char *part_of_bit(int bit)
{
	return part_name((enum part)bit);
}

/* "sleep,cpu" for a mask of bits. */
static void words_of_mask(uint32_t mask, int cnt, const char *(*name)(int bit),
			  char words[NAMES_SZ])
{
	words[0] = 0;
	for (int bit = 0; bit < cnt; bit++) {
		if (!(mask & 1U << bit))
			continue;
		if (words[0])
			strcat(words, ",");
		strcat(words, name(bit));
	}
}

static void put_identity(struct row *row, const struct stall *stall)
{
	row_put_text(row, stall->id);
	row_put(row, stall->pid);
	row_put(row, stall->tid);
	row_put_text(row, stall->comm);
	row_put_if(row, stall->loop, (int64_t)stall->loop);
	row_put_text(row, stall_kind_name(stall->kind));
	row_put_text(row, stall->task);
	row_put_text(row, stall->coro);
	row_put_text(row, stall->callback);
	row_put_text(row, stall->file);
	row_put_if(row, stall->line > 0, stall->line);
}

static void put_times(struct row *row, const struct stall *stall)
{
	row_put(row, stall->ts_unix_ns);
	row_put_if(row, !stall->at_attach, stall->start_unix_ns);
	row_put_if(row, stall->duration_ns >= 0, stall->duration_ns);
	row_put(row, stall->duration_lo_ns);
	row_put(row, stall->suspended_ns);
	row_put(row, stall->at_attach);
	row_put(row, stall->ongoing);
	row_put(row, stall->exited);
	row_put(row, stall->exact);
	row_put(row, stall->eager);
	row_put_if(row, stall->inner_cnt, stall->inner_cnt);
}

/* `causes` must live until the row is inserted. */
static void put_cause(struct row *row, const struct stall *stall, const char *causes)
{
	const struct stall_fd *fd = &stall->fd;

	row_put_text(row, cause_name(stall->cause));
	row_put_text(row, causes);
	row_put_text(row, stall->syscall);
	row_put(row, stall->native_sleep);
	row_put_if(row, fd->num >= 0, fd->num);
	row_put_text(row, fd_kind_name(fd->kind));
	row_put_text(row, fd->path);
	row_put_text(row, fd->peer);
	row_put(row, stall->holder_known);
	row_put_if(row, stall->holder_known && stall->holder_tid, stall->holder_tid);
	row_put_text(row, stall->holder_known ? stall->holder_comm : NULL);
	row_put_text(row, stall->holder_known ? stall->holder.func : NULL);
	row_put_text(row, stall->holder_known ? stall->holder.file : NULL);
	row_put_if(row, stall->holder_known && stall->holder.line > 0, stall->holder.line);
	row_put(row, stall->budget_known);
	for (int part = 0; part < PART_CNT; part++)
		row_put_if(row, stall->budget_known && stall->budget.ns[part] >= 0,
			   stall->budget.ns[part]);
}

static int put_advice(struct recording *r, const struct advice *advice)
{
	struct row row;

	writer_stage(r, TABLE_ADVICE, &row);
	row_put_text(&row, advice->key);
	row_put_text(&row, advice->text);
	return writer_staged(r, &row);
}

int recording__stall(struct recording *r, const struct stall *stall)
{
	struct writer *w = r->writer;
	char causes[NAMES_SZ], sampled[NAMES_SZ];
	struct row row;
	int64_t stack;
	int err = 0;

	if (!w || w->finished)
		return 0;
	if (w->err)
		return w->err;
	stack = known_stall_stack(r, stall);
	if (stack < 0)
		return writer_fail_errno(r, (int)stack);
	if (stall->advice)
		err = put_advice(r, stall->advice);
	if (err)
		return err;
	words_of_mask(stall->causes, CAUSE_CNT, cause_of_bit, causes);
	words_of_mask(stall->sampled, PART_CNT, part_of_bit, sampled);
	writer_stage(r, TABLE_STALLS, &row);
	put_identity(&row, stall);
	put_times(&row, stall);
	put_cause(&row, stall, causes);
	row_put_text(&row, sampled);
	row_put(&row, stall->samples_cnt);
	row_put_if(&row, stack, stack);
	row_put_if(&row, stall->stack_at_ns >= 0, stall->stack_at_ns);
	row_put_text(&row, !stack && stall->frame_cnt ? no_room : stall->stack_reason);
	row_put_text(&row, stall->advice ? stall->advice->key : NULL);
	return writer_staged(r, &row);
}

/* --- Getting --- */

/* The strings of one stack, until the next stall. */
struct stack_text {
	char *text;
	size_t sz, used;
};

struct reading {
	sqlite3_stmt *stalls, *node;
	struct stack_text text;
	struct stall_frame frames[AP_FRAMES_MAX];
};

static int kind_from_name(const char *name)
{
	for (int kind = 0; kind < STALL_KIND_CNT; kind++) {
		if (!strcmp(stall_kind_name(kind), name))
			return kind;
	}
	return -1;
}

int stall_kind_from_row(struct row *row)
{
	return row_get_name(row, kind_from_name);
}

static enum fd_kind get_fd_kind(struct row *row)
{
	const char *name = row_get_text(row);

	for (int kind = 0; name && kind < FD_KIND_CNT; kind++) {
		const char *known = fd_kind_name(kind);

		if (known && !strcmp(known, name))
			return kind;
	}
	row->bad = row->bad || name;
	return FD_NONE;
}

static uint32_t get_mask(struct row *row, int cnt, const char *(*name)(int bit))
{
	const char *words = row_get_words(row);
	uint32_t mask = 0;

	while (*words) {
		size_t len = strcspn(words, ",");
		int bit = 0;

		while (bit < cnt && (strlen(name(bit)) != len || memcmp(name(bit), words, len)))
			bit++;
		if (bit == cnt) {
			row->bad = true;
			return 0;
		}
		mask |= 1U << bit;
		words += len + (words[len] == ',');
	}
	return mask;
}

static void get_identity(struct row *row, struct stall *stall)
{
	const char *id = row_get_own(row, sizeof(stall->id));

	row->bad = row->bad || !id;
	strncat(stall->id, id ? id : "", sizeof(stall->id) - 1);
	stall->pid = (uint32_t)row_get(row, 0, UINT32_MAX);
	stall->tid = (uint32_t)row_get(row, 0, UINT32_MAX);
	stall->comm = row_get_words(row);
	stall->loop = row_get_bits(row);
	stall->kind = stall_kind_from_row(row);
	stall->task = row_get_text(row);
	stall->coro = row_get_text(row);
	stall->callback = row_get_text(row);
	stall->file = row_get_text(row);
	stall->line = (int)row_get_or(row, 1, INT32_MAX, 0);
}

static void get_times(struct row *row, struct stall *stall)
{
	stall->ts_unix_ns = row_get(row, -TIME_NS_MAX, TIME_NS_MAX);
	stall->start_unix_ns = row_get_or(row, -TIME_NS_MAX, TIME_NS_MAX, 0);
	stall->duration_ns = row_get_or(row, 0, TIME_NS_MAX, -1);
	stall->duration_lo_ns = row_get(row, -TIME_NS_MAX, TIME_NS_MAX);
	stall->suspended_ns = row_get(row, -TIME_NS_MAX, TIME_NS_MAX);
	stall->at_attach = row_get_flag(row);
	stall->ongoing = row_get_flag(row);
	stall->exited = row_get_flag(row);
	stall->exact = row_get_flag(row);
	stall->eager = row_get_flag(row);
	stall->inner_cnt = (uint32_t)row_get_or(row, 1, UINT32_MAX, 0);
}

static void get_cause(struct row *row, struct stall *stall)
{
	stall->cause = row_get_name(row, cause_from_name);
	stall->causes = get_mask(row, CAUSE_CNT, cause_of_bit);
	stall->syscall = row_get_own(row, SYSCALL_SZ);
	stall->native_sleep = row_get_flag(row);
	stall->fd.num = (int)row_get_or(row, 0, INT32_MAX, -1);
	stall->fd.kind = get_fd_kind(row);
	stall->fd.path = row_get_text(row);
	stall->fd.peer = row_get_text(row);
	stall->holder_known = row_get_flag(row);
	stall->holder_tid = (uint32_t)row_get_or(row, 0, UINT32_MAX, 0);
	stall->holder_comm = row_get_text(row);
	stall->holder.func = row_get_text(row);
	stall->holder.file = row_get_text(row);
	stall->holder.line = (int)row_get_or(row, 1, INT32_MAX, 0);
	stall->budget_known = row_get_flag(row);
	for (int part = 0; part < PART_CNT; part++)
		stall->budget.ns[part] = row_get_or(row, 0, TIME_NS_MAX, BUDGET_UNKNOWN);
	stall->sampled = get_mask(row, PART_CNT, part_of_bit);
	stall->samples_cnt = (uint32_t)row_get(row, 0, UINT32_MAX);
}

/* Offsets for now: the text may move while it grows. 1 and more, 0: NULL. */
static int add_text(struct stack_text *text, const char *from, size_t *at)
{
	size_t sz = from ? strlen(from) + 1 : 0, grown_sz = text->sz ? text->sz : 4096;
	char *grown;

	*at = from ? text->used + 1 : 0;
	while (text->used + sz > grown_sz)
		grown_sz *= 2;
	if (grown_sz != text->sz) {
		grown = realloc(text->text, grown_sz);
		if (!grown)
			return -ENOMEM;
		text->text = grown;
		text->sz = grown_sz;
	}
	if (from)
		memcpy(text->text + text->used, from, sz);
	text->used += sz;
	return 0;
}

/* Leaf first. Parents have lower ids, so it ends. */
static int get_frames(struct reading *reading, int64_t stack, struct stall *stall,
		      struct refusal *why)
{
	size_t at[AP_FRAMES_MAX][2], cnt = 0;
	struct row row;
	int64_t parent;
	int rc;

	reading->text.used = 0;
	for (; stack && cnt < AP_FRAMES_MAX; stack = parent, cnt++) {
		sqlite3_reset(reading->node);
		sqlite3_bind_int64(reading->node, 1, stack);
		rc = sqlite3_step(reading->node);
		if (rc == SQLITE_DONE)
			return file_forged(why, "stacks", stack);
		if (rc != SQLITE_ROW)
			return file_damaged(why, rc);
		row_begin(&row, reading->node);
		parent = row_get_or(&row, 1, stack - 1, 0);
		if (add_text(&reading->text, row_get_text(&row), &at[cnt][0]) ||
		    add_text(&reading->text, row_get_text(&row), &at[cnt][1]))
			return refuse(why, EXIT_FAILED, "", "out of memory");
		reading->frames[cnt].line = (int)row_get_or(&row, 1, INT32_MAX, 0);
		if (row.bad)
			return file_forged(why, "stacks", stack);
	}
	if (stack)
		return file_forged(why, "stacks", stack);
	for (size_t i = 0; i < cnt; i++) {
		const char *text = reading->text.text;

		reading->frames[i].func = at[i][0] ? text + at[i][0] - 1 : NULL;
		reading->frames[i].file = at[i][1] ? text + at[i][1] - 1 : NULL;
	}
	stall->frames = reading->frames;
	stall->frame_cnt = cnt;
	return 0;
}

static int get_stall(struct reading *reading, int64_t seq, struct stall *stall,
		     struct advice *advice, struct refusal *why)
{
	struct row row;
	int64_t stack;

	*stall = (struct stall){};
	row_begin(&row, reading->stalls);
	get_identity(&row, stall);
	get_times(&row, stall);
	get_cause(&row, stall);
	stack = row_get_or(&row, 1, STACKS_MAX, 0);
	stall->stack_at_ns = row_get_or(&row, 0, TIME_NS_MAX, -1);
	stall->stack_reason = row_get_own(&row, REASON_SZ);
	row.column++; /* its key: beside its text below */
	advice->key = row_get_own(&row, ADVICE_SZ);
	advice->text = row_get_own(&row, ADVICE_SZ);
	if (advice->key && advice->text)
		stall->advice = advice;
	if (row.bad)
		return file_forged(why, "stalls", seq);
	return get_frames(reading, stack, stall, why);
}

int recording_stalls(struct recording *r, void (*each)(void *ctx, const struct stall *stall),
		     void *ctx, struct refusal *why)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	int64_t left = file_rows_max(r), seq = 0;
	struct advice advice;
	struct stall stall;
	char *sql;
	int rc, ret = -1;

	sql = sqlite3_mprintf("SELECT %s, advice.key, advice.text FROM stalls NOT INDEXED "
			      "LEFT JOIN advice ON advice.key = stalls.advice ORDER BY seq",
			      stall_columns);
	rc = reading && sql ? file_prepare(r, sql, &reading->stalls) : SQLITE_NOMEM;
	if (!rc)
		rc = file_prepare(r,
				  "SELECT parent, func, file, line FROM stacks NOT INDEXED "
				  "LEFT JOIN frames NOT INDEXED ON frames.id = stacks.frame "
				  "WHERE stacks.id = ?",
				  &reading->node);
	if (rc) {
		file_damaged(why, rc);
		goto out;
	}
	file_go_on(r);
	while ((rc = sqlite3_step(reading->stalls)) == SQLITE_ROW) {
		/* Rows are counted, and so are the frames of one. */
		file_go_on(r);
		if (!left--) {
			file_forged(why, "stalls", seq);
			goto out;
		}
		if (get_stall(reading, ++seq, &stall, &advice, why))
			goto out;
		each(ctx, &stall);
	}
	ret = rc == SQLITE_DONE ? 0 : file_damaged(why, rc);
out:
	if (reading) {
		sqlite3_finalize(reading->stalls);
		sqlite3_finalize(reading->node);
		free(reading->text.text);
	}
	free(reading);
	sqlite3_free(sql);
	return ret;
}
