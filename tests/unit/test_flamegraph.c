/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The picture as bytes: well-formed whatever the names are, widths that are the times, what is
 * left out counted. With a folder as argument it writes pictures there instead, for the test
 * that opens them in a browser.
 */
#include <errno.h>
#include <stdio.h>

#include "cmocka_all.h"
#include "flames.h"
#include "markup_check.h"
#include "report/flamegraph.h"
#include "report/flamegraph_draw.h"
#include "report/markup.h"

typedef int (*render)(FILE *out, const struct flame *flame, const struct flamegraph *words);

static const struct flamegraph words = {
	.title = "gunicorn (4211), 30 s, wall",
	.subtitle = "on CPU sampled at 99 Hz, off CPU measured; 37 stalls; 12 events lost",
	.version = "0.1.0",
};

#define HOSTILE                                                                                    \
	"</script><script>window.pwned=1</script>",                                                \
		"</title></text></svg><img src=x "                                                 \
		"onerror=window.pwned=1>",                                                         \
		"\"' onload=\"window.pwned=1", "]]><x>", "&amp;&#x0;&lt;",                         \
		"a\nb\r\tc\033[31m\007", "\xff\xfe\xc0\x80\xed\xa0\x80",                           \
		"\u202egnp.exe\u2066\u200b", "\\x41\\u0042", "<!-- <![CDATA[ -->",                 \
		"javascript:window.pwned=1", "${window.pwned=1}",                                  \
		"\xef\xbf\xbf\xf0\x9f\x90\x8d 蛇", "${jndi:x}{{7*7}}"

/* Each as a function's name, a file's, a task's and a thread's. */
static void made_hostile(struct made *made)
{
	static const char *const names[] = {HOSTILE};
	uint32_t process, thread, stack;

	made_begin(made);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		process = made_process(made, 1, names[i]);
		thread = made_thread(made, process, 1, names[i], false);
		made_task(made, STALL_TASK, names[i], false, names[i], NULL);
		stack = py(made, PROFILE_NONE, names[i], names[i], 1);
		stack = made_stack(made, stack, FRAME_NATIVE, names[i], names[i], 0);
		stack = made_stack(made, stack, FRAME_WAIT, names[i], names[i], 0);
		made_entry(made, thread, (uint32_t)i, stack, POINT_BLOCKED, 100 * MS, 1);
	}
}

/* `cnt` functions below one, each with one child: more than a picture can show. */
static void made_large(struct made *made, int cnt)
{
	uint32_t thread, root, stack;

	made_begin(made);
	thread = made_thread(made, made_process(made, 1, "wide"), 1, "wide", false);
	root = py(made, PROFILE_NONE, "main", "main.py", 1);
	for (int i = 0; i < cnt; i++) {
		struct profile *p = &made->profile;
		uint32_t frame = MADE_ADD(p->frames, p->frame_cnt,
					  (struct profile_frame){.kind = FRAME_PYTHON,
								 .func = "leaf",
								 .file = "main.py",
								 .line = i + 2});

		stack = MADE_ADD(p->stacks, p->stack_cnt,
				 (struct profile_stack){.parent = root, .frame = frame});
		made_entry(made, thread, PROFILE_NONE, stack, POINT_CPU, i % 100 ? MS : 1000 * MS,
			   1);
	}
}

static struct flame *fold(const struct made *made)
{
	struct flame_options options = {.by = FLAME_BY_TASK};
	struct flame *flame = flame__new(&made->profile, &options);

	assert_non_null(flame);
	return flame;
}

/* The document, to be freed. */
static char *draw(render how, const struct flame *flame, const struct flamegraph *with)
{
	char *text = NULL;
	size_t sz = 0;
	FILE *out = open_memstream(&text, &sz);

	assert_non_null(out);
	assert_int_equal(how(out, flame, with), 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), sz); /* no NUL in it */
	return text;
}

static void assert_well_formed(const char *text)
{
	size_t where = 0;
	const char *wrong = markup_check(text, &where);

	if (wrong)
		fail_msg("%s at %zu: %.60s", wrong, where, text + (where > 30 ? where - 30 : 0));
}

