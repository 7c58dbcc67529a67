/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Native stacks whose truth is known: of this program, which has an eval function of its own; of
 * a real interpreter that burns in a known chain of calls; of files that lie.
 */
#include "cmocka_all.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "kernel/stacks.h"
#include "target/native.h"

#define STACK_SZ    16384
#define SAMPLES_MAX 60000 /* a minute of CPU time: a stack that never comes right ends the test */
#define FORGED_CNT  60

/* A moment of this program. */
struct moment {
	struct native_sample sample;
	uint8_t stack[STACK_SZ];
};

static struct moment moment;

/* --- A chain of calls under an eval function, all of them here ----------------------------- */

/* The kernel copies, since a sanitizer would object to reading frames across their borders. */
__attribute__((noinline)) void chain_c(int depth);
__attribute__((noinline)) void chain_c(int depth)
{
	static const int dwarf[NATIVE_REGS_CNT] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9,	 REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};
	static ucontext_t context; /* frames are to be small: 64 of them in the copy */
	struct iovec local, remote;
	ssize_t n;

	if (depth > 0) {
		chain_c(depth - 1);
		__asm__ volatile("");
		return;
	}
	assert_int_equal(getcontext(&context), 0);
	for (size_t i = 0; i < NATIVE_REGS_CNT; i++)
		moment.sample.reg[i] = (uint64_t)context.uc_mcontext.gregs[dwarf[i]];
	moment.sample.stack_addr = moment.sample.reg[7];
	local = (struct iovec){moment.stack, sizeof(moment.stack)};
	remote = (struct iovec){(void *)(uintptr_t)moment.sample.stack_addr, sizeof(moment.stack)};
	n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	moment.sample.stack = moment.stack;
	moment.sample.stack_sz = n > 0 ? (size_t)n : 0;
	__asm__ volatile("");
}

__attribute__((noinline)) void chain_b(int depth);
__attribute__((noinline)) void chain_b(int depth)
{
	chain_c(depth);
	__asm__ volatile("");
}

__attribute__((noinline)) void chain_a(int depth);
__attribute__((noinline)) void chain_a(int depth)
{
	chain_b(depth);
	__asm__ volatile("");
}

__attribute__((noinline)) void eval(int depth) __asm__("_PyEval_EvalFrameDefault");
__attribute__((noinline)) void eval(int depth)
{
	chain_a(depth);
	__asm__ volatile("");
}

/* As gcc names the part of a function that it holds for unlikely. */
__attribute__((noinline)) void eval_cold(int depth) __asm__("_PyEval_EvalFrameDefault.cold");
__attribute__((noinline)) void eval_cold(int depth)
{
	chain_a(depth);
	__asm__ volatile("");
}

/* A longer name is another function. */
__attribute__((noinline)) void eval_other(int depth) __asm__("_PyEval_EvalFrameDefaultNot");
__attribute__((noinline)) void eval_other(int depth)
{
	chain_a(depth);
	__asm__ volatile("");
}

/* The return address behind a call that never returns belongs to no function, or to the next one.
 */
static jmp_buf after;

__attribute__((noinline, noreturn)) void chain_end(void);
__attribute__((noinline, noreturn)) void chain_end(void)
{
	chain_c(0);
	longjmp(after, 1);
}

__attribute__((noinline)) void chain_last(void);
__attribute__((noinline)) void chain_last(void)
{
	chain_end();
}

struct target {
	struct process *process;
	struct native *native;
	struct native_frame frame[NATIVE_FRAMES_MAX];
	enum native_end end;
	int cnt;
};

static void open_self(struct target *t)
{
	struct refusal why;

	memset(t, 0, sizeof(*t));
	assert_int_equal(process__open(getpid(), &t->process, &why), 0);
	assert_int_equal(native__open(t->process, &t->native), 0);
}

static void close_target(struct target *t)
{
	native__close(t->native);
	process__close(t->process);
}

static void unwind(struct target *t, const struct native_sample *sample)
{
	memset(t->frame, 0xff, sizeof(t->frame));
	t->cnt = native_unwind(t->native, sample, t->frame, &t->end);
}

