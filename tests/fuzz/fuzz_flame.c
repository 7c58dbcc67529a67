/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* A profile whose indices, times and names are anything: its tree adds up, its picture is XML. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "markup_check.h"
#include "model/flame.h"
#include "report/flamegraph.h"

#define RECORD_SZ 24
#define MAX	  1024

/* What each record adds: a byte for which, one for flags, numbers. */
enum { PROCESS, THREAD, TASK, FRAME, STACK, ENTRY, KIND_CNT };

struct made {
	struct profile_process process[MAX];
	struct profile_thread thread[MAX];
	struct profile_task task[MAX];
	struct profile_frame frame[MAX];
	struct profile_stack stack[MAX];
	struct profile_entry entry[MAX];
	struct profile profile;
	char *text;
	size_t text_sz;
};

static uint32_t word(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static const char *name(const struct made *made, uint32_t at)
{
	return at & 1 ? NULL : made->text + at % made->text_sz;
}

static void add(struct made *made, const uint8_t *record)
{
	struct profile *p = &made->profile;
	uint32_t a = word(record + 4), b = word(record + 8), c = word(record + 12);
	uint8_t flags = record[1];
	int64_t ns;

	memcpy(&ns, record + 16, sizeof(ns));
	switch (record[0] % KIND_CNT) {
	case PROCESS:
		if (p->process_cnt < MAX)
			made->process[p->process_cnt++] =
				(struct profile_process){.pid = a, .comm = name(made, b)};
		break;
	case THREAD:
		if (p->thread_cnt < MAX)
			made->thread[p->thread_cnt++] =
				(struct profile_thread){.process = a,
							.comm = made->text + b % made->text_sz,
							.plain = flags & 1};
		break;
	case TASK:
		if (p->task_cnt < MAX)
			made->task[p->task_cnt++] = (struct profile_task){
				.what = (enum stall_kind)(flags % (STALL_KIND_CNT + 1)),
				.unnamed = flags & 0x80,
				.task = name(made, a),
				.coro = name(made, b),
				.callback = name(made, c)};
		break;
	case FRAME:
		if (p->frame_cnt < MAX)
			made->frame[p->frame_cnt++] = (struct profile_frame){
				.kind = (enum frame_kind)(flags % (FRAME_KIND_CNT + 1)),
				.func = name(made, a),
				.file = name(made, b),
				.line = (int)c};
		break;
	case STACK:
		if (p->stack_cnt < MAX)
			made->stack[p->stack_cnt++] =
				(struct profile_stack){.parent = a, .frame = b};
		break;
	default:
		if (p->entry_cnt < MAX)
			made->entry[p->entry_cnt++] = (struct profile_entry){
				.thread = a,
				.task = b,
				.stack = c,
				.kind = (enum point_kind)(flags % (POINT_KIND_CNT + 1)),
				.cause = (enum cause)flags,
				.ns = ns,
				.cnt = (uint64_t)ns};
	}
}

static void make(struct made *made, const uint8_t *data, size_t size)
{
	memset(made, 0, sizeof(*made));
	made->text_sz = size + 1;
	made->text = malloc(made->text_sz);
	FUZZ_CHECK(made->text);
	memcpy(made->text, data, size);
	/* Names that end: without it each of a thousand could be all that follows. */
	for (size_t i = 0; i <= size; i += 256)
		made->text[i] = 0;
	made->text[size] = 0;
	for (size_t i = 0; i + RECORD_SZ <= size; i += RECORD_SZ)
		add(made, data + i);
	made->profile.processes = made->process;
	made->profile.threads = made->thread;
	made->profile.tasks = made->task;
	made->profile.frames = made->frame;
	made->profile.stacks = made->stack;
	made->profile.entries = made->entry;
	made->profile.duration_ns = size ? (int64_t)data[0] - 1 : 0;
}

static void check_sums(const struct flame *flame)
{
	int64_t self_ns = 0, old_ns = 0;
	uint64_t cnt = 0;

	for (size_t i = 0; i < flame->node_cnt; i++) {
		const struct flame_node *node = &flame->nodes[i];

		FUZZ_CHECK(node->self_ns >= 0 && node->old_self_ns >= 0);
		FUZZ_CHECK(!i || node->parent < i);
		self_ns += node->self_ns;
		old_ns += node->old_self_ns;
		cnt += node->self_cnt;
	}
	FUZZ_CHECK(self_ns == flame->nodes[0].total_ns);
	FUZZ_CHECK(old_ns == flame->nodes[0].old_total_ns);
	FUZZ_CHECK(cnt == flame->nodes[0].total_cnt);
}

static void check_picture(const struct flame *flame, const char *title)
{
	const struct flamegraph words = {.title = title, .subtitle = title, .version = title};
	char *text = NULL;
	size_t sz = 0, where;
	FILE *out = open_memstream(&text, &sz);

	FUZZ_CHECK(out);
	FUZZ_CHECK(!flamegraph_svg(out, flame, &words));
	fclose(out);
	FUZZ_CHECK(strlen(text) == sz);
	FUZZ_CHECK(!markup_check(text, &where));
	free(text);
	out = open_memstream(&text, &sz);
	FUZZ_CHECK(out);
	FUZZ_CHECK(!flamegraph_html(out, flame, &words));
	fclose(out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct made first, second;
	struct flame_options options = {0};
	struct flame *flame;

	if (size < 4)
		return 0;
	options.clock = (enum flame_clock)(data[2] % FLAME_CLOCK_CNT);
	options.by = (enum flame_by)(data[3] % FLAME_BY_CNT);
	options.per_process = data[2] & 0x80;
	options.threads = data[2] & 0x40;
	options.idle = data[2] & 0x20;
	options.full_filenames = data[2] & 0x10;
	make(&first, data, size);
	make(&second, data + size / 2, size - size / 2);
	flame = flame__new(&first.profile, &options);
	FUZZ_CHECK(flame);
	check_sums(flame);
	check_picture(flame, first.text);
	flame__free(flame);
	flame = flame__compare(&second.profile, &first.profile, &options);
	FUZZ_CHECK(flame);
	check_sums(flame);
	check_picture(flame, second.text);
	flame__free(flame);
	free(first.text);
	free(second.text);
	return 0;
}

static uint8_t *put(uint8_t *at, uint8_t kind, uint8_t flags, uint32_t a, uint32_t b, uint32_t c,
		    int64_t ns)
{
	memset(at, 0, RECORD_SZ);
	at[0] = kind;
	at[1] = flags;
	memcpy(at + 4, &a, 4);
	memcpy(at + 8, &b, 4);
	memcpy(at + 12, &c, 4);
	memcpy(at + 16, &ns, 8);
	return at + RECORD_SZ;
}

/* Two loops, a few tasks, twelve stacks; then the bytes that the names are. */
size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	static const char text[] = "</script><\"'&]]>\0fetch\0/srv/db.py\0a\nb\xff\xe2\x80\xae";
	uint8_t *at = data;
	uint32_t base = 24 * (2 + 2 + 4 + 8 + 12 + 40);

	if (n || max < base + sizeof(text))
		return 0;
	for (uint32_t i = 0; i < 2; i++)
		at = put(at, PROCESS, 0, i, base, 0, 0);
	for (uint32_t i = 0; i < 2; i++)
		at = put(at, THREAD, (uint8_t)i, i, base + 18, 0, 0);
	for (uint32_t i = 0; i < 4; i++)
		at = put(at, TASK, (uint8_t)i, base + 2 * i, base + 4 * i, base + 18, 0);
	for (uint32_t i = 0; i < 8; i++)
		at = put(at, FRAME, (uint8_t)i, base + 4 * i, base + 24, i, 0);
	for (uint32_t i = 0; i < 12; i++)
		at = put(at, STACK, 0, i % 4 ? i - 1 : PROFILE_NONE, i % 8, 0, 0);
	for (uint32_t i = 0; i < 40; i++)
		at = put(at, ENTRY, (uint8_t)i, i % 2, i % 5, i % 13, 1000000LL * i * i);
	memcpy(at, text, sizeof(text));
	return base + sizeof(text);
}
