/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Two C functions, one in the other, that burn CPU: what --native must show
 * below the Python line that called them. Built without frame pointers, so that
 * only .eh_frame leads out of it.
 */
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A millisecond at a time: nearly all of it in here, not in the clock. */
__attribute__((noinline)) double c_inner(double end)
{
	volatile double sum = 0;

	while (now() < end)
		for (int i = 0; i < 200000; i++)
			sum += i;
	return sum;
}

__attribute__((noinline)) double c_outer(double seconds)
{
	/* volatile: no tail call, so that it has a frame of its own */
	volatile double sum = c_inner(now() + seconds);

	return sum;
}
