/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/resolve.h"

#include <string.h>

#include "model/syscall.h"

/* Where a stack was taken. */
struct view {
	const struct ap_frame *frames;
	uint32_t frame_cnt;
	uint32_t cut;
	uint64_t ts;
	uint64_t child;
};

static const char *reason_of_cut(uint32_t cut)
{
	switch (cut) {
	case AP_CUT_NONE:
		return NULL;
	case AP_CUT_DEPTH:
		return "cut at 128 frames";
	case AP_CUT_FAULT:
		return "cut where memory could not be read";
	case AP_CUT_NO_FRAME:
		return "no Python frame";
	default:
		return "cut at a frame that makes no sense";
	}
}

/* Is it a block of the kind that the verdict speaks of? */
static bool is_guilty(const struct ap_block *block, enum cause cause)
{
	struct cause_place place = cause_place_of_block(block);

	return cause_of_place(&place) == cause;
}

/* The longest block of that cause; with CAUSE_CNT, of any. */
static const struct ap_block *longest_block(const struct evidence *evidence, enum cause cause,
					    uint64_t now_ts)
{
	const struct ap_block *longest = NULL;
	uint64_t longest_ns = 0;

	for (uint32_t i = 0; evidence && i < evidence->block_cnt; i++) {
		const struct ap_block *block = evidence->blocks[i];
		uint64_t ns = evidence_block_ns(block, now_ts);

		if (cause != CAUSE_CNT && !is_guilty(block, cause))
			continue;
		if (!longest || ns > longest_ns) {
			longest = block;
			longest_ns = ns;
		}
	}
	return longest;
}

static bool same_line(const struct stall_frame *a, const struct stall_frame *b)
{
	if (a->line != b->line || !a->file != !b->file)
		return false;
	if (!a->file)
		return a->func && b->func && !strcmp(a->func, b->func);
	return !strcmp(a->file, b->file);
}

/* The most sampled source line; a line has many places in bytecode, so they are summed. */
static const struct evidence_line *most_sampled(const struct evidence *evidence,
						struct codes *codes)
{
	struct stall_frame leaf[EVIDENCE_LINES_MAX];
	const struct evidence_line *most = NULL;
	uint32_t most_cnt = 0;

	if (!evidence)
		return NULL;
	for (uint32_t i = 0; i < evidence->line_cnt; i++)
		codes__resolve(codes, evidence->key.pid, &evidence->lines[i].frames[0], &leaf[i]);
	for (uint32_t i = 0; i < evidence->line_cnt; i++) {
		const struct evidence_line *best = &evidence->lines[i];
		uint32_t cnt = 0;

		for (uint32_t j = 0; j < evidence->line_cnt; j++) {
			if (i != j && !same_line(&leaf[i], &leaf[j]))
				continue;
			cnt += evidence->lines[j].cnt;
			if (evidence->lines[j].cnt > best->cnt)
				best = &evidence->lines[j];
		}
		if (cnt > most_cnt) {
			most_cnt = cnt;
			most = best;
		}
	}
	return most;
}

static void set_stack(const struct ap_slow *slow, const struct evidence *evidence,
		      const struct view *view, struct codes *codes, struct resolved *out)
{
	struct stall *stall = &out->stall;

	stall->frames = out->frames;
	stall->stack_at_ns = -1;
	if (!view->frame_cnt) {
		stall->stack_reason = "no sample or long block fell into it";
		if (view->cut)
			stall->stack_reason = reason_of_cut(view->cut);
		else if (evidence && evidence->cut)
			stall->stack_reason = reason_of_cut(evidence->cut);
		else if (slow->cut)
			stall->stack_reason = reason_of_cut(slow->cut);
		return;
	}
	for (uint32_t i = 0; i < view->frame_cnt && i < AP_FRAMES_MAX; i++) {
		codes__resolve(codes, stall->pid, &view->frames[i], &out->frames[i]);
		stall->frame_cnt++;
	}
	stall->stack_reason = reason_of_cut(view->cut);
	stall->stack_at_ns = 0;
	if (view->ts > slow->start_ts)
		stall->stack_at_ns = (int64_t)(view->ts - slow->start_ts);
	stall->file = out->frames[0].file;
	stall->line = out->frames[0].line;
}

