/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The table of offsets: which versions pass, which words of the target are believed. */
#include "cmocka_all.h"

#include <string.h>

#include "target/layouts.h"

#define V(minor, micro) (0x030000f0u | (minor) << 16 | (micro) << 8)

static struct ap_layout layout;
static struct refusal why;

/* _Py_DebugOffsets from its fourth word on, of Debian's 3.14.8 and 3.15.0 (x86-64). */
/* clang-format off */
static const uint32_t words_3_14[] = {
	316616, 784, 808, 225864, 7280, 7272, 7344, 7360, 7408, 7688, 7672, 7680, 16, 7784, 0,
	7800, 7792, 7992, 0, 832, 0, 8, 16, 72, 152, 160, 232, 32, 88, 8, 0, 56, 80, 74, 64, 0,
	216, 112, 120, 128, 136, 68, 52, 96, 104, 208, 0, 16, 8, 416, 24, 88, 168, 40, 32, 16,
	40, 24, 16, 200, 24, 40, 32, 48, 32, 40, 24, 16, 32, 16, 24, 40, 16, 32, 64, 32, 16, 40,
	264, 192, 160, 24, 72, 67,
};
static const uint32_t words_3_15[] = {
	346568, 912, 936, 226240, 7272, 7264, 7336, 7352, 7400, 7592, 7576, 7584, 16, 7736, 0,
	7752, 7744, 7944, 0, 888, 0, 8, 16, 72, 80, 88, 96, 176, 184, 256, 32, 36, 40, 136, 288,
	0, 88, 8, 0, 56, 80, 74, 64, 0, 216, 112, 120, 128, 136, 68, 52, 96, 104, 208, 0, 16, 8,
	424, 24, 88, 168, 32, 288, 944, 888, 40, 32, 16, 40, 24, 16, 200, 24, 40, 32, 48, 32,
	40, 24, 16, 32, 16, 24, 40, 16, 32, 64, 32, 16, 40, 56, 176, 112, 120, 1112, 104, 160,
	24, 72, 67,
};
/* clang-format on */

static void words_of(uint32_t version, const uint32_t *words, size_t size,
		     uint64_t debug[LAYOUT_DEBUG_WORDS])
{
	memset(debug, 0, LAYOUT_DEBUG_WORDS * sizeof(*debug));
	memcpy(debug, "xdebugpy", 8);
	debug[1] = version;
	for (size_t i = 0; i < size / sizeof(*words); i++)
		debug[3 + i] = words[i];
}

/* The first words of _PyRuntime in CPython 3.13.0 (x86-64), those that are used. */
static void words_3_13(uint64_t debug[LAYOUT_DEBUG_WORDS])
{
	static const uint32_t word[][2] = {
		{6, 194976}, {19, 304}, {28, 80},	  {34, 208},  {46, 416}, {61, 32}, {62, 16},
		{63, 24},  {64, 40},  {65, 16},	  {66, 32},   {67, 64},	 {71, 248}, {3, 648},
		{5, 632},  {9, 7344}, {10, 7392}, {18, 7760}, {21, 8},	 {23, 72},
		{24, 152}, {25, 160}, {29, 8},	  {30, 0},    {31, 56},	 {32, 72},
		{33, 70},  {35, 112}, {36, 120},  {37, 128},  {38, 136}, {39, 68},
		{43, 200}, {47, 24},  {56, 48},	  {57, 32},   {58, 40},	 {68, 32},	  {69, 16},   {70, 40},	 {72, 208},
	};

	memset(debug, 0, LAYOUT_DEBUG_WORDS * sizeof(*debug));
	memcpy(debug, "xdebugpy", 8);
	debug[1] = V(13, 0);
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		debug[word[i][0]] = word[i][1];
}

static int fill(uint32_t version, uint32_t basicsize)
{
	memset(&why, 0, sizeof(why));
	return layout_fill(version, basicsize, NULL, 0, &layout, &why);
}

static void test_old_versions(void **state)
{
	static const struct {
		uint32_t minor, basicsize, task_coro, task_name, frame_size, holder;
	} row[] = {
		{8, 144, 112, 120, 112, 1160}, {9, 184, 152, 160, 112, 360},
		{10, 192, 160, 168, 104, 360}, {11, 176, 136, 144, 64, 368},
		{12, 176, 136, 144, 72, 1048},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(fill(V(row[i].minor, 1), row[i].basicsize), 0);
		assert_int_equal(layout.version, 0x300 | row[i].minor);
		assert_int_equal(layout.task_coro, row[i].task_coro);
		assert_int_equal(layout.task_name, row[i].task_name);
		assert_int_equal(layout.frame_size, row[i].frame_size);
		assert_int_equal(layout.gil_last_holder, row[i].holder);
		assert_int_equal(layout.gil_in_runtime, row[i].minor < 12);
		assert_int_equal(layout.keys_index_bytes, row[i].minor < 11 ? AP_NO_OFFSET : 9);
		assert_true(layout.frame_size <= AP_FRAME_WORDS * 8);
	}
}

