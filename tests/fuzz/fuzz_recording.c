/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A recording with any bytes: what is read from it refers only to what is there,
 * and prints as JSON and as text.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recording/file.h"
#include "recording/schema.h"
#include "report/json.h"
#include "report/summary.h"
#include "report/text.h"

static FILE *nowhere;

static void check_profile(const struct profile *p)
{
	size_t sum = 0;

	for (size_t i = 0; i < p->thread_cnt; i++) {
		FUZZ_CHECK(p->threads[i].process < p->process_cnt);
		sum += strlen(p->threads[i].comm);
	}
	for (size_t i = 0; i < p->task_cnt; i++) {
		FUZZ_CHECK((unsigned int)p->tasks[i].what < STALL_KIND_CNT);
		sum += p->tasks[i].coro ? strlen(p->tasks[i].coro) : 0;
	}
	for (size_t i = 0; i < p->frame_cnt; i++) {
		FUZZ_CHECK((unsigned int)p->frames[i].kind < FRAME_KIND_CNT);
		FUZZ_CHECK(p->frames[i].line >= 0);
		sum += p->frames[i].func ? strlen(p->frames[i].func) : 0;
		sum += p->frames[i].file ? strlen(p->frames[i].file) : 0;
	}
	for (size_t i = 0; i < p->stack_cnt; i++) {
		FUZZ_CHECK(p->stacks[i].frame < p->frame_cnt);
		FUZZ_CHECK(p->stacks[i].parent < i || p->stacks[i].parent == PROFILE_NONE);
	}
	for (size_t i = 0; i < p->entry_cnt; i++) {
		const struct profile_entry *entry = &p->entries[i];

		FUZZ_CHECK(entry->thread < p->thread_cnt && entry->ns >= 0);
		FUZZ_CHECK(entry->task < p->task_cnt || entry->task == PROFILE_NONE);
		FUZZ_CHECK(entry->stack < p->stack_cnt || entry->stack == PROFILE_NONE);
		FUZZ_CHECK((unsigned int)entry->kind < POINT_KIND_CNT);
		FUZZ_CHECK((unsigned int)entry->cause < CAUSE_CNT);
	}
	/* Read, so that a name outside of the text is met. */
	FUZZ_CHECK(sum < SIZE_MAX);
}

static void print_stall(void *ctx, const struct stall *stall)
{
	FUZZ_CHECK(!json_print_stall(nowhere, stall));
	FUZZ_CHECK(!text__stall(ctx, stall));
}

static void read_all(struct recording *r)
{
	struct display display = {.width = 80, .verbose = true};
	struct text *text = text__new(nowhere, &display);
	struct run_summary summary;
	struct profile *profile;
	struct run_start start;
	struct refusal why;
	int complete;

	if (!recording_profile(r, &profile, &why)) {
		check_profile(profile);
		profile__free(profile);
	}
	if (!recording_start(r, &start, &why)) {
		FUZZ_CHECK(!json_print_start(nowhere, &start));
		FUZZ_CHECK(!text__start(text, &start));
	}
	recording_stalls(r, print_stall, text, &why);
	if (!recording_summary(r, &summary, &complete, &why)) {
		FUZZ_CHECK(!json_print_summary(nowhere, &summary));
		FUZZ_CHECK(!summary_text(nowhere, &display, &summary));
	}
	text__free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording *r = calloc(1, sizeof(*r));
	unsigned char *copy = sqlite3_malloc64(size + 1);
	struct refusal why = {};
	FILE *file;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	FUZZ_CHECK(r && copy && nowhere);
	if (size) {
		file = fmemopen((void *)data, size, "rb");
		schema_look(file, &why);
		fclose(file);
	}
	/* The same bytes as a database, whatever the look at its header said. */
	memcpy(copy, data, size);
	FUZZ_CHECK(!sqlite3_open(":memory:", &r->db));
	if (!sqlite3_deserialize(r->db, "main", copy, (sqlite3_int64)size, (sqlite3_int64)size + 1,
				 SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) &&
	    !file_check(r, &why))
		read_all(r);
	recording__close(r);
	return 0;
}

