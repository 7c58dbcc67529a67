/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "kernel/probes.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "asyncprof.skel.h"
#include "kernel/features.h"
#include "kernel/stacks.h"

/* System calls that a loop can poll with. The kernel may lack the newer ones. */
static const char *const polls[] = {
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6",
};

/* Entries at which a thread leaves, and its memory with it. */
static const char *const leaves[] = { "exit", "exit_group", "execve", "execveat" };

#define AT_ONCE 32

static int keep(struct probes *p, struct bpf_link *link)
{
	if (p->cnt == p->room) {
		size_t room = p->room ? 2 * p->room : 32;
		struct bpf_link **more = realloc(p->link, room * sizeof(*more));

		if (!more) {
			bpf_link__destroy(link);
			return -ENOMEM;
		}
		p->link = more;
		p->room = room;
	}
	p->link[p->cnt++] = link;
	return 0;
}

/* EPERM and EACCES have one remedy, everything else is the kernel's. */
static int refuse_attach(struct refusal *why, int err, const char *what)
{
	if (err == EPERM || err == EACCES)
		return refuse(why, EXIT_PERMISSION, "run it as root", "%s: %s", what, strerror(err));
	return refuse(why, EXIT_KERNEL, "see asyncprof doctor", "%s: %s", what, strerror(err));
}

static int open_event(struct perf_event_attr *attr, int cpu)
{
	attr->size = sizeof(*attr);
	return (int)syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int attach_event(struct bpf_program *program, int event_fd, struct probes *out)
{
	struct bpf_link *link = bpf_program__attach_perf_event(program, event_fd);
	int err;

	if (!link) {
		err = errno;
		close(event_fd);
		return -err;
	}
	return keep(out, link);	/* which closes event_fd in its turn */
}

/* The id of a tracepoint, from tracefs: 0 when this kernel has none of that name. */
static long tracepoint_id(int tracefs, const char *side, const char *syscall_name)
{
	char path[96], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "events/syscalls/sys_%s_%s/id", side, syscall_name);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtol(text, NULL, 10) : 0;
}

static int attach_syscall(struct bpf_program *program, int tracefs, const char *side,
			  const char *name, struct probes *out)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT };
	long id = tracepoint_id(tracefs, side, name);
	int fd;

	if (id <= 0)
		return -ENOENT;
	attr.config = (uint64_t)id;
	/* The program hangs on the tracepoint, not on this CPU's event: it sees all CPUs. */
	fd = open_event(&attr, 0);
	return fd < 0 ? -errno : attach_event(program, fd, out);
}

static int attach_syscalls(struct asyncprof_bpf *bpf, struct probes *out, struct refusal *why)
{
	int tracefs = features_open_tracefs(), err = 0, attached = 0;
	size_t i;

	if (tracefs < 0)
		return refuse_attach(why, errno, "tracefs can't be opened");
	for (i = 0; i < sizeof(polls) / sizeof(polls[0]); i++) {
		err = attach_syscall(bpf->progs.on_poll_enter, tracefs, "enter", polls[i], out);
		if (!err)
			err = attach_syscall(bpf->progs.on_poll_exit, tracefs, "exit", polls[i], out);
		if (err && err != -ENOENT)
			break;
		attached += !err;
	}
	for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]) && (!err || err == -ENOENT); i++)
		err = attach_syscall(bpf->progs.on_leave, tracefs, "enter", leaves[i], out);
	close(tracefs);
	if (err && err != -ENOENT)
		return refuse_attach(why, -err, "can't attach to the system calls' tracepoints");
	if (!attached)
		return refuse(why, EXIT_KERNEL, "CONFIG_FTRACE_SYSCALLS is needed",
			      "the kernel has no tracepoints of poll system calls");
	return 0;
}

