/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* speedscope's file against its rules: frames, profiles, weights, and hostile names. */
#include "cmocka_all.h"

#include <errno.h>
#include <jansson.h>

#include "profiles.h"
#include "report/speedscope.h"
#include "stalls.h"

static struct made made;
static struct made_evil evil;

static json_t *render(const struct profile *profile, const struct flame_options *options)
{
	struct flame *flame = flame__new(profile, options);
	struct capture capture;
	json_error_t error;
	json_t *file;

	assert_non_null(flame);
	capture_open(&capture);
	assert_int_equal(speedscope_print(capture.file, flame, "a \"shop\"", "0.1"), 0);
	file = json_loads(capture_text(&capture), 0, &error);
	if (!file)
		fail_msg("line %d: %s", error.line, error.text);
	capture_close(&capture);
	flame__free(flame);
	return file;
}

static const char *string(json_t *object, const char *key)
{
	assert_true(json_is_string(json_object_get(object, key)));
	return json_string_value(json_object_get(object, key));
}

static json_t *frame_of(json_t *file, json_int_t number)
{
	json_t *frames = json_object_get(json_object_get(file, "shared"), "frames");
	json_t *frame = json_array_get(frames, (size_t)number);

	assert_true(number >= 0);
	assert_non_null(frame);
	return frame;
}

/* Weight of the sample with these names, outermost first, "a;b"; -1: there is none. */
static json_int_t weight_of(json_t *file, size_t profile_number, const char *names)
{
	json_t *profile = json_array_get(json_object_get(file, "profiles"), profile_number);
	json_t *samples = json_object_get(profile, "samples"), *sample, *number;
	json_int_t weight = -1;
	size_t i, j;

	json_array_foreach(samples, i, sample)
	{
		char line[1024] = "";

		json_array_foreach(sample, j, number)
		{
			const char *name =
				string(frame_of(file, json_integer_value(number)), "name");

			snprintf(line + strlen(line), sizeof(line) - strlen(line), j ? ";%s" : "%s",
				 name);
		}
		if (strcmp(line, names))
			continue;
		assert_int_equal(weight, -1); /* one sample a stack */
		weight = json_integer_value(json_array_get(json_object_get(profile, "weights"), i));
	}
	return weight;
}

/* The rules that hold for each file; returns the sum of all weights. */
static json_int_t check(json_t *file)
{
	json_t *profiles = json_object_get(file, "profiles"), *profile, *frames, *item;
	json_int_t sum = 0, end;
	size_t i, j, k;

	assert_string_equal(string(file, "$schema"),
			    "https://www.speedscope.app/file-format-schema.json");
	assert_string_equal(string(file, "exporter"), "asyncprof 0.1");
	assert_string_equal(string(file, "name"), "a \"shop\"");
	json_array_foreach(profiles, i, profile)
	{
		json_t *samples = json_object_get(profile, "samples");
		json_t *weights = json_object_get(profile, "weights"), *number;

		assert_string_equal(string(profile, "type"), "sampled");
		assert_string_equal(string(profile, "unit"), "nanoseconds");
		assert_int_equal(json_array_size(samples), json_array_size(weights));
		assert_int_equal(json_integer_value(json_object_get(profile, "startValue")), 0);
		end = json_integer_value(json_object_get(profile, "endValue"));
		sum += end;
		json_array_foreach(weights, j, item)
		{
			assert_true(json_integer_value(item) > 0);
			end -= json_integer_value(item);
		}
		assert_int_equal(end, 0);
		json_array_foreach(samples, j, item)
		{
			assert_true(json_array_size(item) > 0);
			json_array_foreach(item, k, number)
				frame_of(file, json_integer_value(number));
		}
	}
	/* speedscope adds up by frame: no two are the same. */
	frames = json_object_get(json_object_get(file, "shared"), "frames");
	for (i = 0; i < json_array_size(frames); i++) {
		for (j = 0; j < i; j++)
			assert_false(
				json_equal(json_array_get(frames, i), json_array_get(frames, j)));
	}
	return sum;
}

