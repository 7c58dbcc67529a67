/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What one uprobe hit costs on this machine, measured on a function of our
 * own. It differs by a factor of three between machines, and is most of what
 * asyncprof costs its target.
 */
#ifndef ASYNCPROF_TRAP_H
#define ASYNCPROF_TRAP_H

#include <stdint.h>

struct bpf_program;

/* Nanoseconds a hit, the median of some rounds; 0: it could not be measured. */
uint64_t trap_measure(struct bpf_program *program);

#endif
