/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A fuzz target's inputs where libFuzzer is not at hand: each good one cut
 * short at many places and with words overwritten by those that break size
 * checks. The same inputs every time, so that a failure can be seen again.
 * Speaks TAP for tests/unit/run.
 *
 * usage: TARGET [RUNS]        try
 *        TARGET -w FOLDER     write the good inputs there, for libFuzzer
 *
 * FUZZ_SECONDS=N in the environment: more of them, for N seconds of CPU time.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* In memory of just that size, cut and overwritten; `i` of `runs`: first only cut. */
static int try(const uint8_t *seed, size_t size, unsigned int i, unsigned int runs)
{
	size_t cut = i == 0 ? size : i < runs / 4 ? size * i / (runs / 4) :
		     next_random() % 4 ? size : next_random() % (size + 1);
	uint8_t *data = malloc(cut ? cut : 1);

	if (!data)
		return 1;
	memcpy(data, seed, cut);
	if (i >= runs / 4)
		mutate(data, cut);
	LLVMFuzzerTestOneInput(data, cut);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t seed[FUZZ_INPUT_MAX];
	unsigned int n, i, runs = argc > 1 ? (unsigned int)atoi(argv[1]) : 2000;
	const char *seconds = getenv("FUZZ_SECONDS");
	clock_t end = seconds ? atoi(seconds) * CLOCKS_PER_SEC : 0;
	unsigned long more = 0;
	size_t size;

	if (argc == 3 && !strcmp(argv[1], "-w"))
		return write_seeds(argv[2], seed);
	for (n = 0; (size = fuzz_seed(n, seed, sizeof(seed))); n++) {
		for (i = 0; i < runs; i++) {
			if (try(seed, size, i, runs))
				return 1;
		}
		printf("ok %u - good input %u, and %u that are not\n", n + 1, n, runs - 1);
	}
	while (n && clock() < end) {
		size = fuzz_seed((unsigned int)(next_random() % n), seed, sizeof(seed));
		for (i = 0; i < 100; i++, more++) {
			if (try(seed, size, runs, runs))
				return 1;
		}
	}
	if (end)
		printf("ok %u - %lu more in %s s\n", n + 1, more, seconds);
	printf("1..%u\n", n + !!end);
	return n ? 0 : 1;
}