static int attach_tick(struct asyncprof_bpf *bpf, unsigned int rate_hz, struct stacks *stacks,
		       struct probes *out, struct refusal *why)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000ULL / rate_hz,
	};
	int cpus = libbpf_num_possible_cpus(), attached = 0, cpu, fd, err;

	if (stacks)
		stacks_ask(&attr);
	for (cpu = 0; cpu < cpus; cpu++) {
		fd = open_event(&attr, cpu);
		if (fd < 0 && (errno == ENODEV || errno == EINVAL))
			continue;	/* possible, but not online */
		if (fd < 0)
			return refuse_attach(why, errno, "can't open a cpu-clock event");
		err = stacks ? stacks__add(stacks, fd) : 0;
		if (err) {
			close(fd);
			return refuse(why, EXIT_KERNEL, "leave --native out",
				      "can't map a perf buffer for native stacks: %s", strerror(-err));
		}
		err = attach_event(bpf->progs.on_tick, fd, out);
		if (err)
			return refuse_attach(why, -err, "can't attach to a cpu-clock event");
		attached++;
	}
	if (!attached)
		return refuse(why, EXIT_KERNEL, "see asyncprof doctor", "no CPU has a cpu-clock event");
	return 0;
}

static int attach_raw(struct bpf_program *const *programs, size_t cnt, struct probes *out,
		      struct refusal *why)
{
	size_t i;

	for (i = 0; i < cnt; i++) {
		struct bpf_link *link = bpf_program__attach(programs[i]);

		if (!link || keep(out, link))
			return refuse_attach(why, errno, "can't attach to the scheduler's tracepoints");
	}
	return 0;
}

int probes_attach_machine(struct asyncprof_bpf *bpf, unsigned int rate_hz, struct stacks *stacks,
			  struct probes *out, struct refusal *why)
{
	struct bpf_program *const raw[] = {
		bpf->progs.on_exit, bpf->progs.on_exec, bpf->progs.on_switch,
	};

	if (attach_raw(raw, sizeof(raw) / sizeof(raw[0]), out, why) ||
	    attach_syscalls(bpf, out, why))
		return -1;
	return attach_tick(bpf, rate_hz, stacks, out, why);
}

int probes_attach_family(struct asyncprof_bpf *bpf, struct probes *out, struct refusal *why)
{
	struct bpf_program *const raw[] = {
		bpf->progs.on_family_exit, bpf->progs.on_family_exec, bpf->progs.on_fork,
	};

	return attach_raw(raw, sizeof(raw) / sizeof(raw[0]), out, why);
}

int probes_attach_site(const struct bpf_program *program, pid_t pid, const struct site *site,
		       struct probes *out, struct refusal *why)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts);
	struct bpf_link *link;
	int err;

	if (!site || site->cost == SITE_NONE)
		return 0;
	/* 0 would be ourselves. */
	link = pid > 0 ? bpf_program__attach_uprobe_opts(program, pid, site->path, site->offset, &opts) :
			 NULL;
	if (!link) {
		err = pid > 0 ? errno : ESRCH;
		if (err == ESRCH)
			return refuse(why, EXIT_NO_PROCESS, "", "process %d exited while attaching",
				      (int)pid);
		if (err == EPERM || err == EACCES)
			return refuse(why, EXIT_PERMISSION, "run it as root",
				      "can't probe %s in process %d: %s", site->name, (int)pid,
				      strerror(err));
		return refuse(why, EXIT_KERNEL, "see asyncprof doctor",
			      "can't probe %s in process %d: %s", site->name, (int)pid, strerror(err));
	}
	if (keep(out, link))
		return refuse(why, EXIT_FAILED, "", "out of memory");
	return 0;
}

static void *destroy_link(void *link)
{
	bpf_link__destroy(link);
	return NULL;
}

void probes_detach_at_once(struct probes *p)
{
	pthread_t thread[AT_ONCE];
	size_t threads = 0;

	/* The others go one by one. */
	while (threads < AT_ONCE && p->cnt &&
	       !pthread_create(&thread[threads], NULL, destroy_link, p->link[p->cnt - 1])) {
		p->cnt--;
		threads++;
	}
	probes_detach(p);
	while (threads)
		pthread_join(thread[--threads], NULL);
}

void probes_detach(struct probes *p)
{
	while (p->cnt)
		bpf_link__destroy(p->link[--p->cnt]);
	free(p->link);
	*p = (struct probes){ 0 };
}
