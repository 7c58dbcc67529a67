/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "watched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/code.h"
#include "target/iteration.h"
#include "target/snapshot.h"

#define TICK_NS	       10000000ULL	/* of process_start_ns(): at most that much, CONFIG_HZ is 100 or more */
#define STARTING_LOOKS 20	/* 2 s */
#define RESTING_LOOKS  10	/* 1 s */
#define TRIO_EVERY     5

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/*
 * What we found must still be what runs: a pid can exec, exit or be used again
 * meanwhile, and that is the reason for whatever did not fit. -1 with `why` if so.
 */
static int refuse_if_changed(const struct watched *w, struct refusal *why)
{
	enum process_state state = process_state(w->process);

	if (state == PROCESS_SAME)
		return 0;
	return refuse(why, EXIT_NO_PROCESS, "", "process %d %s while attaching",
		      (int)process_pid(w->process),
		      state == PROCESS_EXECED ? "became another program" : "exited");
}

int watched__open(struct watched *w, pid_t pid, uint64_t threshold_ns, uint32_t record,
		  struct refusal *why)
{
	int err;

	*w = (struct watched){ .threshold_ns = threshold_ns, .record = record };
	w->interpreter.fd[0] = w->interpreter.fd[1] = w->interpreter.fd[2] = -1;
	if (process__open(pid, &w->process, why))
		return -1;
	err = memory__open(w->process, &w->memory);
	if (err)
		return refuse(why, EXIT_FAILED, "", "can't start the reader of process %d: %s", (int)pid,
			      strerror(-err));
	if (interpreter__find(w->process, w->memory, &w->interpreter, why)) {
		refuse_if_changed(w, why);
		return -1;
	}
	return 0;
}

void watched__close(struct watched *w)
{
	interpreter__close(&w->interpreter);
	memory__close(w->memory);
	process__close(w->process);
	w->memory = NULL;
	w->process = NULL;
}

struct emitter {
	watched_record emit;
	void *ctx;
};

static void emit_sized(void *ctx, const struct ap_head *record)
{
	struct emitter *e = ctx;

	e->emit(e->ctx, record, record->size);
}

static void describe(const struct watched *w, struct ap_target *target)
{
	interpreter_target(&w->interpreter, w->threshold_ns, target);
	target->record = w->record;
}

/*
 * Who was forked inside a callback has its parent's frames on its stack for as long as it lives,
 * and that loop never goes on. Its iteration began before the process did.
 */
static int is_own(struct watched *w, const struct ap_thread *t)
{
	uint64_t began;

	if (!process_is_forked(w->process))
		return 1;
	if (!iteration_began(w->memory, &w->interpreter, t->open[0].once, &began))
		return began >= process_start_ns(w->process) + TICK_NS;
	/* A child that was asked for by its pid is the user's own choice. */
	w->doubtful |= w->parent != 0;
	return !w->parent;
}

/*
 * Tells the kernel side of callbacks that are open already, and of threads
 * without a loop; `again`: of those only, since probes tell of what runs now.
 */
static void seed(struct watched *w, struct session *s, int again, struct emitter *e)
{
	pid_t pid = process_pid(w->process), tid;
	struct ap_thread *now = malloc(sizeof(*now));
	struct ap_target target;
	struct snapshot *shot;
	size_t i;
	int err, seen;

	describe(w, &target);
	if (!now)
		return;
	err = snapshot__take(w->process, w->memory, &w->interpreter, &target, &shot);
	if (!again)
		w->unread = err ? err != -ESRCH : snapshot_unread(shot);
	if (err)
		goto out;
	/* Who joins a run is greeted with that. */
	if (snapshot_borrowed(shot) && !w->borrowed)
		w->borrowed = again ? 1 : 2;
	for (i = 0; i < snapshot_cnt(shot); i++) {
		const struct ap_thread *t = snapshot_thread(shot, i, &tid);

		if ((again && !t->plain) || (t->depth && !is_own(w, t)))
			continue;
		err = session__seed(s, pid, tid, t);
		if (err == -ENOSPC && !w->crowded)
			w->crowded = 1;
		if (err)
			continue;
		/* Whoever exits before the seed tells the kernel side no more. */
		if (process_inner_tid(w->process, tid) <= 0)
			session__unseed(s, pid, tid);
		if (!t->depth)
			continue;
		/*
		 * It may have ended between the walk and the seed: then it must not stay, unless the
		 * next callback has come, which closed it.
		 */
		seen = snapshot_look(w->process, w->memory, &w->interpreter, tid, t, &t->open[0], NULL,
				     NULL);
		if (seen == AP_SEEN_UNDER) {
			snapshot_records(shot, i, emit_sized, e);
		} else if (!session__thread(s, pid, tid, now) && !now->account.hits) {
			session__unseed(s, pid, tid);
			w->unread += seen != AP_SEEN_OVER && seen != -ESRCH;
		}
	}
	snapshot__free(shot);
out:
	free(now);
}