static void test_shop(void **state)
{
	struct flame_options options = {.threads = true};
	json_t *file, *profiles, *frame, *frames;
	size_t i;
	int found = 0;

	(void)state;
	made_shop(&made);
	file = render(&made.profile, &options);
	assert_int_equal(check(file), 1680000000);
	profiles = json_object_get(file, "profiles");
	assert_int_equal(json_array_size(profiles), 2);
	assert_string_equal(string(json_array_get(profiles, 0), "name"), "loop (python3)");
	assert_string_equal(string(json_array_get(profiles, 1), "name"), "thread pool_0");
	assert_int_equal(json_integer_value(json_object_get(file, "activeProfileIndex")), 0);
	assert_int_equal(weight_of(file, 0,
				   "task worker;Worker.run (work.py:40);query (db.py:17);"
				   "recvfrom 10.0.0.7:443"),
			 900000000);
	assert_int_equal(weight_of(file, 0, "task worker;Worker.run (work.py:40);query (db.py:17)"),
			 100000000);
	assert_int_equal(weight_of(file, 1, "<module> (pool.py:3)"), 50000000);

	frames = json_object_get(json_object_get(file, "shared"), "frames");
	json_array_foreach(frames, i, frame)
	{
		if (strcmp(string(frame, "name"), "query (db.py:17)"))
			continue;
		found++;
		assert_string_equal(string(frame, "file"), "/srv/shop/db.py");
		assert_int_equal(json_integer_value(json_object_get(frame, "line")), 17);
	}
	assert_int_equal(found, 1);
	json_decref(file);
}

/* The same function in two places of the tree is one frame, in two files it is two. */
static void test_frames(void **state)
{
	struct flame_options options = {};
	uint32_t loop, a, b;
	json_t *file;

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", NULL);
	loop = made_thread(&made, 0, 1, "python3", 0x1000);
	a = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "a", "/x/x.py", 1);
	b = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "b", "/x/x.py", 2);
	a = made_call(&made, a, FRAME_PYTHON, "leaf", "/x/leaf.py", 3);
	made_entry(&made, loop, PROFILE_NONE, a, POINT_CPU, CAUSE_CPU, 10);
	a = made_call(&made, b, FRAME_PYTHON, "leaf", "/x/leaf.py", 3);
	made_entry(&made, loop, PROFILE_NONE, a, POINT_CPU, CAUSE_CPU, 20);
	b = made_call(&made, b, FRAME_PYTHON, "leaf", "/y/leaf.py", 3);
	made_entry(&made, loop, PROFILE_NONE, b, POINT_CPU, CAUSE_CPU, 30);
	file = render(&made.profile, &options);
	assert_int_equal(check(file), 60);
	/* all, process, loop, a, b, and leaf twice. */
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(file, "shared"), "frames")), 7);
	json_decref(file);
}

/* Two processes: their profiles say whose they are, the heaviest is shown first. */
static void test_processes(void **state)
{
	struct flame_options options = {.per_process = true};
	json_t *file, *profiles;
	uint32_t call, loop;

	(void)state;
	made_init(&made);
	made_process(&made, 1, "python3", NULL);
	made_process(&made, 2, "python3", NULL);
	call = made_call(&made, PROFILE_NONE, FRAME_PYTHON, "f", "/x/x.py", 1);
	loop = made_thread(&made, 0, 1, "python3", 0x1000);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 10);
	loop = made_thread(&made, 1, 2, "python3", 0x1000);
	made_entry(&made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 20);
	file = render(&made.profile, &options);
	assert_int_equal(check(file), 30);
	profiles = json_object_get(file, "profiles");
	assert_int_equal(json_array_size(profiles), 2);
	assert_string_equal(string(json_array_get(profiles, 0), "name"),
			    "python3 (1): loop (python3)");
	assert_string_equal(string(json_array_get(profiles, 1), "name"),
			    "python3 (2): loop (python3)");
	assert_int_equal(json_integer_value(json_object_get(file, "activeProfileIndex")), 1);
	json_decref(file);
}

/* Time that belongs to no thread is not lost. */
static void test_homeless(void **state)
{
	struct flame_node nodes[] = {
		{.kind = FLAME_ALL,
		 .label = "all",
		 .parent = PROFILE_NONE,
		 .first_child = 1,
		 .next = PROFILE_NONE,
		 .self_ns = 5,
		 .total_ns = 12},
		{.kind = FLAME_PROCESS,
		 .label = "p",
		 .first_child = 2,
		 .next = PROFILE_NONE,
		 .depth = 1,
		 .self_ns = 4,
		 .total_ns = 7},
		{.kind = FLAME_LOOP,
		 .label = "loop",
		 .parent = 1,
		 .first_child = PROFILE_NONE,
		 .next = PROFILE_NONE,
		 .depth = 2,
		 .self_ns = 3,
		 .total_ns = 3},
	};
	struct flame flame = {.nodes = nodes, .node_cnt = 3, .depth_max = 2};
	struct capture capture;
	json_t *file;

	(void)state;
	capture_open(&capture);
	assert_int_equal(speedscope_print(capture.file, &flame, "a \"shop\"", "0.1"), 0);
	file = json_loads(capture_text(&capture), 0, NULL);
	assert_int_equal(check(file), 12);
	assert_int_equal(weight_of(file, 0, "all"), 5);
	assert_int_equal(weight_of(file, 1, "p"), 4);
	assert_int_equal(weight_of(file, 2, "loop"), 3);
	json_decref(file);
	capture_close(&capture);
}

