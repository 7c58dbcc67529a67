/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * pprof's file, unpacked again: values by clock, labels, leaf first, what was
 * asked for and what was not, and names that no reader chokes on.
 */
#include "cmocka_all.h"

#include <errno.h>
#include <zlib.h>

#include "pprof.pb-c.h"
#include "profiles.h"
#include "report/pprof.h"
#include "stalls.h"

enum { WALL, CPU, BLOCKED, COUNT };

static struct made made;
static struct made_evil evil;

static Asyncprof__Profile *unpack(const uint8_t *zipped, size_t zipped_sz)
{
	size_t sz = 4 << 20;
	uint8_t *bytes = malloc(sz);
	z_stream z = {.next_in = (uint8_t *)zipped,
		      .avail_in = (unsigned int)zipped_sz,
		      .next_out = bytes,
		      .avail_out = (unsigned int)sz};
	Asyncprof__Profile *file;

	/* Only gzip, and nothing behind it. */
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	file = asyncprof__profile__unpack(NULL, z.total_out, bytes);
	inflateEnd(&z);
	free(bytes);
	assert_non_null(file);
	return file;
}

static const char *text(const Asyncprof__Profile *file, int64_t number)
{
	assert_in_range(number, 0, file->n_string_table - 1);
	return file->string_table[number];
}

