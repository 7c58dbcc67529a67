/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/selection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum cause selection_cause(const struct profile_entry *entry)
{
	return (unsigned int)entry->cause < CAUSE_CNT ? entry->cause : CAUSE_OTHER;
}

bool selection_wants(const struct selection *selection, const struct profile_entry *entry)
{
	const struct profile *profile = selection->profile;

	if (entry->ns < 0 || entry->thread >= profile->thread_cnt ||
	    profile->threads[entry->thread].process >= profile->process_cnt)
		return false;
	if (entry->kind == POINT_IDLE && !selection->options->idle)
		return false;
	return !profile->threads[entry->thread].plain || selection->options->threads;
}

/* PROFILE_NONE also where the profile does not keep to parents before children. */
static uint32_t caller_of(const struct profile *profile, uint32_t stack)
{
	uint32_t parent = profile->stacks[stack].parent;

	return parent < stack ? parent : PROFILE_NONE;
}

size_t selection_frames(const struct profile *profile, uint32_t stack,
			uint32_t frames[FLAME_STACK_MAX])
{
	size_t cnt = 0;

	for (; stack < profile->stack_cnt && cnt < FLAME_STACK_MAX;
	     stack = caller_of(profile, stack)) {
		if (profile->stacks[stack].frame < profile->frame_cnt)
			frames[cnt++] = profile->stacks[stack].frame;
	}
	return cnt;
}

/* Does the stack say what it waits for, be it below kernel frames? */
static bool has_wait(const struct profile *profile, uint32_t stack)
{
	for (int i = 0; stack < profile->stack_cnt && i < FLAME_STACK_MAX; i++) {
		uint32_t frame = profile->stacks[stack].frame;

		if (frame >= profile->frame_cnt)
			return false;
		if (profile->frames[frame].kind != FRAME_KERNEL)
			return profile->frames[frame].kind == FRAME_WAIT;
		stack = caller_of(profile, stack);
	}
	return false;
}

int selection_leaf(const struct profile *profile, const struct profile_entry *entry)
{
	bool has_stack = entry->stack < profile->stack_cnt;

	if (entry->kind == POINT_IDLE)
		return LEAF_IDLE;
	if (has_stack && (entry->kind == POINT_CPU || has_wait(profile, entry->stack)))
		return LEAF_NONE;
	if (entry->kind == POINT_RUNQUEUE)
		return LEAF_RUN_QUEUE;
	return has_stack ? LEAF_BLOCKED + (int)selection_cause(entry) : LEAF_NO_STACK;
}

const char *selection_leaf_name(int leaf, char buf[LEAF_NAME_SZ])
{
	switch (leaf) {
	case LEAF_NO_STACK:
		return "[no stack]";
	case LEAF_IDLE:
		return "idle";
	case LEAF_RUN_QUEUE:
		return "run queue";
	default:
		snprintf(buf, LEAF_NAME_SZ, "blocked: %s",
			 cause_name((enum cause)(leaf - LEAF_BLOCKED)));
		return buf;
	}
}

/* Each stack once, so that no shape of the tree costs more. */
static void mark(struct selection *selection, uint32_t stack)
{
	const struct profile *profile = selection->profile;

	for (; stack < profile->stack_cnt && !selection->stack_used[stack];
	     stack = caller_of(profile, stack)) {
		selection->stack_used[stack] = true;
		if (profile->stacks[stack].frame < profile->frame_cnt)
			selection->frame_used[profile->stacks[stack].frame] = true;
	}
}

int selection__init(struct selection *selection, const struct profile *profile,
		    const struct flame_options *options)
{
	*selection = (struct selection){
		.profile = profile,
		.options = options,
		.stack_used = calloc(profile->stack_cnt + 1, sizeof(bool)),
		.frame_used = calloc(profile->frame_cnt + 1, sizeof(bool)),
	};
	if (!selection->stack_used || !selection->frame_used)
		return -ENOMEM;
	for (size_t i = 0; i < profile->entry_cnt; i++) {
		const struct profile_entry *entry = &profile->entries[i];

		if (!selection_wants(selection, entry))
			continue;
		selection->leaf_used[selection_leaf(profile, entry)] = true;
		mark(selection, entry->stack);
	}
	return 0;
}

void selection__clear(struct selection *selection)
{
	free(selection->stack_used);
	free(selection->frame_used);
}
