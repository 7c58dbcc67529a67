/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* perf's buffers: records as the kernel writes them, forged ones, and this thread's own samples. */
#include "cmocka_all.h"

#include <asm/perf_regs.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/stacks.h"

#define DATA_SZ	   (1024 * 1024)
#define PAGE	   4096
#define STACK_SZ   64
#define RECORD_SZ  (8 + 8 + 8 + 8 + 17 * 8 + 8 + STACK_SZ + 8)
#define MARKER	   0x61736e6370726f66ULL
#define ENOUGH	   200	   /* samples: three times what a buffer holds */
#define ROUNDS_MAX 2000000 /* a clock that never ticks ends the test */

/* A sample with register n holding 100 + n, by perf's numbers, and a stack that counts up. */
static size_t build(uint64_t *word, uint32_t tid)
{
	struct perf_event_header head = {.type = PERF_RECORD_SAMPLE, .size = RECORD_SZ};
	size_t i = 1;

	memcpy(word, &head, sizeof(head));
	word[i++] = (uint64_t)tid << 32 | 7;
	word[i++] = 123456789;
	word[i++] = PERF_SAMPLE_REGS_ABI_64;
	for (uint64_t n = 0; n < PERF_REG_X86_64_MAX; n++) {
		if (n < PERF_REG_X86_FLAGS || n > PERF_REG_X86_GS)
			word[i++] = 100 + n;
	}
	word[i++] = STACK_SZ;
	for (uint64_t n = 0; n < STACK_SZ / 8; n++)
		word[i++] = n;
	word[i++] = STACK_SZ - 8;
	assert_int_equal(i * 8, RECORD_SZ);
	return RECORD_SZ;
}

static void test_ask(void **state)
{
	struct perf_event_attr attr = {.sample_type = PERF_SAMPLE_IP};

	(void)state;
	stacks_ask(&attr);
	assert_int_equal(attr.sample_type, PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
						   PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER);
	assert_int_equal(__builtin_popcountll(attr.sample_regs_user), NATIVE_REGS_CNT);
	assert_int_equal(attr.sample_stack_user % 8, 0);
	assert_true(attr.sample_stack_user + RECORD_SZ < 65528);
	assert_int_equal(attr.use_clockid, 1);
	assert_int_equal(attr.clockid, CLOCK_MONOTONIC);
}

static void test_parse(void **state)
{
	/* rax rdx rcx rbx rsi rdi rbp rsp r8..r15 rip, by perf's numbers */
	static const uint64_t want[NATIVE_REGS_CNT] = {
		100 + PERF_REG_X86_AX,	100 + PERF_REG_X86_DX,	100 + PERF_REG_X86_CX,
		100 + PERF_REG_X86_BX,	100 + PERF_REG_X86_SI,	100 + PERF_REG_X86_DI,
		100 + PERF_REG_X86_BP,	100 + PERF_REG_X86_SP,	100 + PERF_REG_X86_R8,
		100 + PERF_REG_X86_R9,	100 + PERF_REG_X86_R10, 100 + PERF_REG_X86_R11,
		100 + PERF_REG_X86_R12, 100 + PERF_REG_X86_R13, 100 + PERF_REG_X86_R14,
		100 + PERF_REG_X86_R15, 100 + PERF_REG_X86_IP,
	};
	uint64_t word[RECORD_SZ / 8], ts, stack0;
	struct native_sample sample;
	uint32_t tgid, tid;

	(void)state;
	build(word, 9);
	assert_int_equal(stacks_parse(word, RECORD_SZ, &tgid, &tid, &ts, &sample), 1);
	assert_int_equal(tgid, 7);
	assert_int_equal(tid, 9);
	assert_int_equal(ts, 123456789);
	for (size_t i = 0; i < NATIVE_REGS_CNT; i++)
		assert_int_equal(sample.reg[i], want[i]);
	assert_int_equal(sample.stack_addr, 100 + PERF_REG_X86_SP);
	/* of what was asked for, what was there */
	assert_int_equal(sample.stack_sz, STACK_SZ - 8);
	memcpy(&stack0, sample.stack + 8, sizeof(stack0));
	assert_int_equal(stack0, 1);
}

