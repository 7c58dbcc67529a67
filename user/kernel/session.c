/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "kernel/session.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asyncprof.skel.h"
#include "kernel/features.h"
#include "kernel/probes.h"
#include "kernel/trap.h"
#include "target/pids.h"

#define WATCHED_MAX 256	/* as many as the `targets` map holds */
#define BATCH_MAX   4096	/* records handed over at once */
#define WHOLE_TRIES 16	/* copies of a thread whose program is at work, 1 us at a time */

struct watched {
	pid_t pid;	/* 0: free */
	struct probes probes;
};

struct session {
	struct asyncprof_bpf *bpf;
	struct ring_buffer *ring;
	struct probes machine;
	struct watched watched[WATCHED_MAX];
	session_record on_record;
	void *ctx;
	size_t batch_left;	/* records until the caller's turn */
	int stats_fd;		/* -1: the kernel does not measure programs now */
	struct trap_cost trap;
	struct trap_runs trap_runs;	/* of on_context_run, before it met a target */
	struct session_cost cost;
};

static uint64_t thread_key(pid_t pid, pid_t tid)
{
	return (uint64_t)(uint32_t)pid << 32 | (uint32_t)tid;
}

/* libbpf's own words go nowhere: what fails is said once, by us, in one line. */
static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int on_ring(void *ctx, void *data, size_t size)
{
	struct session *s = ctx;

	if (size >= sizeof(struct ap_head))
		s->on_record(s->ctx, data, size);
	/* libbpf reads on for as long as records come: a storm would never let go. */
	return s->batch_left && --s->batch_left ? 0 : -EAGAIN;
}

/* Since 5.18 (fa2c3254d7cf) sched_switch passes the state of the thread that leaves, before it changes. */
static int switch_has_state(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *type;
	int id, has = 0;

	if (!btf)
		return 0;
	id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	type = type ? btf__type_by_id(btf, type->type) : NULL;	/* a pointer */
	type = type ? btf__type_by_id(btf, type->type) : NULL;	/* to a function: ctx and the arguments */
	if (type && btf_is_func_proto(type))
		has = btf_vlen(type) >= 5;
	btf__free(btf);
	return has;
}

/* Runs on_self() here and now. */
static int set_pids(struct asyncprof_bpf *bpf)
{
	uint64_t args[] = { (uint64_t)pids_depth() };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));

	return bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.on_self), &opts);
}

int session__open(session_record on_record, void *ctx, struct session **out, struct refusal *why)
{
	struct session *s;
	int err;

	*out = NULL;
	if (features_require(why))
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	s->stats_fd = -1;
	s->on_record = on_record;
	s->ctx = ctx;
	libbpf_set_print(be_quiet);
	s->bpf = asyncprof_bpf__open();
	if (!s->bpf) {
		refuse(why, EXIT_FAILED, "", "can't open the kernel programs: %s", strerror(errno));
		goto fail;
	}
	s->bpf->rodata->switch_has_state = (uint32_t)switch_has_state();
	err = asyncprof_bpf__load(s->bpf);
	if (err) {
		refuse(why, err == -EPERM ? EXIT_PERMISSION : EXIT_KERNEL, "see asyncprof doctor",
		       "the kernel refuses our programs: %s", strerror(-err));
		goto fail;
	}
	s->ring = ring_buffer__new(bpf_map__fd(s->bpf->maps.ring), on_ring, s, NULL);
	if (!s->ring) {
		refuse(why, EXIT_KERNEL, "", "can't map the ring buffer: %s", strerror(errno));
		goto fail;
	}
	err = set_pids(s->bpf);
	if (err) {
		refuse(why, EXIT_KERNEL, "see asyncprof doctor",
		       "can't tell how processes are numbered here: %s", strerror(-err));
		goto fail;
	}
	trap_measure(s->bpf->progs.on_context_run, &s->trap);
	*out = s;
	return 0;
fail:
	session__close(s);
	return -1;
}

int session__start(struct session *s, unsigned int rate_hz, struct stacks *stacks,
		   struct refusal *why)
{
	return probes_attach_machine(s->bpf, rate_hz, stacks, &s->machine, why);
}

static struct watched *find_watched(struct session *s, pid_t pid)
{
	size_t i;

	for (i = 0; i < WATCHED_MAX; i++)
		if (s->watched[i].pid == pid)
			return &s->watched[i];
	return NULL;
}

