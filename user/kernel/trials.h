/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One trial for each row of the table of features (features.c). A trial
 * returns 0 when the thing works, else a negative errno, and trial_doing()
 * then says what failed: "perf_event_open(uprobe)", a constant.
 */
#ifndef ASYNCPROF_TRIALS_H
#define ASYNCPROF_TRIALS_H

const char *trial_doing(void);

int trial_bpf(void);
int trial_pids(void);
int trial_btf(void);
int trial_sched_info(void);
int trial_throttled(void);
int trial_ring_buffer(void);
int trial_raw_tracepoint(void);
int trial_task_pt_regs(void);
int trial_cpu_clock(void);
int trial_uprobe(void);
int trial_uprobe_multi(void);
int trial_tracefs(void);
int trial_syscall_tracepoint(void);
int trial_kprobe(void);
int trial_fentry(void);

#endif