static void test_parse_forged(void **state)
{
	const size_t abi = 3, stack_sz = 4 + 17, dynamic = RECORD_SZ / 8 - 1;
	static const uint64_t bad[] = {STACK_SZ + 1, STACK_SZ + 8, STACK_SZ + 16,
				       1ULL << 63,   UINT64_MAX,   UINT64_MAX - 7};
	uint64_t word[RECORD_SZ / 8], ts;
	struct native_sample sample;
	uint32_t tgid, tid;

	(void)state;
	for (size_t size = 0; size < RECORD_SZ; size += 8) {
		uint64_t *cut = malloc(size + 1);

		build(word, 9);
		memcpy(cut, word, size);
		assert_int_equal(stacks_parse(cut, size, &tgid, &tid, &ts, &sample), 0);
		free(cut);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		build(word, 9);
		word[stack_sz] = bad[i];
		assert_int_equal(stacks_parse(word, RECORD_SZ, &tgid, &tid, &ts, &sample), 0);
		build(word, 9);
		word[dynamic] = bad[i];
		assert_int_equal(stacks_parse(word, RECORD_SZ, &tgid, &tid, &ts, &sample), 0);
	}
	/* a kernel thread has no registers, a 32-bit process others */
	build(word, 9);
	word[abi] = PERF_SAMPLE_REGS_ABI_NONE;
	assert_int_equal(stacks_parse(word, RECORD_SZ, &tgid, &tid, &ts, &sample), 0);
	word[abi] = PERF_SAMPLE_REGS_ABI_32;
	assert_int_equal(stacks_parse(word, RECORD_SZ, &tgid, &tid, &ts, &sample), 0);
	/* no stack at all is a sample */
	build(word, 9);
	word[stack_sz] = 0;
	assert_int_equal(stacks_parse(word, (stack_sz + 1) * 8, &tgid, &tid, &ts, &sample), 1);
	assert_int_equal(sample.stack_sz, 0);
}

/* A file in the place of an event: a head's page, and a ring that the test writes. */
struct ring {
	struct stacks *stacks;
	struct perf_event_mmap_page *page;
	uint8_t *data;
	uint64_t head;
	int fd;
};

