/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "collector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "children.h"
#include "cost.h"
#include "greeting.h"
#include "kernel/kallsyms.h"
#include "kernel/ongoing.h"
#include "kernel/session.h"
#include "model/model.h"
#include "natives.h"
#include "program.h"
#include "signals.h"
#include "target/pids.h"
#include "target/source.h"
#include "targets.h"

#define LOOK_EVERY_NS	 50000000ULL	/* for stalls that still go on */
#define CHECK_EVERY_NS	 100000000ULL	/* for targets that ended, or begin to use asyncio */
#define IDLE_EVERY_NS	 1000000000ULL	/* a recording's loops are asked how long they polled */
#define SUMMARY_EVERY_NS 1000000000ULL	/* of a recording, which may be cut: as often as it commits */
#define MEASURE_NS	 1000000000ULL	/* how long the kernel measures our programs */
#define PERSON_NS	 1000000000ULL	/* a person is told once of a stall that ends sooner */

struct collector {
	const struct options *options;
	const struct collector_sink *sink;
	struct session *session;
	struct ongoing *ongoing;
	struct model *model;
	struct kallsyms *kallsyms;
	struct natives *natives; /* NULL: no native stacks are wanted */
	struct ap_native native; /* the one that is matched now */
	struct targets targets;
	struct program program;
	struct children children;
	int64_t unix_offset_ns;
	uint64_t start_ns, stop_ns;	/* stop_ns 0: it still runs */
	uint64_t end_ns;		/* when to stop; 0: no limit */
	uint64_t synthesised[AP_KIND_CNT];
	int again;			/* tell of open stalls once more */
	int stopped;			/* 1: enough, although the program that we started goes on */
	int started;			/* 1: the sink has had its start */
	int over;			/* what the sink said to end it, 0: nothing */
	struct refusal *why;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int64_t unix_now_ns(const struct collector *c)
{
	return (int64_t)now_ns() + c->unix_offset_ns;
}

/* The first thing that a sink says but "go on" is what ends the run. */
static void note(struct collector *c, int said)
{
	if (said && !c->over)
		c->over = said;
}

/* --- Into the model and out of it -------------------------------------------------- */

/* A record that was made here. */
static void on_own_record(void *ctx, const struct ap_head *record, size_t size)
{
	struct collector *c = ctx;

	if (record->kind < AP_KIND_CNT)
		c->synthesised[record->kind]++;
	model__feed(c->model, record, size);
}

/* A record from the ring. */
static void on_record(void *ctx, const struct ap_head *record, size_t size)
{
	struct collector *c = ctx;
	const struct ap_gone *gone = (const struct ap_gone *)record;

	if (record->kind == AP_GONE && size >= sizeof(*gone)) {
		char comm[AP_COMM_SZ + 1] = "";

		memcpy(comm, gone->comm, AP_COMM_SZ);
		model__set_account(c->model, record->tgid, record->tid, comm, &gone->account);
	}
	if (c->natives && record->kind == AP_SAMPLE && size >= offsetof(struct ap_sample, stack) &&
	    ((const struct ap_sample *)record)->flags & AP_T_NATIVE) {
		natives_find(c->natives, (const struct ap_sample *)record, &c->native);
		on_own_record(c, &c->native.head, c->native.head.size);
	}
	if (record->kind == AP_BORN && size >= sizeof(struct ap_born))
		children_born(&c->children, (const struct ap_born *)record);
	model__feed(c->model, record, size);
}

static void on_stall(void *ctx, const struct stall *stall)
{
	struct collector *c = ctx;

	if (!c->over)
		note(c, c->sink->stall(c->sink->ctx, stall));
}

static void on_point(void *ctx, const struct point *point)
{
	struct collector *c = ctx;

	if (c->over >= 0)
		note(c, c->sink->point(c->sink->ctx, point));
}

static int on_thread_name(void *ctx, uint32_t pid, uint32_t tid, char *buf, size_t size)
{
	struct collector *c = ctx;

	return targets_thread_name(&c->targets, (pid_t)pid, (pid_t)tid, buf, size);
}

static void on_code_forgotten(void *ctx, uint32_t pid, uint64_t code)
{
	struct collector *c = ctx;

	session__forget_code(c->session, (pid_t)pid, code);
}

static const char *on_kernel_symbol(void *ctx, uint64_t ip)
{
	struct collector *c = ctx;

	return c->kallsyms ? kallsyms_find(c->kallsyms, ip) : NULL;
}

int collector_source(void *ctx, uint32_t pid, const char *file, int line, char *buf, size_t size)
{
	struct collector *c = ctx;
	struct watched *target = targets_find(&c->targets, (pid_t)pid);

	if (!target || target->state == WATCHED_ENDED)
		return -ESRCH;
	return source_line(target->process, file, line, buf, size);
}

void collector_title(const struct collector *c, char *buf, size_t buf_sz)
{
	size_t i, len = 0;

	buf[0] = 0;
	for (i = 0; i < c->targets.cnt && len < buf_sz; i++)
		len += (size_t)snprintf(buf + len, buf_sz - len, "%s%s (%d)", i ? ", " : "",
					process_comm(c->targets.watched[i].process),
					(int)process_pid(c->targets.watched[i].process));
}

int collector_pid(const struct collector *c)
{
	return c->targets.cnt ? (int)process_pid(c->targets.watched[0].process) : 0;
}

/* --- Start and summary ----------------------------------------------------------------- */

/* One more; those that were there before the start are in that. */
static void on_joined(void *ctx, const struct watched *target)
{
	struct collector *c = ctx;

	c->program.attached = true;
	if (c->started)
		note(c, greeting_joined(c->sink, target, unix_now_ns(c)));
}

static void give_account(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct collector *c = ctx;
	struct ap_account account;
	char comm[AP_COMM_SZ + 1] = "";

	/* Its hits are the process's, see add_plain(). */
	if (t->plain)
		return;
	watched_account(t, &account);
	memcpy(comm, t->comm, AP_COMM_SZ);
	model__set_account(c->model, (uint32_t)pid, (uint32_t)tid, comm, &account);
}

struct homeless {
	pid_t pid;
	struct ap_account account;
};

/* A thread that runs no loop has an account only in a recording of threads. */
static void add_plain(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct homeless *h = ctx;

	(void)tid;
	if (!t->plain || pid != h->pid)
		return;
	h->account.hits += t->account.hits;
	for (int i = 0; i < AP_IGN_CNT; i++)
		h->account.ignored[i] += t->account.ignored[i];
}

static void give_homeless(struct collector *c, pid_t pid)
{
	struct homeless h = { .pid = pid };

	session__homeless_account(c->session, pid, &h.account);
	session__threads(c->session, add_plain, &h);
	if (h.account.hits)
		model__set_account(c->model, (uint32_t)pid, 0, "", &h.account);
}

static void print_summary(struct collector *c, int interim)
{
	struct run_summary sum = {
		.unix_ns = unix_now_ns(c),
		.duration_ns = (int64_t)((c->stop_ns ? c->stop_ns : now_ns()) - c->start_ns),
		.tier = "exact",
		.interim = interim,
	};
	struct session_cost cost;
	size_t i;
	int k;

	session__threads(c->session, give_account, c);
	for (i = 0; i < c->targets.cnt; i++)
		give_homeless(c, process_pid(c->targets.watched[i].process));
	session__sent(c->session, &sum.sent);
	for (k = 0; k < AP_KIND_CNT; k++)
		sum.events_lost += sum.sent.dropped[k];
	memcpy(sum.synthesised, c->synthesised, sizeof(sum.synthesised));
	if (model__summarise(c->model, &sum))
		return;
	session__cost(c->session, &cost);
	sum.hit_ns = cost.measured ? cost.trap_ns + cost.context_run_ns : 0;
	sum.overhead_ns = cost_estimate(&cost, &sum);
	note(c, c->sink->summary(c->sink->ctx, &sum));
}

/* --- The run -------------------------------------------------------------------------------- */

static void look_at_thread(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct collector *c = ctx;
	struct watched *target = targets_find(&c->targets, pid);

	/* The copy is session__threads()' own, and ours to change while it lasts. */
	if (target)
		watched__look(target, c->session, c->ongoing, tid, (struct ap_thread *)t, c->again,
			      on_own_record, c);
}

static int is_over(const struct collector *c, uint64_t now)
{
	/* Of a program that we started the signals are its own first, see program_wait(). */
	if (c->program.launch ? c->stopped || c->program.ended : signals_stop_asked())
		return 1;
	return c->over || (c->end_ns && now >= c->end_ns);
}

static void idle_of_thread(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct collector *c = ctx;

	model__idle(c->model, (uint32_t)pid, (uint32_t)tid, t, now_ns());
}

/* A program that stands is waited for, else the ring; the other one is looked at in passing. */
static int wait_for_records(struct collector *c, int timeout_ms)
{
	struct program *p = &c->program;

	if (c->natives)
		natives_read(c->natives);
	if (!p->launch || p->ended)
		return session__poll(c->session, timeout_ms);
	c->stopped |= program_wait(p, p->holding ? timeout_ms : 0) != 0;
	return session__poll(c->session, p->holding ? 0 : timeout_ms);
}

/* Children come and go for as long as a server runs: of those that went nothing is kept open. */
static void forget_ended(struct collector *c)
{
	size_t i = 0;

	while (i < c->targets.cnt) {
		struct watched *target = &c->targets.watched[i];

		if (!target->parent || target->state != WATCHED_ENDED) {
			i++;
			continue;
		}
		give_homeless(c, process_pid(target->process));
		if (c->natives)
			natives_forget(c->natives, process_pid(target->process));
		session__forget(c->session, process_pid(target->process));
		targets__forget(&c->targets, target);
	}
}

/* Is there anything left to watch, or to wait for? */
static int check_targets(struct collector *c)
{
	size_t left = targets_check(&c->targets, c->session);

	forget_ended(c);
	return left || c->children.cnt || c->program.launch;
}

static int collect(struct collector *c)
{
	uint64_t next_look = 0, next_check = 0, next_idle = 0, now = now_ns();
	uint64_t next_summary = now + SUMMARY_EVERY_NS;

	session__measure(c->session, 1);
	while (!is_over(c, now)) {
		int err = wait_for_records(c, (int)(LOOK_EVERY_NS / 1000000));

		if (err && err != -EINTR)
			return refuse(c->why, EXIT_FAILED, "", "can't read the ring buffer: %s",
				      strerror(-err));
		now = now_ns();
		if (now >= next_look) {
			session__threads(c->session, look_at_thread, c);
			next_look = now + LOOK_EVERY_NS;
		}
		if (c->sink->point && now >= next_idle) {
			next_idle = now + IDLE_EVERY_NS;
			session__threads(c->session, idle_of_thread, c);
		}
		if (now >= next_check) {
			next_check = now + CHECK_EVERY_NS;
			if (c->sink->tick)
				note(c, c->sink->tick(c->sink->ctx, unix_now_ns(c)));
			if (!check_targets(c))
				break;
		}
		children_check(&c->children);
		if (now - c->start_ns >= MEASURE_NS)
			session__measure(c->session, 0);
		if (signals_summary_asked() || (c->sink->point && now >= next_summary)) {
			next_summary = now + SUMMARY_EVERY_NS;
			print_summary(c, 1);
		}
	}
	return 0;
}

static void last_wait_of_thread(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct collector *c = ctx;
	struct watched *target = targets_find(&c->targets, pid);

	if (target)
		watched__last_wait(target, c->ongoing, tid, t, on_own_record, c);
	idle_of_thread(c, pid, tid, t);
}

/* What still hangs is told of once more, with its time by now; then the probes go. */
static void finish(struct collector *c)
{
	program_let_go(&c->program);
	/* Taking probes away takes the kernel half a second: not part of what was watched. */
	c->stop_ns = now_ns();
	session__poll(c->session, 0);
	c->again = 1;
	session__threads(c->session, look_at_thread, c);
	if (c->sink->point)
		session__threads(c->session, last_wait_of_thread, c);
	session__stop(c->session);
	targets_drop(&c->targets, c->session);
	session__measure(c->session, 0);
	session__drain(c->session);
	if (c->over >= 0 && c->started)
		print_summary(c, 0);
}

/* Of some readings the closest: between two clocks we may lose the CPU. */
static int64_t unix_offset_ns(void)
{
	uint64_t closest = UINT64_MAX, before, unix, after;
	int64_t offset = 0;
	int i;

	for (i = 0; i < 20; i++) {
		before = now_ns();
		unix = clock_ns(CLOCK_REALTIME);
		after = now_ns();
		if (after - before >= closest)
			continue;
		closest = after - before;
		offset = (int64_t)unix - (int64_t)(before + closest / 2);
	}
	return offset;
}

int collector__open(const struct options *options, struct collector **out, struct refusal *why)
{
	struct collector *c = calloc(1, sizeof(*c));

	*out = c;
	if (!c)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	c->options = options;
	c->why = why;
	c->unix_offset_ns = unix_offset_ns();
	c->program = (struct program){
		.targets = &c->targets,
		.emit = on_own_record,
		.ctx = c,
		.follows = options->subprocesses,
	};
	c->children = (struct children){
		.targets = &c->targets, .emit = on_own_record, .joined = on_joined, .ctx = c,
	};
	signals_catch();
	if (targets__open(&c->targets, options, why))
		return -1;
	return session__open(on_record, c, &c->session, why);
}

static int open_natives(struct collector *c)
{
	int err;
	size_t i;

	/* perf numbers its samples as system calls do, the programs as /proc does. */
	if (pids_depth())
		return refuse(c->why, EXIT_KERNEL, "mount /proc, or leave --native out",
			      "no native stacks: /proc is not of asyncprof's own pid namespace");
	err = natives__open(1000000000 / c->options->rate_hz, &c->natives);
	for (i = 0; i < c->targets.cnt && !err; i++)
		err = natives_add(c->natives, c->targets.watched[i].process);
	if (err)
		return refuse(c->why, EXIT_FAILED, "leave --native out", "no native stacks: %s",
			      strerror(-err));
	return 0;
}

/* Every probe is live. */
static void begin(struct collector *c)
{
	note(c, greeting_start(c->sink, &c->targets, unix_now_ns(c)));
	c->started = 1;
	c->start_ns = now_ns();
	if (c->options->duration_ns)
		c->end_ns = c->start_ns + c->options->duration_ns;
}

/* Until it has become Python and is watched, or has ended. */
static int start_program(struct collector *c)
{
	struct program *p = &c->program;

	p->session = c->session;
	p->natives = c->natives;
	if (program__start(p, c->options, c->why))
		return -1;
	/* It stands before its first line: it has started nothing yet. */
	if (c->children.on) {
		c->children.except = launch_pid(p->launch);
		session__family(c->session, c->children.except);
	}
	while (!p->attached && !p->ended && !c->stopped) {
		c->stopped |= program_wait(p, c->children.on ? 20 : 100) != 0;
		if (c->children.on) {
			session__drain(c->session);
			children_check(&c->children);
		}
	}
	if (!p->attached)
		return 0;
	begin(c);
	return 0;
}

static int prepare(struct collector *c)
{
	const struct options *options = c->options;

	c->ongoing = ongoing__new(options->json || options->command == COMMAND_RECORD ? 0 : PERSON_NS,
				  options->rate_hz);
	c->model = model__new(&(struct model_options){
		.unix_offset_ns = c->unix_offset_ns,
		.on_stall = on_stall,
		.on_point = c->sink->point ? on_point : NULL,
		.period_ns = 1000000000 / options->rate_hz,
		.kernel_symbol = on_kernel_symbol,
		.thread_name = on_thread_name,
		.code_forgotten = on_code_forgotten,
		.ctx = c,
	});
	if (!c->ongoing || !c->model)
		return refuse(c->why, EXIT_FAILED, "", "out of memory");
	/* Hidden addresses leave kernel frames without a name, which the output shows. */
	if (options->kernel)
		kallsyms__open(&c->kallsyms);
	if (options->native && open_natives(c))
		return -1;
	if (session__start(c->session, options->rate_hz, c->natives ? natives_stacks(c->natives) : NULL,
			   c->why) ||
	    targets_attach(&c->targets, c->session, on_own_record, c, c->why))
		return -1;
	c->children.session = c->session;
	c->children.natives = c->natives;
	if (options->subprocesses && children__start(&c->children, c->why))
		return -1;
	if (options->program)
		return start_program(c);
	begin(c);
	return 0;
}

int collector_run(struct collector *c, const struct collector_sink *sink, int *sink_error,
		  struct refusal *why)
{
	int err;

	c->sink = sink;
	c->why = why;
	err = prepare(c);
	if (!err) {
		err = collect(c);
		finish(c);
	}
	*sink_error = c->over < 0 ? c->over : 0;
	return err;
}

int collector_finish(struct collector *c, int failed, struct refusal *why)
{
	if (!c || !c->options->program)
		return failed;
	if (!c->program.launch) {
		if (failed && why->code != EXIT_CANNOT_EXECUTE && why->code != EXIT_NOT_FOUND)
			why->code = EXIT_BEFORE_PROGRAM;
		return failed;
	}
	program_finish(&c->program);
	return failed ? failed : program_result(&c->program, why);
}

void collector__close(struct collector *c)
{
	if (!c)
		return;
	program__close(&c->program);
	children__close(&c->children);
	session__close(c->session);
	natives__close(c->natives);
	targets__close(&c->targets);
	model__free(c->model);
	ongoing__free(c->ongoing);
	kallsyms__close(c->kallsyms);
	free(c);
}
