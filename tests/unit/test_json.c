/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Each JSON object against the schema, field by field where it matters, and hostile names. */
#include "cmocka_all.h"

#include <errno.h>
#include <jansson.h>

#include "profiles.h"
#include "report/escape.h"
#include "report/json.h"
#include "report/schema.h"
#include "schema_check.h"
#include "stalls.h"

static void assert_fits(json_t *object)
{
	json_t *schema = schema_json();
	char why[256];

	assert_non_null(object);
	assert_non_null(schema);
	if (schema_check(schema, schema, object, why, sizeof(why))) {
		const char *type = json_string_value(json_object_get(object, "type"));
		json_t *definition = json_object_get(json_object_get(schema, "$defs"), type);

		schema_check(schema, definition, object, why, sizeof(why));
		fail_msg("%s: %s", type, why);
	}
	json_decref(schema);
}

static double number(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	assert_true(json_is_number(value));
	return json_number_value(value);
}

static const char *string(json_t *object, const char *key)
{
	assert_true(json_is_string(json_object_get(object, key)));
	return json_string_value(json_object_get(object, key));
}

static void assert_null_at(json_t *object, const char *key)
{
	assert_non_null(json_object_get(object, key));
	assert_true(json_is_null(json_object_get(object, key)));
}

static void test_start(void **state)
{
	static const struct run_target targets[] = {
		{100, "python3", "3.11.2", "/usr/bin/python3.11", 1},
		{101, NULL, NULL, NULL, -1},
	};
	static const char *const degraded[] = {"gc stays inside cpu"};
	struct run_start start = {
		.version = "0.1",
		.unix_ns = 1700000000500000000LL,
		.targets = targets,
		.target_cnt = 2,
		.tier = "exact",
		.threshold_ns = 100 * MS,
		.kernel = "6.18.0",
		.degraded = degraded,
		.degraded_cnt = 1,
	};
	json_t *object = json_of_start(&start), *target;

	(void)state;
	assert_fits(object);
	assert_true(number(object, "ts") == 1700000000.5);
	assert_true(number(object, "threshold_ms") == 100);
	target = json_array_get(json_object_get(object, "targets"), 0);
	assert_true(json_is_true(json_object_get(target, "stripped")));
	target = json_array_get(json_object_get(object, "targets"), 1);
	assert_null_at(target, "stripped");
	assert_null_at(target, "python");
	json_decref(object);
}

static void test_joined(void **state)
{
	static const char *const degraded[] = {"it was forked"};
	struct run_joined joined = {
		.unix_ns = 1700000000500000000LL,
		.target = {102, "worker", "3.11.2", NULL, 0},
		.parent = 100,
		.degraded = degraded,
		.degraded_cnt = 1,
	};
	json_t *object = json_of_joined(&joined), *target;

	(void)state;
	assert_fits(object);
	assert_string_equal(string(object, "type"), "joined");
	assert_true(number(object, "ts") == 1700000000.5);
	assert_true(number(object, "parent") == 100);
	target = json_object_get(object, "target");
	assert_true(number(target, "pid") == 102);
	assert_true(json_is_false(json_object_get(target, "stripped")));
	assert_null_at(target, "exe");
	assert_int_equal(json_array_size(json_object_get(object, "degraded")), 1);
	json_decref(object);
}

static void test_slow(void **state)
{
	struct stall stall = stall_of_sleep();
	json_t *object = json_of_stall(&stall), *frame, *budget;

	(void)state;
	assert_fits(object);
	assert_string_equal(string(object, "type"), "slow");
	assert_string_equal(string(object, "id"), "100-101-7");
	assert_string_equal(string(object, "task"), "Task-5");
	assert_string_equal(string(object, "coro"), "Server.handle");
	assert_string_equal(string(object, "cause"), "sleep");
	assert_string_equal(string(object, "loop"), "0x7f0000001000");
	assert_true(number(object, "duration_ms") == 153);
	assert_true(number(object, "duration_lo_ms") == 152);
	assert_true(number(object, "line") == 12);
	assert_null_at(object, "callback");
	assert_null_at(object, "fd");
	assert_null_at(object, "gil_holder");
	budget = json_object_get(object, "budget_ms");
	assert_true(number(budget, "syscall") == 150);
	assert_true(number(budget, "lock") == 0);
	assert_null_at(budget, "gc");
	assert_null_at(budget, "steal");
	frame = json_array_get(json_object_get(object, "stack"), 3);
	assert_string_equal(string(frame, "func"), "Server.handle");
	assert_true(number(frame, "line") == 40);
	json_decref(object);
}