static void start_ring(struct ring *r, uint64_t head)
{
	memset(r, 0, sizeof(*r));
	r->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_true(r->fd >= 0);
	assert_int_equal(ftruncate(r->fd, PAGE + DATA_SZ), 0);
	r->page = mmap(NULL, PAGE + DATA_SZ, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	assert_true(r->page != MAP_FAILED);
	r->data = (uint8_t *)r->page + PAGE;
	r->head = r->page->data_head = r->page->data_tail = head;
	assert_int_equal(stacks__open(&r->stacks), 0);
	assert_int_equal(stacks__add(r->stacks, r->fd), 0);
}

static void end_ring(struct ring *r)
{
	stacks__close(r->stacks);
	munmap(r->page, PAGE + DATA_SZ);
	close(r->fd);
}

static void write_ring(struct ring *r, const void *record, size_t size)
{
	for (size_t i = 0; i < size; i++)
		r->data[(r->head + i) % DATA_SZ] = ((const uint8_t *)record)[i];
	r->head += size;
	r->page->data_head = r->head;
}

struct got {
	uint32_t cnt, last_tid;
};

static void get(void *ctx, uint32_t tgid, uint32_t tid, uint64_t ts,
		const struct native_sample *sample)
{
	struct got *got = ctx;
	uint64_t word;

	assert_int_equal(tgid, 7);
	assert_int_equal(ts, 123456789);
	for (uint64_t i = 0; i < sample->stack_sz / 8; i++) {
		memcpy(&word, sample->stack + 8 * i, sizeof(word));
		assert_int_equal(word, i);
	}
	got->cnt++;
	got->last_tid = tid;
}

/* Each record begins 8 bytes nearer to the end of the ring than the one before, and past it. */
static void test_wrap(void **state)
{
	uint64_t word[RECORD_SZ / 8];
	struct got got;
	struct ring r;

	(void)state;
	for (uint32_t before = 8; before <= RECORD_SZ + 8; before += 8) {
		got = (struct got){0};
		start_ring(&r, 3ULL * DATA_SZ - before);
		write_ring(&r, word, build(word, before));
		write_ring(&r, word, build(word, before + 1));
		assert_int_equal(stacks__read(r.stacks, get, &got), 2);
		assert_int_equal(got.cnt, 2);
		assert_int_equal(got.last_tid, before + 1);
		assert_int_equal(r.page->data_tail, r.head);
		assert_int_equal(stacks__read(r.stacks, get, &got), 0);
		assert_int_equal(stacks_refused_cnt(r.stacks), 0);
		end_ring(&r);
	}
}

static void test_lost(void **state)
{
	struct {
		struct perf_event_header head;
		uint64_t id, lost;
	} lost = {{PERF_RECORD_LOST, 0, sizeof(lost)}, 1, 42};
	struct perf_event_header throttle = {PERF_RECORD_THROTTLE, 0, 8};
	struct perf_event_header other = {PERF_RECORD_EXIT, 0, 8};
	uint64_t word[RECORD_SZ / 8];
	struct got got = {0};
	struct ring r;

	(void)state;
	start_ring(&r, 0);
	write_ring(&r, &lost, sizeof(lost));
	write_ring(&r, &throttle, sizeof(throttle));
	write_ring(&r, word, build(word, 5));
	lost.lost = 1;
	write_ring(&r, &lost, sizeof(lost));
	assert_int_equal(stacks__read(r.stacks, get, &got), 1);
	assert_int_equal(stacks_lost_cnt(r.stacks), 43);
	assert_int_equal(stacks_refused_cnt(r.stacks), 0);
	write_ring(&r, &other, sizeof(other));
	/* one that is too short to say how many */
	lost.head.size = 8;
	write_ring(&r, &lost, 8);
	assert_int_equal(stacks__read(r.stacks, get, &got), 0);
	assert_int_equal(stacks_lost_cnt(r.stacks), 43);
	assert_int_equal(stacks_refused_cnt(r.stacks), 2);
	end_ring(&r);
}

/* Sizes that lead nowhere: what is there is dropped and counted, and what comes later is read. */
static void test_ring_forged(void **state)
{
	static const uint16_t sizes[] = {0, 7, 12, RECORD_SZ + 8, 65528, 65535};
	uint64_t word[RECORD_SZ / 8];
	struct got got;
	struct ring r;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		got = (struct got){0};
		start_ring(&r, DATA_SZ - 16);
		build(word, 5);
		memcpy((uint8_t *)word + offsetof(struct perf_event_header, size), &sizes[i], 2);
		write_ring(&r, word, RECORD_SZ);
		assert_int_equal(stacks__read(r.stacks, get, &got), 0);
		assert_int_equal(stacks_refused_cnt(r.stacks), 1);
		write_ring(&r, word, build(word, 6));
		assert_int_equal(stacks__read(r.stacks, get, &got), 1);
		assert_int_equal(got.last_tid, 6);
		end_ring(&r);
	}
	/* a head in the middle of a word */
	got = (struct got){0};
	start_ring(&r, 0);
	write_ring(&r, word, 4);
	assert_int_equal(stacks__read(r.stacks, get, &got), 0);
	assert_int_equal(stacks_refused_cnt(r.stacks), 1);
	end_ring(&r);
}

static void test_no_event(void **state)
{
	struct stacks *s;

	(void)state;
	assert_int_equal(stacks__open(&s), 0);
	assert_int_equal(stacks__add(s, -1), -EBADF);
	assert_int_equal(stacks__read(s, get, NULL), 0);
	stacks__close(s);
	stacks__close(NULL);
}

/* --- This thread's own samples ------------------------------------------------------------ */

