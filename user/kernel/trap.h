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

struct trap_cost {
	uint64_t hit_ns;	/* a hit of a program that returns at once; 0: not measured */
	/*
	 * What the kernel's own account of that program's run time says: next to
	 * nothing runs, so it is what the accounting itself takes (two clock reads,
	 * 0.5 us where a hypervisor traps them), and comes off every program's mean.
	 */
	uint64_t account_ns;
};

/* Medians of some rounds. They stay in the kernel's account of `program`. */
void trap_measure(struct bpf_program *program, struct trap_cost *out);

/* The kernel's account of a program: its runs while accounting was on, and their time. */
struct trap_runs {
	uint64_t cnt, ns;
};

struct trap_runs trap_runs(const struct bpf_program *program);

#endif
