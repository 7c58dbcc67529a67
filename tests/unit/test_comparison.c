/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The table of two recordings: what grew, what shrank, by how much, and nothing twice. */
#include "cmocka_all.h"

#include <errno.h>

#include "profiles.h"
#include "report/comparison.h"
#include "stalls.h"

static struct made old, now;
static struct made_evil evil;

static const struct display plain = {.width = 80};

static void render(struct capture *capture, const struct display *display)
{
	struct flame_options options = {};
	struct flame *flame = flame__compare(&old.profile, &now.profile, &options);

	assert_non_null(flame);
	capture_open(capture);
	assert_int_equal(comparison_print(capture->file, display, flame), 0);
	flame__free(flame);
}

/* The line that has `name`, in a buffer of its own; fails without it or with two of them. */
static const char *line_of(const char *text, const char *name)
{
	static char line[256];
	const char *at = strstr(text, name), *start = at;

	assert_has(text, name);
	assert_int_equal(count(text, name), 1);
	while (start > text && start[-1] != '\n')
		start--;
	snprintf(line, sizeof(line), "%.*s", (int)(strcspn(at, "\n") + (size_t)(at - start)),
		 start);
	return line;
}

/* The rows between two headings. */
static void section(const char *text, const char *heading, char *out, size_t out_sz)
{
	const char *start = strstr(text, heading), *end;

	out[0] = 0;
	if (!start)
		return;
	start += strlen(heading) + 1;
	start += strspn(start, " ");
	start += strcspn(start, "\n") + 1; /* names of columns */
	end = strstr(start, "\n\n");
	snprintf(out, out_sz, "%.*s", (int)(end ? (size_t)(end - start) : strlen(start)), start);
}