/* It ran an eager task inside, and the stack is of that one: the time is its own. */
static void set_child(const struct evidence *evidence, uint64_t number, struct stall *stall)
{
	const struct evidence_child *child = evidence_child(evidence, number);

	if (!child)
		return;
	stall->kind = STALL_TASK;
	stall->task = child->task;
	stall->coro = child->coro;
	stall->callback = NULL;
	stall->eager = true;
}

static void set_fd(const struct ap_place *place, const struct ap_block *block, struct resolved *out)
{
	struct stall_fd *fd = &out->stall.fd;

	if (block && block->fd >= 0) {
		fd->num = block->fd;
		fd->kind = fd_kind_of_file(&block->file);
		if (fd_peer(&block->file, out->words, sizeof(out->words)))
			fd->peer = out->words;
		else if (fd_path(&block->file, out->words, sizeof(out->words)))
			fd->path = out->words;
	} else if (block && fd_path(&block->file, out->words, sizeof(out->words))) {
		fd->path = out->words;
	} else if (place && place->fd >= 0) {
		fd->num = place->fd;
		fd->kind = fd_kind_of_place(place);
	}
}

/*
 * time.sleep() is clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME) from 3.11 on
 * and select() before (pysleep, Modules/timemodule.c). usleep() and nanosleep(),
 * as in sqlite3's busy handler, are clock_nanosleep(CLOCK_REALTIME, 0).
 */
static bool is_native_sleep(const struct ap_block *block)
{
	const char *name = syscall_name(block->syscall);

	if (!name || !strcmp(name, "nanosleep"))
		return name;
	return !strcmp(name, "clock_nanosleep") && !(block->arg[0] == 1 && block->arg[1] == 1);
}

static void set_holder(const struct ap_block *block, struct codes *codes, struct stall *stall)
{
	if (!block || block->off != AP_OFF_GIL || (!block->holder_tid && !block->holder.code))
		return;
	stall->holder_known = true;
	stall->holder_tid = block->holder_tid;
	if (block->holder.code)
		codes__resolve(codes, stall->pid, &block->holder, &stall->holder);
}

static void set_verdict(const struct ap_slow *slow, const struct evidence *evidence,
			struct codes *codes, struct resolved *out)
{
	enum fd_kind fd[AP_PLACES_MAX] = {};
	const struct evidence_line *line;
	const struct ap_place *place = NULL;
	const struct ap_block *block = NULL;
	struct stall *stall = &out->stall;
	struct cause_verdict verdict;
	struct view view = {};
	bool on_cpu;
	uint32_t i, j;

	for (i = 0; i < AP_PLACES_MAX; i++) {
		fd[i] = fd_kind_of_place(&slow->place[i]);
		/* A block saw more of the same fd: pidfds and epoll fds tell by their file system.
		 */
		for (j = 0; evidence && j < evidence->block_cnt; j++) {
			block = evidence->blocks[j];
			if (block->syscall == slow->place[i].syscall &&
			    block->fd == slow->place[i].fd && block->file.mode)
				fd[i] = fd_kind_of_file(&block->file);
		}
	}
	verdict = cause_decide(slow, &stall->budget, fd);
	stall->cause = verdict.cause;
	stall->causes = verdict.causes;
	on_cpu = verdict.cause == CAUSE_CPU || verdict.cause == CAUSE_LOOP;

	block = on_cpu ? NULL : longest_block(evidence, verdict.cause, slow->hi_ts);
	line = most_sampled(evidence, codes);
	if (verdict.place >= 0)
		place = &slow->place[verdict.place];
	if (block) {
		stall->syscall = syscall_name(block->syscall);
	} else if (place) {
		stall->syscall = syscall_name(place->syscall);
	} else if (on_cpu && evidence) {
		stall->syscall = syscall_name(evidence_syscall(evidence));
	}
	if (!on_cpu)
		set_fd(place, block, out);
	stall->native_sleep = verdict.cause == CAUSE_SLEEP && block && is_native_sleep(block);
	set_holder(block, codes, stall);

	/* Better a stack of something else that it waited for than none at all. */
	if (!block && !line)
		block = longest_block(evidence, CAUSE_CNT, slow->hi_ts);
	if (block && (block->stack.cnt || !line))
		view = (struct view){block->stack.frame, block->stack.cnt, block->stack.cut,
				     block->out_ts, block->child};
	else if (line)
		view = (struct view){line->frames, line->frame_cnt, line->cut, line->ts,
				     line->child};
	set_child(evidence, view.child, stall);
	set_stack(slow, evidence, &view, codes, out);
}