/* Ids are there, each once, and lead somewhere; each sample has all values. */
static void check(const Asyncprof__Profile *file)
{
	static const char *const types[] = {"wall", "cpu", "blocked", "count"};
	bool location_is[256] = {}, function_is[256] = {}, mapping_is[64] = {};

	assert_true(file->n_string_table > 0);
	assert_string_equal(file->string_table[0], "");
	for (size_t i = 1; i < file->n_string_table; i++) {
		assert_true(*file->string_table[i]);
		assert_no_controls(file->string_table[i], 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(file->string_table[i], file->string_table[j]);
	}
	assert_int_equal(file->n_sample_type, 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(text(file, file->sample_type[i]->type), types[i]);
		assert_string_equal(text(file, file->sample_type[i]->unit),
				    i == COUNT ? "count" : "nanoseconds");
	}
	for (size_t i = 0; i < file->n_mapping; i++) {
		assert_in_range(file->mapping[i]->id, 1, 63);
		assert_false(mapping_is[file->mapping[i]->id]);
		mapping_is[file->mapping[i]->id] = true;
		assert_true(file->mapping[i]->has_functions);
		text(file, file->mapping[i]->filename);
	}
	for (size_t i = 0; i < file->n_function; i++) {
		assert_in_range(file->function[i]->id, 1, 255);
		assert_false(function_is[file->function[i]->id]);
		function_is[file->function[i]->id] = true;
		assert_true(*text(file, file->function[i]->name));
		text(file, file->function[i]->filename);
	}
	for (size_t i = 0; i < file->n_location; i++) {
		const Asyncprof__Location *location = file->location[i];

		assert_in_range(location->id, 1, 255);
		assert_false(location_is[location->id]);
		location_is[location->id] = true;
		assert_int_equal(location->n_line, 1);
		assert_true(function_is[location->line[0]->function_id]);
		assert_true(mapping_is[location->mapping_id]);
	}
	for (size_t i = 0; i < file->n_sample; i++) {
		const Asyncprof__Sample *sample = file->sample[i];

		assert_int_equal(sample->n_value, 4);
		assert_true(sample->n_location_id > 0);
		for (size_t j = 0; j < sample->n_location_id; j++)
			assert_true(location_is[sample->location_id[j]]);
	}
}

static Asyncprof__Profile *render(const struct profile *profile,
				  const struct flame_options *options)
{
	struct capture capture;
	Asyncprof__Profile *file;

	capture_open(&capture);
	assert_int_equal(pprof_print(capture.file, profile, options, "0.1"), 0);
	capture_text(&capture);
	file = unpack((const uint8_t *)capture.text, capture.text_sz);
	capture_close(&capture);
	check(file);
	return file;
}

static int64_t sum(const Asyncprof__Profile *file, int value)
{
	int64_t total = 0;

	for (size_t i = 0; i < file->n_sample; i++)
		total += file->sample[i]->value[value];
	return total;
}

static const Asyncprof__Location *location_of(const Asyncprof__Profile *file, uint64_t id)
{
	for (size_t i = 0; i < file->n_location; i++) {
		if (file->location[i]->id == id)
			return file->location[i];
	}
	fail_msg("no location %u", (unsigned int)id);
	return NULL;
}

static const Asyncprof__Function *function_of(const Asyncprof__Profile *file, uint64_t location)
{
	uint64_t id = location_of(file, location)->line[0]->function_id;

	for (size_t i = 0; i < file->n_function; i++) {
		if (file->function[i]->id == id)
			return file->function[i];
	}
	fail_msg("no function");
	return NULL;
}

/* The sample whose frames are these, leaf first, "a;b". */
static const Asyncprof__Sample *sample_of(const Asyncprof__Profile *file, const char *names)
{
	for (size_t i = 0; i < file->n_sample; i++) {
		const Asyncprof__Sample *sample = file->sample[i];
		char line[1024] = "";

		for (size_t j = 0; j < sample->n_location_id; j++)
			snprintf(line + strlen(line), sizeof(line) - strlen(line), j ? ";%s" : "%s",
				 text(file, function_of(file, sample->location_id[j])->name));
		if (!strcmp(line, names))
			return sample;
	}
	fail_msg("no sample %s", names);
	return NULL;
}

/* NULL: it has none. */
static const Asyncprof__Label *label(const Asyncprof__Profile *file,
				     const Asyncprof__Sample *sample, const char *key)
{
	const Asyncprof__Label *found = NULL;

	for (size_t i = 0; i < sample->n_label; i++) {
		if (strcmp(text(file, sample->label[i]->key), key))
			continue;
		assert_null(found);
		found = sample->label[i];
	}
	return found;
}

static void assert_label(const Asyncprof__Profile *file, const Asyncprof__Sample *sample,
			 const char *key, const char *value)
{
	const Asyncprof__Label *found = label(file, sample, key);

	if (!value) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(text(file, found->str), value);
}

static void test_shop(void **state)
{
	struct flame_options options = {.clock = FLAME_BLOCKED};
	const Asyncprof__Sample *sample;
	const Asyncprof__Function *function;
	Asyncprof__Profile *file;

	(void)state;
	made_shop(&made);
	file = render(&made.profile, &options);
	assert_int_equal(file->n_sample, 6);
	assert_int_equal(sum(file, WALL), 1630000000);
	assert_int_equal(sum(file, CPU), 130000000);
	assert_int_equal(sum(file, BLOCKED), 1500000000);
	assert_int_equal(sum(file, COUNT), 6);
	assert_string_equal(text(file, file->default_sample_type), "blocked");
	assert_string_equal(text(file, file->period_type->type), "cpu");
	assert_string_equal(text(file, file->period_type->unit), "nanoseconds");
	assert_int_equal(file->period, 10000000);
	assert_int_equal(file->time_nanos, 1700000000500000000LL);
	assert_int_equal(file->duration_nanos, 30000000000LL);
	assert_int_equal(file->n_comment, 1);
	assert_string_equal(text(file, file->comment[0]), "asyncprof 0.1");

	sample = sample_of(file, "recvfrom 10.0.0.7:443;query;Worker.run");
	assert_int_equal(sample->value[WALL], 900000000);
	assert_int_equal(sample->value[CPU], 0);
	assert_int_equal(sample->value[BLOCKED], 900000000);
	assert_label(file, sample, "task", "worker");
	assert_label(file, sample, "coroutine", "Worker.run");
	assert_label(file, sample, "callback", NULL);
	assert_label(file, sample, "loop", "0x7f0000001000");
	assert_label(file, sample, "thread", "python3");
	assert_label(file, sample, "cause", "socket");
	assert_int_equal(label(file, sample, "pid")->num, 100);
	assert_int_equal(label(file, sample, "tid")->num, 100);
	function = function_of(file, sample->location_id[1]);
	assert_string_equal(text(file, function->filename), "/srv/shop/db.py");
	assert_int_equal(location_of(file, sample->location_id[1])->line[0]->line, 17);

	sample = sample_of(file, "run queue;query;Worker.run");
	assert_int_equal(sample->value[BLOCKED], 500000000);
	assert_label(file, sample, "cause", "runqueue");

	/* Thousands of "Task-7" are one, by their coroutine. */
	sample = sample_of(file, "tcp_sendmsg;fetch");
	assert_label(file, sample, "task", "fetch");
	sample = sample_of(file, "blocked: lock;fetch");
	assert_int_equal(sample->value[BLOCKED], 100000000);

	sample = sample_of(file, "[no stack]");
	assert_int_equal(sample->value[CPU], 10000000);
	assert_label(file, sample, "task", NULL);
	assert_label(file, sample, "callback", "iteration");
	asyncprof__profile__free_unpacked(file, NULL);
}

static void test_options(void **state)
{
	struct flame_options options = {.threads = true, .idle = true};
	const Asyncprof__Sample *sample;
	Asyncprof__Profile *file;

	(void)state;
	made_shop(&made);
	file = render(&made.profile, &options);
	assert_string_equal(text(file, file->default_sample_type), "wall");
	sample = sample_of(file, "idle");
	assert_int_equal(sample->value[WALL], 28000000000LL);
	assert_int_equal(sample->value[CPU] + sample->value[BLOCKED], 0);
	sample = sample_of(file, "<module>");
	assert_int_equal(sample->value[CPU], 50000000);
	assert_label(file, sample, "thread", "pool_0");
	assert_label(file, sample, "loop", NULL);
	assert_label(file, sample, "task", NULL);
	/* Else pprof takes "<module>" for a template's parameters and shows nothing. */
	assert_int_equal(function_of(file, sample->location_id[0])->system_name, 0);
	asyncprof__profile__free_unpacked(file, NULL);

	options = (struct flame_options){.clock = FLAME_CPU};
	file = render(&made.profile, &options);
	assert_string_equal(text(file, file->default_sample_type), "cpu");
	assert_int_equal(file->n_sample, 6);
	asyncprof__profile__free_unpacked(file, NULL);
}

static void test_mappings(void **state)
{
	struct flame_options options = {};
	const Asyncprof__Location *location;
	const Asyncprof__Sample *sample;
	Asyncprof__Profile *file;
	uint32_t call, loop;

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", "/usr/bin/python3");
	made_process(&made, 2, "other", "/usr/bin/other");
	made_process(&made, 3, "python3", "/usr/bin/python3");
	loop = made_thread(&made, 2, 3, "python3", 0x1000);
	call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "f", "/x/x.py", 1);
	call = made_call(&made, call, FRAME_NATIVE, "_ZN3foo3barEv", "/usr/lib/libfoo.so", 0);
	call = made_call(&made, call, FRAME_KERNEL, "vfs_read", NULL, 0);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 10);
	file = render(&made.profile, &options);
	assert_int_equal(file->n_mapping, 4);
	assert_string_equal(text(file, file->mapping[0]->filename), "/usr/bin/python3");
	assert_string_equal(text(file, file->mapping[1]->filename), "/usr/bin/other");
	sample = sample_of(file, "vfs_read;_ZN3foo3barEv;f");
	location = location_of(file, sample->location_id[0]);
	assert_string_equal(text(file, file->mapping[location->mapping_id - 1]->filename),
			    "[kernel.kallsyms]");
	location = location_of(file, sample->location_id[1]);
	assert_string_equal(text(file, file->mapping[location->mapping_id - 1]->filename),
			    "/usr/lib/libfoo.so");
	/* A mangled name is for pprof to demangle. */
	assert_int_equal(function_of(file, sample->location_id[1])->system_name,
			 function_of(file, sample->location_id[1])->name);
	assert_int_equal(location_of(file, sample->location_id[2])->mapping_id, 1);
	asyncprof__profile__free_unpacked(file, NULL);
}

