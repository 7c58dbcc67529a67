/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Strings, code objects and the names of callbacks, read from memory that a test made. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "target/code.h"
#include "target/layouts.h"

#include "fake_memory.h"

#define CODE_TYPE (FAKE_BASE + 0x100)
#define CODE	  (FAKE_BASE + 0x1000)
#define TABLE	  (FAKE_BASE + 0x40000)
#define OBJECT	  (FAKE_BASE + 0x2000)
#define TYPE	  (FAKE_BASE + 0x3000)
#define STRINGS	  (FAKE_BASE + 0x8000)

static struct memory *mem;
static struct ap_layout layout;
static uint64_t next_string;

static uint64_t string(const char *text)
{
	next_string += 0x200;
	return fake_str(mem, &layout, next_string, text);
}

static uint64_t cstring(const char *text)
{
	next_string += 0x200;
	fake_put(mem, next_string, text, strlen(text) + 1);
	return next_string;
}

static int start(void **state)
{
	struct refusal why;

	(void)state;
	memory__close(mem);
	next_string = STRINGS;
	assert_int_equal(memory__open(NULL, &mem), 0);
	return layout_fill(0x030c01f0, 0, NULL, 0, &layout, &why);
}

static void put_code(void)
{
	uint32_t line = 42;

	fake_word(mem, CODE + 8, CODE_TYPE);
	fake_word(mem, CODE + layout.code_qualname, string("Server.handle"));
	fake_word(mem, CODE + layout.code_name, string("handle"));
	fake_word(mem, CODE + layout.code_filename, string("/srv/app.py"));
	fake_put(mem, CODE + layout.code_firstlineno, &line, sizeof(line));
	fake_word(mem, CODE + layout.code_linetable, TABLE);
	fake_word(mem, TABLE + layout.bytes_size, 300);
	for (uint64_t i = 0; i < 304; i += 8)
		fake_word(mem, TABLE + layout.bytes_data + i, i * 0x0101010101010101);
}

static struct ap_code *read_code(uint64_t type, uint64_t addr)
{
	struct ap_code *c;

	if (code_read(mem, &layout, type, addr, 7, 8, &c)) {
		assert_null(c);
		return NULL;
	}
	assert_int_equal(c->head.kind, AP_CODE);
	assert_int_equal(c->head.size, sizeof(*c) + c->linetable_kept);
	assert_int_equal(c->head.tgid, 7);
	assert_int_equal(c->head.tid, 8);
	assert_true(c->head.ts > 0);
	return c;
}

static void test_code(void **state)
{
	struct ap_code *c;

	(void)state;
	put_code();
	c = read_code(CODE_TYPE, CODE);
	assert_non_null(c);
	assert_int_equal(c->code, CODE);
	assert_int_equal(c->version, 0x030c);
	assert_int_equal(c->firstlineno, 42);
	assert_int_equal(c->linetable_len, 300);
	assert_int_equal(c->linetable_kept, 300);
	assert_memory_equal(c->linetable, mem->bytes + (TABLE - FAKE_BASE) + layout.bytes_data,
			    300);
	assert_int_equal(c->name.text.width, 1);
	assert_memory_equal(c->name.data, "Server.handle", 13);
	assert_int_equal(c->file.text.kept, 11);
	assert_memory_equal(c->file.data, "/srv/app.py", 11);
	free(c);
	/* without the type it is taken on trust, with another one it is not */
	c = read_code(0, CODE);
	assert_non_null(c);
	free(c);
	assert_null(read_code(CODE_TYPE + 8, CODE));
	assert_null(read_code(CODE_TYPE, CODE + 4));
	assert_null(read_code(CODE_TYPE, 0));
	assert_null(read_code(CODE_TYPE, ~7ULL));
}

