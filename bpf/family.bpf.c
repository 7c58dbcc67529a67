/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who is forked by a target, by what that started, and so on; and when one of them becomes
 * another program. Attached only when families are followed: every fork of the machine comes
 * here.
 *
 * A fork that the collector learned of by looking could be over by then, its children with it.
 */
#include "emit.bpf.h"
#include "pids.bpf.h"

static __always_inline void born_send(__u32 tgid, __u32 parent, __u32 flags)
{
	struct ap_born *b = bpf_ringbuf_reserve(&ring, sizeof(*b), 0);

	emit_count(AP_BORN, b != NULL);
	if (!b)
		return;
	b->head.kind = AP_BORN;
	b->head.size = sizeof(*b);
	b->head.tgid = tgid;
	b->head.tid = tgid;
	b->head.ts = bpf_ktime_get_ns();
	b->parent = parent;
	b->flags = flags;
	emit_end(b, 1);
}

/* args: parent, child. A thread is born here too: a child of its own process. */
SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 tgid = pids_current() >> 32, none = 0, born;

	if (stopped || BPF_CORE_READ(child, tgid) != BPF_CORE_READ(child, pid) ||
	    !bpf_map_lookup_elem(&family, &tgid))
		return 0;
	born = pids_of((__u64)child);
	if (!born)
		return 0;
	bpf_map_update_elem(&family, &born, &none, BPF_ANY);
	born_send(born, tgid,
		  BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm) ? AP_BORN_SHARES : 0);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int on_family_exec(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = pids_current() >> 32;

	if (!stopped && bpf_map_lookup_elem(&family, &tgid))
		born_send(tgid, pids_of((__u64)BPF_CORE_READ(task, real_parent, group_leader)),
			  AP_BORN_EXEC);
	return 0;
}

/* The count of threads is taken down before (kernel/exit.c, do_exit()). */
SEC("raw_tp/sched_process_exit")
int on_family_exit(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = pids_current() >> 32;

	if (!BPF_CORE_READ(task, signal, live.counter))
		bpf_map_delete_elem(&family, &tgid);
	return 0;
}
