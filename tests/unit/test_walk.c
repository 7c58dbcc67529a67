/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The walker over memory that a test made: chains of the shapes that CPython
 * has, then faults, cycles, torn and hostile words at every place.
 */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "target/frames.h"
#include "target/layouts.h"

#include "fake_memory.h"

#define TSTATE	  (FAKE_BASE + 0x100)
#define INTERP	  (FAKE_BASE + 0x4000)
#define HANDLE	  (FAKE_BASE + 0x8000)
#define LOOP	  (FAKE_BASE + 0x8100)
#define CODES	  (FAKE_BASE + 0x10000)
#define STRINGS	  (FAKE_BASE + 0x20000)
#define FRAMES	  (FAKE_BASE + 0x40000)
#define FRAME_GAP 0x200
#define CODE_GAP  0x200
#define CHAIN_MAX (AP_FRAMES_MAX + 32)

/* Code objects of a fake program, by index. */
enum { RUN, ONCE, FOREVER, MODULE, WORK, LEAF, OTHER_RUN, SAFE_RUN, RUNNER, CODE_CNT };

static const struct {
	const char *name, *file;
} codes[CODE_CNT] = {
	[RUN] = {"_run", "/usr/lib/python3/asyncio/events.py"},
	[ONCE] = {"_run_once", "/usr/lib/python3/asyncio/base_events.py"},
	[FOREVER] = {"run_forever", "/usr/lib/python3/asyncio/base_events.py"},
	[MODULE] = {"<module>", "/srv/app.py"},
	[WORK] = {"work", "/srv/app.py"},
	[LEAF] = {"leaf", "/srv/app.py"},
	[OTHER_RUN] = {"_run", "/srv/app.py"},
	[SAFE_RUN] = {"_run", "/usr/lib/python3/asyncio/events.py"},
	[RUNNER] = {"run", "/usr/lib/python3/asyncio/runners.py"},
};

static struct memory *mem;
static struct ap_layout layout;
static struct frames frames;
static struct ap_stack stack;

static uint64_t code_at(int code)
{
	return CODES + (uint64_t)code * CODE_GAP;
}

static uint64_t frame_at(unsigned int n)
{
	return FRAMES + (uint64_t)n * FRAME_GAP;
}

static void fresh_frames(void)
{
	memset(&frames, 0, sizeof(frames));
	frames.memory = mem;
	frames.layout = &layout;
}

static void put_codes(void)
{
	for (int i = 0; i < CODE_CNT; i++) {
		uint64_t name = STRINGS + (uint64_t)i * 0x400;

		fake_str(mem, &layout, name, codes[i].name);
		fake_str(mem, &layout, name + 0x200, codes[i].file);
		fake_word(mem, code_at(i) + layout.code_name, name);
		fake_word(mem, code_at(i) + layout.code_filename, name + 0x200);
	}
}

static void start(uint32_t minor)
{
	struct refusal why;

	if (minor < 13) {
		assert_int_equal(layout_fill(0x030001f0 | minor << 16, 0, NULL, 0, &layout, &why),
				 0);
	} else {
		/* 3.14's frames: tagged pointers, locals at 80, owner at 74 */
		assert_int_equal(layout_fill(0x030c01f0, 0, NULL, 0, &layout, &why), 0);
		layout.tag_mask = 3;
		layout.cframe_frame = AP_NO_OFFSET;
		layout.thread_frame = 72;
		layout.frame_owner = 74;
		layout.frame_locals = 80;
		layout.frame_size = 80;
	}
	memory__close(mem);
	assert_int_equal(memory__open(NULL, &mem), 0);
	put_codes();
	fresh_frames();
}

/* Frame `n`, whose caller is frame `n + 1`; `instr` is bytes into the code. */
static void put_frame(unsigned int n, int code, uint64_t previous, uint32_t instr)
{
	uint64_t at = frame_at(n);

	fake_word(mem, at + layout.frame_code, code_at(code) | (layout.tag_mask ? 1 : 0));
	fake_word(mem, at + layout.frame_previous, previous);
	if (layout.lasti_scale)
		fake_word(mem, at + layout.frame_instr,
			  0xdead000000000000 | instr / layout.lasti_scale);
	else
		fake_word(mem, at + layout.frame_instr,
			  code_at(code) + layout.code_adaptive + instr);
	if (code == RUN || code == SAFE_RUN)
		fake_word(mem, at + layout.frame_locals, HANDLE | (layout.tag_mask ? 1 : 0));
	if (code == ONCE)
		fake_word(mem, at + layout.frame_locals, LOOP | (layout.tag_mask ? 1 : 0));
}

