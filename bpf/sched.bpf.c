/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Where a callback's time goes while its thread is off the CPU.
 *
 * One program at sched_switch, which acts only when the thread that leaves is
 * a loop's. It notes why the thread leaves, and settles the interval before
 * from the kernel's own accounts (sched_info): when the thread came back, how
 * long it stood in the run queue. Settling at the next switch-out, tick or
 * close loses nothing; a pair of programs at out and in lost 0.3-2 % of the
 * pairs, because some switches are never traced.
 */
#include "rule.bpf.h"
#include "eager.bpf.h"
#include "emit.bpf.h"
#include "file.bpf.h"
#include "pids.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"
#include "syscall.bpf.h"

/* Set by the collector: sched_switch passes prev_state (since 5.18, fa2c3254d7cf). */
const volatile __u32 switch_has_state = 1;

#define GIL_BYTES 208	/* struct _gil_runtime_state, from 8 bytes before last_holder; 3.8-3.15 */
/* include/linux/sched.h: __TASK_STOPPED, __TASK_TRACED; TASK_FREEZABLE, TASK_FROZEN */
#define STATE_STOPPED 0x000c
#define STATE_FREEZER 0xa000

/* --- Settling --------------------------------------------------------------- */

static __always_inline int same_place(struct ap_place *p, struct ap_block *b, __u64 arg)
{
	return p->off == b->off && p->syscall == b->syscall && p->fd == b->fd && p->arg == arg;
}

/* A resolver's own socket: systemd-resolved's varlink, nscd. */
static __always_inline int is_resolver(struct ap_file *f)
{
	/* "/run/systemd/res", "/var/run/nscd/so", "/run/nscd/socket" */
	__u64 *w = (__u64 *)f->path;

	return (w[0] == 0x7379732f6e75722fULL && w[1] == 0x7365722f646d6574ULL) ||
	       (w[0] == 0x6e75722f7261762fULL && w[1] == 0x6f732f6463736e2fULL) ||
	       (w[0] == 0x63736e2f6e75722fULL && w[1] == 0x74656b636f732f64ULL);
}

/* Add `ns` to the place where block `b` was, of one open callback. */
static __always_inline void add_place(struct ap_open *o, struct ap_block *b, __u64 ns)
{
	/* Locks differ by their futex; the GIL is one, and fcntl's commands differ. */
	__u64 arg = b->off == AP_OFF_FUTEX ? b->arg[0] : b->syscall == SYS_FCNTL ? b->arg[1] : 0;
	struct ap_place *p;
	__u32 i;

	for (i = 0; i < AP_PLACES_MAX; i++) {
		p = &o->place[i];
		if (i >= o->place_cnt) {
			__builtin_memset(p, 0, sizeof(*p));
			p->off = b->off;
			p->syscall = b->syscall;
			p->fd = b->fd;
			p->fds = b->fds;
			p->arg = arg;
			p->mode = b->file.mode;
			p->family = b->file.family;
			p->port = b->file.port;
			p->unix_dns = b->file.family == 1 && is_resolver(&b->file);
			o->place_cnt = i + 1;
		}
		if (same_place(p, b, arg)) {
			p->ns += ns;
			p->cnt++;
			return;
		}
	}
	o->flags |= AP_F_PLACES_FULL;
}

static __noinline void add_off(struct ap_open *o, struct ap_block *b, __u32 lost)
{
	__u32 off = b->off;

	rule_unfresh(o);
	o->switches++;
	o->switches_lost += lost;
	o->off_ns[AP_OFF_RUNQUEUE] += b->runqueue_ns;
	if (off < AP_OFF_CNT)
		o->off_ns[off] += b->off_ns;
	if (off == AP_OFF_FAULT || off == AP_OFF_GIL || off == AP_OFF_FUTEX || off == AP_OFF_SYSCALL)
		add_place(o, b, b->off_ns);
}

/*
 * Longer than what is kept: keep it. Long for itself: send it at once. A
 * recording gets them all, time in the run queue as well.
 */
