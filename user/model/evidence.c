/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/evidence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pystr.h"

struct evidence *evidence__new(const struct evidence_key *key)
{
	struct evidence *evidence = calloc(1, sizeof(*evidence));

	if (!evidence)
		return NULL;
	evidence->key = *key;
	evidence->bytes = sizeof(*evidence);
	return evidence;
}

static void free_child(struct evidence *evidence, struct evidence_child *child)
{
	evidence->bytes -= child->task ? strlen(child->task) + 1 : 0;
	evidence->bytes -= child->coro ? strlen(child->coro) + 1 : 0;
	free(child->task);
	free(child->coro);
	*child = (struct evidence_child){};
}

void evidence__free(struct evidence *evidence)
{
	if (!evidence)
		return;
	for (uint32_t i = 0; i < evidence->line_cnt; i++)
		free(evidence->lines[i].frames);
	for (uint32_t i = 0; i < evidence->block_cnt; i++)
		free(evidence->blocks[i]);
	free(evidence->task);
	free(evidence->coro);
	free(evidence->callback);
	for (uint32_t i = 0; i < EVIDENCE_CHILDREN_MAX; i++)
		free_child(evidence, &evidence->children[i]);
	free(evidence);
}

/* A name that came before stays when the new one could not be read. */
static int set_name(struct evidence *evidence, char **name, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	if (*name)
		evidence->bytes -= strlen(*name) + 1;
	free(*name);
	*name = copy;
	evidence->bytes += strlen(copy) + 1;
	return 0;
}

static int set_text(struct evidence *evidence, char **name, const struct ap_text_name *text)
{
	char utf8[PYSTR_SZ(AP_NAME_SZ)];

	if (pystr_utf8(&text->text, text->data, sizeof(text->data), utf8, sizeof(utf8)) < 0)
		return 0;
	return set_name(evidence, name, utf8);
}

static int set_task(struct evidence *evidence, char **task, const struct ap_name *name)
{
	char unnamed[32];
	int err = set_text(evidence, task, &name->task_name);

	if (err || !name->task_number || *task)
		return err;
	/* 3.12+ makes the name only when someone asks (task_get_name). */
	snprintf(unnamed, sizeof(unnamed), "Task-%llu", (unsigned long long)name->task_number);
	return set_name(evidence, task, unnamed);
}

/* The last few: what they ran is told of while they do. */
static int child_name(struct evidence *evidence, const struct ap_name *name)
{
	struct evidence_child *child =
		&evidence->children[name->child % EVIDENCE_CHILDREN_MAX];
	int err;

	free_child(evidence, child);
	child->number = name->child;
	err = set_text(evidence, &child->coro, &name->coro);
	return err ? err : set_task(evidence, &child->task, name);
}

const struct evidence_child *evidence_child(const struct evidence *evidence, uint64_t number)
{
	const struct evidence_child *child;

	if (!evidence || !number)
		return NULL;
	child = &evidence->children[number % EVIDENCE_CHILDREN_MAX];
	return child->number == number ? child : NULL;
}

int evidence_name(struct evidence *evidence, const struct ap_name *name)
{
	int err;

	if (name->child)
		return child_name(evidence, name);
	evidence->callee = name->callee;
	err = set_text(evidence, &evidence->coro, &name->coro);
	if (!err)
		err = set_text(evidence, &evidence->callback, &name->callback);
	return err ? err : set_task(evidence, &evidence->task, name);
}

static void count_syscall(struct evidence *evidence, int number)
{
	uint32_t i;

	evidence->samples_syscall_cnt++;
	for (i = 0; i < evidence->syscall_cnt; i++) {
		if (evidence->syscalls[i].number == number)
			break;
	}
	if (i == EVIDENCE_SYSCALLS_MAX)
		return;
	if (i == evidence->syscall_cnt) {
		evidence->syscalls[i].number = number;
		evidence->syscall_cnt++;
	}
	evidence->syscalls[i].cnt++;
}

/* The slot of a leaf; a new one takes the place of the one seen least. */
static struct evidence_line *line_slot(struct evidence *evidence, const struct ap_frame *leaf)
{
	struct evidence_line *least = &evidence->lines[0];

	for (uint32_t i = 0; i < evidence->line_cnt; i++) {
		struct evidence_line *line = &evidence->lines[i];

		if (line->code == leaf->code && line->lasti == leaf->lasti)
			return line;
		if (line->cnt < least->cnt)
			least = line;
	}
	if (evidence->line_cnt < EVIDENCE_LINES_MAX) {
		least = &evidence->lines[evidence->line_cnt++];
	} else {
		evidence->bytes -= least->frame_cnt * sizeof(*least->frames);
		free(least->frames);
		*least = (struct evidence_line){};
	}
	least->code = leaf->code;
	least->lasti = leaf->lasti;
	return least;
}

