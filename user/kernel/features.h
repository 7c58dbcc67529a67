/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What this kernel lets asyncprof do, found out by doing it: each row of one
 * table is tried on first use and remembered. Versions are printed, never
 * compared: distributions backport, and configurations remove.
 *
 * It must never touch a target or leave anything behind in the kernel: what a
 * trial loads or links is closed before it returns. Not thread-safe.
 */
#ifndef ASYNCPROF_FEATURES_H
#define ASYNCPROF_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "refusal.h"

enum feature {
	FEATURE_BPF,		    /* we may load BPF programs at all */
	FEATURE_BTF,		    /* /sys/kernel/btf/vmlinux */
	FEATURE_RING_BUFFER,	    /* BPF_MAP_TYPE_RINGBUF */
	FEATURE_RAW_TRACEPOINT,	    /* sched_switch, sched_process_exit, sched_process_exec */
	FEATURE_PIDS,		    /* processes as /proc numbers them */
	FEATURE_TASK_PT_REGS,	    /* bpf_task_pt_regs: syscall and arguments at a switch */
	FEATURE_SCHED_INFO,	    /* task_struct.sched_info.run_delay: the run queue's account */
	FEATURE_CPU_CLOCK,	    /* a program on a perf cpu-clock event */
	FEATURE_UPROBE,		    /* a uprobe through perf_event_open and a perf link */
	FEATURE_TRACEFS,	    /* tracefs, mounted or mountable out of sight */
	FEATURE_SYSCALL_TRACEPOINT, /* syscalls:sys_enter_*, sys_exit_* */
	FEATURE_THROTTLED,	    /* cgroup throttling told from the run queue */
	/* Other ways to the same ends, shown by doctor and not used. */
	FEATURE_UPROBE_MULTI,
	FEATURE_KPROBE,
	FEATURE_FENTRY,
	FEATURE_CNT
};

/* A row as doctor prints it. All strings are constants of the program, or live as long as it. */
struct feature_row {
	const char *name;
	const char *what_for; /* what needs it */
	const char *since;    /* "5.8 (457f44363a88)": kernel and commit that brought it */
	const char *remedy;   /* what to do about it */
	const char *degraded; /* what is lost without it; NULL: required, or nothing is */
	bool required;
	bool works;
	const char *why; /* why it does not work: the system call and its error; "" when it works */
};

/* Does it work? Tries it the first time. */
bool feature(enum feature feature);

/* The row of a feature, tried. */
struct feature_row feature_row(enum feature feature);

/* 0 when all required features work; else -1 with `why`: EXIT_PERMISSION or EXIT_KERNEL. The first
 * that fails is named. */
int features_require(struct refusal *why);

/* Up to `max` constant sentences for what is lost on this kernel; returns how many there are in
 * all. */
size_t features_degraded(const char **list, size_t max);

/*
 * A directory fd of tracefs, or -1 with errno: the mounted one, else one of our own that no
 * path leads to (fsopen, fsmount). The caller closes it.
 */
int features_open_tracefs(void);

/* "1.1": the libbpf that runs. */
const char *features_libbpf_version(void);

#endif
