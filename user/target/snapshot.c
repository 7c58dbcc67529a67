/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One look at every thread, in the words of record.h, so that the model can't
 * tell it from what the kernel programs send.
 *
 * It must never report a callback whose frame could not be read twice the
 * same: the thread runs on while we read.
 */
#include "target/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "target/code.h"
#include "target/frames.h"
#include "target/syscall.h"

#define TRIES	    3 /* walks of a running thread: one in a hundred is torn */
#define FIRST_SEQ   1
#define OBJECT_TYPE 8 /* PyObject.ob_type, builds with a GIL */

/* One thread that runs a loop. */
struct seen {
	pid_t tid;
	struct ap_thread thread;
	struct ap_name name; /* of open[0], while it was certainly there */
};

struct snapshot {
	const struct process *process;
	struct memory *memory;
	const struct interpreter *interpreter;
	size_t cnt;
	struct seen **seen;
	unsigned int unread;
	int borrowed;
};

/* The tids of the target, as we and as the threads themselves know them. */
struct tids {
	size_t cnt;
	pid_t *outer, *inner;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct ap_head head(const struct process *p, pid_t tid, enum ap_kind kind, size_t size)
{
	return (struct ap_head){kind, (uint32_t)size, (uint32_t)process_pid(p), (uint32_t)tid,
				now_ns()};
}

static int read_tids(const struct process *p, struct tids *out)
{
	int cnt;

	out->outer = calloc(SNAPSHOT_THREADS_MAX, sizeof(pid_t));
	out->inner = calloc(SNAPSHOT_THREADS_MAX, sizeof(pid_t));
	if (!out->outer || !out->inner)
		return -ENOMEM;
	cnt = process_threads(p, out->outer, SNAPSHOT_THREADS_MAX);
	if (cnt < 0)
		return cnt;
	out->cnt = (size_t)cnt;
	for (size_t i = 0; i < out->cnt; i++)
		out->inner[i] = process_inner_tid(p, out->outer[i]);
	return 0;
}

/* Each once: thousands of thread states that say they are one thread's are not looked at. */
static pid_t take_tid(struct tids *tids, uint64_t inner)
{
	for (size_t i = 0; inner && i < tids->cnt; i++) {
		if ((uint64_t)tids->inner[i] == inner) {
			tids->inner[i] = 0;
			return tids->outer[i];
		}
	}
	return 0;
}

/*
 * Before 3.11 a thread state knows pthread_self() only, which the kernel does
 * not tell of other threads. New states go to the head of the list
 * (Python/pystate.c, new_threadstate), so the last one is the main thread's.
 */
static pid_t thread_tid(struct snapshot *s, struct tids *tids, uint64_t tstate, int is_last)
{
	const struct ap_layout *l = &s->interpreter->layout;
	uint64_t native = 0;

	if (l->thread_native_id == AP_NO_OFFSET)
		return is_last ? process_pid(s->process) : 0;
	if (memory_read(s->memory, tstate + l->thread_native_id, &native, sizeof(native)))
		return 0;
	return take_tid(tids, native);
}

/* The callback of a handle, 0: none that could be one. */
static uint64_t handle_callback(struct memory *m, const struct ap_layout *l, uint64_t handle)
{
	uint64_t at = 0;

	if (!handle || memory_read(m, handle + l->handle_callback, &at, sizeof(at)) || at < 4096 ||
	    at >= 1ULL << 47 || (at & 7))
		return 0;
	return at;
}

/* 56 bytes at the callback, the words that the kernel program keeps of it. */
static void read_callback(struct snapshot *s, uint64_t handle, struct ap_open *open)
{
	const struct ap_layout *l = &s->interpreter->layout;
	uint64_t at = handle_callback(s->memory, l, handle), word[7];

	if (!at || memory_read(s->memory, at, word, sizeof(word)))
		return;
	open->callback = at;
	open->type = word[1];
	open->word2 = word[2];
	open->word3 = word[3];
	open->word6 = word[6];
	if (memory_read(s->memory, at + l->function_qualname, &open->qualname,
			sizeof(open->qualname)))
		open->qualname = 0;
}

/* Fills a thread from where its loop stands. 1: a callback is open and still was after the read. */
static int fill_open(struct snapshot *s, struct frames *f, const struct frames_loop *loop,
		     struct seen *seen)
{
	struct ap_thread *t = &seen->thread;
	struct ap_open *open = &t->open[0];
	struct ap_stack *stack = &t->sample.stack;

