/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Rule R at work (rule.bpf.h says what it is): which code is a `_run`, where
 * the frame chain stands, closing.
 */
#include "rule.bpf.h"
#include "sched.bpf.h"
#include "slow.bpf.h"

/* "_run_onc" as the word that lies in memory. */
#define WORD_RUN_ONC 0x636e6f5f6e75725fULL
/* The last 16 bytes of ".../asyncio/events.py". */
#define WORD_SYNCIO_E 0x652f6f69636e7973ULL
#define WORD_VENTS_PY 0x79702e73746e6576ULL

static __always_inline int learn(struct ap_thread *t, __u64 code)
{
	struct ap_layout *l = &t->layout;
	__u64 name = read_word(code + l->code_name), file, length, tail[2] = {};
	struct {
		__u64 word;
		__u64 last;
	} text = {};

	length = read_word(name + l->str_length);
	if (length == 9) {
		if (ap_read(&text, 9, name + l->str_ascii))
			return CODE_OTHER;
		return text.word == WORD_RUN_ONC && text.last == 'e' ? CODE_NAMED_ONCE : CODE_OTHER;
	}
	if (length != 4 || ap_read(&text, 4, name + l->str_ascii) || text.word != WORD_RUN)
		return CODE_OTHER;
	file = read_word(code + l->code_filename);
	length = read_word(file + l->str_length);
	if (length >= sizeof(tail) && length < 4096 &&
	    !ap_read(tail, sizeof(tail), file + l->str_ascii + length - sizeof(tail)) &&
	    tail[0] == WORD_SYNCIO_E && tail[1] == WORD_VENTS_PY)
		return CODE_RUN;
	return CODE_NAMED_RUN;
}

__noinline int rule_class(struct ap_thread *t, __u64 code)
{
	struct ap_addr key = {.addr = code};
	struct code_entry entry = {};

	if (!t)
		return CODE_OTHER;
	key.tgid = t->tgid;
	code_look_up(t, &key, &entry);
	if (!entry.print)
		return CODE_OTHER;
	if (!entry.class) {
		entry.class = learn(t, code);
		bpf_map_update_elem(&codes, &key, &entry, BPF_ANY);
	}
	return entry.class;
}

__noinline int rule_link(struct ap_thread *t, __u64 frame, struct ap_link *link)
{
	if (!t || !link)
		return AP_CUT_BAD;
	return ap_read_link(&t->layout, frame, link);
}

/* The last frame of the chain that is no shim; 0 if it can't be reached. */
__noinline __u64 rule_root(struct ap_thread *t, __u64 frame)
{
	__u64 root = 0;
	int i;

	if (!t)
		return 0;
	for (i = 0; i < AP_FRAMES_MAX; i++) {
		struct ap_link link = {};

		if (!frame)
			return root;
		if (rule_link(t, frame, &link))
			return 0;
		if (!link.shim)
			root = frame;
		frame = link.previous;
	}
	return 0;
}

/* From the raw `previous` of a `_run` frame to once, forever, root and loop, remembered. */
__noinline int rule_resolve(struct ap_thread *t, __u64 previous)
{
	__u64 at = previous, forever = 0;
	struct ap_link link;
	int i;

	if (!t)
		return 0;
	for (i = 0; i < 4; i++) {
		if (ap_read_link(&t->layout, at, &link))
			break;
		if (!link.shim && !ap_is_run(t, link.code)) {
			forever = link.previous;
			if (rule_class(t, link.code) != CODE_NAMED_ONCE)
				t->borrowed = 1;
			break;
		}
		at = link.previous;
	}
	t->foreign = 0;
	t->last_prev = previous;
	t->last_once = at;
	t->last_forever = forever;
	/* Local 0 of _run_once is the loop. */
	t->last_loop = read_word(at + t->layout.frame_locals) & ~(__u64)t->layout.tag_mask;
	t->last_root = rule_root(t, at);
	return 0;
}

/* Does the memory of its frame still hold the `_run`? */
static __always_inline int is_intact(struct ap_thread *t, struct ap_open *o)
{
	__u64 code, previous;

	if (ap_read_caller(&t->layout, o->run, &code, &previous) || previous != o->run_prev)
		return 0;
	return o->callee == AP_CALLEE_SIGNAL || o->flags & AP_F_FOREIGN || ap_is_run(t, code);
}

/*
 * One frame of the walk. A function of its own, and global, so that the
 * verifier looks at it once: unrolled in the loop below it is 300 000
 * instructions and most of a second, in each program.
 */
__noinline int rule_step(struct ap_thread *t, __u32 index, __u32 stack, struct ap_look *look)
{
	struct ap_link link = {};
	__u32 cut = AP_CUT_NONE;

	if (!t || !look)
		return AP_SEEN_ELSEWHERE;
	if (look->at)
		cut = rule_link(t, look->at, &link);
	return ap_look_at(t, rule_open(t, index), look, rule_stack(t, stack), cut, &link);
}

/* No register of Context_Enter tells whom the loop calls: its first frame does. */
static __always_inline void note_callee(struct ap_open *o, struct ap_stack *s)
{
	__u32 last = s->cnt - 1;

	barrier_var(last);
	if (last < AP_FRAMES_MAX)
		o->qualname = s->frame[last].code;
}

