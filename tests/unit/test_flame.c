/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* What a profile becomes as a tree: labels, options, sums that hold, profiles that lie. */
#include <errno.h>
#include <stdio.h>

#include "cmocka_all.h"
#include "flames.h"
#include "model/flame.h"
#include "model/flame_tree.h"

static const struct flame_options plain_options;

/* The node at "a;b;c" below the root; NULL: none. */
static const struct flame_node *at(const struct flame *flame, const char *path)
{
	const struct flame_node *node = &flame->nodes[0];

	while (*path) {
		size_t sz = strcspn(path, ";");
		uint32_t child = node->first_child;

		while (child != PROFILE_NONE &&
		       (strncmp(flame->nodes[child].label, path, sz) != 0 ||
			flame->nodes[child].label[sz]))
			child = flame->nodes[child].next;
		if (child == PROFILE_NONE)
			return NULL;
		node = &flame->nodes[child];
		path += sz + (path[sz] == ';');
	}
	return node;
}

/* What every tree must hold, whatever it was made of. */
static void assert_sound(const struct flame *flame)
{
	int64_t self_ns = 0, old_ns = 0;
	uint64_t cnt = 0, children = 0;

	assert_true(flame->node_cnt > 0);
	assert_int_equal(flame->nodes[0].parent, PROFILE_NONE);
	assert_int_equal(flame->nodes[0].kind, FLAME_ALL);
	for (size_t i = 0; i < flame->node_cnt; i++) {
		const struct flame_node *node = &flame->nodes[i];
		int64_t total_ns = node->self_ns, old_total_ns = node->old_self_ns;
		const struct flame_node *last = NULL;

		assert_true(node->self_ns >= 0 && node->old_self_ns >= 0);
		assert_true(i == 0 || node->parent < i);
		for (uint32_t c = node->first_child; c != PROFILE_NONE; c = flame->nodes[c].next) {
			const struct flame_node *child = &flame->nodes[c];

			assert_int_equal(child->parent, i);
			assert_int_equal(child->depth, node->depth + 1);
			assert_true(child->depth <= flame->depth_max);
			if (last)
				assert_true(strcmp(last->label, child->label) <= 0);
			last = child;
			total_ns += child->total_ns;
			old_total_ns += child->old_total_ns;
			children++;
		}
		assert_int_equal(node->total_ns, total_ns);
		assert_int_equal(node->old_total_ns, old_total_ns);
		self_ns += node->self_ns;
		old_ns += node->old_self_ns;
		cnt += node->self_cnt;
	}
	assert_int_equal(children, flame->node_cnt - 1);
	assert_int_equal(self_ns, flame->nodes[0].total_ns);
	assert_int_equal(old_ns, flame->nodes[0].old_total_ns);
	assert_int_equal(cnt, flame->nodes[0].total_cnt);
}

static struct flame *fold(const struct made *made, const struct flame_options *options)
{
	struct flame *flame = flame__new(&made->profile, options);

	assert_non_null(flame);
	assert_sound(flame);
	return flame;
}

static void assert_time(const struct flame *flame, const char *path, int64_t self_ms,
			int64_t total_ms)
{
	const struct flame_node *node = at(flame, path);

	if (!node)
		fail_msg("no %s", path);
	assert_int_equal(node->self_ns, self_ms * MS);
	assert_int_equal(node->total_ns, total_ms * MS);
}