/* One function on two lines: two locations. */
static void test_lines(void **state)
{
	struct flame_options options = {};
	const Asyncprof__Sample *a, *b;
	Asyncprof__Profile *file;
	uint32_t call, loop;

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", NULL);
	loop = made_thread(&made, 0, 1, "python3", 0x1000);
	call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "f", "/x/x.py", 1);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 10);
	call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "f", "/x/x.py", 2);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 20);
	call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "f", "/x/y.py", 2);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 30);
	file = render(&made.profile, &options);
	assert_int_equal(file->n_sample, 3);
	assert_int_equal(file->n_location, 3);
	assert_int_equal(file->n_function, 2);
	a = file->sample[0];
	b = file->sample[1];
	assert_true(a->location_id[0] != b->location_id[0]);
	assert_ptr_equal(function_of(file, a->location_id[0]),
			 function_of(file, b->location_id[0]));
	asyncprof__profile__free_unpacked(file, NULL);
}

/* What is missing is said. */
static void test_comments(void **state)
{
	struct flame_options options = {};
	Asyncprof__Profile *file;

	(void)state;
	made_shop(&made);
	made.profile.complete = false;
	made.profile.lost_cnt = 7;
	made.profile.cut_stack_cnt = 3;
	file = render(&made.profile, &options);
	assert_int_equal(file->n_comment, 4);
	assert_has(text(file, file->comment[1]), "cut");
	assert_has(text(file, file->comment[2]), "7 events lost");
	assert_has(text(file, file->comment[3]), "3 stacks");
	asyncprof__profile__free_unpacked(file, NULL);
}

