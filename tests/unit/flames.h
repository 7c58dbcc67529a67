/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Profiles made by hand, and one as a small service would leave it. */
#ifndef ASYNCPROF_FLAMES_H
#define ASYNCPROF_FLAMES_H

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "model/profile.h"

#define MS 1000000LL

/* Grows as it is told things; `profile` is valid at any time. Strings are borrowed. */
struct made {
	struct profile profile;
};

#define MADE_ADD(array, cnt, ...)                                                                  \
	(grow((void **)&(array), (cnt), sizeof(*(array))), (array)[(cnt)] = __VA_ARGS__,           \
	 (uint32_t)(cnt)++)

static inline void grow(void **array, size_t cnt, size_t size)
{
	/* At powers of two. */
	if (cnt & (cnt - 1))
		return;
	*array = realloc(*array, (cnt ? cnt * 2 : 1) * size);
	assert_non_null(*array);
}

static inline void made_clear(struct made *made)
{
	struct profile *p = &made->profile;

	free(p->processes);
	free(p->threads);
	free(p->tasks);
	free(p->frames);
	free(p->stacks);
	free(p->entries);
	memset(made, 0, sizeof(*made));
}

static inline void made_begin(struct made *made)
{
	memset(made, 0, sizeof(*made));
	made->profile.complete = true;
	made->profile.duration_ns = 30000 * MS;
	made->profile.period_ns = 10101010;
}

static inline uint32_t made_process(struct made *made, uint32_t pid, const char *comm)
{
	struct profile *p = &made->profile;

	return MADE_ADD(p->processes, p->process_cnt,
			(struct profile_process){.pid = pid, .comm = comm});
}

static inline uint32_t made_thread(struct made *made, uint32_t process, uint32_t tid,
				   const char *comm, bool plain)
{
	struct profile *p = &made->profile;

	return MADE_ADD(p->threads, p->thread_cnt,
			(struct profile_thread){.process = process,
						.tid = tid,
						.comm = comm,
						.plain = plain,
						.loop = plain ? 0 : 0x7f0000001000});
}

static inline uint32_t made_task(struct made *made, enum stall_kind what, const char *task,
				 bool unnamed, const char *coro, const char *callback)
{
	struct profile *p = &made->profile;

	return MADE_ADD(p->tasks, p->task_cnt,
			(struct profile_task){.what = what,
					      .task = task,
					      .unnamed = unnamed,
					      .coro = coro,
					      .callback = callback});
}

/* One frame below `parent`, PROFILE_NONE: the outermost. Each call makes a stack of its own. */
static inline uint32_t made_stack(struct made *made, uint32_t parent, enum frame_kind kind,
				  const char *func, const char *file, int line)
{
	struct profile *p = &made->profile;
	uint32_t frame;

	for (frame = 0; frame < p->frame_cnt; frame++) {
		const struct profile_frame *there = &p->frames[frame];

		if (there->kind == kind && there->func == func && there->file == file &&
		    there->line == line)
			break;
	}
	if (frame == p->frame_cnt)
		MADE_ADD(p->frames, p->frame_cnt,
			 (struct profile_frame){
				 .kind = kind, .func = func, .file = file, .line = line});
	return MADE_ADD(p->stacks, p->stack_cnt,
			(struct profile_stack){.parent = parent, .frame = frame});
}

static inline void made_entry(struct made *made, uint32_t thread, uint32_t task, uint32_t stack,
			      enum point_kind kind, int64_t ns, uint64_t cnt)
{
	struct profile *p = &made->profile;
	enum cause cause = kind == POINT_CPU	    ? CAUSE_CPU
			   : kind == POINT_RUNQUEUE ? CAUSE_RUNQUEUE
			   : kind == POINT_IDLE	    ? CAUSE_POLL
						    : CAUSE_SOCKET;

	(void)MADE_ADD(p->entries, p->entry_cnt,
		       (struct profile_entry){.thread = thread,
					      .task = task,
					      .stack = stack,
					      .kind = kind,
					      .cause = cause,
					      .ns = ns,
					      .cnt = cnt});
}

