/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Threads come and go: the entry of a thread is made at its first callback and
 * folded into its process's accounts when it exits.
 */
#include "rule.bpf.h"
#include "emit.bpf.h"

/* A hit that has no thread entry to count it. */
static __always_inline void count_homeless(__u32 tgid)
{
	struct ap_account *a = bpf_map_lookup_elem(&accounts, &tgid);

	if (!a)
		return;
	__sync_fetch_and_add(&a->hits, 1);
	__sync_fetch_and_add(&a->ignored[AP_IGN_NO_THREAD], 1);
}

/* Global functions can't return pointers: the caller looks the entry up itself. */
__noinline int thread_make(__u64 id)
{
	__u32 zero = 0, tgid = id >> 32;
	struct ap_target *target = bpf_map_lookup_elem(&targets, &tgid);
	struct ap_thread *t, *empty = bpf_map_lookup_elem(&blank, &zero);

	if (!target || !empty)
		return 0;
	bpf_map_update_elem(&threads, &id, empty, BPF_NOEXIST);
	t = bpf_map_lookup_elem(&threads, &id);
	if (!t) {
		count_homeless(tgid);
		return 0;
	}
	t->layout = target->layout;
	t->gil_holder = target->gil_holder;
	t->threshold_ns = target->threshold_ns;
	t->long_ns = target->long_ns;
	t->collecting = target->collecting;
	t->has_loop_probe = target->has_loop_probe;
	bpf_get_current_comm(t->comm, sizeof(t->comm));
	return 1;
}

/* A thread that left: what it counted goes to its process. */
static __always_inline void thread_fold(struct ap_thread *t)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct ap_account *a = bpf_map_lookup_elem(&accounts, &tgid);
	__u64 *to = (__u64 *)a, *from = (__u64 *)&t->account;
	__u32 i;

	if (!a)
		return;
	for (i = 0; i < sizeof(*a) / sizeof(__u64); i++)
		__sync_fetch_and_add(&to[i], from[i]);
}

static __always_inline int thread_end(__u32 end)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct ap_thread *t = bpf_map_lookup_elem(&threads, &id);
	struct ap_gone *gone;

	if (!t)
		return 0;
	thread_enter(t);
	rule_close_all(t, end);
	thread_fold(t);
	bpf_map_delete_elem(&threads, &id);
	gone = emit_begin(AP_GONE, sizeof(*gone));
	if (gone) {
		gone->exec = end == AP_END_EXEC;
		gone->pad = 0;
		emit_end(gone);
	}
	return 0;
}

SEC("raw_tp/sched_process_exit")
int on_exit(void *ctx)
{
	return thread_end(AP_END_EXIT);
}

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	return thread_end(AP_END_EXEC);
}