	open->seq = FIRST_SEQ;
	open->flags = AP_F_AT_ATTACH;
	open->run = loop->run;
	open->run_prev = loop->run_prev;
	open->once = loop->once;
	open->forever = loop->forever;
	open->root = loop->root;
	open->loop = loop->loop;
	/* Another class's `_run` may keep its callback elsewhere. */
	if (frames_class(f, loop->run_code) == FRAMES_RUN) {
		t->run_code = loop->run_code;
		read_callback(s, loop->handle, open);
	}
	if (open->type)
		code_read_name(s->memory, &t->layout, open, &seen->name);
	seen->name.seq = open->seq;
	open->callee = seen->name.callee;
	if (frames_look(f, frames_current(f, t->tstate), open, stack) != AP_SEEN_UNDER)
		return 0;
	open->start_ts = open->lo_ts = now_ns();
	open->named = 1;
	t->last_prev = loop->run_prev;
	t->last_once = loop->once;
	t->last_forever = loop->forever;
	t->last_root = loop->root;
	t->last_loop = loop->loop;
	t->seq = FIRST_SEQ;
	t->depth = 1;
	t->account.attach_opened = 1;
	return 1;
}

static void read_comm(const struct process *p, pid_t tid, char comm[AP_COMM_SZ])
{
	char name[64];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "task/%d/comm", (int)tid);
	fd = process_open_file(p, name);
	if (fd < 0)
		return;
	n = read(fd, comm, AP_COMM_SZ - 1);
	close(fd);
	for (ssize_t i = 0; i < n; i++) {
		if (comm[i] == '\n')
			comm[i] = '\0';
	}
}

static struct seen *new_seen(struct snapshot *s, uint64_t tstate, pid_t tid,
			     const struct ap_target *target)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	if (!seen)
		return NULL;
	seen->tid = tid;
	seen->thread.tgid = (uint32_t)process_pid(s->process);
	seen->thread.tid = (uint32_t)tid;
	seen->thread.layout = target->layout;
	seen->thread.gil_holder = target->gil_holder;
	seen->thread.threshold_ns = target->threshold_ns;
	seen->thread.long_ns = target->long_ns;
	seen->thread.collecting = target->collecting;
	seen->thread.method_type = target->method_type;
	seen->thread.has_loop_probe = target->has_loop_probe;
	seen->thread.record = target->record;
	seen->thread.tstate = tstate;
	read_comm(s->process, tid, seen->thread.comm);
	return seen;
}

/*
 * A thread that runs uvloop. Its callback, if it is in one: no object tells whose it is, only the
 * frame that the loop called; and no Context_Exit can be told to be its end, but what comes next is.
 */
static int fill_foreign(struct snapshot *s, struct frames *f, const struct frames_foreign *loop,
			struct seen *seen)
{
	struct ap_thread *t = &seen->thread;
	struct ap_open *open = &t->open[0];
	struct ap_text_name *name = loop->coroutine ? &seen->name.coro : &seen->name.callback;
	uint64_t qualname = 0;

