/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The loop polls: its callbacks are over, an iteration ends. Whose poll it is
 * the frame chain says (select <- _run_once), not the descriptor: descriptors
 * are used again, and a callback may poll a selector of its own, which is a
 * stall like any other.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"

/* Errors of a poll that a signal interrupted (include/linux/errno.h: ERESTART*). */
#define EINTR 4
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

/*
 * Is it a loop's own poll? The frame that polls is _run_once itself (a loop
 * that polls from C), its callee `select`, or one more in between (a selector
 * that wraps another). Fills the thread's last_once and so on if so.
 */
static __always_inline int own_poll(struct ap_thread *t, __u64 frame)
{
	__u64 code, previous, once_code, forever;

	if (ap_read_caller(&t->layout, frame, &code, &previous) || ap_is_run(t, code))
		return 0;
	/* A signal's handler runs above the frame that polls. It may sleep in select (3.8-3.10). */
	if (t->depth && thread_top(t)->callee == AP_CALLEE_SIGNAL && frame != thread_top(t)->run)
		return 0;
	if (t->last_once && (frame == t->last_once || previous == t->last_once))
		return 1;
	if (ap_read_caller(&t->layout, previous, &once_code, &forever))
		return 0;
	if (t->last_once && forever == t->last_once)
		return !ap_is_run(t, once_code);
	/* Before 3.11 a kept traceback can hold a _run_once frame: the next call has another. */
	if (rule_class(t, once_code) != CODE_NAMED_ONCE)
		return 0;
	rule_resolve(t, previous);
	return 1;
}

/* A callback that is still open around a nested run of its own loop is suspended from here on. */
static __always_inline void suspend_outer(struct ap_thread *t, __u32 under, __u64 now)
{
	struct ap_open *o = rule_open(t, under - 1);

	if (o->suspend_ts || t->last_once == o->once || t->last_loop != o->loop)
		return;
	/* What it waited for until now is its own. */
	sched_settle(t);
	o->suspend_ts = now;
}

/* Without the probe code after asyncio.run() would look like an iteration that goes on. */
static __always_inline int has_loop_probe(struct ap_thread *t)
{
	__u32 tgid = t->tgid;
	struct ap_target *target = bpf_map_lookup_elem(&targets, &tgid);

	return target && target->has_loop_probe;
}

/* What the iteration did beside the callbacks that were reported, if that is slow in itself. */
static __always_inline void iteration_end(struct ap_thread *t, __u64 now)
{
	struct ap_open *o = &t->iteration;
	__u64 busy;

	if (!o->start_ts)
		return;
	busy = now - o->start_ts;
	t->account.busy_ns += busy;
	sched_settle(t);
	if (busy - o->slow_ns >= t->threshold_ns && has_loop_probe(t)) {
		o->lo_ts = now;
		slow_send(t, RULE_ITERATION, AP_END_POLL, now);
	}
	o->start_ts = 0;
}

static __always_inline void poll_enter(struct ap_thread *t, __u64 frame, __u64 nr, __u64 fd,
				       __u64 now)
{
	int own = t->foreign ? foreign_poll(t, frame, nr, fd) : own_poll(t, frame);
	int under = 0;

	if (own && t->foreign)
		foreign_close(t, frame, AP_END_POLL, now);
	if (t->depth == 1 && own && thread_top(t)->once == t->last_once)
		rule_close(t, 0, AP_END_POLL, now);
	else if (t->depth)
		under = rule_sweep(t, frame, AP_END_POLL_SWEEP, now);
	if (under > 0 && own)
		suspend_outer(t, under, now);
	if (!own || t->depth)
		return;
	iteration_end(t, now);
	thread_has_loop(t);
	t->account.iterations++;
	t->poll_run_delay = bpf_get_current_task_btf()->sched_info.run_delay;
	t->poll_start = now;
}

SEC("tracepoint")
int on_poll_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct ap_thread *t = thread_find();
	__u64 frame;

	if (!t)
		return 0;
	t->account.polls++;
	frame = ap_current_frame(&t->layout, t->tstate);
	if (!frame)
		return 0;
	thread_enter(t);
	/* The number of a system call's own tracepoint is an int (struct syscall_trace_enter). */
	poll_enter(t, frame, (__u32)ctx->id, ctx->args[0], bpf_ktime_get_ns());
	thread_leave(t);
	return 0;
}

/* A signal's Python handler runs inside the interrupted poll: no callback, and the loop is busy. */
static __always_inline void signal_begin(struct ap_thread *t, __u64 now)
{
	__u64 frame = ap_current_frame(&t->layout, t->tstate), code, previous;
	struct ap_open *o = &t->open[0];

	if (!frame || ap_read_caller(&t->layout, frame, &code, &previous))
		return;
	rule_begin(t, o, now);
	o->callee = AP_CALLEE_SIGNAL;
	o->run = frame;
	o->run_prev = previous;
	o->once = t->last_once;
	o->forever = t->last_forever;
	o->root = t->last_root;
	o->loop = t->last_loop;
	o->callback = 0;
	o->type = o->word2 = o->word3 = o->word6 = o->qualname = 0;
	t->account.signal_opened++;
	t->depth = 1;
	t->changes++;
}

static __always_inline void poll_leave(struct ap_thread *t, long result, __u64 now)
{
	__u64 queued = bpf_get_current_task_btf()->sched_info.run_delay - t->poll_run_delay;
	__u64 polled = now - t->poll_start;
	struct ap_open *o = &t->iteration;

	t->account.idle_ns += polled;
	t->account.queued_ns += queued < polled ? queued : polled;
	t->poll_start = 0;
	t->pending = 0;
	rule_begin(t, o, now);
	o->callee = AP_CALLEE_ITERATION;
	o->run = o->run_prev = 0;
	o->once = t->last_once;
	o->forever = t->last_forever;
	o->root = t->last_root;
	o->loop = t->last_loop;
	/* libuv polls again: handlers run in a callback, later. */
	if (t->foreign)
		return;
	if (result == -EINTR || (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK))
		signal_begin(t, now);
}

SEC("tracepoint")
int on_poll_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct ap_thread *t = thread_find();

	/* With a callback open it is another poll's exit than the one that began. */
	if (!t || !t->poll_start || t->depth)
		return 0;
	thread_enter(t);
	poll_leave(t, ctx->ret, bpf_ktime_get_ns());
	thread_leave(t);
	return 0;
}
