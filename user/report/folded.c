/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/folded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/written.h"

/* The names from below the root to the node at hand. */
struct path {
	char *text;
	size_t sz;
	size_t *ends; /* by depth: where the name of that depth ends in text */
};

/* What was rounded away so far, so that the lines add up. */
struct rounding {
	int64_t rest_ns;
};

static int64_t round_us(struct rounding *rounding, int64_t ns)
{
	int64_t us;

	/* Near the end of the type there is no room for the rest, nor for a reader who cares. */
	if (ns > INT64_MAX - 1000)
		return ns / 1000;
	ns += rounding->rest_ns;
	us = ns / 1000;
	rounding->rest_ns = ns % 1000;
	return us;
}

/*
 * flamegraph.pl looks for one more column, /\s+?(\d+(?:\.\d*)?)$/, before the
 * last one. `name` holds no other white space than ' ' any more.
 */
static void guard_number(char *name)
{
	char *word = strrchr(name, ' ');
	size_t digits;

	if (!word)
		return;
	digits = strspn(word + 1, "0123456789");
	if (!digits)
		return;
	if (word[1 + digits] == '.')
		digits += 1 + strspn(word + 1 + digits + 1, "0123456789");
	if (!word[1 + digits])
		*word = '_';
}

static int push(struct path *path, const struct flame_node *node)
{
	size_t label_sz = strlen(node->label), start = path->ends[node->depth - 1];
	size_t need = start + 1 + ESCAPE_SZ(label_sz);
	char *name;

	if (need > path->sz) {
		char *text = realloc(path->text, 2 * need);

		if (!text)
			return -ENOMEM;
		path->text = text;
		path->sz = 2 * need;
	}
	name = path->text + start;
	if (start)
		*name++ = ';';
	if (!escape_terminal(name, ESCAPE_SZ(label_sz), node->label, label_sz))
		strcpy(name, "?");
	for (char *c = name; (c = strchr(c, ';'));)
		*c = ':';
	guard_number(name);
	path->ends[node->depth] = (size_t)(name - path->text) + strlen(name);
	return 0;
}

static void put_line(FILE *out, const struct flame *flame, const struct flame_node *node,
		     const struct path *path, struct rounding rounding[2])
{
	int64_t us, old_us = 0;

	if (!node->self_ns && !node->self_cnt && !node->old_self_ns)
		return;
	us = round_us(&rounding[0], node->self_ns);
	if (flame->compared)
		old_us = round_us(&rounding[1], node->old_self_ns);
	if (!us && !old_us && !node->self_cnt)
		return;
	fwrite(path->text, 1, path->ends[node->depth], out);
	if (flame->compared)
		fprintf(out, " %lld", (long long)old_us);
	fprintf(out, " %lld\n", (long long)us);
}

/* The node after `at` on a walk from the root in the order of children. */
static uint32_t next_node(const struct flame *flame, uint32_t at)
{
	const struct flame_node *nodes = flame->nodes;

	if (nodes[at].first_child != PROFILE_NONE)
		return nodes[at].first_child;
	while (at != PROFILE_NONE && nodes[at].next == PROFILE_NONE)
		at = nodes[at].parent;
	return at == PROFILE_NONE ? at : nodes[at].next;
}

int folded_print(FILE *out, const struct flame *flame)
{
	struct path path = {.ends = calloc((size_t)flame->depth_max + 1, sizeof(*path.ends))};
	struct rounding rounding[2] = {};
	int err = path.ends ? 0 : -ENOMEM;

	errno = 0;
	for (uint32_t at = next_node(flame, 0); at != PROFILE_NONE && !err && !ferror(out);
	     at = next_node(flame, at)) {
		err = push(&path, &flame->nodes[at]);
		if (!err)
			put_line(out, flame, &flame->nodes[at], &path, rounding);
	}
	free(path.ends);
	free(path.text);
	return err ? err : written(out);
}
