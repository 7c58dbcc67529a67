/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/model.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(added) ((added)->lost = 1)
#include <uthash.h>
#include <utlist.h>

#include "model/code.h"
#include "model/evidence.h"
#include "model/points.h"
#include "model/resolve.h"
#include "model/sound.h"

#define THREADS_MAX	   1024
#define EVIDENCE_MAX	   1024
#define EVIDENCE_BYTES_MAX (2U << 20)
#define EVICTED_MAX	   4096 /* a power of two */
/* AP_OPEN_MAX callbacks can be open on a thread; as many again may have ended unreported. */
#define EVIDENCE_THREAD_MAX (2 * AP_OPEN_MAX)

struct thread_key {
	uint32_t pid, tid;
};

struct thread {
	struct thread_key key;
	UT_hash_handle hh;
	int lost;
	struct loop loop;
	unsigned int life; /* which thread with this tid: seq starts again with each */
	uint32_t evidence_cnt;
};

struct model {
	struct model_options options;
	struct codes *codes;
	struct points *points; /* NULL: nobody asked for them */
	struct thread *threads;
	struct evidence *evidence; /* by key */
	struct evidence *used;	   /* the same, longest unused first */
	size_t evidence_bytes;
	struct evidence_key evicted[EVICTED_MAX]; /* the last ones: whose samples were forgotten */
	struct model_counts counts;
	const struct loop **loops; /* handed out by model__summarise() */
	struct resolved resolved;
	alignas(8) unsigned char record[AP_RECORD_MAX];
};

struct model *model__new(const struct model_options *options)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->options = *options;
	model->codes = codes__new(options->code_forgotten, options->ctx);
	if (options->on_point)
		model->points = points__new(&(struct points_options){
			.unix_offset_ns = options->unix_offset_ns,
			.period_ns = options->period_ns,
			.on_point = options->on_point,
			.kernel_symbol = options->kernel_symbol,
			.ctx = options->ctx,
		});
	if (!model->codes || (options->on_point && !model->points)) {
		model__free(model);
		return NULL;
	}
	return model;
}

static struct thread *find_thread(struct model *model, uint32_t pid, uint32_t tid)
{
	struct thread_key key = {.pid = pid, .tid = tid};
	struct thread *thread = NULL;

	HASH_FIND(hh, model->threads, &key, sizeof(key), thread);
	return thread;
}

static void drop_evidence(struct model *model, struct evidence *evidence)
{
	struct thread *thread = find_thread(model, evidence->key.pid, evidence->key.tid);

	if (thread) {
		thread->evidence_cnt--;
		if (evidence->reported && thread->loop.ongoing_cnt)
			thread->loop.ongoing_cnt--;
	}
	HASH_DEL(model->evidence, evidence);
	DL_DELETE(model->used, evidence);
	model->evidence_bytes -= evidence->bytes;
	evidence__free(evidence);
}

static void drop_thread_evidence(struct model *model, uint32_t pid, uint32_t tid)
{
	struct evidence *evidence, *next;

	DL_FOREACH_SAFE(model->used, evidence, next)
	{
		if (evidence->key.pid == pid && evidence->key.tid == tid)
			drop_evidence(model, evidence);
	}
}

static void drop_thread(struct model *model, struct thread *thread)
{
	drop_thread_evidence(model, thread->key.pid, thread->key.tid);
	HASH_DEL(model->threads, thread);
	loop_clear(&thread->loop);
	free(thread);
}

void model__free(struct model *model)
{
	struct thread *thread, *next;

	if (!model)
		return;
	HASH_ITER(hh, model->threads, thread, next)
	drop_thread(model, thread);
	codes__free(model->codes);
	points__free(model->points);
	free(model->loops);
	free(model);
}

/* Finds or makes it. NULL: no memory, or no room, which is counted. */
static struct thread *get_thread(struct model *model, uint32_t pid, uint32_t tid)
{
	struct thread *thread = find_thread(model, pid, tid), *next;

	if (thread)
		return thread;
	if (HASH_COUNT(model->threads) >= THREADS_MAX) {
		HASH_ITER(hh, model->threads, thread, next)
		{
			if (thread->loop.gone)
				break;
		}
		model->counts.evicted_loops++;
		if (!thread)
			return NULL;
		drop_thread(model, thread);
	}
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->key = (struct thread_key){.pid = pid, .tid = tid};
	thread->loop.pid = pid;
	thread->loop.tid = tid;
	HASH_ADD(hh, model->threads, key, sizeof(thread->key), thread);
	if (thread->lost) {
		free(thread);
		return NULL;
	}
	return thread;
}

