/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The walker that the kernel programs use, over memory that the input is: the
 * layout is one of ours, all words are the target's.
 */
#include "fuzz.h"

#include <string.h>

#include "record.h"

#define BASE 0x10000ULL

static const uint8_t *memory;
static size_t memory_sz;

static int ap_read(void *dst, __u32 size, __u64 addr)
{
	if (addr < BASE || addr - BASE > memory_sz || size > memory_sz - (addr - BASE))
		return -1;
	memcpy(dst, memory + (addr - BASE), size);
	return 0;
}

#include "walk.h"

static int ap_is_run(void *ctx, __u64 code)
{
	(void)ctx;
	return code == BASE + 0x40;
}

/* Frames of 3.8, 3.11 and 3.14 as walk.h sees them. */
static const struct ap_layout layouts[] = {
	{.version = 0x0308, .thread_frame = 24, .cframe_frame = AP_NO_OFFSET, .frame_size = 128,
	 .frame_code = 32, .frame_previous = 24, .frame_instr = 104, .frame_owner = AP_NO_OFFSET,
	 .lasti_scale = 1, .frame_locals = 360},
	{.version = 0x030b, .thread_frame = 56, .cframe_frame = 8, .frame_size = 72, .frame_code = 32,
	 .frame_previous = 48, .frame_instr = 56, .frame_owner = 69, .frame_shim = 3,
	 .frame_locals = 72, .code_adaptive = 184},
	{.version = 0x030e, .tag_mask = 3, .thread_frame = 72, .cframe_frame = AP_NO_OFFSET,
	 .frame_size = 80, .frame_code = 0, .frame_previous = 8, .frame_instr = 56, .frame_owner = 74,
	 .frame_shim = 4, .frame_locals = 80, .code_adaptive = 208},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ap_stack stack;
	const struct ap_layout *l;
	struct ap_open open = {0};
	struct ap_look look = {0};
	__u64 code, previous, words[5];
	int i, seen = AP_LOOK_ON;

	if (size < 1 + sizeof(words))
		return 0;
	l = &layouts[data[0] % 3];
	memcpy(words, data + 1, sizeof(words));
	memory = data + 1;
	memory_sz = size - 1;
	open.run = words[0];
	open.run_prev = words[1];
	open.once = words[2];
	open.forever = words[3];
	open.root = words[4];
	look.at = ap_current_frame(l, BASE + 0x40);
	ap_read_caller(l, look.at, &code, &previous);
	memset(&stack, 0, sizeof(stack));
	for (i = 0; i < 2 * AP_FRAMES_MAX && seen == AP_LOOK_ON; i++)
		seen = ap_look_step(NULL, l, &open, &look, &stack);
	FUZZ_CHECK(stack.cnt <= AP_FRAMES_MAX);
	FUZZ_CHECK(seen >= AP_LOOK_ON && seen <= AP_SEEN_ELSEWHERE);
	FUZZ_CHECK(stack.cut <= AP_CUT_NO_FRAME);
	return 0;
}

/* A thread at +0x40 (by way of a cframe in 3.11) with a chain of four frames. */
size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	const struct ap_layout *l = &layouts[n % 3];
	uint64_t frame, next;
	unsigned int i;

	if (n > 2 || max < 4096)
		return 0;
	memset(data, 0, 4096);
	data[0] = (uint8_t)n;
	frame = BASE + 0x200;
	memcpy(data + 1, (uint64_t[]){frame + 0x200, frame + 0x300, 0, 0, frame + 0x300}, 40);
	if (l->cframe_frame == AP_NO_OFFSET) {
		memcpy(data + 1 + 0x40 + l->thread_frame, &frame, 8);
	} else {
		next = BASE + 0x100;
		memcpy(data + 1 + 0x40 + l->thread_frame, &next, 8);
		memcpy(data + 1 + 0x100 + l->cframe_frame, &frame, 8);
	}
	for (i = 0; i < 4; i++, frame += 0x100) {
		uint8_t *at = data + 1 + (frame - BASE);
		uint64_t code = BASE + 0x800;

		next = i < 3 ? frame + 0x100 : 0;
		memcpy(at + l->frame_code, &code, 8);
		memcpy(at + l->frame_previous, &next, 8);
	}
	return 4096;
}
