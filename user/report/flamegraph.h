/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The picture: a flame graph as one self-contained SVG or HTML file, which
 * needs no network and, without JavaScript, is still a readable picture.
 */
#ifndef ASYNCPROF_FLAMEGRAPH_H
#define ASYNCPROF_FLAMEGRAPH_H

#include <stdio.h>

#include "model/flame.h"

struct flamegraph {
	const char *title;    /* "python3 (1234), 30 s, wall"; raw bytes, never NULL */
	const char *subtitle; /* what a reader must know: sampled, lost, cut; NULL: nothing */
	const char *version;  /* asyncprof's own */
};

/* 0, or a negative errno when it could not be written. */
int flamegraph_svg(FILE *out, const struct flame *flame, const struct flamegraph *words);
int flamegraph_html(FILE *out, const struct flame *flame, const struct flamegraph *words);

#endif