static struct session_probes probes_of(const struct watched *w)
{
	return (struct session_probes){
		.context_run = &w->interpreter.context_run,
		.set_running_loop = &w->interpreter.set_running_loop,
		.task_dealloc = &w->interpreter.task_dealloc,
		.context_enter = &w->interpreter.context_enter,
		.context_exit = &w->interpreter.context_exit,
		.task_step = &w->interpreter.task_step,
		.task_wakeup = &w->interpreter.task_wakeup,
		.task_wakeup_call = &w->interpreter.task_wakeup_call,
	};
}

int watched__attach(struct watched *w, struct session *s, watched_record emit, void *ctx,
		    struct refusal *why)
{
	struct emitter e = { .emit = emit, .ctx = ctx };
	struct session_probes probes;
	pid_t pid = process_pid(w->process);
	struct ap_target target;

	describe(w, &target);
	probes = probes_of(w);
	w->probed_tid = process_live_tid(w->process);
	if (!w->probed_tid)
		return refuse(why, EXIT_NO_PROCESS, "", "process %d exited while attaching", (int)pid);
	if (session__add(s, pid, process_own_tid(w->process, w->probed_tid), &target, &probes, why)) {
		refuse_if_changed(w, why);
		return -1;
	}
	if (refuse_if_changed(w, why)) {
		session__drop(s, pid);
		return -1;
	}
	seed(w, s, 0, &e);
	w->state = WATCHED_LIVE;
	return 0;
}

/* The kernel takes a process's probes away with the thread that they were attached through. */
static int follow_thread(struct watched *w, struct session *s, struct refusal *why)
{
	const struct session_probes probes = probes_of(w);
	pid_t tid = process_live_tid(w->process);

	if (!tid || tid == w->probed_tid)
		return NEWS_NONE;
	w->probed_tid = tid;
	tid = process_own_tid(w->process, tid);
	return session__move(s, process_pid(w->process), tid, &probes, why) ? -1 : NEWS_MOVED;
}

/* Those that were there before are attached. */
static const struct site *new_site(const struct site *now, const struct site *before)
{
	return before->cost == SITE_NONE ? now : NULL;
}

/*
 * _asyncio or uvloop has been loaded since: its probes join, and where tasks keep their names is
 * known. Why a library can't be watched is told once.
 */
static int join(struct watched *w, struct session *s, struct refusal *why)
{
	const int had_asyncio = w->interpreter.asyncio != ASYNCIO_NOT_LOADED;
	pid_t pid = process_pid(w->process);
	struct session_probes probes;
	struct interpreter found, old;
	struct ap_target target;
	int err;

	if (interpreter__find(w->process, w->memory, &found, why)) {
		w->interpreter.uvloop_mapped |= found.uvloop_mapped;
		w->interpreter.foreign = found.foreign;
		return -1;
	}
	old = w->interpreter;
	w->interpreter = found;
	w->look_cnt = 0;
	probes = probes_of(w);
	probes.context_run = NULL;
	probes.set_running_loop = new_site(probes.set_running_loop, &old.set_running_loop);
	probes.task_dealloc = new_site(probes.task_dealloc, &old.task_dealloc);
	probes.context_enter = new_site(probes.context_enter, &old.context_enter);
	probes.context_exit = new_site(probes.context_exit, &old.context_exit);
	probes.task_step = new_site(probes.task_step, &old.task_step);
	probes.task_wakeup = new_site(probes.task_wakeup, &old.task_wakeup);
	probes.task_wakeup_call = new_site(probes.task_wakeup_call, &old.task_wakeup_call);
	describe(w, &target);
	/* The probes first: what the target is said to have must be there. */
	err = session__extend(s, pid, process_own_tid(w->process, w->probed_tid), &probes, why) ||
	      session__describe(s, pid, &target, why);
	interpreter__close(&old);
	if (err)
		return -1;
	if (!had_asyncio)
		return NEWS_ASYNCIO;
	return found.uvloop && !old.uvloop ? NEWS_UVLOOP : NEWS_FOREIGN;
}