static void check_chain(const struct target *t, const char *file)
{
	static const char *const name[] = {"chain_c", "chain_b", "chain_a"};

	assert_true(t->cnt >= 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(t->frame[i].func, name[i]);
		assert_string_equal(t->frame[i].file, file);
	}
}

static void test_chain(void **state)
{
	struct target t;

	(void)state;
	open_self(&t);
	eval(0);
	unwind(&t, &moment.sample);
	check_chain(&t, "test_native");
	assert_int_equal(t.cnt, 3);
	assert_int_equal(t.end, NATIVE_WHOLE);
	assert_int_equal(t.frame[0].ip, moment.sample.reg[16]);
	eval_cold(0);
	unwind(&t, &moment.sample);
	check_chain(&t, "test_native");
	assert_int_equal(t.cnt, 3);
	assert_int_equal(t.end, NATIVE_WHOLE);
	/* no eval function on the way: to the thread's first frame */
	eval_other(0);
	unwind(&t, &moment.sample);
	check_chain(&t, "test_native");
	assert_string_equal(t.frame[3].func, "_PyEval_EvalFrameDefaultNot");
	assert_int_equal(t.end, NATIVE_WHOLE);
	assert_true(t.cnt > 5);
	/* the leaf is the eval function: Python frames say it all */
	moment.sample.reg[16] = (uint64_t)(uintptr_t)eval;
	unwind(&t, &moment.sample);
	assert_int_equal(t.cnt, 0);
	assert_int_equal(t.end, NATIVE_WHOLE);
	close_target(&t);
}

static void test_last_call(void **state)
{
	struct target t;

	(void)state;
	open_self(&t);
	if (!setjmp(after))
		chain_last();
	unwind(&t, &moment.sample);
	assert_true(t.cnt > 3);
	assert_string_equal(t.frame[0].func, "chain_c");
	assert_string_equal(t.frame[1].func, "chain_end");
	assert_string_equal(t.frame[2].func, "chain_last");
	assert_string_equal(t.frame[3].func, "test_last_call");
	close_target(&t);
}

static void test_deep(void **state)
{
	struct target t;

	(void)state;
	open_self(&t);
	eval(NATIVE_FRAMES_MAX - 3);
	unwind(&t, &moment.sample);
	assert_int_equal(t.end, NATIVE_WHOLE);
	assert_int_equal(t.cnt, NATIVE_FRAMES_MAX);
	assert_string_equal(t.frame[NATIVE_FRAMES_MAX - 1].func, "chain_a");
	eval(NATIVE_FRAMES_MAX - 2);
	unwind(&t, &moment.sample);
	assert_int_equal(t.end, NATIVE_CUT);
	assert_int_equal(t.cnt, NATIVE_FRAMES_MAX);
	assert_string_equal(t.frame[NATIVE_FRAMES_MAX - 1].func, "chain_b");
	close_target(&t);
}

/* Every length of the stack gives the first frames of the whole, and says that it is cut. */
static void test_cut(void **state)
{
	struct native_sample sample;
	struct target t;
	int longest = 0;

	(void)state;
	open_self(&t);
	eval(0);
	sample = moment.sample;
	for (sample.stack_sz = 0; sample.stack_sz < moment.sample.stack_sz; sample.stack_sz += 64) {
		static const char *const name[] = {"chain_c", "chain_b", "chain_a"};

		unwind(&t, &sample);
		assert_true(t.cnt >= longest && t.cnt <= 3);
		longest = t.cnt;
		for (int i = 0; i < t.cnt; i++)
			assert_string_equal(t.frame[i].func, name[i]);
		if (t.end == NATIVE_WHOLE)
			break;
		assert_int_equal(t.end, t.cnt > 1 ? NATIVE_CUT : NATIVE_FAILED);
	}
	assert_int_equal(longest, 3);
	assert_int_equal(t.end, NATIVE_WHOLE);
	close_target(&t);
}

