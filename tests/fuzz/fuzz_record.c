/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* A stream of records through the model and out of every face. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "report/debuglog.h"
#include "report/json.h"
#include "report/text.h"

#include "records.h"

static FILE *out;
static struct text *text;

static void on_stall(void *ctx, const struct stall *stall)
{
	(void)ctx;
	json_print_stall(out, stall);
	debuglog_stall(out, stall);
	text__stall(text, stall);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct display display = {.width = 80, .colour = true, .verbose = true};
	const struct model_options options = {.on_stall = on_stall};
	struct model *model = model__new(&options);
	struct run_summary summary = {0};
	uint16_t record_sz;

	if (!out)
		out = fopen("/dev/null", "w");
	FUZZ_CHECK(out && model);
	text = text__new(out, &display);
	FUZZ_CHECK(text);
	/* Each record is led by two bytes with its size. */
	while (size > sizeof(record_sz)) {
		memcpy(&record_sz, data, sizeof(record_sz));
		data += sizeof(record_sz);
		size -= sizeof(record_sz);
		if (record_sz > size)
			record_sz = (uint16_t)size;
		model__feed(model, data, record_sz);
		data += record_sz;
		size -= record_sz;
	}
	text__flush(text, 0);
	if (!model__summarise(model, &summary)) {
		json_print_summary(out, &summary);
	}
	text__free(text);
	model__free(model);
	return 0;
}

static size_t add(uint8_t *data, size_t at, const union any_record *record)
{
	uint16_t size = (uint16_t)record->head.size;

	memcpy(data + at, &size, sizeof(size));
	memcpy(data + at + sizeof(size), record, size);
	return at + sizeof(size) + size;
}

size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	static union any_record record;
	size_t at = 0;

	if (n > 1 || max < 8 * sizeof(record))
		return 0;
	make_code(&record, CODE_SLEEPER, "sleeper", "/srv/app.py", 10);
	at = add(data, at, &record);
	make_name(&record, 1, "Task-1", "handler");
	at = add(data, at, &record);
	make_sample(&record, 1, 1050 * MS);
	sample_frame(&record, CODE_SLEEPER, 12);
	at = add(data, at, &record);
	make_block(&record, 1, AP_OFF_SYSCALL, 230, 1010 * MS, 140 * MS);
	block_frame(&record, CODE_SLEEPER, 4);
	at = add(data, at, &record);
	make_slow(&record, 1, 150);
	slow_place(&record, 230, -1, 0, 140);
	if (n)
		record.slow.flags = AP_F_ONGOING;
	at = add(data, at, &record);
	make_gone(&record, (int)n);
	return add(data, at, &record);
}
