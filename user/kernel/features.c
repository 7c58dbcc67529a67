/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The table of features. To add one: a row here, its name in features.h, its
 * trial in trials.c.
 *
 * It must never decide by kernel version: distributions backport, and
 * configurations remove.
 */
#include "kernel/features.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/trials.h"

#define NEWER "run it on Linux 5.15 or newer, built as distributions build it"

static const struct {
	const char *name;
	bool required;
	int (*trial)(void);
	const char *what_for;
	const char *since;
	const char *remedy;
	const char *degraded;
} table[FEATURE_CNT] = {
	[FEATURE_BPF] = {"BPF programs", true, trial_bpf, "everything", "4.1 (2541517c32be)",
			 "run it as root: sudo asyncprof; in a container: --privileged", NULL},
	[FEATURE_BTF] = {"kernel type information (BTF)", true, trial_btf,
			 "to find fields of kernel structures", "5.4 (341dfcf8d78e)",
			 "needs a kernel built with CONFIG_DEBUG_INFO_BTF and /sys mounted", NULL},
	[FEATURE_RING_BUFFER] = {"BPF ring buffer", true, trial_ring_buffer, "to report stalls",
				 "5.8 (457f44363a88)", NEWER, NULL},
	[FEATURE_RAW_TRACEPOINT] = {"raw tracepoints", true, trial_raw_tracepoint,
				    "to see threads sleep and exit", "4.17 (c4f6699dfcb8)", NEWER,
				    NULL},
	[FEATURE_PIDS] = {"numbers of processes", true, trial_pids,
			  "to know the process among those that the kernel shows",
			  "5.10 (1b4d60ec162f)", "needs /proc mounted, of this pid namespace or one above",
			  NULL},
	[FEATURE_TASK_PT_REGS] = {"bpf_task_pt_regs", true, trial_task_pt_regs,
				  "to tell on which syscall a thread sleeps", "5.15 (dd6e10fbd9fb)",
				  NEWER, NULL},
	[FEATURE_SCHED_INFO] = {"run queue account", true, trial_sched_info,
				"to tell waiting for a CPU from sleeping", "2.6.22",
				"needs a kernel built with CONFIG_SCHED_INFO", NULL},
	[FEATURE_CPU_CLOCK] = {"perf cpu-clock", true, trial_cpu_clock,
			       "to sample code that is on CPU", "4.9 (0515e5999a46)", NEWER, NULL},
	[FEATURE_UPROBE] = {"uprobes through perf", true, trial_uprobe,
			    "to see callbacks begin and end", "5.15 (b89fbfbb854c)",
			    "needs a kernel built with CONFIG_UPROBE_EVENTS", NULL},
	[FEATURE_TRACEFS] = {"tracefs", true, trial_tracefs, "to find the syscall tracepoints",
			     "4.1 (4282d60689d4)", "mount -t tracefs nodev /sys/kernel/tracing",
			     NULL},
	[FEATURE_SYSCALL_TRACEPOINT] = {"syscall tracepoints", true, trial_syscall_tracepoint,
					"to see the loop poll", "4.7 (98b5c2c65c29)",
					"needs a kernel built with CONFIG_FTRACE_SYSCALLS", NULL},
	[FEATURE_THROTTLED] = {"throttling account", false, trial_throttled,
			       "to tell cgroup throttling from the run queue",
			       "2.6.32, per thread 6.18",
			       "needs a kernel built with CONFIG_CFS_BANDWIDTH",
			       "time throttled by a cgroup counts as run queue"},
	[FEATURE_UPROBE_MULTI] = {"uprobe_multi", false, trial_uprobe_multi,
				  "another way to probe; not needed", "6.6 (89ae89f53d20)", "",
				  NULL},
	[FEATURE_KPROBE] = {"kprobes", false, trial_kprobe, "another way to see polls; not needed",
			    "4.1 (2541517c32be)", "", NULL},
	[FEATURE_FENTRY] = {"fentry", false, trial_fentry, "another way to see polls; not needed",
			    "5.5 (fec56f5890d9)", "", NULL},
};

/* What came of a trial. */
static struct {
	bool tried;
	int err; /* 0: it works */
	char why[160];
} results[FEATURE_CNT];

static void try(enum feature feature)
{
	if (results[feature].tried)
		return;
	results[feature].tried = true;
	results[feature].err = table[feature].trial();
	if (results[feature].err)
		snprintf(results[feature].why, sizeof(results[feature].why), "%s: %s",
			 trial_doing(), strerror(-results[feature].err));
}

bool feature(enum feature feature)
{
	if ((unsigned int)feature >= FEATURE_CNT)
		return false;
	try(feature);
	return !results[feature].err;
}

struct feature_row feature_row(enum feature feature)
{
	if ((unsigned int)feature >= FEATURE_CNT)
		return (struct feature_row){.name = "", .why = "no such feature"};
	try(feature);
	return (struct feature_row){
		.name = table[feature].name,
		.what_for = table[feature].what_for,
		.since = table[feature].since,
		.remedy = table[feature].remedy,
		.degraded = table[feature].degraded,
		.required = table[feature].required,
		.works = !results[feature].err,
		.why = results[feature].why,
	};
}

/* Root of a container, or a user with some capabilities, is not root enough. */
static bool is_privileged(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[0].effective & (1U << CAP_SYS_ADMIN);
}

int features_require(struct refusal *why)
{
	int i, err;

	for (i = 0; i < FEATURE_CNT; i++) {
		if (!table[i].required || feature((enum feature)i))
			continue;
		err = results[i].err;
		if ((err == -EPERM || err == -EACCES) && !is_privileged())
			return refuse(why, EXIT_PERMISSION, table[FEATURE_BPF].remedy,
				      "no permission (%s)", results[i].why);
		return refuse(why, EXIT_KERNEL, table[i].remedy, "this kernel has no %s (%s)",
			      table[i].name, results[i].why);
	}
	return 0;
}

size_t features_degraded(const char **list, size_t max)
{
	size_t cnt = 0;
	int i;

	for (i = 0; i < FEATURE_CNT; i++) {
		if (!table[i].degraded || feature((enum feature)i))
			continue;
		if (cnt < max)
			list[cnt] = table[i].degraded;
		cnt++;
	}
	return cnt;
}

const char *features_libbpf_version(void)
{
	const char *version = libbpf_version_string();

	return *version == 'v' ? version + 1 : version;
}
