/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * perf's ring buffers, one a CPU: the kernel writes at data_head, we read
 * from data_tail and give the room back. Each record is copied out before it
 * is looked at, since it may wrap around the end of the buffer.
 *
 * It must never trust a size in a record: the head is the kernel's, but a
 * wrong step through a ring reads stack bytes of the target as records.
 */
#include "kernel/stacks.h"

#include <asm/perf_regs.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/*
 * Pages that an event may pin are limited by kernel.perf_event_mlock_kb (516 a CPU: 512 KiB and
 * the head's page) and RLIMIT_MEMLOCK, for those without CAP_IPC_LOCK (perf_mmap() in
 * kernel/events/core.c). The smaller size just fits that.
 */
#define BUFFER_SZ     (1024 * 1024)
#define BUFFER_LOW_SZ (512 * 1024)
#define RECORD_MAX    65536 /* perf_event_header.size is a __u16 */

#ifdef __x86_64__
/* perf writes registers in the order of its own numbers; DWARF's are those of the psABI. */
static const struct {
	uint8_t perf, dwarf;
} registers[NATIVE_REGS_CNT] = {
	{PERF_REG_X86_AX, 0},	{PERF_REG_X86_BX, 3},	{PERF_REG_X86_CX, 2},
	{PERF_REG_X86_DX, 1},	{PERF_REG_X86_SI, 4},	{PERF_REG_X86_DI, 5},
	{PERF_REG_X86_BP, 6},	{PERF_REG_X86_SP, 7},	{PERF_REG_X86_IP, 16},
	{PERF_REG_X86_R8, 8},	{PERF_REG_X86_R9, 9},	{PERF_REG_X86_R10, 10},
	{PERF_REG_X86_R11, 11}, {PERF_REG_X86_R12, 12}, {PERF_REG_X86_R13, 13},
	{PERF_REG_X86_R14, 14}, {PERF_REG_X86_R15, 15},
};
#define STACK_POINTER 7
#else
#error "which registers perf copies here, and their DWARF numbers, is not known yet"
#endif

struct buffer {
	struct perf_event_mmap_page *page; /* the head; the data follows */
	const uint8_t *data;
	size_t data_sz; /* a power of two */
};

struct stacks {
	size_t page_sz;
	size_t cnt;
	struct buffer buffer[STACKS_CPUS_MAX];
	uint64_t lost_cnt, refused_cnt;
	uint64_t record[RECORD_MAX / 8];
};

/* What a sample looks like with this sample_type (perf_event.h, PERF_RECORD_SAMPLE). */
struct sample {
	struct perf_event_header head;
	uint32_t tgid, tid;
	uint64_t time;
	uint64_t abi;
	uint64_t reg[NATIVE_REGS_CNT];
	uint64_t stack_sz; /* 0, or stack[stack_sz] follows and, of that, how much is real */
	uint8_t stack[];
};

struct lost {
	struct perf_event_header head;
	uint64_t id, lost;
};

void stacks_ask(struct perf_event_attr *attr)
{
	attr->sample_type =
		PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
	attr->sample_stack_user = STACKS_STACK_SZ;
	attr->sample_regs_user = 0;
	for (size_t i = 0; i < NATIVE_REGS_CNT; i++)
		attr->sample_regs_user |= 1ULL << registers[i].perf;
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	/* Polling the event wakes at a quarter: the rest is for the time until it is read. */
	attr->watermark = 1;
	attr->wakeup_watermark = BUFFER_LOW_SZ / 4;
}

int stacks__open(struct stacks **out)
{
	struct stacks *s = calloc(1, sizeof(*s));

	*out = s;
	if (!s)
		return -ENOMEM;
	s->page_sz = (size_t)sysconf(_SC_PAGESIZE);
	return 0;
}

void stacks__close(struct stacks *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->cnt; i++)
		munmap(s->buffer[i].page, s->page_sz + s->buffer[i].data_sz);
	free(s);
}

int stacks__add(struct stacks *s, int event_fd)
{
	struct buffer *b = &s->buffer[s->cnt];
	void *map = MAP_FAILED;
	size_t size;

	if (s->cnt == STACKS_CPUS_MAX)
		return -E2BIG;
	for (size = BUFFER_SZ; size >= BUFFER_LOW_SZ; size /= 2) {
		map = mmap(NULL, s->page_sz + size, PROT_READ | PROT_WRITE, MAP_SHARED, event_fd,
			   0);
		if (map != MAP_FAILED || (errno != EPERM && errno != ENOMEM))
			break;
	}
	if (map == MAP_FAILED)
		return -errno;
	b->page = map;
	b->data = (const uint8_t *)map + s->page_sz;
	b->data_sz = size;
	s->cnt++;
	return 0;
}