/* Where callback `index` stands, seen from `frame`: enum ap_seen. Fills a stack on the way. */
__noinline int rule_look(struct ap_thread *t, __u32 index, __u32 stack, __u64 frame)
{
	struct ap_look look = {.at = frame};
	struct ap_stack *s;
	struct ap_open *o;
	int i;

	if (!t || index > RULE_ITERATION || stack > RULE_SAMPLE)
		return AP_SEEN_ELSEWHERE;
	o = rule_open(t, index);
	s = rule_stack(t, stack);
	s->cnt = 0;
	s->cut = AP_CUT_NONE;
	if (!frame) {
		s->cut = AP_CUT_NO_FRAME;
		return AP_SEEN_ELSEWHERE;
	}
	/* Shims take a turn and no place. */
	for (i = 0; i < AP_FRAMES_MAX + 32; i++) {
		int seen = rule_step(t, index, stack, &look);

		if (seen == AP_SEEN_ELSEWHERE && s->cut)
			o->cut = s->cut;
		if (seen == AP_SEEN_UNDER && o->flags & AP_F_LEAVES)
			note_callee(o, s);
		if (seen) {
			t->shims = look.shims;
			return seen;
		}
	}
	s->cut = AP_CUT_DEPTH;
	if (is_intact(t, o))
		return AP_SEEN_UNDER;
	o->cut = AP_CUT_DEPTH;
	return AP_SEEN_ELSEWHERE;
}

static __always_inline void count_closed(struct ap_account *a, __u64 end)
{
	barrier_var(end);
	if (end < AP_END_CNT)
		a->closed[end]++;
}

/* It was open when we came: the collector may have seen it run, or sleep, without any event. */
static __always_inline void take_proof(struct ap_thread *t, struct ap_open *o)
{
	__u64 id = (__u64)t->tgid << 32 | t->tid;
	struct ap_proof *proof = bpf_map_lookup_elem(&proofs, &id);

	if (proof && proof->seq == o->seq && proof->lo_ts > o->lo_ts)
		o->lo_ts = proof->lo_ts;
}

/* Close callback `index`, wherever it stands among the open ones. */
__noinline int rule_close(struct ap_thread *t, __u32 index, __u32 end, __u64 now)
{
	struct ap_open *o;
	__u64 hi = now, until, from, ran;
	__u32 k;

	if (!t || index >= AP_OPEN_MAX || index >= t->depth)
		return 0;
	o = rule_open(t, index);
	if (o->flags & AP_F_AT_ATTACH)
		take_proof(t, o);
	sched_settle(t);
	if (o->over_ts && o->over_ts < hi) {
		hi = o->over_ts;
		end = AP_END_SAMPLE;
		o->flags |= AP_F_OVER_SEEN;
	}
	if (o->suspend_ts) {
		if (hi > o->suspend_ts)
			o->suspended_ns += hi - o->suspend_ts;
		o->suspend_ts = 0;
	}
	if (o->lo_ts > hi)
		o->lo_ts = hi;
	/* Of one that was open when we came only what was seen counts: its start was not. */
	until = o->flags & AP_F_AT_ATTACH ? o->lo_ts : hi;
	from = o->start_ts + o->suspended_ns;
	ran = until > from ? until - from : 0;

	if (o->callee == AP_CALLEE_SIGNAL)
		t->account.signal_closed++;
	else if (o->flags & AP_F_AT_ATTACH)
		t->account.attach_closed++;
	else
		count_closed(&t->account, end);
	/* A batch in which nothing of its own was seen is the loop's time: the iteration tells. */
	if (ran >= t->threshold_ns && !(o->flags & AP_F_BATCH && !o->qualname))
		slow_send(t, index, end, hi);
	if (index == 0 || o->flags & AP_F_FOREIGN) {
		t->iteration.inner_ns += ran;
		if (ran >= t->threshold_ns)
			t->iteration.slow_ns += ran;
	}
	for (k = 0; k < AP_OPEN_MAX - 1; k++) {
		if (k < index)
			continue;
		if (k + 1 >= t->depth)
			break;
		t->open[k] = t->open[k + 1];
	}
	t->depth--;
	t->changes++;
	return 0;
}

/*
 * From the top down: close what is over, pass what is elsewhere (another
 * greenlet), stop at the first that is under. Returns its index + 1, or 0.
 */
__noinline int rule_sweep(struct ap_thread *t, __u64 frame, __u32 end, __u64 now)
{
	__u32 index;
	int i;

	if (!t)
		return 0;
	index = t->depth;
	for (i = 0; i < AP_OPEN_MAX; i++) {
		int seen;

		if (index == 0 || index > AP_OPEN_MAX)
			return 0;
		index--;
		seen = rule_look(t, index, RULE_SAMPLE, frame);
		if (seen == AP_SEEN_UNDER)
			return index + 1;
		if (seen == AP_SEEN_OVER)
			rule_close(t, index, end, now);
		else if (!is_intact(t, rule_open(t, index)))
			rule_close(t, index, AP_END_STALE, now);
	}
	return 0;
}

__noinline int rule_close_all(struct ap_thread *t, __u32 end)
{
	__u64 now = bpf_ktime_get_ns();
	int i;

	if (!t)
		return 0;
	for (i = 0; i < AP_OPEN_MAX; i++) {
		if (!t->depth)
			break;
		rule_close(t, t->depth - 1, end, now);
	}
	return 0;
}