/* Equal names are one frame wherever they are kept. */
static void test_addresses(void **state)
{
	char label[] = "f (x.py:1)", file_name[] = "/x.py";
	struct flame_node nodes[] = {
		{.kind = FLAME_ALL,
		 .label = "all",
		 .parent = PROFILE_NONE,
		 .first_child = 1,
		 .next = PROFILE_NONE,
		 .total_ns = 7},
		{.kind = FLAME_LOOP,
		 .label = "loop",
		 .first_child = 2,
		 .next = PROFILE_NONE,
		 .depth = 1,
		 .total_ns = 7},
		{.kind = FLAME_PYTHON,
		 .label = "f (x.py:1)",
		 .file = "/x.py",
		 .line = 1,
		 .parent = 1,
		 .first_child = 3,
		 .next = PROFILE_NONE,
		 .depth = 2,
		 .self_ns = 3,
		 .total_ns = 7},
		{.kind = FLAME_PYTHON,
		 .label = label,
		 .file = file_name,
		 .line = 1,
		 .parent = 2,
		 .first_child = PROFILE_NONE,
		 .next = PROFILE_NONE,
		 .depth = 3,
		 .self_ns = 4,
		 .total_ns = 4},
	};
	struct flame flame = {.nodes = nodes, .node_cnt = 4, .depth_max = 3};
	struct capture capture;
	json_t *file;

	(void)state;
	capture_open(&capture);
	assert_int_equal(speedscope_print(capture.file, &flame, "a \"shop\"", "0.1"), 0);
	file = json_loads(capture_text(&capture), 0, NULL);
	assert_int_equal(check(file), 7);
	assert_int_equal(weight_of(file, 0, "f (x.py:1);f (x.py:1)"), 4);
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(file, "shared"), "frames")), 3);
	json_decref(file);
	capture_close(&capture);
}

static void test_empty(void **state)
{
	struct flame_options options = {};
	json_t *file;

	(void)state;
	made_init(&made);
	file = render(&made.profile, &options);
	assert_int_equal(check(file), 0);
	assert_int_equal(json_array_size(json_object_get(file, "profiles")), 0);
	json_decref(file);
}

/* What is text comes back as it was, what is none as \xHH; the file itself is ASCII. */
static void test_hostile(void **state)
{
	static const char names[] = "coro" EVIL "</script>";
	struct flame_options options = {.by = FLAME_BY_COROUTINE, .full_filenames = true};
	struct capture capture;
	struct flame *flame;
	json_t *file;

	(void)state;
	made_evil(&evil, EVIL "</script>");
	flame = flame__new(&evil.made.profile, &options);
	capture_open(&capture);
	assert_int_equal(speedscope_print(capture.file, flame, names, "0.1"), 0);
	for (const char *c = capture_text(&capture); *c; c++)
		assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
	file = json_loads(capture_text(&capture), 0, NULL);
	assert_non_null(file);
	assert_string_equal(string(file, "name"),
			    "coroa\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n</script>");
	assert_int_equal(weight_of(file, 0,
				   "coro coroa\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n</script>;"
				   "outera\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n</script> "
				   "(/a/outera\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n</script>:1);"
				   "funca\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n</script> "
				   "(/a/filea\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n</script>:2)"),
			 70000000);
	json_decref(file);
	capture_close(&capture);
	flame__free(flame);
}

static void test_broken_output(void **state)
{
	struct flame_options options = {};
	FILE *out = broken_file();
	struct flame *flame;

	(void)state;
	if (!out)
		skip();
	made_shop(&made);
	flame = flame__new(&made.profile, &options);
	assert_int_equal(speedscope_print(out, flame, "x", "y"), -ENOSPC);
	fclose(out);
	/* Also where it fails at the first byte, long before the end. */
	out = broken_file();
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(speedscope_print(out, flame, "x", "y"), -ENOSPC);
	fclose(out);
	flame__free(flame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shop),	  cmocka_unit_test(test_frames),
		cmocka_unit_test(test_processes), cmocka_unit_test(test_homeless),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_empty),
		cmocka_unit_test(test_hostile),	  cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
