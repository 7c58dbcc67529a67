/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/node_groups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Open addressing over what `kinds` has: a slot holds an index plus one. */
struct table {
	uint32_t *slots;
	size_t slot_cnt; /* a power of two */
};

/* Different nodes whose strings are at the same addresses. */
static bool is_twin(const struct flame_node *a, const struct flame_node *b)
{
	return a->label == b->label && a->file == b->file && a->line == b->line &&
	       a->kind == b->kind;
}

static size_t slot_of(const struct table *table, const struct flame_node *node)
{
	uint64_t hash = (uintptr_t)node->label;

	/* Fibonacci hashing: the multiplier is 2^64 over the golden ratio. */
	hash = (hash ^ (uintptr_t)node->file << 7) * 0x9e3779b97f4a7c15;
	hash = (hash ^ (uint32_t)node->line ^ (uint64_t)node->kind << 32) * 0x9e3779b97f4a7c15;
	return (size_t)(hash >> 32) & (table->slot_cnt - 1);
}

/* One node of each kind of twins into `kinds`, and by node which one. Returns how many. */
static size_t find_twins(const struct flame *flame, struct table *table,
			 const struct flame_node **kinds, uint32_t *kind_of)
{
	size_t cnt = 0;

	for (size_t i = 0; i < flame->node_cnt; i++) {
		const struct flame_node *node = &flame->nodes[i];
		size_t at = slot_of(table, node);

		while (table->slots[at] && !is_twin(kinds[table->slots[at] - 1], node))
			at = (at + 1) & (table->slot_cnt - 1);
		if (!table->slots[at]) {
			kinds[cnt] = node;
			table->slots[at] = (uint32_t)++cnt;
		}
		kind_of[i] = table->slots[at] - 1;
	}
	return cnt;
}

/* Groups of kinds, and from there groups of nodes. */
static int sort_kinds(struct node_groups *groups, const struct flame *flame, size_t kind_cnt,
		      node_compare *compare)
{
	uint32_t *group_of_kind = calloc(kind_cnt + 1, sizeof(*group_of_kind));
	const struct flame_node **first = groups->first;

	if (!group_of_kind)
		return -ENOMEM;
	qsort(first, kind_cnt, sizeof(*first), compare);
	for (size_t i = 0; i < kind_cnt; i++) {
		if (!i || compare(&first[groups->cnt - 1], &first[i]))
			first[groups->cnt++] = first[i];
		/* The node knows its kind, whose number was its place before the sort. */
		group_of_kind[groups->group_of[first[i] - flame->nodes]] =
			(uint32_t)groups->cnt - 1;
	}
	for (size_t i = 0; i < flame->node_cnt; i++)
		groups->group_of[i] = group_of_kind[groups->group_of[i]];
	free(group_of_kind);
	return 0;
}

int node_groups__init(struct node_groups *groups, const struct flame *flame, node_compare *compare)
{
	struct table table = {.slot_cnt = 16};
	int err = -ENOMEM;

	while (table.slot_cnt < 2 * flame->node_cnt)
		table.slot_cnt *= 2;
	table.slots = calloc(table.slot_cnt, sizeof(*table.slots));
	*groups = (struct node_groups){
		.group_of = calloc(flame->node_cnt + 1, sizeof(*groups->group_of)),
		.first = calloc(flame->node_cnt + 1, sizeof(*groups->first)),
	};
	if (table.slots && groups->group_of && groups->first)
		err = sort_kinds(groups, flame,
				 find_twins(flame, &table, groups->first, groups->group_of),
				 compare);
	free(table.slots);
	return err;
}

void node_groups__clear(struct node_groups *groups)
{
	free(groups->group_of);
	free(groups->first);
}
