/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#include "pids.bpf.h"

#define OUTER_MAX 128	/* threads looked at: 4 reads each, with the run queue locked */

/*
 * What `task` is called in the namespace at depth `level`. The pid is read, not followed: the
 * verifier allows no variable offset into what it knows as a kernel structure.
 */
static __always_inline void read_upid(struct task_struct *task, __u32 level, struct upid *upid)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	upid->nr = 0;
	upid->ns = NULL;
	if (BPF_CORE_READ(pid, level) >= level)
		bpf_probe_read_kernel(upid, sizeof(*upid),
				      (void *)((__u64)pid + bpf_core_field_offset(pid->numbers) +
					       level * sizeof(*upid)));
}

/* The collector's number of `task`; 0: it has none. */
static __always_inline __u32 number(struct task_struct *task)
{
	struct upid upid;

	read_upid(task, pids_level, &upid);
	return (__u64)upid.ns == pids_ns ? upid.nr : 0;
}

__noinline __u64 pids_look(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 tid = number(task), tgid = tid ? number(task->group_leader) : 0;

	return tgid ? tgid << 32 | tid : 0;
}

__noinline __u32 pids_of(__u64 task)
{
	struct task_struct *t = (void *)task;

	return pids_level ? number(t) : BPF_CORE_READ(t, pid);
}

/*
 * A Python thread knows its number of its own pid namespace (native_thread_id), and by the time
 * the collector could ask /proc it may be gone: signal_struct.thread_head lists the threads.
 */
__noinline __u32 pids_outer(__u32 tid)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 level = BPF_CORE_READ(task, thread_pid, level);
	__u64 head = (__u64)&task->signal->thread_head, at = head;
	int i;

	if (level == pids_level)
		return tid;
	for (i = 0; i < OUTER_MAX; i++) {
		struct task_struct *other;
		struct upid own;

		at = (__u64)BPF_CORE_READ((struct list_head *)at, next);
		if (!at || at == head)
			break;
		other = (void *)(at - bpf_core_field_offset(task->thread_node));
		read_upid(other, level, &own);
		if ((__u32)own.nr == tid)
			return number(other);
	}
	return 0;
}

/* Run once, by the collector itself: in which namespace its /proc counts, args[0] above its own. */
SEC("raw_tp")
int on_self(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 level = BPF_CORE_READ(task, thread_pid, level) - ctx->args[0];
	struct upid upid;

	read_upid(task, level, &upid);
	pids_ns = (__u64)upid.ns;
	pids_level = level;
	return 0;
}
