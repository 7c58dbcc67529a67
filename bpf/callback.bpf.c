/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The probes on the interpreter: entries of three C functions, never returns.
 * A return probe replaces the return address on the target's stack, and with
 * greenlets or C++ exceptions the target dies of it.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"

/* Is it Handle._run, or a `_run` called by a `_run_once`? */
static __noinline int is_loop_call(struct ap_thread *t, __u64 frame, __u64 code, __u64 previous)
{
	int class = rule_class(t, code);
	__u64 caller_code, caller_previous;
	struct ap_link link = {};

	if (class == CODE_RUN) {
		t->run_code = code;
		/* One call site in Lib/asyncio/events.py, 3.8-3.15. */
		t->run_lasti = rule_link(t, frame, &link) ? 0 : link.lasti;
		return 1;
	}
	if (class != CODE_NAMED_RUN)
		return 0;
	if (ap_read_caller(&t->layout, previous, &caller_code, &caller_previous))
		return 0;
	return rule_class(t, caller_code) == CODE_NAMED_ONCE;
}

static __always_inline void callback_open(struct ap_thread *t, __u64 frame, __u64 code,
					  __u64 previous, __u64 args, __u64 now)
{
	struct ap_open *o, *outer = NULL;

	if (t->depth)
		outer = thread_top(t);
	o = rule_open(t, t->depth);
	rule_begin(t, o, now);
	o->run = frame;
	o->run_prev = previous;
	o->run_lasti = code == t->run_code ? t->run_lasti : 0;
	o->once = t->last_once;
	o->forever = t->last_forever;
	o->root = t->last_root;
	o->loop = t->last_loop;
	o->callback = read_word(args);
	/* Into the map, not the stack: all frames of a call chain share 512 bytes. */
	if (ap_read(o->word, sizeof(o->word), o->callback))
		o->type = 0;
	o->qualname = t->layout.function_qualname == 40 ?
			      o->word5 :
			      read_word(o->callback + t->layout.function_qualname);
	/* An inner run of the same loop suspends the callback that started it. */
	if (outer && outer->loop == o->loop && !outer->suspend_ts)
		outer->suspend_ts = now;
	if (!outer)
		t->iteration.inner_cnt++;
	thread_has_loop(t);
	t->depth++;
	t->changes++;
}

static __always_inline void callback_begin(struct ap_thread *t, __u64 args)
{
	__u64 frame = calling_frame(t), code, previous, now;

	t->account.hits++;
	if (!frame || ap_read_caller(&t->layout, frame, &code, &previous)) {
		t->account.ignored[AP_IGN_UNREADABLE]++;
		return;
	}
	if ((code != t->run_code || !t->run_lasti) && !is_loop_call(t, frame, code, previous)) {
		if (!foreign_run(t, frame, previous, args))
			t->account.ignored[AP_IGN_CALLER]++;
		return;
	}
	now = bpf_ktime_get_ns();
	/* An interval before it does not belong to it. */
	if (t->pending)
		sched_settle(t);
	/*
	 * Frames before 3.11 are heap objects, and one that runs again keeps its address: a new
	 * run_forever may call the same _run_once. Only _set_running_loop tells; without it, look.
	 */
	if (previous != t->last_prev || !t->has_loop_probe)
		rule_resolve(t, previous);
	if (t->depth) {
		if (thread_top(t)->once == t->last_once)
			rule_close(t, t->depth - 1, AP_END_NEXT, now);
		else
			/* From the caller on: from 3.11 every `_run` of a `_run_once` lies in the same memory. */
			rule_sweep(t, previous, AP_END_SWEEP, now);
	}
	if (t->depth >= AP_OPEN_MAX) {
		t->account.ignored[AP_IGN_FULL]++;
		return;
	}
	callback_open(t, frame, code, previous, args, now);
}

/* context_run(self, args, nargs, kwnames): args[0] is the callback (Python/context.c, 3.8-3.15). */
SEC("uprobe")
int on_context_run(struct pt_regs *ctx)
{
	struct ap_thread *t = thread_get(0);

	if (!t)
		return 0;
	thread_enter(t);
	callback_begin(t, ctx->si);
	thread_leave(t);
	return 0;
}

/*
 * _asyncio._set_running_loop(loop): run_forever calls it at its start and at
 * its end, so code after asyncio.run() is never charged to the last callback.
 */
SEC("uprobe")
int on_set_running_loop(struct pt_regs *ctx)
{
	__u32 tgid = pids_current() >> 32;
	struct ap_target *target = bpf_map_lookup_elem(&targets, &tgid);
	struct ap_thread *t = thread_find();
	__u64 now, frame;
	int under;

	if (target)
		__sync_fetch_and_add(&target->run_cnt, 1);
	if (!t)
		return 0;
	thread_enter(t);
	t->account.loop_calls++;
	now = bpf_ktime_get_ns();
	/* A wait of the inner run is not the outer callback's, which goes on from here. */
	sched_settle(t);
	frame = calling_frame(t);
	foreign_close(t, frame, AP_END_LOOP, now);
	under = frame ? rule_sweep(t, frame, AP_END_LOOP, now) : 0;
	if (under > 0 && under <= AP_OPEN_MAX) {
		struct ap_open *o = rule_open(t, under - 1);

		if (o->suspend_ts) {
			o->suspended_ns += now - o->suspend_ts;
			o->suspend_ts = 0;
		}
	}
	t->iteration.start_ts = 0;
	t->poll_start = 0;
	/* From 3.11 the frames of what runs after the loop can lie where its _run_once lay. */
	t->last_prev = 0;
	t->last_once = 0;
	t->foreign = 0;
	t->foreign_fd = 0;
	t->run_frame = frame;
	t->run_loop = ctx->si;
	thread_leave(t);
	return 0;
}

/*
 * Task tp_dealloc(self): the last moment at which a task has a name. Its own
 * last step may still be open, since the next event is what closes it; a step
 * that is on its way to being slow is named now. Never read a task after this.
 */
SEC("uprobe")
int on_task_dealloc(struct pt_regs *ctx)
{
	struct ap_thread *t = thread_find();
	__u64 task = ctx->di, now;
	__u32 i;

	if (!t)
		return 0;
	t->account.task_deaths++;
	if (!t->depth)
		return 0;
	thread_enter(t);
	now = bpf_ktime_get_ns();
	for (i = 0; i < AP_OPEN_MAX; i++) {
		struct ap_open *o = rule_open(t, i);

		if (i >= t->depth)
			break;
		/* Its address is used again. */
		if (o->child == task)
			o->child = 0;
		if (o->word2 != task && o->word3 != task)
			continue;
		if (!o->named && (now - o->start_ts) * 2 >= t->threshold_ns)
			name_send(t, i, 1);
		/* Whatever was not named by now never will be. */
		o->named = 1;
	}
	thread_leave(t);
	return 0;
}