static size_t count(const char *text, const char *what)
{
	size_t cnt = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		cnt++;
	return cnt;
}

/* The checker itself must see what it is for. */
static void test_checker(void **state)
{
#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	static const char *const good[] = {XML "<a/>", XML "<a b=\"&quot;'>\">x &amp; y<c/></a>\n",
					   XML "<a><![CDATA[<&]]></a>"};
	static const char *const bad[] = {XML "<a>",
					  XML "<a></b>",
					  XML "<a b=c/>",
					  XML "<a b=\"<\"/>",
					  XML "<a>&x;</a>",
					  XML "<a>\001</a>",
					  XML "<a>\xff</a>",
					  XML "<a>\xc3</a>",
					  XML "<a/><b/>",
					  XML "x<a/>",
					  XML "",
					  "<a/>",
					  XML "<a>]]></a>",
					  XML "<a>< 0.01</a>",
					  XML "<a b=\"\"c=\"\"/>",
					  XML "<a b=\"1\" \"/>"};
	size_t where;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(markup_check(good[i], &where));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!markup_check(bad[i], &where))
			fail_msg("took %s", bad[i]);
	}
}

static void test_markup_bytes(void **state)
{
	(void)state;
	for (int first = 1; first < 256; first++) {
		for (int second = 1; second < 256; second++) {
			char in[] = {(char)first, (char)second, 0}, *text = NULL;
			size_t sz = 0;
			FILE *out = open_memstream(&text, &sz);

			assert_non_null(out);
			fputs(XML "<a b=\"", out);
			markup_text(out, in);
			fputs("\">", out);
			markup_text(out, in);
			fputs("</a>", out);
			fclose(out);
			assert_well_formed(text);
			free(text);
		}
	}
}

static void test_markup_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"<a b=\"c\" d='e'>&amp;", "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;"},
		{"a\nb\xff\u202e", "a\\x0ab\\xff\\u202e"},
		{"\u00e9\u86c7", "\u00e9\u86c7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = NULL;
		size_t sz = 0;
		FILE *out = open_memstream(&text, &sz);

		assert_non_null(out);
		markup_text(out, rows[i].in);
		fclose(out);
		assert_string_equal(text, rows[i].out);
		free(text);
	}
}

static void test_markup_long(void **state)
{
	size_t sz = 300000, out_sz = 0;
	char *in = malloc(sz + 1), *text = NULL;
	FILE *out = open_memstream(&text, &out_sz);

	(void)state;
	assert_non_null(in);
	assert_non_null(out);
	memset(in, '<', sz);
	in[sz] = 0;
	markup_text(out, in);
	fclose(out);
	assert_int_equal(out_sz, sz * 4);
	free(in);
	free(text);
}

static void test_service(void **state)
{
	static const char *const wanted[] = {
		"<title>gunicorn (4211), 30 s, wall</title>",
		">13.78 s on CPU or blocked, by task<",
		"37 stalls; 12 events lost<",
		"<title>poll 10.0.0.7:5432\n2.48 s, 18.0 % of all, 100.0 % of its caller\n"
		"2.48 s of its own, seen 31 times</title>",
		"<title>OrderService.run (orders.py:41)\n/srv/shop/shop/orders.py:41\n6.56 s, ",
		">task nightly report</text>",
		"class=\"f library\"",
		"class=\"f wait\"",
		"asyncprof 0.1.0<",
	};
	struct made made;
	struct flame *flame;
	char *text;

	(void)state;
	made_service(&made, 0);
	flame = fold(&made);
	text = draw(flamegraph_svg, flame, &words);
	assert_well_formed(text);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!strstr(text, wanted[i]))
			fail_msg("no %s", wanted[i]);
	}
	assert_int_equal(count(text, "<svg class=\"f "), flame->node_cnt);
	assert_null(strstr(text, "left out"));
	free(text);
	text = draw(flamegraph_html, flame, &words);
	assert_int_equal(count(text, "<svg class=\"f "), flame->node_cnt);
	assert_int_equal(count(text, "<script>"), 1);
	assert_int_equal(count(text, "</script>"), 1);
	/* Nothing from elsewhere: the only addresses are names of namespaces. */
	assert_int_equal(count(text, "://"), count(text, "http://www.w3.org/"));
	assert_null(strstr(text, "url("));
	free(text);
	flame__free(flame);
	made_clear(&made);
}

