/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The one contract between the kernel side (bpf/) and the collector (user/).
 *
 * Everything here crosses the border: records on the ring, the state of a
 * thread in the `threads` map, the description of a target in `targets`.
 * Plain C with fixed-width types; no pointers, no enums as members, no
 * implicit padding. Times are nanoseconds of CLOCK_MONOTONIC (the clock of
 * bpf_ktime_get_ns) unless a name says otherwise. Addresses are addresses in
 * the target and mean nothing here: compare them, never follow them.
 *
 * The bytes of a record come from the kernel program, but names, code and
 * line tables in it come from the target: check before use.
 */
#ifndef ASYNCPROF_RECORD_H
#define ASYNCPROF_RECORD_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif
#include "layout.h"

#define AP_FRAMES_MAX	128	/* frames of a stack; a longer one is cut and says so */
#define AP_OPEN_MAX	8	/* callbacks open at once on a thread (nested loops, greenlets) */
#define AP_BLOCKS	4	/* off-CPU intervals kept: the last, and the longest ones; a power of two */
#define AP_PLACES_MAX	8	/* different off-CPU places kept per callback */
#define AP_PATH_SZ	256	/* bytes kept of a path */
#define AP_COMPONENT_SZ 64	/* longest path component kept, with its NUL */
#define AP_NAME_SZ	128	/* bytes kept of a name */
#define AP_FILE_SZ	256	/* bytes kept of a co_filename */
#define AP_RECORD_MAX	65536	/* bytes of the largest record: a code object with its line table */
#define AP_TEXT_UTF8	8	/* "width" of a C string, such as tp_name: all `length` bytes are kept */
#define AP_COMM_SZ	16	/* TASK_COMM_LEN */
#define AP_KERNEL_MAX	48	/* frames of a kernel stack */
#define AP_PLAIN_MAX	512	/* threads without a loop in a recording: half of the `threads` map */
#define AP_NATIVE_MAX	64	/* frames of a native stack */

/* --- Records -------------------------------------------------------------- */

/* Numbers are never used again for something else. */
enum ap_kind {
	AP_NAME = 1,	/* who an open callback is; before its first AP_SLOW */
	AP_CODE = 2,	/* a code object seen for the first time in a stack */
	AP_SAMPLE = 3,	/* a tick found a callback open */
	AP_BLOCK = 4,	/* an off-CPU interval inside a callback, with its stack */
	AP_SLOW = 5,	/* a callback over the threshold: closed, or still open */
	AP_GONE = 6,	/* a thread that ran a loop exited, or its process called exec */
	AP_KERNEL = 7,	/* the kernel stack of the sample or block with the same `mark` */
	AP_NATIVE = 8,	/* made by the collector: the native stack of the sample with the same `mark` */
	AP_BORN = 9,	/* a process of the family: forked, or another image by exec */
	AP_KIND_CNT
};

struct ap_head {
	__u32 kind;	/* enum ap_kind */
	__u32 size;	/* bytes of the whole record, this head included */
	__u32 tgid;	/* process and thread, as asyncprof's /proc numbers them */
	__u32 tid;
	__u64 ts;	/* when the record was made */
};

/*
 * A Python str as it lies in memory (CPython Include/cpython/unicodeobject.h):
 * `width` bytes a character (1: ASCII or Latin-1, 2: UCS-2, 4: UCS-4).
 */
struct ap_text {
	__u32 length;	/* characters of the whole string; what was kept is `kept` bytes */
	__u16 kept;	/* bytes of it that are in data[]; less than length * width: cut */
	__u8 width;	/* 1, 2, 4; 0: there is none, or it could not be read; or AP_TEXT_UTF8 */
	__u8 pad;
};

struct ap_text_name {
	struct ap_text text;
	__u8 data[AP_NAME_SZ];
};

struct ap_text_file {
	struct ap_text text;
	__u8 data[AP_FILE_SZ];
};