/* Registers that can't be: an answer for each, and a stack that is right afterwards. */
static void test_bad_registers(void **state)
{
	static const uint64_t bad[] = {0,     1,	 7,	     1ULL << 47,
				       ~0ULL, ~0ULL - 7, 1ULL << 63, 0xffffffffff600000ULL};
	struct native_sample sample;
	struct target t;

	(void)state;
	open_self(&t);
	eval(0);
	for (size_t reg = 0; reg < NATIVE_REGS_CNT; reg++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			sample = moment.sample;
			sample.reg[reg] = bad[i];
			if (reg == 7)
				sample.stack_addr = bad[i];
			unwind(&t, &sample);
			assert_true(t.cnt >= 0 && t.cnt <= NATIVE_FRAMES_MAX);
			if (reg != 16)
				continue;
			assert_int_equal(t.end, NATIVE_FAILED);
			assert_true(t.cnt <= 1);
			if (t.cnt)
				assert_string_equal(t.frame[0].func, "");
		}
	}
	unwind(&t, &moment.sample);
	check_chain(&t, "test_native");
	assert_int_equal(t.end, NATIVE_WHOLE);
	close_target(&t);
}

/* --- A real interpreter ------------------------------------------------------------------- */

static char folder[64], library[128];

static int build_library(const char *name)
{
	const char *cc = getenv("CC") ? getenv("CC") : "cc";
	char source[96], command[512];
	FILE *f;

	snprintf(folder, sizeof(folder), "/tmp/asyncprof-native-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(source, sizeof(source), "%s/chain.c", folder);
	snprintf(library, sizeof(library), "%s/%s", folder, name);
	f = fopen(source, "we");
	assert_non_null(f);
	fprintf(f, "static volatile unsigned long sum;\n"
		   "#define CALL __attribute__((noinline)) void\n"
		   "CALL chain_c(long n) { for (long i = 0; i < n; i++) sum += i; }\n"
		   "CALL chain_b(long n) { chain_c(n); __asm__ volatile(\"\"); }\n"
		   "CALL chain_a(long n) { chain_b(n); __asm__ volatile(\"\"); }\n"
		   "static CALL hidden(void (*f)(int)) { f(0); __asm__ volatile(\"\"); }\n"
		   "CALL relay(void (*f)(int)) { hidden(f); __asm__ volatile(\"\"); }\n"
		   /* what calls a cold function is moved away */
		   "__attribute__((noinline, cold)) void unlikely(void (*f)(int), long n)\n"
		   "{ f(0); sum += n; }\n"
		   "#define OP(i) if (n == i) { unlikely(f, sum + i); sum *= i; } sum += n;\n"
		   "CALL _PyEval_EvalFrameDefault(long n, void (*f)(int))\n"
		   "{ OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) }\n"
		   "CALL after_eval(void) { sum++; }\n");
	fclose(f);
	snprintf(command, sizeof(command),
		 "%s -O2 -fno-toplevel-reorder -s -shared -fPIC -o %s %s 2>&1", cc, library,
		 source);
	/* Stripped, so that what is not exported has no name. */
	return system(command);
}

static void remove_library(void)
{
	char source[96];

	snprintf(source, sizeof(source), "%s/chain.c", folder);
	unlink(source);
	unlink(library);
	rmdir(folder);
}

/* Waits for a line, loads the library then, and burns in it. */
static const char script[] = "import ctypes, os, sys\n"
			     "print('ready', flush=True)\n"
			     "sys.stdin.readline()\n"
			     "chain = ctypes.CDLL(sys.argv[1])\n"
			     "if sys.argv[2] == 'unlink':\n"
			     "    os.unlink(sys.argv[1])\n"
			     "print('loaded', flush=True)\n"
			     "sys.stdin.readline()\n"
			     "while True:\n"
			     "    chain.chain_a(ctypes.c_long(1000000))\n";

struct python {
	pid_t pid;
	int in, out;
	struct target target;
	struct stacks *stacks;
	int event;
	int sample_cnt, chain_cnt;
};

static int await_line(struct python *p)
{
	char byte = 0;

	while (byte != '\n') {
		if (read(p->out, &byte, 1) != 1)
			return -1;
	}
	return 0;
}

static int start_python(struct python *p, const char *program, const char *how)
{
	int to[2], from[2];

	memset(p, 0, sizeof(*p));
	p->event = -1;
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	p->pid = fork();
	if (!p->pid) {
		/* It burns a CPU: a test that fails must not leave it behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		execlp(program, program, "-c", script, library, how, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	p->in = to[1];
	p->out = from[0];
	return await_line(p);
}

static void stop_python(struct python *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->in);
	close(p->out);
	stacks__close(p->stacks);
	if (p->event >= 0)
		close(p->event);
	close_target(&p->target);
}

/* 0, or why not as an errno. */
static int watch_python(struct python *p)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000,
		.exclude_kernel = 1,
	};
	struct refusal why;

	stacks_ask(&attr);
	p->event = (int)syscall(SYS_perf_event_open, &attr, p->pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (p->event < 0)
		return errno;
	assert_int_equal(stacks__open(&p->stacks), 0);
	assert_int_equal(stacks__add(p->stacks, p->event), 0);
	assert_int_equal(process__open(p->pid, &p->target.process, &why), 0);
	assert_int_equal(native__open(p->target.process, &p->target.native), 0);
	return 0;
}

/* In the chain: all of it, and nothing that lies below the interpreter's frame. */
static void check_sample(void *ctx, uint32_t tgid, uint32_t tid, uint64_t ts,
			 const struct native_sample *sample)
{
	static const char *const below[] = {"_PyEval_",	  "PyEval_", "PyRun_", "_PyRun_",
					    "Py_RunMain", "pymain_", "main",   "_start"};
	struct python *p = ctx;
	struct target *t = &p->target;
	int ctypes = 0;

	(void)ts;
	assert_int_equal(tgid, p->pid);
	assert_int_equal(tid, p->pid);
	p->sample_cnt++;
	unwind(t, sample);
	if (p->chain_cnt || t->cnt < 1 || strcmp(t->frame[0].func, "chain_c"))
		return;
	check_chain(t, strrchr(library, '/') + 1);
	assert_int_equal(t->end, NATIVE_WHOLE);
	for (int i = 3; i < t->cnt; i++) {
		ctypes |= !strncmp(t->frame[i].file, "_ctypes", 7);
		for (size_t k = 0; k < sizeof(below) / sizeof(below[0]); k++)
			assert_int_not_equal(strncmp(t->frame[i].func, below[k], strlen(below[k])),
					     0);
	}
	assert_true(ctypes);
	p->chain_cnt++;
}

#define PYTHON_OR_SKIP(p, program, how)                                                            \
	do {                                                                                       \
		int error_;                                                                        \
		if (build_library("chain.so")) {                                                   \
			remove_library();                                                          \
			print_message("# skip: no C compiler\n");                                  \
			skip();                                                                    \
		}                                                                                  \
		if (start_python(p, program, how)) {                                               \
			stop_python(p);                                                            \
			remove_library();                                                          \
			print_message("# skip: no python3 with ctypes\n");                         \
			skip();                                                                    \
		}                                                                                  \
		error_ = watch_python(p);                                                          \
		if (error_) {                                                                      \
			stop_python(p);                                                            \
			remove_library();                                                          \
			print_message("# skip: no perf events for this user: %s\n",                \
				      strerror(error_));                                           \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void run_python(struct python *p)
{
	assert_int_equal(write(p->in, "\n\n", 2), 2);
	assert_int_equal(await_line(p), 0);
	while (!p->chain_cnt && p->sample_cnt < SAMPLES_MAX) {
		struct pollfd fd = {.fd = p->event, .events = POLLIN};

		poll(&fd, 1, 1000);
		assert_int_equal(waitpid(p->pid, NULL, WNOHANG), 0);
		assert_true(stacks__read(p->stacks, check_sample, p) >= 0);
	}
	assert_true(p->chain_cnt);
}

/* The library is loaded after we have read what is mapped. */
static void test_python(void **state)
{
	struct python p;

	(void)state;
	PYTHON_OR_SKIP(&p, "python3", "keep");
	run_python(&p);
	stop_python(&p);
	remove_library();
}

/* As distributions have it, stripped; the other one may have symbols. */
static const char *system_python(void)
{
	return access("/usr/bin/python3", X_OK) ? "python3" : "/usr/bin/python3";
}

static void test_python_unlinked(void **state)
{
	struct python p;

	(void)state;
	/* through map_files, which takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN */
	if (geteuid()) {
		print_message("# skip: only root can open a file that has no name any more\n");
		skip();
	}
	PYTHON_OR_SKIP(&p, system_python(), "unlink");
	run_python(&p);
	stop_python(&p);
	remove_library();
}

/*
 * The leaf lies in a file that is known, its caller in one that came later; and the caller has no
 * name, though functions that have one lie before and behind it.
 */
static void test_loaded_later(void **state)
{
	struct timespec until;
	struct target t;
	void (*relay)(void (*f)(int));
	void *handle;

	(void)state;
	if (build_library("later.so")) {
		remove_library();
		print_message("# skip: no C compiler\n");
		skip();
	}
	open_self(&t);
	clock_gettime(CLOCK_MONOTONIC, &until);
	handle = dlopen(library, RTLD_NOW);
	assert_non_null(handle);
	relay = (void (*)(void (*)(int)))(uintptr_t)dlsym(handle, "relay");
	assert_non_null(relay);
	relay(chain_c);
	unwind(&t, &moment.sample);
	assert_int_equal(t.cnt, 1);
	assert_int_equal(t.end, NATIVE_FAILED);
	/* maps are read once a second at most */
	until.tv_sec += 1;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	unwind(&t, &moment.sample);
	assert_true(t.cnt > 4);
	assert_string_equal(t.frame[0].func, "chain_c");
	assert_string_equal(t.frame[1].func, "");
	assert_string_equal(t.frame[1].file, "later.so");
	assert_string_equal(t.frame[2].func, "relay");
	assert_string_equal(t.frame[3].func, "test_loaded_later");
	assert_int_equal(t.end, NATIVE_WHOLE);
	close_target(&t);
	dlclose(handle);
	remove_library();
}

/*
 * A stripped interpreter whose eval function calls from a part of it that gcc moved away: the
 * stack ends there, whatever the part is called.
 */
static void test_eval_part(void **state)
{
	struct target t;
	void (*run)(long n, void (*f)(int));
	void *handle;

	(void)state;
	if (build_library("libpython-part.so")) {
		remove_library();
		print_message("# skip: no C compiler\n");
		skip();
	}
	handle = dlopen(library, RTLD_NOW);
	assert_non_null(handle);
	run = (void (*)(long, void (*)(int)))(uintptr_t)dlsym(handle, "_PyEval_EvalFrameDefault");
	assert_non_null(run);
	open_self(&t);
	for (long n = 0; n < 12; n++) {
		run(n, chain_c);
		unwind(&t, &moment.sample);
		assert_int_equal(t.cnt, 2);
		assert_string_equal(t.frame[0].func, "chain_c");
		assert_string_equal(t.frame[1].func, "unlikely");
		assert_int_equal(t.end, NATIVE_WHOLE);
	}
	close_target(&t);
	dlclose(handle);
	remove_library();
}

/* --- Files that lie ------------------------------------------------------------------------ */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* The file that holds cmocka: small, and with all tables that a library has. */
static size_t read_victim(uint8_t **bytes)
{
	struct stat st;
	Dl_info info;
	int fd;

	assert_true(dladdr((void *)(uintptr_t)_cmocka_run_group_tests, &info));
	fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && !fstat(fd, &st));
	*bytes = malloc((size_t)st.st_size);
	assert_non_null(*bytes);
	assert_int_equal(read(fd, *bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	return (size_t)st.st_size;
}

/* Maps a file as if it were loaded, and unwinds from addresses in it. */
static void unwind_in(const uint8_t *bytes, size_t size, size_t left, uint32_t seed)
{
	char path[] = "/tmp/asyncprof-forged-XXXXXX";
	int fd = mkstemp(path);
	struct native_sample sample = moment.sample;
	struct target t;
	void *map;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	map = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		unlink(path);
		print_message("# skip: code can't be mapped from /tmp\n");
		skip();
	}
	open_self(&t);
	for (int i = 0; i < 8; i++) {
		/* Whoever has it mapped gets SIGBUS from here on. */
		if (i == 1)
			assert_int_equal(ftruncate(fd, (off_t)left), 0);
		sample.reg[16] = (uint64_t)(uintptr_t)map + next_random(&seed) % size;
		unwind(&t, &sample);
		assert_true(t.cnt <= NATIVE_FRAMES_MAX);
		for (int k = 0; k < t.cnt; k++) {
			assert_non_null(memchr(t.frame[k].func, 0, NATIVE_NAME_SZ));
			assert_non_null(memchr(t.frame[k].file, 0, NATIVE_FILE_SZ));
		}
	}
	close_target(&t);
	munmap(map, size);
	close(fd);
	unlink(path);
}

static void test_forged(void **state)
{
	uint8_t *bytes, *forged;
	size_t size;

	(void)state;
	size = read_victim(&bytes);
	forged = malloc(size);
	assert_non_null(forged);
	eval(0);
	for (uint32_t n = 0; n < FORGED_CNT; n++) {
		uint32_t seed = n * 7919 + 1;
		/* the headers; everywhere, a little; everywhere, a lot */
		size_t range = n % 3 ? size : 0x400, cnt = n % 3 == 2 ? size / 16 : 32;

		memcpy(forged, bytes, size);
		for (size_t i = 0; i < cnt; i++)
			forged[next_random(&seed) % range] = (uint8_t)next_random(&seed);
		if (n % 2)
			memcpy(forged, bytes, 0x40);
		unwind_in(forged, size, size, seed);
	}
	free(forged);
	free(bytes);
}

static void test_shrunk(void **state)
{
	uint8_t *bytes;
	size_t size;

	(void)state;
	size = read_victim(&bytes);
	eval(0);
	for (uint32_t n = 0; n < 8; n++)
		unwind_in(bytes, size, size / 8 * n, n);
	free(bytes);
}

/* Every child of ours, there is one, gets the signal. 0, or -1 where this kernel does not list
 * them. */
static int signal_children(int sig)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fscanf(f, "%d", &pid) == 1)
		kill(pid, sig);
	fclose(f);
	return 0;
}

/* A child that does not answer is given up, and the next one is right. */
static void test_hangs(void **state)
{
	struct target t;

	(void)state;
	open_self(&t);
	eval(0);
	if (signal_children(SIGSTOP)) {
		close_target(&t);
		print_message("# skip: this kernel does not list children\n");
		skip();
	}
	unwind(&t, &moment.sample);
	assert_int_equal(t.cnt, -ETIMEDOUT);
	assert_int_equal(t.end, NATIVE_FAILED);
	unwind(&t, &moment.sample);
	check_chain(&t, "test_native");
	assert_int_equal(t.end, NATIVE_WHOLE);
	close_target(&t);
}

/* A process whose children are lost again and again gets no more, and says so. */
static void test_given_up(void **state)
{
	struct target t;
	int lost = 0;

	(void)state;
	open_self(&t);
	eval(0);
	unwind(&t, &moment.sample);
	assert_int_equal(t.cnt, 3);
	for (int i = 0; i < 10; i++) {
		if (signal_children(SIGKILL)) {
			close_target(&t);
			print_message("# skip: this kernel does not list children\n");
			skip();
		}
		unwind(&t, &moment.sample);
		lost += t.cnt < 0;
	}
	assert_int_equal(t.cnt, -EIO);
	assert_true(lost >= 7);
	close_target(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_last_call),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad_registers),
		cmocka_unit_test(test_python),
		cmocka_unit_test(test_python_unlinked),
		cmocka_unit_test(test_loaded_later),
		cmocka_unit_test(test_eval_part),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_shrunk),
		cmocka_unit_test(test_hangs),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
