/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A real interpreter of this system, if it has one: found, checked, looked
 * into. The other versions are the end-to-end tests' matter.
 */
#include "cmocka_all.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/interpreter.h"
#include "target/snapshot.h"

#define THRESHOLD_NS 100000000ULL

/* Each says "ready" on stdout and goes on when its stdin ends or has a line. */
static const char plain[] = "import sys\n"
			    "print('ready', flush=True)\n"
			    "sys.stdin.readline()\n"
			    "import asyncio\n"
			    "print('ready', flush=True)\n"
			    "sys.stdin.readline()\n";

static const char blocked[] = "import asyncio, sys\n"
			      "def leaf(n):\n"
			      "    if n: return leaf(n - 1)\n"
			      "    print('ready', flush=True)\n"
			      "    sys.stdin.readline()\n"
			      "async def work(): leaf(5)\n"
			      "async def main():\n"
			      "    t = asyncio.ensure_future(work())\n"
			      "    t.set_name('the worker')\n"
			      "    await t\n"
			      "    await asyncio.sleep(0)\n"
			      "    loop = asyncio.get_running_loop()\n"
			      "    loop.call_soon(leaf, 0)\n"
			      "    await asyncio.sleep(1000)\n"
			      "asyncio.run(main())\n";

static const char polling[] = "import asyncio, sys\n"
			      "async def main():\n"
			      "    print('ready', flush=True)\n"
			      "    await asyncio.sleep(1000)\n"
			      "asyncio.run(main())\n";

static const char threads[] = "import asyncio, sys, threading\n"
			      "gate = threading.Event()\n"
			      "for i in range(3): threading.Thread(target=gate.wait, daemon=True).start()\n"
			      "async def main():\n"
			      "    print('ready', flush=True)\n"
			      "    await asyncio.sleep(1000)\n"
			      "asyncio.run(main())\n";

static const char no_python[] = "echo ready; read x";

struct target {
	pid_t pid;
	int in, out;
	struct process *process;
	struct memory *memory;
};

static struct interpreter in;
static struct refusal why;

static void wait_ready(struct target *t)
{
	char byte = 0;

	while (byte != '\n')
		assert_int_equal(read(t->out, &byte, 1), 1);
}

static void go_on(struct target *t)
{
	assert_int_equal(write(t->in, "\n", 1), 1);
}

/* 0, or -1 when there is no such program. */
static int start(struct target *t, const char *program, const char *script)
{
	int to[2], from[2];

	if (access(program, X_OK))
		return -1;
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	t->pid = fork();
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl(program, program, "-c", script, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	t->in = to[1];
	t->out = from[0];
	wait_ready(t);
	assert_int_equal(process__open(t->pid, &t->process, &why), 0);
	assert_int_equal(memory__open(t->process, &t->memory), 0);
	return 0;
}

static void end(struct target *t)
{
	interpreter__close(&in);
	memory__close(t->memory);
	process__close(t->process);
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	close(t->in);
	close(t->out);
}

/* The system's own one; the reading child must be allowed to look (Yama), which root is. */
static const char *python(void)
{
	static const char *const path[] = {"/usr/bin/python3", "/usr/local/bin/python3"};

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		if (!access(path[i], X_OK))
			return path[i];
	}
	return "/nonexistent";
}

