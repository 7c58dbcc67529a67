/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The walker over Python frames, written once: the kernel programs, the
 * collector and the tests all compile this file. Whoever includes it first
 * defines how memory is read,
 *
 *	static int ap_read(void *dst, __u32 size, __u64 addr);
 *
 * which returns 0, or anything else when the memory can't be read. Nothing
 * here trusts what it reads: addresses are checked for shape, every walk has
 * a constant bound, and a walk that stops says why.
 */
#ifndef ASYNCPROF_WALK_H
#define ASYNCPROF_WALK_H

#include "record.h"

#define AP_INLINE static inline __attribute__((always_inline, unused))

/* A frame, read. */
struct ap_link {
	__u64 code;
	__u64 previous;
	__s32 lasti;
	__u32 shim;	/* 1: a C shim: no code to show, not part of the stack */
};

/* Could it be the address of an object? User half, aligned, no page zero. */
AP_INLINE int ap_plausible(__u64 addr)
{
	return addr >= 4096 && addr < (1ULL << 47) && !(addr & 7);
}

/* Code and previous only: one small read, for the test that every hit pays. */
AP_INLINE int ap_read_caller(const struct ap_layout *l, __u64 frame, __u64 *code, __u64 *previous)
{
	__u64 word[4] = {};
	/* 3.12+: code, previous at 0, 8; before: both within 32 bytes from 24 on. */
	__u32 head = l->frame_code ? 24 : 0;

	if (!ap_plausible(frame) || ap_read(word, head ? 32 : 16, frame + head))
		return -1;
	*code = word[((l->frame_code - head) >> 3) & 3] & ~(__u64)l->tag_mask;
	*previous = word[((l->frame_previous - head) >> 3) & 3];
	return 0;
}

AP_INLINE int ap_read_link(const struct ap_layout *l, __u64 frame, struct ap_link *link)
{
	__u64 word[AP_FRAME_WORDS] = {};
	__u32 size = l->frame_size;
	__u64 instr;

	if (!ap_plausible(frame))
		return AP_CUT_BAD;
	if (size > sizeof(word))
		size = sizeof(word);
	if (ap_read(word, size, frame))
		return AP_CUT_FAULT;
	link->code = word[(l->frame_code >> 3) & 15] & ~(__u64)l->tag_mask;
	link->previous = word[(l->frame_previous >> 3) & 15];
	link->shim = 0;
	if (l->frame_owner != AP_NO_OFFSET) {
		__u64 owner = word[(l->frame_owner >> 3) & 15] >> ((l->frame_owner & 7) * 8);

		link->shim = (owner & 0xff) >= l->frame_shim;
	}
	instr = word[(l->frame_instr >> 3) & 15];
	if (l->lasti_scale)
		link->lasti = (__s32)((__u32)instr * l->lasti_scale);
	else
		link->lasti = (__s32)(instr - link->code - l->code_adaptive);
	return AP_CUT_NONE;
}

/* The frame that a thread runs: 0 when it has none or it can't be read. */
AP_INLINE __u64 ap_current_frame(const struct ap_layout *l, __u64 tstate)
{
	__u64 frame = 0, cframe = 0;

	if (!ap_plausible(tstate))
		return 0;
	if (l->cframe_frame == AP_NO_OFFSET) {
		if (ap_read(&frame, sizeof(frame), tstate + l->thread_frame))
			return 0;
		return frame;
	}
	if (ap_read(&cframe, sizeof(cframe), tstate + l->thread_frame) || !ap_plausible(cframe))
		return 0;
	if (ap_read(&frame, sizeof(frame), cframe + l->cframe_frame))
		return 0;
	return frame;
}

/*
 * One walk answers two questions: what the stack above a callback is, and
 * whether the callback still runs (rule R, test A1). It goes from `frame`
 * towards the root and stops at the callback's own Handle._run (under), at
 * its _run_once or run_forever without having met it (over), or at the root:
 * the callback's own root means over, another one that the thread runs
 * another greenlet now (elsewhere). The code of the `_run` must still be of
 * that class, which the includer answers:
 *
 *	static inline int ap_is_run(void *ctx, __u64 code);
 *
 * From 3.11 the next callback's `_run` lies in the same memory with the same
 * caller. As long as it has not come to the call it is not this callback: it
 * may wait for the GIL there (RESUME checks the eval breaker, 3.11+), which is
 * nobody's callback.
 *
 * It fills stack->frame with what lies above, leaf first; of an over one
 * down to and with its _run_once, so that the stack says what the loop did.
 */
struct ap_look {
	__u64 at;	/* the frame to read next */
	__u64 last;	/* the last one read that was no shim: the root, at the end */
	__u32 shims;	/* read on the way: calls from C */
};

enum { AP_LOOK_ON = 0 };	/* else an enum ap_seen */

static inline int ap_is_run(void *ctx, __u64 code);

AP_INLINE int ap_look_at(void *ctx, const struct ap_open *open, struct ap_look *look,
			 struct ap_stack *stack, __u32 cut, const struct ap_link *link)
{
	__u64 at = look->at;
	__u32 cnt;

	if (!at) {
		stack->cut = AP_CUT_NONE;
		return look->last == open->root ? AP_SEEN_OVER : AP_SEEN_ELSEWHERE;
	}
	if (cut) {
		stack->cut = cut;
		return at == open->once || at == open->forever ? AP_SEEN_OVER : AP_SEEN_ELSEWHERE;
	}
	if (at == open->run && link->previous == open->run_prev) {
		/*
		 * A foreign loop: the callback's first frame lies right above. Without one it runs C code,
		 * or is over: only Context_Exit tells, and of a batch it is the loop itself.
		 */
		if (open->flags & AP_F_FOREIGN)
			return stack->cnt || (open->flags & (AP_F_LEAVES | AP_F_BATCH)) == AP_F_LEAVES ?
				       AP_SEEN_UNDER :
				       AP_SEEN_ELSEWHERE;
		/* A signal's `run` is the frame that polls: under it only while a handler is above. */
		if (open->callee == AP_CALLEE_SIGNAL ? stack->cnt > 0 :
						       (!open->run_lasti || link->lasti >= open->run_lasti) &&
							       ap_is_run(ctx, link->code))
			return AP_SEEN_UNDER;
	}
	if (!link->shim) {
		cnt = stack->cnt;
		if (cnt < AP_FRAMES_MAX) {
			stack->frame[cnt].code = link->code;
			stack->frame[cnt].lasti = link->lasti;
			stack->frame[cnt].pad = 0;
			stack->cnt = cnt + 1;
		}
		look->last = at;
	} else {
		look->shims++;
	}
	if (at == open->once || at == open->forever)
		return AP_SEEN_OVER;
	look->at = link->previous;
	return AP_LOOK_ON;
}

AP_INLINE int ap_look_step(void *ctx, const struct ap_layout *l, const struct ap_open *open,
			   struct ap_look *look, struct ap_stack *stack)
{
	struct ap_link link = {};
	__u32 cut = look->at ? ap_read_link(l, look->at, &link) : AP_CUT_NONE;

	return ap_look_at(ctx, open, look, stack, cut, &link);
}

#endif
