/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/flamegraph_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(added) ((added)->lost = 1)
#include <uthash.h>

#include "report/markup.h"
#include "report/words.h"

/* One function: all nodes with its label, file and line. */
struct row_key {
	const char *label, *file; /* each text is kept once in a flame: the pointer is the name */
	long line;
};

struct row {
	struct row_key key;
	UT_hash_handle hh;
	int lost;
	enum flame_kind kind;
	int64_t self_ns, total_ns, old_self_ns;
	uint32_t open; /* frames of it on the way from the root to where collect() stands */
};

static int compare_rows(const struct row *a, const struct row *b)
{
	int64_t left = a->self_ns > a->old_self_ns ? a->self_ns : a->old_self_ns;
	int64_t right = b->self_ns > b->old_self_ns ? b->self_ns : b->old_self_ns;

	if (left != right)
		return left < right ? 1 : -1;
	return strcmp(a->key.label, b->key.label);
}

static void clear(struct row *rows)
{
	struct row *row, *next;

	HASH_ITER(hh, rows, row, next)
	{
		HASH_DEL(rows, row);
		free(row);
	}
}

/* The row of a node, made when there is none. NULL: out of memory. */
static struct row *row_of(struct row **rows, const struct flame_node *node)
{
	struct row_key key;
	struct row *row = NULL;

	memset(&key, 0, sizeof(key));
	key.label = node->label;
	key.file = node->file;
	key.line = node->line;
	HASH_FIND(hh, *rows, &key, sizeof(key), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->key = key;
	row->kind = node->kind;
	HASH_ADD(hh, *rows, key, sizeof(row->key), row);
	if (row->lost) {
		free(row);
		return NULL;
	}
	return row;
}

/* A walk from the root, which knows of each function whether it stands inside of it. */
static int collect(const struct flame *flame, struct row **rows)
{
	const struct flame_node *nodes = flame->nodes;
	struct row **way = calloc((size_t)flame->depth_max + 1, sizeof(struct row *));
	uint32_t at = 0;

	if (!way)
		return -ENOMEM;
	while (at != PROFILE_NONE) {
		const struct flame_node *node = &nodes[at];

		way[node->depth] = NULL;
		if (node->kind >= FLAME_PYTHON) {
			struct row *row = row_of(rows, node);

			if (!row) {
				free(way);
				return -ENOMEM;
			}
			row->self_ns += node->self_ns;
			row->old_self_ns += node->old_self_ns;
			if (!row->open++)
				row->total_ns += node->total_ns;
			way[node->depth] = row;
		}
		if (node->first_child != PROFILE_NONE) {
			at = node->first_child;
			continue;
		}
		for (; at != PROFILE_NONE; at = nodes[at].parent) {
			if (way[nodes[at].depth])
				way[nodes[at].depth]->open--;
			if (nodes[at].next != PROFILE_NONE)
				break;
		}
		if (at != PROFILE_NONE)
			at = nodes[at].next;
	}
	free(way);
	return 0;
}

static void put_time(FILE *out, int64_t ns, int64_t all_ns)
{
	char time[WORDS_DURATION_SZ];

	fprintf(out, "<td>%s</td><td>%.1f %%</td>", words_duration(ns, time),
		all_ns > 0 ? 100.0 * (double)ns / (double)all_ns : 0);
}

int flamegraph_table(FILE *out, const struct flame *flame)
{
	int64_t all_ns = flame->nodes[0].total_ns, old_ns = flame->nodes[0].old_total_ns;
	struct row *rows = NULL, *row, *next;
	int err = collect(flame, &rows), cnt = 0;

	if (err) {
		clear(rows);
		return err;
	}
	HASH_SORT(rows, compare_rows);
	fputs("<details id=\"table\"><summary>The same as a table: what has the most time of its "
	      "own</summary>\n<table><thead><tr><th colspan=\"2\">Own</th>",
	      out);
	if (flame->compared)
		fputs("<th colspan=\"2\">Own, before</th>", out);
	fputs("<th colspan=\"2\">With what it calls</th><th>Function or wait</th><th>Kind</th></tr>"
	      "</thead>\n<tbody>\n",
	      out);
	HASH_ITER(hh, rows, row, next)
	{
		if (++cnt > FLAMEGRAPH_TABLE_ROWS || (row->self_ns <= 0 && row->old_self_ns <= 0))
			break;
		fputs("<tr>", out);
		put_time(out, row->self_ns, all_ns);
		if (flame->compared)
			put_time(out, row->old_self_ns, old_ns);
		put_time(out, row->total_ns, all_ns);
		fputs("<td class=\"name\"", out);
		if (row->key.file) {
			fputs(" title=\"", out);
			markup_text(out, row->key.file);
			fputc('"', out);
		}
		fputc('>', out);
		markup_text(out, row->key.label);
		fprintf(out, "</td><td>%s</td></tr>\n", flame_kind_name(row->kind));
	}
	fputs("</tbody></table></details>\n", out);
	clear(rows);
	return 0;
}
