/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/gzip.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define OUT_SZ 65536

/* 15 bits of window, and 16 for a gzip header. */
#define GZIP_WINDOW  (15 + 16)
#define MEMORY_LEVEL 8 /* zlib's default */

int gzip__open(struct gzip *gzip, FILE *out)
{
	memset(gzip, 0, sizeof(*gzip));
	gzip->out = out;
	/* Samples repeat a lot: the fastest level takes most of it. */
	if (deflateInit2(&gzip->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	return 0;
}

void gzip__close(struct gzip *gzip)
{
	deflateEnd(&gzip->z);
}

static int squeeze(struct gzip *gzip, int flush)
{
	uint8_t out[OUT_SZ];
	size_t sz;
	int status;

	do {
		gzip->z.next_out = out;
		gzip->z.avail_out = sizeof(out);
		status = deflate(&gzip->z, flush);
		sz = sizeof(out) - gzip->z.avail_out;
		if (fwrite(out, 1, sz, gzip->out) != sz)
			return errno ? -errno : -EIO;
	} while (status == Z_OK && !gzip->z.avail_out);
	return 0;
}

/* What waits. */
static int squeeze_in(struct gzip *gzip, int flush)
{
	gzip->z.next_in = gzip->in;
	gzip->z.avail_in = (unsigned int)gzip->in_sz;
	gzip->in_sz = 0;
	return squeeze(gzip, flush);
}

int gzip_write(struct gzip *gzip, const void *bytes, size_t sz)
{
	const uint8_t *from = bytes;

	while (sz) {
		size_t room = sizeof(gzip->in) - gzip->in_sz, piece_sz = sz < room ? sz : room;
		int err = 0;

		memcpy(gzip->in + gzip->in_sz, from, piece_sz);
		gzip->in_sz += piece_sz;
		from += piece_sz;
		sz -= piece_sz;
		if (gzip->in_sz == sizeof(gzip->in))
			err = squeeze_in(gzip, Z_NO_FLUSH);
		if (err)
			return err;
	}
	return 0;
}

int gzip_finish(struct gzip *gzip)
{
	return squeeze_in(gzip, Z_FINISH);
}
