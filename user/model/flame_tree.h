/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The tree of a flame while it grows: labels and frames kept once, nodes found
 * by parent and frame. A recording of a million samples must fold in less than
 * a second, so a node is 32 bytes and finding it one look into a table.
 *
 * It must never let a sum wrap around: the last addition that does not fit is
 * cut to what fits, so that parts and total stay equal.
 */
#ifndef ASYNCPROF_FLAME_TREE_H
#define ASYNCPROF_FLAME_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/flame.h"

/* Open addressing: a slot holds an index plus one. */
struct flame_table {
	uint32_t *slot;
	size_t slot_cnt, used;
};

/* What tells a frame from its siblings. */
struct flame_piece {
	enum flame_kind kind;
	uint32_t label, file; /* offsets in text; file PROFILE_NONE: none */
	int line;
};

struct flame_seed {
	uint32_t parent, piece;
	int64_t self_ns, old_self_ns;
	uint64_t self_cnt;
};

struct flame_tree {
	char *text; /* strings, each once, each ended by NUL */
	size_t text_sz, text_room;
	struct flame_piece *piece;
	struct flame_seed *seed; /* a parent comes before its children; [0] is the root */
	size_t piece_cnt, piece_room, seed_cnt, seed_room;
	struct flame_table strings, pieces, seeds;
	int64_t sum_ns, old_sum_ns;
	uint64_t sum_cnt;
};

int flame_tree__init(struct flame_tree *tree); /* 0, -ENOMEM */
void flame_tree__clear(struct flame_tree *tree);

/* `label` has label_sz bytes. 0, -ENOMEM. */
int flame_tree_piece(struct flame_tree *tree, enum flame_kind kind, const char *label,
		     size_t label_sz, const char *file, int line, uint32_t *piece);

/* The child of `parent`, made when there is none. 0, -ENOMEM, -ENOSPC: FLAME_NODES_MAX. */
int flame_tree_child(struct flame_tree *tree, uint32_t parent, uint32_t piece, uint32_t *child);

void flame_tree_add(struct flame_tree *tree, uint32_t seed, int64_t ns, uint64_t cnt, bool old);

/* Fills nodes, node_cnt, depth_max and text. Old times are multiplied by `old_scale`. 0, -ENOMEM.
 */
int flame_tree_ripen(struct flame_tree *tree, double old_scale, struct flame *flame);

#endif