static struct evidence *find_evidence(struct model *model, const struct ap_head *head, uint64_t seq)
{
	struct evidence_key key = {.seq = seq, .pid = head->tgid, .tid = head->tid};
	struct evidence *evidence = NULL;

	HASH_FIND(hh, model->evidence, &key, sizeof(key), evidence);
	return evidence;
}

static struct evidence_key *evicted_slot(struct model *model, const struct evidence_key *key)
{
	uint64_t mix = (key->seq ^ (uint64_t)key->tid << 20 ^ (uint64_t)key->pid << 40) *
		       0x9e3779b97f4a7c15ULL;

	return &model->evicted[mix >> 32 & (EVICTED_MAX - 1)];
}

/* Most callbacks late for a moment end in time: only a stall misses what was forgotten. */
static void evict(struct model *model, struct evidence *evidence)
{
	if (evidence->late)
		*evicted_slot(model, &evidence->key) = evidence->key;
	drop_evidence(model, evidence);
}

static void count_evicted(struct model *model, const struct ap_slow *slow)
{
	const struct evidence_key key = {
		.seq = slow->seq, .pid = slow->head.tgid, .tid = slow->head.tid};
	struct evidence_key *evicted = evicted_slot(model, &key);

	if (memcmp(evicted, &key, sizeof(key)) != 0)
		return;
	model->counts.evicted_evidence++;
	*evicted = (struct evidence_key){};
}

/*
 * Room for one more: first of the same thread, so that one can't push out the others. First what
 * is no evidence of a stall: a recording has a name of each callback that a tick or a switch met,
 * and no record says when a short one is over. Never the latest ones: they may be open still.
 */
static void make_room(struct model *model, const struct thread *thread)
{
	struct evidence *evidence, *victim = NULL;
	uint32_t older = EVIDENCE_THREAD_MAX - AP_OPEN_MAX;

	if (thread->evidence_cnt >= EVIDENCE_THREAD_MAX) {
		DL_FOREACH(model->used, evidence)
		{
			if (evidence->key.pid != thread->key.pid ||
			    evidence->key.tid != thread->key.tid)
				continue;
			if (!victim || !evidence->late)
				victim = evidence;
			if (!evidence->late || !--older)
				break;
		}
		if (victim)
			evict(model, victim);
	}
	while (model->used && HASH_COUNT(model->evidence) >= EVIDENCE_MAX)
		evict(model, model->used);
}

static struct evidence *get_evidence(struct model *model, const struct ap_head *head, uint64_t seq)
{
	struct evidence_key key = {.seq = seq, .pid = head->tgid, .tid = head->tid};
	struct evidence *evidence = find_evidence(model, head, seq);
	struct thread *thread;

	if (evidence) {
		DL_DELETE(model->used, evidence);
		DL_APPEND(model->used, evidence);
		return evidence;
	}
	thread = get_thread(model, head->tgid, head->tid);
	if (!thread)
		return NULL;
	make_room(model, thread);
	evidence = evidence__new(&key);
	if (!evidence)
		return NULL;
	HASH_ADD(hh, model->evidence, key, sizeof(evidence->key), evidence);
	if (evidence->lost) {
		evidence__free(evidence);
		return NULL;
	}
	DL_APPEND(model->used, evidence);
	model->evidence_bytes += evidence->bytes;
	thread->evidence_cnt++;
	return evidence;
}

/* --- Records ---------------------------------------------------------------- */

static int keep(struct model *model, struct evidence *evidence, size_t bytes_before, int err)
{
	model->evidence_bytes += evidence->bytes - bytes_before;
	/* The others first: this one is at the end of the list. */
	while (model->evidence_bytes > EVIDENCE_BYTES_MAX && model->used != evidence)
		evict(model, model->used);
	return err;
}

static int feed_name(struct model *model, const struct ap_name *name)
{
	struct evidence *evidence = get_evidence(model, &name->head, name->seq);
	size_t bytes;

	if (!evidence)
		return -ENOMEM;
	bytes = evidence->bytes;
	return keep(model, evidence, bytes, evidence_name(evidence, name));
}

