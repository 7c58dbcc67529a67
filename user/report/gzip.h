/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Bytes into an open file, compressed as gzip has it: zlib's own gz*()
 * functions want a file of their own.
 */
#ifndef ASYNCPROF_GZIP_H
#define ASYNCPROF_GZIP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

struct gzip {
	FILE *out;
	z_stream z;
	uint8_t in[16384]; /* what waits: a call for each few bytes costs more than they do */
	size_t in_sz;
};

/* Each 0, or a negative errno. gzip__close() frees, also after an error. */
int gzip__open(struct gzip *gzip, FILE *out);
int gzip_write(struct gzip *gzip, const void *bytes, size_t sz);
int gzip_finish(struct gzip *gzip);
void gzip__close(struct gzip *gzip);

#endif