static void test_unknown_is_null(void **state)
{
	static const struct stall_frame unknown[] = {{NULL, NULL, 0}};
	struct stall stall = stall_of_nothing();
	json_t *object, *frame;

	(void)state;
	stall.frames = unknown;
	stall.frame_cnt = 1;
	object = json_of_stall(&stall);
	assert_fits(object);
	assert_null_at(object, "start_ts");
	assert_null_at(object, "duration_ms");
	assert_null_at(object, "budget_ms");
	assert_null_at(object, "task");
	assert_null_at(object, "file");
	assert_null_at(object, "line");
	assert_null_at(object, "loop");
	assert_null_at(object, "stack_at_ms");
	frame = json_array_get(json_object_get(object, "stack"), 0);
	assert_null_at(frame, "func");
	assert_null_at(frame, "line");
	json_decref(object);
}

static void test_everything(void **state)
{
	struct stall stall = stall_of_sleep();
	json_t *object;

	(void)state;
	stall.cause = CAUSE_GIL;
	stall.causes = (1U << CAUSE_CNT) - 1;
	stall.sampled = (1U << PART_CNT) - 1;
	stall.holder_known = true;
	stall.holder = stall_frames[0];
	stall.holder_comm = "worker";
	object = json_of_stall(&stall);
	assert_null_at(json_object_get(object, "gil_holder"), "tid");
	json_decref(object);
	stall.holder_tid = 77;
	for (int kind = 0; kind < FD_KIND_CNT; kind++) {
		stall.fd = (struct stall_fd){3, kind, "/srv/x", NULL};
		object = json_of_stall(&stall);
		assert_fits(object);
		json_decref(object);
	}
	for (int kind = 0; kind < STALL_KIND_CNT; kind++) {
		stall.kind = kind;
		object = json_of_stall(&stall);
		assert_fits(object);
		json_decref(object);
	}
	/* A path that was given to open(). */
	stall.fd = (struct stall_fd){-1, FD_NONE, "/srv/x", NULL};
	object = json_of_stall(&stall);
	assert_fits(object);
	assert_null_at(json_object_get(object, "fd"), "num");
	assert_string_equal(string(json_object_get(object, "fd"), "path"), "/srv/x");
	json_decref(object);
}

/* One line of ASCII that gives back what went in, or \xHH where that was no text. */
static void test_hostile(void **state)
{
	struct stall stall = stall_of_evil(EVIL);
	struct capture capture;
	const char *line;
	json_t *object;

	(void)state;
	capture_open(&capture);
	assert_int_equal(json_print_stall(capture.file, &stall), 0);
	assert_has(capture_text(&capture), "\\u007f");
	line = capture_text(&capture);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	for (const char *c = line; *c; c++)
		assert_true((unsigned char)*c < 0x7f);
	object = json_loads(line, 0, NULL);
	assert_fits(object);
	assert_string_equal(string(object, "task"), "a\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n");
	json_decref(object);
	capture_close(&capture);
}

static void test_summary(void **state)
{
	struct loop_place place = {"Server.handle", NULL, 0,	    STALL_TASK,
				   CAUSE_SLEEP,	    2,	  300 * MS, 200 * MS};
	struct loop loop = {
		.pid = 100,
		.tid = 101,
		.comm = "python3",
		.has_account = true,
		.account = {.hits = 12,
			    .closed = {[AP_END_NEXT] = 9},
			    .ignored = {[AP_IGN_CALLER] = 2},
			    .open = 1,
			    .iterations = 5,
			    .busy_ns = 250,
			    .idle_ns = 750},
		.places = &place,
		.place_cnt = 1,
	};
	struct loop unknown = {.pid = 100, .tid = 102};
	const struct loop *loops[] = {&loop, &unknown};
	struct run_summary summary = {
		.tier = "exact",
		.duration_ns = 2000 * MS,
		.sent = {.attempted = {[AP_SLOW] = 5}, .dropped = {[AP_SLOW] = 1}},
		.synthesised = {[AP_SLOW] = 3},
		.received = {[AP_SLOW] = 7},
		.hit_ns = 900,
		.overhead_ns = 10 * MS,
		.loops = loops,
		.loop_cnt = 2,
	};
	json_t *object = json_of_summary(&summary), *item;

	(void)state;
	assert_fits(object);
	item = json_array_get(json_object_get(object, "loops"), 0);
	assert_true(number(item, "busy_ratio") == 0.25);
	assert_true(number(item, "iterations") == 5);
	item = json_array_get(json_object_get(object, "loops"), 1);
	assert_null_at(item, "busy_ratio");
	assert_null_at(item, "iterations");
	item = json_object_get(object, "accounting");
	assert_true(json_is_true(json_object_get(item, "holds")));
	item = json_object_get(object, "records");
	assert_true(number(item, "sent") == 4);
	assert_true(number(item, "received") == 4);
	assert_true(json_is_true(json_object_get(item, "holds")));
	item = json_object_get(object, "overhead_estimated");
	assert_true(number(item, "ratio") == 0.005);
	json_decref(object);

	loop.account.hits++;
	summary.received[AP_SLOW]++;
	summary.homeless = (struct ap_account){.hits = 4, .ignored = {[AP_IGN_NO_THREAD] = 4}};
	summary.overhead_ns = -1;
	summary.hit_ns = 0;
	object = json_of_summary(&summary);
	assert_fits(object);
	item = json_object_get(object, "accounting");
	assert_true(number(item, "hits") == 17);
	assert_true(json_is_false(json_object_get(item, "holds")));
	item = json_object_get(object, "records");
	assert_true(json_is_false(json_object_get(item, "holds")));
	assert_null_at(object, "overhead_estimated");
	json_decref(object);
}