/* Lengths of the target's: nothing is allocated by them beyond the cap. */
static void test_hostile_linetable(void **state)
{
	static const uint64_t len[] = {CODE_LINETABLE_MAX + 1, 0x7fffffff, 1ULL << 31, ~0ULL,
				       1ULL << 62};
	struct ap_code *c;

	(void)state;
	put_code();
	/* the largest that is read makes the largest record that the model takes */
	fake_word(mem, TABLE + layout.bytes_size, CODE_LINETABLE_MAX);
	c = read_code(CODE_TYPE, CODE);
	assert_non_null(c);
	assert_int_equal(c->head.size, AP_RECORD_MAX);
	free(c);
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		fake_word(mem, TABLE + layout.bytes_size, len[i]);
		c = read_code(CODE_TYPE, CODE);
		assert_non_null(c);
		assert_int_equal(c->linetable_kept, 0);
		assert_int_equal(c->linetable_len, len[i] < 1ULL << 31 ? len[i] : 0);
		free(c);
	}
	/* a table that is not there */
	fake_word(mem, CODE + layout.code_linetable, 0xffff800000000000);
	c = read_code(CODE_TYPE, CODE);
	assert_non_null(c);
	assert_int_equal(c->linetable_len, 0);
	assert_memory_equal(c->name.data, "Server.handle", 13);
	free(c);
}

static void test_faults(void **state)
{
	(void)state;
	put_code();
	for (unsigned long i = 1; i < 20; i++) {
		struct ap_code *c;

		mem->reads = 0;
		mem->fault_at = i;
		c = read_code(CODE_TYPE, CODE);
		if (i == 1)
			assert_null(c);
		free(c);
	}
}

static void put_state(uint64_t str, unsigned int kind, int compact, int ascii)
{
	uint32_t word = kind << 2 | (compact ? 1u << 5 : 0) | (ascii ? 1u << 6 : 0);

	fake_put(mem, str + layout.str_state, &word, sizeof(word));
}

static void test_text(void **state)
{
	struct ap_text_name out;
	uint64_t str = string("abcdef");

	(void)state;
	assert_int_equal(code_read_text(mem, &layout, str, &out.text, out.data, sizeof(out.data)),
			 0);
	assert_int_equal(out.text.length, 6);
	assert_memory_equal(out.data, "abcdef", 6);
	/* UCS-2 lies behind the longer head, and is cut between characters */
	put_state(str, 2, 1, 0);
	fake_put(mem, str + layout.str_compact, "a\0b\0c\0d\0e\0f\0", 12);
	assert_int_equal(code_read_text(mem, &layout, str, &out.text, out.data, 7), 0);
	assert_int_equal(out.text.width, 2);
	assert_int_equal(out.text.length, 6);
	assert_int_equal(out.text.kept, 6);
	assert_memory_equal(out.data, "a\0b\0c\0", 6);
	/* kinds and lengths that can't be */
	for (unsigned int kind = 0; kind < 8; kind++) {
		put_state(str, kind, 1, 0);
		assert_int_equal(!code_read_text(mem, &layout, str, &out.text, out.data, 8),
				 kind == 1 || kind == 2 || kind == 4);
	}
	put_state(str, 1, 0, 1);
	assert_int_equal(code_read_text(mem, &layout, str, &out.text, out.data, 8), -EINVAL);
	assert_int_equal(out.text.width, 0);
	put_state(str, 4, 1, 0);
	fake_word(mem, str + layout.str_length, 1ULL << 62);
	assert_int_equal(code_read_text(mem, &layout, str, &out.text, out.data, 8), -EINVAL);
	assert_true(code_read_text(mem, &layout, 16, &out.text, out.data, 8) < 0);
	assert_true(code_read_text(mem, &layout, ~0ULL, &out.text, out.data, 8) < 0);
}

/* --- Names ------------------------------------------------------------------- */

static struct ap_name read_name(const char *type, uint64_t word2, uint64_t word3, uint64_t word6)
{
	struct ap_open open = {.type = TYPE, .word2 = word2, .word3 = word3, .word6 = word6};
	struct ap_name name = {0};

	fake_word(mem, TYPE + layout.type_name, cstring(type));
	code_read_name(mem, &layout, &open, &name);
	return name;
}

static void is_text(const struct ap_text_name *text, const char *want)
{
	assert_int_equal(text->text.kept, strlen(want));
	assert_memory_equal(text->data, want, strlen(want));
}