/* gh-30274 changed TaskObj in 3.10.6: the size of the type tells which it is. */
static void test_task_size_decides(void **state)
{
	(void)state;
	assert_int_equal(fill(V(10, 4), 184), 0);
	assert_int_equal(layout.task_coro, 152);
	assert_int_equal(fill(V(10, 13), 192), 0);
	assert_int_equal(layout.task_coro, 160);
	/* asyncio not loaded yet: as the newest patch release has it */
	assert_int_equal(fill(V(10, 13), 0), 0);
	assert_int_equal(layout.task_coro, 160);
	assert_int_equal(fill(V(11, 2), 184), -1);
	assert_int_equal(why.code, EXIT_INTERPRETER);
	assert_non_null(strstr(why.what, "184"));
}

static void refused(uint32_t version, const char *word)
{
	assert_int_equal(fill(version, 0), -1);
	assert_int_equal(why.code, EXIT_INTERPRETER);
	assert_non_null(strstr(why.what, word));
	assert_true(why.remedy[0]);
}

static void test_unsupported(void **state)
{
	(void)state;
	refused(0x030600f0, "3.6.0");
	refused(0x030713f0, "3.7.19");
	refused(0x02071200 | 0xf0, "2.7.18");
	refused(0x031000f0, "3.16.0");
	refused(0x040000f0, "4.0.0");
	refused(0x030b00c2, "3.11.0rc2");
	refused(0x030b00c2, "pre-release");
	refused(0x030e00a7, "3.14.0a7");
	refused(0, "0.0.0");
	refused(V(13, 0), "debug offsets");
}

static void test_version_text(void **state)
{
	char text[16];

	(void)state;
	layout_version_text(0x030d05f0, text, sizeof(text));
	assert_string_equal(text, "3.13.5");
	layout_version_text(0x030e00b3, text, sizeof(text));
	assert_string_equal(text, "3.14.0b3");
	layout_version_text(0xffffffff, text, 4);
	assert_int_equal(strlen(text), 3);
}

static void test_debug_offsets(void **state)
{
	uint64_t debug[LAYOUT_DEBUG_WORDS];

	(void)state;
	words_3_13(debug);
	assert_int_equal(layout_fill(V(13, 0), 144, debug, LAYOUT_DEBUG_WORDS, &layout, &why), 0);
	assert_int_equal(layout.runtime_interpreters_main, 640);
	assert_int_equal(layout.interp_collecting, 7600);
	assert_int_equal(layout.thread_frame, 72);
	assert_int_equal(layout.cframe_frame, AP_NO_OFFSET);
	/* a patch release that moved a field says so itself, and is believed */
	debug[1] = V(13, 9);
	debug[23] = 80;
	debug[33] = 73;
	assert_int_equal(layout_fill(V(13, 9), 144, debug, LAYOUT_DEBUG_WORDS, &layout, &why), 0);
	assert_int_equal(layout.thread_frame, 80);
	assert_int_equal(layout.frame_owner, 73);
	assert_int_equal(layout.frame_size, 80);
}

static void test_impossible_debug_offsets(void **state)
{
	static const struct {
		unsigned int word;
		uint64_t value;
		const char *name;
	} bad[] = {
		{9, 7345, "interp_threads_head"},
		{18, 1ULL << 40, "gil_last_holder"},
		{23, 0xfffffffffffffff8, "thread_frame"},
		{29, 16, "frame_previous"},
		{30, 8, "frame_previous"},
		{31, 128, "frame_instr"},
		{33, 4096, "frame_owner"},
		{35, 3, "code_filename"},
		{43, 70000, "code_adaptive"},
		{5, 7, "runtime_interpreters_main"},
		{5, 1 << 20, "runtime_interpreters_main"},
		{72, ~0ULL, "interp_collecting"},
		{72, 248, "interp_collecting"},
		{10, 194904, "interp_collecting"},
		{66, 48, "bytes_data"},
		{57, 48, "dict_keys"},
		{58, 41, "dict_values"},
		{34, 136, "code_linetable"}, /* the structure would end before it */
		{28, 56, "frame_instr"},
		{19, 0, "thread_next"},
	};
	uint64_t debug[LAYOUT_DEBUG_WORDS];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		words_3_13(debug);
		debug[bad[i].word] = bad[i].value;
		assert_int_equal(
			layout_fill(V(13, 0), 144, debug, LAYOUT_DEBUG_WORDS, &layout, &why), -1);
		assert_int_equal(why.code, EXIT_INTERPRETER);
		assert_non_null(strstr(why.what, bad[i].name));
	}
}