struct own {
	uint64_t first_ts, last_ts;
	uint32_t cnt, marked;
	volatile uint64_t *marker;
};

static void get_own(void *ctx, uint32_t tgid, uint32_t tid, uint64_t ts,
		    const struct native_sample *sample)
{
	struct own *own = ctx;
	uint64_t at = (uint64_t)(uintptr_t)own->marker, word;

	assert_int_equal(tgid, getpid());
	assert_int_equal(tid, syscall(SYS_gettid));
	assert_true(ts >= own->last_ts);
	if (!own->cnt++)
		own->first_ts = ts;
	own->last_ts = ts;
	assert_int_equal(sample->stack_addr, sample->reg[7]);
	assert_true(sample->stack_sz <= STACKS_STACK_SZ);
	if (at < sample->stack_addr || at - sample->stack_addr + 8 > sample->stack_sz)
		return;
	memcpy(&word, sample->stack + (at - sample->stack_addr), sizeof(word));
	assert_int_equal(word, MARKER);
	own->marked++;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void burn(volatile uint64_t *sum)
{
	for (int i = 0; i < 100000; i++)
		*sum += (uint64_t)i * 7;
}

static int open_own(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000,
		.exclude_kernel = 1,
	};

	stacks_ask(&attr);
	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

#define OPEN_OR_SKIP(fd)                                                                           \
	do {                                                                                       \
		(fd) = open_own();                                                                 \
		if ((fd) < 0) {                                                                    \
			print_message("# skip: no perf events for this user: %s\n",                \
				      strerror(errno));                                            \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void test_own(void **state)
{
	volatile uint64_t marker = MARKER, sum = 0;
	struct own own = {.marker = &marker};
	uint64_t before, after;
	struct stacks *s;
	int fd;

	(void)state;
	OPEN_OR_SKIP(fd);
	assert_int_equal(stacks__open(&s), 0);
	assert_int_equal(stacks__add(s, fd), 0);
	before = now_ns();
	for (int i = 0; own.cnt < ENOUGH && i < ROUNDS_MAX; i++) {
		burn(&sum);
		assert_true(stacks__read(s, get_own, &own) >= 0);
	}
	after = now_ns();
	assert_true(own.cnt >= ENOUGH);
	assert_true(own.marked > own.cnt / 2);
	assert_true(own.first_ts >= before && own.last_ts <= after);
	assert_int_equal(stacks_lost_cnt(s), 0);
	assert_int_equal(stacks_refused_cnt(s), 0);
	stacks__close(s);
	close(fd);
}

/* A buffer that nobody reads overflows: what is handed out and what is lost is all there was. */
static void test_own_lost(void **state)
{
	volatile uint64_t marker = MARKER, sum = 0;
	struct own own = {.marker = &marker};
	uint64_t ticks_ns;
	struct stacks *s;
	int fd;

	(void)state;
	OPEN_OR_SKIP(fd);
	assert_int_equal(stacks__open(&s), 0);
	assert_int_equal(stacks__add(s, fd), 0);
	/* the event counts the nanoseconds that it ran; a tick is one millisecond */
	do {
		burn(&sum);
		assert_int_equal(read(fd, &ticks_ns, sizeof(ticks_ns)), sizeof(ticks_ns));
	} while (ticks_ns < ENOUGH * 1000000ULL);
	assert_true(stacks__read(s, get_own, &own) > 0);
	assert_int_equal(stacks_lost_cnt(s), 0);
	assert_true(own.cnt < ENOUGH);
	for (int i = 0; !stacks_lost_cnt(s) && i < ROUNDS_MAX; i++) {
		burn(&sum);
		stacks__read(s, get_own, &own);
	}
	assert_true(stacks_lost_cnt(s) > 0);
	assert_int_equal(stacks_refused_cnt(s), 0);
	stacks__close(s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask),	     cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_forged), cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_lost),	     cmocka_unit_test(test_ring_forged),
		cmocka_unit_test(test_no_event),     cmocka_unit_test(test_own),
		cmocka_unit_test(test_own_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