/* What kind of object the loop was asked to run. */
enum ap_callee {
	AP_CALLEE_UNKNOWN = 0,
	AP_CALLEE_TASK = 1,	/* a step or wake-up of a Task */
	AP_CALLEE_FUNCTION = 2,
	AP_CALLEE_METHOD = 3,
	AP_CALLEE_BUILTIN = 4,
	AP_CALLEE_PARTIAL = 5,
	AP_CALLEE_OTHER = 6,	/* `callback` has the name of its type */
	AP_CALLEE_SIGNAL = 7,	/* a signal handler that ran inside the loop's poll */
	AP_CALLEE_ITERATION = 8, /* no callback: a whole iteration of the loop */
	AP_CALLEE_THREAD = 9	/* no loop at all: a plain thread, in a recording of threads */
};

/* What a sample or block is for; none of them: for a stall only, as one always was. */
enum {
	AP_T_POINT = 1, /* a piece of time for the recording, each once */
	AP_T_EARLY = 2, /* not late yet: for the recording only */
	AP_T_NATIVE = 4, /* perf has copied registers and stack of this tick */
	AP_T_MORE = 8	/* of a wait that goes on: its time since it was told of last */
};

/* Names are read while the callback is open: a freed task's address is used again at once. */
struct ap_name {
	struct ap_head head;
	__u64 seq;		/* with head.tid: which callback */
	__u64 task;		/* address of the Task, or 0 */
	__u64 child;		/* not 0: the number of an eager task that it ran, whose name this is */
	__u64 task_number;	/* n of an unnamed task "Task-n" (3.12+ keeps the number), or 0 */
	__u32 callee;		/* enum ap_callee */
	__u32 pad;
	struct ap_text_name task_name;
	struct ap_text_name coro;	/* qualified name of the task's coroutine */
	struct ap_text_name callback;	/* qualified name where there is no task */
};

/* One Python frame: which code, and how far it is (byte offset into co_code). */
struct ap_frame {
	__u64 code;
	__s32 lasti;
	__u32 pad;
};

/* Why a walk stopped. */
enum ap_cut {
	AP_CUT_NONE = 0,	/* it arrived: at the callback's Handle._run, or at the chain's end */
	AP_CUT_DEPTH = 1,	/* more than AP_FRAMES_MAX frames */
	AP_CUT_FAULT = 2,	/* memory that could not be read */
	AP_CUT_BAD = 3,		/* a word that cannot be what it should be */
	AP_CUT_NO_FRAME = 4,	/* the thread has no Python frame */
};

/* A code object: `size` says how much of `linetable` is there. */
struct ap_code {
	struct ap_head head;
	__u64 code;
	__u32 firstlineno;
	__u32 linetable_len;	/* bytes of co_linetable (co_lnotab before 3.10); 0: unreadable */
	__u32 linetable_kept;	/* bytes in linetable[]; less: lines are unknown */
	__u32 version;		/* 0x030b: which format the table has */
	struct ap_text_name name;	/* co_qualname; co_name before 3.11 */
	struct ap_text_file file;	/* co_filename */
	__u8 linetable[];
};

/* Where the interrupted thread was. */
enum ap_mode { AP_MODE_USER = 1, AP_MODE_SYSCALL = 2, AP_MODE_FAULT = 3 };

/* Where the frame chain stood in relation to a callback (rule R, test A1). */
enum ap_seen { AP_SEEN_UNDER = 1, AP_SEEN_OVER = 2, AP_SEEN_ELSEWHERE = 3 };

struct ap_stack {
	__u32 cnt;		/* frames, leaf first, without Handle._run */
	__u32 cut;		/* enum ap_cut */
	struct ap_frame frame[AP_FRAMES_MAX];
};

/* Sent with only the frames that are there: head.size says where it ends. */
struct ap_sample {
	struct ap_head head;
	__u64 seq;
	__s32 syscall;		/* number when mode is AP_MODE_SYSCALL, else -1 */
	__u32 mode;		/* enum ap_mode */
	__u32 collecting;	/* 1: the garbage collector was running */
	__u32 seen;		/* enum ap_seen */
	__u32 flags;		/* AP_T_* */
	__u32 callee;		/* ITERATION, SIGNAL, THREAD; UNKNOWN: the callback that AP_NAME names */
	__u64 loop;		/* address of the loop object, 0: unknown */
	__u64 mark;		/* when the tick began */
	__u64 child;		/* number of the eager task inside the callback that runs, 0: none */
	char comm[AP_COMM_SZ];
	struct ap_stack stack;
};