#define START_OR_SKIP(t, script)                                                                   \
	do {                                                                                       \
		uint8_t probe;                                                                     \
		if (start(t, python(), script)) {                                                  \
			print_message("# skip: this system has no python3\n");                     \
			skip();                                                                    \
		}                                                                                  \
		if (memory_read((t)->memory, 0, &probe, 1) == -EPERM) {                            \
			end(t);                                                                    \
			print_message("# skip: reading another process is not allowed here\n");    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void check_site(struct target *t, const struct site *site)
{
	uint8_t there[SITE_BYTES], on_disk[SITE_BYTES];

	assert_int_not_equal(site->cost, SITE_NONE);
	assert_true(site->byte_cnt > 0);
	assert_int_equal(memory_read(t->memory, site->vaddr, there, site->byte_cnt), 0);
	assert_memory_equal(there, site->bytes, site->byte_cnt);
	assert_int_equal(pread(site->fd, on_disk, site->byte_cnt, (off_t)site->offset),
			 site->byte_cnt);
	assert_memory_equal(on_disk, site->bytes, site->byte_cnt);
	assert_int_equal(site->vaddr - site->entry, site->skipped);
	assert_int_equal(access(site->path, R_OK), 0);
}

static void test_asyncio_later(void **state)
{
	char command[128], line[64] = "";
	struct ap_target target;
	struct target t;
	FILE *f;

	(void)state;
	START_OR_SKIP(&t, plain);
	assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), 0);
	snprintf(command, sizeof(command), "%s --version", python());
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	pclose(f);
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line + strlen("Python "), in.version_text);
	check_site(&t, &in.context_run);
	if (in.asyncio == ASYNCIO_NOT_LOADED) {
		assert_int_equal(in.set_running_loop.cost, SITE_NONE);
		assert_int_equal(interpreter_has_changed(t.process, &in), 0);
		go_on(&t);
		wait_ready(&t);
		assert_int_equal(interpreter_has_changed(t.process, &in), 1);
		interpreter__close(&in);
		assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), 0);
	}
	assert_int_not_equal(in.asyncio, ASYNCIO_NOT_LOADED);
	check_site(&t, &in.set_running_loop);
	check_site(&t, &in.task_dealloc);
	assert_int_equal(interpreter_has_changed(t.process, &in), 0);
	interpreter_target(&in, THRESHOLD_NS, &target);
	assert_int_equal(target.long_ns, 10000000);
	assert_int_equal(target.has_loop_probe, 1);
	interpreter_target(&in, 20000000, &target);
	assert_int_equal(target.long_ns, 5000000);
	end(&t);
	/* closed twice, or never found: harmless */
	interpreter__close(&in);
	memset(&in, 0, sizeof(in));
	interpreter__close(&in);
}

/* What the records of one thread said. */
struct heard {
	unsigned int names, codes, blocks, samples, frames;
	struct ap_name name;
	char top[AP_NAME_SZ + 1];
	int syscall;
	uint64_t leaf;
};

static void hear(void *ctx, const struct ap_head *record)
{
	struct heard *h = ctx;

	if (record->kind == AP_NAME) {
		h->names++;
		h->name = *(const struct ap_name *)record;
	} else if (record->kind == AP_CODE) {
		const struct ap_code *c = (const struct ap_code *)record;

		if (!h->codes++)
			snprintf(h->top, sizeof(h->top), "%.*s", (int)c->name.text.kept,
				 (const char *)c->name.data);
		assert_int_equal(c->linetable_kept, c->linetable_len);
	} else if (record->kind == AP_BLOCK) {
		const struct ap_block *b = (const struct ap_block *)record;

		h->blocks++;
		h->frames = b->stack.cnt;
		h->syscall = b->syscall;
		h->leaf = b->stack.frame[0].code;
		assert_int_equal(record->size,
				 offsetof(struct ap_block, stack.frame) + b->stack.cnt * 16);
	} else if (record->kind == AP_SAMPLE) {
		h->samples++;
	}
}

static void is_text(const struct ap_text_name *text, const char *want)
{
	assert_int_equal(text->text.kept, strlen(want));
	assert_memory_equal(text->data, want, strlen(want));
}

/* Waits until the only loop thread sleeps in a callback, or until it does not. */
static struct snapshot *take(struct target *t, unsigned int depth, struct heard *h)
{
	struct ap_target target;
	struct snapshot *s;
	pid_t tid;

	interpreter_target(&in, THRESHOLD_NS, &target);
	for (;;) {
		const struct ap_thread *thread;

		memset(h, 0, sizeof(*h));
		assert_int_equal(snapshot__take(t->process, t->memory, &in, &target, &s), 0);
		thread = snapshot_thread(s, 0, &tid);
		if (thread && thread->depth == depth) {
			snapshot_records(s, 0, hear, h);
			if (depth == 0 || h->blocks)
				return s;
		}
		snapshot__free(s);
		usleep(1000);
	}
}

