/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Rule R: when a callback of an event loop begins and ends. Stack pointers do
 * not tell (sys.settrace, specialisation and greenlets move them), Python
 * frames do:
 *
 *  - It begins when context_run is entered from the frame of Handle._run.
 *    A `_run` that was called by a `_run_once` counts as well, whatever its file.
 *  - It ends at the next such entry of the same _run_once, when its loop polls,
 *    when _set_running_loop is entered, or with the thread: and only if the
 *    frame chain no longer holds that `_run` (rule_look()).
 *
 * Names used here: run, the `_run` frame; once, the `_run_once` frame that
 * called it (the first caller that is neither named `_run` nor a C shim:
 * 3.14's _ThreadSafeHandle, own Handle classes); forever, its caller.
 *
 * Open callbacks are a set, not a stack: loops nest and greenlets interleave.
 * Samples never close; they only move the bounds (a tick that came in the
 * middle of a close once closed a record twice).
 */
#ifndef ASYNCPROF_RULE_BPF_H
#define ASYNCPROF_RULE_BPF_H

#include "thread.bpf.h"

enum code_class {
	CODE_OTHER = 1,
	CODE_RUN = 2,		/* Handle._run of asyncio/events.py */
	CODE_NAMED_RUN = 3,	/* another `_run` */
	CODE_NAMED_ONCE = 4,	/* `_run_once` */
};

#define RULE_ITERATION AP_OPEN_MAX	/* index of a thread's iteration among its open callbacks */
#define RULE_SAMPLE AP_BLOCKS		/* index of a thread's sample stack among its blocks */

/*
 * All of these are global functions: the verifier checks each once, by its
 * types alone. (As static ones they exceed its million instructions.) Before
 * 6.13 the frames of a whole chain of calls must fit into 512 bytes, each
 * rounded up to 32 (check_max_stack_depth(); from then on each has 512).
 */
int rule_class(struct ap_thread *t, __u64 code);
int rule_link(struct ap_thread *t, __u64 frame, struct ap_link *link);
__u64 rule_root(struct ap_thread *t, __u64 frame);
int rule_resolve(struct ap_thread *t, __u64 previous);
int rule_look(struct ap_thread *t, __u32 index, __u32 stack, __u64 frame);
int rule_close(struct ap_thread *t, __u32 index, __u32 end, __u64 now);
int rule_sweep(struct ap_thread *t, __u64 frame, __u32 end, __u64 now);
int rule_close_all(struct ap_thread *t, __u32 end);

/* Foreign loops (foreign.bpf.c). */
int foreign_run(struct ap_thread *t, __u64 frame, __u64 previous, __u64 args);
int foreign_poll(struct ap_thread *t, __u64 frame, __u64 nr, __u64 fd);
int foreign_close(struct ap_thread *t, __u64 frame, __u32 end, __u64 now);

/* The frame that called the probed C function: C calls push no frame of their own. */
static __always_inline __u64 calling_frame(struct ap_thread *t)
{
	/* The thread at this entry holds the GIL, so the GIL's last holder is its tstate. */
	__u64 tstate = read_word(t->gil_holder);

	if (!tstate)
		return 0;
	t->tstate = tstate;
	return ap_current_frame(&t->layout, tstate);
}

/* Changes when the memory of a code object is used for another one: some of its words, mixed. */
static __always_inline __u64 code_print(struct ap_layout *l, __u64 code)
{
	__u64 word[4] = {};

	/* filename, name, qualname, linetable lie in 32 bytes, in this order; before 3.11 the fourth
	 * is a cached frame that comes and goes. */
	if (ap_read(word, l->code_qualname == l->code_name ? 24 : 32, code + l->code_filename))
		return 0;
	return (word[0] ^ word[1] * 3 ^ word[2] * 5 ^ word[3] * 7) | 1;
}

/* What is known of the code that lies there now. */
static __always_inline void code_look_up(struct ap_thread *t, struct ap_addr *key,
					 struct code_entry *out)
{
	struct code_entry *known = bpf_map_lookup_elem(&codes, key);

	out->print = code_print(&t->layout, key->addr);
	if (known && known->print == out->print) {
		out->class = known->class;
		out->sent = known->sent;
	}
}

/* walk.h asks: is this code a `_run`? */
static inline int ap_is_run(void *thread, __u64 code)
{
	struct ap_thread *t = thread;
	int class;

	if (code == t->run_code)
		return 1;
	class = rule_class(t, code);
	return class == CODE_RUN || class == CODE_NAMED_RUN;
}

/*
 * Elements by index. The compiler drops a mask that it can prove needless, and
 * the verifier then misses it: barrier_var() hides the proof.
 */
static __always_inline struct ap_open *rule_open(struct ap_thread *t, __u32 index)
{
	if (index == RULE_ITERATION)
		return &t->iteration;
	barrier_var(index);
	return &t->open[index & (AP_OPEN_MAX - 1)];
}

static __always_inline struct ap_block *rule_block(struct ap_thread *t, __u32 block)
{
	barrier_var(block);
	return &t->block[block & (AP_BLOCKS - 1)];
}

static __always_inline struct ap_stack *rule_stack(struct ap_thread *t, __u32 stack)
{
	return stack == RULE_SAMPLE ? &t->sample.stack : &rule_block(t, stack)->stack;
}

/* Fields that every opening sets; the accounts are zeroed when first used (`fresh`). */
static __always_inline void rule_begin(struct ap_thread *t, struct ap_open *o, __u64 now)
{
	o->seq = ++t->seq;
	o->start_ts = now;
	o->lo_ts = now;
	o->over_ts = 0;
	o->suspended_ns = 0;
	o->suspend_ts = 0;
	o->inner_ns = 0;
	o->inner_cnt = 0;
	o->slow_ns = 0;
	o->flags = 0;
	o->callee = AP_CALLEE_UNKNOWN;
	o->named = 0;
	o->cut = AP_CUT_NONE;
	o->fresh = 1;
}

/*
 * A tick or a switch saw it over. Of a foreign loop's callback none can. A signal's handler has a
 * frame only some 70 us after the poll was interrupted: until it was seen there it has not begun,
 * and can't be over.
 */
static __always_inline void rule_note_over(struct ap_open *o, __u64 now)
{
	int has_begun = o->callee != AP_CALLEE_SIGNAL || o->lo_ts != o->start_ts;

	if (!o->over_ts && has_begun && !(o->flags & AP_F_FOREIGN))
		o->over_ts = now;
}

static __always_inline void rule_unfresh(struct ap_open *o)
{
	if (!o->fresh)
		return;
	o->fresh = 0;
	__builtin_memset(o->off_ns, 0, sizeof(o->off_ns));
	o->longest_ns = 0;
	o->child = o->child_no = 0;
	o->switches = 0;
	o->switches_lost = 0;
	o->place_cnt = 0;
}

#endif