/* Where each frame stands: next to the one before it, as wide as its time, below its parent. */
static void test_places(void **state)
{
	struct drawing drawing;
	struct made made;
	struct flame *flame;
	double *right;

	(void)state;
	made_service(&made, 0);
	flame = fold(&made);
	assert_int_equal(drawing__init(&drawing, flame), 0);
	assert_int_equal(drawing.drawn_cnt, flame->node_cnt);
	assert_int_equal(drawing.depth_max, flame->depth_max);
	right = calloc(flame->node_cnt, sizeof(*right));
	assert_non_null(right);
	for (size_t i = 0; i < drawing.drawn_cnt; i++) {
		const struct drawn *drawn = &drawing.drawn[i];
		const struct flame_node *node = &flame->nodes[drawn->node];
		double want = (double)node->total_ns / (double)flame->nodes[0].total_ns;

		assert_true(drawn->width > want - 1e-9 && drawn->width < want + 1e-9);
		if (i) {
			double at = right[node->parent];

			assert_true(drawn->x > at - 1e-9 && drawn->x < at + 1e-9);
			right[node->parent] = at + drawn->width;
		}
		right[drawn->node] = drawn->x;
	}
	free(right);
	drawing__clear(&drawing);
	flame__free(flame);
	made_clear(&made);
}

static void test_left_out(void **state)
{
	struct drawing drawing;
	struct made made;
	struct flame *flame;
	char *text;

	(void)state;
	/* 1 ms of 549.5 s is narrower than 0.1 px of 1200; 1 s is not. */
	made_large(&made, 50000);
	flame = fold(&made);
	assert_int_equal(drawing__init(&drawing, flame), 0);
	assert_int_equal(drawing.drawn_cnt, 4 + 500);
	assert_int_equal(drawing.left_out_cnt, 49500);
	assert_int_equal(drawing.left_out_ns, 49500 * MS);
	drawing__clear(&drawing);
	text = draw(flamegraph_svg, flame, &words);
	assert_well_formed(text);
	assert_non_null(
		strstr(text, "49500 frames too narrow to see are left out: 9.0 % of the time."));
	free(text);
	flame__free(flame);
	made_clear(&made);
}

/* What is nearly nothing never reads as nothing. */
static void test_small(void **state)
{
	struct made made;
	struct flame *flame;
	char *text;
	uint32_t thread;

	(void)state;
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	made_entry(&made, thread, PROFILE_NONE, py(&made, PROFILE_NONE, "small", "a.py", 1),
		   POINT_CPU, MS, 1);
	made_entry(&made, thread, PROFILE_NONE, py(&made, PROFILE_NONE, "large", "a.py", 1),
		   POINT_CPU, 10999 * MS, 1);
	flame = fold(&made);
	text = draw(flamegraph_svg, flame, &words);
	assert_well_formed(text);
	assert_non_null(
		strstr(text, "<title>small (a.py:1)\na.py:1\n1.00 ms, under 0.01 % of all"));
	free(text);
	flame__free(flame);
	made_clear(&made);
}

