/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What this kernel lets asyncprof do, found out by doing it: each row of one
 * table is tried on first use and remembered. Versions are printed, never
 * compared: distributions backport, and configurations remove.
 *
 * It must never touch a target or leave anything behind in the kernel: what a
 * probe loads or links is closed before it returns. Not thread-safe.
 */
#ifndef ASYNCPROF_FEATURES_H
#define ASYNCPROF_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "refusal.h"

enum feature {
	FEATURE_BPF,			/* we may load BPF programs at all */
	FEATURE_BTF,			/* /sys/kernel/btf/vmlinux */
	FEATURE_RING_BUFFER,		/* BPF_MAP_TYPE_RINGBUF */
	FEATURE_RAW_TRACEPOINT,		/* raw tracepoints: sched_switch, sched_process_exit */
	FEATURE_TP_BTF,			/* typed raw tracepoints (BPF_TRACE_RAW_TP) */
	FEATURE_UPROBE,			/* a uprobe through perf_event_open and a perf link */
	FEATURE_UPROBE_MULTI,		/* a uprobe_multi link */
	FEATURE_COOKIE,			/* bpf_get_attach_cookie on perf links */
	FEATURE_CPU_CLOCK,		/* a program on a perf cpu-clock event, per CPU */
	FEATURE_TRACEFS,		/* tracefs, mounted or mountable out of sight */
	FEATURE_SYSCALL_TRACEPOINT,	/* syscalls:sys_enter_* and sys_exit_* */
	FEATURE_KPROBE,
	FEATURE_FENTRY,
	FEATURE_TASK_PT_REGS,		/* bpf_task_pt_regs: syscall and arguments at a switch */
	FEATURE_PIDNS,			/* bpf_get_ns_current_pid_tgid */
	FEATURE_LOOP,			/* bpf_loop */
	FEATURE_SCHED_INFO,		/* task_struct.sched_info.run_delay: the run queue's account */
	FEATURE_THROTTLED,		/* task_struct.throttled: cgroup throttling told from run queue */
	FEATURE_CNT
};

/* A row as doctor prints it. All strings are constants of the program, or live as long as it. */
struct feature_row {
	const char *name;
	const char *what_for;	/* what needs it */
	const char *since;	/* "5.8 (457f44363a88)": kernel and commit that brought it */
	const char *remedy;	/* what to do about it */
	const char *degraded;	/* what is lost without it; NULL when it is required */
	bool required;
	bool works;
	const char *why;	/* why it does not work: the system call and its error; "" when it works */
};

/* Does it work? Tries it the first time. */
bool feature(enum feature feature);

/* The row of a feature, tried. */
struct feature_row feature_row(enum feature feature);

/* 0 when all required features work; else -1 with `why`: EXIT_PERMISSION or EXIT_KERNEL. */
int features_require(struct refusal *why);

/*
 * Up to `max` constant sentences for what is lost on this kernel; returns how many there are in
 * all. Some rows stand in for one another and cost nothing while one of them works.
 */
size_t features_degraded(const char **list, size_t max);

/*
 * A directory fd of tracefs, or -1 with errno: the mounted one, else one of our own that no
 * path leads to (fsopen, fsmount). The caller closes it.
 */
int features_open_tracefs(void);

/* "1.1": the libbpf that runs. */
const char *features_libbpf_version(void);

#endif
