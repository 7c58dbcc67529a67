/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The tick: 99 times a second on each CPU (0.2 % of a busy CPU). When it finds
 * a callback open it moves the callback's bounds; when that is late already, or
 * its iteration is, it sends the stack; for a recording it always does. It never
 * closes anything.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"
#include "eager.bpf.h"
#include "emit.bpf.h"

static __always_inline void note_bounds(struct ap_open *o, int seen, __u64 now)
{
	if (seen == AP_SEEN_UNDER && !o->over_ts)
		o->lo_ts = now;
	else if (seen == AP_SEEN_OVER)
		rule_note_over(o, now);
}

static __always_inline void send_sample(struct ap_thread *t, __u32 index, int seen, __u32 flags,
					__u64 now, struct bpf_perf_event_data *ctx)
{
	struct ap_open *o = rule_open(t, index);
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct ap_sample *s = &t->sample;
	__s64 nr = (__s64)regs->orig_ax;
	__u32 cnt;

	s->seq = o->seq;
	s->child = seen == AP_SEEN_UNDER ? eager_look(t, index) : 0;
	s->seen = seen;
	s->flags = flags;
	s->callee = t->plain ? AP_CALLEE_THREAD : o->callee;
	s->loop = o->loop;
	s->mark = now;
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	s->syscall = -1;
	s->collecting = 0;
	if (*(volatile unsigned long *)&ctx->regs.cs & 3) {
		s->mode = AP_MODE_USER;
	} else if (nr < 0) {
		s->mode = AP_MODE_FAULT;
	} else {
		s->mode = AP_MODE_SYSCALL;
		s->syscall = (__s32)nr;
	}
	if (t->collecting)
		ap_read(&s->collecting, sizeof(s->collecting), t->collecting);
	code_send_stack(t, RULE_SAMPLE);
	if (t->record & AP_REC_KERNEL && s->mode != AP_MODE_USER)
		kernel_send(t, ctx, now);
	cnt = s->stack.cnt;
	if (cnt > AP_FRAMES_MAX)
		cnt = AP_FRAMES_MAX;
	emit_copy(t, &s->head, AP_SAMPLE,
		  __builtin_offsetof(struct ap_sample, stack.frame) + cnt * sizeof(struct ap_frame),
		  /* perf's buffer, where the native stack of it lies, is small */
		  flags & AP_T_NATIVE || !(flags & AP_T_EARLY));
}

/*
 * Whose time is this tick's? The top callback's while the frame chain holds it;
 * else the loop's own, between two callbacks or on a greenlet that has none.
 * The stack lies in the thread's sample by now. 1: perf shall copy registers
 * and stack as well.
 */
static __always_inline int take_sample(struct ap_thread *t, __u32 index, int seen, __u64 now,
				       struct bpf_perf_event_data *ctx)
{
	__u32 flags = t->record & AP_REC_POINTS ? AP_T_POINT : 0;
	struct ap_open *o;
	int late;

	if (seen != AP_SEEN_UNDER)
		index = RULE_ITERATION;
	o = rule_open(t, index);
	late = o->start_ts && now - o->start_ts >= t->long_ns;
	if (flags && t->record & AP_REC_NATIVE)
		flags |= AP_T_NATIVE;
	if (index != RULE_ITERATION && !o->named && (flags || late)) {
		name_py_task(t, index);
		name_send(t, index, 1);
	}
	if (late || (flags && (o->start_ts || t->plain)))
		send_sample(t, index, seen, late ? flags : flags | AP_T_EARLY, now, ctx);
	else
		flags = 0;
	/* Many short callbacks can make a slow iteration. */
	if (!late && t->iteration.start_ts && now - t->iteration.start_ts >= t->long_ns)
		send_sample(t, RULE_ITERATION, seen, 0, now, ctx);
	return !!(flags & AP_T_NATIVE);
}

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	struct ap_thread *t = thread_find();
	__u32 index;
	__u64 now;
	int seen;

	if (!t)
		return 0;
	t->account.ticks++;
	if (t->working) {
		t->account.ticks_busy++;
		return 0;
	}
	if (!t->depth && !t->iteration.start_ts && !t->plain)
		return 0;
	sched_settle(t);
	now = bpf_ktime_get_ns();
	index = t->depth ? t->depth - 1 : RULE_ITERATION;
	seen = rule_look(t, index, RULE_SAMPLE, ap_current_frame(&t->layout, t->tstate));
	if (index != RULE_ITERATION)
		note_bounds(rule_open(t, index), seen, now);
	return take_sample(t, index, seen, now, ctx);
}