static __always_inline void keep_longest(struct ap_thread *t, __u32 index, struct ap_block *b)
{
	struct ap_open *o = rule_open(t, index);
	int asleep = b->off != AP_OFF_RUNQUEUE;
	int late = asleep && b->off_ns >= t->long_ns;
	__u32 flags = late ? 0 : AP_T_EARLY;

	if (t->record & AP_REC_POINTS)
		flags |= AP_T_POINT;
	if (late || flags & AP_T_POINT)
		block_send(t, t->last_block, index, flags);
	if (asleep && !late && b->off_ns > o->longest_ns) {
		o->longest_ns = b->off_ns;
		o->longest = t->last_block;
	}
}

__noinline int sched_settle(struct ap_thread *t)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 away, queued, lost, back;
	struct ap_block *b;
	__u32 i;

	if (!t || !t->pending)
		return 0;
	t->pending = 0;
	b = rule_block(t, t->last_block);
	back = task->sched_info.last_arrival;
	away = back > t->out_clock ? back - t->out_clock : 0;
	queued = task->sched_info.run_delay - t->out_run_delay;
	lost = task->sched_info.pcount - t->out_pcount - 1;
	if (lost) {
		/* More switches than we saw: what ran in between is known, on what it slept is not. */
		__u64 ran = task->se.sum_exec_runtime - t->out_exec;

		away = away > ran ? away - ran : 0;
		b->off = AP_OFF_UNKNOWN;
	}
	if (queued > away)
		queued = away;
	if (b->off == AP_OFF_RUNQUEUE)
		queued = away;
	if (b->off == AP_OFF_THROTTLED)
		queued = 0;	/* run_delay counts throttled time as well */
	b->runqueue_ns = queued;
	b->off_ns = away - queued;

	for (i = 0; i < AP_OPEN_MAX; i++) {
		if (i >= t->depth)
			break;
		if (!t->open[i].suspend_ts && !t->open[i].over_ts)
			add_off(&t->open[i], b, lost);
	}
	if (t->iteration.start_ts)
		add_off(&t->iteration, b, lost);

	if (t->depth && t->pending_seen == AP_SEEN_UNDER) {
		struct ap_open *top = thread_top(t);
		__u64 until = t->out_ts + away;

		if (until > top->lo_ts)
			top->lo_ts = until;
		/* The poll of an inner run is no wait of the callback that it suspends. */
		if (!top->suspend_ts)
			keep_longest(t, t->depth - 1, b);
	} else if (t->iteration.start_ts || t->plain) {
		keep_longest(t, RULE_ITERATION, b);
	}
	/* The iteration's own longest, whoever slept: it may consist of many short callbacks. */
	if (t->iteration.start_ts && b->off != AP_OFF_RUNQUEUE && b->off_ns < t->long_ns &&
	    b->off_ns > t->iteration.longest_ns) {
		t->iteration.longest_ns = b->off_ns;
		t->iteration.longest = t->last_block;
	}
	return 0;
}

/* --- Leaving the CPU --------------------------------------------------------- */

static __always_inline __u32 why_off(struct ap_thread *t, struct task_struct *task, int preempted,
				     __u32 state, __s64 nr, __u64 arg)
{
	if (preempted || state == 0) {
		struct task_struct___throttled *parked = (void *)task;

		/* 6.18: a throttled task parks itself on its way to user mode; before, its queue says it. */
		if (bpf_core_field_exists(parked->throttled) && BPF_CORE_READ(parked, throttled))
			return AP_OFF_THROTTLED;
		if (bpf_core_field_exists(task->se.cfs_rq->throttle_count) &&
		    task->se.cfs_rq->throttle_count > 0)
			return AP_OFF_THROTTLED;
		return AP_OFF_RUNQUEUE;
	}
	if (state & STATE_STOPPED)
		return AP_OFF_STOPPED;
	/* Asleep outside a system call: a page, interruptibly so when userfaultfd serves it. */
	if (nr < 0)
		return state & STATE_FREEZER ? AP_OFF_STOPPED : AP_OFF_FAULT;
	if (nr == SYS_FUTEX || nr == SYS_FUTEX_WAITV)
		return arg - (t->gil_holder - 8) < GIL_BYTES ? AP_OFF_GIL : AP_OFF_FUTEX;
	return AP_OFF_SYSCALL;
}

