/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The table of features, and the probes behind it. Each probe does what the
 * profiler will do, on the smallest scale: loads a program of two
 * instructions, links it to the same kind of event, and where that costs
 * nothing sees it run. To add a feature: a row here, its name in features.h.
 *
 * It must never decide by kernel version, and never leave a program, link,
 * map or breakpoint behind.
 */
#include "features.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LICENSE "Dual BSD/GPL"

/* Inode of the first pid namespace (include/linux/proc_ns.h: PROC_PID_INIT_INO). */
#define HOST_PID_NAMESPACE_INO 0xEFFFFFFCU

/* uprobe_multi is younger than Debian 12's headers (linux/bpf.h of 6.6). */
#define TRACE_UPROBE_MULTI 48

/* What a probe tried last, for doctor: "perf_event_open(uprobe)". */
static const char *trying;

#define INSN(code_, dst, src, immediate) \
	((struct bpf_insn){ .code = (code_), .dst_reg = (dst), .src_reg = (src), .imm = (immediate) })
#define INSN_RETURN(value) INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, value), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0)
#define INSN_CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, helper)

static int load(enum bpf_prog_type type, const struct bpf_insn *insns, size_t cnt,
		const struct bpf_prog_load_opts *opts)
{
	int fd;

	trying = "bpf(BPF_PROG_LOAD)";
	fd = bpf_prog_load(type, "asyncprof_try", LICENSE, insns, cnt, opts);
	return fd < 0 ? -errno : fd;
}

/* The smallest program. It returns 1: perf events count what a program lets through. */
static int load_smallest(enum bpf_prog_type type)
{
	const struct bpf_insn insns[] = { INSN_RETURN(1) };

	return load(type, insns, 2, NULL);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int open_event(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Links the smallest program of `type` to `event`, calls `hit`, and returns 0
 * when the event then counts it: the program ran and let it through.
 */
static int link_and_hit(enum bpf_prog_type type, int event, void (*hit)(void))
{
	int program, link = -1, err;
	uint64_t cnt = 0;

	program = load_smallest(type);
	if (program < 0)
		return program;
	trying = "bpf(BPF_LINK_CREATE) on a perf event";
	link = bpf_link_create(program, event, BPF_PERF_EVENT, NULL);
	if (link < 0) {
		err = -errno;
		goto out;
	}
	if (hit) {
		err = 0;
		if (ioctl(event, PERF_EVENT_IOC_ENABLE, 0)) {
			err = -errno;
			goto out;
		}
		hit();
		trying = "waiting for the program to run";
		if (read(event, &cnt, sizeof(cnt)) != (ssize_t)sizeof(cnt) || !cnt)
			err = -ENODATA;
	} else {
		err = 0;
	}
out:
	close_fd(link);
	close(program);
	return err;
}

/* The number of a perf event source: "uprobe", "kprobe". */
static int event_source(const char *path)
{
	int type = -1, err;
	FILE *f;

	trying = path;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	err = fscanf(f, "%d", &type) == 1 && type >= 0 ? type : -EINVAL;
	fclose(f);
	return err;
}

static int probe_bpf(void)
{
	int fd = load_smallest(BPF_PROG_TYPE_KPROBE);

	close_fd(fd);
	return fd < 0 ? fd : 0;
}

static int probe_host_pids(void)
{
	struct stat st;

	trying = "/proc/self/ns/pid";
	if (stat("/proc/self/ns/pid", &st))
		return -errno;
	trying = "a pid namespace of our own";
	return st.st_ino == HOST_PID_NAMESPACE_INO ? 0 : -EXDEV;
}

/* Loaded once: 4 MB that several probes ask. NULL when there is none. */
static const struct btf *kernel_btf(void)
{
	static struct btf *btf;
	static bool tried;

	trying = "/sys/kernel/btf/vmlinux";
	if (!tried) {
		tried = true;
		/* libbpf would look for a vmlinux on disk, which need not be the one that runs. */
		if (!access("/sys/kernel/btf/vmlinux", R_OK))
			btf = btf__parse("/sys/kernel/btf/vmlinux", NULL);
	}
	return btf;
}

static int probe_btf(void)
{
	return kernel_btf() ? 0 : -ENOENT;
}

/* Has struct `type` a member `name`? Those read here lie in no anonymous union. */
static int probe_field(const char *type, const char *name)
{
	const struct btf *btf = kernel_btf();
	const struct btf_type *t;
	int id, i;

	if (!btf)
		return -ENOENT;
	trying = "a field in the kernel's BTF";
	id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	t = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	for (i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), name))
			return 0;
	return -ENOENT;
}