static void assert_within(const char *text, size_t width)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > width)
			fail_msg("%zu columns: %.*s", len, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void test_shop(void **state)
{
	struct capture capture;
	char part[2048];

	(void)state;
	made_shop(&old);
	made_shop(&now);
	now.entries[0].ns = 300000000; /* query: 100 -> 300 ms */
	now.entries[1].ns = 450000000; /* recvfrom: 900 -> 450 ms */
	now.entries[3].ns = 0;	       /* tcp_sendmsg: gone */
	render(&capture, &plain);
	assert_has(capture_text(&capture),
		   "wall time in 30.00 s: 1.63 s before, 1.36 s now, -270 ms (-17 %)");
	section(capture_text(&capture), "More time in itself", part, sizeof(part));
	assert_string_equal(part, "      100 ms      300 ms     +200 ms  +200 %  query (db.py)");
	section(capture_text(&capture), "Less time in itself", part, sizeof(part));
	assert_string_equal(line_of(part, "recvfrom"),
			    "      900 ms      450 ms     -450 ms   -50 %  recvfrom 10.0.0.7:443");
	assert_string_equal(line_of(part, "tcp_sendmsg"),
			    "       20 ms           0      -20 ms    gone  tcp_sendmsg_[k]");
	assert_has_not(part, "query");
	section(capture_text(&capture), "Less time with all it calls", part, sizeof(part));
	assert_has(line_of(part, "query (db.py)"), "-250 ms");
	assert_has(line_of(part, "Worker.run (work.py)"), "-250 ms");
	assert_has(line_of(part, "fetch (web.py)"), "-20 ms");
	assert_has_not(capture_text(&capture), "More time with all it calls");
	assert_has(capture_text(&capture), "\n      before         now      change\n");
	assert_has_not(capture_text(&capture), "No function changed");
	assert_within(capture_text(&capture), 80);
	capture_close(&capture);
}

/* A function that moved by three lines is the same function. */
static void test_lines_move(void **state)
{
	struct capture capture;

	(void)state;
	made_shop(&old);
	made_shop(&now);
	now.frames[1].line += 3;
	render(&capture, &plain);
	assert_has(capture_text(&capture), "1.63 s before, 1.63 s now");
	assert_has_not(capture_text(&capture), "More time");
	assert_has_not(capture_text(&capture), "Less time");
	assert_has(capture_text(&capture), "No function changed");
	capture_close(&capture);
}

/* Half as long, half of everything: nothing changed, and it says why. */
static void test_scaled(void **state)
{
	struct capture capture;

	(void)state;
	made_shop(&old);
	made_shop(&now);
	old.profile.duration_ns /= 2;
	for (size_t i = 0; i < old.profile.entry_cnt; i++)
		old.entries[i].ns /= 2;
	render(&capture, &plain);
	assert_has(capture_text(&capture), "1.63 s before, 1.63 s now");
	assert_has(capture_text(&capture), "scaled");
	assert_has_not(capture_text(&capture), "More time");
	capture_close(&capture);
}

/* fact() calls fact() calls fact(): its total is that of the outermost. */
static void test_recursion(void **state)
{
	uint32_t loop, call;
	struct capture capture;
	char part[2048];

	(void)state;
	made_init(&old);
	made_process(&old, 1, "python3", NULL);
	made_thread(&old, 0, 1, "python3", 0x1000);
	made_init(&now);
	made_process(&now, 1, "python3", NULL);
	loop = made_thread(&now, 0, 1, "python3", 0x1000);
	call = made_call(&now, PROFILE_NONE, FRAME_PYTHON, "fact", "x.py", 1);
	made_entry(&now, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 10 * MS);
	call = made_call(&now, call, FRAME_PYTHON, "other", "x.py", 9);
	call = made_call(&now, call, FRAME_PYTHON, "fact", "x.py", 2);
	made_entry(&now, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 20 * MS);
	call = made_call(&now, call, FRAME_PYTHON, "fact", "x.py", 1);
	made_entry(&now, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 30 * MS);
	call = made_call(&now, PROFILE_NONE, FRAME_PYTHON, "fact", "x.py", 5);
	made_entry(&now, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU, 40 * MS);
	render(&capture, &plain);
	section(capture_text(&capture), "More time with all it calls", part, sizeof(part));
	assert_has(line_of(part, "fact (x.py)"), "  100 ms     +100 ms     new  fact");
	assert_has(line_of(part, "other (x.py)"), "  50 ms      +50 ms     new  other");
	section(capture_text(&capture), "More time in itself", part, sizeof(part));
	assert_has(line_of(part, "fact (x.py)"), "+100 ms");
	assert_has_not(part, "other");
	capture_close(&capture);
}

/* A change of less than a two hundredth of all is not shown, but with -v. */
static void test_small(void **state)
{
	struct display verbose = {.width = 80, .verbose = true};
	struct capture capture;

	(void)state;
	made_shop(&old);
	made_shop(&now);
	now.entries[0].ns += 8 * MS;
	render(&capture, &plain);
	assert_has_not(capture_text(&capture), "More time");
	capture_close(&capture);
	render(&capture, &verbose);
	assert_has(capture_text(&capture), "+8.00 ms");
	capture_close(&capture);
	now.entries[0].ns += MS;
	render(&capture, &plain);
	assert_has(capture_text(&capture), "+9.00 ms");
	capture_close(&capture);
}

/* Many functions: the first ten of each direction, the rest counted; all of them with -v. */
static void test_many(void **state)
{
	struct display verbose = {.width = 80, .verbose = true};
	static char names[25][16];
	struct capture capture;
	char part[4096];

	(void)state;
	made_init(&old);
	made_init(&now);
	for (int version = 0; version < 2; version++) {
		struct made *made = version ? &now : &old;
		uint32_t loop;

		made_process(made, 1, "python3", NULL);
		loop = made_thread(made, 0, 1, "python3", 0x1000);
		for (int i = 0; i < 25; i++) {
			uint32_t call;

			snprintf(names[i], sizeof(names[i]), "f%02d", i);
			call = made_call(made, PROFILE_NONE, FRAME_PYTHON, names[i], "x.py", 1);
			made_entry(made, loop, PROFILE_NONE, call, POINT_CPU, CAUSE_CPU,
				   (version ? (i + 2) * 10 : 10) * MS);
		}
	}
	render(&capture, &plain);
	section(capture_text(&capture), "More time in itself", part, sizeof(part));
	assert_int_equal(count(part, "(x.py)"), 10);
	assert_has(part, "and 15 more");
	assert_true(strstr(part, "f24") < strstr(part, "f23"));
	assert_has_not(part, "f14");
	capture_close(&capture);
	render(&capture, &verbose);
	section(capture_text(&capture), "More time in itself", part, sizeof(part));
	assert_int_equal(count(part, "(x.py)"), 25);
	assert_has_not(part, "more");
	capture_close(&capture);
}

static void test_hostile(void **state)
{
	struct display narrow = {.width = 40}, wide = {.width = 400, .full_filenames = true};
	struct capture capture;

	(void)state;
	made_shop(&old);
	made_evil(&evil, EVIL);
	now = evil.made; /* its profile points into `evil` */
	render(&capture, &narrow);
	assert_no_controls(capture_text(&capture), 1);
	assert_within(capture_text(&capture), 40);
	capture_close(&capture);
	render(&capture, &wide);
	assert_no_controls(capture_text(&capture), 1);
	assert_has(capture_text(&capture),
		   "funca\\x1b[2Jb\\u202ec\\xff\\x0d\\x0a\\x07\\x7f\"'\\%n");
	capture_close(&capture);
}

static void test_colour(void **state)
{
	struct display colour = {.width = 80, .colour = true};
	struct capture capture;

	(void)state;
	made_shop(&old);
	made_shop(&now);
	now.entries[0].ns *= 2;
	now.entries[1].ns /= 2;
	render(&capture, &colour);
	assert_has(capture_text(&capture), "\033[1;31m");
	assert_has(capture_text(&capture), "\033[32m");
	capture_close(&capture);
	render(&capture, &plain);
	assert_has_not(capture_text(&capture), "\033");
	capture_close(&capture);
}

/* What is missing is said. */
static void test_losses(void **state)
{
	struct capture capture;

	(void)state;
	made_shop(&old);
	made_shop(&now);
	render(&capture, &plain);
	assert_has_not(capture_text(&capture), "lost");
	assert_has_not(capture_text(&capture), "was cut");
	capture_close(&capture);
	old.profile.complete = false;
	now.profile.lost_cnt = 5;
	render(&capture, &plain);
	assert_has(capture_text(&capture), "5 events were lost");
	assert_has(capture_text(&capture), "was cut");
	capture_close(&capture);
}

static void test_broken_output(void **state)
{
	struct flame_options options = {};
	FILE *out = broken_file();
	struct flame *flame;

	(void)state;
	if (!out)
		skip();
	made_shop(&old);
	made_shop(&now);
	flame = flame__compare(&old.profile, &now.profile, &options);
	assert_int_equal(comparison_print(out, &plain, flame), -ENOSPC);
	fclose(out);
	/* Also where it fails at the first byte, long before the end. */
	out = broken_file();
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(comparison_print(out, &plain, flame), -ENOSPC);
	fclose(out);
	flame__free(flame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shop),	cmocka_unit_test(test_lines_move),
		cmocka_unit_test(test_scaled),	cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_small),	cmocka_unit_test(test_many),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_colour),
		cmocka_unit_test(test_losses),	cmocka_unit_test(test_broken_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