/* Leaf first. Sent before what it belongs to. */
struct ap_kernel {
	struct ap_head head;
	__u64 mark;		/* ap_sample.mark, ap_block.out_ts */
	__s64 bytes;		/* of ip[]; negative: it could not be walked */
	__u64 ip[AP_KERNEL_MAX];
};

/* Leaf first, down to the interpreter's frame. Only the frames that are there: see head.size. */
struct ap_native_frame {
	char func[96];		/* symbol, NUL terminated; empty: none */
	char file[48];		/* last part of its library's path; empty: not known */
};

struct ap_native {
	struct ap_head head;
	__u64 mark;		/* ap_sample.mark */
	__u32 cnt;
	__u32 cut;		/* 1: it was not followed to the interpreter's frame */
	struct ap_native_frame frame[AP_NATIVE_MAX];
};

/* Why a thread was off the CPU. */
enum ap_off {
	AP_OFF_NONE = 0,
	AP_OFF_RUNQUEUE = 1,	/* runnable, another thread had the CPU */
	AP_OFF_THROTTLED = 2,	/* runnable, its cgroup had used up its quota */
	AP_OFF_FAULT = 3,	/* waiting for a page */
	AP_OFF_GIL = 4,		/* futex inside the interpreter's GIL */
	AP_OFF_FUTEX = 5,	/* any other futex: a lock */
	AP_OFF_SYSCALL = 6,
	AP_OFF_STOPPED = 7,	/* SIGSTOP, ptrace, freezer */
	AP_OFF_UNKNOWN = 8,	/* switches were missed: asleep, but not on what */
	AP_OFF_CNT
};

/* The file or socket that a syscall waits on; `mode` 0: none, or not resolved. */
struct ap_file {
	__u16 mode;		/* i_mode: S_IFREG, S_IFSOCK, ... */
	__u16 family;		/* of a socket: AF_UNIX, AF_INET, AF_INET6 */
	__u16 port;		/* peer's, host order */
	__u16 local_port;
	__u8 addr[16];		/* peer's, network order; the first 4 for AF_INET */
	__u64 ino;
	__u32 magic;		/* s_magic of its file system: pipefs, anon inodes, ... */
	__u16 path_len;		/* bytes used in path[] */
	__u16 type;		/* of a socket: SOCK_STREAM, SOCK_DGRAM */
	/*
	 * Of a file: components, leaf first, each ended by NUL. Of an AF_UNIX socket: the peer's
	 * sun_path ('@' first: abstract). With mode 0: the path as the target wrote it (open, stat).
	 */
	char path[AP_PATH_SZ];
};

/* An off-CPU interval. Sent at once when long, else the longest one before AP_SLOW. */
struct ap_block {
	struct ap_head head;
	__u64 seq;
	__u64 out_ts;		/* when it left the CPU */
	__u64 off_ns;		/* how long it was away, without run queue; 0: still away */
	__u64 runqueue_ns;	/* of that time, runnable */
	__s32 syscall;		/* -1: none */
	__u32 off;		/* enum ap_off */
	__s32 fd;		/* -1: the syscall has none */
	__u32 fds;		/* of poll and select: how many were polled; 0: none */
	__u64 arg[3];		/* first arguments of the syscall */
	__u32 seen;		/* enum ap_seen, when it left */
	__u32 holder_tid;	/* AP_OFF_GIL: the holder, 0: not known */
	struct ap_frame holder;	/* AP_OFF_GIL: the holder's frame, code 0: not known */
	__u32 flags;		/* AP_T_* */
	__u32 callee;		/* as in ap_sample */
	__u64 loop;
	__u64 child;		/* as in ap_sample */
	char comm[AP_COMM_SZ];
	struct ap_file file;
	struct ap_stack stack;
};