static int64_t between_ns(uint64_t from, uint64_t to, uint64_t without)
{
	uint64_t ns = to > from ? to - from : 0;

	ns -= without < ns ? without : ns;
	return ns <= INT64_MAX ? (int64_t)ns : INT64_MAX;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = text ? strlen(text) : 0;

	return len >= strlen(end) && !strcmp(text + len - strlen(end), end);
}

/*
 * The coroutine of a Task that is written in Python (Lib/asyncio/tasks.py): what
 * its `__step` called. Its name in the task object can't be read as a C task's can.
 */
static const char *coro_under_step(const struct stall *stall)
{
	size_t i;

	for (i = stall->frame_cnt; i-- > 1;) {
		if (!ends_with(stall->frames[i].func, "__step"))
			continue;
		/* 3.12 put a function in between. */
		if (i > 1 && ends_with(stall->frames[i - 1].func, "__step_run_and_handle_result"))
			i--;
		return stall->frames[i - 1].func;
	}
	return NULL;
}

/* Puts what was seen at attach, and while it went on, into the record that closes it. */
static void complete(struct ap_slow *slow, const struct evidence *evidence)
{
	const struct ap_block *asleep;
	uint64_t until_ts;

	if (evidence->told_lo_ts > slow->lo_ts && evidence->told_lo_ts <= slow->hi_ts)
		slow->lo_ts = evidence->told_lo_ts;
	asleep = evidence_asleep_at_attach(evidence, slow->hi_ts, &until_ts);
	if (!asleep)
		return;
	slow->off_ns[asleep->off] += until_ts - asleep->out_ts;
	if (asleep->off == AP_OFF_SYSCALL && slow->place_cnt < AP_PLACES_MAX)
		slow->place[slow->place_cnt++] = (struct ap_place){
			.ns = until_ts - asleep->out_ts,
			.syscall = asleep->syscall,
			.fd = asleep->fd,
			.cnt = 1,
			.mode = asleep->file.mode,
			.port = asleep->file.port,
			.off = (__u8)asleep->off,
			.family = asleep->file.family,
			.fds = asleep->fds,
			.arg = asleep->arg[1],
		};
}

void resolve_stall(const struct ap_slow *record, const struct evidence *evidence,
		   struct codes *codes, struct resolved *out)
{
	struct ap_slow *slow = &out->slow;
	struct stall *stall = &out->stall;

	*slow = *record;
	/* Of one that goes on the collector has added it all. */
	if (evidence && slow->flags & AP_F_AT_ATTACH && !(slow->flags & AP_F_ONGOING))
		complete(slow, evidence);

	*stall = (struct stall){
		.pid = slow->head.tgid,
		.tid = slow->head.tid,
		.comm = out->comm,
		.loop = slow->loop,
		.kind = evidence_kind(evidence, slow->callee),
		.at_attach = slow->flags & AP_F_AT_ATTACH,
		.ongoing = slow->flags & AP_F_ONGOING,
		.exited = slow->flags & AP_F_EXITED,
		.exact = true,
		.inner_cnt = slow->callee == AP_CALLEE_ITERATION ? slow->inner_cnt : 0,
		.fd = {.num = -1},
		.budget = budget_of(slow),
	};
	memcpy(out->comm, slow->comm, AP_COMM_SZ);
	out->comm[AP_COMM_SZ] = 0;
	if (evidence) {
		stall->task = evidence->task;
		stall->coro = evidence->coro;
		stall->callback = evidence->callback;
		stall->samples_cnt = evidence->samples_cnt;
	}
	stall->budget_known = !stall->at_attach;
	stall->suspended_ns = slow->suspended_ns <= INT64_MAX ? (int64_t)slow->suspended_ns : 0;
	stall->duration_ns = between_ns(slow->start_ts, slow->hi_ts, slow->suspended_ns);
	stall->duration_lo_ns = between_ns(slow->start_ts, slow->lo_ts, slow->suspended_ns);
	if (stall->duration_lo_ns > stall->duration_ns)
		stall->duration_lo_ns = stall->duration_ns;
	set_verdict(slow, evidence, codes, out);
	if (stall->kind == STALL_TASK && !stall->coro)
		stall->coro = coro_under_step(stall);
	if (stall->at_attach)
		stall->duration_ns = -1;
	stall->advice = advice_for(stall);
}