/* A chain from leaf to root; the thread runs its first frame. */
static void put_chain(const int *code, unsigned int cnt)
{
	for (unsigned int i = 0; i < cnt; i++)
		put_frame(i, code[i], i + 1 < cnt ? frame_at(i + 1) : 0, 2 * i);
	if (layout.cframe_frame == AP_NO_OFFSET) {
		fake_word(mem, TSTATE + layout.thread_frame, frame_at(0));
	} else {
		fake_word(mem, TSTATE + layout.thread_frame, TSTATE + 0x800);
		fake_word(mem, TSTATE + 0x800 + layout.cframe_frame, frame_at(0));
	}
}

#define CHAIN(...) put_chain((const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

/* The callback of CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE). */
static struct ap_open usual_open(void)
{
	return (struct ap_open){.run = frame_at(2),
				.run_prev = frame_at(3),
				.once = frame_at(3),
				.forever = frame_at(4),
				.root = frame_at(5)};
}

static const uint32_t minors[] = {8, 9, 10, 11, 12, 14};
#define EACH_MINOR(i) for (size_t i = 0; i < sizeof(minors) / sizeof(minors[0]); i++)

static void test_under(void **state)
{
	(void)state;
	EACH_MINOR(i)
	{
		struct ap_open open = usual_open();

		start(minors[i]);
		CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE);
		assert_int_equal(frames_current(&frames, TSTATE), frame_at(0));
		assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
		assert_int_equal(stack.cnt, 2);
		assert_int_equal(stack.cut, AP_CUT_NONE);
		assert_int_equal(stack.frame[0].code, code_at(LEAF));
		assert_int_equal(stack.frame[0].lasti, 0);
		assert_int_equal(stack.frame[1].code, code_at(WORK));
		assert_int_equal(stack.frame[1].lasti, 2);
		/* put_chain() has the `_run` at 4: there is the call, or it comes later */
		open.run_lasti = 4;
		assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
		open.run_lasti = 6;
		assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_OVER);
	}
}

static void test_over(void **state)
{
	struct ap_open open = usual_open();

	(void)state;
	start(11);
	/* the next callback of the same loop, in the same frame memory: another previous */
	CHAIN(LEAF, WORK, OTHER_RUN, ONCE, FOREVER, MODULE);
	open.run = frame_at(7);
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_OVER);
	/* down to and with its _run_once */
	assert_int_equal(stack.cnt, 4);
	assert_int_equal(stack.frame[3].code, code_at(ONCE));
	/* the address is right and the code is no `_run` any more */
	open = usual_open();
	put_frame(2, WORK, frame_at(3), 0);
	fresh_frames();
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_OVER);
	/* only its root is left: the loop has returned */
	CHAIN(LEAF, MODULE);
	open.root = frame_at(1);
	fresh_frames();
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_OVER);
}

/* A loop without frames: only what lies above the frame that runs it tells, or Context_Exit. */
static void test_foreign(void **state)
{
	struct ap_open open = {
		.run = frame_at(1),
		.run_prev = frame_at(2),
		.once = frame_at(1),
		.forever = frame_at(2),
		.root = frame_at(2),
		.flags = AP_F_FOREIGN,
	};

	(void)state;
	start(12);
	CHAIN(LEAF, WORK, MODULE);
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
	assert_int_equal(stack.cnt, 1);
	/* nothing above: C code that runs still, or its end; a loop that has exits says which */
	assert_int_equal(frames_look(&frames, frame_at(1), &open, &stack), AP_SEEN_ELSEWHERE);
	open.flags |= AP_F_LEAVES;
	assert_int_equal(frames_look(&frames, frame_at(1), &open, &stack), AP_SEEN_UNDER);
	assert_int_equal(stack.cnt, 0);
	/* a batch calls others: between them it is the loop, inside them it is not */
	open.flags |= AP_F_BATCH;
	assert_int_equal(frames_look(&frames, frame_at(1), &open, &stack), AP_SEEN_ELSEWHERE);
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
	/* the frame has returned, and its memory is another's */
	open.run_prev = frame_at(3);
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_OVER);
	assert_int_equal(frames_look(&frames, frame_at(2), &open, &stack), AP_SEEN_OVER);
}

