/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/flame_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 1024

/* murmur3's finalizer: neighbours of a tree have keys that differ in few bits. */
static uint64_t mix(uint64_t key)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdULL;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53ULL;
	return key ^ key >> 33;
}

/* FNV-1a. */
static uint64_t hash_text(const char *text, size_t sz)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < sz; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ULL;
	return mix(hash);
}

static uint64_t hash_piece(const struct flame_piece *piece)
{
	return mix(((uint64_t)piece->label << 32 | piece->file) ^
		   mix((uint64_t)(uint32_t)piece->line << 8 | (uint64_t)piece->kind));
}

static uint64_t hash_seed(uint32_t parent, uint32_t piece)
{
	return mix((uint64_t)parent << 32 | piece);
}

/* The hash of what slot value `value` stands for, when a table grows. */
typedef uint64_t (*rehash)(const struct flame_tree *tree, uint32_t value);

static uint64_t rehash_string(const struct flame_tree *tree, uint32_t value)
{
	return hash_text(tree->text + value, strlen(tree->text + value));
}

static uint64_t rehash_piece(const struct flame_tree *tree, uint32_t value)
{
	return hash_piece(&tree->piece[value]);
}

static uint64_t rehash_seed(const struct flame_tree *tree, uint32_t value)
{
	return hash_seed(tree->seed[value].parent, tree->seed[value].piece);
}

/* Makes room for one more; at most two thirds of the slots are used. */
static int table_reserve(struct flame_table *table, const struct flame_tree *tree, rehash hash)
{
	size_t slot_cnt = table->slot_cnt ? table->slot_cnt * 2 : SLOTS_MIN;
	uint32_t *slot;

	if (table->slot_cnt && (table->used + 1) * 3 <= table->slot_cnt * 2)
		return 0;
	slot = calloc(slot_cnt, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < table->slot_cnt; i++) {
		size_t at;

		if (!table->slot[i])
			continue;
		at = hash(tree, table->slot[i] - 1) & (slot_cnt - 1);
		while (slot[at])
			at = (at + 1) & (slot_cnt - 1);
		slot[at] = table->slot[i];
	}
	free(table->slot);
	table->slot = slot;
	table->slot_cnt = slot_cnt;
	return 0;
}

/* Room for one more element of `size` bytes in a growing array. */
static int reserve(void **array, size_t cnt, size_t *room, size_t size)
{
	size_t want = *room ? *room + *room / 2 : 1024;
	void *more;

	if (cnt < *room)
		return 0;
	if (want > SIZE_MAX / size)
		return -ENOMEM;
	more = realloc(*array, want * size);
	if (!more)
		return -ENOMEM;
	*array = more;
	*room = want;
	return 0;
}

static int intern(struct flame_tree *tree, const char *text, size_t sz, uint32_t *offset)
{
	struct flame_table *table = &tree->strings;
	size_t at;

	if (table_reserve(table, tree, rehash_string))
		return -ENOMEM;
	for (at = hash_text(text, sz) & (table->slot_cnt - 1); table->slot[at];
	     at = (at + 1) & (table->slot_cnt - 1)) {
		const char *there = tree->text + table->slot[at] - 1;

		/* Stops at the NUL of a shorter one, which `text` does not have. */
		if (!strncmp(there, text, sz) && !there[sz]) {
			*offset = table->slot[at] - 1;
			return 0;
		}
	}
	if (sz >= UINT32_MAX / 2 || tree->text_sz + sz + 1 >= UINT32_MAX)
		return -ENOMEM;
	if (tree->text_sz + sz + 1 > tree->text_room) {
		size_t room = (tree->text_sz + sz + 1) * 2;
		char *more = realloc(tree->text, room);

		if (!more)
			return -ENOMEM;
		tree->text = more;
		tree->text_room = room;
	}
	memcpy(tree->text + tree->text_sz, text, sz);
	tree->text[tree->text_sz + sz] = 0;
	*offset = (uint32_t)tree->text_sz;
	tree->text_sz += sz + 1;
	table->slot[at] = *offset + 1;
	table->used++;
	return 0;
}