/* A task of `coro` with a name, or with its number as 3.12 keeps it. */
static uint64_t put_task(const char *name, uint32_t low, uint32_t high)
{
	uint64_t type = OBJECT + 0x800, value;

	fake_word(mem, OBJECT + layout.task_coro, OBJECT + 0x400);
	fake_word(mem, OBJECT + 0x400 + layout.coro_qualname, string("Server.handle"));
	fake_word(mem, type + layout.type_name, cstring(name ? "str" : "int"));
	value = name ? string(name) : OBJECT + 0xc00;
	fake_word(mem, value + 8, type);
	if (!name) {
		fake_word(mem, value + layout.long_tag, (high ? 2 : 1) << 3);
		fake_word(mem, value + layout.long_digit, low | (uint64_t)high << 32);
	}
	fake_word(mem, OBJECT + layout.task_name, value);
	return OBJECT;
}

static void test_task_names(void **state)
{
	uint64_t task = put_task("worker", 0, 0), def = OBJECT + 0xe00;
	struct ap_name n = read_name("_asyncio.TaskStepMethWrapper", task, 0, 0);

	(void)state;
	assert_int_equal(n.callee, AP_CALLEE_TASK);
	assert_int_equal(n.task, task);
	is_text(&n.task_name, "worker");
	is_text(&n.coro, "Server.handle");
	assert_int_equal(n.callback.text.width, 0);
	/* the wake-up is a builtin whose self is the task */
	fake_word(mem, def, cstring("task_wakeup"));
	n = read_name("builtin_function_or_method", def, task, 0);
	assert_int_equal(n.callee, AP_CALLEE_TASK);
	is_text(&n.task_name, "worker");
	/* 3.12+: a number of up to two digits of 30 bits */
	put_task(NULL, 17, 0);
	n = read_name("TaskStepMethWrapper", task, 0, 0);
	assert_int_equal(n.task_number, 17);
	assert_int_equal(n.task_name.text.width, 0);
	put_task(NULL, 5, 3);
	n = read_name("TaskWakeupMethWrapper", task, 0, 0);
	assert_true(n.task_number == (5 | 3ULL << 30));
	/* freed memory: what can't be read is absent */
	n = read_name("TaskStepMethWrapper", ~7ULL, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_TASK);
	assert_int_equal(n.task_name.text.width, 0);
	assert_int_equal(n.coro.text.width, 0);
}

/* A foreign loop's callback: its task, or the code that was seen to run. */
static void test_foreign_names(void **state)
{
	struct ap_open open = {.flags = AP_F_FOREIGN | AP_F_LEAVES | AP_F_TASK};
	struct ap_name n = {0};

	(void)state;
	open.word2 = put_task("worker", 0, 0);
	code_read_name(mem, &layout, &open, &n);
	assert_int_equal(n.callee, AP_CALLEE_TASK);
	is_text(&n.task_name, "worker");
	is_text(&n.coro, "Server.handle");
	n = (struct ap_name){0};
	open.flags &= ~(uint32_t)AP_F_TASK;
	code_read_name(mem, &layout, &open, &n);
	assert_int_equal(n.callee, AP_CALLEE_UNKNOWN);
	assert_int_equal(n.callback.text.width, 0);
	put_code();
	open.qualname = CODE;
	code_read_name(mem, &layout, &open, &n);
	assert_int_equal(n.callee, AP_CALLEE_FUNCTION);
	is_text(&n.callback, "Server.handle");
	/* before 0.23 a transport's came with its object, as asyncio's do */
	n = read_name("function", 0, 0, CODE);
	is_text(&n.callback, "Server.handle");
}

/* An object at `at` of a type called `type`, which lies beside it. */
static uint64_t put_object(uint64_t at, uint64_t type_at, const char *type)
{
	fake_word(mem, type_at + layout.type_name, cstring(type));
	fake_word(mem, at + 8, type_at);
	return at;
}