static int feed_sample(struct model *model, const struct ap_sample *sample)
{
	struct evidence *evidence;
	size_t bytes;

	if (model->points && sample->flags & AP_T_POINT)
		points_sample(model->points, sample,
			      find_evidence(model, &sample->head, sample->seq), model->codes);
	/* A thread without a loop has no stalls, and is no loop of the summary. */
	if (sample->flags & AP_T_EARLY || sample->callee == AP_CALLEE_THREAD)
		return 0;
	evidence = get_evidence(model, &sample->head, sample->seq);
	if (!evidence)
		return -ENOMEM;
	evidence->late = true;
	bytes = evidence->bytes;
	return keep(model, evidence, bytes, evidence_sample(evidence, sample));
}

static int feed_block(struct model *model, const struct ap_block *block)
{
	struct evidence *evidence;
	size_t bytes;

	if (model->points && block->flags & AP_T_POINT)
		points_block(model->points, block, find_evidence(model, &block->head, block->seq),
			     model->codes);
	if (block->flags & AP_T_EARLY || block->callee == AP_CALLEE_THREAD)
		return 0;
	evidence = get_evidence(model, &block->head, block->seq);
	if (!evidence)
		return -ENOMEM;
	evidence->late = true;
	bytes = evidence->bytes;
	return keep(model, evidence, bytes, evidence_block(evidence, block));
}

static void set_id(const struct ap_slow *slow, unsigned int life, struct stall *stall)
{
	int len = snprintf(stall->id, sizeof(stall->id), "%u-%u-%llu", slow->head.tgid,
			   slow->head.tid, (unsigned long long)slow->seq);

	if (life)
		snprintf(stall->id + len, sizeof(stall->id) - (size_t)len, "-%u", life);
}

static void set_times(const struct model *model, const struct ap_slow *slow, struct stall *stall)
{
	int64_t offset = model->options.unix_offset_ns;

	stall->ts_unix_ns = (int64_t)((uint64_t)offset + slow->head.ts);
	stall->start_unix_ns = (int64_t)((uint64_t)offset + slow->start_ts);
}

static void set_comm(struct thread *thread, const char comm[AP_COMM_SZ])
{
	memcpy(thread->loop.comm, comm, AP_COMM_SZ);
	thread->loop.comm[AP_COMM_SZ] = 0;
}

static void set_holder_name(const struct model *model, struct resolved *resolved)
{
	struct stall *stall = &resolved->stall;

	if (!stall->holder_tid || !model->options.thread_name)
		return;
	if (model->options.thread_name(model->options.ctx, stall->pid, stall->holder_tid,
				       resolved->holder_comm, sizeof(resolved->holder_comm)) > 0)
		stall->holder_comm = resolved->holder_comm;
}

static int feed_slow(struct model *model, const struct ap_slow *slow)
{
	struct resolved *resolved = &model->resolved;
	struct stall *stall = &resolved->stall;
	struct evidence *evidence;
	struct thread *thread;
	int err = 0;

	count_evicted(model, slow);
	thread = get_thread(model, slow->head.tgid, slow->head.tid);
	evidence = find_evidence(model, &slow->head, slow->seq);
	resolve_stall(slow, evidence, model->codes, resolved);
	set_id(slow, thread ? thread->life : 0, stall);
	set_times(model, slow, stall);
	set_holder_name(model, resolved);
	if (thread) {
		set_comm(thread, slow->comm);
		if (slow->loop)
			thread->loop.address = slow->loop;
	}

	if (!stall->ongoing) {
		model->counts.stalls++;
		if (thread)
			err = loop_add_stall(&thread->loop, stall);
	} else if (thread) {
		/* Kept even where nothing was heard of it, so that it is counted once. */
		if (!evidence)
			evidence = get_evidence(model, &slow->head, slow->seq);
		if (evidence && !evidence->reported) {
			evidence->reported = true;
			thread->loop.ongoing_cnt++;
		}
		if (evidence)
			evidence->told_lo_ts = slow->lo_ts;
	}
	if (model->options.on_stall)
		model->options.on_stall(model->options.ctx, stall);
	if (!stall->ongoing && evidence)
		drop_evidence(model, evidence);
	return err;
}

/* What the kernel side counts as a poll ends with the wait for a CPU after it. */
static void give_sums(struct model *model, uint32_t pid, uint32_t tid, const char *comm,
		      uint64_t loop, const struct ap_account *account, uint64_t ts)
{
	const struct points_sums sums = {
		.idle_ns = account->idle_ns > account->queued_ns
				   ? account->idle_ns - account->queued_ns
				   : 0,
		.queued_ns = account->queued_ns,
		.own_cnt = account->ticks_busy,
	};

	points_sums(model->points, pid, tid, comm, loop, &sums, ts);
}

