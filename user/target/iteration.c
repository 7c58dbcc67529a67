/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * It must never take another float for the time: the function's file and name, and the value's
 * type, are checked, and that it lies in the past.
 */
#include "target/iteration.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "target/code.h"
#include "target/frames.h"

#define WORD	    8
#define OBJECT_TYPE 8	/* ob_type (Include/object.h, 3.8 to 3.15) */
#define FLOAT_VALUE 16	/* ob_fval (Include/cpython/floatobject.h; 3.8: Include/floatobject.h) */

/* Its place among the locals: co_varnames of BaseEventLoop._run_once (Lib/asyncio/base_events.py). */
static int end_time_index(unsigned int version)
{
	const unsigned int minor = version & 0xff;

	/* 3.13 has no `when` any more, 3.15 a `now`. */
	return minor == 13 || minor == 14 ? 6 : 7;
}

int iteration_began(struct memory *m, const struct interpreter *in, uint64_t once, uint64_t *ns)
{
	const struct ap_layout *l = &in->layout;
	struct frames f = {.memory = m, .layout = l};
	uint64_t value = 0, type = 0;
	struct timespec now;
	double seconds = 0;

	if (frames_class(&f, frames_code(&f, once)) != FRAMES_NAMED_ONCE ||
	    !frames_is_in(&f, once, "/asyncio/base_events.py"))
		return -EINVAL;
	if (memory_read(m, once + l->frame_locals + WORD * (uint64_t)end_time_index(l->version), &value,
			sizeof(value)))
		return -EIO;
	value &= ~(uint64_t)l->tag_mask;
	if (memory_read(m, value + OBJECT_TYPE, &type, sizeof(type)) ||
	    !code_is_type(m, l, type, "float") ||
	    memory_read(m, value + FLOAT_VALUE, &seconds, sizeof(seconds)))
		return -EIO;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!isfinite(seconds) || seconds <= 0 || seconds > (double)now.tv_sec + 1)
		return -EIO;
	*ns = (uint64_t)(seconds * 1e9);
	return 0;
}