/* Who has the GIL that we wait for: its thread and its frame, read at the block. */
static __always_inline void note_holder(struct ap_thread *t, struct ap_block *b)
{
	struct ap_layout *l = &t->layout;
	__u64 tstate = read_word(t->gil_holder), frame, tid = 0;
	__u32 locked = 0;
	struct ap_link link = {};
	__u32 i;

	/* Include/internal/pycore_gil.h: locked follows last_holder. */
	if (ap_read(&locked, sizeof(locked), t->gil_holder + 8) || locked != 1)
		return;
	if (!tstate || tstate == t->tstate)
		return;
	if (l->thread_native_id != AP_NO_OFFSET)
		ap_read(&tid, sizeof(tid), tstate + l->thread_native_id);
	b->holder_tid = tid ? pids_outer((__u32)tid) : 0;
	frame = ap_current_frame(l, tstate);
	for (i = 0; i < 4; i++) {
		if (!frame || rule_link(t, frame, &link))
			return;
		if (!link.shim) {
			b->holder.code = link.code;
			b->holder.lasti = link.lasti;
			return;
		}
		frame = link.previous;
	}
}

/* A block that is neither a callback's longest nor its iteration's. */
static __always_inline __u32 free_block(struct ap_thread *t)
{
	__u32 a = AP_BLOCKS, b = AP_BLOCKS, i;

	if (t->depth && !thread_top(t)->fresh && thread_top(t)->longest_ns)
		a = thread_top(t)->longest;
	if (!t->iteration.fresh && t->iteration.longest_ns)
		b = t->iteration.longest;
	for (i = 0; i < AP_BLOCKS - 1; i++)
		if (i != a && i != b)
			return i;
	return AP_BLOCKS - 1;
}

static __always_inline void note_syscall(struct ap_thread *t, struct ap_block *b, __u32 block,
					 struct pt_regs *regs)
{
	b->syscall = (__s64)regs->orig_ax >= 0 ? (__s32)regs->orig_ax : -1;
	b->arg[0] = regs->di;
	b->arg[1] = regs->si;
	b->arg[2] = regs->dx;
	b->fd = -1;
	b->fds = 0;
	b->file.mode = 0;
	b->file.family = 0;
	b->file.port = 0;
	b->file.path_len = 0;
	b->holder_tid = 0;
	b->holder.code = 0;
	if (b->off == AP_OFF_SYSCALL)
		file_resolve(t, block);
	else if (b->off == AP_OFF_GIL)
		note_holder(t, b);
}

SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
	struct ap_thread *t = thread_find();
	struct task_struct *task;
	struct pt_regs *regs;
	struct ap_block *b;
	__u32 state, block, index;

	if (!t)
		return 0;
	t->account.switches++;
	/* In the middle of another program's work: pcount will tell that one was missed. */
	if (t->working)
		return 0;
	if (!t->depth && !t->iteration.start_ts && !t->plain) {
		t->pending = 0;
		return 0;
	}
	sched_settle(t);

	task = bpf_get_current_task_btf();
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	state = switch_has_state ? (__u32)ctx->args[3] : task->__state;
	block = free_block(t);
	b = rule_block(t, block);
	b->off = why_off(t, task, (int)ctx->args[0], state, (__s64)regs->orig_ax, regs->di);
	b->out_ts = bpf_ktime_get_ns();
	b->off_ns = 0;
	b->runqueue_ns = 0;
	index = t->depth ? t->depth - 1 : RULE_ITERATION;
	b->seq = rule_open(t, index)->seq;
	b->seen = rule_look(t, index, block, ap_current_frame(&t->layout, t->tstate));
	if (b->seen == AP_SEEN_UNDER)
		name_py_task(t, index);
	/* While the callback runs its task can't have been freed. */
	if (t->record & AP_REC_POINTS && index != RULE_ITERATION && !rule_open(t, index)->named)
		name_send(t, index, 1);
	b->child = b->seen == AP_SEEN_UNDER ? eager_look(t, index) : 0;
	if (b->seen == AP_SEEN_OVER && index != RULE_ITERATION)
		rule_note_over(rule_open(t, index), b->out_ts);
	note_syscall(t, b, block, regs);
	if (t->record & AP_REC_KERNEL)
		kernel_send(t, ctx, b->out_ts);

	t->last_block = block;
	t->pending_seen = b->seen;
	t->out_ts = b->out_ts;
	t->out_clock = task->se.cfs_rq->rq->clock;
	t->out_run_delay = task->sched_info.run_delay;
	t->out_pcount = task->sched_info.pcount;
	t->out_exec = task->se.sum_exec_runtime;
	barrier();
	t->pending = 1;
	return 0;
}
