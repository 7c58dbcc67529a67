/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The tick: 99 times a second on each CPU (0.2 % of a busy CPU). When it finds
 * a callback open it moves the callback's bounds; when that is late already, or
 * its iteration is, it sends the stack. It never closes anything.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"
#include "emit.bpf.h"

static __always_inline void note_bounds(struct ap_open *o, int seen, __u64 now)
{
	if (seen == AP_SEEN_UNDER && !o->over_ts)
		o->lo_ts = now;
	else if (seen == AP_SEEN_OVER && !o->over_ts)
		o->over_ts = now;
}

static __always_inline void send_sample(struct ap_thread *t, __u64 seq, int seen,
					struct bpf_perf_event_data *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct ap_sample *s = &t->sample;
	__s64 nr = (__s64)regs->orig_ax;
	__u32 cnt;

	s->seq = seq;
	s->seen = seen;
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
	cnt = s->stack.cnt;
	if (cnt > AP_FRAMES_MAX)
		cnt = AP_FRAMES_MAX;
	emit_copy(&s->head, AP_SAMPLE,
		  __builtin_offsetof(struct ap_sample, stack.frame) + cnt * sizeof(struct ap_frame));
}

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	struct ap_thread *t = thread_find();
	struct ap_open *o;
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
	if (!t->depth && !t->iteration.start_ts)
		return 0;
	sched_settle(t);
	now = bpf_ktime_get_ns();
	index = t->depth ? t->depth - 1 : RULE_ITERATION;
	o = rule_open(t, index);
	seen = rule_look(t, index, RULE_SAMPLE, ap_current_frame(&t->layout, t->tstate));
	if (index != RULE_ITERATION)
		note_bounds(o, seen, now);
	if (seen == AP_SEEN_UNDER && now - o->start_ts >= t->long_ns) {
		if (!o->named)
			name_send(t, index, 1);
		send_sample(t, o->seq, seen, ctx);
	} else if (t->iteration.start_ts && now - t->iteration.start_ts >= t->long_ns) {
		send_sample(t, t->iteration.seq, seen, ctx);
	}
	return 0;
}
