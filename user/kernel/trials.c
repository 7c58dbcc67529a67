/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Trials: each does what the profiler will do, on the smallest scale. It loads
 * a program of two instructions, links it to the same kind of event, and where
 * that costs nothing sees it run.
 *
 * It must never leave a program, link, map or breakpoint behind.
 */
#include "kernel/trials.h"

#include "kernel/features.h"
#include "target/pids.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
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

/* uprobe_multi is younger than Debian 12's headers (linux/bpf.h of 6.6). */
#define TRACE_UPROBE_MULTI 48

/* What a probe tried last, for doctor: "perf_event_open(uprobe)". */
static const char *trying = "";

const char *trial_doing(void)
{
	return trying;
}

#define INSN(code_, dst, src, immediate)                                                           \
	((struct bpf_insn){.code = (code_), .dst_reg = (dst), .src_reg = (src), .imm = (immediate)})
#define INSN_RETURN(value)                                                                         \
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, value), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0)
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
	const struct bpf_insn insns[] = {INSN_RETURN(1)};

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

int trial_bpf(void)
{
	int fd = load_smallest(BPF_PROG_TYPE_KPROBE);

	close_fd(fd);
	return fd < 0 ? fd : 0;
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

int trial_btf(void)
{
	return kernel_btf() ? 0 : -ENOENT;
}

/* Has struct `type` a member `name`? Those read here lie in no anonymous union. */
static int has_field(const char *type, const char *name)
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

int trial_sched_info(void)
{
	return has_field("sched_info", "run_delay");
}

int trial_throttled(void)
{
	return has_field("task_struct", "throttled") && has_field("cfs_rq", "throttle_count")
		       ? -ENOENT
		       : 0;
}

int trial_ring_buffer(void)
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

int trial_raw_tracepoint(void)
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

int trial_pids(void)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int program, err;

	trying = "/proc/self/status";
	if (pids_depth() < 0)
		return pids_depth();
	program = load_smallest(BPF_PROG_TYPE_RAW_TRACEPOINT);
	if (program < 0)
		return program;
	trying = "bpf(BPF_PROG_TEST_RUN) of a raw tracepoint's";
	err = bpf_prog_test_run_opts(program, &opts);
	close(program);
	return err;
}

int trial_task_pt_regs(void)
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

int trial_cpu_clock(void)
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

int trial_uprobe(void)
{
	struct perf_event_attr attr = {.disabled = 1};
	int type = event_source("/sys/bus/event_source/devices/uprobe/type"), event, err;

	if (type < 0)
		return type;
	attr.type = (__u32)type;
	attr.uprobe_path = (uint64_t)(uintptr_t) "/proc/self/exe";
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
int trial_uprobe_multi(void)
{
	static const char path[] = "/proc/self/exe";
	const struct bpf_insn insns[] = {INSN_RETURN(0)};
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
	static const char *const mounted[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
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

int trial_tracefs(void)
{
	int fd;

	trying = "fsopen(tracefs)";
	fd = features_open_tracefs();
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int trial_syscall_tracepoint(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .disabled = 1};
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
	/* No hit: while another tool's program on the same tracepoint returns 0, nothing is
	 * counted. */
	err = link_and_hit(BPF_PROG_TYPE_TRACEPOINT, event, NULL);
	close(event);
	return err;
}

int trial_kprobe(void)
{
	struct perf_event_attr attr = {.disabled = 1};
	int type = event_source("/sys/bus/event_source/devices/kprobe/type"), event, err;

	if (type < 0)
		return type;
	attr.type = (__u32)type;
	attr.kprobe_func = (uint64_t)(uintptr_t) "do_exit";
	trying = "perf_event_open(kprobe)";
	event = open_event(&attr, -1, 0);
	if (event < 0)
		return event;
	err = link_and_hit(BPF_PROG_TYPE_KPROBE, event, NULL);
	close(event);
	return err;
}

/* bpf_fentry_test1 is there for such tests, and never called otherwise (net/bpf/test_run.c). */
int trial_fentry(void)
{
	const struct bpf_insn insns[] = {INSN_RETURN(0)};
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
