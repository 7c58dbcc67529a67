/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Processes and threads by the numbers that the collector's /proc has for
 * them. The kernel's helpers give the first pid namespace's; asyncprof may be
 * in another one, and its targets in one more.
 */
#ifndef ASYNCPROF_PIDS_BPF_H
#define ASYNCPROF_PIDS_BPF_H

#include "maps.bpf.h"

/* Global functions, see rule.bpf.h. */

/* pids_current() where the collector's numbers are not the kernel's own. */
__u64 pids_look(void);

/* The process that starts with `task`, in the collector's words; 0: its /proc does not show it. */
__u32 pids_of(__u64 task);

/* The thread of this process that calls itself `tid`; 0: not found. */
__u32 pids_outer(__u32 tid);

/* bpf_get_current_pid_tgid() in the collector's words; 0: its /proc does not show this process. */
static __always_inline __u64 pids_current(void)
{
	return pids_level ? pids_look() : bpf_get_current_pid_tgid();
}

#endif