/* asyncio.run() without a `_run_once`: what lies right above it is what uvloop called. */
static void test_find_foreign(void **state)
{
	struct frames_foreign loop;

	(void)state;
	EACH_MINOR(i)
	{
		uint64_t word = 0;

		start(minors[i]);
		CHAIN(LEAF, WORK, RUNNER, MODULE);
		assert_int_equal(frames_find_foreign(&frames, frame_at(0), &loop), 1);
		assert_int_equal(loop.run, frame_at(2));
		assert_int_equal(loop.run_prev, frame_at(3));
		assert_int_equal(loop.root, frame_at(3));
		assert_int_equal(loop.callee, code_at(WORK));
		assert_int_equal(loop.coroutine, 0);
		/* a coroutine's: its owner is a generator, or it has the object of one */
		if (layout.lasti_scale) {
			fake_word(mem, frame_at(1) + layout.frame_instr - 8, HANDLE);
		} else {
			uint64_t at = frame_at(1) + (minors[i] == 11 ? 69 : layout.frame_owner);

			assert_int_equal(memory_read(mem, at & ~7ULL, &word, sizeof(word)), 0);
			fake_word(mem, at & ~7ULL, word | 1ULL << (at & 7) * 8);
		}
		fresh_frames();
		assert_int_equal(frames_find_foreign(&frames, frame_at(0), &loop), 1);
		assert_int_equal(loop.coroutine, 1);
		assert_true(loop.generator == (layout.lasti_scale ? HANDLE : 0));
		/* it polls */
		assert_int_equal(frames_find_foreign(&frames, frame_at(2), &loop), 1);
		assert_int_equal(loop.callee, 0);
		assert_int_equal(frames_find_foreign(&frames, frame_at(3), &loop), 0);
	}
	/* a chain without an end */
	put_frame(3, MODULE, frame_at(2), 0);
	fresh_frames();
	assert_true(frames_find_foreign(&frames, frame_at(0), &loop) < 0);
}

static void test_run_file(void **state)
{
	(void)state;
	start(11);
	CHAIN(LEAF, WORK, RUN, ONCE, MODULE);
	assert_int_equal(frames_run_file(&frames, frame_at(0), "asyncio/events.py"), 1);
	assert_int_equal(frames_run_file(&frames, frame_at(3), "asyncio/events.py"), 0);
	assert_int_equal(frames_run_file(&frames, frame_at(0), "trio/_core/_run.py"), 0);
	assert_int_equal(frames_run_file(&frames, 0, "asyncio/events.py"), 0);
}

/* Another root is another greenlet: it proves nothing. */
static void test_elsewhere(void **state)
{
	struct ap_open open = usual_open();

	(void)state;
	start(12);
	CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE);
	put_frame(20, WORK, frame_at(21), 0);
	put_frame(21, WORK, 0, 0);
	assert_int_equal(frames_look(&frames, frame_at(20), &open, &stack), AP_SEEN_ELSEWHERE);
	assert_int_equal(stack.cut, AP_CUT_NONE);
	assert_int_equal(frames_look(&frames, 0, &open, &stack), AP_SEEN_ELSEWHERE);
	assert_int_equal(stack.cut, AP_CUT_NO_FRAME);
}

/* A C shim (owner 3 from 3.12 on) is walked through and is neither stack nor root. */
static void test_shims(void **state)
{
	struct ap_open open = usual_open();
	struct frames_loop loop;
	struct ap_frame first;
	uint8_t owner = 3;

	(void)state;
	start(12);
	CHAIN(OTHER_RUN, LEAF, RUN, ONCE, FOREVER, MODULE, WORK);
	fake_put(mem, frame_at(0) + layout.frame_owner, &owner, 1);
	fake_put(mem, frame_at(6) + layout.frame_owner, &owner, 1);
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
	assert_int_equal(stack.cnt, 1);
	assert_int_equal(stack.frame[0].code, code_at(LEAF));
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.root, frame_at(5));
	frames_first(&frames, frame_at(0), &first);
	assert_int_equal(first.code, code_at(LEAF));
	assert_int_equal(first.lasti, 2);
}