/* However many could be seen, only so many are drawn; the widest. */
static void test_cap(void **state)
{
	struct drawing drawing;
	struct made made;
	struct flame *flame;
	uint32_t stack = PROFILE_NONE, thread;
	int64_t least = INT64_MAX, most = 0;
	bool *is_drawn;

	(void)state;
	/* 60 deep, 1000 side by side. */
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	for (int i = 0; i < 1000; i++) {
		stack = PROFILE_NONE;
		for (int depth = 0; depth < 60; depth++) {
			struct profile *p = &made.profile;

			(void)MADE_ADD(p->frames, p->frame_cnt,
				       (struct profile_frame){.kind = FRAME_PYTHON,
							      .func = "f",
							      .file = "a.py",
							      .line = i + 1});
			stack = MADE_ADD(
				p->stacks, p->stack_cnt,
				(struct profile_stack){.parent = stack,
						       .frame = (uint32_t)p->frame_cnt - 1});
		}
		made_entry(&made, thread, PROFILE_NONE, stack, POINT_CPU, MS + i * 1000, 1);
	}
	flame = fold(&made);
	assert_int_equal(flame->node_cnt, 3 + 60000);
	assert_int_equal(drawing__init(&drawing, flame), 0);
	assert_true(drawing.drawn_cnt <= FLAMEGRAPH_DRAWN_MAX);
	assert_true(drawing.drawn_cnt > FLAMEGRAPH_DRAWN_MAX / 4);
	assert_int_equal(drawing.drawn_cnt + drawing.left_out_cnt, flame->node_cnt);
	is_drawn = calloc(flame->node_cnt, sizeof(*is_drawn));
	assert_non_null(is_drawn);
	for (size_t i = 0; i < drawing.drawn_cnt; i++)
		is_drawn[drawing.drawn[i].node] = true;
	for (size_t i = 0; i < flame->node_cnt; i++) {
		int64_t ns = flame->nodes[i].total_ns;

		if (is_drawn[i] && ns < least)
			least = ns;
		if (!is_drawn[i] && ns > most)
			most = ns;
		/* No orphans. */
		if (i && is_drawn[i])
			assert_true(is_drawn[flame->nodes[i].parent]);
	}
	assert_true(least > most);
	free(is_drawn);
	drawing__clear(&drawing);
	flame__free(flame);
	made_clear(&made);
}

static void test_hostile(void **state)
{
	static const struct flamegraph hostile[] = {
		{"</title><script>window.pwned=1</script>", "]]>\"'&<\001\xff", "\"><x>"},
		{"", NULL, ""},
	};
	struct made made;
	struct flame *flame;
	char *text;

	(void)state;
	made_hostile(&made);
	flame = fold(&made);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		text = draw(flamegraph_svg, flame, &hostile[i]);
		assert_well_formed(text);
		assert_int_equal(count(text, "<script>"), 1);
		assert_non_null(strstr(text, ">a\\x0ab\\x0d\\x09c\\x1b[31m\\x07 "));
		assert_non_null(strstr(text, "&lt;/script&gt;"));
		assert_null(strstr(text, "\u202e"));
		free(text);
		text = draw(flamegraph_html, flame, &hostile[i]);
		assert_int_equal(count(text, "<script>"), 1);
		assert_int_equal(count(text, "</script>"), 1);
		assert_null(strstr(text, "<img"));
		assert_null(strstr(text, "\u202e"));
		free(text);
	}
	flame__free(flame);
	made_clear(&made);
}

static void test_empty(void **state)
{
	struct made made;
	struct flame *flame;
	char *text;

	(void)state;
	made_begin(&made);
	flame = fold(&made);
	text = draw(flamegraph_svg, flame, &words);
	assert_well_formed(text);
	assert_non_null(strstr(text, "No time was recorded."));
	assert_null(strstr(text, "nan"));
	free(text);
	text = draw(flamegraph_html, flame, &words);
	assert_null(strstr(text, "nan"));
	free(text);
	flame__free(flame);
	made_clear(&made);
}

static struct flame *compare(void)
{
	struct flame_options options = {.by = FLAME_BY_TASK};
	struct made old, new;
	struct flame *flame;

	made_service(&old, 0);
	made_service(&new, 1);
	flame = flame__compare(&old.profile, &new.profile, &options);
	assert_non_null(flame);
	made_clear(&old);
	made_clear(&new);
	return flame;
}

static void test_compared(void **state)
{
	static const char *const wanted[] = {
		"class=\"f grown4\"",
		"class=\"f shrunk",
		"class=\"f same\"",
		", before 13.78 s,",
		">about the same</text>",
		"<title>poll 10.0.0.7:5432\n3.38 s, 22.8 % of all, 100.0 % of its caller\n"
		"3.38 s of its own, seen 31 times\nbefore: 2.48 s, now 900 ms more (+36.3 "
		"%)</title>",
		"before: 0 us, now 800 ms more</title>",
		/* Gone, and there all the same: widths can be those of before. */
		"data-t=\"0\" data-o=\"750000000\" display=\"none\"><title>sleep_politely",
	};
	struct flame *flame = compare();
	char *text = draw(flamegraph_svg, flame, &words);

	(void)state;
	assert_well_formed(text);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!strstr(text, wanted[i]))
			fail_msg("no %s", wanted[i]);
	}
	free(text);
	flame__free(flame);
}

