/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Records without end, torn, contradicting themselves, random: the model stays small and whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "model/model.h"
#include "records.h"

static int stall_cnt, forgotten_cnt;

static void on_stall(void *ctx, const struct stall *stall)
{
	(void)ctx;
	assert_true(stall->frame_cnt <= AP_FRAMES_MAX);
	assert_true(strlen(stall->id) < sizeof(stall->id));
	stall_cnt++;
}

static void on_forgotten(void *ctx, uint32_t pid, uint64_t code)
{
	(void)ctx;
	assert_int_equal(pid, PID);
	/* the longest unused goes first */
	assert_int_equal(code, CODE_SLEEPER + 16 * (uint64_t)forgotten_cnt);
	forgotten_cnt++;
}

static struct model *new_model(void)
{
	struct model_options options = {.on_stall = on_stall, .code_forgotten = on_forgotten};

	stall_cnt = forgotten_cnt = 0;
	return model__new(&options);
}

static void feed(struct model *model, const union any_record *record)
{
	assert_int_equal(model__feed(model, record, record->head.size), 0);
}

/* Threads and code objects without end: counted, not kept. */
static void test_bounds(void **state)
{
	struct model *model = new_model();
	struct run_summary summary = {};
	union any_record record;

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		make_slow(&record, 1, 150);
		record.head.tid = 1000 + i;
		feed(model, &record);
	}
	for (uint64_t i = 0; i < 20000; i++) {
		make_code(&record, CODE_SLEEPER + 16 * i, "f", "f.py", 1);
		record.head.size = offsetof(struct ap_code, linetable);
		record.code.linetable_len = record.code.linetable_kept = 0;
		feed(model, &record);
	}
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loop_cnt, 1024);
	assert_int_equal(summary.evicted_loops, 3000 - 1024);
	assert_int_equal(summary.stalls, 3000);
	assert_int_equal(summary.evicted_codes, 20000 - 16384);
	assert_int_equal(forgotten_cnt, 20000 - 16384);
	model__free(model);
}

/* Code objects with large tables: fewer of them are kept. */
static void test_bytes(void **state)
{
	struct model *model = new_model();
	struct run_summary summary = {};
	struct ap_code *code = calloc(1, AP_RECORD_MAX);
	union any_record record;

	(void)state;
	assert_non_null(code);
	make_code(&record, CODE_SLEEPER, "f", "f.py", 1);
	memcpy(code, &record, record.head.size);
	code->head.size = AP_RECORD_MAX;
	code->linetable_len = code->linetable_kept = AP_RECORD_MAX - sizeof(*code);
	for (int i = 0; i < 200; i++, code->code += 16)
		assert_int_equal(model__feed(model, code, AP_RECORD_MAX), 0);
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_in_range(200 - summary.evicted_codes, 70, (5 << 20) / (AP_RECORD_MAX - 1024));
	free(code);
	model__free(model);
}

/* A line table as large as the collector reads them is no malformed record. */
static void test_largest_record(void **state)
{
	struct model *model = new_model();
	struct ap_code *code = calloc(1, AP_RECORD_MAX + 1);
	union any_record record;

	(void)state;
	assert_non_null(code);
	make_code(&record, CODE_SLEEPER, "f", "f.py", 1);
	memcpy(code, &record, record.head.size);
	code->head.size = AP_RECORD_MAX;
	code->linetable_len = code->linetable_kept = AP_RECORD_MAX - sizeof(*code);
	assert_int_equal(model__feed(model, code, AP_RECORD_MAX), 0);
	code->head.size++;
	assert_int_equal(model__feed(model, code, AP_RECORD_MAX + 1), -EBADMSG);
	free(code);
	model__free(model);
}

static void test_places(void **state)
{
	struct model *model = new_model();
	struct run_summary summary = {};
	union any_record record;
	char name[32];

	(void)state;
	for (uint64_t i = 0; i < LOOP_PLACES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "coro%llu", (unsigned long long)i);
		make_name(&record, i, "t", name);
		feed(model, &record);
		make_slow(&record, i, 100 + i);
		feed(model, &record);
	}
	make_name(&record, 9999, "t", "coro5");
	feed(model, &record);
	make_slow(&record, 9999, 5000);
	feed(model, &record);
	assert_int_equal(model__summarise(model, &summary), 0);
	assert_int_equal(summary.loops[0]->place_cnt, LOOP_PLACES_MAX);
	assert_int_equal(summary.loops[0]->place_overflow_cnt, 10);
	assert_string_equal(summary.loops[0]->places[0].title, "coro5");
	assert_int_equal(summary.loops[0]->places[0].cnt, 2);
	assert_int_equal(summary.loops[0]->places[0].max_ns, 5000 * MS);
	model__free(model);
}

static void refused(struct model *model, const union any_record *record)
{
	struct model_counts before, after;

	model__counts(model, &before);
	assert_int_equal(model__feed(model, record, record->head.size), -EBADMSG);
	model__counts(model, &after);
	assert_int_equal(after.malformed, before.malformed + 1);
}

