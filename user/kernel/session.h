/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The kernel side as the collector sees it: programs loaded, probes attached,
 * records read, maps looked at. The life of a session is
 *
 *	open, start, { add a target, poll, look at threads, drop it }..., close
 *
 * It must never leave anything behind: nothing is pinned, every probe is a
 * link that goes with its file descriptor, even when we are killed.
 */
#ifndef ASYNCPROF_SESSION_H
#define ASYNCPROF_SESSION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record.h"
#include "refusal.h"
#include "target/sites.h"

struct session;
struct stacks;

/* A record from the ring; its bytes live until the call returns. */
typedef void (*session_record)(void *ctx, const struct ap_head *record, size_t size);

/* Loads the programs. 0, or -1 with `why`: EXIT_KERNEL, EXIT_PERMISSION. */
int session__open(session_record on_record, void *ctx, struct session **out, struct refusal *why);

/*
 * Attaches what looks at the whole machine: switch, exit, exec, polls, and the tick,
 * `rate_hz` times a second. `stacks`: where perf's copies of registers and stacks go, NULL: none.
 */
int session__start(struct session *s, unsigned int rate_hz, struct stacks *stacks,
		   struct refusal *why);

/* The probes of one process. Those that are NULL, or of cost SITE_NONE, are left out. */
struct session_probes {
	const struct site *context_run;
	const struct site *set_running_loop;
	const struct site *task_dealloc;
	const struct site *context_enter, *context_exit;
	const struct site *task_step, *task_wakeup, *task_wakeup_call;
};

/*
 * Describes `pid` to the kernel programs, then attaches its probes through
 * `tid`, a thread of it that lives, as system calls number it: when that thread exits the kernel takes the
 * probes away (uprobe_perf_filter() compares its mm), and session__move() puts
 * them back. 0, or -1 with `why`.
 */
int session__add(struct session *s, pid_t pid, pid_t tid, const struct ap_target *target,
		 const struct session_probes *probes, struct refusal *why);
/* Describes it anew: what its programs may rely on has changed. */
int session__describe(struct session *s, pid_t pid, const struct ap_target *target,
		      struct refusal *why);
/* How often one of its threads has begun or ended to run a loop. */
uint32_t session__runs(struct session *s, pid_t pid);
/* Adds probes to those that it has. */
int session__extend(struct session *s, pid_t pid, pid_t tid, const struct session_probes *probes,
		    struct refusal *why);
int session__move(struct session *s, pid_t pid, pid_t tid, const struct session_probes *probes,
		  struct refusal *why);

/* From now on AP_BORN tells of what those start that session__family() names, and of what that starts. */
int session__follow(struct session *s, struct refusal *why);
int session__family(struct session *s, pid_t pid);	/* 0, or a negative errno */

/* The programs see nothing from here on; what they counted stays. Before the last drops. */
void session__stop(struct session *s);

/* Takes the probes of `pid` away. */
void session__drop(struct session *s, pid_t pid);

/* Hands over some of what is on the ring, waiting up to `timeout_ms`. 0, or a negative errno (-EINTR too). */
int session__poll(struct session *s, int timeout_ms);

/* Without waiting, until the ring is empty. */
void session__drain(struct session *s);

/*
 * Tells the kernel side of a thread that ran a callback before we came, or that runs no
 * loop (`plain`). 0; -EEXIST when it knows the thread already, which then knows better;
 * -ENOSPC when there are AP_PLAIN_MAX of the latter.
 */
int session__seed(struct session *s, pid_t pid, pid_t tid, const struct ap_thread *thread);

/* Callback `seq` of a seeded thread was seen to run at `lo_ns`. */
void session__prove(struct session *s, pid_t pid, pid_t tid, uint64_t seq, uint64_t lo_ns);

/* A code object that was sent is not known any more: it will be sent again. */
void session__forget_code(struct session *s, pid_t pid, uint64_t code);

/* Takes a seeded thread back: what it was seeded with is over. */
void session__unseed(struct session *s, pid_t pid, pid_t tid);

/*
 * Calls `each` with a copy of every thread that runs a loop. The thread runs
 * on meanwhile, so a copy may be torn: `working`, and `changes` of a second
 * copy, tell.
 */
typedef void (*session_each)(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *thread);
void session__threads(struct session *s, session_each each, void *ctx);

/* Reads one thread. 0, or a negative errno. */
int session__thread(struct session *s, pid_t pid, pid_t tid, struct ap_thread *out);

/* Hits in `pid` that no thread's account holds, since there was no room for one. */
void session__homeless_account(struct session *s, pid_t pid, struct ap_account *out);

/* It was dropped, and its account has been read: nothing of it is kept. */
void session__forget(struct session *s, pid_t pid);

void session__sent(struct session *s, struct ap_sent *out);

/* --- What it costs ------------------------------------------------------------ */

struct session_cost {
	uint64_t trap_ns;	/* a uprobe hit with next to no program, measured at start */
	uint64_t context_run_ns, set_running_loop_ns, task_dealloc_ns, foreign_ns;	/* mean run time of a program */
	uint64_t poll_ns, switch_ns, tick_ns;
	int measured;		/* 0: nothing above is known */
};

/*
 * Measures. The trap once, on a function of our own; the programs while they
 * run, for the time between session__measure(s, 1) and (s, 0).
 */
void session__measure(struct session *s, int on);
void session__cost(struct session *s, struct session_cost *out);

void session__close(struct session *s);

#endif