int flame_tree_piece(struct flame_tree *tree, enum flame_kind kind, const char *label,
		     size_t label_sz, const char *file, int line, uint32_t *piece)
{
	struct flame_piece want = {.kind = kind, .file = PROFILE_NONE, .line = line};
	struct flame_table *table = &tree->pieces;
	size_t at;

	if (intern(tree, label, label_sz, &want.label))
		return -ENOMEM;
	if (file && intern(tree, file, strlen(file), &want.file))
		return -ENOMEM;
	if (table_reserve(table, tree, rehash_piece))
		return -ENOMEM;
	for (at = hash_piece(&want) & (table->slot_cnt - 1); table->slot[at];
	     at = (at + 1) & (table->slot_cnt - 1)) {
		const struct flame_piece *there = &tree->piece[table->slot[at] - 1];

		if (there->label == want.label && there->file == want.file &&
		    there->line == want.line && there->kind == want.kind) {
			*piece = table->slot[at] - 1;
			return 0;
		}
	}
	if (tree->piece_cnt >= UINT32_MAX - 1 || reserve((void **)&tree->piece, tree->piece_cnt,
							 &tree->piece_room, sizeof(*tree->piece)))
		return -ENOMEM;
	*piece = (uint32_t)tree->piece_cnt++;
	tree->piece[*piece] = want;
	table->slot[at] = *piece + 1;
	table->used++;
	return 0;
}

int flame_tree_child(struct flame_tree *tree, uint32_t parent, uint32_t piece, uint32_t *child)
{
	struct flame_table *table = &tree->seeds;
	size_t at;

	if (table_reserve(table, tree, rehash_seed))
		return -ENOMEM;
	for (at = hash_seed(parent, piece) & (table->slot_cnt - 1); table->slot[at];
	     at = (at + 1) & (table->slot_cnt - 1)) {
		const struct flame_seed *there = &tree->seed[table->slot[at] - 1];

		if (there->parent == parent && there->piece == piece) {
			*child = table->slot[at] - 1;
			return 0;
		}
	}
	if (tree->seed_cnt >= FLAME_NODES_MAX)
		return -ENOSPC;
	if (reserve((void **)&tree->seed, tree->seed_cnt, &tree->seed_room, sizeof(*tree->seed)))
		return -ENOMEM;
	*child = (uint32_t)tree->seed_cnt++;
	tree->seed[*child] = (struct flame_seed){.parent = parent, .piece = piece};
	table->slot[at] = *child + 1;
	table->used++;
	return 0;
}

int flame_tree__init(struct flame_tree *tree)
{
	uint32_t piece, root;

	memset(tree, 0, sizeof(*tree));
	if (flame_tree_piece(tree, FLAME_ALL, "all", 3, NULL, 0, &piece) ||
	    flame_tree_child(tree, PROFILE_NONE, piece, &root)) {
		flame_tree__clear(tree);
		return -ENOMEM;
	}
	return 0;
}

void flame_tree__clear(struct flame_tree *tree)
{
	free(tree->text);
	free(tree->piece);
	free(tree->seed);
	free(tree->strings.slot);
	free(tree->pieces.slot);
	free(tree->seeds.slot);
	memset(tree, 0, sizeof(*tree));
}

/* What of `ns` fits into a sum. */
static int64_t room_for(int64_t ns, int64_t sum)
{
	return ns > INT64_MAX - sum ? INT64_MAX - sum : ns;
}

void flame_tree_add(struct flame_tree *tree, uint32_t seed, int64_t ns, uint64_t cnt, bool old)
{
	struct flame_seed *at = &tree->seed[seed];

	if (old) {
		ns = room_for(ns, tree->old_sum_ns);
		at->old_self_ns += ns;
		tree->old_sum_ns += ns;
		return;
	}
	ns = room_for(ns, tree->sum_ns);
	at->self_ns += ns;
	tree->sum_ns += ns;
	if (cnt > UINT64_MAX - tree->sum_cnt)
		cnt = UINT64_MAX - tree->sum_cnt;
	at->self_cnt += cnt;
	tree->sum_cnt += cnt;
}

struct ranked {
	const char *text;
	const struct flame_piece *piece;
	const char *file;
};

static int compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	int order = strcmp(a->text, b->text);

	if (!order)
		order = strcmp(a->file, b->file);
	if (!order)
		order = (a->piece->line > b->piece->line) - (a->piece->line < b->piece->line);
	return order ? order : (int)a->piece->kind - (int)b->piece->kind;
}

