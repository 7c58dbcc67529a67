/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Threads come and go: the entry of a thread is made at its first callback, and
 * its accounts are sent when it exits.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"
#include "emit.bpf.h"

/* A hit that has no thread entry to count it. */
static __always_inline int count_homeless(__u32 tgid, __u64 why)
{
	struct ap_account *a = bpf_map_lookup_elem(&accounts, &tgid);

	barrier_var(why);
	if (!a || why >= AP_IGN_CNT)
		return 0;
	__sync_fetch_and_add(&a->hits, 1);
	__sync_fetch_and_add(&a->ignored[why], 1);
	return 0;
}

/* A thread without a loop has gone: its hits join those that no thread's account holds. */
static __always_inline void give_homeless(__u32 tgid, struct ap_account *from)
{
	struct ap_account *a = bpf_map_lookup_elem(&accounts, &tgid);
	int why;

	if (!a)
		return;
	__sync_fetch_and_add(&a->hits, from->hits);
	for (why = 0; why < AP_IGN_CNT; why++)
		__sync_fetch_and_add(&a->ignored[why], from->ignored[why]);
}

/*
 * Does the caller have the name of Handle._run? A pool of executor threads
 * enters context_run as well, for each job, and its threads need no entry.
 */
static __always_inline __u64 why_homeless(struct ap_target *target)
{
	struct ap_layout *l = &target->layout;
	__u64 tstate = read_word(target->gil_holder), frame, code, previous, name;
	__u32 word = 0;

	frame = tstate ? ap_current_frame(l, tstate) : 0;
	if (!frame || ap_read_caller(l, frame, &code, &previous))
		return AP_IGN_UNREADABLE;
	name = read_word(code + l->code_name);
	if (read_word(name + l->str_length) != 4 || ap_read(&word, 4, name + l->str_ascii) ||
	    word != WORD_RUN)
		return AP_IGN_CALLER;
	return AP_IGN_CNT;
}

/* Global functions can't return pointers: the caller looks the entry up itself. */
__noinline int thread_make(__u64 id, int sure)
{
	__u32 zero = 0, tgid = id >> 32;
	struct ap_target *target = bpf_map_lookup_elem(&targets, &tgid);
	struct ap_thread *t, *empty = bpf_map_lookup_elem(&blank, &zero);

	__u64 why;
	int plain;

	if (!target || !empty)
		return 0;
	why = sure ? AP_IGN_CNT : why_homeless(target);
	plain = why == AP_IGN_CALLER && target->record & AP_REC_THREADS;
	if (why < AP_IGN_CNT && (!plain || plain_cnt >= AP_PLAIN_MAX))
		return count_homeless(tgid, why);
	bpf_map_update_elem(&threads, &id, empty, BPF_NOEXIST);
	t = bpf_map_lookup_elem(&threads, &id);
	if (!t)
		return count_homeless(tgid, AP_IGN_NO_THREAD);
	t->tgid = tgid;
	t->tid = (__u32)id;
	t->layout = target->layout;
	t->gil_holder = target->gil_holder;
	t->threshold_ns = target->threshold_ns;
	t->long_ns = target->long_ns;
	t->collecting = target->collecting;
	t->method_type = target->method_type;
	t->has_loop_probe = target->has_loop_probe;
	t->record = target->record;
	t->plain = plain;
	if (plain)
		__sync_fetch_and_add(&plain_cnt, 1);
	bpf_get_current_comm(t->comm, sizeof(t->comm));
	return 1;
}

static __always_inline int thread_end(__u64 id, __u32 end)
{
	struct ap_thread *t = bpf_map_lookup_elem(&threads, &id);
	struct ap_gone *gone;

	if (!t || stopped)
		return 0;
	thread_enter(t);
	if (t->plain) {
		give_homeless((__u32)(id >> 32), &t->account);
		thread_has_loop(t);
		bpf_map_delete_elem(&threads, &id);
		return 0;
	}
	rule_close_all(t, end);
	gone = emit_begin(t, AP_GONE, sizeof(*gone));
	if (gone) {
		gone->exec = end == AP_END_EXEC;
		gone->pad = 0;
		gone->account = t->account;
		__builtin_memcpy(gone->comm, t->comm, sizeof(gone->comm));
		emit_end(gone, 1);
	}
	bpf_map_delete_elem(&threads, &id);
	return 0;
}

/*
 * At the entry of exit, exit_group and exec: the last moment at which the
 * memory is there that holds names and code of what is open.
 */
SEC("tracepoint")
int on_leave(void *ctx)
{
	struct ap_thread *t = thread_find();
	__u64 now;
	__u32 i;

	if (!t || !t->depth)
		return 0;
	thread_enter(t);
	sched_settle(t);
	now = bpf_ktime_get_ns();
	for (i = 0; i < AP_OPEN_MAX; i++) {
		struct ap_open *o = rule_open(t, i);

		if (i >= t->depth)
			break;
		if (!o->named && (now - o->start_ts) * 2 >= t->threshold_ns)
			name_send(t, i, 1);
	}
	thread_leave(t);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int on_exit(void *ctx)
{
	return thread_end(pids_current(), AP_END_EXIT);
}

struct caller {
	__u64 id;
	__u32 tgid;
};

static long find_caller(void *map, __u64 *id, struct ap_thread *t, struct caller *caller)
{
	if (*id >> 32 != caller->tgid)
		return 0;
	caller->id = *id;
	return 1;
}

/*
 * A thread that calls exec becomes the main one and takes its tid. Its own is told here only as
 * the first pid namespace has it; but all others have gone before (fs/exec.c, de_thread()), so
 * that the one entry which is left is its.
 */
SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	struct caller caller = { .tgid = pids_current() >> 32 };

	if (!bpf_map_lookup_elem(&targets, &caller.tgid))
		return 0;
	bpf_for_each_map_elem(&threads, find_caller, &caller, 0);
	thread_end(caller.id, AP_END_EXEC);
	/* The probes stay, on the same file in another image, until the collector has noticed. */
	bpf_map_delete_elem(&targets, &caller.tgid);
	return 0;
}