/*
 * A program imports uvloop before it runs a loop of it. So its maps, whose lock it needs itself, are
 * read again when it has begun a loop, once a second at most since some begin one per request
 * (asgiref); and while it starts, since the first one may be there by then.
 */
static int has_joined(struct watched *w, struct session *s)
{
	uint32_t run_cnt;

	if (w->interpreter.asyncio != ASYNCIO_NOT_LOADED) {
		run_cnt = session__runs(s, process_pid(w->process));
		w->look_cnt++;
		if (w->look_cnt > STARTING_LOOKS &&
		    (run_cnt == w->run_cnt || w->look_cnt % RESTING_LOOKS))
			return 0;
		w->run_cnt = run_cnt;
	}
	return interpreter_has_changed(w->process, &w->interpreter);
}

/* A process without asyncio waits for it in vain while it runs trio. */
static int runs_trio(struct watched *w)
{
	if (w->interpreter.asyncio != ASYNCIO_NOT_LOADED || w->interpreter.foreign ||
	    ++w->look_cnt % TRIO_EVERY || !interpreter_runs_trio(w->memory, &w->interpreter))
		return 0;
	w->interpreter.foreign = "trio";
	return 1;
}

/* A recording of threads: those that have come since. */
static void follow_threads(struct watched *w, struct session *s)
{
	pid_t *tid = calloc(SNAPSHOT_THREADS_MAX, sizeof(*tid));
	int cnt = tid ? process_threads(w->process, tid, SNAPSHOT_THREADS_MAX) : 0, i;
	uint64_t mark = 0;

	/* Not their number: one may have taken another's place. */
	for (i = 0; i < cnt; i++)
		mark += (uint64_t)tid[i] * 0x9e3779b97f4a7c15ULL;
	free(tid);
	if (cnt <= 0 || mark == w->thread_mark)
		return;
	w->thread_mark = mark;
	seed(w, s, 1, NULL);
}

int watched__check(struct watched *w, struct session *s, struct refusal *why)
{
	enum process_state state;

	if (w->state == WATCHED_ENDED)
		return NEWS_NONE;
	state = process_state(w->process);
	if (state == PROCESS_SAME && has_joined(w, s))
		return join(w, s, why);
	if (state == PROCESS_SAME && runs_trio(w))
		return NEWS_FOREIGN;
	if (state == PROCESS_SAME && w->record & AP_REC_THREADS)
		follow_threads(w, s);
	if (w->crowded == 1) {
		w->crowded = 2;
		return NEWS_CROWDED;
	}
	if (w->borrowed == 1) {
		w->borrowed = 2;
		return NEWS_BORROWED;
	}
	if (state == PROCESS_SAME)
		return follow_thread(w, s, why);
	session__drop(s, process_pid(w->process));
	w->execed = state == PROCESS_EXECED;
	/* A program may call exec without end; who it was stays known. */
	interpreter__close(&w->interpreter);
	memory__close(w->memory);
	w->memory = NULL;
	w->state = WATCHED_ENDED;
	return NEWS_ENDED;
}

/* Code objects of a stack that the kernel side holds but has not sent yet. */
static void read_codes(struct watched *w, pid_t tid, const struct ap_stack *stack, struct emitter *e)
{
	uint32_t i;

	for (i = 0; i < stack->cnt && i < AP_FRAMES_MAX; i++) {
		struct ap_code *code;

		if (code_read(w->memory, &w->interpreter.layout, w->interpreter.code_type,
			      stack->frame[i].code, (uint32_t)process_pid(w->process), (uint32_t)tid,
			      &code))
			continue;
		emit_sized(e, &code->head);
		free(code);
	}
}

