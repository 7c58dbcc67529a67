/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * One watched process, from its pid to its probes: opened, understood,
 * attached, looked at while it hangs, and dropped when it ends. Here target/,
 * kernel/ and the model's records meet.
 */
#ifndef ASYNCPROF_WATCHED_H
#define ASYNCPROF_WATCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/ongoing.h"
#include "kernel/session.h"
#include "refusal.h"
#include "target/interpreter.h"
#include "target/memory.h"
#include "target/process.h"

enum watched_state {
	WATCHED_FOUND,		/* understood, not attached yet */
	WATCHED_LIVE,		/* every probe is there */
	WATCHED_ENDED,		/* exited, or another program by exec */
};

/* A callback that has slept since before we came, and until when its wait was told. */
struct watched_sleep {
	pid_t tid;
	uint64_t seq, until_ns;
};

#define WATCHED_SLEEPS_MAX 64

struct watched {
	enum watched_state state;
	int execed;		/* 1: ended by exec */
	pid_t probed_tid;	/* the thread through which the probes are attached */
	struct process *process;
	struct memory *memory;
	struct interpreter interpreter;
	uint64_t threshold_ns;
	uint32_t record;	/* AP_REC_* */
	uint64_t thread_mark;	/* which threads it had when we last looked for new ones */
	uint32_t run_cnt;	/* loops that it has started, when we last looked for a new library */
	unsigned int look_cnt;	/* how often we could have */
	int crowded;		/* 1: more threads without a loop than a recording takes, 2: and told so */
	unsigned int unread;	/* threads that could not be looked at when we attached */
	pid_t parent;		/* who started it, if it was found by that; 0: given by its pid */
	bool doubtful;		/* a callback was open when we came that may be its parent's */
	int borrowed;		/* 1: something else than `_run_once` runs its handles, 2: and told so */
	struct watched_sleep sleep[WATCHED_SLEEPS_MAX]; /* one a thread: each had one when we came */
	unsigned int sleep_cnt;
};

/* Where records go that were made here, not sent by the kernel side. */
typedef void (*watched_record)(void *ctx, const struct ap_head *record, size_t size);

/*
 * Opens and understands `pid`; `record` (AP_REC_*) is what a recording wants of it.
 * 0, or -1 with `why`. watched__close() in either case.
 */
int watched__open(struct watched *w, pid_t pid, uint64_t threshold_ns, uint32_t record,
		  struct refusal *why);
void watched__close(struct watched *w);

/*
 * Attaches, then looks for callbacks that were open before and emits who they
 * are. Python without asyncio is attached as well: watched__check() adds the
 * probes that are missing then. 0, or -1 with `why`.
 */
int watched__attach(struct watched *w, struct session *s, watched_record emit, void *ctx,
		    struct refusal *why);

enum watched_news {
	NEWS_NONE,
	NEWS_ENDED,	/* it exited or called exec: the state says so, the probes are gone */
	NEWS_MOVED,	/* the thread that carried the probes left; they are back on another */
	NEWS_ASYNCIO,	/* it has loaded _asyncio, whose probes joined */
	NEWS_UVLOOP,	/* the same of uvloop */
	NEWS_FOREIGN,	/* it has another loop, which is not supported: `interpreter.foreign` */
	NEWS_CROWDED,	/* not all of its threads can be recorded; told once */
	NEWS_BORROWED,	/* something else than `_run_once` runs its handles; told once */
};

/* What has become of it? Acts on it and tells: enum watched_news, or -1 with `why`. */
int watched__check(struct watched *w, struct session *s, struct refusal *why);

/*
 * Looks at one loop thread of it for stalls that still go on: `t` is a copy of
 * its state. Names, code and stacks that the kernel side could not send yet are
 * read from the target, with a deadline.
 */
void watched__look(struct watched *w, struct session *s, struct ongoing *o, pid_t tid,
		   struct ap_thread *t, int again, watched_record emit, void *ctx);

/*
 * A recording ends: the wait that thread `t` is in, up to now, as its last piece of
 * time; with the code that the kernel side has not sent yet. Returns that moment, 0:
 * it is in none.
 */
uint64_t watched__last_wait(struct watched *w, const struct ongoing *o, pid_t tid,
			const struct ap_thread *t, watched_record emit, void *ctx);

/* A thread's account as it stands, with what is open now. */
void watched_account(const struct ap_thread *t, struct ap_account *out);

#endif