static int probe_sched_info(void)
{
	return probe_field("sched_info", "run_delay");
}

static int probe_throttled(void)
{
	return probe_field("task_struct", "throttled") && probe_field("cfs_rq", "throttle_count") ?
		       -ENOENT :
		       0;
}

static int probe_ring_buffer(void)
{
	int fd;

	trying = "bpf(BPF_MAP_CREATE) of a ring buffer";
	/* The smallest that every page size takes: a power of two and whole pages. */
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "asyncprof_try", 0, 0, 65536, NULL);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int probe_raw_tracepoint(void)
{
	int program = load_smallest(BPF_PROG_TYPE_RAW_TRACEPOINT), link, err = 0;

	if (program < 0)
		return program;
	trying = "bpf(BPF_RAW_TRACEPOINT_OPEN) on sched_switch";
	link = bpf_raw_tracepoint_open("sched_switch", program);
	if (link < 0)
		err = -errno;
	close_fd(link);
	close(program);
	return err;
}

static int probe_task_pt_regs(void)
{
	const struct bpf_insn insns[] = {
		INSN_CALL(BPF_FUNC_get_current_task_btf),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_0, 0),
		INSN_CALL(BPF_FUNC_task_pt_regs),
		INSN_RETURN(0),
	};
	int fd = load(BPF_PROG_TYPE_RAW_TRACEPOINT, insns, sizeof(insns) / sizeof(insns[0]), NULL);

	if (fd < 0)
		trying = "bpf(BPF_PROG_LOAD) of a call to bpf_task_pt_regs";
	close_fd(fd);
	return fd < 0 ? fd : 0;
}

static int probe_cpu_clock(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 10000000,
		.disabled = 1,
	};
	int cpu = sched_getcpu(), event, err;

	trying = "perf_event_open(cpu-clock)";
	event = open_event(&attr, -1, cpu < 0 ? 0 : cpu);
	if (event < 0)
		return event;
	err = link_and_hit(BPF_PROG_TYPE_PERF_EVENT, event, NULL);
	close(event);
	return err;
}

/* Never inlined nor merged with another: it gets the breakpoint of the uprobe probes. */
__attribute__((noinline, noclone)) static void hit_me(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Where hit_me() lies in our own file; 0 when it can't be told. */
static uint64_t hit_me_offset(void)
{
	uint64_t addr = (uint64_t)(uintptr_t)hit_me, start, end, offset, found = 0;
	char line[512];
	FILE *f;

	trying = "/proc/self/maps";
	f = fopen("/proc/self/maps", "re");
	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx r-xp %lx", &start, &end, &offset) == 3 && addr >= start &&
		    addr < end)
			found = addr - start + offset;
	fclose(f);
	return found;
}

static int probe_uprobe(void)
{
	struct perf_event_attr attr = { .disabled = 1 };
	int type = event_source("/sys/bus/event_source/devices/uprobe/type"), event, err;

	if (type < 0)
		return type;
	attr.type = (__u32)type;
	attr.uprobe_path = (uint64_t)(uintptr_t)"/proc/self/exe";
	attr.probe_offset = hit_me_offset();
	if (!attr.probe_offset)
		return -ENOENT;
	trying = "perf_event_open(uprobe)";
	event = open_event(&attr, getpid(), -1);
	if (event < 0)
		return event;
	err = link_and_hit(BPF_PROG_TYPE_KPROBE, event, hit_me);
	close(event);
	return err;
}

/*
 * Older kernels load a program for uprobe_multi and ignore what it is for
 * (seen on 5.10 and 6.1), so only a link tells.
 */
