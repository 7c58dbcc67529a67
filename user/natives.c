/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "natives.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/native.h"

#define WAITING_MAX 256	/* stacks that no sample has asked for yet; a poll brings a dozen */
#define TRIES	    20	/* perf writes a few microseconds after the program: 50 us each */
#define PROCESS_MAX 256

struct waiting {
	uint64_t ts;	/* 0: free */
	struct ap_native native;
};

struct natives {
	uint64_t period_ns;
	struct stacks *stacks;
	struct native *native[PROCESS_MAX];
	pid_t pid[PROCESS_MAX];
	size_t cnt;
	size_t next;	/* which waiting[] is used next: the oldest */
	struct waiting waiting[WAITING_MAX];
	struct native_frame frames[NATIVE_FRAMES_MAX];
};

int natives__open(uint64_t period_ns, struct natives **out)
{
	struct natives *n = calloc(1, sizeof(*n));
	int err;

	*out = NULL;
	if (!n)
		return -ENOMEM;
	n->period_ns = period_ns;
	err = stacks__open(&n->stacks);
	if (err)
		free(n);
	else
		*out = n;
	return err;
}

void natives__close(struct natives *n)
{
	size_t i;

	if (!n)
		return;
	for (i = 0; i < n->cnt; i++)
		native__close(n->native[i]);
	stacks__close(n->stacks);
	free(n);
}

struct stacks *natives_stacks(struct natives *n)
{
	return n->stacks;
}

/* It may be there from before an exec. */
void natives_forget(struct natives *n, pid_t pid)
{
	size_t i;

	for (i = 0; i < n->cnt && n->pid[i] != pid; i++)
		;
	if (i == n->cnt)
		return;
	native__close(n->native[i]);
	n->cnt--;
	n->native[i] = n->native[n->cnt];
	n->pid[i] = n->pid[n->cnt];
}

int natives_add(struct natives *n, struct process *process)
{
	int err;

	natives_forget(n, process_pid(process));
	if (n->cnt == PROCESS_MAX)
		return -ENOSPC;
	err = native__open(process, &n->native[n->cnt]);
	if (!err)
		n->pid[n->cnt++] = process_pid(process);
	return err;
}

static struct native *find_native(const struct natives *n, uint32_t pid)
{
	size_t i;

	for (i = 0; i < n->cnt; i++)
		if ((uint32_t)n->pid[i] == pid)
			return n->native[i];
	return NULL;
}

static void on_stack(void *ctx, uint32_t tgid, uint32_t tid, uint64_t ts,
		     const struct native_sample *sample)
{
	struct natives *n = ctx;
	struct native *native = find_native(n, tgid);
	struct waiting *w = &n->waiting[n->next++ % WAITING_MAX];
	enum native_end end = NATIVE_FAILED;
	int cnt, i;

	_Static_assert(sizeof(w->native.frame[0].func) >= NATIVE_NAME_SZ &&
		       sizeof(w->native.frame[0].file) >= NATIVE_FILE_SZ &&
		       AP_NATIVE_MAX >= NATIVE_FRAMES_MAX, "a native frame fits its record");
	w->ts = 0;
	if (!native)
		return;
	cnt = native_unwind(native, sample, n->frames, &end);
	w->ts = ts;
	w->native.head.tgid = tgid;
	w->native.head.tid = tid;
	w->native.cnt = cnt > 0 ? (uint32_t)cnt : 0;
	w->native.cut = cnt < 0 || end != NATIVE_WHOLE;
	for (i = 0; i < cnt; i++) {
		struct ap_native_frame *frame = &w->native.frame[i];

		memcpy(frame->func, n->frames[i].func, NATIVE_NAME_SZ);
		memcpy(frame->file, n->frames[i].file, NATIVE_FILE_SZ);
	}
}

void natives_read(struct natives *n)
{
	stacks__read(n->stacks, on_stack, n);
}

/*
 * The one nearest in time. perf takes the time before the program runs since 6.2
 * (bpf_overflow_handler() prepares the sample first), after it before that.
 */
static struct waiting *find_waiting(struct natives *n, const struct ap_sample *sample)
{
	uint64_t nearest_ns = n->period_ns / 2;
	struct waiting *found = NULL;
	size_t i;

	for (i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &n->waiting[i];
		uint64_t ns = w->ts > sample->mark ? w->ts - sample->mark : sample->mark - w->ts;

		if (!w->ts || w->native.head.tid != sample->head.tid ||
		    w->native.head.tgid != sample->head.tgid || ns >= nearest_ns)
			continue;
		nearest_ns = ns;
		found = w;
	}
	return found;
}

void natives_find(struct natives *n, const struct ap_sample *sample, struct ap_native *out)
{
	const struct timespec pause = { .tv_nsec = 50000 };
	struct waiting *w = find_waiting(n, sample);
	int tries;

	for (tries = 0; !w && tries < TRIES; tries++) {
		natives_read(n);
		w = find_waiting(n, sample);
		if (!w)
			nanosleep(&pause, NULL);
	}
	if (w) {
		memcpy(out, &w->native, offsetof(struct ap_native, frame) +
						w->native.cnt * sizeof(w->native.frame[0]));
		w->ts = 0;
	} else {
		out->cnt = 0;
		out->cut = 1;
	}
	out->mark = sample->mark;
	out->head = sample->head;
	out->head.kind = AP_NATIVE;
	out->head.size = (uint32_t)(offsetof(struct ap_native, frame) +
				    out->cnt * sizeof(out->frame[0]));
}
