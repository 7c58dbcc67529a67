/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What of a profile a format writes that has no flame: which entries were
 * asked for, which frames they use, and the leaf that their stacks lack.
 *
 * It must never trust an index: a profile may come from a forged file.
 */
#ifndef ASYNCPROF_SELECTION_H
#define ASYNCPROF_SELECTION_H

#include <stdbool.h>

#include "model/flame.h"
#include "model/profile.h"

/* What a stack does not say. LEAF_BLOCKED + cause; the words are those of a flame. */
enum leaf { LEAF_NONE, LEAF_NO_STACK, LEAF_IDLE, LEAF_RUN_QUEUE, LEAF_BLOCKED };

#define LEAF_CNT     (LEAF_BLOCKED + CAUSE_CNT)
#define LEAF_NAME_SZ 32

struct selection {
	const struct profile *profile;
	const struct flame_options *options;
	bool *stack_used, *frame_used;
	bool leaf_used[LEAF_CNT];
};

/* 0, -ENOMEM; to be cleared in either case. Options count as pprof.h says. */
int selection__init(struct selection *selection, const struct profile *profile,
		    const struct flame_options *options);
void selection__clear(struct selection *selection);

/* Is it asked for, and does it belong to a thread and a process? */
bool selection_wants(const struct selection *selection, const struct profile_entry *entry);

enum cause selection_cause(const struct profile_entry *entry);

/* enum leaf, of a wanted entry. */
int selection_leaf(const struct profile *profile, const struct profile_entry *entry);
const char *selection_leaf_name(int leaf, char buf[LEAF_NAME_SZ]);

/* Frames of a stack, leaf first, at most FLAME_STACK_MAX. Returns how many. */
size_t selection_frames(const struct profile *profile, uint32_t stack,
			uint32_t frames[FLAME_STACK_MAX]);

#endif