/* Who a callback is that went to sleep before any tick saw it: read while it is open. */
static void read_name(struct watched *w, pid_t tid, const struct ap_open *open, struct emitter *e)
{
	struct ap_name name = {
		.head = {
			.kind = AP_NAME,
			.size = sizeof(name),
			.tgid = (uint32_t)process_pid(w->process),
			.tid = (uint32_t)tid,
			.ts = now_ns(),
		},
		.seq = open->seq,
	};

	code_read_name(w->memory, &w->interpreter.layout, open, &name);
	emit_sized(e, &name.head);
}

/* Keeps the block that a look found as the thread's own, and passes on the rest. */
struct prover {
	struct ap_thread *thread;
	struct emitter *emitter;
};

static void keep_block(void *ctx, const struct ap_head *record)
{
	struct prover *p = ctx;
	struct ap_thread *t = p->thread;

	if (record->kind != AP_BLOCK) {
		emit_sized(p->emitter, record);
		return;
	}
	t->last_block = 0;
	memcpy(&t->block[0], record,
	       record->size < sizeof(t->block[0]) ? record->size : sizeof(t->block[0]));
	t->pending = 1;
	t->pending_seen = AP_SEEN_UNDER;
	t->out_ts = t->open[t->depth - 1].start_ts;
}

/*
 * A callback that was open when we came and makes no event since: only its
 * frames can say that it goes on, and on what it sleeps.
 */
static void prove(struct watched *w, struct session *s, pid_t tid, struct ap_thread *t,
		  struct emitter *e)
{
	struct ap_open *top = &t->open[t->depth - 1];
	struct prover p = { .thread = t, .emitter = e };
	uint64_t now = now_ns();

	if (!(top->flags & AP_F_AT_ATTACH) || t->pending || now - top->start_ts < t->threshold_ns)
		return;
	if (snapshot_look(w->process, w->memory, &w->interpreter, tid, t, top, keep_block, &p) ==
	    AP_SEEN_UNDER) {
		top->lo_ts = now;
		session__prove(s, process_pid(w->process), tid, top->seq, now);
	} else {
		t->pending = 0;
	}
}

/*
 * Asleep since before we came: no switch told of it, so the kernel side has no wait of
 * it, and will have none when it ends. Each look adds what went by since the last one.
 */
static void tell_sleep(struct watched *w, const struct ongoing *o, pid_t tid, struct ap_thread *t,
		       struct emitter *e)
{
	const struct ap_open *top = &t->open[t->depth - 1];
	uint64_t began = t->out_ts, told;
	struct watched_sleep *sleep = NULL;
	unsigned int i;

	for (i = 0; i < w->sleep_cnt && !sleep; i++)
		if (w->sleep[i].tid == tid && w->sleep[i].seq == top->seq)
			sleep = &w->sleep[i];
	if (!sleep && w->sleep_cnt == WATCHED_SLEEPS_MAX)
		return;
	if (!sleep) {
		sleep = &w->sleep[w->sleep_cnt++];
		*sleep = (struct watched_sleep){ .tid = tid, .seq = top->seq };
	}
	if (sleep->until_ns) {
		t->out_ts = sleep->until_ns;
		t->block[t->last_block].flags = AP_T_MORE;
	}
	told = watched__last_wait(w, o, tid, t, e->emit, e->ctx);
	if (told)
		sleep->until_ns = told;
	t->out_ts = began;
}

void watched__look(struct watched *w, struct session *s, struct ongoing *o, pid_t tid,
		   struct ap_thread *t, int again, watched_record emit, void *ctx)
{
	struct emitter e = { .emit = emit, .ctx = ctx };
	pid_t pid = process_pid(w->process);
	struct ap_thread *second;
	uint32_t i, changes = t->changes;