/* One off-CPU place of a callback, summed over its visits. */
struct ap_place {
	__u64 ns;		/* asleep there, run queue taken off */
	__s32 syscall;
	__s32 fd;
	__u32 cnt;
	__u16 mode;		/* of the fd's file, 0: none */
	__u16 port;		/* peer's port, 0: none */
	__u8 off;		/* enum ap_off */
	__u8 unix_dns;		/* 1: the peer is a resolver's local socket */
	__u16 family;
	__u32 fds;		/* as in ap_block */
	__u64 arg;		/* futex address; fcntl command; else 0 */
};

/* Which event ended a callback. Letters as in the table of rule R. */
enum ap_end {
	AP_END_OPEN = 0,	/* it still runs */
	AP_END_NEXT = 1,	/* a: the next callback of the same _run_once */
	AP_END_SWEEP = 2,	/* a, by the frame chain */
	AP_END_POLL = 3,	/* b: its loop polls */
	AP_END_POLL_SWEEP = 4,	/* b, by the frame chain */
	AP_END_LOOP = 5,	/* c: _set_running_loop */
	AP_END_EXIT = 6,	/* the thread exited */
	AP_END_EXEC = 7,	/* the process called exec */
	AP_END_SAMPLE = 8,	/* a sample had seen it over before the event */
	AP_END_STALE = 9,	/* its frame memory was used for something else */
	AP_END_LEFT = 10,	/* Context_Exit: the end itself, of a loop that has one (AP_F_LEAVES) */
	AP_END_CNT
};

/* ap_slow.flags */
enum {
	AP_F_AT_ATTACH = 1,	/* open when asyncprof came: start unknown, start_ts is the first proof */
	AP_F_ONGOING = 2,	/* still open; a later record with the same seq closes it */
	AP_F_OVER_SEEN = 4,	/* hi is a sample that saw it over, not an event */
	AP_F_PLACES_FULL = 8,	/* more places than AP_PLACES_MAX: the rest is in off_ns[] only */
	AP_F_EXITED = 16,	/* ended by exit or exec */
	/*
	 * Of a foreign loop: one without Python frames (uvloop). Its callbacks have no `_run` and no
	 * `_run_once`; the frame that called run_forever stands for both.
	 */
	AP_F_FOREIGN = 32,
	AP_F_LEAVES = 64,	/* Context_Exit will end it; `callback` is its context */
	AP_F_TASK = 128,	/* a task's step, by its own entry: word2 is the task */
	AP_F_BATCH = 256	/* the loop has run others inside: what it took itself is the loop's own */
};

struct ap_slow {
	struct ap_head head;
	__u64 seq;		/* counts the callbacks of a thread */
	__u64 loop;		/* address of the loop object, 0: unknown */
	__u64 start_ts;
	__u64 lo_ts;		/* last moment at which it was seen to run */
	__u64 hi_ts;		/* the event, or first sample, by which it was over; now if ongoing */
	__u64 suspended_ns;	/* of hi_ts - start_ts: an inner run of the same loop */
	__u64 inner_ns;		/* of an iteration: the sum of its callbacks */
	__u32 inner_cnt;	/* of an iteration: how many callbacks it ran */
	__u32 flags;
	__u32 end;		/* enum ap_end */
	__u32 callee;		/* enum ap_callee; AP_CALLEE_UNKNOWN: see AP_NAME */
	__u32 depth;		/* callbacks that are open outside this one */
	__u32 switches;		/* switch-outs seen inside */
	__u32 switches_lost;	/* switch-outs that the kernel counted and we did not see */
	__u32 place_cnt;
	__u32 cut;		/* enum ap_cut: why a look at it did not find its way to it */
	__u32 pad;
	__u64 off_ns[AP_OFF_CNT];	/* off CPU, by reason; what is left of hi - start - suspended is on CPU */
	struct ap_place place[AP_PLACES_MAX];
	char comm[AP_COMM_SZ];
};

/* --- Accounting: hits == sum(closed) + sum(ignored) + open, always --------- */

enum ap_ignored {
	AP_IGN_CALLER = 0,	/* the caller is no Handle._run: ctx.run(), executor jobs, threads */
	AP_IGN_UNREADABLE = 1,	/* the caller's frame could not be read */
	AP_IGN_FULL = 2,	/* AP_OPEN_MAX callbacks are open already */
	AP_IGN_NO_THREAD = 3,	/* no room in the `threads` map */
	AP_IGN_CNT
};