static void test_labels(void **state)
{
	static const struct {
		enum frame_kind kind;
		const char *func, *file;
		int line;
		const char *label, *full;
		enum flame_kind flame;
	} rows[] = {
		{FRAME_PYTHON, "fetch", "/srv/db.py", 17, "fetch (db.py:17)",
		 "fetch (/srv/db.py:17)", FLAME_PYTHON},
		{FRAME_PYTHON, "A.<locals>.b", "<string>", 1, "A.<locals>.b (<string>:1)", NULL,
		 FLAME_PYTHON},
		{FRAME_PYTHON, "f", "a.py", 0, "f (a.py)", NULL, FLAME_PYTHON},
		{FRAME_PYTHON, "f", "a.py", -4, "f (a.py)", NULL, FLAME_PYTHON},
		{FRAME_PYTHON, NULL, "dir/", 3, "? (dir/:3)", NULL, FLAME_PYTHON},
		{FRAME_PYTHON, "f", NULL, 3, "f (?:3)", NULL, FLAME_PYTHON},
		{FRAME_PYTHON, NULL, NULL, 0, "? (?)", NULL, FLAME_PYTHON},
		{FRAME_NATIVE, "malloc", "/lib/libc.so.6", 0, "malloc (libc.so.6)", NULL,
		 FLAME_NATIVE},
		{FRAME_NATIVE, NULL, "libc.so.6", 0, "? (libc.so.6)", NULL, FLAME_NATIVE},
		{FRAME_NATIVE, "malloc", NULL, 0, "malloc", NULL, FLAME_NATIVE},
		{FRAME_KERNEL, "schedule", NULL, 0, "schedule_[k]", NULL, FLAME_KERNEL},
		{FRAME_KERNEL, NULL, NULL, 0, "?_[k]", NULL, FLAME_KERNEL},
		{FRAME_WAIT, "recvfrom", "10.0.0.7:443", 0, "recvfrom 10.0.0.7:443", NULL,
		 FLAME_WAIT},
		{FRAME_WAIT, "read", "/var/x", 0, "read /var/x", NULL, FLAME_WAIT},
		{FRAME_WAIT, "the GIL", NULL, 0, "the GIL", NULL, FLAME_WAIT},
		{FRAME_WAIT, NULL, NULL, 0, "?", NULL, FLAME_WAIT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int full = 0; full < 2; full++) {
			struct flame_options options = {.by = FLAME_BY_FUNCTION,
							.full_filenames = full};
			struct made made;
			struct flame *flame;
			uint32_t thread, stack;

			made_begin(&made);
			thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
			stack = made_stack(&made, PROFILE_NONE, rows[i].kind, rows[i].func,
					   rows[i].file, rows[i].line);
			made_entry(&made, thread, PROFILE_NONE, stack,
				   rows[i].kind == FRAME_WAIT ? POINT_BLOCKED : POINT_CPU, MS, 1);
			flame = fold(&made, &options);
			made_clear(&made); /* it must not be needed any more */
			assert_int_equal(flame->node_cnt, 4);
			assert_string_equal(flame->nodes[3].label,
					    full && rows[i].full ? rows[i].full : rows[i].label);
			assert_int_equal(flame->nodes[3].kind, rows[i].flame);
			flame__free(flame);
		}
	}
}

