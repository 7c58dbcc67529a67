/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Any bytes as a function: whatever is chosen must be a place that a probe may go. */
#include "fuzz.h"

#include <string.h>

#include "target/sites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct site site = {.cost = SITE_NONE};
	unsigned int arg_cnt;
	const uint8_t *at;

	if (!size)
		return 0;
	arg_cnt = data[0] % 5;
	if (site_choose(data + 1, size - 1, arg_cnt, &site))
		return 0;
	FUZZ_CHECK(site.cost == SITE_EMULATED || site.cost == SITE_STEPPED);
	FUZZ_CHECK(site.skipped < size - 1);
	FUZZ_CHECK(site.byte_cnt && site.byte_cnt <= SITE_BYTES);
	FUZZ_CHECK(site.byte_cnt <= size - 1 - site.skipped);
	FUZZ_CHECK(memchr(site.insn, '\0', sizeof(site.insn)));
	at = data + 1 + site.skipped;
	FUZZ_CHECK(!memcmp(at, site.bytes, site.byte_cnt));
	FUZZ_CHECK(at[0] != 0xe8 && at[0] != 0xcc); /* a call; someone's breakpoint */
	FUZZ_CHECK(site.byte_cnt < 5 || memcmp(at, nop5, 5));
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	/* Entries of context_run as compilers make it: push; endbr64, push; endbr64, sub, cmp, jle. */
	static const struct {
		size_t size;
		uint8_t bytes[40];
	} seeds[] = {
		{17, {3, 0x41, 0x56, 0x41, 0x54, 0x55, 0x41, 0x54, 0x55, 0x53, 0x4c, 0x8b, 0x2d,
		      0xa1, 0x5c, 0x3c, 0x00}},
		{13, {3, 0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x57, 0x41, 0x56, 0x53, 0x5b, 0x41, 0xc3}},
		{19, {3, 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x38, 0x48, 0x83, 0xfa, 0x00,
		      0x7e, 0x02, 0x90, 0x90, 0xc3, 0x90}},
	};

	if (n >= sizeof(seeds) / sizeof(seeds[0]) || seeds[n].size > max)
		return 0;
	memcpy(data, seeds[n].bytes, seeds[n].size);
	return seeds[n].size;
}