/* A function that calls itself has its time once, in each row. */
static void test_table(void **state)
{
	struct made made;
	struct flame *flame;
	uint32_t thread, stack = PROFILE_NONE;
	char *text;

	(void)state;
	made_begin(&made);
	thread = made_thread(&made, made_process(&made, 1, "p"), 1, "t", false);
	for (int i = 0; i < 5; i++) {
		stack = py(&made, stack, "again", "a.py", 1);
		made_entry(&made, thread, PROFILE_NONE, stack, POINT_CPU, 10 * MS, 1);
	}
	stack = py(&made, stack, "leaf", "a.py", 2);
	made_entry(&made, thread, PROFILE_NONE, stack, POINT_CPU, 50 * MS, 1);
	flame = fold(&made);
	text = draw(flamegraph_html, flame, &words);
	assert_non_null(strstr(text, "<tr><td>50 ms</td><td>50.0 %</td><td>100 ms</td>"
				     "<td>100.0 %</td><td class=\"name\" title=\"a.py\">again"));
	assert_non_null(strstr(text, "<tr><td>50 ms</td><td>50.0 %</td><td>50 ms</td>"
				     "<td>50.0 %</td><td class=\"name\" title=\"a.py\">leaf"));
	assert_int_equal(count(text, "<tr>"), 3);
	free(text);
	flame__free(flame);
	made_clear(&made);
}

static void test_full_disk(void **state)
{
	struct made made;
	struct flame *flame;
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	made_service(&made, 0);
	flame = fold(&made);
	if (!out) {
		print_message("no /dev/full here\n");
		flame__free(flame);
		made_clear(&made);
		skip();
		return;
	}
	assert_true(flamegraph_svg(out, flame, &words) < 0);
	assert_true(flamegraph_html(out, flame, &words) < 0);
	fclose(out);
	flame__free(flame);
	made_clear(&made);
}

static void write_picture(const char *folder, const char *name, const struct flame *flame,
			  const struct flamegraph *with)
{
	static const struct {
		const char *suffix;
		render how;
	} formats[] = {{"svg", flamegraph_svg}, {"html", flamegraph_html}};

	for (size_t i = 0; i < 2; i++) {
		char path[4096];
		FILE *out;

		snprintf(path, sizeof(path), "%s/%s.%s", folder, name, formats[i].suffix);
		out = fopen(path, "w");
		if (!out || formats[i].how(out, flame, with) || fclose(out)) {
			perror(path);
			exit(1);
		}
	}
}

static int write_pictures(const char *folder)
{
	static const struct {
		const char *name;
		int which;
	} pictures[] = {{"service", 0}, {"hostile", 1}, {"large", 2}, {"empty", 3}};
	static const struct flamegraph hostile = {"</title><script>window.pwned=1</script>",
						  "<img src=x onerror=window.pwned=1>", "0"};
	struct flame *flame;
	struct made made;

	for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
		if (pictures[i].which == 0)
			made_service(&made, 0);
		else if (pictures[i].which == 1)
			made_hostile(&made);
		else if (pictures[i].which == 2)
			made_large(&made, 20000);
		else
			made_begin(&made);
		flame = fold(&made);
		made_clear(&made);
		write_picture(folder, pictures[i].name, flame,
			      pictures[i].which == 1 ? &hostile : &words);
		flame__free(flame);
	}
	flame = compare();
	write_picture(folder, "compared", flame, &words);
	flame__free(flame);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checker),	    cmocka_unit_test(test_markup_bytes),
		cmocka_unit_test(test_markup_long), cmocka_unit_test(test_markup_text),
		cmocka_unit_test(test_small),	    cmocka_unit_test(test_service),
		cmocka_unit_test(test_places),	    cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_cap),	    cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_empty),	    cmocka_unit_test(test_compared),
		cmocka_unit_test(test_table),	    cmocka_unit_test(test_full_disk),
	};

	if (argc == 2)
		return write_pictures(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
