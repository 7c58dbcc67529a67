/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/comparison.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/node_groups.h"
#include "report/words.h"
#include "report/written.h"

#define ROWS_MAX     10
#define SMALL_PART   200 /* of all the time: a change below that is noise to most readers */
#define WIDTH_MIN    40
#define WIDTH_BOTH   70 /* from here on there is room for old and new beside the change */
#define COLUMNS_BOTH 47
#define COLUMNS_FEW  23

struct times {
	int64_t old_ns, new_ns;
};

/* All nodes of one function. */
struct group {
	const struct flame_node *node; /* one of them */
	struct times self, total;
	uint32_t inside; /* how many of its nodes the walk is below of */
};

struct table {
	int64_t small_ns; /* changes below it are only counted */
	struct node_groups nodes;
	struct group *groups; /* by number in `nodes`, until they are sorted */
};

/* The label without its line: "fetch (db.py:17)" is fetch in db.py. *tail: what follows the line.
 */
static size_t name_len(const struct flame_node *node, const char **tail)
{
	size_t len = strlen(node->label), line_len;
	char line[16];

	*tail = "";
	if (node->kind != FLAME_PYTHON || node->line <= 0)
		return len;
	line_len = (size_t)snprintf(line, sizeof(line), ":%d)", node->line);
	if (len <= line_len || strcmp(node->label + len - line_len, line))
		return len;
	*tail = ")";
	return len - line_len;
}

