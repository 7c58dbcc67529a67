/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Recordings for tests: a folder of their own, a head, points. */
#ifndef ASYNCPROF_TEST_RECORDINGS_H
#define ASYNCPROF_TEST_RECORDINGS_H

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recording/recording.h"

#define SECOND	  1000000000LL
#define START_NS  (1700000000 * SECOND + 250000000)
#define PERIOD_NS 10101010

struct folder {
	char path[64], file[96], journal[128];
};

static inline void folder_make(struct folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/recording-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	snprintf(folder->file, sizeof(folder->file), "%s/x.apdb", folder->path);
	snprintf(folder->journal, sizeof(folder->journal), "%s-journal", folder->file);
}

static inline void folder_remove(struct folder *folder)
{
	unlink(folder->file);
	unlink(folder->journal);
	assert_int_equal(rmdir(folder->path), 0);
}

static const struct run_target recorded_targets[] = {
	{100, "python3", "3.11.2", "/usr/bin/python3.11", 1},
	{101, NULL, NULL, NULL, -1},
};

static inline struct run_start start_of_test(void)
{
	static const char *const degraded[] = {"gc stays inside cpu", "no steal"};

	return (struct run_start){
		.version = "0.1.0",
		.unix_ns = START_NS,
		.targets = recorded_targets,
		.target_cnt = 2,
		.tier = "exact",
		.threshold_ns = 100000000,
		.kernel = "6.18.0",
		.degraded = degraded,
		.degraded_cnt = 2,
	};
}

static inline struct recording *create(const char *path)
{
	struct run_start start = start_of_test();
	struct recording_head head = {&start, PERIOD_NS, "x86_64, 2 CPUs"};
	struct recording *r = NULL;
	struct refusal why = {};

	if (recording__create(path, &head, &r, &why))
		fail_msg("%s", why.what);
	return r;
}

static inline struct recording *open_again(const char *path)
{
	struct recording *r = NULL;
	struct refusal why = {};

	if (recording__open(path, &r, &why))
		fail_msg("%s", why.what);
	return r;
}

static const struct point_frame point_frames[] = {
	{FRAME_WAIT, "recvfrom", "10.0.0.7:443", 0},
	{FRAME_KERNEL, "tcp_recvmsg", NULL, 0},
	{FRAME_NATIVE, "SSL_read", "libssl.so.3", 0},
	{FRAME_PYTHON, "read", "/usr/lib/python3.11/ssl.py", 1100},
	{FRAME_PYTHON, "fetch", "/srv/shop/db.py", 17},
};

static inline struct point point_of_wait(void)
{
	return (struct point){
		.kind = POINT_BLOCKED,
		.unix_ns = START_NS + SECOND / 2,
		.ns = 1234567,
		.cnt = 1,
		.pid = 100,
		.tid = 100,
		.comm = "python3",
		.loop = 0x7f0000001000,
		.what = STALL_TASK,
		.task = "poller",
		.coro = "fetch",
		.cause = CAUSE_SOCKET,
		.frames = point_frames,
		.frame_cnt = sizeof(point_frames) / sizeof(point_frames[0]),
	};
}

/* What a statement gives in its first column and row, as a number. */
static inline long long sql_number(const char *path, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	long long number;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return number;
}

/* Changes a file as a forger would. */
static inline void forge(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	char *error = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_db_config(db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
	if (sqlite3_exec(db, sql, NULL, NULL, &error))
		fail_msg("%s: %s", sql, error);
	sqlite3_close(db);
}

#endif
