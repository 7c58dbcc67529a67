/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(added) ((added)->lost = 1)
#include <uthash.h>

#include "model/points.h"

#include "model/syscall.h"

#define THREADS_MAX 4096
#define FRAMES_MAX  (AP_KERNEL_MAX + 1 + AP_NATIVE_MAX + AP_FRAMES_MAX)

struct thread_key {
	uint32_t pid, tid;
};

/* What came for a thread's next point, and what was told already of its sums. */
struct thread {
	struct thread_key key;
	UT_hash_handle hh;
	int lost;
	struct points_sums told;
	struct ap_kernel *kernel;
	struct ap_native *native;
};

struct points {
	struct points_options options;
	struct thread *threads;
	/* The point that is made now, and what it points to. */
	struct point point;
	struct point_frame frames[FRAMES_MAX];
	struct stall_frame python[AP_FRAMES_MAX];
	char comm[AP_COMM_SZ + 1];
	char words[FD_WORDS_SZ], number[32];
	char library[AP_NATIVE_MAX][sizeof(((struct ap_native_frame *)0)->file) + 2];
};

struct points *points__new(const struct points_options *options)
{
	struct points *points = calloc(1, sizeof(*points));

	if (points)
		points->options = *options;
	return points;
}

static void drop(struct points *points, struct thread *thread)
{
	HASH_DEL(points->threads, thread);
	free(thread->kernel);
	free(thread->native);
	free(thread);
}

void points__free(struct points *points)
{
	struct thread *thread, *next;

	if (!points)
		return;
	HASH_ITER(hh, points->threads, thread, next)
	drop(points, thread);
	free(points);
}

static struct thread *find_thread(struct points *points, uint32_t pid, uint32_t tid)
{
	struct thread_key key = {.pid = pid, .tid = tid};
	struct thread *thread = NULL;

	HASH_FIND(hh, points->threads, &key, sizeof(key), thread);
	return thread;
}

/* One of which only a stack for one point is lost; of the others time would be told twice. */
static struct thread *least_needed(struct points *points)
{
	struct thread *thread, *next;

	HASH_ITER(hh, points->threads, thread, next)
	{
		if (!thread->told.idle_ns && !thread->told.queued_ns && !thread->told.own_cnt)
			return thread;
	}
	return points->threads;
}

static struct thread *get_thread(struct points *points, uint32_t pid, uint32_t tid)
{
	struct thread *thread = find_thread(points, pid, tid);

	if (thread)
		return thread;
	if (HASH_COUNT(points->threads) >= THREADS_MAX)
		drop(points, least_needed(points));
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->key = (struct thread_key){.pid = pid, .tid = tid};
	HASH_ADD(hh, points->threads, key, sizeof(thread->key), thread);
	if (thread->lost) {
		free(thread);
		return NULL;
	}
	return thread;
}

void points_gone(struct points *points, uint32_t pid, uint32_t tid)
{
	struct thread *thread = find_thread(points, pid, tid);

	if (thread)
		drop(points, thread);
}

/* --- Stacks that come before their point ------------------------------------------ */

int points_kernel(struct points *points, const struct ap_kernel *kernel)
{
	struct thread *thread = get_thread(points, kernel->head.tgid, kernel->head.tid);

	if (thread && !thread->kernel)
		thread->kernel = malloc(sizeof(*thread->kernel));
	if (!thread || !thread->kernel)
		return -ENOMEM;
	*thread->kernel = *kernel;
	return 0;
}

int points_native(struct points *points, const struct ap_native *native)
{
	struct thread *thread = get_thread(points, native->head.tgid, native->head.tid);

	if (thread && !thread->native)
		thread->native = malloc(sizeof(*thread->native));
	if (!thread || !thread->native)
		return -ENOMEM;
	memcpy(thread->native, native, native->head.size);
	return 0;
}

static struct point_frame *add_frame(struct points *points, enum frame_kind kind)
{
	struct point_frame *frame = &points->frames[points->point.frame_cnt++];

	*frame = (struct point_frame){.kind = kind};
	return frame;
}

static const char *kernel_symbol(const struct points *points, const struct ap_kernel *kernel,
				 int64_t i)
{
	if (!points->options.kernel_symbol)
		return NULL;
	/* All but the leaf are return addresses: the call before may be a function's last word. */
	return points->options.kernel_symbol(points->options.ctx, kernel->ip[i] - (i > 0));
}

/* A switch is seen from a tracepoint in __schedule(): the frames of tracing are ours. */
static int64_t first_of_switch(const struct points *points, const struct ap_kernel *kernel,
			       int64_t cnt)
{
	for (int64_t i = 0; i < cnt && i < 8; i++) {
		const char *symbol = kernel_symbol(points, kernel, i);

		if (symbol && !strcmp(symbol, "__schedule"))
			return i;
	}
	return 0;
}