static void test_prefixes(void **state)
{
	static const struct {
		struct profile_task task;
		const char *by_task, *by_coroutine;
	} rows[] = {
		{{STALL_TASK, "orders", false, "run", NULL}, "task orders", "coro run"},
		{{STALL_TASK, "Task-7", true, "run", NULL}, "coro run", "coro run"},
		{{STALL_TASK, "Task-7", true, NULL, NULL}, "task Task-7", "coro ?"},
		{{STALL_TASK, NULL, false, NULL, NULL}, "coro ?", "coro ?"},
		{{STALL_CALLBACK, NULL, false, NULL, "tick"}, "callback tick", "callback tick"},
		{{STALL_CALLBACK, NULL, false, NULL, NULL}, "callback ?", "callback ?"},
		{{STALL_SIGNAL, NULL, false, NULL, "stop"}, "signal stop", "signal stop"},
		{{STALL_ITERATION, NULL, false, NULL, NULL}, "event loop", "event loop"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct profile_task *task = &rows[i].task;
		struct flame_options options = {.by = FLAME_BY_TASK};
		struct made made;
		struct flame *flame;
		char path[128];
		uint32_t thread;

		made_begin(&made);
		thread = made_thread(&made, made_process(&made, 77, NULL), 1, "io", false);
		made_task(&made, task->what, task->task, task->unnamed, task->coro, task->callback);
		made_entry(&made, thread, 0, py(&made, PROFILE_NONE, "f", "a.py", 1), POINT_CPU,
			   5 * MS, 1);
		flame = fold(&made, &options);
		snprintf(path, sizeof(path), "? (77);loop (io);%s;f (a.py:1)", rows[i].by_task);
		assert_time(flame, path, 5, 5);
		flame__free(flame);
		options.by = FLAME_BY_COROUTINE;
		flame = fold(&made, &options);
		snprintf(path, sizeof(path), "? (77);loop (io);%s;f (a.py:1)",
			 rows[i].by_coroutine);
		assert_time(flame, path, 5, 5);
		flame__free(flame);
		options.by = FLAME_BY_FUNCTION;
		flame = fold(&made, &options);
		assert_time(flame, "? (77);loop (io);f (a.py:1)", 5, 5);
		flame__free(flame);
		made_clear(&made);
	}
}

/* Thousands of unnamed tasks are one frame; workers of one name too, unless asked for apart. */
static void test_merge(void **state)
{
	struct flame_options options = {.by = FLAME_BY_TASK};
	struct made made;
	struct flame *flame;
	uint32_t thread[2], leaf;

	(void)state;
	made_begin(&made);
	for (int i = 0; i < 2; i++)
		thread[i] = made_thread(&made, made_process(&made, 100 + i, "web"), 100 + i, "web",
					false);
	for (int i = 0; i < 2000; i++) {
		char *name = malloc(32);

		assert_non_null(name);
		snprintf(name, 32, "Task-%d", i);
		made_task(&made, STALL_TASK, name, true, "handle", NULL);
		/* The same frames, each time as a stack of its own. */
		leaf = py(&made, PROFILE_NONE, "handle", "a.py", 1);
		leaf = py(&made, leaf, "work", "a.py", 2);
		made_entry(&made, thread[i % 2], (uint32_t)i, leaf, POINT_CPU, MS, 1);
	}
	flame = fold(&made, &options);
	assert_int_equal(flame->node_cnt, 6);
	assert_time(flame, "web;loop (web);coro handle;handle (a.py:1);work (a.py:2)", 2000, 2000);
	assert_int_equal(flame->nodes[5].self_cnt, 2000);
	flame__free(flame);
	options.per_process = true;
	flame = fold(&made, &options);
	assert_int_equal(flame->node_cnt, 11);
	assert_time(flame, "web (100);loop (web);coro handle;handle (a.py:1)", 0, 1000);
	assert_time(flame, "web (101);loop (web);coro handle;handle (a.py:1)", 0, 1000);
	flame__free(flame);
	for (int i = 0; i < 2000; i++)
		free((char *)made.profile.tasks[i].task);
	made_clear(&made);
}

/* Frames that look alike but lie in different files or lines stay apart. */
static void test_apart(void **state)
{
	struct flame_options options = {.by = FLAME_BY_FUNCTION};
	struct made made;
	struct flame *flame;
	uint32_t thread;

	(void)state;
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	made_entry(&made, thread, PROFILE_NONE, py(&made, PROFILE_NONE, "f", "/a/x.py", 1),
		   POINT_CPU, MS, 1);
	made_entry(&made, thread, PROFILE_NONE, py(&made, PROFILE_NONE, "f", "/b/x.py", 1),
		   POINT_CPU, MS, 1);
	made_entry(&made, thread, PROFILE_NONE, py(&made, PROFILE_NONE, "f", "/a/x.py", 2),
		   POINT_CPU, MS, 1);
	flame = fold(&made, &options);
	assert_int_equal(flame->node_cnt, 6);
	flame__free(flame);
	made_clear(&made);
}

static void test_service(void **state)
{
	static const struct {
		struct flame_options options;
		int64_t total_ms;
	} rows[] = {
		{{.clock = FLAME_WALL}, 13780},
		{{.clock = FLAME_CPU}, 7120},
		{{.clock = FLAME_BLOCKED}, 6660},
		{{.clock = FLAME_WALL, .idle = true}, 13780 + 14200},
		{{.clock = FLAME_WALL, .threads = true}, 13780 + 2900},
		{{.clock = FLAME_WALL, .threads = true, .idle = true},
		 13780 + 14200 + 2900 + 21000},
		/* Idle is time of the wall clock only. */
		{{.clock = FLAME_CPU, .idle = true}, 7120},
		{{.clock = FLAME_BLOCKED, .idle = true, .threads = true}, 6660},
	};
	struct made made;
	struct flame *flame;

	(void)state;
	made_service(&made, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int by = 0; by < FLAME_BY_CNT; by++) {
			struct flame_options options = rows[i].options;

			options.by = (enum flame_by)by;
			flame = fold(&made, &options);
			assert_int_equal(flame->nodes[0].total_ns, rows[i].total_ms * MS);
			flame__free(flame);
		}
	}
	flame = fold(&made, &rows[5].options);
	assert_time(flame, "gunicorn;loop (gunicorn);idle", 14200, 14200);
	assert_time(flame, "gunicorn;thread asyncio_0", 0, 23900);
	assert_time(flame, "gunicorn;loop (gunicorn);event loop;[no stack]", 130, 130);
	assert_time(flame, "gunicorn;loop (gunicorn);task orders;OrderService.run (orders.py:41)",
		    0, 6560);
	assert_int_equal(at(flame, "gunicorn;loop (gunicorn);idle")->kind, FLAME_IDLE);
	assert_int_equal(flame->duration_ns, 30000 * MS);
	assert_int_equal(flame->period_ns, 10101010);
	assert_true(flame->complete);
	flame__free(flame);
	made_clear(&made);
}