static int compare_functions(const void *left, const void *right)
{
	const struct flame_node *a = *(const struct flame_node *const *)left;
	const struct flame_node *b = *(const struct flame_node *const *)right;
	const char *a_tail, *b_tail;
	size_t a_len = name_len(a, &a_tail), b_len = name_len(b, &b_tail);
	int order = (a->kind > b->kind) - (a->kind < b->kind);

	if (!order)
		order = memcmp(a->label, b->label, a_len < b_len ? a_len : b_len);
	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int make_groups(const struct flame *flame, struct table *table)
{
	const struct flame_node *root = &flame->nodes[0];
	int err = node_groups__init(&table->nodes, flame, compare_functions);

	if (err)
		return err;
	table->groups = calloc(table->nodes.cnt + 1, sizeof(*table->groups));
	if (!table->groups)
		return -ENOMEM;
	table->small_ns =
		(root->total_ns > root->old_total_ns ? root->total_ns : root->old_total_ns) /
		SMALL_PART;
	for (size_t i = 0; i < table->nodes.cnt; i++)
		table->groups[i].node = table->nodes.first[i];
	return 0;
}

static void enter(struct group *group, const struct flame_node *node)
{
	group->self.old_ns += node->old_self_ns;
	group->self.new_ns += node->self_ns;
	/* Inside of itself: the outer one has this time already. */
	if (group->inside++)
		return;
	group->total.old_ns += node->old_total_ns;
	group->total.new_ns += node->total_ns;
}

static void add_up(const struct flame *flame, struct table *table)
{
	const struct flame_node *nodes = flame->nodes;
	uint32_t at = 0;

	for (;;) {
		enter(&table->groups[table->nodes.group_of[at]], &nodes[at]);
		if (nodes[at].first_child != PROFILE_NONE) {
			at = nodes[at].first_child;
			continue;
		}
		for (;;) {
			table->groups[table->nodes.group_of[at]].inside--;
			if (nodes[at].next != PROFILE_NONE)
				break;
			if (nodes[at].parent == PROFILE_NONE)
				return;
			at = nodes[at].parent;
		}
		at = nodes[at].next;
	}
}

static int64_t change_of(const struct times *times)
{
	return times->new_ns - times->old_ns;
}

static int compare_change(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

/* Most growth first. */
static int by_self(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	int order = compare_change(change_of(&a->self), change_of(&b->self));

	return order ? order : compare_functions(&a->node, &b->node);
}

static int by_total(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	int order = compare_change(change_of(&a->total), change_of(&b->total));

	return order ? order : compare_functions(&a->node, &b->node);
}

#define CHANGE_SZ (WORDS_DURATION_SZ + 1)

static const char *signed_duration(int64_t ns, char out[CHANGE_SZ])
{
	out[0] = ns < 0 ? '-' : '+';
	words_duration(ns < 0 ? -ns : ns, out + 1);
	return out;
}

#define PERCENT_SZ 32

/* "+50 %", "new", "gone". */
static const char *percent(const struct times *times, char out[PERCENT_SZ])
{
	double ratio = times->old_ns ? (double)change_of(times) / (double)times->old_ns : 0;

	if (!times->old_ns)
		return times->new_ns ? "new" : "0 %";
	if (!times->new_ns)
		return "gone";
	if (ratio >= 99.995)
		snprintf(out, PERCENT_SZ, "x%.0f", ratio + 1);
	else
		snprintf(out, PERCENT_SZ, "%+.*f %%", ratio < 0.0995 && ratio > -0.0995,
			 ratio * 100);
	return out;
}

/* Nothing has no unit. */
static const char *duration(int64_t ns, char out[WORDS_DURATION_SZ])
{
	return ns ? words_duration(ns, out) : "0";
}

static void print_row(FILE *out, const struct display *display, int width,
		      const struct flame_node *node, const struct times *times)
{
	char old[WORDS_DURATION_SZ], now[WORDS_DURATION_SZ], change[CHANGE_SZ];
	char share[PERCENT_SZ], name[WORDS_TEXT_SZ], whole[WORDS_TEXT_SZ];
	int room = width - (width >= WIDTH_BOTH ? COLUMNS_BOTH : COLUMNS_FEW);
	const char *tail;
	int len = (int)name_len(node, &tail);

	snprintf(whole, sizeof(whole), "%.*s%s", len, node->label, tail);
	if (width >= WIDTH_BOTH)
		fprintf(out, "  %10s  %10s", duration(times->old_ns, old),
			duration(times->new_ns, now));
	fprintf(out, "  %s%10s %7s%s  %s\n",
		words_paint(display, change_of(times) > 0 ? PAINT_RED : PAINT_GREEN),
		signed_duration(change_of(times), change), percent(times, share),
		words_paint(display, PAINT_OFF),
		words_text(whole, display->full_filenames ? WORDS_TEXT_SZ : (size_t)room, name));
}

static void print_heading(FILE *out, const struct display *display, int width, const char *words)
{
	fprintf(out, "\n%s%s%s\n%s", words_paint(display, PAINT_BOLD), words,
		words_paint(display, PAINT_OFF), words_paint(display, PAINT_DIM));
	if (width >= WIDTH_BOTH)
		fprintf(out, "  %10s  %10s", "before", "now");
	fprintf(out, "  %10s%s\n", "change", words_paint(display, PAINT_OFF));
}

struct section {
	bool total; /* with all that the function calls, else its own time */
	int step;   /* 1: from the most grown on, -1: from the most shrunk */
	const char *words;
};

/* The first rows of one direction. Returns how many. */
static size_t print_rows(FILE *out, const struct display *display, int width,
			 const struct table *table, const struct section *section)
{
	size_t shown = 0, left = 0;
	bool total = section->total;
	int step = section->step;

	for (size_t n = 0; n < table->nodes.cnt; n++) {
		const struct group *group = &table->groups[step > 0 ? n : table->nodes.cnt - 1 - n];
		const struct times *times = total ? &group->total : &group->self;

		if (group->node->kind == FLAME_ALL)
			continue;
		if (total && group->node->kind != FLAME_PYTHON)
			continue;
		if (change_of(times) * step <= 0)
			break;
		if (!display->verbose &&
		    (shown >= ROWS_MAX || change_of(times) * step < table->small_ns)) {
			left++;
			continue;
		}
		if (!shown++)
			print_heading(out, display, width, section->words);
		print_row(out, display, width, group->node, times);
	}
	if (shown && left)
		fprintf(out, "  %sand %zu more%s\n", words_paint(display, PAINT_DIM), left,
			words_paint(display, PAINT_OFF));
	return shown;
}

/* Words of ours, broken at spaces. */
static void say(FILE *out, int width, const char *words)
{
	size_t room = (size_t)width, len = strlen(words);

	while (len > room) {
		size_t cut = room;

		while (cut && words[cut] != ' ')
			cut--;
		if (!cut)
			cut = room;
		fprintf(out, "%.*s\n", (int)cut, words);
		words += cut;
		words += *words == ' ';
		len = strlen(words);
	}
	fprintf(out, "%s\n", words);
}

static void print_head(FILE *out, int width, const struct flame *flame)
{
	const struct flame_node *root = &flame->nodes[0];
	const struct times all = {root->old_total_ns, root->total_ns};
	char old[WORDS_DURATION_SZ], now[WORDS_DURATION_SZ], change[CHANGE_SZ];
	char length[WORDS_DURATION_SZ], share[PERCENT_SZ], line[512];

	snprintf(line, sizeof(line), "%s time in %s: %s before, %s now, %s (%s)",
		 flame_clock_name(flame->options.clock), words_duration(flame->duration_ns, length),
		 words_duration(all.old_ns, old), words_duration(all.new_ns, now),
		 signed_duration(change_of(&all), change), percent(&all, share));
	say(out, width, line);
	say(out, width,
	    "Times of the old recording are scaled to the length of the new one. Time on CPU comes "
	    "from samples: a change of a few ticks may be chance.");
	if (!flame->complete)
		say(out, width, "One of the recordings was cut: it ends before its run did.");
	if (flame->lost_cnt) {
		snprintf(line, sizeof(line), "%llu events were lost: their time is missing.",
			 (unsigned long long)flame->lost_cnt);
		say(out, width, line);
	}
}

int comparison_print(FILE *out, const struct display *display, const struct flame *flame)
{
	static const struct section sections[] = {
		{false, 1, "More time in itself"},
		{false, -1, "Less time in itself"},
		{true, 1, "More time with all it calls"},
		{true, -1, "Less time with all it calls"},
	};
	int width = display->width < WIDTH_MIN ? WIDTH_MIN : display->width;
	struct table table = {};
	int err = make_groups(flame, &table);
	size_t shown = 0;

	errno = 0;
	if (!err) {
		add_up(flame, &table);
		print_head(out, width, flame);
		for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
			qsort(table.groups, table.nodes.cnt, sizeof(*table.groups),
			      sections[i].total ? by_total : by_self);
			shown += print_rows(out, display, width, &table, &sections[i]);
		}
		if (!shown)
			fputs("\nNo function changed by half a percent of the time.\n", out);
	}
	free(table.groups);
	node_groups__clear(&table.nodes);
	return err ? err : written(out);
}
