/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * `asyncprof doctor`: what works on this kernel and for these processes, what
 * does not, and the remedy.
 *
 * It must never attach to a target or change anything: it only looks.
 */
#ifndef ASYNCPROF_DOCTOR_H
#define ASYNCPROF_DOCTOR_H

#include <stdio.h>

#include "cli/options.h"
#include "refusal.h"

/* "asyncprof VERSION (kernel RELEASE, libbpf VERSION)" and a newline. */
void doctor_print_version(FILE *out);

/*
 * Prints to `out` what works here and for each of options->pid, as text or,
 * with options->json, as one JSON object a line and process. Returns the exit
 * code that `watch` would end with, and prints on `out` why. A failing write
 * shows in ferror(out).
 */
enum exit_code doctor_print(FILE *out, const struct options *options);

#endif
