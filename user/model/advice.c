/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/advice.h"

#include <stdint.h>
#include <string.h>

#include "model/stall.h"

/*
 * sqlite3 is C and has no frame: its files tell. Its busy handler sleeps, which
 * is a sleep that Python did not make.
 */
static const struct advice sqlite_advice = {
	"sqlite3", "sqlite3 blocks: use aiosqlite, or asyncio.to_thread()"};
static const char *const sqlite_files[] = {".sqlite", ".sqlite3", "-journal", "-wal", "-shm"};

static const struct advice native_sleep_advice = {
	"native.sleep", "a C library slept (sqlite3 busy?): call it in asyncio.to_thread()"};

static const struct advice iteration_advice = {
	"iteration", "many callbacks in one go: spread them out; a lower -t names each"};

/*
 * The first row that fits decides. A row fits when the stall's cause is one of
 * `causes` and, where `frame` is given, a frame near the leaf is of that file
 * (the end of its path, a '/' before it) and function (its last dotted part;
 * NULL: any). C functions have no frame: their callers' and the cause tell.
 */
#define DEPTH	24 /* http clients have 15 frames between the caller and recv (urllib3 2.2) */
#define MASK(c) (1U << CAUSE_##c)
#define NETWORK (MASK(SOCKET) | MASK(DNS) | MASK(POLL))

struct row {
	uint32_t causes;
	const char *file, *func;
	struct advice advice;
};

static const struct row table[] = {
	{MASK(DNS),
	 "/socket.py",
	 "getaddrinfo",
	 {"getaddrinfo", "look names up with await loop.getaddrinfo()"}},
	{NETWORK,
	 "/requests/sessions.py",
	 NULL,
	 {"requests", "requests blocks: use httpx or aiohttp, or asyncio.to_thread()"}},
	{NETWORK,
	 "/psycopg2/__init__.py",
	 NULL,
	 {"psycopg2", "psycopg2 blocks: use psycopg 3's AsyncConnection or asyncpg"}},
	{NETWORK,
	 "/pymysql/connections.py",
	 NULL,
	 {"pymysql", "PyMySQL blocks: use aiomysql or asyncmy"}},
	{NETWORK, "/redis/connection.py", NULL, {"redis", "this client blocks: use redis.asyncio"}},
	{NETWORK,
	 "/botocore/httpsession.py",
	 NULL,
	 {"boto", "boto3 blocks: use aioboto3, or asyncio.to_thread()"}},
	{NETWORK,
	 "/urllib3/connectionpool.py",
	 NULL,
	 {"urllib3", "urllib3 blocks: use httpx or aiohttp, or asyncio.to_thread()"}},
	{NETWORK,
	 "/urllib/request.py",
	 NULL,
	 {"urllib", "urllib blocks: use httpx or aiohttp, or asyncio.to_thread()"}},
	{NETWORK,
	 "/http/client.py",
	 NULL,
	 {"http.client", "http.client blocks: use httpx or aiohttp, or asyncio.to_thread()"}},
	{NETWORK,
	 "/smtplib.py",
	 NULL,
	 {"smtplib", "smtplib blocks: use aiosmtplib, or asyncio.to_thread()"}},
	{MASK(CHILD) | MASK(PIPE) | MASK(POLL),
	 "/subprocess.py",
	 NULL,
	 {"subprocess", "use await asyncio.create_subprocess_exec()"}},
	{MASK(LOCK),
	 "/concurrent/futures/_base.py",
	 NULL,
	 {"future.result", "await asyncio.wrap_future() instead of waiting for the future"}},
	{MASK(LOCK), "/queue.py", NULL, {"queue", "use asyncio.Queue, or asyncio.to_thread()"}},
	{MASK(LOCK),
	 "/threading.py",
	 "join",
	 {"thread.join", "await asyncio.to_thread(thread.join)"}},

	{MASK(SLEEP), NULL, NULL, {"time.sleep", "use await asyncio.sleep()"}},
	{MASK(DNS), NULL, NULL, {"getaddrinfo", "look names up with await loop.getaddrinfo()"}},
	{MASK(LOCK),
	 NULL,
	 NULL,
	 {"lock", "use asyncio.Lock; wait for threads with asyncio.to_thread()"}},
	{MASK(CHILD), NULL, NULL, {"subprocess", "use await asyncio.create_subprocess_exec()"}},
	{MASK(FILE),
	 NULL,
	 NULL,
	 {"file", "do file work in await asyncio.to_thread(), or with aiofiles"}},
	{MASK(FLOCK), NULL, NULL, {"flock", "wait for the file lock in await asyncio.to_thread()"}},
	{MASK(SOCKET),
	 NULL,
	 NULL,
	 {"socket", "use asyncio streams or loop.sock_recv(), or asyncio.to_thread()"}},
	{MASK(POLL),
	 NULL,
	 NULL,
	 {"poll", "register the fd with loop.add_reader() instead of polling it"}},
	{MASK(CPU),
	 NULL,
	 NULL,
	 {"cpu", "move the work to a process pool: await loop.run_in_executor()"}},
};

static int ends_with(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);

	return text_len >= end_len && !strcmp(text + text_len - end_len, end);
}

static int frame_fits(const struct stall_frame *frame, const struct row *row)
{
	const char *last;

	if (!frame->file || !ends_with(frame->file, row->file))
		return 0;
	if (!row->func)
		return 1;
	if (!frame->func)
		return 0;
	last = strrchr(frame->func, '.');
	return !strcmp(last ? last + 1 : frame->func, row->func);
}

static int is_sqlite(const char *path)
{
	for (size_t i = 0; path && i < sizeof(sqlite_files) / sizeof(sqlite_files[0]); i++) {
		if (ends_with(path, sqlite_files[i]))
			return 1;
	}
	return 0;
}

const struct advice *advice_for(const struct stall *stall)
{
	/* None of its callbacks is to blame alone. */
	if (stall->kind == STALL_ITERATION) {
		int starved = stall->cause == CAUSE_RUNQUEUE || stall->cause == CAUSE_THROTTLED;

		return stall->inner_cnt > 1 && stall->cause != CAUSE_LOOP && !starved
			       ? &iteration_advice
			       : NULL;
	}
	if (stall->cause == CAUSE_SLEEP && stall->native_sleep)
		return &native_sleep_advice;
	if ((stall->cause == CAUSE_FILE || stall->cause == CAUSE_FLOCK) &&
	    is_sqlite(stall->fd.path))
		return &sqlite_advice;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct row *row = &table[i];

		if (!(row->causes & 1U << stall->cause))
			continue;
		if (!row->file)
			return &row->advice;
		for (size_t j = 0; j < stall->frame_cnt && j < DEPTH; j++) {
			if (frame_fits(&stall->frames[j], row))
				return &row->advice;
		}
	}
	return NULL;
}