static void test_depth(void **state)
{
	struct ap_open open;
	unsigned int deep = CHAIN_MAX + 20;

	(void)state;
	start(11);
	for (unsigned int i = 0; i < deep; i++)
		put_frame(i, WORK, frame_at(i + 1), 2);
	put_frame(deep, RUN, frame_at(deep + 1), 0);
	open = (struct ap_open){.run = frame_at(deep), .run_prev = frame_at(deep + 1)};
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
	assert_int_equal(stack.cut, AP_CUT_DEPTH);
	assert_int_equal(stack.cnt, AP_FRAMES_MAX);
	/* its memory is somebody else's by now */
	put_frame(deep, WORK, frame_at(deep + 1), 0);
	fresh_frames();
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_ELSEWHERE);
	/* exactly as many as fit */
	put_frame(AP_FRAMES_MAX, RUN, frame_at(AP_FRAMES_MAX + 1), 0);
	open = (struct ap_open){.run = frame_at(AP_FRAMES_MAX),
				.run_prev = frame_at(AP_FRAMES_MAX + 1)};
	fresh_frames();
	assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack), AP_SEEN_UNDER);
	assert_int_equal(stack.cut, AP_CUT_NONE);
	assert_int_equal(stack.cnt, AP_FRAMES_MAX);
}

/* Every cycle ends by the bound. */
static void test_cycles(void **state)
{
	(void)state;
	start(12);
	for (unsigned int length = 1; length <= 3; length++) {
		for (unsigned int place = 0; place + length <= 64; place++) {
			struct ap_open open = {.run = 8, .run_prev = 8};
			struct frames_loop loop;

			for (unsigned int i = 0; i < 64; i++)
				put_frame(i, WORK, frame_at(i + 1), 0);
			put_frame(place + length - 1, WORK, frame_at(place), 0);
			mem->reads = 0;
			assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack),
					 AP_SEEN_ELSEWHERE);
			assert_int_equal(stack.cut, AP_CUT_DEPTH);
			assert_true(frames_find_loop(&frames, frame_at(0), &loop) < 0);
			assert_true(mem->reads <= 4 * CHAIN_MAX);
		}
	}
}

/* A read that fails at any point leaves a prefix of the truth, and says so. */
static void test_faults(void **state)
{
	struct ap_open open = usual_open();
	unsigned long all;

	(void)state;
	start(11);
	CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE);
	frames_look(&frames, frame_at(0), &open, &stack);
	all = mem->reads;
	assert_true(all >= 3);
	for (unsigned long i = 1; i <= all; i++) {
		enum ap_seen seen;

		fresh_frames();
		mem->reads = 0;
		mem->fault_at = i;
		seen = frames_look(&frames, frame_at(0), &open, &stack);
		/* The name of the `_run` is enough to know it, its file is not needed for that. */
		if (seen == AP_SEEN_UNDER)
			assert_int_equal(stack.cnt, 2);
		else
			assert_true(stack.cut == AP_CUT_FAULT || seen == AP_SEEN_OVER);
		assert_true(stack.cnt <= 4);
		if (stack.cnt > 0)
			assert_int_equal(stack.frame[0].code, code_at(LEAF));
		if (stack.cnt > 1)
			assert_int_equal(stack.frame[1].code, code_at(WORK));
	}
	mem->fault_at = 0;
}

static void test_bad_words(void **state)
{
	static const uint64_t bad[] = {1, 7, 4095, 0x100001, 1ULL << 47, ~0ULL, 0xffff800000000000};
	struct ap_open open = usual_open();
	struct frames_loop loop;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(12);
		CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE);
		put_frame(1, WORK, bad[i], 0);
		assert_int_equal(frames_look(&frames, frame_at(0), &open, &stack),
				 AP_SEEN_ELSEWHERE);
		assert_int_equal(stack.cut, AP_CUT_BAD);
		assert_int_equal(stack.cnt, 2);
		assert_true(frames_find_loop(&frames, frame_at(0), &loop) < 0);
		fake_word(mem, TSTATE + layout.thread_frame, bad[i]);
		assert_int_equal(frames_current(&frames, TSTATE), 0);
		assert_int_equal(frames_current(&frames, bad[i]), 0);
		assert_int_equal(frames_class(&frames, bad[i]), FRAMES_OTHER);
	}
	/* a thread that can't be looked at is none that has no frame */
	fake_word(mem, TSTATE + layout.thread_frame, FAKE_BASE + FAKE_SZ);
	assert_true(frames_current(&frames, TSTATE) == FRAMES_UNREADABLE);
	assert_true(frames_find_loop(&frames, FRAMES_UNREADABLE, &loop) < 0);
	assert_int_equal(frames_look(&frames, FRAMES_UNREADABLE, &open, &stack),
			 AP_SEEN_ELSEWHERE);
}

