/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The table of debug offsets that the target publishes: whatever it says, what is
 * taken from it stays within what the walker reads in one go, and a walk by it ends.
 */
#include "fuzz.h"

#include <string.h>

#include "target/layouts.h"

#include "record.h"

#define BASE 0x10000ULL

static const uint8_t *memory;
static size_t memory_sz;

static int ap_read(void *dst, __u32 size, __u64 addr)
{
	FUZZ_CHECK(size <= AP_FRAME_WORDS * 8);
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

static void walk(const struct ap_layout *l)
{
	static struct ap_stack stack;
	struct ap_open open = {.run = BASE + 0x100, .once = BASE + 0x200};
	struct ap_look look = {.at = ap_current_frame(l, BASE)};
	int i, seen = AP_LOOK_ON;

	memset(&stack, 0, sizeof(stack));
	for (i = 0; i < 2 * AP_FRAMES_MAX && seen == AP_LOOK_ON; i++)
		seen = ap_look_step(NULL, l, &open, &look, &stack);
	FUZZ_CHECK(stack.cnt <= AP_FRAMES_MAX && stack.cut <= AP_CUT_NO_FRAME);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t debug[LAYOUT_DEBUG_WORDS];
	uint32_t word[2]; /* version, size of a Task */
	struct ap_layout l;
	struct refusal why;
	char text[16];
	size_t cnt;

	if (size < sizeof(word))
		return 0;
	memcpy(word, data, sizeof(word));
	data += sizeof(word);
	size -= sizeof(word);
	cnt = size / 8 < LAYOUT_DEBUG_WORDS ? size / 8 : LAYOUT_DEBUG_WORDS;
	memcpy(debug, data, cnt * 8);
	layout_version_text(word[0], text, sizeof(text));
	FUZZ_CHECK(memchr(text, 0, sizeof(text)));
	if (layout_fill(word[0], word[1], debug, cnt, &l, &why)) {
		FUZZ_CHECK(why.code == EXIT_INTERPRETER && why.what[0]);
		return 0;
	}
	FUZZ_CHECK(l.version == word[0] >> 16);
	FUZZ_CHECK(l.frame_size <= AP_FRAME_WORDS * 8);
	FUZZ_CHECK(l.frame_code + 8 <= l.frame_size && l.frame_previous + 8 <= l.frame_size);
	FUZZ_CHECK(l.frame_instr + 4 <= l.frame_size);
	FUZZ_CHECK(l.frame_owner == AP_NO_OFFSET || l.frame_owner < l.frame_size);
	memory = data;
	memory_sz = size;
	walk(&l);
	return 0;
}

/* 3.11, which needs no table, and 3.13.0 with the words of its own that are used. */
size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	static const uint16_t word[][2] = {
		{5, 632},  {9, 7344}, {10, 7392}, {18, 7760}, {21, 8},	 {23, 72},
		{24, 152}, {25, 160}, {29, 8},	  {30, 0},    {31, 56},	 {32, 72},
		{33, 70},  {35, 112}, {36, 120},  {37, 128},  {38, 136}, {39, 68},
		{43, 200}, {47, 24},  {68, 32},	  {69, 16},   {70, 40},	 {72, 208},
	};
	uint64_t debug[LAYOUT_DEBUG_WORDS] = {0};
	uint32_t head[2] = {n ? 0x030d00f0 : 0x030b02f0, n ? 144 : 176};

	if (n > 1 || max < sizeof(head) + sizeof(debug))
		return 0;
	memcpy(debug, "xdebugpy", 8);
	debug[1] = head[0];
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		debug[word[i][0]] = word[i][1];
	memcpy(data, head, sizeof(head));
	memcpy(data + sizeof(head), debug, sizeof(debug));
	return sizeof(head) + sizeof(debug);
}
