/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Attaching: one table of what is attached where, and how. All probes are
 * links or perf events held by file descriptors, so they are gone when we are.
 */
#ifndef ASYNCPROF_PROBES_H
#define ASYNCPROF_PROBES_H

#include <stddef.h>
#include <sys/types.h>

#include "refusal.h"
#include "target/sites.h"

struct asyncprof_bpf;
struct bpf_link;
struct bpf_program;

#define PROBES_TICK_HZ 99	/* 0.2 % of a busy CPU; not a divisor of anything that programs do */

/* A growing set of links. Starts as {0}. */
struct probes {
	struct bpf_link **link;
	size_t cnt, room;
};

struct stacks;

/*
 * What looks at the whole machine, the tick `rate_hz` times a second on each CPU. With `stacks`
 * perf copies registers and stack at ticks that ask for it. 0, or -1 with `why`; what was
 * attached stays in `out`.
 */
int probes_attach_machine(struct asyncprof_bpf *bpf, unsigned int rate_hz, struct stacks *stacks,
			  struct probes *out, struct refusal *why);

/* What tells of forks and of what they become. */
int probes_attach_family(struct asyncprof_bpf *bpf, struct probes *out, struct refusal *why);

/* One uprobe of one process. */
int probes_attach_site(const struct bpf_program *program, pid_t pid, const struct site *site,
		       struct probes *out, struct refusal *why);

/* Detaches in reverse order. */
void probes_detach(struct probes *p);

/*
 * In no order. The kernel waits for a grace period for each link, 20 ms and more; those that wait
 * together wait for one.
 */
void probes_detach_at_once(struct probes *p);

#endif