struct ap_account {
	__u64 hits;		/* entries of context_run on this target's threads */
	__u64 closed[AP_END_CNT];	/* of those, by what ended them */
	__u64 ignored[AP_IGN_CNT];
	__u64 open;		/* filled in by the collector, from the threads that live */
	__u64 attach_opened;	/* open when we came, apart from hits */
	__u64 attach_closed;
	__u64 signal_opened;	/* handlers inside the poll, apart from hits */
	__u64 signal_closed;
	__u64 iterations;	/* polls of a loop under its own _run_once */
	__u64 busy_ns;		/* between the end of a poll and the next one */
	__u64 idle_ns;		/* inside polls */
	__u64 queued_ns;	/* of that, runnable: a poll that was woken and had no CPU yet */
	__u64 polls;		/* poll and select calls of loop threads, any caller */
	__u64 switches;
	__u64 ticks;
	__u64 ticks_busy;	/* ticks that found a program at work, and left */
	__u64 task_deaths;	/* Task tp_dealloc entries */
	__u64 loop_calls;	/* _set_running_loop entries */
	__u64 foreign_hits;	/* of a foreign loop: Context_Exit and steps of tasks, beside `hits` */
};

/* A thread's last words: all its callbacks are closed. */
struct ap_gone {
	struct ap_head head;
	__u32 exec;		/* 1: the process called exec, 0: the thread exited */
	__u32 pad;
	struct ap_account account;
	char comm[AP_COMM_SZ];
};

/* ap_born.flags */
enum {
	AP_BORN_EXEC = 1,	/* it called exec; else it was forked */
	AP_BORN_SHARES = 2	/* it has its parent's memory until it calls exec (vfork, posix_spawn) */
};

/* A child, or a child's child, of a target, when families are followed. head: who was born. */
struct ap_born {
	struct ap_head head;
	__u32 parent;		/* process that forked it, or has adopted it; 0: none that /proc shows */
	__u32 flags;		/* AP_BORN_* */
};

/* What was meant to be sent, and what was not, for lack of room on the ring. */
struct ap_sent {
	__u64 attempted[AP_KIND_CNT];
	__u64 dropped[AP_KIND_CNT];
};

/* --- State of a thread: written by its own programs, read by the collector - */

struct ap_open {
	__u64 seq;
	__u64 start_ts, lo_ts, over_ts;
	__u64 run;		/* the Handle._run frame; of a signal: the frame that polls */
	__u64 run_prev;		/* its raw `previous` */
	__u64 once;		/* P: the _run_once frame */
	__u64 forever;		/* R: P's previous */
	__u64 root;		/* last frame of the chain that is no C shim */
	__u64 loop;
	__u64 suspended_ns, suspend_ts;
	__u64 inner_ns;
	/*
	 * The object that runs, and its first words. At 16 and 24 lie, in 3.8-3.15:
	 * PyCFunctionObject m_ml and m_self, PyMethodObject im_func and im_self, partialobject fn,
	 * TaskStepMethWrapper and TaskWakeupMethWrapper their task.
	 */
	__u64 callback;
	union {
		__u64 word[7];
		struct {
			__u64 refcount, type, word2, word3, word4, word5, word6;
		};
	};
	__u64 qualname;		/* of a function: its __qualname__, a str; AP_F_LEAVES: the code that it called */
	__u64 child, child_no;	/* the eager task whose name was sent last, 0: none, and its number */
	__u64 longest_ns;	/* longest off-CPU interval not yet sent */
	__u64 off_ns[AP_OFF_CNT];
	__u32 longest;		/* where it lies: ap_thread.block[longest] */
	__u32 inner_cnt;
	__u32 flags;		/* AP_F_* */
	__u32 callee;
	__u32 named;		/* 1: AP_NAME was sent */
	__u32 fresh;		/* 1: nothing below was set since it opened */
	__u32 switches, switches_lost;
	__u32 place_cnt;
	__s32 run_lasti;	/* how far `run` is while its callback runs; 0: not known */
	__u32 cut;		/* enum ap_cut of the last look that did not find its way to it */
	__u32 pad;
	__u64 slow_ns;		/* of an iteration: callbacks in it that were reported */
	struct ap_place place[AP_PLACES_MAX];
};