/* What the stack does not say stands below it. */
static void test_leaves(void **state)
{
	struct flame_options options = {.by = FLAME_BY_FUNCTION, .idle = true};
	struct made made;
	struct flame *flame;
	uint32_t thread, f, kernel;

	(void)state;
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	f = py(&made, PROFILE_NONE, "f", "a.py", 1);
	made_entry(&made, thread, PROFILE_NONE, f, POINT_CPU, 1 * MS, 1);
	made_entry(&made, thread, PROFILE_NONE, f, POINT_BLOCKED, 2 * MS, 1);
	made_entry(&made, thread, PROFILE_NONE, f, POINT_RUNQUEUE, 4 * MS, 1);
	made_entry(&made, thread, PROFILE_NONE, f, POINT_IDLE, 8 * MS, 1);
	made_entry(&made, thread, PROFILE_NONE, PROFILE_NONE, POINT_CPU, 16 * MS, 1);
	made_entry(&made, thread, PROFILE_NONE, PROFILE_NONE, POINT_BLOCKED, 32 * MS, 1);
	made_entry(&made, thread, PROFILE_NONE, PROFILE_NONE, POINT_RUNQUEUE, 64 * MS, 1);
	kernel = made_stack(&made, f, FRAME_WAIT, "run queue", NULL, 0);
	made_entry(&made, thread, PROFILE_NONE, kernel, POINT_RUNQUEUE, 128 * MS, 1);
	kernel = made_stack(&made, kernel, FRAME_KERNEL, "schedule", NULL, 0);
	made_entry(&made, thread, PROFILE_NONE, kernel, POINT_RUNQUEUE, 256 * MS, 1);
	flame = fold(&made, &options);
	assert_time(flame, "p;loop (t);f (a.py:1)", 1, 399);
	assert_time(flame, "p;loop (t);f (a.py:1);blocked: socket", 2, 2);
	assert_time(flame, "p;loop (t);f (a.py:1);run queue", 132, 388);
	assert_time(flame, "p;loop (t);f (a.py:1);run queue;schedule_[k]", 256, 256);
	assert_time(flame, "p;loop (t);f (a.py:1);idle", 8, 8);
	assert_time(flame, "p;loop (t);run queue", 64, 64);
	assert_int_equal(flame->nodes[0].total_ns, 511 * MS);
	flame__free(flame);
	made_clear(&made);
}

