/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The table of well-known cures: from cause and stack to one line, or to none. */
#include "cmocka_all.h"

#include "model/advice.h"
#include "stalls.h"

static const struct {
	enum cause cause;
	const char *file, *func, *key;
} rows[] = {
	{CAUSE_SLEEP, "/srv/app.py", "f", "time.sleep"},
	{CAUSE_CPU, "/srv/app.py", "f", "cpu"},
	{CAUSE_FILE, "/srv/app.py", "f", "file"},
	{CAUSE_FLOCK, "/srv/app.py", "f", "flock"},
	{CAUSE_CHILD, "/srv/app.py", "f", "subprocess"},
	{CAUSE_PIPE, "/usr/lib/python3.11/subprocess.py", "Popen.communicate", "subprocess"},
	{CAUSE_POLL, "/usr/lib/python3.11/subprocess.py", "Popen._communicate", "subprocess"},
	{CAUSE_POLL, "/srv/app.py", "f", "poll"},
	{CAUSE_SOCKET, "/srv/app.py", "f", "socket"},
	{CAUSE_SOCKET, "/usr/lib/python3.11/http/client.py", "HTTPResponse.read", "http.client"},
	{CAUSE_SOCKET, "/usr/lib/python3.11/urllib/request.py", "urlopen", "urllib"},
	{CAUSE_SOCKET, "/x/site-packages/requests/sessions.py", "Session.send", "requests"},
	{CAUSE_SOCKET, "/x/site-packages/redis/connection.py", "Connection.read", "redis"},
	{CAUSE_SOCKET, "/x/site-packages/pymysql/connections.py", "Connection.query", "pymysql"},
	{CAUSE_DNS, "/usr/lib/python3.11/socket.py", "getaddrinfo", "getaddrinfo"},
	{CAUSE_DNS, "/srv/app.py", "f", "getaddrinfo"},
	{CAUSE_LOCK, "/srv/app.py", "f", "lock"},
	{CAUSE_LOCK, "/usr/lib/python3.11/queue.py", "Queue.get", "queue"},
	{CAUSE_LOCK, "/usr/lib/python3.11/threading.py", "Thread.join", "thread.join"},
	/* Another function of that file is a lock like any other. */
	{CAUSE_LOCK, "/usr/lib/python3.11/threading.py", "Condition.wait", "lock"},
	{CAUSE_LOCK, "/usr/lib/python3.11/concurrent/futures/_base.py", "Future.result",
	 "future.result"},
	/* The end of a name is not the name. */
	{CAUSE_LOCK, "/srv/myqueue.py", "Queue.get", "lock"},
	/* A file of that name, but another reason. */
	{CAUSE_SLEEP, "/usr/lib/python3.11/queue.py", "Queue.get", "time.sleep"},
	{CAUSE_PIPE, "/srv/app.py", "f", NULL},
	{CAUSE_GIL, "/srv/app.py", "f", NULL},
	{CAUSE_RUNQUEUE, "/srv/app.py", "f", NULL},
	{CAUSE_THROTTLED, "/srv/app.py", "f", NULL},
	{CAUSE_FAULT, "/srv/app.py", "f", NULL},
	{CAUSE_OTHER, NULL, NULL, NULL},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* The leaf of a real stack is often a C function's caller, further up. */
		struct stall_frame frames[3] = {{"leaf", "/x/leaf.py", 1},
						{rows[i].func, rows[i].file, 1},
						{"main", NULL, 0}};
		struct stall stall = {.cause = rows[i].cause, .frames = frames, .frame_cnt = 3};
		const struct advice *advice = advice_for(&stall);

		if (!advice != !rows[i].key || (advice && strcmp(advice->key, rows[i].key)))
			fail_msg("row %zu: %s", i, advice ? advice->key : "none");
		if (advice) {
			assert_null(strchr(advice->text, '\n'));
			assert_true(strlen(advice->text) <= 80 - strlen("    hint: "));
		}
	}
}

static void test_sqlite(void **state)
{
	struct stall stall = {.cause = CAUSE_FILE, .fd = {3, FD_FILE, "/srv/x.db-journal", NULL}};

	(void)state;
	assert_string_equal(advice_for(&stall)->key, "sqlite3");
	stall.fd.path = "/srv/x.sqlite3";
	assert_string_equal(advice_for(&stall)->key, "sqlite3");
	stall.fd.path = "/srv/journal";
	assert_string_equal(advice_for(&stall)->key, "file");
	stall.cause = CAUSE_SLEEP;
	stall.native_sleep = true;
	assert_string_equal(advice_for(&stall)->key, "native.sleep");
}

static void test_no_frames(void **state)
{
	struct stall stall = {.cause = CAUSE_SLEEP};

	(void)state;
	assert_string_equal(advice_for(&stall)->key, "time.sleep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sqlite),
		cmocka_unit_test(test_no_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
