/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Records as the kernel side sends them, for tests of the model and of the reports. */
#ifndef ASYNCPROF_TEST_RECORDS_H
#define ASYNCPROF_TEST_RECORDS_H

#include <string.h>

#include "record.h"

#define MS   1000000ULL
#define PID  100
#define TID  101
#define LOOP 0x7f0000001000ULL

#define CODE_SLEEPER 0x7f0000100000ULL
#define CODE_HANDLER 0x7f0000200000ULL
#define CODE_LIBRARY 0x7f0000300000ULL

/* Any record, with the room of the largest. */
union any_record {
	struct ap_head head;
	struct ap_name name;
	struct ap_code code;
	struct ap_sample sample;
	struct ap_block block;
	struct ap_slow slow;
	struct ap_gone gone;
	unsigned char bytes[8192];
};

static inline void set_head(struct ap_head *head, enum ap_kind kind, size_t size, uint64_t ts)
{
	*head = (struct ap_head){
		.kind = kind, .size = (uint32_t)size, .tgid = PID, .tid = TID, .ts = ts};
}

static inline void set_text(struct ap_text *text, void *data, const char *value)
{
	size_t len = strlen(value);

	*text = (struct ap_text){.length = (uint32_t)len, .kept = (uint16_t)len, .width = 1};
	memcpy(data, value, len);
}

static inline void make_name(union any_record *record, uint64_t seq, const char *task,
			     const char *coro)
{
	memset(record, 0, sizeof(*record));
	set_head(&record->head, AP_NAME, sizeof(record->name), 0);
	record->name.seq = seq;
	record->name.callee = AP_CALLEE_TASK;
	if (task)
		set_text(&record->name.task_name.text, record->name.task_name.data, task);
	if (coro)
		set_text(&record->name.coro.text, record->name.coro.data, coro);
}

static inline void make_callback(union any_record *record, uint64_t seq, const char *callback)
{
	memset(record, 0, sizeof(*record));
	set_head(&record->head, AP_NAME, sizeof(record->name), 0);
	record->name.seq = seq;
	record->name.callee = AP_CALLEE_METHOD;
	set_text(&record->name.callback.text, record->name.callback.data, callback);
}

/* Its line table says: bytes 0 to 9 are on firstlineno, 10 to 19 on the next line, and so on. */
static inline void make_code(union any_record *record, uint64_t address, const char *name,
			     const char *file, int firstlineno)
{
	memset(record, 0, sizeof(*record));
	record->code.code = address;
	record->code.firstlineno = (uint32_t)firstlineno;
	record->code.version = 0x030a;
	set_text(&record->code.name.text, record->code.name.data, name);
	set_text(&record->code.file.text, record->code.file.data, file);
	for (int i = 0; i < 100; i++) {
		record->code.linetable[2 * i] = 10;
		record->code.linetable[2 * i + 1] = i > 0;
	}
	record->code.linetable_len = record->code.linetable_kept = 200;
	set_head(&record->head, AP_CODE, offsetof(struct ap_code, linetable) + 200, 0);
}

static inline void push_frame(struct ap_stack *stack, uint64_t code, int lasti)
{
	stack->frame[stack->cnt++] = (struct ap_frame){.code = code, .lasti = lasti};
}

static inline void make_sample(union any_record *record, uint64_t seq, uint64_t ts)
{
	memset(record, 0, sizeof(*record));
	set_head(&record->head, AP_SAMPLE, offsetof(struct ap_sample, stack.frame), ts);
	record->sample.seq = seq;
	record->sample.syscall = -1;
	record->sample.mode = AP_MODE_USER;
	record->sample.seen = AP_SEEN_UNDER;
}

static inline void sample_frame(union any_record *record, uint64_t code, int lasti)
{
	push_frame(&record->sample.stack, code, lasti);
	record->head.size += sizeof(struct ap_frame);
}

static inline void make_block(union any_record *record, uint64_t seq, enum ap_off off, int syscall,
			      uint64_t out_ts, uint64_t off_ns)
{
	memset(record, 0, sizeof(*record));
	set_head(&record->head, AP_BLOCK, offsetof(struct ap_block, stack.frame), out_ts + off_ns);
	record->block.seq = seq;
	record->block.off = off;
	record->block.syscall = syscall;
	record->block.fd = -1;
	record->block.out_ts = out_ts;
	record->block.off_ns = off_ns;
	record->block.seen = AP_SEEN_UNDER;
}

static inline void block_frame(union any_record *record, uint64_t code, int lasti)
{
	push_frame(&record->block.stack, code, lasti);
	record->head.size += sizeof(struct ap_frame);
}

/* It started at 1 s and was seen to run until its end. */
static inline void make_slow(union any_record *record, uint64_t seq, uint64_t ms)
{
	memset(record, 0, sizeof(*record));
	set_head(&record->head, AP_SLOW, sizeof(record->slow), 1000 * MS + ms * MS);
	record->slow.seq = seq;
	record->slow.loop = LOOP;
	record->slow.start_ts = 1000 * MS;
	record->slow.lo_ts = record->slow.hi_ts = 1000 * MS + ms * MS;
	record->slow.end = AP_END_POLL;
	record->slow.callee = AP_CALLEE_TASK;
	strcpy(record->slow.comm, "python3");
}

static inline void slow_place(union any_record *record, int syscall, int fd, uint16_t mode,
			      uint64_t ms)
{
	record->slow.place[record->slow.place_cnt++] = (struct ap_place){
		.ns = ms * MS,
		.syscall = syscall,
		.fd = fd,
		.cnt = 1,
		.mode = mode,
		.off = AP_OFF_SYSCALL,
	};
	record->slow.off_ns[AP_OFF_SYSCALL] += ms * MS;
}

static inline void make_gone(union any_record *record, int exec)
{
	memset(record, 0, sizeof(*record));
	set_head(&record->head, AP_GONE, sizeof(record->gone), 0);
	record->gone.exec = (uint32_t)exec;
	strcpy(record->gone.comm, "python3");
}

#endif
