/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/flame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/flame_label.h"
#include "model/flame_tree.h"

static const char *const clocks[FLAME_CLOCK_CNT] = {
	[FLAME_WALL] = "wall",
	[FLAME_CPU] = "cpu",
	[FLAME_BLOCKED] = "blocked",
};

static const char *const bys[FLAME_BY_CNT] = {
	[FLAME_BY_TASK] = "task",
	[FLAME_BY_COROUTINE] = "coroutine",
	[FLAME_BY_FUNCTION] = "function",
};

static const char *const kinds[FLAME_KIND_CNT] = {
	[FLAME_ALL] = "all",	   [FLAME_PROCESS] = "process", [FLAME_LOOP] = "loop",
	[FLAME_THREAD] = "thread", [FLAME_TASK] = "task",	[FLAME_CALLBACK] = "callback",
	[FLAME_PYTHON] = "python", [FLAME_NATIVE] = "native",	[FLAME_KERNEL] = "kernel",
	[FLAME_WAIT] = "wait",	   [FLAME_IDLE] = "idle",
};

static int from_name(const char *const *names, int cnt, const char *name)
{
	for (int i = 0; name && i < cnt; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

const char *flame_clock_name(enum flame_clock clock)
{
	return clocks[(unsigned int)clock < FLAME_CLOCK_CNT ? clock : FLAME_WALL];
}

const char *flame_by_name(enum flame_by by)
{
	return bys[(unsigned int)by < FLAME_BY_CNT ? by : FLAME_BY_TASK];
}

const char *flame_kind_name(enum flame_kind kind)
{
	return kinds[(unsigned int)kind < FLAME_KIND_CNT ? kind : FLAME_ALL];
}

int flame_clock_from_name(const char *name)
{
	return from_name(clocks, FLAME_CLOCK_CNT, name);
}

int flame_by_from_name(const char *name)
{
	return from_name(bys, FLAME_BY_CNT, name);
}

/* --- Folding --------------------------------------------------------------- */

/* One profile on its way into a tree: which piece its threads, tasks and frames are. */
struct folding {
	const struct profile *profile;
	const struct flame_options *options;
	struct flame_tree *tree;
	bool old;
	bool compared; /* with another profile, of the same code or of the next version of it */
	uint32_t *process, *thread, *task, *frame; /* pieces */
	uint32_t *used;	  /* of each thread: has it an entry that is wanted? */
	uint32_t *above;  /* of each thread: its node */
	uint32_t *clamp;  /* of each stack: itself, or its ancestor FLAME_STACK_MAX deep */
	uint32_t *prefix; /* of each entry: the node above its stack; PROFILE_NONE: not wanted */
	uint32_t *order;  /* entries by prefix */
	uint64_t clipped_cnt;
	/* Of the prefix being folded, by stack: its node, if `met` says so. */
	uint32_t *node, *met;
};

static uint32_t *indices(size_t cnt)
{
	return calloc(cnt ? cnt : 1, sizeof(uint32_t));
}

static int piece_of(struct folding *f, enum flame_kind kind, const struct flame_label *label,
		    const char *file, int line, uint32_t *piece)
{
	return flame_tree_piece(f->tree, kind, label->text, label->sz, file, line, piece);
}

static int make_pieces(struct folding *f)
{
	const struct profile *p = f->profile;
	struct flame_label label;
	int err = 0;

	for (size_t i = 0; !err && i < p->process_cnt; i++) {
		flame_label_process(&label, &p->processes[i], f->options->per_process);
		err = piece_of(f, FLAME_PROCESS, &label, NULL, 0, &f->process[i]);
	}
	for (size_t i = 0; !err && i < p->thread_cnt; i++) {
		enum flame_kind kind = flame_label_thread(&label, &p->threads[i]);

		err = piece_of(f, kind, &label, NULL, 0, &f->thread[i]);
	}
	for (size_t i = 0; !err && i < p->task_cnt; i++) {
		enum flame_kind kind = flame_label_task(&label, &p->tasks[i], f->options->by);

		err = piece_of(f, kind, &label, NULL, 0, &f->task[i]);
	}
	for (size_t i = 0; !err && i < p->frame_cnt; i++) {
		struct profile_frame frame = p->frames[i];
		enum flame_kind kind;

		/* A new version moves lines, and lies in another folder: a function stays what it is. */
		if (f->compared)
			frame.line = 0;
		kind = flame_label_frame(&label, &frame, f->options->full_filenames);
		if (kind == FLAME_WAIT || (f->compared && !f->options->full_filenames))
			frame.file = NULL;
		err = piece_of(f, kind, &label, frame.file,
			       kind == FLAME_PYTHON && frame.line > 0 ? frame.line : 0,
			       &f->frame[i]);
	}
	return err;
}

/* A stack deeper than FLAME_STACK_MAX ends there: its innermost frames are left out. */
static int clamp_stacks(struct folding *f)
{
	const struct profile *p = f->profile;
	uint16_t *depth = calloc(p->stack_cnt ? p->stack_cnt : 1, sizeof(*depth));

	if (!depth)
		return -ENOMEM;
	for (size_t i = 0; i < p->stack_cnt; i++) {
		uint32_t parent = p->stacks[i].parent;

		f->clamp[i] = (uint32_t)i;
		depth[i] = 1;
		if (parent >= i) /* PROFILE_NONE too */
			continue;
		depth[i] = (uint16_t)(depth[parent] + 1);
		if (depth[i] > FLAME_STACK_MAX) {
			depth[i] = depth[parent];
			f->clamp[i] = f->clamp[parent];
		}
	}
	free(depth);
	return 0;
}

static bool is_wanted(const struct folding *f, const struct profile_entry *entry)
{
	const struct profile *p = f->profile;

	if (entry->ns < 0)
		return false;
	if (entry->thread < p->thread_cnt && p->threads[entry->thread].plain &&
	    !f->options->threads)
		return false;
	switch (f->options->clock) {
	case FLAME_CPU:
		return entry->kind == POINT_CPU;
	case FLAME_BLOCKED:
		return entry->kind == POINT_BLOCKED || entry->kind == POINT_RUNQUEUE;
	default:
		return entry->kind != POINT_IDLE || f->options->idle;
	}
}

/*
 * The child of `*node`. Without room it stays where it is, `full` is set, and nothing may be put
 * below it: the time is the caller's.
 */
static int descend(struct folding *f, uint32_t piece, uint32_t *node, bool *full)
{
	int err = *full ? 0 : flame_tree_child(f->tree, *node, piece, node);

	if (err != -ENOSPC)
		return err;
	*full = true;
	return 0;
}

/* The nodes of processes and threads, each found once. */
static int place_threads(struct folding *f)
{
	const struct profile *p = f->profile;
	int err = 0;

	for (size_t i = 0; !err && i < p->thread_cnt; i++) {
		uint32_t process = p->threads[i].process;
		bool full = false;

		if (!f->used[i])
			continue;
		if (process < p->process_cnt)
			err = descend(f, f->process[process], &f->above[i], &full);
		if (!err)
			err = descend(f, f->thread[i], &f->above[i], &full);
	}
	return err;
}

static int find_prefix(struct folding *f, const struct profile_entry *entry, uint32_t *node)
{
	const struct profile *p = f->profile;
	bool full = false;

	*node = entry->thread < p->thread_cnt ? f->above[entry->thread] : 0;
	/* A loop at rest runs no task. */
	if (entry->task < p->task_cnt && entry->kind != POINT_IDLE &&
	    f->options->by != FLAME_BY_FUNCTION)
		return descend(f, f->task[entry->task], node, &full);
	return 0;
}

/* Entries by their prefix, so that one table of nodes by stack serves them all. */
static int order_entries(struct folding *f)
{
	const struct profile *p = f->profile;
	uint32_t *start;
	size_t prefix_cnt, wanted = 0;
	int err;

	for (size_t i = 0; i < p->entry_cnt; i++) {
		const struct profile_entry *entry = &p->entries[i];

		f->prefix[i] = is_wanted(f, entry) ? 0 : PROFILE_NONE;
		if (f->prefix[i] != PROFILE_NONE && entry->thread < p->thread_cnt)
			f->used[entry->thread] = 1;
	}
	err = place_threads(f);
	if (err)
		return err;
	for (size_t i = 0; i < p->entry_cnt; i++) {
		if (f->prefix[i] == PROFILE_NONE)
			continue;
		err = find_prefix(f, &p->entries[i], &f->prefix[i]);
		if (err)
			return err;
	}
	prefix_cnt = f->tree->seed_cnt;
	start = indices(prefix_cnt + 1);
	if (!start)
		return -ENOMEM;
	for (size_t i = 0; i < p->entry_cnt; i++) {
		if (f->prefix[i] != PROFILE_NONE)
			start[f->prefix[i] + 1]++;
	}
	for (size_t i = 0; i < prefix_cnt; i++)
		start[i + 1] += start[i];
	for (size_t i = 0; i < p->entry_cnt; i++) {
		if (f->prefix[i] != PROFILE_NONE) {
			f->order[start[f->prefix[i]]++] = (uint32_t)i;
			wanted++;
		}
	}
	if (wanted < p->entry_cnt)
		f->order[wanted] = PROFILE_NONE;
	free(start);
	return 0;
}

/* The node of a stack under `prefix`, through those of its frames that have one already. */
static int find_stack(struct folding *f, uint32_t prefix, uint32_t stack, uint32_t *node,
		      bool *full)
{
	const struct profile *p = f->profile;
	uint32_t path[FLAME_STACK_MAX], cnt = 0, at = f->clamp[stack];

	*node = prefix;
	while (at < p->stack_cnt && cnt < FLAME_STACK_MAX) {
		if (f->met[at] == prefix + 1) {
			*node = f->node[at];
			break;
		}
		path[cnt++] = at;
		/* Parents come first: what does not cannot be followed. */
		at = p->stacks[at].parent < at ? p->stacks[at].parent : PROFILE_NONE;
	}
	while (cnt-- > 0) {
		uint32_t frame = p->stacks[path[cnt]].frame;
		int err = 0;

		if (frame < p->frame_cnt)
			err = descend(f, f->frame[frame], node, full);
		if (err || *full)
			return err;
		f->node[path[cnt]] = *node;
		f->met[path[cnt]] = prefix + 1;
	}
	*full = f->clamp[stack] != stack;
	return 0;
}

/* Does the stack say what it waits for, be it above kernel frames? */
static bool has_wait(const struct profile *p, uint32_t stack)
{
	for (int i = 0; stack < p->stack_cnt && i < FLAME_STACK_MAX; i++) {
		uint32_t frame = p->stacks[stack].frame;

		if (frame >= p->frame_cnt)
			return false;
		if (p->frames[frame].kind != FRAME_KERNEL)
			return p->frames[frame].kind == FRAME_WAIT;
		stack = p->stacks[stack].parent;
	}
	return false;
}

/* What the stack does not say: that it rests, that it waits for a CPU, or that there is none. */
static int find_leaf(struct folding *f, const struct profile_entry *entry, uint32_t *node,
		     bool *full)
{
	const struct profile *p = f->profile;
	bool has_stack = entry->stack < p->stack_cnt;
	struct flame_label label;
	enum flame_kind kind;
	uint32_t piece;
	int err;

	if (has_stack && entry->kind != POINT_IDLE &&
	    (entry->kind == POINT_CPU || has_wait(p, entry->stack)))
		return 0;
	kind = flame_label_leaf(&label, entry, has_stack);
	err = piece_of(f, kind, &label, NULL, 0, &piece);
	return err ? err : descend(f, piece, node, full);
}

static int fold_entries(struct folding *f)
{
	const struct profile *p = f->profile;

	for (size_t i = 0; i < p->entry_cnt && f->order[i] != PROFILE_NONE; i++) {
		const struct profile_entry *entry = &p->entries[f->order[i]];
		uint32_t node = f->prefix[f->order[i]];
		bool full = false;
		int err = 0;

		if (entry->stack < p->stack_cnt)
			err = find_stack(f, node, entry->stack, &node, &full);
		if (!err && !full)
			err = find_leaf(f, entry, &node, &full);
		if (err)
			return err;
		f->clipped_cnt += full;
		flame_tree_add(f->tree, node, entry->ns, entry->cnt, f->old);
	}
	return 0;
}

static int fold(struct flame_tree *tree, const struct profile *p, const struct folding *how,
		uint64_t *clipped_cnt)
{
	struct folding f = *how;
	int err = -ENOMEM;

	f.profile = p;
	f.tree = tree;
	f.process = indices(p->process_cnt);
	f.thread = indices(p->thread_cnt);
	f.used = indices(p->thread_cnt);
	f.above = indices(p->thread_cnt);
	f.task = indices(p->task_cnt);
	f.frame = indices(p->frame_cnt);
	f.clamp = indices(p->stack_cnt);
	f.node = indices(p->stack_cnt);
	f.met = indices(p->stack_cnt);
	f.prefix = indices(p->entry_cnt);
	f.order = indices(p->entry_cnt);
	if (f.process && f.thread && f.used && f.above && f.task && f.frame && f.clamp && f.node &&
	    f.met && f.prefix && f.order)
		err = make_pieces(&f);
	if (!err)
		err = clamp_stacks(&f);
	if (!err)
		err = order_entries(&f);
	if (!err)
		err = fold_entries(&f);
	*clipped_cnt += f.clipped_cnt;
	free(f.process);
	free(f.thread);
	free(f.used);
	free(f.above);
	free(f.task);
	free(f.frame);
	free(f.clamp);
	free(f.node);
	free(f.met);
	free(f.prefix);
	free(f.order);
	return err;
}

/* What a caption says of a profile. */
static void describe(struct flame *flame, const struct profile *p)
{
	flame->complete = flame->complete && p->complete;
	flame->lost_cnt += p->lost_cnt;
	flame->cut_stack_cnt += p->cut_stack_cnt;
}

static struct flame *make(const struct profile *old, const struct profile *current,
			  const struct flame_options *options)
{
	struct folding how = {.options = options, .compared = old != NULL};
	struct flame *flame = calloc(1, sizeof(*flame));
	struct flame_tree tree;
	double old_scale = 1;
	int err;

	if (!flame)
		return NULL;
	if (flame_tree__init(&tree)) {
		free(flame);
		return NULL;
	}
	flame->options = *options;
	flame->complete = true;
	flame->duration_ns = current->duration_ns;
	flame->period_ns = current->period_ns;
	err = fold(&tree, current, &how, &flame->clipped_cnt);
	describe(flame, current);
	if (old && !err) {
		flame->compared = true;
		if (old->duration_ns > 0 && current->duration_ns > 0)
			old_scale = (double)current->duration_ns / (double)old->duration_ns;
		how.old = true;
		err = fold(&tree, old, &how, &flame->clipped_cnt);
		describe(flame, old);
	}
	if (!err)
		err = flame_tree_ripen(&tree, old_scale, flame);
	flame_tree__clear(&tree);
	if (err) {
		flame__free(flame);
		return NULL;
	}
	return flame;
}

struct flame *flame__new(const struct profile *profile, const struct flame_options *options)
{
	return make(NULL, profile, options);
}

struct flame *flame__compare(const struct profile *old, const struct profile *current,
			     const struct flame_options *options)
{
	return make(old, current, options);
}

void flame__free(struct flame *flame)
{
	if (!flame)
		return;
	free(flame->nodes);
	free(flame->text);
	free(flame);
}