static void test_overflow(void **state)
{
	struct flame_options options = {.by = FLAME_BY_FUNCTION};
	struct made made;
	struct flame *flame;
	uint32_t thread;

	(void)state;
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	for (int i = 0; i < 5; i++)
		made_entry(&made, thread, PROFILE_NONE, py(&made, PROFILE_NONE, "f", "a.py", i),
			   POINT_CPU, INT64_MAX / 2, UINT64_MAX / 3);
	made_entry(&made, thread, PROFILE_NONE, PROFILE_NONE, POINT_CPU, -5, 1);
	flame = fold(&made, &options);
	assert_int_equal(flame->nodes[0].total_ns, INT64_MAX);
	assert_int_equal(flame->nodes[0].total_cnt, UINT64_MAX);
	flame__free(flame);

	/* Also when a short recording is scaled to the length of a long one. */
	{
		struct made old = made;

		old.profile.duration_ns = 1;
		flame = flame__compare(&old.profile, &made.profile, &options);
		assert_non_null(flame);
		assert_sound(flame);
		assert_int_equal(flame->nodes[0].old_total_ns, INT64_MAX);
		flame__free(flame);
	}
	made_clear(&made);
}

static void test_deep(void **state)
{
	struct flame_options options = {.by = FLAME_BY_FUNCTION};
	struct made made;
	struct flame *flame;
	uint32_t thread, leaf = PROFILE_NONE;

	(void)state;
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	for (int i = 0; i < 3000; i++) {
		leaf = py(&made, leaf, "f", "a.py", 1);
		if (i == FLAME_STACK_MAX - 1 || i == 2999)
			made_entry(&made, thread, PROFILE_NONE, leaf, POINT_CPU, MS, 1);
	}
	made_entry(&made, thread, PROFILE_NONE, leaf, POINT_BLOCKED, MS, 1);
	flame = fold(&made, &options);
	assert_int_equal(flame->node_cnt, 3 + FLAME_STACK_MAX);
	assert_int_equal(flame->nodes[flame->node_cnt - 1].self_ns, 3 * MS);
	assert_int_equal(flame->clipped_cnt, 2);
	flame__free(flame);
	made_clear(&made);
}

static void test_full(void **state)
{
	struct flame_tree tree;
	uint32_t child;

	(void)state;
	assert_int_equal(flame_tree__init(&tree), 0);
	for (uint32_t i = 1; i < FLAME_NODES_MAX; i++)
		assert_int_equal(flame_tree_child(&tree, 0, i, &child), 0);
	assert_int_equal(flame_tree_child(&tree, 0, FLAME_NODES_MAX, &child), -ENOSPC);
	/* What is there is found all the same. */
	assert_int_equal(flame_tree_child(&tree, 0, 7, &child), 0);
	assert_int_equal(child, 7);
	flame_tree__clear(&tree);
}