static int probe_uprobe_multi(void)
{
	static const char path[] = "/proc/self/exe";
	const struct bpf_insn insns[] = { INSN_RETURN(0) };
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	uint64_t offset = hit_me_offset();
	/* The link_create part of union bpf_attr, as of 6.6. */
	struct {
		__u32 prog_fd, target_fd, attach_type, flags;
		__u64 path, offsets, ref_ctr_offsets, cookies;
		__u32 cnt, multi_flags, pid, pad;
	} attr = {
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uint64_t)(uintptr_t)path,
		.offsets = (uint64_t)(uintptr_t)&offset,
		.cnt = 1,
		.pid = (__u32)getpid(),
	};
	int program, link, err = 0;

	if (!offset)
		return -ENOENT;
	program = load(BPF_PROG_TYPE_KPROBE, insns, 2, &opts);
	if (program < 0)
		return program;
	attr.prog_fd = (__u32)program;
	trying = "bpf(BPF_LINK_CREATE) of a uprobe_multi";
	link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	if (link < 0)
		err = -errno;
	close_fd(link);
	close(program);
	return err;
}

static bool is_tracefs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == TRACEFS_MAGIC;
}

int features_open_tracefs(void)
{
	static const char *const mounted[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	int context, fd = -1, err;
	size_t i;

	for (i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++) {
		if (!is_tracefs(mounted[i]))
			continue;
		fd = open(mounted[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	if (context < 0)
		return -1;
	if (!syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	err = errno;
	close(context);
	errno = err;
	return fd;
}

static int probe_tracefs(void)
{
	int fd;

	trying = "fsopen(tracefs)";
	fd = features_open_tracefs();
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void hit_epoll(void)
{
	struct epoll_event event;

	/* A descriptor that never is one: the tracepoint comes before the check. */
	epoll_pwait(-1, &event, 1, 0, NULL);
}

static int probe_syscall_tracepoint(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .disabled = 1 };
	char text[32] = "";
	int tracefs = features_open_tracefs(), file, event, err;
	unsigned long long id = 0;

	trying = "fsopen(tracefs)";
	if (tracefs < 0)
		return -errno;
	trying = "events/syscalls/sys_enter_epoll_pwait/id in tracefs";
	file = openat(tracefs, "events/syscalls/sys_enter_epoll_pwait/id", O_RDONLY | O_CLOEXEC);
	err = file < 0 ? -errno : 0;
	close(tracefs);
	if (file < 0)
		return err;
	if (read(file, text, sizeof(text) - 1) <= 0 || sscanf(text, "%llu", &id) != 1)
		err = -EINVAL;
	close(file);
	if (err)
		return err;
	attr.config = id;
	trying = "perf_event_open(syscalls:sys_enter_epoll_pwait)";
	event = open_event(&attr, 0, -1);
	if (event < 0)
		return event;
	err = link_and_hit(BPF_PROG_TYPE_TRACEPOINT, event, hit_epoll);
	close(event);
	return err;
}

static int probe_kprobe(void)
{
	struct perf_event_attr attr = { .disabled = 1 };
	int type = event_source("/sys/bus/event_source/devices/kprobe/type"), event, err;

	if (type < 0)
		return type;
	attr.type = (__u32)type;
	attr.kprobe_func = (uint64_t)(uintptr_t)"do_exit";
	trying = "perf_event_open(kprobe)";
	event = open_event(&attr, -1, 0);
	if (event < 0)
		return event;
	err = link_and_hit(BPF_PROG_TYPE_KPROBE, event, NULL);
	close(event);
	return err;
}

/* bpf_fentry_test1 is there for such tests, and never called otherwise (net/bpf/test_run.c). */
static int probe_fentry(void)
{
	const struct bpf_insn insns[] = { INSN_RETURN(0) };
	const struct btf *btf = kernel_btf();
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int id, program, link, err = 0;

	if (!btf)
		return -ENOENT;
	trying = "bpf_fentry_test1 in the kernel's BTF";
	id = btf__find_by_name_kind(btf, "bpf_fentry_test1", BTF_KIND_FUNC);
	if (id < 0)
		return -ENOENT;
	opts.attach_btf_id = (__u32)id;
	program = load(BPF_PROG_TYPE_TRACING, insns, 2, &opts);
	if (program < 0)
		return program;
	trying = "bpf(BPF_RAW_TRACEPOINT_OPEN) of an fentry program";
	link = bpf_raw_tracepoint_open(NULL, program);
	if (link < 0)
		err = -errno;
	close_fd(link);
	close(program);
	return err;
}

#define NEWER "run it on Linux 5.15 or newer, built as distributions build it"

static const struct {
	const char *name;
	bool required;
	int (*probe)(void);	/* 0, or a negative errno and `trying` */
	const char *what_for;
	const char *since;
	const char *remedy;
	const char *degraded;
} table[FEATURE_CNT] = {
	[FEATURE_BPF] = { "BPF programs", true, probe_bpf, "everything", "4.1 (2541517c32be)",
			  "run it as root: sudo asyncprof; in a container: --privileged", NULL },
	[FEATURE_HOST_PIDS] = { "the host's pids", true, probe_host_pids,
				"to know the process among those that the kernel shows", "always",
				"run it in the host's pid namespace (docker run --pid=host)", NULL },
	[FEATURE_BTF] = { "kernel type information (BTF)", true, probe_btf,
			  "to find fields of kernel structures", "5.4 (341dfcf8d78e)",
			  "needs a kernel built with CONFIG_DEBUG_INFO_BTF and /sys mounted", NULL },
	[FEATURE_RING_BUFFER] = { "BPF ring buffer", true, probe_ring_buffer, "to report stalls",
				  "5.8 (457f44363a88)", NEWER, NULL },
	[FEATURE_RAW_TRACEPOINT] = { "raw tracepoints", true, probe_raw_tracepoint,
				     "to see threads sleep and exit", "4.17 (c4f6699dfcb8)", NEWER, NULL },
	[FEATURE_TASK_PT_REGS] = { "bpf_task_pt_regs", true, probe_task_pt_regs,
				   "to tell on which syscall a thread sleeps", "5.15 (dd6e10fbd9fb)", NEWER,
				   NULL },
	[FEATURE_SCHED_INFO] = { "run queue account", true, probe_sched_info,
				 "to tell waiting for a CPU from sleeping", "2.6.22",
				 "needs a kernel built with CONFIG_SCHED_INFO", NULL },
	[FEATURE_CPU_CLOCK] = { "perf cpu-clock", true, probe_cpu_clock, "to sample code that is on CPU",
				"4.9 (0515e5999a46)", NEWER, NULL },
	[FEATURE_UPROBE] = { "uprobes through perf", true, probe_uprobe, "to see callbacks begin and end",
			     "5.15 (b89fbfbb854c)", "needs a kernel built with CONFIG_UPROBE_EVENTS", NULL },
	[FEATURE_TRACEFS] = { "tracefs", true, probe_tracefs, "to find the syscall tracepoints",
			      "4.1 (4282d60689d4)", "mount -t tracefs nodev /sys/kernel/tracing", NULL },
	[FEATURE_SYSCALL_TRACEPOINT] = { "syscall tracepoints", true, probe_syscall_tracepoint,
					 "to see the loop poll", "4.7 (98b5c2c65c29)",
					 "needs a kernel built with CONFIG_FTRACE_SYSCALLS", NULL },
	[FEATURE_THROTTLED] = { "throttling account", false, probe_throttled,
				"to tell cgroup throttling from the run queue", "2.6.32, per thread 6.18",
				"needs a kernel built with CONFIG_CFS_BANDWIDTH",
				"time throttled by a cgroup counts as run queue" },
	[FEATURE_UPROBE_MULTI] = { "uprobe_multi", false, probe_uprobe_multi, "not used",
				   "6.6 (89ae89f53d20)", "", NULL },
	[FEATURE_KPROBE] = { "kprobes", false, probe_kprobe, "not used", "4.1 (2541517c32be)", "", NULL },
	[FEATURE_FENTRY] = { "fentry", false, probe_fentry, "not used", "5.5 (fec56f5890d9)", "", NULL },
};

/* What came of a probe. */
static struct {
	bool tried;
	int err;	/* 0: it works */
	char why[160];
} results[FEATURE_CNT];

static void try(enum feature feature)
{
	if (results[feature].tried)
		return;
	results[feature].tried = true;
	trying = "";
	results[feature].err = table[feature].probe();
	if (results[feature].err)
		snprintf(results[feature].why, sizeof(results[feature].why), "%s: %s", trying,
			 strerror(-results[feature].err));
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
		return (struct feature_row){ .name = "", .why = "no such feature" };
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
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

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
