/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/speedscope.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/node_groups.h"
#include "report/written.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

struct writer {
	FILE *out;
	const struct flame *flame;
	struct node_groups frames;
	uint32_t *path; /* by depth: frames down to the node at hand */
	bool several;	/* processes */
	size_t profile_cnt, heaviest;
	int64_t heaviest_ns;
	int err;
};

static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

/* What makes two nodes the same frame: speedscope adds up by frame. */
static int compare_frames(const void *left, const void *right)
{
	const struct flame_node *a = *(const struct flame_node *const *)left;
	const struct flame_node *b = *(const struct flame_node *const *)right;
	int order = compare_text(a->label, b->label);

	if (!order)
		order = compare_text(a->file, b->file);
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	return order ? order : (a->kind > b->kind) - (a->kind < b->kind);
}

static void put_string(struct writer *w, const char *text)
{
	int err = json_print_string(w->out, text);

	if (!w->err)
		w->err = err;
}

static void put_frame(struct writer *w, const struct flame_node *node)
{
	fputs("{\"name\":", w->out);
	put_string(w, node->label);
	if (node->file) {
		fputs(",\"file\":", w->out);
		put_string(w, node->file);
	}
	if (node->line > 0)
		fprintf(w->out, ",\"line\":%d", node->line);
	fputc('}', w->out);
}

static void put_frames(struct writer *w)
{
	for (size_t i = 0; i < w->frames.cnt && !w->err; i++) {
		fputs(i ? ",\n" : "\n", w->out);
		put_frame(w, w->frames.first[i]);
	}
}

/* Above the loops and threads, each of which is a profile of its own. */
static bool is_above(const struct flame_node *node)
{
	return node->kind == FLAME_ALL || node->kind == FLAME_PROCESS;
}

/* The node after `at` on a walk below `top`; PROFILE_NONE: that was all. */
static uint32_t next_node(const struct flame *flame, uint32_t top, uint32_t at)
{
	const struct flame_node *nodes = flame->nodes;

	if (nodes[at].first_child != PROFILE_NONE)
		return nodes[at].first_child;
	while (at != top && nodes[at].next == PROFILE_NONE)
		at = nodes[at].parent;
	return at == top ? PROFILE_NONE : nodes[at].next;
}

/* Decimal digits, tens of millions of them: printf() takes half of all the time. */
static void put_number(FILE *out, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	fwrite(at, 1, (size_t)(digits + sizeof(digits) - at), out);
}

/* A profile's name is its top's: the top is a frame only where it has nothing below it. */
static void put_sample(struct writer *w, const struct flame_node *node, uint32_t top_depth)
{
	uint32_t first = node->depth > top_depth ? top_depth + 1 : top_depth;

	fputc('[', w->out);
	for (uint32_t depth = first; depth <= node->depth; depth++) {
		if (depth > first)
			putc(',', w->out);
		put_number(w->out, w->path[depth]);
	}
	fputc(']', w->out);
}

static void put_name(struct writer *w, const struct flame_node *top)
{
	const struct flame_node *nodes = w->flame->nodes, *process = top;
	const char *of = top->label;
	char *name;
	size_t sz;

	while (process->parent != PROFILE_NONE && process->kind != FLAME_PROCESS)
		process = &nodes[process->parent];
	if (!w->several || process == top || process->kind != FLAME_PROCESS) {
		put_string(w, of);
		return;
	}
	sz = strlen(process->label) + strlen(of) + sizeof(": ");
	name = malloc(sz);
	if (!name) {
		w->err = -ENOMEM;
		return;
	}
	snprintf(name, sz, "%s: %s", process->label, of);
	put_string(w, name);
	free(name);
}

/* Samples first, then their weights: two walks instead of a list in memory. */
static void put_profile(struct writer *w, uint32_t top)
{
	const struct flame *flame = w->flame;
	const struct flame_node *nodes = flame->nodes;
	bool alone = is_above(&nodes[top]), first = true;
	int64_t total_ns = 0;

	fputs(w->profile_cnt ? ",\n{\"type\":\"sampled\",\"name\":"
			     : "\n{\"type\":\"sampled\",\"name\":",
	      w->out);
	put_name(w, &nodes[top]);
	fputs(",\"unit\":\"nanoseconds\",\"samples\":[", w->out);
	for (uint32_t at = top; at != PROFILE_NONE;
	     at = alone ? PROFILE_NONE : next_node(flame, top, at)) {
		w->path[nodes[at].depth] = w->frames.group_of[at];
		if (nodes[at].self_ns <= 0)
			continue;
		if (!first)
			fputc(',', w->out);
		first = false;
		put_sample(w, &nodes[at], nodes[top].depth);
	}
	fputs("],\n\"weights\":[", w->out);
	first = true;
	for (uint32_t at = top; at != PROFILE_NONE;
	     at = alone ? PROFILE_NONE : next_node(flame, top, at)) {
		if (nodes[at].self_ns <= 0)
			continue;
		if (!first)
			putc(',', w->out);
		put_number(w->out, (uint64_t)nodes[at].self_ns);
		first = false;
		total_ns += nodes[at].self_ns;
	}
	fprintf(w->out, "],\n\"startValue\":0,\"endValue\":%lld}", (long long)total_ns);
	if (total_ns > w->heaviest_ns) {
		w->heaviest_ns = total_ns;
		w->heaviest = w->profile_cnt;
	}
	w->profile_cnt++;
}

static void put_profiles(struct writer *w)
{
	const struct flame_node *nodes = w->flame->nodes;
	size_t process_cnt = 0;

	for (size_t i = 0; i < w->flame->node_cnt; i++)
		process_cnt += nodes[i].kind == FLAME_PROCESS;
	w->several = process_cnt > 1;
	for (uint32_t i = 0; i < w->flame->node_cnt && !w->err; i++) {
		const struct flame_node *node = &nodes[i];
		bool above = is_above(node);

		if (!above && node->parent != PROFILE_NONE && !is_above(&nodes[node->parent]))
			continue; /* inside one */
		if (above ? node->self_ns > 0 : node->total_ns > 0)
			put_profile(w, i);
	}
}

static void put_file(struct writer *w, const char *title, const char *version)
{
	char exporter[64];

	snprintf(exporter, sizeof(exporter), "asyncprof %s", version);
	fputs("{\"$schema\":\"" SCHEMA "\",\"exporter\":", w->out);
	put_string(w, exporter);
	fputs(",\"name\":", w->out);
	put_string(w, title);
	fputs(",\n\"shared\":{\"frames\":[", w->out);
	put_frames(w);
	fputs("]},\n\"profiles\":[", w->out);
	put_profiles(w);
	fprintf(w->out, "],\n\"activeProfileIndex\":%zu}\n", w->heaviest);
}

int speedscope_print(FILE *out, const struct flame *flame, const char *title, const char *version)
{
	struct writer w = {
		.out = out,
		.flame = flame,
		.path = calloc((size_t)flame->depth_max + 1, sizeof(*w.path)),
	};

	errno = 0;
	w.err = node_groups__init(&w.frames, flame, compare_frames);
	if (!w.path)
		w.err = -ENOMEM;
	if (!w.err)
		put_file(&w, title, version);
	node_groups__clear(&w.frames);
	free(w.path);
	return w.err ? w.err : written(out);
}