static void add_kernel(struct points *points, const struct thread *thread, uint64_t mark,
		       bool at_switch)
{
	const struct ap_kernel *kernel = thread ? thread->kernel : NULL;
	int64_t cnt;

	if (!kernel || kernel->mark != mark)
		return;
	cnt = kernel->bytes / (int64_t)sizeof(kernel->ip[0]);
	if (cnt > AP_KERNEL_MAX)
		cnt = AP_KERNEL_MAX;
	for (int64_t i = at_switch ? first_of_switch(points, kernel, cnt) : 0; i < cnt; i++)
		add_frame(points, FRAME_KERNEL)->func = kernel_symbol(points, kernel, i);
}

static void add_native(struct points *points, const struct thread *thread, uint64_t mark)
{
	const struct ap_native *native = thread ? thread->native : NULL;

	if (!native || native->mark != mark)
		return;
	for (uint32_t i = 0; i < native->cnt && i < AP_NATIVE_MAX; i++) {
		struct point_frame *frame = add_frame(points, FRAME_NATIVE);

		if (native->frame[i].func[0]) {
			frame->func = native->frame[i].func;
			frame->file = native->frame[i].file[0] ? native->frame[i].file : NULL;
		} else if (native->frame[i].file[0]) {
			/* A stripped library's own function: at least whose it is. */
			snprintf(points->library[i], sizeof(points->library[i]), "[%s]",
				 native->frame[i].file);
			frame->func = points->library[i];
		}
	}
	points->point.cut |= native->cut != 0;
}

static void add_python(struct points *points, const struct ap_stack *stack, struct codes *codes)
{
	for (uint32_t i = 0; i < stack->cnt && i < AP_FRAMES_MAX; i++) {
		struct point_frame *frame = add_frame(points, FRAME_PYTHON);

		codes__resolve(codes, points->point.pid, &stack->frame[i], &points->python[i]);
		frame->func = points->python[i].func;
		frame->file = points->python[i].file;
		frame->line = points->python[i].line;
	}
	points->point.cut |= stack->cut != AP_CUT_NONE && stack->cut != AP_CUT_NO_FRAME;
}

/* --- Points -------------------------------------------------------------------------- */

/* asyncio counts the tasks that nobody named: "Task-7" (Lib/asyncio/tasks.py, 3.8+). */
static bool is_unnamed(const char *task)
{
	return task && !strncmp(task, "Task-", 5) && task[5] &&
	       strspn(task + 5, "0123456789") == strlen(task + 5);
}

static void begin(struct points *points, const struct ap_head *head, const char comm[AP_COMM_SZ],
		  uint32_t callee, uint64_t loop, uint64_t child_no,
		  const struct evidence *evidence)
{
	const struct evidence_child *child = evidence_child(evidence, child_no);

	memcpy(points->comm, comm, AP_COMM_SZ);
	points->point = (struct point){
		.unix_ns = (int64_t)((uint64_t)points->options.unix_offset_ns + head->ts),
		.cnt = 1,
		.pid = head->tgid,
		.tid = head->tid,
		.comm = points->comm,
		.plain = callee == AP_CALLEE_THREAD,
		.loop = loop,
		.what = evidence_kind(evidence, callee),
		.frames = points->frames,
	};
	if (!evidence)
		return;
	points->point.task = evidence->task;
	points->point.unnamed = is_unnamed(evidence->task);
	points->point.coro = evidence->coro;
	points->point.callback = evidence->callback;
	if (!child)
		return;
	points->point.what = STALL_TASK;
	points->point.task = child->task;
	points->point.unnamed = is_unnamed(child->task);
	points->point.coro = child->coro;
	points->point.callback = NULL;
}

static void hand_out(struct points *points, enum point_kind kind, uint64_t ns)
{
	points->point.kind = kind;
	points->point.ns = ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
	points->options.on_point(points->options.ctx, &points->point);
}

void points_sample(struct points *points, const struct ap_sample *sample,
		   const struct evidence *evidence, struct codes *codes)
{
	struct thread *thread = find_thread(points, sample->head.tgid, sample->head.tid);

	begin(points, &sample->head, sample->comm, sample->callee, sample->loop,
	      sample->child, evidence);
	points->point.cause = CAUSE_CPU;
	add_kernel(points, thread, sample->mark, false);
	add_native(points, thread, sample->mark);
	add_python(points, &sample->stack, codes);
	/* The callback is of C, or the interpreter had not made its frame yet. */
	if (!points->point.frame_cnt && sample->stack.cut == AP_CUT_NONE)
		add_frame(points, FRAME_NATIVE)->func = "[C code]";
	hand_out(points, POINT_CPU, (uint64_t)points->options.period_ns);
}