static void test_open_at_attach(void **state)
{
	const struct ap_thread *thread;
	struct snapshot *s;
	struct ap_thread kept;
	struct target t;
	struct heard h;
	pid_t tid;

	(void)state;
	START_OR_SKIP(&t, blocked);
	assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), 0);
	s = take(&t, 1, &h);
	assert_int_equal(snapshot_cnt(s), 1);
	thread = snapshot_thread(s, 0, &tid);
	assert_int_equal(tid, t.pid);
	assert_null(snapshot_thread(s, 1, &tid));
	assert_int_equal(thread->open[0].flags, AP_F_AT_ATTACH);
	assert_int_equal(thread->account.attach_opened, 1);
	assert_true(thread->open[0].start_ts > 0 &&
		    thread->open[0].lo_ts == thread->open[0].start_ts);
	assert_int_equal(h.names, 1);
	assert_int_equal(h.name.callee, AP_CALLEE_TASK);
	is_text(&h.name.task_name, "the worker");
	is_text(&h.name.coro, "work");
	/* six leaf frames and the coroutine; what readline() adds is C */
	assert_int_equal(h.frames, 7);
	assert_int_equal(h.codes, 2);
	assert_string_equal(h.top, "leaf");
	assert_int_equal(h.syscall, 0);
	assert_int_equal(
		snapshot_look(t.process, t.memory, &in, t.pid, thread, &thread->open[0], hear, &h),
		AP_SEEN_UNDER);
	assert_int_equal(h.blocks, 2);
	/* The next callback's `_run` lies where this one's did, and is another one. */
	kept = *thread;
	snapshot__free(s);
	go_on(&t);
	wait_ready(&t);
	s = take(&t, 1, &h);
	assert_int_equal(h.name.callee, AP_CALLEE_FUNCTION);
	is_text(&h.name.callback, "leaf");
	assert_int_equal(h.frames, 1);
	assert_int_equal(
		snapshot_look(t.process, t.memory, &in, t.pid, &kept, &kept.open[0], NULL, NULL),
		AP_SEEN_OVER);
	snapshot__free(s);
	end(&t);
}

/* Threads without a loop are kept only for a recording that wants them. */
static void test_plain_threads(void **state)
{
	unsigned int plain = 0, loops = 0;
	struct ap_target target;
	struct snapshot *s;
	struct target t;
	pid_t tid;

	(void)state;
	START_OR_SKIP(&t, threads);
	assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), 0);
	interpreter_target(&in, THRESHOLD_NS, &target);
	assert_int_equal(snapshot__take(t.process, t.memory, &in, &target, &s), 0);
	assert_int_equal(snapshot_cnt(s), 1);
	snapshot__free(s);
	target.record = AP_REC_POINTS | AP_REC_THREADS;
	assert_int_equal(snapshot__take(t.process, t.memory, &in, &target, &s), 0);
	for (size_t i = 0; i < snapshot_cnt(s); i++) {
		const struct ap_thread *thread = snapshot_thread(s, i, &tid);

		plain += thread->plain;
		loops += !thread->plain;
		assert_int_equal(thread->record, target.record);
		assert_int_equal(thread->plain, tid != t.pid);
		assert_true(thread->tstate && thread->out_ts);
	}
	assert_int_equal(loops, 1);
	assert_int_equal(plain, 3);
	snapshot__free(s);
	end(&t);
}

static void test_between_callbacks(void **state)
{
	struct snapshot *s;
	struct target t;
	struct heard h;
	pid_t tid;

	(void)state;
	START_OR_SKIP(&t, polling);
	assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), 0);
	s = take(&t, 0, &h);
	assert_int_equal(snapshot_cnt(s), 1);
	assert_int_equal(snapshot_thread(s, 0, &tid)->seq, 0);
	assert_int_not_equal(snapshot_thread(s, 0, &tid)->tstate, 0);
	assert_int_equal(h.names + h.codes + h.blocks + h.samples, 0);
	snapshot__free(s);
	end(&t);
}

static void test_not_python(void **state)
{
	struct target t;

	(void)state;
	assert_int_equal(start(&t, "/bin/sh", no_python), 0);
	assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), -1);
	assert_true(why.code == EXIT_NO_PROCESS || why.code == EXIT_PERMISSION);
	if (why.code == EXIT_NO_PROCESS)
		assert_non_null(strstr(why.what, "not Python"));
	end(&t);
}

static void test_gone_meanwhile(void **state)
{
	struct target t;

	(void)state;
	START_OR_SKIP(&t, plain);
	kill(t.pid, SIGKILL);
	waitpid(t.pid, NULL, 0);
	assert_int_equal(interpreter__find(t.process, t.memory, &in, &why), -1);
	assert_int_equal(why.code, EXIT_NO_PROCESS);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asyncio_later),	  cmocka_unit_test(test_open_at_attach),
		cmocka_unit_test(test_plain_threads),	  cmocka_unit_test(test_between_callbacks),
		cmocka_unit_test(test_not_python),	  cmocka_unit_test(test_gone_meanwhile),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
