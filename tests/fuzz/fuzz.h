/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a fuzz target is: one function that takes any bytes, and some good ones
 * to start from. Built twice: with libFuzzer (make fuzz), and with mutate.c,
 * which needs no more than gcc and is part of make check.
 */
#ifndef ASYNCPROF_FUZZ_H
#define ASYNCPROF_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_INPUT_MAX 65536

/* Returns 0. It must survive any input; what must hold is asserted with FUZZ_CHECK. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the n-th good input; returns its bytes, 0 when there is none. */
size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max);

#define FUZZ_CHECK(condition)            \
	do {                             \
		if (!(condition))        \
			__builtin_trap(); \
	} while (0)

#endif
