/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "kernel/ongoing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* What was told of, by thread: a callback's seq only grows, so the last one of a thread is enough. */
#define TOLD_MAX 1024

struct told {
	pid_t tid;
	uint64_t seq[AP_OPEN_MAX];
	uint32_t next;
};

struct ongoing {
	uint64_t min_ns, tick_ns;
	struct told told[TOLD_MAX];
	size_t cnt;
};

struct ongoing *ongoing__new(uint64_t min_ns, unsigned int rate_hz)
{
	struct ongoing *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->min_ns = min_ns;
	o->tick_ns = 1000000000ULL / rate_hz;
	return o;
}

void ongoing__free(struct ongoing *o)
{
	free(o);
}

static const struct told *find_told(const struct ongoing *o, pid_t tid)
{
	size_t i;

	for (i = 0; i < o->cnt; i++)
		if (o->told[i].tid == tid)
			return &o->told[i];
	return NULL;
}

static int was_told(const struct ongoing *o, pid_t tid, uint64_t seq)
{
	const struct told *t = find_told(o, tid);
	int i;

	for (i = 0; t && i < AP_OPEN_MAX; i++)
		if (t->seq[i] == seq)
			return 1;
	return 0;
}

static void remember(struct ongoing *o, pid_t tid, uint64_t seq)
{
	struct told *t = (struct told *)find_told(o, tid);

	if (!t) {
		/* Full: the place of the longest known thread is used again. */
		if (o->cnt == TOLD_MAX) {
			memmove(o->told, o->told + 1, sizeof(o->told) - sizeof(o->told[0]));
			o->cnt--;
		}
		t = &o->told[o->cnt++];
		memset(t, 0, sizeof(*t));
		t->tid = tid;
	}
	t->seq[t->next++ % AP_OPEN_MAX] = seq;
}

int ongoing_waits(const struct ongoing *o, const struct ap_thread *t, uint64_t now_ns)
{
	return t->pending && now_ns > t->out_ts + 2 * o->tick_ns;
}

/*
 * Until when is callback `i` known to run? An interval that is pending and
 * began under it goes on, but for the time since the last tick, which would
 * have settled it.
 */
static uint64_t proven_until(const struct ongoing *o, const struct ap_thread *t, uint32_t i,
			     uint64_t now_ns)
{
	const struct ap_open *open = &t->open[i];
	uint64_t until = open->lo_ts;

	if (i + 1 == t->depth && t->pending && t->pending_seen == AP_SEEN_UNDER &&
	    ongoing_waits(o, t, now_ns) && now_ns - o->tick_ns > until)
		until = now_ns - o->tick_ns;
	return until;
}

static int is_late(const struct ongoing *o, const struct ap_thread *t, uint32_t i, uint64_t now_ns)
{
	uint64_t bar = t->threshold_ns > o->min_ns ? t->threshold_ns : o->min_ns;
	const struct ap_open *open = &t->open[i];
	uint64_t until = proven_until(o, t, i, now_ns);

	return !open->over_ts && !open->suspend_ts && open->start_ts &&
	       until > open->start_ts + open->suspended_ns &&
	       until - open->start_ts - open->suspended_ns >= bar;
}

int ongoing_is_due(const struct ongoing *o, pid_t tid, const struct ap_thread *t, uint32_t i,
		   uint64_t now_ns)
{
	return is_late(o, t, i, now_ns) && !was_told(o, tid, t->open[i].seq);
}

static void head_of(struct ap_head *head, uint32_t kind, size_t size, pid_t pid, pid_t tid,
		    uint64_t now_ns)
{
	head->kind = kind;
	head->size = (uint32_t)size;
	head->tgid = (uint32_t)pid;
	head->tid = (uint32_t)tid;
	head->ts = now_ns;
}