struct ap_thread {
	struct ap_layout layout;	/* copied from the target: one look-up less */
	__u64 gil_holder;
	__u64 threshold_ns;
	__u64 long_ns;		/* blocks from here on are sent at once, samples too */
	__u64 collecting;	/* address of gc.collecting, 0: unknown */
	__u64 method_type;	/* address of PyMethod_Type, 0: unknown */
	__u64 has_loop_probe;	/* when it was made; it may have come since */
	__u64 tstate;
	__u64 run_code;		/* the code of Handle._run, once learned */
	__s64 run_lasti;	/* where in it the callback is called, 0: not learned */
	__u64 last_prev, last_once, last_forever, last_root, last_loop;	/* raw previous -> resolved */
	__u64 foreign;		/* the frame that called a foreign loop's run_forever, 0: asyncio's own loop */
	__u64 foreign_fd;	/* the descriptor that this loop polls, plus 1; 0: not known */
	__u64 run_frame, run_loop; /* the last entry of _set_running_loop: its caller, its argument */
	__u64 poll_start;	/* 0: it does not poll now */
	__u64 poll_run_delay;	/* sched_info.run_delay then */
	__u64 seq;
	__u32 depth;
	__u32 working;		/* a program of this thread is at work: ticks keep out */
	__u32 changes;		/* counts openings and closings: a reader compares before and after */
	__u32 last_block;	/* which block[] the last switch-out filled */
	__u32 pending;		/* 1: an off-CPU interval waits to be settled */
	__u32 pending_seen;	/* enum ap_seen of the top callback when it left */
	__u32 tgid, tid;	/* its own; exec gives it that of the main thread */
	__u32 record;		/* AP_REC_*, copied from the target */
	__u32 plain;		/* 1: it has run no loop; here for a recording of threads */
	__u32 shims;		/* C shims above the callback, at the last look */
	__u32 borrowed;		/* 1: some of its callbacks were called by no `_run_once` */
	__u64 asyncio_state;	/* of the _asyncio module, checked; 0: not known */
	__u64 py_task_seq;	/* of which callback `py_task_name` is */
	struct ap_text_name py_task_name;	/* of a Task in Python, read while its step certainly ran */
	__u64 out_ts, out_clock, out_run_delay, out_exec;
	__u64 out_pcount;
	struct ap_account account;
	struct ap_open iteration;
	struct ap_open open[AP_OPEN_MAX];
	struct ap_sample sample;
	struct ap_block block[AP_BLOCKS];
	char comm[AP_COMM_SZ];
};

/* --- A target, as the collector describes it ------------------------------- */

/* What a recording wants beside stalls. */
enum {
	AP_REC_POINTS = 1,	/* every sample and every wait inside a callback */
	AP_REC_THREADS = 2,	/* of threads without a loop as well */
	AP_REC_KERNEL = 4,	/* with the kernel's stack */
	AP_REC_NATIVE = 8	/* perf copies registers and stack at each sample */
};

struct ap_target {
	struct ap_layout layout;
	__u64 gil_holder;	/* address of the GIL's last_holder */
	__u64 threshold_ns;
	__u64 long_ns;
	__u64 collecting;
	__u64 method_type;
	__u32 has_loop_probe;	/* 1: _set_running_loop is probed, so iterations can be trusted */
	__u32 has_task_probe;	/* 1: Task tp_dealloc is probed, so a task not seen to die is alive */
	__u32 record;		/* AP_REC_* */
	__u32 run_cnt;		/* entries of _set_running_loop in this process */
};

/*
 * What the collector saw of a callback that was open when it came and makes no
 * event: it still ran at lo_ts.
 */
struct ap_proof {
	__u64 seq;
	__u64 lo_ts;
};

/* Key of the maps that remember addresses of one process. */
struct ap_addr {
	__u64 addr;
	__u32 tgid;
	__u32 pad;
};

#endif