/* What Debian's builds say of themselves is what our own table has for them. */
static void test_newer_versions(void **state)
{
	uint64_t debug[LAYOUT_DEBUG_WORDS];

	(void)state;
	words_of(V(14, 8), words_3_14, sizeof(words_3_14), debug);
	assert_int_equal(layout_fill(V(14, 8), 168, debug, LAYOUT_DEBUG_WORDS, &layout, &why), 0);
	assert_int_equal(layout.tag_mask, 3);
	assert_int_equal(layout.runtime_interpreters_main, 816);
	assert_int_equal(layout.gil_last_holder, 7792);
	assert_int_equal(layout.interp_threads_head, 7344);
	assert_int_equal(layout.interp_collecting, 7408 + 192);
	assert_int_equal(layout.thread_native_id, 160);
	assert_int_equal(layout.frame_owner, 74);
	assert_int_equal(layout.frame_locals, 80);
	assert_int_equal(layout.code_adaptive, 208);
	assert_int_equal(layout.task_coro, 128);
	words_of(V(15, 0), words_3_15, sizeof(words_3_15), debug);
	assert_int_equal(layout_fill(V(15, 0), 168, debug, LAYOUT_DEBUG_WORDS, &layout, &why), 0);
	assert_int_equal(layout.runtime_interpreters_main, 944);
	assert_int_equal(layout.gil_last_holder, 7744);
	assert_int_equal(layout.interp_threads_head, 7336);
	assert_int_equal(layout.interp_collecting, 7400 + 112);
	assert_int_equal(layout.thread_native_id, 184);
	assert_int_equal(layout.frame_previous, 8);
	assert_int_equal(layout.frame_instr, 56);
	assert_int_equal(layout.code_linetable, 136);
	assert_int_equal(layout.long_tag, 16);
	assert_int_equal(layout.bytes_data, 32);
	assert_int_equal(layout.str_ascii, 40);
	/* a table of a neighbour is not read as one's own */
	debug[1] = V(14, 8);
	assert_int_equal(layout_fill(V(14, 8), 168, debug, LAYOUT_DEBUG_WORDS, &layout, &why), -1);
}

/* .AsyncioDebug of 3.14.8 and 3.15.0: name and coroutine of a Task. */
static void test_task_offsets(void **state)
{
	static const uint64_t real[LAYOUT_TASK_WORDS] = {168, 136, 96, 108, 109, 128, 152, 225864,
							 10880, 936, 864, 872, 880};
	uint64_t debug[LAYOUT_DEBUG_WORDS], table[LAYOUT_TASK_WORDS];

	(void)state;
	words_of(V(14, 8), words_3_14, sizeof(words_3_14), debug);
	assert_int_equal(layout_fill(V(14, 8), 0, debug, LAYOUT_DEBUG_WORDS, &layout, &why), 0);
	assert_int_equal(layout_take_tasks(168, real, &layout, &why), 0);
	assert_int_equal(layout.task_name, 136);
	assert_int_equal(layout.task_coro, 128);
	assert_int_equal(layout.task_state, 104);
	assert_int_equal(layout.thread_running_task, 872);
	/* a patch release that moved them says so, and is believed; where the state went it does not
	 * say */
	memcpy(table, real, sizeof(table));
	table[0] = 176;
	table[1] = 144;
	table[5] = 136;
	assert_int_equal(layout_take_tasks(176, table, &layout, &why), 0);
	assert_int_equal(layout.task_name, 144);
	assert_int_equal(layout.task_coro, 136);
	assert_int_equal(layout.task_state, AP_NO_OFFSET);
	/* the type itself says another size */
	assert_int_equal(layout_take_tasks(168, table, &layout, &why), -1);
	assert_int_equal(why.code, EXIT_INTERPRETER);
	assert_non_null(strstr(why.what, "176"));
	table[1] = 180;
	assert_int_equal(layout_take_tasks(176, table, &layout, &why), -1);
	assert_non_null(strstr(why.what, "task_name"));
	table[1] = 144;
	table[5] = 176;
	assert_int_equal(layout_take_tasks(176, table, &layout, &why), -1);
	assert_non_null(strstr(why.what, "task_coro"));
	table[5] = 136;
	table[11] = 936;
	assert_int_equal(layout_take_tasks(176, table, &layout, &why), -1);
	assert_non_null(strstr(why.what, "thread_running_task"));
	table[0] = ~0ULL;
	assert_int_equal(layout_take_tasks(0, table, &layout, &why), -1);
}

static void test_other_builds(void **state)
{
	uint64_t debug[LAYOUT_DEBUG_WORDS];

	(void)state;
	words_3_13(debug);
	debug[2] = 1;
	assert_int_equal(layout_fill(V(13, 0), 144, debug, LAYOUT_DEBUG_WORDS, &layout, &why), -1);
	assert_non_null(strstr(why.what, "free-threaded"));
	words_3_13(debug);
	debug[1] = V(13, 1);
	assert_int_equal(layout_fill(V(13, 0), 144, debug, LAYOUT_DEBUG_WORDS, &layout, &why), -1);
	words_3_13(debug);
	assert_int_equal(layout_fill(V(13, 0), 144, debug, LAYOUT_DEBUG_WORDS - 1, &layout, &why),
			 -1);
	debug[0]++;
	assert_int_equal(layout_fill(V(13, 0), 144, debug, LAYOUT_DEBUG_WORDS, &layout, &why), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_versions),
		cmocka_unit_test(test_task_size_decides),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_version_text),
		cmocka_unit_test(test_debug_offsets),
		cmocka_unit_test(test_impossible_debug_offsets),
		cmocka_unit_test(test_newer_versions),
		cmocka_unit_test(test_task_offsets),
		cmocka_unit_test(test_other_builds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
