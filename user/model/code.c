/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An allocation that fails must not end the profiler: the add reports it. */
#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(added) ((added)->lost = 1)
#include <uthash.h>
#include <utlist.h>

#include "model/lines.h"
#include "model/pystr.h"

struct code_key {
	uint64_t address;
	uint32_t pid, pad;
};

struct code {
	struct code_key key;
	UT_hash_handle hh;
	struct code *prev, *next;
	int lost;
	size_t bytes;
	char *name, *file;  /* inside data[], or NULL */
	struct lines lines; /* its table lies in data[] */
	char data[];
};

struct codes {
	struct code *table;
	struct code *used; /* in the order of their last use, longest unused first */
	size_t bytes;
	uint64_t evicted_cnt;
	void (*forgotten)(void *ctx, uint32_t pid, uint64_t code);
	void *ctx;
};

struct codes *codes__new(void (*forgotten)(void *ctx, uint32_t pid, uint64_t code), void *ctx)
{
	struct codes *codes = calloc(1, sizeof(*codes));

	if (!codes)
		return NULL;
	codes->forgotten = forgotten;
	codes->ctx = ctx;
	return codes;
}

static void drop(struct codes *codes, struct code *code)
{
	HASH_DEL(codes->table, code);
	DL_DELETE(codes->used, code);
	codes->bytes -= code->bytes;
	free(code);
}

void codes__free(struct codes *codes)
{
	struct code *code, *next;

	if (!codes)
		return;
	HASH_ITER(hh, codes->table, code, next)
	drop(codes, code);
	free(codes);
}

static struct code *find(struct codes *codes, uint32_t pid, uint64_t address)
{
	struct code_key key = {.address = address, .pid = pid};
	struct code *code = NULL;

	HASH_FIND(hh, codes->table, &key, sizeof(key), code);
	return code;
}

static int append(struct codes *codes, struct code *code)
{
	HASH_ADD(hh, codes->table, key, sizeof(code->key), code);
	if (code->lost) {
		free(code);
		return -ENOMEM;
	}
	DL_APPEND(codes->used, code);
	codes->bytes += code->bytes;
	return 0;
}

int codes__add(struct codes *codes, const struct ap_code *record)
{
	char name[PYSTR_SZ(AP_NAME_SZ)], file[PYSTR_SZ(AP_FILE_SZ)];
	size_t table_sz = record->linetable_kept, bytes;
	int name_len, file_len;
	struct code *code;
	char *at;

	name_len = pystr_utf8(&record->name.text, record->name.data, sizeof(record->name.data),
			      name, sizeof(name));
	file_len = pystr_utf8(&record->file.text, record->file.data, sizeof(record->file.data),
			      file, sizeof(file));
	bytes = sizeof(*code) + table_sz + (size_t)(name_len + 1) + (size_t)(file_len + 1);

	code = find(codes, record->head.tgid, record->code);
	if (code)
		drop(codes, code);
	while (codes->table &&
	       (HASH_COUNT(codes->table) >= CODES_MAX || codes->bytes + bytes > CODES_BYTES_MAX)) {
		if (codes->forgotten)
			codes->forgotten(codes->ctx, codes->used->key.pid,
					 codes->used->key.address);
		drop(codes, codes->used);
		codes->evicted_cnt++;
	}

	code = calloc(1, bytes);
	if (!code)
		return -ENOMEM;
	code->key.address = record->code;
	code->key.pid = record->head.tgid;
	code->bytes = bytes;
	at = code->data;
	if (name_len >= 0) {
		code->name = memcpy(at, name, (size_t)name_len + 1);
		at += name_len + 1;
	}
	if (file_len >= 0) {
		code->file = memcpy(at, file, (size_t)file_len + 1);
		at += file_len + 1;
	}
	memcpy(at, record->linetable, table_sz);
	code->lines = (struct lines){
		.version = record->version,
		.firstlineno = record->firstlineno <= INT32_MAX ? (int)record->firstlineno : 0,
		.table = (const uint8_t *)at,
		.table_sz = table_sz,
		.whole_sz = record->linetable_len,
	};
	return append(codes, code);
}

void codes__forget(struct codes *codes, uint32_t pid)
{
	struct code *code, *next;

	HASH_ITER(hh, codes->table, code, next)
	{
		if (code->key.pid == pid)
			drop(codes, code);
	}
}

void codes__resolve(struct codes *codes, uint32_t pid, const struct ap_frame *frame,
		    struct stall_frame *resolved)
{
	struct code *code = find(codes, pid, frame->code);

	*resolved = (struct stall_frame){};
	if (!code)
		return;
	DL_DELETE(codes->used, code);
	DL_APPEND(codes->used, code);
	resolved->func = code->name;
	resolved->file = code->file;
	/* Unreadable in the target is not the same as empty. */
	if (code->lines.whole_sz || frame->lasti < 0)
		resolved->line = lines_find(&code->lines, frame->lasti);
}

uint64_t codes__evicted_cnt(const struct codes *codes)
{
	return codes->evicted_cnt;
}
