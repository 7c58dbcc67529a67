/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The only way to send: every record that was meant to go is counted, and so
 * is every one for which the ring had no room. attempted == sent + dropped.
 */
#ifndef ASYNCPROF_EMIT_BPF_H
#define ASYNCPROF_EMIT_BPF_H

#include "maps.bpf.h"

static __always_inline void emit_count(__u32 kind, int ok)
{
	__u32 zero = 0;
	struct ap_sent *s = bpf_map_lookup_elem(&sent, &zero);

	if (!s || kind >= AP_KIND_CNT)
		return;
	__sync_fetch_and_add(&s->attempted[kind], 1);
	if (!ok)
		__sync_fetch_and_add(&s->dropped[kind], 1);
}

static __always_inline void emit_head(struct ap_thread *t, struct ap_head *head, __u32 kind,
				      __u32 size)
{
	head->kind = kind;
	head->size = size;
	head->tgid = t->tgid;
	head->tid = t->tid;
	head->ts = bpf_ktime_get_ns();
}

/* Reserve a record of constant size; NULL when there is no room, and that is counted. */
static __always_inline void *emit_begin(struct ap_thread *t, __u32 kind, __u32 size)
{
	void *record = bpf_ringbuf_reserve(&ring, size, 0);

	emit_count(kind, record != NULL);
	if (record)
		emit_head(t, record, kind, size);
	return record;
}

/*
 * Does the collector have to know at once? Waking it costs the thread that does some 3 us and the
 * collector a turn: as much as everything else that is done for a wait of a recording. It looks
 * by itself 20 times a second, so what nobody waits for stays there until then, or until a
 * quarter of the ring is full. The others force it: left to itself the ring would not wake a
 * reader that has not read all of what came before.
 */
static __always_inline __u64 emit_flags(int now)
{
	return now || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > RING_SZ / 4 ?
		       BPF_RB_FORCE_WAKEUP :
		       BPF_RB_NO_WAKEUP;
}

static __always_inline void emit_end(void *record, int now)
{
	bpf_ringbuf_submit(record, emit_flags(now));
}

/* The kernel's stack at this moment, for the sample or block that says `mark`. */
static __always_inline void kernel_send(struct ap_thread *t, void *ctx, __u64 mark)
{
	struct ap_kernel *k = emit_begin(t, AP_KERNEL, sizeof(*k));

	if (!k)
		return;
	k->mark = mark;
	k->bytes = bpf_get_stack(ctx, k->ip, sizeof(k->ip), 0);
	emit_end(k, 0);
}

/* Send what lies in a map: its head is filled in here. */
static __always_inline void emit_copy(struct ap_thread *t, struct ap_head *head, __u32 kind, __u32 size,
				      int now)
{
	emit_head(t, head, kind, size);
	emit_count(kind, bpf_ringbuf_output(&ring, head, size, emit_flags(now)) == 0);
}

#endif
