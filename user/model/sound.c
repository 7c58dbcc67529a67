/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/sound.h"

#include <string.h>

/* Of a callback: two years. What says more is forged, and sums of it would overflow. */
#define DURATION_MAX_NS (1ULL << 56)
/* Of the monotonic clock: 146 years. Differences of such times fit into 64 bits with a sign. */
#define TS_MAX_NS (1ULL << 62)

static bool is_stack(const struct ap_stack *stack, size_t bytes)
{
	return stack->cnt <= AP_FRAMES_MAX && stack->cut <= AP_CUT_NO_FRAME &&
	       bytes >= stack->cnt * sizeof(stack->frame[0]);
}

static bool is_code(const struct ap_code *code)
{
	size_t room = code->head.size - offsetof(struct ap_code, linetable);

	return code->linetable_kept <= room && code->linetable_kept <= code->linetable_len;
}

static bool is_sample(const struct ap_sample *sample)
{
	return is_stack(&sample->stack,
			sample->head.size - offsetof(struct ap_sample, stack.frame));
}

static bool is_block(const struct ap_block *block)
{
	return block->off < AP_OFF_CNT && block->file.path_len <= AP_PATH_SZ &&
	       is_stack(&block->stack, block->head.size - offsetof(struct ap_block, stack.frame));
}

static bool is_slow(const struct ap_slow *slow)
{
	if (slow->place_cnt > AP_PLACES_MAX || slow->end >= AP_END_CNT ||
	    slow->callee > AP_CALLEE_ITERATION || slow->cut > AP_CUT_NO_FRAME)
		return false;
	if (slow->hi_ts > TS_MAX_NS || slow->hi_ts < slow->start_ts ||
	    slow->hi_ts - slow->start_ts > DURATION_MAX_NS)
		return false;
	for (__u32 i = 0; i < slow->place_cnt; i++) {
		if (slow->place[i].off >= AP_OFF_CNT)
			return false;
	}
	return true;
}

static bool is_native(const struct ap_native *native)
{
	size_t room = native->head.size - offsetof(struct ap_native, frame);

	if (native->cnt > AP_NATIVE_MAX || native->head.size > sizeof(*native) ||
	    room < native->cnt * sizeof(native->frame[0]))
		return false;
	for (__u32 i = 0; i < native->cnt; i++) {
		const struct ap_native_frame *frame = &native->frame[i];

		if (!memchr(frame->func, 0, sizeof(frame->func)) ||
		    !memchr(frame->file, 0, sizeof(frame->file)))
			return false;
	}
	return true;
}

bool sound_record(const struct ap_head *head, size_t record_sz)
{
	static const size_t least[AP_KIND_CNT] = {
		[AP_NAME] = sizeof(struct ap_name),
		[AP_CODE] = offsetof(struct ap_code, linetable),
		[AP_SAMPLE] = offsetof(struct ap_sample, stack.frame),
		[AP_BLOCK] = offsetof(struct ap_block, stack.frame),
		[AP_SLOW] = sizeof(struct ap_slow),
		[AP_GONE] = sizeof(struct ap_gone),
		[AP_KERNEL] = sizeof(struct ap_kernel),
		[AP_NATIVE] = offsetof(struct ap_native, frame),
		[AP_BORN] = sizeof(struct ap_born),
	};
	const void *record = head;

	if (head->size != record_sz || !head->kind || head->kind >= AP_KIND_CNT ||
	    record_sz < least[head->kind] || head->ts > TS_MAX_NS)
		return false;
	switch (head->kind) {
	case AP_NAME:
		return ((const struct ap_name *)record)->callee <= AP_CALLEE_ITERATION;
	case AP_CODE:
		return is_code(record);
	case AP_SAMPLE:
		return is_sample(record);
	case AP_BLOCK:
		return is_block(record);
	case AP_SLOW:
		return is_slow(record);
	case AP_NATIVE:
		return is_native(record);
	default:
		return true;
	}
}