int stacks_parse(const void *record, size_t size, uint32_t *tgid, uint32_t *tid, uint64_t *ts,
		 struct native_sample *sample)
{
	const struct sample *r = record;
	size_t fixed = offsetof(struct sample, stack);
	uint64_t dynamic = 0;

	if (size < fixed || r->head.type != PERF_RECORD_SAMPLE ||
	    r->abi != PERF_SAMPLE_REGS_ABI_64 || r->stack_sz > size - fixed)
		return 0;
	if (r->stack_sz) {
		if (size - fixed - r->stack_sz < sizeof(dynamic))
			return 0;
		memcpy(&dynamic, r->stack + r->stack_sz, sizeof(dynamic));
		if (dynamic > r->stack_sz)
			return 0;
	}
	/* Written by ascending number, which is the table's order. */
	for (size_t i = 0; i < NATIVE_REGS_CNT; i++)
		sample->reg[registers[i].dwarf] = r->reg[i];
	sample->stack_addr = sample->reg[STACK_POINTER];
	sample->stack = r->stack;
	sample->stack_sz = (size_t)dynamic;
	*tgid = r->tgid;
	*tid = r->tid;
	*ts = r->time;
	return 1;
}

static void copy_out(const struct buffer *b, uint64_t at, void *to, size_t size)
{
	size_t offset = (size_t)(at & (b->data_sz - 1));
	size_t first = size < b->data_sz - offset ? size : b->data_sz - offset;

	memcpy(to, b->data + offset, first);
	memcpy((uint8_t *)to + first, b->data, size - first);
}

/* One record, in s->record. 1 when it was handed over. */
static int take(struct stacks *s, size_t size, stacks_sample each, void *ctx)
{
	const struct perf_event_header *head = (const void *)s->record;
	const struct lost *lost = (const void *)s->record;
	struct native_sample sample;
	uint32_t tgid, tid;
	uint64_t ts;

	if (head->type == PERF_RECORD_LOST && size >= sizeof(*lost)) {
		s->lost_cnt += lost->lost;
		return 0;
	}
	if (head->type == PERF_RECORD_THROTTLE || head->type == PERF_RECORD_UNTHROTTLE)
		return 0;
	if (!stacks_parse(s->record, size, &tgid, &tid, &ts, &sample)) {
		s->refused_cnt++;
		return 0;
	}
	each(ctx, tgid, tid, ts, &sample);
	return 1;
}

/* Up to the head as it was when we came: a CPU that writes all the time can't keep us here. */
static int read_buffer(struct stacks *s, struct buffer *b, stacks_sample each, void *ctx)
{
	/* Pairs with the kernel's barrier before it moves the head: the data is there. */
	uint64_t head = __atomic_load_n(&b->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = b->page->data_tail;
	struct perf_event_header h;
	int cnt = 0;

	while (tail != head) {
		/* Records are of whole words, so a head never wraps. */
		if (head - tail >= sizeof(h))
			copy_out(b, tail, &h, sizeof(h));
		if (head - tail < sizeof(h) || h.size < sizeof(h) || h.size % 8 ||
		    h.size > head - tail) {
			/* No way to know where the next one begins: drop what is there. */
			s->refused_cnt++;
			__atomic_store_n(&b->page->data_tail, head, __ATOMIC_RELEASE);
			return cnt;
		}
		copy_out(b, tail, s->record, h.size);
		tail += h.size;
		/* Our reads of the room come before it is given back. */
		__atomic_store_n(&b->page->data_tail, tail, __ATOMIC_RELEASE);
		cnt += take(s, h.size, each, ctx);
	}
	return cnt;
}

int stacks__read(struct stacks *s, stacks_sample each, void *ctx)
{
	int cnt = 0;

	for (size_t i = 0; i < s->cnt; i++)
		cnt += read_buffer(s, &s->buffer[i], each, ctx);
	return cnt;
}

uint64_t stacks_lost_cnt(const struct stacks *s)
{
	return s->lost_cnt;
}

uint64_t stacks_refused_cnt(const struct stacks *s)
{
	return s->refused_cnt;
}