static struct made made;
static struct made_evil evil;

/* The line of an entry, read back. */
static json_t *entry_line(const struct profile_entry *entry)
{
	struct capture capture;
	json_t *object;

	capture_open(&capture);
	assert_int_equal(json_print_stack(capture.file, &made.profile, entry), 0);
	object = json_loads(capture_text(&capture), 0, NULL);
	capture_close(&capture);
	assert_fits(object);
	return object;
}

static void test_stack(void **state)
{
	json_t *object, *stack, *frame;

	(void)state;
	made_shop(&made);
	for (size_t i = 0; i < made.profile.entry_cnt; i++) {
		object = entry_line(&made.entries[i]);
		assert_true(number(object, "ms") == (double)made.entries[i].ns / 1e6);
		json_decref(object);
	}

	/* A wait is measured, and leaf first. */
	object = entry_line(&made.entries[1]);
	assert_string_equal(string(object, "kind"), "blocked");
	assert_string_equal(string(object, "cause"), "socket");
	assert_string_equal(string(object, "what"), "task");
	assert_string_equal(string(object, "task"), "worker");
	assert_string_equal(string(object, "coro"), "Worker.run");
	assert_string_equal(string(object, "loop"), "0x7f0000001000");
	assert_string_equal(string(object, "thread"), "python3");
	assert_null_at(object, "callback");
	assert_true(json_is_false(json_object_get(object, "sampled")));
	assert_true(number(object, "ts") == 1700000000.5);
	stack = json_object_get(object, "stack");
	assert_int_equal(json_array_size(stack), 3);
	frame = json_array_get(stack, 0);
	assert_string_equal(string(frame, "kind"), "wait");
	assert_string_equal(string(frame, "func"), "recvfrom");
	assert_string_equal(string(frame, "file"), "10.0.0.7:443");
	assert_null_at(frame, "line");
	frame = json_array_get(stack, 2);
	assert_string_equal(string(frame, "func"), "Worker.run");
	assert_true(number(frame, "line") == 40);
	json_decref(object);

	/* On CPU: sampled. A thread of a pool: no loop, and nothing that a loop ran. */
	object = entry_line(&made.entries[7]);
	assert_true(json_is_true(json_object_get(object, "sampled")));
	assert_null_at(object, "loop");
	assert_null_at(object, "what");
	assert_null_at(object, "task");
	json_decref(object);

	/* No stack: an empty list. */
	object = entry_line(&made.entries[5]);
	assert_int_equal(json_array_size(json_object_get(object, "stack")), 0);
	json_decref(object);

	/* Nanoseconds, and more of them than a double has digits. */
	made.entries[5].ns = 123456789012345678LL;
	made.entries[5].cnt = UINT64_MAX / 2;
	object = entry_line(&made.entries[5]);
	assert_true(number(object, "ms") == 123456789012.345678);
	assert_true(number(object, "count") == (double)(UINT64_MAX / 2));
	json_decref(object);
}

static void test_hostile_stack(void **state)
{
	struct capture capture;
	json_t *object;

	(void)state;
	made_evil(&evil, EVIL);
	capture_open(&capture);
	assert_int_equal(json_print_stack(capture.file, &evil.made.profile, &evil.made.entries[1]),
			 0);
	assert_no_controls(capture_text(&capture), 1);
	assert_int_equal(count(capture_text(&capture), "\n"), 1);
	object = json_loads(capture_text(&capture), 0, NULL);
	assert_fits(object);
	assert_string_equal(string(object, "coro"), "coroa\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n");
	json_decref(object);
	capture_close(&capture);
}

