/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A file that was asked for with -o: its format, and that it can be written,
 * known before anything is attached; written when the run is over.
 *
 * It must never leave a terminal full of bytes, nor an old file half
 * overwritten by a run that failed before it had anything to write.
 */
#ifndef ASYNCPROF_OUTPUT_H
#define ASYNCPROF_OUTPUT_H

#include <stdio.h>

#include "refusal.h"
#include "report/format.h"

struct output {
	const char *path; /* borrowed; "-": stdout */
	enum format format;
	int fd;		  /* -1: not opened */
	int made;	  /* 1: the file was not there before, and nothing was written yet */
};

/*
 * `format` FORMAT_NONE: from the name, else `otherwise`. Opens the file, which keeps what it
 * holds for now. 0, or -1 with `why`; close it in either case.
 */
int output__open(struct output *o, const char *path, enum format format, enum format otherwise,
		 struct refusal *why);

/* Empties the file and hands it out for writing; output__close() ends that. NULL with `why`. */
FILE *output_begin(struct output *o, struct refusal *why);

/* Somebody else has written it: it stays. */
void output_keep(struct output *o);

/* 0, or -1 with `why`: what was written did not arrive. */
int output_end(struct output *o, FILE *file, struct refusal *why);
/* 1: nobody reads the pipe any more. A reader that has left is how it says "enough". */
int output_reader_left(FILE *file);

/* A file that was made for nothing goes. */
void output__close(struct output *o);

/* What messages call it. */
const char *output_name(const struct output *o);

#endif