/* The interval that still goes on, added to the place where it belongs. */
static void add_pending(struct ap_slow *s, const struct ap_block *b, uint64_t ns)
{
	struct ap_place *p;
	uint64_t arg;
	uint32_t i;

	if (b->off >= AP_OFF_CNT)
		return;
	s->off_ns[b->off] += ns;
	/* What is a place, and when two are the same: as add_place() in bpf/sched.bpf.c has it. */
	if (b->off != AP_OFF_FAULT && b->off != AP_OFF_GIL && b->off != AP_OFF_FUTEX &&
	    b->off != AP_OFF_SYSCALL)
		return;
	arg = b->off == AP_OFF_FUTEX ? b->arg[0] : b->syscall == SYS_fcntl ? b->arg[1] : 0;
	for (i = 0; i < s->place_cnt; i++) {
		p = &s->place[i];
		if (p->off == b->off && p->syscall == b->syscall && p->fd == b->fd &&
		    p->arg == arg) {
			p->ns += ns;
			return;
		}
	}
	if (s->place_cnt == AP_PLACES_MAX) {
		s->flags |= AP_F_PLACES_FULL;
		return;
	}
	p = &s->place[s->place_cnt++];
	*p = (struct ap_place){
		.ns = ns, .off = (uint8_t)b->off, .syscall = b->syscall, .fd = b->fd, .cnt = 1,
		.fds = b->fds, .mode = b->file.mode, .port = b->file.port, .family = b->file.family,
		.arg = arg,
	};
}

static void emit_block(const struct ap_thread *t, const struct ap_open *open, pid_t pid, pid_t tid,
		       uint64_t now_ns, ongoing_record emit, void *ctx)
{
	struct ap_block b = t->block[t->last_block & (AP_BLOCKS - 1)];
	uint32_t cnt = b.stack.cnt < AP_FRAMES_MAX ? b.stack.cnt : AP_FRAMES_MAX;
	size_t size = offsetof(struct ap_block, stack.frame) + cnt * sizeof(struct ap_frame);

	b.stack.cnt = cnt;
	b.seq = open->seq;
	b.off_ns = 0;	/* still away */
	b.runqueue_ns = 0;
	head_of(&b.head, AP_BLOCK, size, pid, tid, now_ns);
	emit(ctx, &b.head, size);
}

static void emit_slow(const struct ongoing *o, const struct ap_thread *t, uint32_t i, pid_t pid, pid_t tid, uint64_t now_ns,
		      ongoing_record emit, void *ctx)
{
	const struct ap_open *open = &t->open[i];
	struct ap_slow s = {
		.seq = open->seq,
		.loop = open->loop,
		.start_ts = open->start_ts,
		.lo_ts = proven_until(o, t, i, now_ns),
		.hi_ts = now_ns,
		.suspended_ns = open->suspended_ns,
		.flags = open->flags | AP_F_ONGOING,
		.end = AP_END_OPEN,
		.callee = open->callee,
		.depth = i,
		.cut = open->cut,
	};

	if (!open->fresh) {
		s.switches = open->switches;
		s.switches_lost = open->switches_lost;
		s.place_cnt = open->place_cnt < AP_PLACES_MAX ? open->place_cnt : AP_PLACES_MAX;
		memcpy(s.off_ns, open->off_ns, sizeof(s.off_ns));
		memcpy(s.place, open->place, sizeof(s.place));
	}
	if (t->pending && t->out_ts >= open->start_ts && now_ns > t->out_ts)
		add_pending(&s, &t->block[t->last_block & (AP_BLOCKS - 1)], now_ns - t->out_ts);
	memcpy(s.comm, t->comm, sizeof(s.comm));
	head_of(&s.head, AP_SLOW, sizeof(s), pid, tid, now_ns);
	emit(ctx, &s.head, sizeof(s));
}

unsigned int ongoing__look(struct ongoing *o, pid_t pid, pid_t tid, const struct ap_thread *t,
			   uint64_t now_ns, int again, ongoing_record emit, void *ctx)
{
	unsigned int told = 0;
	uint32_t i;

	for (i = 0; i < t->depth && i < AP_OPEN_MAX; i++) {
		if (!is_late(o, t, i, now_ns) || was_told(o, tid, t->open[i].seq) != !!again)
			continue;
		if (i + 1 == t->depth && t->pending && t->pending_seen == AP_SEEN_UNDER)
			emit_block(t, &t->open[i], pid, tid, now_ns, emit, ctx);
		emit_slow(o, t, i, pid, tid, now_ns, emit, ctx);
		if (!again)
			remember(o, tid, t->open[i].seq);
		told |= 1U << i;
	}
	return told;
}
