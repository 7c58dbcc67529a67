/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* A process made by the test, and layouts that do not fit it: each is refused by the right name. */
#include "cmocka_all.h"

#include <stddef.h>
#include <string.h>

#include "layout.h"

#include "fake_memory.h"
#include "target/fit.h"
#include "target/layouts.h"

#define INTERPRETER (FAKE_BASE + 0x1000)
#define TSTATE	    (FAKE_BASE + 0x4000)
#define CFRAME	    (FAKE_BASE + 0x6000)
#define LEAF	    (FAKE_BASE + 0x7000)
#define SHIM	    (FAKE_BASE + 0x7800)
#define ROOT	    (FAKE_BASE + 0x8000)
#define CODE_LEAF   (FAKE_BASE + 0x9000)
#define CODE_ROOT   (FAKE_BASE + 0xa000)
#define STRINGS	    (FAKE_BASE + 0xb000)
#define TABLE	    (FAKE_BASE + 0xc000)
#define TASK	    (FAKE_BASE + 0xd000)
#define CORO	    (FAKE_BASE + 0xe000)
#define TYPES	    (FAKE_BASE + 0xf000)
#define CODE_TYPE   (TYPES + 0x000)
#define STR_TYPE    (TYPES + 0x200)
#define BYTES_TYPE  (TYPES + 0x400)
#define INT_TYPE    (TYPES + 0x600)
#define CORO_TYPE   (TYPES + 0x800)
#define TASK_HEADS  880
#define TASK_NODE   152

static struct ap_layout layout;
static struct memory *mem;

static void put_str(uint64_t addr, const char *text)
{
	fake_str(mem, &layout, addr, text);
	fake_word(mem, addr + 8, STR_TYPE);
}

static void put_code(uint64_t code, uint64_t name)
{
	int32_t line = 7;

	fake_word(mem, code + 8, CODE_TYPE);
	fake_word(mem, code + 16, 20); /* units of two bytes */
	fake_word(mem, code + layout.code_filename, STRINGS);
	fake_word(mem, code + layout.code_name, name);
	fake_word(mem, code + layout.code_qualname, name);
	fake_word(mem, code + layout.code_linetable, TABLE);
	fake_put(mem, code + layout.code_firstlineno, &line, sizeof(line));
}

static void put_frame(uint64_t frame, uint64_t code, uint64_t previous, uint8_t owner)
{
	fake_word(mem, frame + layout.frame_instr,
		  layout.lasti_scale ? 4 : code + layout.code_adaptive + 8);
	fake_word(mem, frame + layout.frame_code, code | (layout.tag_mask & 1));
	fake_word(mem, frame + layout.frame_previous, previous);
	if (layout.frame_owner != AP_NO_OFFSET)
		fake_put(mem, frame + layout.frame_owner, &owner, 1);
}

/* One thread: a function called by a module, from 3.12 on with a shim between the two. */
static void make(uint32_t minor)
{
	struct refusal why;

	if (mem)
		memory__close(mem);
	assert_int_equal(memory__open(NULL, &mem), 0);
	assert_int_equal(layout_fill(0x030001f0 | minor << 16, 0, NULL, 0, &layout, &why), 0);
	fake_word(mem, INTERPRETER + layout.interp_threads_head, TSTATE);
	if (layout.cframe_frame == AP_NO_OFFSET) {
		fake_word(mem, TSTATE + layout.thread_frame, LEAF);
	} else {
		fake_word(mem, TSTATE + layout.thread_frame, CFRAME);
		fake_word(mem, CFRAME + layout.cframe_frame, LEAF);
	}
	put_str(STRINGS, "/app/service.py");
	put_str(STRINGS + 0x100, "leaf");
	put_str(STRINGS + 0x200, "<module>");
	fake_word(mem, TABLE + 8, BYTES_TYPE);
	fake_word(mem, TABLE + layout.bytes_size, 12);
	fake_put(mem, TABLE + layout.bytes_data, "twelve bytes", 13);
	put_code(CODE_LEAF, STRINGS + 0x100);
	put_code(CODE_ROOT, STRINGS + 0x200);
	put_frame(ROOT, CODE_ROOT, 0, 0);
	if (layout.frame_owner != AP_NO_OFFSET) {
		put_frame(LEAF, CODE_LEAF, SHIM, 0);
		put_frame(SHIM, 0, ROOT, 3);
	} else {
		put_frame(LEAF, CODE_LEAF, ROOT, 0);
	}
}

/* A list of one task, which the thread made. */
static void put_task(uint64_t name_type, uint64_t coro)
{
	fake_word(mem, TSTATE + TASK_HEADS, TASK + TASK_NODE);
	fake_word(mem, TASK + TASK_NODE, TSTATE + TASK_HEADS);
	fake_word(mem, TASK + layout.task_name, STRINGS + 0x300);
	fake_word(mem, STRINGS + 0x300 + 8, name_type);
	fake_word(mem, TASK + layout.task_coro, coro);
	fake_word(mem, CORO + 8, CORO_TYPE);
	fake_word(mem, CORO_TYPE + 8, CODE_TYPE);
	fake_word(mem, CORO_TYPE + layout.type_name, STRINGS);
}