static void test_callback_names(void **state)
{
	uint64_t def = OBJECT + 0xe00;
	uint64_t function = put_object(OBJECT + 0x100, OBJECT + 0x800, "function");
	uint64_t method = put_object(OBJECT + 0x200, OBJECT + 0x900, "method");
	uint64_t builtin = put_object(OBJECT + 0x280, OBJECT + 0xa00, "builtin_function_or_method");
	struct ap_name n;

	(void)state;
	put_code();
	fake_word(mem, function + layout.function_code, CODE);
	n = read_name("function", 0, 0, CODE);
	assert_int_equal(n.callee, AP_CALLEE_FUNCTION);
	is_text(&n.callback, "Server.handle");
	n = read_name("method", function, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_METHOD);
	is_text(&n.callback, "Server.handle");
	n = read_name("functools.partial", function, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_PARTIAL);
	is_text(&n.callback, "Server.handle");
	fake_word(mem, def, cstring("sleep"));
	/* what a partial holds need not be a function */
	fake_word(mem, method + layout.method_function, function);
	n = read_name("functools.partial", method, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_PARTIAL);
	is_text(&n.callback, "Server.handle");
	fake_word(mem, builtin + 16, def);
	n = read_name("functools.partial", builtin, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_PARTIAL);
	is_text(&n.callback, "sleep");
	n = read_name("functools.partial", put_object(OBJECT + 0x300, OBJECT + 0xb00, "Mine"), 0, 0);
	assert_int_equal(n.callback.text.width, 0);
	n = read_name("builtin_function_or_method", def, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_BUILTIN);
	is_text(&n.callback, "sleep");
	n = read_name("mymodule.Callable", 0, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_OTHER);
	is_text(&n.callback, "mymodule.Callable");
	assert_int_equal(n.callback.text.width, AP_TEXT_UTF8);
	n = read_name("a type whose name is Gr\u00f6\u00dfe, and longer than any that is known", 0, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_OTHER);
	is_text(&n.callback, "a type whose name is Gr\u00f6\u00dfe, and longer than any that is known");
	n = read_name("", 0, 0, 0);
	assert_int_equal(n.callee, AP_CALLEE_UNKNOWN);
}

#define DICT	(OBJECT + 0x1800)
#define KEYS	(OBJECT + 0x1a00)
#define VALUES	(OBJECT + 0x1e00)
#define SELF	(OBJECT + 0x400)
#define SELF_OF (OBJECT + 0x600) /* its type */

/* `SELF.__step` as the loop calls it. */
static struct ap_name read_py_task(void)
{
	uint64_t function = put_object(OBJECT + 0x100, OBJECT + 0x800, "function");

	put_code();
	fake_word(mem, CODE + layout.code_name, string("__step"));
	fake_word(mem, function + layout.function_code, CODE);
	fake_word(mem, SELF + 8, SELF_OF);
	return read_name("method", function, SELF, 0);
}

/* `_loop`, `_callbacks`, `_name`, `_coro`, as a dict of strings alone has them, or one of any keys. */
static uint64_t put_keys(int of_strings, uint64_t value)
{
	static const char *const names[] = {"_loop", "_callbacks", "_name", "_coro"};
	uint64_t head = 3 | 3 << 8 | (uint64_t)of_strings << 16;
	uint64_t at = KEYS + layout.keys_indices + 8;

	fake_word(mem, KEYS + 8, layout.keys_index_bytes == AP_NO_OFFSET ? 8 : head);
	fake_word(mem, KEYS + layout.keys_cnt, 4);
	for (size_t i = 0; i < 4; i++) {
		at += of_strings ? 0 : 8;
		fake_word(mem, at, string(names[i]));
		fake_word(mem, at + 8, i == 2 ? value : value ? OBJECT : 0);
		at += 16;
	}
	return KEYS;
}

static uint64_t put_name(const char *type)
{
	return put_object(string("worker"), OBJECT + 0xa00, type);
}

/* The attributes are in a dict of its own. */
static void put_in_dict(int of_strings)
{
	fake_word(mem, DICT + layout.dict_keys, put_keys(of_strings, put_name("str")));
}

static void is_worker(void)
{
	struct ap_name n = read_py_task();

	assert_int_equal(n.callee, AP_CALLEE_TASK);
	assert_int_equal(n.task, SELF);
	is_text(&n.task_name, "worker");
}

static void is_nameless(void)
{
	struct ap_name n = read_py_task();

	assert_int_equal(n.callee, AP_CALLEE_TASK);
	assert_int_equal(n.task_name.text.width, 0);
	assert_int_equal(n.task_number, 0);
}