static int attach(struct session *s, pid_t tid, const struct session_probes *probes,
		  struct probes *out, struct refusal *why)
{
	/* Ends before beginnings: an end without its beginning is nothing. */
	const struct {
		const struct bpf_program *program;
		const struct site *site;
	} all[] = {
		{ s->bpf->progs.on_set_running_loop, probes->set_running_loop },
		{ s->bpf->progs.on_task_dealloc, probes->task_dealloc },
		{ s->bpf->progs.on_context_exit, probes->context_exit },
		{ s->bpf->progs.on_task_step, probes->task_step },
		{ s->bpf->progs.on_task_step, probes->task_wakeup_call },
		{ s->bpf->progs.on_task_wakeup, probes->task_wakeup },
		{ s->bpf->progs.on_context_enter, probes->context_enter },
		{ s->bpf->progs.on_context_run, probes->context_run },
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (probes_attach_site(all[i].program, tid, all[i].site, out, why))
			return -1;
	return 0;
}

int session__describe(struct session *s, pid_t pid, const struct ap_target *target,
		      struct refusal *why)
{
	uint32_t key = (uint32_t)pid;

	if (!bpf_map_update_elem(bpf_map__fd(s->bpf->maps.targets), &key, target, BPF_ANY))
		return 0;
	return refuse(why, EXIT_FAILED, "", "can't describe process %d to the kernel: %s", (int)pid,
		      strerror(errno));
}

uint32_t session__runs(struct session *s, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	struct ap_target target;

	return bpf_map_lookup_elem(bpf_map__fd(s->bpf->maps.targets), &key, &target) ?
		       0 : target.run_cnt;
}

int session__add(struct session *s, pid_t pid, pid_t tid, const struct ap_target *target,
		 const struct session_probes *probes, struct refusal *why)
{
	const struct ap_account none = { 0 };
	uint32_t key = (uint32_t)pid;
	struct watched *w = find_watched(s, 0);

	if (!w)
		return refuse(why, EXIT_FAILED, "start a second asyncprof for the rest",
			      "%d processes are watched already", WATCHED_MAX);
	w->pid = pid;
	bpf_map_update_elem(bpf_map__fd(s->bpf->maps.accounts), &key, &none, BPF_NOEXIST);
	if (session__describe(s, pid, target, why) || attach(s, tid, probes, &w->probes, why)) {
		session__drop(s, pid);
		return -1;
	}
	return 0;
}

int session__extend(struct session *s, pid_t pid, pid_t tid, const struct session_probes *probes,
		    struct refusal *why)
{
	struct watched *w = find_watched(s, pid);

	return w && attach(s, tid, probes, &w->probes, why) ? -1 : 0;
}

int session__move(struct session *s, pid_t pid, pid_t tid, const struct session_probes *probes,
		  struct refusal *why)
{
	struct watched *w = find_watched(s, pid);

	struct probes fresh = { 0 };
	int err;

	if (!w)
		return 0;
	/* First the new ones: taking uprobes away takes 0.1 s, and the old ones see nothing any more. */
	err = attach(s, tid, probes, &fresh, why) ? -1 : 0;
	probes_detach(&w->probes);
	w->probes = fresh;
	return err;
}

int session__follow(struct session *s, struct refusal *why)
{
	return probes_attach_family(s->bpf, &s->machine, why);
}

int session__family(struct session *s, pid_t pid)
{
	uint32_t key = (uint32_t)pid, none = 0;
	int fd = bpf_map__fd(s->bpf->maps.family);

	/* What the kernel side knows of it already, it knows better. */
	return bpf_map_update_elem(fd, &key, &none, BPF_NOEXIST) && errno != EEXIST ? -errno : 0;
}

void session__stop(struct session *s)
{
	__atomic_store_n(&s->bpf->bss->stopped, 1, __ATOMIC_SEQ_CST);
}

void session__drop(struct session *s, pid_t pid)
{
	struct watched *w = find_watched(s, pid);
	uint32_t key = (uint32_t)pid;

	if (!w)
		return;
	if (s->bpf->bss->stopped)
		probes_detach_at_once(&w->probes);
	else
		probes_detach(&w->probes);
	bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.targets), &key);
	w->pid = 0;
}

int session__poll(struct session *s, int timeout_ms)
{
	int n;

	s->batch_left = BATCH_MAX;
	n = ring_buffer__poll(s->ring, timeout_ms);
	/* What nobody waits for does not wake us (bpf/emit.bpf.h). */
	if (!n)
		n = ring_buffer__consume(s->ring);
	return n < 0 && n != -EAGAIN ? n : 0;
}

void session__drain(struct session *s)
{
	s->batch_left = SIZE_MAX;
	while (ring_buffer__consume(s->ring) > 0)
		;
}

int session__seed(struct session *s, pid_t pid, pid_t tid, const struct ap_thread *thread)
{
	uint64_t key = thread_key(pid, tid);

	if (thread->plain && __atomic_load_n(&s->bpf->bss->plain_cnt, __ATOMIC_RELAXED) >= AP_PLAIN_MAX)
		return -ENOSPC;
	if (bpf_map_update_elem(bpf_map__fd(s->bpf->maps.threads), &key, thread, BPF_NOEXIST))
		return -errno;
	if (thread->plain)
		__atomic_fetch_add(&s->bpf->bss->plain_cnt, 1, __ATOMIC_RELAXED);
	return 0;
}