	t->foreign = t->last_once = loop->run;
	t->last_forever = loop->run_prev;
	t->last_root = loop->root;
	if (!loop->callee)
		return 0;
	open->seq = FIRST_SEQ;
	open->flags = AP_F_AT_ATTACH | AP_F_FOREIGN;
	open->run = open->once = loop->run;
	open->run_prev = open->forever = loop->run_prev;
	open->root = loop->root;
	if (!memory_read(s->memory,
			 loop->generator ? loop->generator + f->layout->coro_qualname :
					   loop->callee + f->layout->code_qualname,
			 &qualname, sizeof(qualname)))
		code_read_text(s->memory, f->layout, qualname, &name->text, name->data,
			       sizeof(name->data));
	seen->name.seq = open->seq;
	seen->name.callee = loop->coroutine ? AP_CALLEE_TASK : AP_CALLEE_UNKNOWN;
	if (frames_look(f, frames_current(f, t->tstate), open, &t->sample.stack) != AP_SEEN_UNDER)
		return 0;
	open->start_ts = open->lo_ts = now_ns();
	open->named = 1;
	t->seq = FIRST_SEQ;
	t->depth = 1;
	t->account.attach_opened = 1;
	return 1;
}

/* 1: it runs uvloop, and `seen` says where it stands. */
static int look_foreign(struct snapshot *s, struct seen *seen)
{
	struct frames f = {.memory = s->memory, .layout = &s->interpreter->layout};
	struct frames_foreign loop;
	int found = 0, open = 0;

	for (unsigned int i = 0; i < TRIES && !open; i++) {
		struct seen fresh = *seen;

		if (frames_find_foreign(&f, frames_current(&f, seen->thread.tstate), &loop) <= 0)
			continue;
		found = 1;
		open = fill_foreign(s, &f, &loop, &fresh);
		if (open || !loop.callee)
			*seen = fresh;
	}
	return found;
}

/* 0, or a negative errno. What can't be walked is counted, not an error. */
static int look_at(struct snapshot *s, uint64_t tstate, pid_t tid, const struct ap_target *target)
{
	struct frames f;
	struct frames_loop loop;
	struct seen *seen;
	int found = 0, ever = 0, open = 0;

	seen = new_seen(s, tstate, tid, target);
	if (!seen)
		return -ENOMEM;
	for (unsigned int i = 0; i < TRIES && !open; i++) {
		struct seen fresh;

		memset(&f, 0, sizeof(f));
		f.memory = s->memory;
		f.layout = &s->interpreter->layout;
		found = frames_find_loop(&f, frames_current(&f, tstate), &loop);
		ever |= found;
		if (found <= 0)
			continue;
		/* A run without a callback is final only when the thread polls; look again either
		 * way. */
		if (!loop.has_run)
			continue;
		fresh = *seen;
		open = fill_open(s, &f, &loop, &fresh);
		if (open)
			*seen = fresh;
	}
	if (!found && s->interpreter->uvloop)
		found = look_foreign(s, seen);
	else if (!ever && !s->interpreter->foreign)
		s->borrowed |= frames_run_borrowed(&f, frames_current(&f, tstate));
	seen->thread.plain = !found;
	seen->thread.out_ts = now_ns();
	if (found > 0 || (!found && target->record & AP_REC_THREADS)) {
		s->seen[s->cnt++] = seen;
		return 0;
	}
	if (found < 0)
		s->unread++;
	free(seen);
	return 0;
}

int snapshot__take(const struct process *p, struct memory *m, const struct interpreter *in,
		   const struct ap_target *target, struct snapshot **out)
{
	struct frames f = {.memory = m, .layout = &in->layout};
	struct snapshot *s = calloc(1, sizeof(*s));
	uint64_t *tstate = calloc(SNAPSHOT_THREADS_MAX, sizeof(*tstate));
	struct tids tids = {0};
	int err = -ENOMEM, cnt;

	*out = NULL;
	if (!s || !tstate)
		goto out;
	s->process = p;
	s->memory = m;
	s->interpreter = in;
	s->seen = calloc(SNAPSHOT_THREADS_MAX, sizeof(struct seen *));
	if (!s->seen)
		goto out;
	err = read_tids(p, &tids);
	if (err)
		goto out;
	cnt = frames_threads(&f, in->main_interpreter, tstate, SNAPSHOT_THREADS_MAX);
	err = cnt < 0 ? cnt : 0;
	for (int i = 0; !err && i < cnt; i++) {
		pid_t tid = thread_tid(s, &tids, tstate[i], i == cnt - 1);

		if (tid)
			err = look_at(s, tstate[i], tid, target);
		else
			s->unread++;
	}
	if (!err) {
		*out = s;
		s = NULL;
	}
out:
	snapshot__free(s);
	free(tstate);
	free(tids.outer);
	free(tids.inner);
	return err;
}