static void test_py_task_with_dict(void **state)
{
	struct refusal why;

	/* 3.8 to 3.10: where the type says; keys of any type */
	(void)state;
	assert_int_equal(layout_fill(0x030812f0, 0, NULL, 0, &layout, &why), 0);
	is_nameless();
	fake_word(mem, SELF_OF + 288, 0x60);
	is_nameless();
	fake_word(mem, SELF + 0x60, DICT);
	put_in_dict(0);
	is_worker();
	/* keys that instances share: the values lie apart */
	put_keys(0, 0);
	fake_word(mem, DICT + layout.dict_values, VALUES);
	is_nameless();
	fake_word(mem, VALUES + 16, put_name("str"));
	is_nameless(); /* a Task has a coroutine */
	fake_word(mem, VALUES + 24, OBJECT);
	is_worker();
	/* another type's object is no name */
	fake_word(mem, VALUES + 16, put_name("MyStr"));
	is_nameless();
	/* sizes that are none */
	fake_word(mem, VALUES + 16, put_name("str"));
	for (uint64_t size = 0x100; size; size <<= 8) {
		fake_word(mem, KEYS + 8, size);
		is_nameless();
	}
	fake_word(mem, KEYS + 8, 8);
	fake_word(mem, KEYS + layout.keys_cnt, ~0ULL);
	is_worker();
	fake_word(mem, KEYS + layout.keys_cnt, 2);
	is_nameless();
	fake_word(mem, KEYS + layout.keys_cnt, 3);
	is_nameless();
}

static void test_py_task_with_values(void **state)
{
	uint64_t flags = 1 << 4;
	struct refusal why;

	(void)state;
	/* 3.11: a pointer to them, or a dict */
	assert_int_equal(layout_fill(0x030b02f0, 0, NULL, 0, &layout, &why), 0);
	fake_word(mem, SELF_OF + 168, flags);
	fake_word(mem, SELF_OF + layout.type_cached_keys, put_keys(1, 0));
	fake_word(mem, SELF - 32, VALUES);
	fake_word(mem, VALUES + 16, put_name("str"));
	fake_word(mem, VALUES + 24, OBJECT);
	is_worker();
	fake_word(mem, SELF - 24, DICT);
	is_nameless();
	put_in_dict(1);
	is_worker();
	put_in_dict(0);
	is_worker();
	/* 3.12: the same word for both */
	assert_int_equal(layout_fill(0x030c01f0, 0, NULL, 0, &layout, &why), 0);
	fake_word(mem, SELF_OF + layout.type_cached_keys, put_keys(1, 0));
	fake_word(mem, SELF - 24, VALUES - 1);
	fake_word(mem, VALUES + 16, put_name("str"));
	is_worker();
	fake_word(mem, SELF - 24, 0);
	is_nameless();
	/* 3.13: behind the object, if its type says so */
	layout.values_data = 8;
	fake_word(mem, SELF_OF + 32, 0x50);
	fake_word(mem, SELF + 0x50 + 8 + 16, put_name("str"));
	fake_word(mem, SELF + 0x50 + 8 + 24, OBJECT);
	is_nameless();
	fake_word(mem, SELF_OF + 168, flags | 1 << 2);
	is_worker();
	/* no dict at all */
	fake_word(mem, SELF_OF + 168, 0);
	is_nameless();
}

/* Wherever reading ends, there is a whole name or none. */
static void test_py_task_faults(void **state)
{
	struct refusal why;
	uint64_t strings;
	unsigned long cnt;

	(void)state;
	assert_int_equal(layout_fill(0x030b02f0, 0, NULL, 0, &layout, &why), 0);
	fake_word(mem, SELF_OF + 168, 1 << 4);
	fake_word(mem, SELF - 24, DICT);
	put_in_dict(1);
	is_worker();
	cnt = mem->reads;
	strings = next_string;
	for (unsigned long at = 1; at <= cnt; at++) {
		struct ap_name n;

		mem->reads = 0;
		mem->fault_at = at;
		n = read_py_task();
		if (n.task_name.text.width)
			is_text(&n.task_name, "worker");
		next_string = strings;
	}
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
		cmocka_unit_test_setup(test_code, start),
		cmocka_unit_test_setup(test_hostile_linetable, start),
		cmocka_unit_test_setup(test_faults, start),
		cmocka_unit_test_setup(test_text, start),
		cmocka_unit_test_setup(test_task_names, start),
		cmocka_unit_test_setup(test_foreign_names, start),
		cmocka_unit_test_setup(test_callback_names, start),
		cmocka_unit_test_setup(test_py_task_with_dict, start),
		cmocka_unit_test_setup(test_py_task_with_values, start),
		cmocka_unit_test_setup(test_py_task_faults, start),
	};

	return cmocka_run_group_tests(tests, NULL, stop);
}
