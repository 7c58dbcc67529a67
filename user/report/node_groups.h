/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which nodes of a flame are the same thing: one frame, or one function. A tree
 * has millions of nodes and only thousands of names, so names are compared
 * only where pointers differ.
 */
#ifndef ASYNCPROF_NODE_GROUPS_H
#define ASYNCPROF_NODE_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "model/flame.h"

struct node_groups {
	uint32_t *group_of;		 /* by node */
	const struct flame_node **first; /* by group, in the order of `compare`: one of its nodes */
	size_t cnt;
};

/*
 * Compares two const struct flame_node *; may look at label, file, line and
 * kind only.
 */
typedef int node_compare(const void *left, const void *right);

/* 0, -ENOMEM; to be cleared in either case. */
int node_groups__init(struct node_groups *groups, const struct flame *flame, node_compare *compare);
void node_groups__clear(struct node_groups *groups);

#endif