void snapshot__free(struct snapshot *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->cnt; i++)
		free(s->seen[i]);
	free(s->seen);
	free(s);
}

size_t snapshot_cnt(const struct snapshot *s)
{
	return s->cnt;
}

unsigned int snapshot_unread(const struct snapshot *s)
{
	return s->unread;
}

int snapshot_borrowed(const struct snapshot *s)
{
	return s->borrowed;
}

const struct ap_thread *snapshot_thread(const struct snapshot *s, size_t i, pid_t *tid)
{
	if (i >= s->cnt)
		return NULL;
	*tid = s->seen[i]->tid;
	return &s->seen[i]->thread;
}

static void emit_code(const struct process *p, struct memory *m, const struct interpreter *in,
		      pid_t tid, uint64_t code, snapshot_emit emit, void *ctx)
{
	struct ap_code *c;

	if (code_read(m, &in->layout, in->code_type, code, (uint32_t)process_pid(p), (uint32_t)tid,
		      &c))
		return;
	emit(ctx, &c->head);
	free(c);
}

static void emit_stack_codes(const struct process *p, struct memory *m,
			     const struct interpreter *in, pid_t tid, const struct ap_stack *stack,
			     snapshot_emit emit, void *ctx)
{
	for (uint32_t i = 0; i < stack->cnt; i++) {
		uint32_t k = 0;

		/* Recursion: each code once. */
		while (k < i && stack->frame[k].code != stack->frame[i].code)
			k++;
		if (k == i)
			emit_code(p, m, in, tid, stack->frame[i].code, emit, ctx);
	}
}

/* Who has the GIL that the thread waits for. `locked` follows last_holder (pycore_gil.h). */
static void note_holder(const struct process *p, struct memory *m, const struct interpreter *in,
			uint64_t own, struct ap_block *b)
{
	struct frames f = {.memory = m, .layout = &in->layout};
	uint64_t tstate = 0, native = 0;
	int32_t locked = 0;

	if (memory_read(m, in->gil_holder, &tstate, sizeof(tstate)) ||
	    memory_read(m, in->gil_holder + 8, &locked, sizeof(locked)) || locked != 1 || !tstate ||
	    tstate == own)
		return;
	if (in->layout.thread_native_id != AP_NO_OFFSET &&
	    !memory_read(m, tstate + in->layout.thread_native_id, &native, sizeof(native)))
		b->holder_tid = (uint32_t)process_find_tid(p, (pid_t)native);
	frames_first(&f, frames_current(&f, tstate), &b->holder);
}