static void put(struct recording *r)
{
	static const struct point_frame frames[] = {
		{FRAME_WAIT, "recvfrom", "10.0.0.7:443", 0},
		{FRAME_PYTHON, "fetch", "/srv/db.py", 17},
		{FRAME_PYTHON, "main", "/srv/app.py", 3},
	};
	static const struct stall_frame stack[] = {{"fetch", "/srv/db.py", 17}, {"main", NULL, 0}};
	static const struct advice advice = {"time.sleep", "use await asyncio.sleep()"};
	const struct point point = {.kind = POINT_BLOCKED,
				    .unix_ns = 5000000000,
				    .ns = 1,
				    .cnt = 1,
				    .pid = 1,
				    .tid = 2,
				    .comm = "python3",
				    .what = STALL_TASK,
				    .task = "t",
				    .coro = "main",
				    .cause = CAUSE_SOCKET,
				    .frames = frames,
				    .frame_cnt = 3};
	struct stall stall = {.id = "1-2-3",
			      .pid = 1,
			      .tid = 2,
			      .comm = "python3",
			      .loop = 3,
			      .kind = STALL_TASK,
			      .task = "t",
			      .coro = "main",
			      .duration_ns = 9,
			      .cause = CAUSE_SLEEP,
			      .causes = 1 << CAUSE_SLEEP,
			      .syscall = "read",
			      .fd = {.num = 3, .kind = FD_FILE, .path = "/x"},
			      .holder_known = true,
			      .budget_known = true,
			      .sampled = 1,
			      .frames = stack,
			      .frame_cnt = 2,
			      .advice = &advice};
	struct loop_place place = {"main", "/srv/app.py", 3, STALL_TASK, CAUSE_SLEEP, 1, 9, 9};
	struct loop loop = {.pid = 1,
			    .tid = 2,
			    .comm = "python3",
			    .has_account = true,
			    .stall_cnt = 1,
			    .stall_ns = 9,
			    .places = &place,
			    .place_cnt = 1};
	const struct loop *loops[] = {&loop};
	struct run_summary summary = {
		.duration_ns = 9, .tier = "exact", .loops = loops, .loop_cnt = 1};

	FUZZ_CHECK(!recording__point(r, &point) && !recording__stall(r, &stall));
	strcpy(stall.id, "1-2-4");
	stall.ongoing = true;
	FUZZ_CHECK(!recording__stall(r, &stall) && !recording__commit(r));
	FUZZ_CHECK(!recording__finish(r, &summary));
}

/* In pages of 512 bytes, since each table takes one at least. Returns its size. */
static size_t make(const char *path, bool cut, uint8_t *data, size_t max)
{
	static const struct run_target target = {1, "python3", "3.11.2", "/usr/bin/python3", 0};
	static const char *const degraded[] = {"no gc"};
	struct run_start start = {.version = "0.1",
				  .targets = &target,
				  .target_cnt = 1,
				  .tier = "exact",
				  .degraded = degraded,
				  .degraded_cnt = 1};
	struct recording_head head = {&start, 10101010, "x86_64"};
	struct recording *r;
	struct refusal why;
	sqlite3 *db;
	size_t sz;
	FILE *file;

	FUZZ_CHECK(!recording__create(path, &head, &r, &why));
	put(r);
	recording__close(r);
	FUZZ_CHECK(!sqlite3_open(path, &db));
	FUZZ_CHECK(!sqlite3_exec(db, "PRAGMA page_size = 512; VACUUM", NULL, NULL, NULL));
	FUZZ_CHECK(!cut || !sqlite3_exec(db, "UPDATE run SET complete = 0", NULL, NULL, NULL));
	sqlite3_close(db);
	file = fopen(path, "rb");
	FUZZ_CHECK(file);
	sz = fread(data, 1, max, file);
	FUZZ_CHECK(sz && fgetc(file) == EOF);
	fclose(file);
	return sz;
}

/* One that is whole, and one that was cut. */
size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	char path[] = "/tmp/fuzz-recording-XXXXXX";
	size_t sz;
	int fd;

	if (n > 1)
		return 0;
	fd = mkstemp(path);
	FUZZ_CHECK(fd >= 0 && !close(fd));
	sz = make(path, n, data, max);
	unlink(path);
	return sz;
}