int evidence_sample(struct evidence *evidence, const struct ap_sample *sample)
{
	size_t frames_sz = sample->stack.cnt * sizeof(struct ap_frame);
	struct evidence_line *line;
	struct ap_frame *frames;

	if (sample->seen != AP_SEEN_UNDER)
		return 0;
	evidence->samples_cnt++;
	if (!evidence->first_sample_ts || sample->head.ts < evidence->first_sample_ts)
		evidence->first_sample_ts = sample->head.ts;
	if (sample->mode == AP_MODE_SYSCALL && sample->syscall >= 0)
		count_syscall(evidence, sample->syscall);
	if (!sample->stack.cnt) {
		evidence->cut = sample->stack.cut;
		return 0;
	}
	frames = malloc(frames_sz);
	if (!frames)
		return -ENOMEM;
	memcpy(frames, sample->stack.frame, frames_sz);
	line = line_slot(evidence, &frames[0]);
	evidence->bytes -= line->frame_cnt * sizeof(*line->frames);
	evidence->bytes += frames_sz;
	free(line->frames);
	line->frames = frames;
	line->frame_cnt = sample->stack.cnt;
	line->cut = sample->stack.cut;
	line->child = sample->child;
	line->ts = sample->head.ts;
	line->cnt++;
	return 0;
}

uint64_t evidence_block_ns(const struct ap_block *block, uint64_t now_ts)
{
	if (block->off_ns)
		return block->off_ns;
	return now_ts > block->out_ts ? now_ts - block->out_ts : 0;
}

const struct ap_block *evidence_asleep_at_attach(const struct evidence *evidence, uint64_t hi_ts,
						 uint64_t *until_ts)
{
	const struct ap_block *asleep = NULL;

	*until_ts = hi_ts;
	for (uint32_t i = 0; i < evidence->block_cnt; i++) {
		if (!evidence->blocks[i]->off_ns)
			asleep = evidence->blocks[i];
	}
	if (!asleep || asleep->out_ts >= hi_ts)
		return NULL;
	if (evidence->first_sample_ts > asleep->out_ts && evidence->first_sample_ts < *until_ts)
		*until_ts = evidence->first_sample_ts;
	for (uint32_t i = 0; i < evidence->block_cnt; i++) {
		uint64_t out_ts = evidence->blocks[i]->out_ts;

		if (out_ts > asleep->out_ts && out_ts < *until_ts)
			*until_ts = out_ts;
	}
	return asleep;
}

static bool same_place(const struct ap_block *a, const struct ap_block *b)
{
	return a->off == b->off && a->syscall == b->syscall && a->fd == b->fd;
}

int evidence_block(struct evidence *evidence, const struct ap_block *block)
{
	uint64_t now_ts = block->head.ts, least_ns = UINT64_MAX, ns;
	uint32_t slot = 0, i;
	struct ap_block *copy;

	if (block->seen == AP_SEEN_OVER)
		return 0;
	for (i = 0; i < evidence->block_cnt; i++) {
		ns = evidence_block_ns(evidence->blocks[i], now_ts);
		if (same_place(evidence->blocks[i], block)) {
			slot = i;
			least_ns = ns;
			/* The same one, told again while it went on. */
			if (evidence->blocks[i]->out_ts == block->out_ts)
				least_ns = 0;
			break;
		}
		if (ns < least_ns) {
			least_ns = ns;
			slot = i;
		}
	}
	if (i == evidence->block_cnt && i < EVIDENCE_BLOCKS_MAX) {
		slot = i;
		least_ns = 0;
	}
	if (evidence_block_ns(block, now_ts) < least_ns)
		return 0;

	copy = malloc(block->head.size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, block, block->head.size);
	if (slot == evidence->block_cnt) {
		evidence->block_cnt++;
	} else {
		evidence->bytes -= evidence->blocks[slot]->head.size;
		free(evidence->blocks[slot]);
	}
	evidence->blocks[slot] = copy;
	evidence->bytes += copy->head.size;
	return 0;
}

enum stall_kind evidence_kind(const struct evidence *evidence, uint32_t callee)
{
	if (callee == AP_CALLEE_UNKNOWN && evidence)
		callee = evidence->callee;
	switch (callee) {
	case AP_CALLEE_TASK:
		return STALL_TASK;
	case AP_CALLEE_SIGNAL:
		return STALL_SIGNAL;
	case AP_CALLEE_ITERATION:
		return STALL_ITERATION;
	default:
		return evidence && evidence->coro ? STALL_TASK : STALL_CALLBACK;
	}
}

int evidence_syscall(const struct evidence *evidence)
{
	uint32_t most = 0;

	if (evidence->samples_syscall_cnt * 2 <= evidence->samples_cnt)
		return -1;
	for (uint32_t i = 1; i < evidence->syscall_cnt; i++) {
		if (evidence->syscalls[i].cnt > evidence->syscalls[most].cnt)
			most = i;
	}
	return evidence->syscall_cnt ? evidence->syscalls[most].number : -1;
}