static int feed_gone(struct model *model, const struct ap_gone *gone)
{
	struct thread *thread = get_thread(model, gone->head.tgid, gone->head.tid);

	if (gone->exec)
		codes__forget(model->codes, gone->head.tgid);
	if (!thread)
		return -ENOMEM;
	set_comm(thread, gone->comm);
	drop_thread_evidence(model, gone->head.tgid, gone->head.tid);
	if (model->points) {
		give_sums(model, gone->head.tgid, gone->head.tid, thread->loop.comm,
			  thread->loop.address, &gone->account, gone->head.ts);
		points_gone(model->points, gone->head.tgid, gone->head.tid);
	}
	loop_set_account(&thread->loop, &gone->account);
	thread->loop.gone = true;
	thread->loop.fresh = true;
	thread->life++;
	return 0;
}

static int feed(struct model *model, const struct ap_head *head)
{
	const void *record = head;

	switch (head->kind) {
	case AP_NAME:
		return feed_name(model, record);
	case AP_CODE:
		return codes__add(model->codes, record);
	case AP_SAMPLE:
		return feed_sample(model, record);
	case AP_BLOCK:
		return feed_block(model, record);
	case AP_SLOW:
		return feed_slow(model, record);
	case AP_GONE:
		return feed_gone(model, record);
	case AP_KERNEL:
		return model->points ? points_kernel(model->points, record) : 0;
	case AP_NATIVE:
		return model->points ? points_native(model->points, record) : 0;
	case AP_BORN:
		return 0; /* the collector's; here it is counted */
	default:
		return -EBADMSG;
	}
}

int model__feed(struct model *model, const void *record, size_t record_sz)
{
	const struct ap_head *head = (const void *)model->record;

	if (record_sz < sizeof(*head) || record_sz > sizeof(model->record))
		goto malformed;
	/* Aligned, and followed by enough bytes for the largest struct. */
	memcpy(model->record, record, record_sz);
	if (!sound_record(head, record_sz))
		goto malformed;
	model->counts.received[head->kind]++;
	return feed(model, head);
malformed:
	model->counts.malformed++;
	return -EBADMSG;
}

/* --- Summary ------------------------------------------------------------------ */

int model__set_account(struct model *model, uint32_t pid, uint32_t tid, const char *comm,
		       const struct ap_account *account)
{
	struct thread *thread = get_thread(model, pid, tid);

	if (!thread)
		return -ENOMEM;
	if (comm)
		snprintf(thread->loop.comm, sizeof(thread->loop.comm), "%s", comm);
	loop_set_account(&thread->loop, account);
	return 0;
}

void model__idle(struct model *model, uint32_t pid, uint32_t tid, const struct ap_thread *t,
		 uint64_t ts)
{
	struct ap_account account = t->account;
	char comm[AP_COMM_SZ + 1] = "";

	if (!model->points || t->plain)
		return;
	/* A copy of a thread that runs may be torn: a poll can't have begun after `ts`. */
	if (t->poll_start && ts > t->poll_start)
		account.idle_ns += ts - t->poll_start;
	memcpy(comm, t->comm, AP_COMM_SZ);
	give_sums(model, pid, tid, comm, t->last_loop, &account, ts);
}

void model__counts(const struct model *model, struct model_counts *counts)
{
	*counts = model->counts;
	counts->evicted_codes = codes__evicted_cnt(model->codes);
}

int model__summarise(struct model *model, struct run_summary *summary)
{
	size_t thread_cnt = HASH_COUNT(model->threads), i = 0;
	struct model_counts counts;
	struct thread *thread, *next;

	free(model->loops);
	model->loops = calloc(thread_cnt + 1, sizeof(*model->loops));
	if (!model->loops)
		return -ENOMEM;
	HASH_ITER(hh, model->threads, thread, next)
	{
		if (!thread->key.tid) {
			account_add(&summary->homeless, &thread->loop.account);
			continue;
		}
		loop_sort(&thread->loop);
		model->loops[i++] = &thread->loop;
	}
	model__counts(model, &counts);
	summary->loops = model->loops;
	summary->loop_cnt = i;
	memcpy(summary->received, counts.received, sizeof(summary->received));
	summary->malformed = counts.malformed;
	summary->stalls = counts.stalls;
	summary->evicted_codes = counts.evicted_codes;
	summary->evicted_evidence = counts.evicted_evidence;
	summary->evicted_loops = counts.evicted_loops;
	return 0;
}