/* One word changes between two reads, any word, before any read: no chain may hold a wrong object.
 */
static void test_torn(void **state)
{
	struct ap_open open = usual_open();

	(void)state;
	srandom(1);
	for (unsigned int round = 0; round < 3000; round++) {
		start(minors[round % 6]);
		CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE);
		mem->mutate_at = 1 + (unsigned long)random() % 30;
		mem->mutate_addr = frame_at((unsigned int)random() % 6) +
				   8 * ((uint64_t)random() % (layout.frame_size / 8));
		mem->mutate_word = random() % 3 ? frame_at((unsigned int)random() % 8)
						: (uint64_t)random() << 32 | (uint64_t)random();
		frames_look(&frames, frame_at(0), &open, &stack);
		assert_true(mem->reads < 3000);
		assert_true(stack.cnt <= AP_FRAMES_MAX);
	}
}

/* Nothing but noise: it ends, within its bounds. */
static void test_noise(void **state)
{
	(void)state;
	srandom(2);
	for (unsigned int round = 0; round < 300; round++) {
		struct ap_open open = usual_open();
		struct frames_loop loop;
		uint64_t tstate[64];

		start(minors[round % 6]);
		for (size_t i = 0; i < FAKE_SZ; i += 8) {
			uint64_t word = random() % 4
						? FAKE_BASE + (uint64_t)random() % FAKE_SZ / 8 * 8
						: (uint64_t)random() << 33 ^ (uint64_t)random();

			memcpy(mem->bytes + i, &word, sizeof(word));
		}
		frames_look(&frames, FAKE_BASE + (uint64_t)random() % FAKE_SZ / 8 * 8, &open,
			    &stack);
		assert_true(stack.cnt <= AP_FRAMES_MAX);
		frames_find_loop(&frames, FAKE_BASE + (uint64_t)random() % FAKE_SZ / 8 * 8, &loop);
		assert_true(frames_threads(&frames, INTERP, tstate, 64) <= 64);
		assert_true(mem->reads < 20 * CHAIN_MAX);
	}
}

static void test_find_loop(void **state)
{
	struct frames_loop loop;

	(void)state;
	EACH_MINOR(i)
	{
		start(minors[i]);
		CHAIN(LEAF, WORK, RUN, ONCE, FOREVER, MODULE);
		assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
		assert_int_equal(loop.has_run, 1);
		assert_int_equal(loop.run, frame_at(2));
		assert_int_equal(loop.run_prev, frame_at(3));
		assert_int_equal(loop.run_code, code_at(RUN));
		assert_int_equal(loop.once, frame_at(3));
		assert_int_equal(loop.forever, frame_at(4));
		assert_int_equal(loop.root, frame_at(5));
		assert_int_equal(loop.loop, LOOP);
		assert_int_equal(loop.handle, HANDLE);
	}
	/* polls: no callback */
	start(11);
	CHAIN(LEAF, ONCE, FOREVER, MODULE);
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.has_run, 0);
	assert_int_equal(loop.loop, LOOP);
	/* no loop at all; an executor's job is called _run too */
	CHAIN(LEAF, OTHER_RUN, WORK, MODULE);
	fresh_frames();
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 0);
	assert_int_equal(frames_find_loop(&frames, 0, &loop), 0);
}