static void test_malformed(void **state)
{
	struct model *model = new_model();
	union any_record record;

	(void)state;
	assert_int_equal(model__feed(model, &record, 0), -EBADMSG);
	assert_int_equal(model__feed(model, &record, sizeof(struct ap_head) - 1), -EBADMSG);

	make_slow(&record, 1, 150);
	record.slow.cut = AP_CUT_NO_FRAME + 1;
	refused(model, &record);
	/* times whose differences would overflow, as they did where repeats are folded */
	make_slow(&record, 1, 150);
	record.head.ts = 1ULL << 63;
	refused(model, &record);
	make_slow(&record, 1, 150);
	record.slow.hi_ts = 1ULL << 63;
	record.slow.start_ts = record.slow.hi_ts - 1;
	refused(model, &record);
	make_slow(&record, 1, 150);
	assert_int_equal(model__feed(model, &record, record.head.size - 1), -EBADMSG);
	assert_int_equal(model__feed(model, &record, record.head.size + 1), -EBADMSG);
	record.head.kind = 0;
	refused(model, &record);
	record.head.kind = AP_KIND_CNT;
	refused(model, &record);
	record.head.kind = UINT32_MAX;
	refused(model, &record);

	make_slow(&record, 1, 150);
	record.slow.place_cnt = AP_PLACES_MAX + 1;
	refused(model, &record);
	make_slow(&record, 1, 150);
	record.slow.end = AP_END_CNT;
	refused(model, &record);
	make_slow(&record, 1, 150);
	record.slow.hi_ts = record.slow.start_ts - 1;
	refused(model, &record);
	record.slow.hi_ts = record.slow.start_ts + (1ULL << 57);
	refused(model, &record);
	make_slow(&record, 1, 150);
	slow_place(&record, 1, 1, 0, 1);
	record.slow.place[0].off = AP_OFF_CNT;
	refused(model, &record);

	make_sample(&record, 1, 0);
	record.sample.stack.cnt = 1;
	refused(model, &record);
	record.sample.stack.cnt = AP_FRAMES_MAX + 1;
	record.head.size = sizeof(record.sample) + 64;
	refused(model, &record);
	make_block(&record, 1, AP_OFF_CNT, 0, 0, 0);
	refused(model, &record);
	make_block(&record, 1, AP_OFF_SYSCALL, 0, 0, 0);
	record.block.file.path_len = AP_PATH_SZ + 1;
	refused(model, &record);

	make_code(&record, CODE_SLEEPER, "f", "f.py", 1);
	record.code.linetable_kept = 201;
	record.code.linetable_len = 1000;
	refused(model, &record);
	make_code(&record, CODE_SLEEPER, "f", "f.py", 1);
	record.code.linetable_len = 100;
	refused(model, &record);

	make_name(&record, 1, "t", "c");
	record.name.callee = 99;
	refused(model, &record);
	assert_int_equal(stall_cnt, 0);
	model__free(model);
}

static void make_random(union any_record *record)
{
	uint64_t seq = (uint64_t)rand() % 4;

	switch (rand() % 6) {
	case 0:
		make_name(record, seq, "task", "coro");
		break;
	case 1:
		make_code(record, CODE_SLEEPER + 64 * (seq % 2), "f", "f.py", 1);
		break;
	case 2:
		make_sample(record, seq, 1000 * MS + (uint64_t)rand());
		for (int i = rand() % 20; i > 0; i--)
			sample_frame(record, CODE_SLEEPER + 64 * ((uint64_t)rand() % 3),
				     rand() % 300);
		break;
	case 3:
		make_block(record, seq, rand() % AP_OFF_CNT, rand() % 460, (uint64_t)rand(),
			   (uint64_t)rand());
		for (int i = rand() % 20; i > 0; i--)
			block_frame(record, CODE_SLEEPER, rand() % 300);
		break;
	case 4:
		make_slow(record, seq, (uint64_t)rand() % 1000);
		slow_place(record, rand() % 460, rand() % 5, (uint16_t)rand(), 10);
		record->slow.flags = (uint32_t)rand() % 64;
		break;
	default:
		make_gone(record, rand() & 1);
		break;
	}
}

/* Records with flipped bits, and records torn at any byte, end exactly where memory does. */
static void test_random(void **state)
{
	struct model *model = new_model();
	struct model_counts counts;
	uint64_t sum = 0;
	union any_record record;

	(void)state;
	srand(5);
	for (int round = 0; round < 60000; round++) {
		size_t size;
		unsigned char *exact;

		make_random(&record);
		size = record.head.size;
		for (int flips = rand() % 4; flips > 0; flips--)
			record.bytes[(size_t)rand() % size] ^= (unsigned char)(1 << rand() % 8);
		if (rand() % 4 == 0) {
			size = (size_t)rand() % (size + 1);
			if (rand() & 1)
				record.head.size = (uint32_t)size;
		}
		exact = malloc(size ? size : 1);
		memcpy(exact, record.bytes, size);
		model__feed(model, exact, size);
		free(exact);
	}
	model__counts(model, &counts);
	for (int kind = 0; kind < AP_KIND_CNT; kind++)
		sum += counts.received[kind];
	assert_int_equal(sum + counts.malformed, 60000);
	assert_true(counts.malformed > 1000);
	assert_true(sum > 20000);
	model__free(model);
}

static void test_free_nothing(void **state)
{
	(void)state;
	model__free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),	     cmocka_unit_test(test_places),
		cmocka_unit_test(test_malformed),    cmocka_unit_test(test_random),
		cmocka_unit_test(test_largest_record), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_free_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