/* What a thread waits for, as a frame: the syscall with its file or peer, or a reason. */
static void add_wait(struct points *points, const struct ap_block *block)
{
	static const char *const reasons[AP_OFF_CNT] = {
		[AP_OFF_THROTTLED] = "throttled by its cgroup",
		[AP_OFF_FAULT] = "page fault",
		[AP_OFF_GIL] = "the GIL",
		[AP_OFF_FUTEX] = "a lock",
		[AP_OFF_STOPPED] = "stopped",
		[AP_OFF_UNKNOWN] = "asleep, switches were missed",
	};
	struct point_frame *frame = add_frame(points, FRAME_WAIT);

	frame->func = reasons[block->off];
	if (frame->func || block->syscall < 0)
		return;
	frame->func = syscall_name(block->syscall);
	if (!frame->func) {
		snprintf(points->number, sizeof(points->number), "syscall %d", block->syscall);
		frame->func = points->number;
	}
	if (fd_peer(&block->file, points->words, sizeof(points->words)) ||
	    fd_path(&block->file, points->words, sizeof(points->words)))
		frame->file = points->words;
}

/* A pool's thread that waits for work (_worker, Lib/concurrent/futures/thread.py, 3.8-3.15). */
static bool is_worker_idle(const struct points *points)
{
	static const char file[] = "concurrent/futures/thread.py";
	const struct stall_frame *leaf = &points->python[0];
	size_t len;

	if (!points->point.plain || !leaf->func || !leaf->file ||
	    strcmp(leaf->func, "_worker") != 0)
		return false;
	len = strlen(leaf->file);
	return len >= sizeof(file) - 1 && !strcmp(leaf->file + len - (sizeof(file) - 1), file);
}

void points_block(struct points *points, const struct ap_block *block,
		  const struct evidence *evidence, struct codes *codes)
{
	struct thread *thread = find_thread(points, block->head.tgid, block->head.tid);
	const struct cause_place place = cause_place_of_block(block);

	begin(points, &block->head, block->comm, block->callee, block->loop, block->child,
	      evidence);
	points->python[0] = (struct stall_frame){};
	if (block->flags & AP_T_MORE)
		points->point.cnt = 0;
	if (block->off_ns) {
		add_kernel(points, thread, block->out_ts, true);
		add_wait(points, block);
		add_python(points, &block->stack, codes);
		points->point.cause = cause_of_place(&place);
		hand_out(points, is_worker_idle(points) ? POINT_IDLE : POINT_BLOCKED,
			 block->off_ns);
	}
	if (!block->runqueue_ns)
		return;
	points->point.frame_cnt = 0;
	add_frame(points, FRAME_WAIT)->func = "run queue";
	add_python(points, &block->stack, codes);
	points->point.cause = CAUSE_RUNQUEUE;
	hand_out(points, POINT_RUNQUEUE, block->runqueue_ns);
}

/* A point of the loop's own, without a stack: what it did, if that has a name. */
static void begin_own(struct points *points, const struct ap_head *head, const char *comm,
		      uint64_t loop, enum cause cause)
{
	char padded[AP_COMM_SZ] = "";

	memcpy(padded, comm, strnlen(comm, AP_COMM_SZ));
	begin(points, head, padded, AP_CALLEE_ITERATION, loop, 0, NULL);
	points->point.cause = cause;
}

void points_sums(struct points *points, uint32_t pid, uint32_t tid, const char *comm, uint64_t loop,
		 const struct points_sums *sums, uint64_t ts)
{
	const struct ap_head head = {.tgid = pid, .tid = tid, .ts = ts};
	struct thread *thread = get_thread(points, pid, tid);
	struct points_sums *told = thread ? &thread->told : NULL;

	if (told && sums->idle_ns > told->idle_ns) {
		begin_own(points, &head, comm, loop, CAUSE_POLL);
		hand_out(points, POINT_IDLE, sums->idle_ns - told->idle_ns);
		told->idle_ns = sums->idle_ns;
	}
	if (told && sums->queued_ns > told->queued_ns) {
		begin_own(points, &head, comm, loop, CAUSE_RUNQUEUE);
		add_frame(points, FRAME_WAIT)->func = "run queue";
		hand_out(points, POINT_RUNQUEUE, sums->queued_ns - told->queued_ns);
		told->queued_ns = sums->queued_ns;
	}
	if (told && sums->own_cnt > told->own_cnt) {
		begin_own(points, &head, comm, loop, CAUSE_CPU);
		points->point.cnt = sums->own_cnt - told->own_cnt;
		add_frame(points, FRAME_NATIVE)->func = "[asyncprof]";
		hand_out(points, POINT_CPU,
			 points->point.cnt * (uint64_t)points->options.period_ns);
		told->own_cnt = sums->own_cnt;
	}
}