static void test_find_loop_run(void **state)
{
	struct frames_loop loop;

	(void)state;
	start(11);
	/* 3.14's _ThreadSafeHandle._run calls Handle._run: the inner one is context_run's caller */
	CHAIN(LEAF, RUN, SAFE_RUN, ONCE, MODULE);
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.run, frame_at(1));
	assert_int_equal(loop.once, frame_at(3));
	/* a callback of the user's that is called _run is no handle */
	CHAIN(LEAF, OTHER_RUN, RUN, ONCE, MODULE);
	fresh_frames();
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.run, frame_at(2));
	/* a Handle class of someone else's */
	CHAIN(LEAF, OTHER_RUN, ONCE, MODULE);
	fresh_frames();
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.run, frame_at(1));
	/* an executor's _run somewhere above is not the callback */
	CHAIN(OTHER_RUN, WORK, ONCE, MODULE);
	fresh_frames();
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.has_run, 0);
	/* nested loops: the inner one is the one that runs */
	CHAIN(LEAF, RUN, ONCE, FOREVER, WORK, RUN, ONCE, FOREVER, MODULE);
	fresh_frames();
	assert_int_equal(frames_find_loop(&frames, frame_at(0), &loop), 1);
	assert_int_equal(loop.run, frame_at(1));
	assert_int_equal(loop.once, frame_at(2));
	assert_int_equal(loop.root, frame_at(8));
}

static void test_class(void **state)
{
	(void)state;
	start(12);
	assert_int_equal(frames_class(&frames, code_at(RUN)), FRAMES_RUN);
	assert_int_equal(frames_class(&frames, code_at(OTHER_RUN)), FRAMES_NAMED_RUN);
	assert_int_equal(frames_class(&frames, code_at(ONCE)), FRAMES_NAMED_ONCE);
	assert_int_equal(frames_class(&frames, code_at(FOREVER)), FRAMES_OTHER);
	/* a longer name that ends alike, and a name that is not ASCII */
	fake_str(mem, &layout, STRINGS, "user_run");
	fresh_frames();
	assert_int_equal(frames_class(&frames, code_at(RUN)), FRAMES_OTHER);
	fake_str(mem, &layout, STRINGS, "_run");
	fake_word(mem, STRINGS + layout.str_state, 2 << 2 | 1 << 5);
	fresh_frames();
	assert_int_equal(frames_class(&frames, code_at(RUN)), FRAMES_OTHER);
	/* a length that can't be */
	fake_str(mem, &layout, STRINGS, "_run");
	fake_word(mem, STRINGS + 0x200 + layout.str_length, ~0ULL);
	fresh_frames();
	assert_int_equal(frames_class(&frames, code_at(RUN)), FRAMES_NAMED_RUN);
}

static void test_threads(void **state)
{
	uint64_t tstate[8];

	(void)state;
	start(11);
	for (unsigned int i = 0; i < 5; i++)
		fake_word(mem, TSTATE + 0x100 * i + layout.thread_next,
			  i < 4 ? TSTATE + 0x100 * (i + 1) : 0);
	fake_word(mem, INTERP + layout.interp_threads_head, TSTATE);
	assert_int_equal(frames_threads(&frames, INTERP, tstate, 8), 5);
	assert_int_equal(tstate[4], TSTATE + 0x400);
	assert_int_equal(frames_threads(&frames, INTERP, tstate, 3), 3);
	/* each once: the list leads back to its head, to its middle, to its end */
	for (unsigned int i = 0; i < 5; i += 2) {
		fake_word(mem, TSTATE + 0x400 + layout.thread_next, TSTATE + 0x100 * i);
		assert_int_equal(frames_threads(&frames, INTERP, tstate, 8), 5);
	}
	/* the list tears: what was read counts */
	fake_word(mem, TSTATE + 0x200 + layout.thread_next, 0xffff800000000000);
	assert_in_range(frames_threads(&frames, INTERP, tstate, 8), 3, 4);
	assert_true(frames_threads(&frames, 8, tstate, 8) < 0);
}

static int stop(void **state)
{
	(void)state;
	memory__close(mem);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_under),	  cmocka_unit_test(test_over),
		cmocka_unit_test(test_foreign),	  cmocka_unit_test(test_run_file),
		cmocka_unit_test(test_find_foreign),
		cmocka_unit_test(test_elsewhere), cmocka_unit_test(test_shims),
		cmocka_unit_test(test_depth),	  cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_faults),	  cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_torn),	  cmocka_unit_test(test_noise),
		cmocka_unit_test(test_find_loop), cmocka_unit_test(test_find_loop_run),
		cmocka_unit_test(test_class),	  cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, stop);
}