#define APP	"/srv/shop/shop/"
#define LIBRARY "/usr/lib/python3.11/"
#define SITE	"/srv/shop/venv/lib/python3.11/site-packages/"

static inline uint32_t py(struct made *made, uint32_t parent, const char *func, const char *file,
			  int line)
{
	return made_stack(made, parent, FRAME_PYTHON, func, file, line);
}

/* A web shop: one loop, a pool; a blocking query, JSON, templates, a sleep, a GIL, a run queue. */
static inline void made_service(struct made *made, int slower)
{
	uint32_t process, loop, pool, orders, search, report, conn, timer, work, s, t, u;

	made_begin(made);
	process = made_process(made, 4211, "gunicorn");
	loop = made_thread(made, process, 4211, "gunicorn", false);
	pool = made_thread(made, process, 4215, "asyncio_0", true);
	orders = made_task(made, STALL_TASK, "orders", false, "OrderService.run", NULL);
	search = made_task(made, STALL_TASK, "Task-91", true, "handle_search", NULL);
	conn = made_task(made, STALL_TASK, "Task-17", true, "RequestHandler.start", NULL);
	report = made_task(made, STALL_TASK, "nightly report", false, "build_report", NULL);
	timer = made_task(made, STALL_CALLBACK, NULL, false, NULL, "Cache.expire");
	work = made_task(made, STALL_ITERATION, NULL, false, NULL, NULL);

	/* orders: a driver that blocks, and JSON. */
	s = py(made, PROFILE_NONE, "OrderService.run", APP "orders.py", 41);
	t = py(made, s, "OrderService.load", APP "orders.py", 77);
	u = py(made, t, "Cursor.execute", SITE "psycopg2/extras.py", 236);
	u = made_stack(made, u, FRAME_NATIVE, "PQexec", "libpq.so.5", 0);
	u = made_stack(made, u, FRAME_WAIT, "poll", "10.0.0.7:5432", 0);
	made_entry(made, loop, orders, u, POINT_BLOCKED, (2480 + 900 * slower) * MS, 31);
	u = py(made, t, "JSONDecoder.raw_decode", LIBRARY "json/decoder.py", 353);
	u = made_stack(made, u, FRAME_NATIVE, "scan_once_unicode", "_json.cpython-311.so", 0);
	made_entry(made, loop, orders, u, POINT_CPU, 1310 * MS, 130);
	u = py(made, s, "OrderService.price", APP "orders.py", 118);
	made_entry(made, loop, orders, u, POINT_CPU, (640 - 400 * slower) * MS, 64);
	u = py(made, u, "Decimal.quantize", LIBRARY "_pydecimal.py", 2601);
	made_entry(made, loop, orders, u, POINT_CPU, 410 * MS, 41);
	u = py(made, s, "OrderService.audit", APP "orders.py", 131);
	u = py(made, u, "FileHandler.emit", LIBRARY "logging/__init__.py", 1231);
	t = made_stack(made, u, FRAME_WAIT, "fsync", "/var/log/shop/audit.log", 0);
	t = made_stack(made, t, FRAME_KERNEL, "jbd2_log_wait_commit", NULL, 0);
	t = made_stack(made, t, FRAME_KERNEL, "schedule", NULL, 0);
	made_entry(made, loop, orders, t, POINT_BLOCKED, 1720 * MS, 88);

	/* Searches, of thousands of tasks without a name. */
	s = py(made, PROFILE_NONE, "handle_search", APP "search.py", 23);
	t = py(made, s, "tokenize", APP "search.py", 58);
	made_entry(made, loop, search, t, POINT_CPU, 530 * MS, 53);
	u = py(made, t, "compile", LIBRARY "re/__init__.py", 227);
	u = py(made, u, "compile", LIBRARY "re/_compiler.py", 745);
	u = py(made, u, "parse", LIBRARY "re/_parser.py", 980);
	made_entry(made, loop, search, u, POINT_CPU, 380 * MS, 38);
	t = py(made, s, "rank", APP "search.py", 92);
	made_entry(made, loop, search, t, POINT_CPU, 210 * MS, 21);
	u = made_stack(made, t, FRAME_NATIVE, "cblas_ddot", "libopenblas.so.0", 0);
	made_entry(made, loop, search, u, POINT_CPU, (910 + 500 * slower) * MS, 91);
	u = made_stack(made, t, FRAME_WAIT, "run queue", NULL, 0);
	made_entry(made, loop, search, u, POINT_RUNQUEUE, 290 * MS, 140);
	u = made_stack(made, t, FRAME_WAIT, "the GIL", NULL, 0);
	made_entry(made, loop, search, u, POINT_BLOCKED, 470 * MS, 95);
	if (slower) {
		u = py(made, s, "spell_check", APP "search.py", 133);
		u = py(made, u, "suggest", SITE "spell/suggest.py", 12);
		made_entry(made, loop, search, u, POINT_CPU, 800 * MS, 80);
	}

	/* Connections. */
	s = py(made, PROFILE_NONE, "RequestHandler.start", SITE "aiohttp/web_protocol.py", 563);
	s = py(made, s, "RequestHandler._handle_request", SITE "aiohttp/web_protocol.py", 477);
	s = py(made, s, "Application._handle", SITE "aiohttp/web_app.py", 567);
	t = py(made, s, "product", APP "views.py", 31);
	u = py(made, t, "Template.render", SITE "jinja2/environment.py", 1301);
	u = py(made, u, "root", "<template>", 12);
	made_entry(made, loop, conn, u, POINT_CPU, 860 * MS, 86);
	u = py(made, t, "getaddrinfo", LIBRARY "socket.py", 961);
	u = made_stack(made, u, FRAME_WAIT, "recvfrom", "10.0.0.2:53", 0);
	made_entry(made, loop, conn, u, POINT_BLOCKED, 620 * MS, 7);
	t = py(made, s, "cart", APP "views.py", 58);
	made_entry(made, loop, conn, t, POINT_CPU, 190 * MS, 19);
	u = py(made, t, "sleep_politely", APP "views.py", 66);
	u = made_stack(made, u, FRAME_WAIT, "clock_nanosleep", NULL, 0);
	if (!slower)
		made_entry(made, loop, conn, u, POINT_BLOCKED, 750 * MS, 3);

	s = py(made, PROFILE_NONE, "build_report", APP "report.py", 12);
	t = py(made, s, "DataFrame.groupby", SITE "pandas/core/frame.py", 8869);
	t = made_stack(made, t, FRAME_NATIVE, "group_sum", "groupby.cpython-311.so", 0);
	made_entry(made, loop, report, t, POINT_CPU, 1150 * MS, 115);
	t = py(made, s, "read", LIBRARY "codecs.py", 319);
	t = made_stack(made, t, FRAME_WAIT, "read", "/srv/shop/data/sales.csv", 0);
	made_entry(made, loop, report, t, POINT_BLOCKED, 330 * MS, 42);

	s = py(made, PROFILE_NONE, "Cache.expire", APP "cache.py", 19);
	made_entry(made, loop, timer, s, POINT_CPU, 240 * MS, 24);
	made_entry(made, loop, work, PROFILE_NONE, POINT_CPU, 130 * MS, 13);
	s = py(made, PROFILE_NONE, "BaseEventLoop._run_once", LIBRARY "asyncio/base_events.py",
	       1890);
	t = py(made, s, "heappop", LIBRARY "heapq.py", 135);
	made_entry(made, loop, work, t, POINT_CPU, 160 * MS, 16);
	made_entry(made, loop, work, PROFILE_NONE, POINT_IDLE, 14200 * MS, 900);

	/* A pool's thread. */
	s = py(made, PROFILE_NONE, "Thread._bootstrap", LIBRARY "threading.py", 995);
	s = py(made, s, "_worker", LIBRARY "concurrent/futures/thread.py", 83);
	t = py(made, s, "thumbnail", APP "images.py", 44);
	t = made_stack(made, t, FRAME_NATIVE, "ImagingResample", "_imaging.cpython-311.so", 0);
	made_entry(made, pool, PROFILE_NONE, t, POINT_CPU, 2900 * MS, 290);
	made_entry(made, pool, PROFILE_NONE, s, POINT_IDLE, 21000 * MS, 12);
}

#endif