static const char *misfit(uint64_t task_heads)
{
	const struct fit fit = {.memory = mem,
				.layout = &layout,
				.types = {CODE_TYPE, STR_TYPE, BYTES_TYPE, INT_TYPE},
				.interpreter = INTERPRETER,
				.task_heads = task_heads,
				.task_node = TASK_NODE};

	return fit_misfit(&fit);
}

static void test_fits(void **state)
{
	(void)state;
	for (uint32_t minor = 8; minor <= 12; minor++) {
		make(minor);
		assert_null(misfit(0));
	}
	/* 3.14: words of a frame are tagged */
	make(12);
	layout.tag_mask = 3;
	put_frame(ROOT, CODE_ROOT, 0, 0);
	assert_null(misfit(0));
	layout.tag_mask = 0;
	assert_string_equal(misfit(0), "frame_previous");
}

static void test_moved(void **state)
{
#define MOVED(field, to) {#field, offsetof(struct ap_layout, field), to}
	static const struct {
		const char *name;
		size_t at;
		uint16_t to;
	} moved[] = {
		MOVED(code_filename, 40),   MOVED(code_name, 16),     MOVED(code_qualname, 136),
		MOVED(code_linetable, 112), MOVED(str_ascii, 48),     MOVED(str_length, 24),
		MOVED(str_state, 64),	    MOVED(frame_instr, 40),   MOVED(bytes_size, 8),
		MOVED(thread_frame, 8),	    MOVED(frame_previous, 16),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		const char *bad;

		make(12);
		memcpy((char *)&layout + moved[i].at, &moved[i].to, sizeof(moved[i].to));
		fake_word(mem, TSTATE + 8, LEAF);
		fake_word(mem, LEAF + 16, CODE_LEAF);
		bad = misfit(0);
		if (!bad)
			fail_msg("%s was taken for good", moved[i].name);
		assert_string_equal(bad, moved[i].name);
	}
}

/* A thread that runs on has left its frame: what lies below it still fits. */
static void test_torn(void **state)
{
	(void)state;
	make(12);
	fake_word(mem, CODE_LEAF + layout.code_filename, 0);
	assert_null(misfit(0));
	fake_word(mem, CODE_ROOT + layout.code_filename, TABLE);
	assert_string_equal(misfit(0), "code_filename");
}

static void test_unusual_names(void **state)
{
	uint32_t latin = 1 << 2 | 1 << 5, ucs2 = 2 << 2 | 1 << 5;

	(void)state;
	make(12);
	fake_put(mem, STRINGS + 0x100 + layout.str_state, &latin, sizeof(latin));
	fake_put(mem, STRINGS + 0x200 + layout.str_state, &ucs2, sizeof(ucs2));
	assert_null(misfit(0));
	make(12);
	put_str(STRINGS + 0x100, "");
	fake_word(mem, STRINGS + 0x200 + layout.str_length, 100000);
	assert_null(misfit(0));
}

static void test_nothing_runs(void **state)
{
	(void)state;
	make(12);
	fake_word(mem, CFRAME + layout.cframe_frame, 0);
	assert_null(misfit(0));
	fake_word(mem, INTERPRETER + layout.interp_threads_head, 0);
	assert_null(misfit(0));
}

static void test_cycle(void **state)
{
	(void)state;
	make(10);
	fake_word(mem, ROOT + layout.frame_previous, LEAF);
	fake_word(mem, CODE_LEAF + layout.code_filename, 0);
	fake_word(mem, CODE_ROOT + layout.code_filename, 0);
	assert_string_equal(misfit(0), "code_filename");
	put_task(STR_TYPE, CORO);
	fake_word(mem, TASK + TASK_NODE, TASK + TASK_NODE);
	assert_string_equal(misfit(TASK_HEADS), "code_filename");
}

static void test_tasks(void **state)
{
	(void)state;
	make(12);
	fake_word(mem, TSTATE + TASK_HEADS, TSTATE + TASK_HEADS);
	assert_null(misfit(TASK_HEADS));
	put_task(STR_TYPE, CORO);
	assert_null(misfit(TASK_HEADS));
	put_task(INT_TYPE, CORO);
	assert_null(misfit(TASK_HEADS));
	put_task(BYTES_TYPE, CORO);
	assert_string_equal(misfit(TASK_HEADS), "task_name");
	put_task(STR_TYPE, 0);
	assert_string_equal(misfit(TASK_HEADS), "task_coro");
	assert_null(misfit(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),	      cmocka_unit_test(test_moved),
		cmocka_unit_test(test_torn),	      cmocka_unit_test(test_unusual_names),
		cmocka_unit_test(test_nothing_runs),  cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