/* Indices that refer to nothing, parents that come after their children, strings without end. */
static void test_forged(void **state)
{
	static const uint32_t bad[] = {1, 2, 3, 1000, UINT32_MAX - 1, UINT32_MAX};
	struct flame_options options = {.idle = true, .threads = true};
	struct flame *flame;
	struct made made;
	char *huge = malloc(100001);

	(void)state;
	assert_non_null(huge);
	memset(huge, 0xc3, 100000);
	huge[100000] = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct profile *p = &made.profile;

		made_begin(&made);
		made_thread(&made, bad[i], 1, huge, false);
		made_task(&made, STALL_TASK, huge, false, huge, huge);
		made_stack(&made, bad[i], FRAME_PYTHON, huge, huge, 1);
		made_stack(&made, 0, FRAME_WAIT, huge, huge, 1);
		p->stacks[0].parent = bad[i];
		(void)MADE_ADD(p->stacks, p->stack_cnt,
			       (struct profile_stack){.parent = 0, .frame = bad[i]});
		for (unsigned int kind = 0; kind < POINT_KIND_CNT + 1; kind++) {
			made_entry(&made, bad[i], bad[i], bad[i], (enum point_kind)kind, MS, 1);
			made_entry(&made, 0, 0, 2, (enum point_kind)kind, MS, 1);
			made_entry(&made, 0, 0, 1, (enum point_kind)kind, MS, 1);
		}
		flame = fold(&made, &options);
		assert_int_equal(flame->nodes[0].total_ns, 15 * MS);
		for (size_t n = 0; n < flame->node_cnt; n++)
			assert_true(strlen(flame->nodes[n].label) < 2048);
		flame__free(flame);
		made_clear(&made);
	}
	free(huge);
	made_begin(&made);
	flame = fold(&made, &plain_options);
	assert_int_equal(flame->node_cnt, 1);
	flame__free(flame);
}

static void test_compare(void **state)
{
	struct flame_options options = {.by = FLAME_BY_FUNCTION};
	struct made old, new;
	struct flame *flame;
	const struct flame_node *node;
	uint32_t thread;

	(void)state;
	made_begin(&old);
	thread = made_thread(&old, made_process(&old, 1, "p"), 1, "t", false);
	made_entry(&old, thread, PROFILE_NONE, py(&old, PROFILE_NONE, "f", "a.py", 1), POINT_CPU,
		   10 * MS, 1);
	made_entry(&old, thread, PROFILE_NONE, py(&old, PROFILE_NONE, "gone", "a.py", 9), POINT_CPU,
		   30 * MS, 3);
	old.profile.duration_ns = 15000 * MS;
	old.profile.lost_cnt = 3;
	old.profile.complete = false;
	made_begin(&new);
	thread = made_thread(&new, made_process(&new, 2, "p"), 2, "t", false);
	/* Another line and another folder: the same function of the next version. */
	made_entry(&new, thread, PROFILE_NONE, py(&new, PROFILE_NONE, "f", "v2/a.py", 4), POINT_CPU,
		   50 * MS, 5);
	made_entry(&new, thread, PROFILE_NONE, py(&new, PROFILE_NONE, "new", "a.py", 5), POINT_CPU,
		   7 * MS, 1);
	new.profile.lost_cnt = 4;

	flame = flame__compare(&old.profile, &new.profile, &options);
	assert_non_null(flame);
	assert_sound(flame);
	assert_true(flame->compared);
	assert_false(flame->complete);
	assert_int_equal(flame->lost_cnt, 7);
	assert_int_equal(flame->duration_ns, 30000 * MS);
	assert_int_equal(flame->nodes[0].total_ns, 57 * MS);
	/* Half as long a recording: its times count twice. */
	assert_int_equal(flame->nodes[0].old_total_ns, 80 * MS);
	node = at(flame, "p;loop (t);f (a.py)");
	assert_non_null(node);
	assert_int_equal(node->total_ns, 50 * MS);
	assert_int_equal(node->old_total_ns, 20 * MS);
	assert_int_equal(node->total_cnt, 5);
	node = at(flame, "p;loop (t);gone (a.py)");
	assert_non_null(node);
	assert_int_equal(node->total_ns, 0);
	assert_int_equal(node->old_total_ns, 60 * MS);
	flame__free(flame);

	options.full_filenames = true;
	flame = flame__compare(&old.profile, &new.profile, &options);
	assert_int_equal(at(flame, "p;loop (t);f (a.py)")->total_ns, 0);
	assert_int_equal(at(flame, "p;loop (t);f (v2/a.py)")->total_ns, 50 * MS);
	flame__free(flame);
	made_clear(&old);
	made_clear(&new);
}

