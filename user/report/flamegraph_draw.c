/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/flamegraph_draw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Frames narrower than this are left out, as flamegraph.pl does. */
#define WIDTH_MIN_PX 0.1

/* 16 buckets for each power of two. */
#define BUCKET_CNT (64 * 16)

/* What decides whether a frame can be seen: one that is gone is, in the old one's width. */
static int64_t weigh(const struct flame *flame, const struct flame_node *node)
{
	return flame->compared && node->old_total_ns > node->total_ns ? node->old_total_ns
								      : node->total_ns;
}

static unsigned int bucket_of(int64_t weight)
{
	uint64_t value = weight > 0 ? (uint64_t)weight : 0;
	unsigned int power = 63;

	if (value < 16)
		return (unsigned int)value;
	while (!(value >> power))
		power--;
	return (power - 3) * 16 + (unsigned int)(value >> (power - 4) & 15);
}

static int64_t bucket_start(unsigned int bucket)
{
	if (bucket < 16)
		return bucket;
	return (int64_t)((uint64_t)(16 + bucket % 16) << (bucket / 16 - 1));
}

/* The least weight that is drawn. A child weighs no more than its parent, so none is orphaned. */
static int64_t least_weight(const struct flame *flame)
{
	double share = WIDTH_MIN_PX / FLAMEGRAPH_WIDTH;
	int64_t least = (int64_t)((double)weigh(flame, &flame->nodes[0]) * share);
	size_t cnt[BUCKET_CNT] = {0}, sum = 0;

	if (least < 1)
		least = 1;
	if (flame->node_cnt <= FLAMEGRAPH_DRAWN_MAX)
		return least;
	for (size_t i = 0; i < flame->node_cnt; i++) {
		int64_t weight = weigh(flame, &flame->nodes[i]);

		if (weight >= least)
			cnt[bucket_of(weight)]++;
	}
	for (unsigned int bucket = BUCKET_CNT; bucket-- > 0;) {
		sum += cnt[bucket];
		if (sum > FLAMEGRAPH_DRAWN_MAX) {
			int64_t start = bucket_start(bucket + 1);

			return start > least ? start : least;
		}
	}
	return least;
}

/* The node after `at`, from the root in the order of children; `inside`: also those below it. */
static uint32_t next_node(const struct flame_node *nodes, uint32_t at, int inside)
{
	if (inside && nodes[at].first_child != PROFILE_NONE)
		return nodes[at].first_child;
	while (at != PROFILE_NONE && nodes[at].next == PROFILE_NONE)
		at = nodes[at].parent;
	return at == PROFILE_NONE ? at : nodes[at].next;
}

static size_t count_drawn(const struct flame *flame, int64_t least)
{
	size_t cnt = 1;

	for (size_t i = 1; i < flame->node_cnt; i++)
		cnt += weigh(flame, &flame->nodes[i]) >= least;
	return cnt;
}

int drawing__init(struct drawing *drawing, const struct flame *flame)
{
	const struct flame_node *nodes = flame->nodes;
	int64_t least = least_weight(flame), all_ns = nodes[0].total_ns;
	size_t room = count_drawn(flame, least);
	double *free_x; /* of each depth: where the next frame there begins */
	uint32_t next;

	memset(drawing, 0, sizeof(*drawing));
	drawing->left_out_cnt = flame->node_cnt - room;
	drawing->drawn = calloc(room, sizeof(*drawing->drawn));
	free_x = calloc((size_t)flame->depth_max + 2, sizeof(*free_x));
	if (!drawing->drawn || !free_x) {
		free(free_x);
		drawing__clear(drawing);
		return -ENOMEM;
	}
	for (uint32_t at = 0; at != PROFILE_NONE; at = next) {
		const struct flame_node *node = &nodes[at];
		struct drawn *drawn;

		next = next_node(nodes, at, 1);
		if (at && weigh(flame, node) < least) {
			drawing->left_out_ns += node->total_ns;
			next = next_node(nodes, at, 0);
			continue;
		}
		if (drawing->drawn_cnt == room)
			break;
		drawn = &drawing->drawn[drawing->drawn_cnt++];
		drawn->node = at;
		drawn->x = free_x[node->depth];
		drawn->width = all_ns ? (double)node->total_ns / (double)all_ns : 0;
		free_x[node->depth] += drawn->width;
		free_x[node->depth + 1] = drawn->x;
		if (node->depth > drawing->depth_max)
			drawing->depth_max = node->depth;
	}
	free(free_x);
	return 0;
}

void drawing__clear(struct drawing *drawing)
{
	free(drawing->drawn);
	drawing->drawn = NULL;
	drawing->drawn_cnt = 0;
}