/* One AP_BLOCK of a sleeping thread, or one AP_SAMPLE of a running one, with the code before it. */
static void emit_stack(const struct process *p, struct memory *m, const struct interpreter *in,
		       pid_t tid, const struct ap_thread *t, uint64_t seq, enum ap_seen seen,
		       const struct ap_stack *stack, snapshot_emit emit, void *ctx)
{
	size_t frames_sz = stack->cnt * sizeof(stack->frame[0]);
	struct ap_block *b = calloc(1, sizeof(*b));
	struct ap_sample *sample = calloc(1, sizeof(*sample));
	int asleep;

	if (!b || !sample)
		goto out;
	emit_stack_codes(p, m, in, tid, stack, emit, ctx);
	asleep = syscall_read(p, m, tid, in->gil_holder, b);
	if (asleep < 0)
		goto out;
	if (asleep) {
		if (b->off == AP_OFF_GIL)
			note_holder(p, m, in, t->tstate, b);
		if (b->holder.code)
			emit_code(p, m, in, tid, b->holder.code, emit, ctx);
		b->head =
			head(p, tid, AP_BLOCK, offsetof(struct ap_block, stack.frame) + frames_sz);
		b->seq = seq;
		b->out_ts = b->head.ts;
		b->seen = seen;
		b->stack = *stack;
		emit(ctx, &b->head);
	} else {
		int32_t collecting = 0;

		if (in->collecting)
			memory_read(m, in->collecting, &collecting, sizeof(collecting));
		sample->head = head(p, tid, AP_SAMPLE,
				    offsetof(struct ap_sample, stack.frame) + frames_sz);
		sample->seq = seq;
		sample->syscall = -1;
		sample->mode = AP_MODE_USER;
		sample->collecting = collecting == 1;
		sample->seen = seen;
		sample->stack = *stack;
		emit(ctx, &sample->head);
	}
out:
	free(b);
	free(sample);
}

void snapshot_records(const struct snapshot *s, size_t i, snapshot_emit emit, void *ctx)
{
	struct seen *seen = i < s->cnt ? s->seen[i] : NULL;

	if (!seen || !seen->thread.depth)
		return;
	seen->name.head = head(s->process, seen->tid, AP_NAME, sizeof(seen->name));
	emit(ctx, &seen->name.head);
	emit_stack(s->process, s->memory, s->interpreter, seen->tid, &seen->thread, FIRST_SEQ,
		   AP_SEEN_UNDER, &seen->thread.sample.stack, emit, ctx);
}

/*
 * The next callback's `_run` may lie in the same memory with the same caller
 * (from 3.11 it always does): the handle that runs tells. A handle that was
 * cancelled meanwhile has None for a callback (Lib/asyncio/events.py, cancel()).
 */
static int is_another(struct memory *m, const struct interpreter *in, const struct ap_open *open)
{
	struct frames f = {.memory = m, .layout = &in->layout};
	uint64_t handle, at, type = 0;

	if (!open->callback || open->callee == AP_CALLEE_SIGNAL ||
	    frames_class(&f, frames_code(&f, open->run)) != FRAMES_RUN)
		return 0;
	handle = frames_self(&f, open->run);
	at = handle_callback(m, &in->layout, handle);
	if (!at || at == open->callback)
		return 0;
	return memory_read(m, at + OBJECT_TYPE, &type, sizeof(type)) ||
	       !code_is_type(m, &in->layout, type, "NoneType");
}

int snapshot_look(const struct process *p, struct memory *m, const struct interpreter *in,
		  pid_t tid, const struct ap_thread *t, const struct ap_open *open,
		  snapshot_emit emit, void *ctx)
{
	const struct ap_layout *l = &in->layout;
	struct ap_stack *stack = calloc(1, sizeof(*stack));
	enum ap_seen seen = AP_SEEN_ELSEWHERE;
	uint64_t native = 0;
	int err = -ENOMEM;

	if (!stack)
		goto out;
	/* A thread state is freed with its thread, and its memory used for the next one's. */
	err = 0;
	if (l->thread_native_id != AP_NO_OFFSET) {
		err = memory_read(m, t->tstate + l->thread_native_id, &native, sizeof(native));
		if (!err && native != (uint64_t)process_inner_tid(p, tid))
			err = -ESRCH;
	}
	if (err)
		goto out;
	for (unsigned int i = 0; i < TRIES && seen != AP_SEEN_UNDER; i++) {
		struct frames f = {.memory = m, .layout = l};

		seen = frames_look(&f, frames_current(&f, t->tstate), open, stack);
	}
	if (seen == AP_SEEN_UNDER && is_another(m, in, open))
		seen = AP_SEEN_OVER;
	if (emit)
		emit_stack(p, m, in, tid, t, open->seq, seen, stack, emit, ctx);
out:
	free(stack);
	return err ? err : (int)seen;
}
