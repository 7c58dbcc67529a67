/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Calls a function of ours in rounds, without the probe and with it, and takes
 * the median of each, in CPU time: other threads and the hypervisor take the
 * CPU away for milliseconds in any one of them.
 */
#include "kernel/trap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <link.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9
#define CALLS  400

/* Begins with `push`, which the kernel emulates, as the sites in the interpreter do: no endbr64. */
__attribute__((naked, noinline, used, nocf_check)) static void trap_site(void)
{
	__asm__ volatile("push %rbp\n\tpop %rbp\n\tret");
}

/* From an address of our own image to the offset in its file. */
static int find_offset(struct dl_phdr_info *info, size_t size, void *data)
{
	uint64_t *offset = data;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || *offset < start || *offset - start >= ph->p_filesz)
			continue;
		*offset += ph->p_offset - start;
		return 1;
	}
	return 0;
}

static uint64_t round_ns(void)
{
	struct timespec a, b;
	int i;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (i = 0; i < CALLS; i++)
		trap_site();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (uint64_t)(b.tv_sec - a.tv_sec) * 1000000000ULL + (uint64_t)b.tv_nsec -
	       (uint64_t)a.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t median_ns(void)
{
	uint64_t ns[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++)
		ns[i] = round_ns();
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	return ns[ROUNDS / 2];
}

struct trap_runs trap_runs(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return (struct trap_runs){ 0 };
	return (struct trap_runs){ .cnt = info.run_cnt, .ns = info.run_time_ns };
}

/* Some rounds with the kernel's accounting on. */
static uint64_t account_ns(const struct bpf_program *program)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct trap_runs runs;

	if (stats < 0)
		return 0;
	median_ns();
	close(stats);
	runs = trap_runs(program);
	return runs.cnt ? runs.ns / runs.cnt : 0;
}

void trap_measure(struct bpf_program *program, struct trap_cost *out)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts);
	uint64_t offset = (uint64_t)(uintptr_t)trap_site, without, with;
	struct bpf_link *link;

	*out = (struct trap_cost){ 0 };
	if (!dl_iterate_phdr(find_offset, &offset))
		return;
	without = median_ns();
	link = bpf_program__attach_uprobe_opts(program, getpid(), "/proc/self/exe", (size_t)offset,
					       &opts);
	if (!link)
		return;
	with = median_ns();
	out->account_ns = account_ns(program);
	/* Taking a uprobe away waits for all CPUs, 0.1 s: once is enough. */
	bpf_link__destroy(link);
	out->hit_ns = with > without ? (with - without) / CALLS : 0;
}