/* The place of each piece in the order of labels. */
static uint32_t *rank_pieces(const struct flame_tree *tree)
{
	struct ranked *ranked = calloc(tree->piece_cnt, sizeof(*ranked));
	uint32_t *rank = calloc(tree->piece_cnt, sizeof(*rank));

	if (!ranked || !rank) {
		free(ranked);
		free(rank);
		return NULL;
	}
	for (size_t i = 0; i < tree->piece_cnt; i++) {
		const struct flame_piece *piece = &tree->piece[i];

		ranked[i].text = tree->text + piece->label;
		ranked[i].file = piece->file == PROFILE_NONE ? "" : tree->text + piece->file;
		ranked[i].piece = piece;
	}
	qsort(ranked, tree->piece_cnt, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < tree->piece_cnt; i++)
		rank[ranked[i].piece - tree->piece] = (uint32_t)i;
	free(ranked);
	return rank;
}

/*
 * Siblings in the order of their rank, without comparing them: all nodes by
 * rank (a counting sort), then from the last to the first to the front of their
 * parent's list.
 */
static int link_children(const struct flame_tree *tree, struct flame_node *nodes)
{
	uint32_t *rank = rank_pieces(tree);
	uint32_t *start = calloc(tree->piece_cnt + 1, sizeof(*start));
	uint32_t *order = malloc(tree->seed_cnt * sizeof(*order));
	int err = rank && start && order ? 0 : -ENOMEM;

	if (!err) {
		for (size_t i = 0; i < tree->seed_cnt; i++)
			start[rank[tree->seed[i].piece] + 1]++;
		for (size_t i = 0; i < tree->piece_cnt; i++)
			start[i + 1] += start[i];
		for (size_t i = 0; i < tree->seed_cnt; i++)
			order[start[rank[tree->seed[i].piece]]++] = (uint32_t)i;
		for (size_t i = tree->seed_cnt; i-- > 0;) {
			struct flame_node *node = &nodes[order[i]], *parent;

			if (node->parent == PROFILE_NONE)
				continue;
			parent = &nodes[node->parent];
			node->next = parent->first_child;
			parent->first_child = order[i];
		}
	}
	free(rank);
	free(start);
	free(order);
	return err;
}

static int64_t scale(int64_t ns, double by)
{
	double scaled = (double)ns * by;

	if (by == 1)
		return ns;
	/* 2^63 itself does not fit; NaN compares false. */
	return scaled < 9223372036854775808.0 ? (int64_t)scaled : INT64_MAX;
}

int flame_tree_ripen(struct flame_tree *tree, double old_scale, struct flame *flame)
{
	struct flame_node *nodes;
	int64_t old_sum_ns = 0;

	free(tree->seeds.slot);
	memset(&tree->seeds, 0, sizeof(tree->seeds));
	nodes = calloc(tree->seed_cnt, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	flame->depth_max = 0;
	for (size_t i = 0; i < tree->seed_cnt; i++) {
		const struct flame_seed *seed = &tree->seed[i];
		const struct flame_piece *piece = &tree->piece[seed->piece];
		struct flame_node *node = &nodes[i];

		node->kind = piece->kind;
		node->label = tree->text + piece->label;
		node->file = piece->file == PROFILE_NONE ? NULL : tree->text + piece->file;
		node->line = piece->line;
		node->parent = seed->parent;
		node->first_child = node->next = PROFILE_NONE;
		node->depth = i ? nodes[seed->parent].depth + 1 : 0;
		if (node->depth > flame->depth_max)
			flame->depth_max = node->depth;
		node->self_ns = node->total_ns = seed->self_ns;
		node->self_cnt = node->total_cnt = seed->self_cnt;
		node->old_self_ns = room_for(scale(seed->old_self_ns, old_scale), old_sum_ns);
		node->old_total_ns = node->old_self_ns;
		old_sum_ns += node->old_self_ns;
	}
	for (size_t i = tree->seed_cnt; i-- > 1;) {
		struct flame_node *parent = &nodes[nodes[i].parent];

		parent->total_ns += nodes[i].total_ns;
		parent->total_cnt += nodes[i].total_cnt;
		parent->old_total_ns += nodes[i].old_total_ns;
	}
	if (link_children(tree, nodes)) {
		free(nodes);
		return -ENOMEM;
	}
	flame->nodes = nodes;
	flame->node_cnt = tree->seed_cnt;
	flame->text = tree->text;
	tree->text = NULL;
	return 0;
}