/* The whole of Unicode, and bytes that are none of it, against what jansson reads and writes. */
static void test_string(void **state)
{
	static char name[5000], escaped[ESCAPE_SZ(sizeof(name))];
	struct capture capture;
	json_t *read;

	(void)state;
	capture_open(&capture);
	assert_int_equal(json_print_string(capture.file, "a\"\\\n\x7f\xff\xc3\xa4</script>"), 0);
	assert_int_equal(json_print_string(capture.file, NULL), 0);
	assert_string_equal(capture_text(&capture),
			    "\"a\\\"\\\\\\n\\u007F\\\\xff\\u00E4</script>\"null");
	for (uint32_t first = 1; first < 0x110000; first += 0x1234) {
		size_t len = 0;

		for (uint32_t c = first; c < first + 1000; c++) {
			char *at = name + len;

			if (c >= 0x10000)
				*at++ = (char)(0xf0 | c >> 18),
				*at++ = (char)(0x80 | (c >> 12 & 0x3f));
			else if (c >= 0x800)
				*at++ = (char)(0xe0 | c >> 12);
			if (c >= 0x800)
				*at++ = (char)(0x80 | (c >> 6 & 0x3f));
			else if (c >= 0x80)
				*at++ = (char)(0xc0 | c >> 6);
			*at++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
			len = (size_t)(at - name);
		}
		name[len] = 0;
		capture_reset(&capture);
		assert_int_equal(json_print_string(capture.file, name), 0);
		assert_no_controls(capture_text(&capture), 0);
		read = json_loads(capture_text(&capture), JSON_DECODE_ANY, NULL);
		escape_json(escaped, sizeof(escaped), name, len);
		assert_true(json_is_string(read));
		assert_string_equal(json_string_value(read), escaped);
		json_decref(read);
	}
	capture_close(&capture);
}

static void test_forged_entry(void **state)
{
	struct capture capture;

	(void)state;
	made_shop(&made);
	made.entries[0].task = 77;
	made.entries[0].stack = 77;
	made.entries[0].cause = (enum cause)77;
	made.entries[0].ns = -1;
	json_decref(entry_line(&made.entries[0]));
	capture_open(&capture);
	made.entries[1].thread = 77;
	assert_int_equal(json_print_stack(capture.file, &made.profile, &made.entries[1]), 0);
	made.threads[0].process = 77;
	assert_int_equal(json_print_stack(capture.file, &made.profile, &made.entries[0]), 0);
	assert_string_equal(capture_text(&capture), "");
	capture_close(&capture);
}

/* The checker itself must be able to say no. */
static void test_checker(void **state)
{
	struct stall stall = stall_of_sleep();
	json_t *schema = schema_json(), *object = json_of_stall(&stall);
	char why[256];

	(void)state;
	assert_int_equal(schema_check(schema, schema, object, why, sizeof(why)), 0);
	json_object_set_new(object, "surprise", json_true());
	assert_int_equal(schema_check(schema, schema, object, why, sizeof(why)), -1);
	json_object_del(object, "surprise");
	json_object_set_new(object, "cause", json_string("magic"));
	assert_int_equal(schema_check(schema, schema, object, why, sizeof(why)), -1);
	json_object_set_new(object, "cause", json_null());
	assert_int_equal(schema_check(schema, schema, object, why, sizeof(why)), -1);
	json_object_set_new(object, "cause", json_string("cpu"));
	json_object_del(object, "tid");
	assert_int_equal(schema_check(schema, schema, object, why, sizeof(why)), -1);
	json_decref(object);
	json_decref(schema);
}

static void test_print_schema(void **state)
{
	struct capture capture;
	json_t *object, *schema = schema_json();

	(void)state;
	capture_open(&capture);
	assert_int_equal(schema_print(capture.file), 0);
	object = json_loads(capture_text(&capture), 0, NULL);
	assert_true(json_equal(object, schema));
	json_decref(object);
	json_decref(schema);
	capture_close(&capture);
}

static void test_broken_output(void **state)
{
	struct stall stall = stall_of_sleep();
	FILE *out = broken_file();

	(void)state;
	if (!out)
		skip();
	assert_int_equal(json_print_stall(out, &stall), -EIO);
	assert_int_equal(schema_print(out), -EIO);
	fclose(out);
	out = broken_file();
	made_shop(&made);
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(json_print_stack(out, &made.profile, &made.entries[0]), -ENOSPC);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_joined),		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_unknown_is_null), cmocka_unit_test(test_everything),
		cmocka_unit_test(test_hostile),		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_checker),		cmocka_unit_test(test_print_schema),
		cmocka_unit_test(test_stack),		cmocka_unit_test(test_hostile_stack),
		cmocka_unit_test(test_string),		cmocka_unit_test(test_forged_entry),
		cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