void session__prove(struct session *s, pid_t pid, pid_t tid, uint64_t seq, uint64_t lo_ns)
{
	const struct ap_proof proof = { .seq = seq, .lo_ts = lo_ns };
	uint64_t key = thread_key(pid, tid);

	bpf_map_update_elem(bpf_map__fd(s->bpf->maps.proofs), &key, &proof, BPF_ANY);
}

void session__forget_code(struct session *s, pid_t pid, uint64_t code)
{
	struct ap_addr key = {.addr = code, .tgid = (uint32_t)pid};

	bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.codes), &key);
}

void session__unseed(struct session *s, pid_t pid, pid_t tid)
{
	uint64_t key = thread_key(pid, tid);
	struct ap_thread *t = malloc(sizeof(*t));

	/* The kernel side counts down itself, if it was faster. */
	if (t && !session__thread(s, pid, tid, t) &&
	    !bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.threads), &key) && t->plain)
		__atomic_fetch_sub(&s->bpf->bss->plain_cnt, 1, __ATOMIC_RELAXED);
	free(t);
}

int session__thread(struct session *s, pid_t pid, pid_t tid, struct ap_thread *out)
{
	uint64_t key = thread_key(pid, tid);

	return bpf_map_lookup_elem(bpf_map__fd(s->bpf->maps.threads), &key, out) ? -errno : 0;
}

void session__threads(struct session *s, session_each each, void *ctx)
{
	int fd = bpf_map__fd(s->bpf->maps.threads);
	uint64_t key, next, *at = NULL;
	int err = 0, tries;
	struct ap_thread *t = malloc(sizeof(*t));
	unsigned int bound = bpf_map__max_entries(s->bpf->maps.threads);

	/* An entry that goes away under the walk starts it over; the bound ends it all the same. */
	while (t && bound-- && !bpf_map_get_next_key(fd, at, &next)) {
		key = next;
		at = &key;
		for (tries = 0; tries < WHOLE_TRIES; tries++) {
			err = bpf_map_lookup_elem(fd, &key, t);
			if (err || !t->working)
				break;
		}
		if (!err)
			each(ctx, (pid_t)(key >> 32), (pid_t)(uint32_t)key, t);
	}
	free(t);
}

void session__homeless_account(struct session *s, pid_t pid, struct ap_account *out)
{
	uint32_t key = (uint32_t)pid;

	if (bpf_map_lookup_elem(bpf_map__fd(s->bpf->maps.accounts), &key, out))
		*out = (struct ap_account){ 0 };
}

void session__forget(struct session *s, pid_t pid)
{
	uint32_t key = (uint32_t)pid;

	bpf_map_delete_elem(bpf_map__fd(s->bpf->maps.accounts), &key);
}

void session__sent(struct session *s, struct ap_sent *out)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(s->bpf->maps.sent), &zero, out))
		*out = (struct ap_sent){ 0 };
}

/* Mean run time of a program since `before`, without what the accounting takes. */
static uint64_t mean_ns(const struct session *s, const struct bpf_program *program,
			struct trap_runs before)
{
	struct trap_runs runs = trap_runs(program);
	uint64_t mean;

	if (runs.cnt <= before.cnt)
		return 0;
	mean = (runs.ns - before.ns) / (runs.cnt - before.cnt);
	return mean > s->trap.account_ns ? mean - s->trap.account_ns : 0;
}

void session__measure(struct session *s, int on)
{
	const struct trap_runs none = { 0 };

	if (on && s->stats_fd < 0) {
		s->trap_runs = trap_runs(s->bpf->progs.on_context_run);
		s->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	}
	if (on || s->stats_fd < 0)
		return;
	close(s->stats_fd);
	s->stats_fd = -1;
	s->cost = (struct session_cost){
		.trap_ns = s->trap.hit_ns,
		.context_run_ns = mean_ns(s, s->bpf->progs.on_context_run, s->trap_runs),
		.set_running_loop_ns = mean_ns(s, s->bpf->progs.on_set_running_loop, none),
		.task_dealloc_ns = mean_ns(s, s->bpf->progs.on_task_dealloc, none),
		.foreign_ns = mean_ns(s, s->bpf->progs.on_context_exit, none),
		.poll_ns = mean_ns(s, s->bpf->progs.on_poll_enter, none) +
			   mean_ns(s, s->bpf->progs.on_poll_exit, none),
		.switch_ns = mean_ns(s, s->bpf->progs.on_switch, none),
		.tick_ns = mean_ns(s, s->bpf->progs.on_tick, none),
		.measured = s->trap.hit_ns != 0,
	};
}

void session__cost(struct session *s, struct session_cost *out)
{
	*out = s->cost;
}

void session__close(struct session *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < WATCHED_MAX; i++)
		probes_detach(&s->watched[i].probes);
	probes_detach_at_once(&s->machine);
	if (s->stats_fd >= 0)
		close(s->stats_fd);
	ring_buffer__free(s->ring);
	asyncprof_bpf__destroy(s->bpf);
	free(s);
}