/* Many entries over shared stacks and tasks: nothing is lost, and nothing depends on their order.
 */
static void test_many(void **state)
{
	enum { STACKS = 20000, ENTRIES = 100000 };
	static char names[300][16];
	uint32_t seed = 1;
	struct made made;
	struct flame *flame, *again;
	int64_t sum_ns = 0;

	(void)state;
	made_begin(&made);
	made_thread(&made, made_process(&made, 1, "p"), 1, "a", false);
	made_thread(&made, 0, 2, "b", false);
	for (int i = 0; i < 300; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i % 150);
		made_task(&made, STALL_TASK, names[i], false, "run", NULL);
	}
	for (int i = 0; i < STACKS; i++) {
		seed = seed * 1664525 + 1013904223;
		py(&made, i < 20 ? PROFILE_NONE : (seed >> 8) % (uint32_t)i,
		   names[(seed >> 4) % 300], "a.py", 1);
	}
	for (int i = 0; i < ENTRIES; i++) {
		seed = seed * 1664525 + 1013904223;
		made_entry(&made, seed >> 31, (seed >> 10) % 300, (seed >> 6) % STACKS, POINT_CPU,
			   seed >> 4, 1);
		sum_ns += seed >> 4;
	}
	flame = fold(&made, &plain_options);
	assert_int_equal(flame->nodes[0].total_ns, sum_ns);
	assert_int_equal(flame->nodes[0].total_cnt, ENTRIES);
	for (size_t i = 0; i < ENTRIES / 2; i++) {
		struct profile_entry swap = made.profile.entries[i];

		made.profile.entries[i] = made.profile.entries[ENTRIES - 1 - i];
		made.profile.entries[ENTRIES - 1 - i] = swap;
	}
	again = fold(&made, &plain_options);
	assert_int_equal(flame->node_cnt, again->node_cnt);
	for (uint32_t a = 0, b = 0; a != PROFILE_NONE;) {
		assert_string_equal(flame->nodes[a].label, again->nodes[b].label);
		assert_int_equal(flame->nodes[a].total_ns, again->nodes[b].total_ns);
		if (flame->nodes[a].first_child != PROFILE_NONE) {
			a = flame->nodes[a].first_child;
			b = again->nodes[b].first_child;
			continue;
		}
		while (a != PROFILE_NONE && flame->nodes[a].next == PROFILE_NONE) {
			a = flame->nodes[a].parent;
			b = again->nodes[b].parent;
		}
		if (a == PROFILE_NONE)
			break;
		a = flame->nodes[a].next;
		b = again->nodes[b].next;
	}
	flame__free(flame);
	flame__free(again);
	made_clear(&made);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < FLAME_CLOCK_CNT; i++)
		assert_int_equal(flame_clock_from_name(flame_clock_name((enum flame_clock)i)), i);
	for (int i = 0; i < FLAME_BY_CNT; i++)
		assert_int_equal(flame_by_from_name(flame_by_name((enum flame_by)i)), i);
	for (int i = 0; i < FLAME_KIND_CNT; i++) {
		for (int j = 0; j < i; j++)
			assert_string_not_equal(flame_kind_name((enum flame_kind)i),
						flame_kind_name((enum flame_kind)j));
	}
	assert_int_equal(flame_clock_from_name("Wall"), -1);
	assert_int_equal(flame_clock_from_name(NULL), -1);
	assert_int_equal(flame_by_from_name(""), -1);
	assert_string_equal(flame_kind_name((enum flame_kind)99), "all");
	flame__free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),	 cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_merge),	 cmocka_unit_test(test_apart),
		cmocka_unit_test(test_service),	 cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_overflow), cmocka_unit_test(test_deep),
		cmocka_unit_test(test_full),	 cmocka_unit_test(test_forged),
		cmocka_unit_test(test_compare),	 cmocka_unit_test(test_many),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
