/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Rule R for loops that have no Python frames of their own: uvloop, which is C
 * all the way from run_forever to the callback. There is no `_run` and no
 * `_run_once`; at each entry of its functions the current frame is the one
 * that called run_forever, and it stands for both.
 *
 *  - A callback begins at the loop's own Context_Enter and ends at its Context_Exit
 *    (uvloop/cbhandles.pyx, Handle._run): the end itself, not an upper bound.
 *    They lie in each other when the loop runs a batch; the outer one has the
 *    time between, not the time inside.
 *  - Before 0.23 what a transport calls (data_received, the protocol factory)
 *    comes through Context.run() instead, with that frame as its caller: it ends
 *    at the next event, as asyncio's do, and never by a sample, since a protocol
 *    may be C code (asyncpg's is) without a frame to see.
 *
 * No register says whom the loop calls: a task's own entry does, else the frame
 * right above.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"

#define SYS_EPOLL_WAIT 232
#define SYS_EPOLL_PWAIT 281

/* The current callback, if it is one of the loop that `frame` runs. */
static __always_inline struct ap_open *foreign_top(struct ap_thread *t, __u64 frame, __u64 previous)
{
	struct ap_open *o;

	if (!t->depth)
		return NULL;
	o = thread_top(t);
	return o->flags & AP_F_FOREIGN && o->run == frame && o->run_prev == previous ? o : NULL;
}

static __always_inline void foreign_open(struct ap_thread *t, __u64 frame, __u64 previous,
					 __u32 flags, __u64 now)
{
	struct ap_open *o;

	if (t->foreign != frame || t->last_forever != previous) {
		t->foreign = frame;
		t->foreign_fd = 0;
		t->last_prev = 0;
		t->last_once = frame;
		t->last_forever = previous;
		t->last_root = rule_root(t, frame);
		t->last_loop = t->run_frame == frame ? t->run_loop : 0;
	}
	o = rule_open(t, t->depth);
	rule_begin(t, o, now);
	o->flags = AP_F_FOREIGN | flags;
	o->run = frame;
	o->run_prev = previous;
	o->run_lasti = 0;
	o->once = frame;
	o->forever = previous;
	o->root = t->last_root;
	o->loop = t->last_loop;
	o->callback = o->qualname = 0;
	o->type = o->word2 = o->word3 = o->word6 = 0;
	t->iteration.inner_cnt++;
	thread_has_loop(t);
	t->depth++;
	t->changes++;
}

static __always_inline void foreign_enter(struct ap_thread *t, __u64 context)
{
	__u64 frame = calling_frame(t), code, previous, now;
	struct ap_open *outer;

	t->account.hits++;
	if (!frame || ap_read_caller(&t->layout, frame, &code, &previous)) {
		t->account.ignored[AP_IGN_UNREADABLE]++;
		return;
	}
	now = bpf_ktime_get_ns();
	if (t->pending)
		sched_settle(t);
	outer = foreign_top(t, frame, previous);
	if (outer && !(outer->flags & AP_F_LEAVES)) {
		rule_close(t, t->depth - 1, AP_END_NEXT, now);
	} else if (outer && !outer->suspend_ts) {
		outer->suspend_ts = now;
		if (!(outer->flags & AP_F_BATCH))
			t->iteration.inner_cnt--;
		outer->flags |= AP_F_BATCH;
	} else if (t->depth && !outer && frame != t->run_frame) {
		int under = rule_sweep(t, frame, AP_END_SWEEP, now);

		/* A callback that has its loop enter a context is still the same callback. */
		if (under && rule_open(t, under - 1)->flags & AP_F_FOREIGN) {
			t->account.ignored[AP_IGN_CALLER]++;
			return;
		}
	}
	if (t->depth >= AP_OPEN_MAX) {
		t->account.ignored[AP_IGN_FULL]++;
		return;
	}
	foreign_open(t, frame, previous, AP_F_LEAVES, now);
	thread_top(t)->callback = context;
}

/* Context_Enter(context) of uvloop's own (uvloop/includes/compat.h). */
SEC("uprobe")
int on_context_enter(struct pt_regs *ctx)
{
	struct ap_thread *t = thread_get(1);

	if (!t)
		return 0;
	thread_enter(t);
	foreign_enter(t, ctx->di);
	thread_leave(t);
	return 0;
}

static __always_inline void foreign_leave(struct ap_thread *t, __u64 context)
{
	__u64 now = bpf_ktime_get_ns();
	struct ap_open *o;
	__u32 index = t->depth;
	int i;

	/* Another greenlet's may lie above it. */
	for (i = 0; i < AP_OPEN_MAX; i++) {
		if (!index)
			return;
		index--;
		o = rule_open(t, index);
		if (o->flags & AP_F_LEAVES && o->callback == context)
			break;
	}
	if (i == AP_OPEN_MAX)
		return;
	rule_open(t, index)->lo_ts = now;
	rule_close(t, index, AP_END_LEFT, now);
	o = thread_top(t);
	if (t->depth && o->flags & AP_F_LEAVES && o->suspend_ts) {
		o->suspended_ns += now - o->suspend_ts;
		o->suspend_ts = 0;
	}
}

SEC("uprobe")
int on_context_exit(struct pt_regs *ctx)
{
	struct ap_thread *t = thread_find();

	if (!t)
		return 0;
	t->account.foreign_hits++;
	if (!t->depth)
		return 0;
	thread_enter(t);
	foreign_leave(t, ctx->di);
	thread_leave(t);
	return 0;
}

/* A step of a task: is it what the current callback is for? A task may step another (eager ones). */
static __always_inline int foreign_step(__u64 task)
{
	struct ap_thread *t = thread_find();
	struct ap_open *o;

	if (!t)
		return 0;
	t->account.foreign_hits++;
	if (!t->depth)
		return 0;
	o = thread_top(t);
	if (!(o->flags & AP_F_LEAVES) || o->flags & AP_F_TASK || o->named)
		return 0;
	thread_enter(t);
	if (calling_frame(t) == o->run) {
		o->word2 = task;
		o->flags |= AP_F_TASK;
	}
	thread_leave(t);
	return 0;
}

/* tp_call of TaskStepMethWrapper, and of 3.8's and 3.9's TaskWakeupMethWrapper: their task lies at +16. */
SEC("uprobe")
int on_task_step(struct pt_regs *ctx)
{
	return foreign_step(read_word(ctx->di + 16));
}

/* task_wakeup(task, future), 3.10+. */
SEC("uprobe")
int on_task_wakeup(struct pt_regs *ctx)
{
	return foreign_step(ctx->di);
}

/* context_run was entered, not from a Handle._run: by a foreign loop? 0: no. */
__noinline int foreign_run(struct ap_thread *t, __u64 frame, __u64 previous, __u64 args)
{
	struct ap_open *outer, *o;
	__u64 now;

	if (!t || !frame || t->foreign != frame || t->last_forever != previous)
		return 0;
	outer = foreign_top(t, frame, previous);
	/* C code that the loop called has called Context.run() itself. */
	if (outer && outer->flags & AP_F_LEAVES)
		return 0;
	now = bpf_ktime_get_ns();
	if (t->pending)
		sched_settle(t);
	if (outer)
		rule_close(t, t->depth - 1, AP_END_NEXT, now);
	if (t->depth >= AP_OPEN_MAX)
		return 0;
	foreign_open(t, frame, previous, 0, now);
	o = thread_top(t);
	o->callback = read_word(args);
	if (ap_read(o->word, sizeof(o->word), o->callback))
		o->type = 0;
	o->qualname = t->layout.function_qualname == 40 ?
			      o->word5 :
			      read_word(o->callback + t->layout.function_qualname);
	return 1;
}

/*
 * Is it the loop's own poll? C code that it calls may poll as well, with the same
 * frame, but not on the loop's descriptor.
 */
__noinline int foreign_poll(struct ap_thread *t, __u64 frame, __u64 nr, __u64 fd)
{
	if (!t || frame != t->foreign || (nr != SYS_EPOLL_WAIT && nr != SYS_EPOLL_PWAIT))
		return 0;
	if (!t->foreign_fd) {
		if (t->depth && thread_top(t)->flags & AP_F_LEAVES)
			return 0;
		t->foreign_fd = (__u32)fd + 1ULL;
	}
	return t->foreign_fd == (__u32)fd + 1ULL;
}

/* The loop that `frame` runs polls or ends: nothing of it is open, also if we missed an end. */
__noinline int foreign_close(struct ap_thread *t, __u64 frame, __u32 end, __u64 now)
{
	int i;

	if (!t || !frame)
		return 0;
	for (i = 0; i < AP_OPEN_MAX; i++) {
		struct ap_open *o = thread_top(t);

		if (!t->depth || !(o->flags & AP_F_FOREIGN) || o->run != frame)
			break;
		rule_close(t, t->depth - 1, end, now);
	}
	return 0;
}
