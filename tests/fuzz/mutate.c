/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A fuzz target's inputs where libFuzzer is not at hand: each good one cut
 * short at many places and with words overwritten by those that break size
 * checks. The same inputs every time, so that a failure can be seen again.
 * Speaks TAP for tests/unit/run.
 *
 * usage: TARGET [RUNS]        try
 *        TARGET -w FOLDER     write the good inputs there, for libFuzzer
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 88172645463325252ULL;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void mutate(uint8_t *data, size_t size)
{
	static const uint64_t words[] = {
		0, 1, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
		0xffffffffffffffff, 0xfffffffffffff000, 0x00007fffffffffff,
	};
	unsigned int cnt = 1 + (unsigned int)(next_random() % 8);

	while (size && cnt--) {
		size_t at = next_random() % size, width = (size_t)1 << next_random() % 4;
		uint64_t word = words[next_random() % (sizeof(words) / sizeof(words[0]))];

		if (next_random() % 4 == 0)
			word = next_random();
		if (width > size - at)
			width = size - at;
		memcpy(data + at, &word, width);
	}
}

static int write_seeds(const char *folder, uint8_t *seed)
{
	char path[512];
	unsigned int n;
	size_t size;
	FILE *f;

	for (n = 0; (size = fuzz_seed(n, seed, FUZZ_INPUT_MAX)); n++) {
		snprintf(path, sizeof(path), "%s/seed-%u", folder, n);
		f = fopen(path, "wb");
		if (!f || fwrite(seed, 1, size, f) != size || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t seed[FUZZ_INPUT_MAX];
	unsigned int n, i, runs = argc > 1 ? (unsigned int)atoi(argv[1]) : 2000;
	size_t size, cut;
	uint8_t *data;

	if (argc == 3 && !strcmp(argv[1], "-w"))
		return write_seeds(argv[2], seed);
	for (n = 0; (size = fuzz_seed(n, seed, sizeof(seed))); n++) {
		for (i = 0; i < runs; i++) {
			/* First whole, then cut, then cut and overwritten; in memory of just that size. */
			cut = i == 0 ? size : i < runs / 4 ? size * i / (runs / 4) :
			      next_random() % 4 ? size : next_random() % (size + 1);
			data = malloc(cut ? cut : 1);
			if (!data)
				return 1;
			memcpy(data, seed, cut);
			if (i >= runs / 4)
				mutate(data, cut);
			LLVMFuzzerTestOneInput(data, cut);
			free(data);
		}
		printf("ok %u - good input %u, and %u that are not\n", n + 1, n, runs - 1);
	}
	printf("1..%u\n", n);
	return n ? 0 : 1;
}