	if (t->borrowed && !w->borrowed)
		w->borrowed = 1;
	if (w->state != WATCHED_LIVE || !t->depth || t->depth > AP_OPEN_MAX || t->working)
		return;
	for (i = 0; i < t->depth; i++)
		if (now_ns() - t->open[i].start_ts >= t->threshold_ns)
			break;
	if (i == t->depth)
		return;
	/* Late by its start. A second copy shows whether the first one was whole. */
	second = malloc(sizeof(*second));
	if (!second || session__thread(s, pid, tid, second) || second->changes != changes ||
	    second->working || second->depth != t->depth)
		goto out;
	prove(w, s, tid, second, &e);
	for (i = 0; i < second->depth; i++) {
		const struct ap_open *open = &second->open[i];

		if (again || !ongoing_is_due(o, tid, second, i, now_ns()))
			continue;
		if (!open->named && open->callee != AP_CALLEE_SIGNAL)
			read_name(w, tid, open, &e);
		if (second->pending)
			read_codes(w, tid, &second->block[second->last_block & (AP_BLOCKS - 1)].stack,
				   &e);
	}
	if (w->record & AP_REC_POINTS && second->pending && !second->account.switches)
		tell_sleep(w, o, tid, second, &e);
	/* What was read by now belongs to the callback only if it is the same still. */
	if (session__thread(s, pid, tid, t) || t->changes != changes)
		goto out;
	ongoing__look(o, pid, tid, second, now_ns(), again, emit, ctx);
out:
	free(second);
}

/* Where a thread is asleep that has not run since it was seeded: no switch has told. */
struct sleeper {
	struct emitter *emitter;
	struct ap_block block;
	int found;
};

static void keep_sleep(void *ctx, const struct ap_head *record)
{
	struct sleeper *s = ctx;

	if (record->kind == AP_CODE)
		emit_sized(s->emitter, record);
	if (record->kind != AP_BLOCK || record->size > sizeof(s->block))
		return;
	memcpy(&s->block, record, record->size);
	s->found = 1;
}

static int has_slept_since_seed(const struct ap_thread *t)
{
	return t->plain && !t->pending && t->out_ts && !t->account.switches && !t->account.ticks;
}

uint64_t watched__last_wait(struct watched *w, const struct ongoing *o, pid_t tid,
			    const struct ap_thread *t, watched_record emit, void *ctx)
{
	const struct ap_open *open = t->depth && t->depth <= AP_OPEN_MAX ? &t->open[t->depth - 1] :
									    &t->iteration;
	struct emitter e = { .emit = emit, .ctx = ctx };
	struct sleeper s = { .emitter = &e };
	struct ap_block *b = &s.block;
	uint64_t now = now_ns();

	if (w->state != WATCHED_LIVE || t->working)
		return 0;
	if (has_slept_since_seed(t)) {
		snapshot_look(w->process, w->memory, &w->interpreter, tid, t, open, keep_sleep, &s);
	} else if (ongoing_waits(o, t, now)) {
		s.block = t->block[t->last_block & (AP_BLOCKS - 1)];
		s.found = b->stack.cnt <= AP_FRAMES_MAX;
		if (s.found)
			read_codes(w, tid, &b->stack, &e);
	}
	if (!s.found)
		return 0;
	if (t->pending_seen != AP_SEEN_UNDER)
		open = &t->iteration;
	b->head = (struct ap_head){
		.kind = AP_BLOCK,
		.size = (uint32_t)(offsetof(struct ap_block, stack.frame) +
				   b->stack.cnt * sizeof(b->stack.frame[0])),
		.tgid = (uint32_t)process_pid(w->process),
		.tid = (uint32_t)tid,
		.ts = now,
	};
	b->seq = open->seq;
	b->flags = AP_T_POINT | AP_T_EARLY | (b->flags & AP_T_MORE);
	b->callee = t->plain ? AP_CALLEE_THREAD : open->callee;
	b->loop = open->loop;
	memcpy(b->comm, t->comm, sizeof(b->comm));
	b->off_ns = b->off == AP_OFF_RUNQUEUE ? 0 : now - t->out_ts;
	b->runqueue_ns = now - t->out_ts - b->off_ns;
	emit_sized(&e, &b->head);
	return now;
}

void watched_account(const struct ap_thread *t, struct ap_account *out)
{
	uint32_t i;

	*out = t->account;
	out->open = 0;
	for (i = 0; i < t->depth && i < AP_OPEN_MAX; i++)
		if (t->open[i].callee != AP_CALLEE_SIGNAL && !(t->open[i].flags & AP_F_AT_ATTACH))
			out->open++;
}