/* What a forged file may hold. */
static void test_forged(void **state)
{
	struct flame_options options = {};
	Asyncprof__Profile *file;

	(void)state;
	made_shop(&made);
	made.entries[0].thread = 77;
	made.entries[1].task = 77;
	made.entries[2].stack = 77;
	made.entries[3].cause = (enum cause)77;
	made.entries[4].ns = -1;
	made.stacks[2].parent = 2; /* of entry 1: the wait calls itself */
	made.frames[0].line = -5;
	file = render(&made.profile, &options);
	assert_int_equal(file->n_sample, 4);
	assert_int_equal(file->sample[0]->n_location_id, 1);
	made.threads[0].process = 77;
	asyncprof__profile__free_unpacked(file, NULL);
	file = render(&made.profile, &options);
	assert_int_equal(file->n_sample, 0);
	asyncprof__profile__free_unpacked(file, NULL);
}

static void test_empty(void **state)
{
	struct flame_options options = {};
	Asyncprof__Profile *file;

	(void)state;
	made_init(&made);
	file = render(&made.profile, &options);
	assert_int_equal(file->n_sample, 0);
	asyncprof__profile__free_unpacked(file, NULL);
}

/* check() holds every string against controls, and unpacking against UTF-8 that is none. */
static void test_hostile(void **state)
{
	struct flame_options options = {};
	const Asyncprof__Sample *sample;
	Asyncprof__Profile *file;

	(void)state;
	made_evil(&evil, EVIL);
	file = render(&evil.made.profile, &options);
	assert_int_equal(file->n_sample, 2);
	sample = file->sample[0];
	assert_label(file, sample, "task",
		     "taska\\x1b[2Jb\\u202ec\\xff\\x0d\\x0a\\x07\\x7f\"'\\%n");
	assert_int_equal(file->sample[1]->n_location_id, 5);
	asyncprof__profile__free_unpacked(file, NULL);
}

/* A stack deeper than any real one is cut, at its outermost frames. */
static void test_deep(void **state)
{
	static struct profile_stack stacks[FLAME_STACK_MAX + 10];
	struct flame_options options = {};
	Asyncprof__Profile *file;
	uint32_t loop, call;

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", NULL);
	loop = made_thread(&made, 0, 1, "python3", 0x1000);
	call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "f", "/x/x.py", 1);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 10);
	for (uint32_t i = 0; i < FLAME_STACK_MAX + 10; i++)
		stacks[i] = (struct profile_stack){i ? i - 1 : PROFILE_NONE, 0};
	made.profile.stacks = stacks;
	made.profile.stack_cnt = FLAME_STACK_MAX + 10;
	made.entries[0].stack = FLAME_STACK_MAX + 9;
	file = render(&made.profile, &options);
	assert_int_equal(file->sample[0]->n_location_id, FLAME_STACK_MAX);
	asyncprof__profile__free_unpacked(file, NULL);
}

static void test_broken_output(void **state)
{
	struct flame_options options = {};
	FILE *out = broken_file();

	(void)state;
	if (!out)
		skip();
	made_shop(&made);
	assert_int_equal(pprof_print(out, &made.profile, &options, "0.1"), -ENOSPC);
	fclose(out);
	/* Also where it fails at the first byte, long before the end. */
	out = broken_file();
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(pprof_print(out, &made.profile, &options, "0.1"), -ENOSPC);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shop),	 cmocka_unit_test(test_options),
		cmocka_unit_test(test_mappings), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_comments), cmocka_unit_test(test_forged),
		cmocka_unit_test(test_empty),	 cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_deep),	 cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
