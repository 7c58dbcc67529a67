/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * From a process to all that a probe needs. Files say where things are; the
 * running process must agree (build id, main interpreter, thread list, holder
 * of the GIL) before anything is believed.
 *
 * It must never take one mapped file for the interpreter because of its name
 * only: the name chooses where to look, the symbols decide.
 */
#include "target/interpreter.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/fit.h"
#include "target/frames.h"
#include "target/images.h"
#include "target/layouts.h"
#include "target/maps.h"
#include "target/symbols.h"
#include "target/version.h"

#define THREAD_INTERP	16 /* PyThreadState.interp, Include/cpython/pystate.h, 3.8 to 3.15 */
#define THREADS_MAX	4096
#define INTERVAL_MAX_US 3600000000ULL /* an hour: nobody asks for more */
#define LONG_MAX_NS	10000000ULL

static const char remedy_send[] = "send `asyncprof doctor -p PID` to the developers";
static const char remedy_python[] = "give the pid of a running CPython program";

/* What is at hand while one interpreter is found. */
struct search {
	const struct process *process;
	struct memory *memory;
	struct maps *maps;
	struct elf *elf, *asyncio_elf, *uvloop_elf;
	uint64_t bias, asyncio_bias;
};

static void __attribute__((format(printf, 2, 3)))
degrade(struct interpreter *in, const char *format, ...)
{
	va_list args;

	if (in->degraded_cnt == INTERPRETER_DEGRADED_MAX)
		return;
	va_start(args, format);
	vsnprintf(in->degraded[in->degraded_cnt++], INTERPRETER_TEXT_SZ, format, args);
	va_end(args);
}

/* Where the file is mapped, minus where it wants to be. Every executable mapping must agree. */
static int find_bias(const struct maps *maps, const struct mapping *file, const struct elf *e,
		     uint64_t *bias)
{
	int found = -1;

	for (size_t i = 0; i < maps_cnt(maps); i++) {
		const struct mapping *map = maps_at(maps, i);

		if (map->ino != file->ino || map->dev != file->dev || !map->executable)
			continue;
		for (size_t k = 0; k < elf_segment_cnt(e); k++) {
			const struct elf_segment *seg = elf_segment(e, k);
			uint64_t delta = seg->vaddr - seg->offset;
			uint64_t b = map->start - map->offset - delta;

			if (!seg->executable || map->offset + 4095 < seg->offset ||
			    map->offset >= seg->offset + seg->filesz)
				continue;
			if ((b & 4095) || (!elf_is_dynamic(e) && b) || (!found && b != *bias))
				return -1;
			*bias = b;
			found = 0;
		}
	}
	return found;
}

/* Does the process run the file that we read? An upgrade may have replaced it. */
static int is_running(const struct search *s, const struct elf *e, uint64_t bias, int doubtful)
{
	uint8_t file[ELF_BUILD_ID_MAX], mapped[ELF_BUILD_ID_MAX];
	size_t size = elf_build_id(e, file);

	/* A read may take too long on a busy machine: that tells nothing of the file. */
	if (!size || memory_read(s->memory, bias + elf_build_id_vaddr(e), mapped, size))
		return !doubtful;
	return !memcmp(file, mapped, size);
}

static int load_file(struct search *s, const struct mapping *map, struct elf **elf, uint64_t *bias,
		     int *fd, struct refusal *why)
{
	char name[200];
	int doubtful, err;

	process_escape(map->path, strlen(map->path), name, sizeof(name));
	*fd = maps_open_file(s->process, map, &doubtful);
	if (*fd < 0) {
		err = *fd;
		*fd = -1;
		return refuse(why,
			      err == -EACCES || err == -EPERM ? EXIT_PERMISSION : EXIT_INTERPRETER,
			      "run it as root, and where the file can be seen",
			      "cannot open %s: %s", name, strerror(-err));
	}
	err = elf__read(*fd, elf);
	if (err)
		return refuse(why, err == -ENOMEM ? EXIT_FAILED : EXIT_INTERPRETER, NULL,
			      "%s is no ELF file that can be read: %s", name, strerror(-err));
	if (elf_machine(*elf) != EM_X86_64)
		return refuse(why, EXIT_INTERPRETER, "only x86-64 is supported",
			      "%s is for another machine", name);
	if (find_bias(s->maps, map, *elf, bias))
		return refuse(why, EXIT_INTERPRETER, "restart the target",
			      "%s is not mapped as its own headers say", name);
	if (!is_running(s, *elf, *bias, doubtful))
		return refuse(why, EXIT_INTERPRETER, "restart the target",
			      "%s on disk is not the file that the process runs", name);
	return 0;
}

static int find_version(struct search *s, const struct symbols *sym, struct interpreter *in,
			struct refusal *why)
{
	in->version = version_read(s->elf, sym->version_word, in->file);
	if (!in->version)
		return refuse(why, EXIT_INTERPRETER, "use CPython 3.8 to 3.15",
			      "the version of %s can't be told, or it is too old", in->file);
	layout_version_text(in->version, in->version_text, sizeof(in->version_text));
	return 0;
}

static int find_layout(struct search *s, const struct symbols *sym, uint32_t task_basicsize,
		       struct interpreter *in, struct refusal *why)
{
	const struct tables_from from = {
		.python = s->elf,
		.asyncio = in->asyncio == ASYNCIO_LIBRARY    ? s->asyncio_elf
			   : in->asyncio == ASYNCIO_BUILT_IN ? s->elf
							     : NULL,
		.runtime = sym->runtime,
		.bias = s->bias,
		.memory = s->memory,
		.version = in->version,
		.task_basicsize = task_basicsize,
	};

	return tables_read(&from, &in->layout, &in->tables, why);
}

static uint64_t read_word(struct search *s, uint64_t addr)
{
	uint64_t word = 0;

	return memory_read(s->memory, addr, &word, sizeof(word)) ? 0 : word;
}

static void pause_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

static int is_address(uint64_t word)
{
	return word >= 4096 && !(word & 7) && word < 1ULL << 47;
}

static int is_thread_of(struct search *s, uint64_t tstate, uint64_t interpreter)
{
	return is_address(tstate) && read_word(s, tstate + THREAD_INTERP) == interpreter;
}

/*
 * struct _gil_runtime_state, Include/internal/pycore_gil.h, 3.8 to 3.15: interval
 * in us (5000 unless sys.setswitchinterval()), last_holder, locked (-1 before it
 * is made). The holder may dangle: its thread has exited and nobody has run since.
 */
static int check_gil(struct search *s, const struct interpreter *in)
{
	struct {
		uint64_t interval_us, holder;
		int32_t locked;
	} gil;

	if (memory_read(s->memory, in->gil_holder - 8, &gil, sizeof(gil)))
		return -1;
	if (!gil.interval_us || gil.interval_us > INTERVAL_MAX_US || gil.locked < 0 ||
	    gil.locked > 1)
		return -1;
	return gil.holder && !is_address(gil.holder) ? -1 : 0;
}

/* The thread list must hold threads that the kernel knows, by the ids they see themselves. */
static int check_threads(struct search *s, const struct interpreter *in)
{
	struct frames f = {.memory = s->memory, .layout = &in->layout};
	uint64_t *tstate = calloc(THREADS_MAX, sizeof(*tstate));
	pid_t *tid = calloc(PROCESS_THREADS_MAX, sizeof(*tid));
	int found = -1, cnt, tids;

	if (!tstate || !tid)
		goto out;
	cnt = frames_threads(&f, in->main_interpreter, tstate, THREADS_MAX);
	tids = process_threads(s->process, tid, PROCESS_THREADS_MAX);
	for (int i = 0; i < cnt && found; i++) {
		uint64_t native;

		if (!is_thread_of(s, tstate[i], in->main_interpreter))
			break;
		if (in->layout.thread_native_id == AP_NO_OFFSET) {
			found = 0;
			break;
		}
		native = read_word(s, tstate[i] + in->layout.thread_native_id);
		for (int k = 0; k < tids && found; k++) {
			if (native && (uint64_t)process_inner_tid(s->process, tid[k]) == native)
				found = 0;
		}
	}
out:
	free(tstate);
	free(tid);
	return found;
}

/* Python that is just starting has no interpreter yet, or half of one: look a few times. */
static int find_state(struct search *s, struct interpreter *in, struct refusal *why)
{
	static const long wait_ms[] = {20, 80, 320};
	const struct ap_layout *l = &in->layout;
	uint64_t main_at = in->runtime + l->runtime_interpreters_main, head;
	uint32_t collecting = 0;
	int ready = 0;

	for (size_t i = 0; i < sizeof(wait_ms) / sizeof(wait_ms[0]) && !ready; i++) {
		if (i)
			pause_ms(wait_ms[i]);
		in->main_interpreter = read_word(s, main_at);
		ready = in->main_interpreter && !check_threads(s, in);
	}
	if (!ready && !process_is_same(s->process))
		return refuse(why, EXIT_NO_PROCESS, NULL,
			      "process %d exited or called exec meanwhile",
			      (int)process_pid(s->process));
	if (!in->main_interpreter)
		return refuse(why, EXIT_NO_PROCESS, "try again in a moment",
			      "the Python in process %d is starting or shutting down",
			      (int)process_pid(s->process));
	if (!ready)
		return refuse(why, EXIT_INTERPRETER, remedy_send,
			      "interp_threads_head of CPython %s is not where %s has it: no thread "
			      "of process %d is listed there",
			      in->version_text, in->tables.source, (int)process_pid(s->process));
	in->gil_holder =
		(l->gil_in_runtime ? in->runtime : in->main_interpreter) + l->gil_last_holder;
	if (check_gil(s, in))
		return refuse(why, EXIT_INTERPRETER, remedy_send,
			      "gil_last_holder of CPython %s is not where %s has it",
			      in->version_text, in->tables.source);
	in->collecting = l->interp_collecting ? in->main_interpreter + l->interp_collecting : 0;
	/* An int that is 0 or 1 (Include/internal/pycore_interp_structs.h, struct _gc_runtime_state). */
	if (in->collecting &&
	    (memory_read(s->memory, in->collecting, &collecting, sizeof(collecting)) ||
	     collecting > 1))
		return refuse(why, EXIT_INTERPRETER, remedy_send,
			      "interp_collecting of CPython %s is not where %s has it",
			      in->version_text, in->tables.source);
	/* struct pyinterpreters: head lies before main (Include/internal/pycore_runtime.h) */
	head = read_word(s, main_at - 8);
	if (head != in->main_interpreter)
		degrade(in, "sub-interpreters are not observed, only the main one");
	return 0;
}

static uint64_t loaded(const struct search *s, uint64_t vaddr)
{
	return vaddr ? s->bias + vaddr : 0;
}

static int check_fit(struct search *s, const struct symbols *sym, const struct interpreter *in,
		     struct refusal *why)
{
	const struct fit fit = {
		.memory = s->memory,
		.layout = &in->layout,
		.types = {loaded(s, sym->code_type), loaded(s, sym->str_type),
			  loaded(s, sym->bytes_type), loaded(s, sym->int_type)},
		.interpreter = in->main_interpreter,
		.task_heads = in->tables.task_heads,
		.task_node = in->tables.task_node,
	};
	const char *bad = fit_misfit(&fit);

	return bad ? refuse(why, EXIT_INTERPRETER, remedy_send,
			    "%s of CPython %s is not where %s has it", bad, in->version_text,
			    in->tables.source)
		   : 0;
}

static void place_site(struct site *site, int fd, const char *file)
{
	site->fd = fd;
	snprintf(site->path, sizeof(site->path), "/proc/self/fd/%d", fd);
	snprintf(site->file, sizeof(site->file), "%s", file);
}

static void optional_site(const struct elf *e, uint64_t bias, uint64_t vaddr, const char *name,
			  unsigned int arg_cnt, int fd, const char *file, struct interpreter *in,
			  struct site *site)
{
	struct refusal why;

	site->name = name;
	if (!vaddr)
		degrade(in, "%s was not found", name);
	else if (site_find(e, bias, vaddr, name, arg_cnt, site, &why))
		degrade(in, "%.140s", why.what);
	else
		place_site(site, fd, file);
	if (site->cost == SITE_STEPPED)
		degrade(in, "the probe on %s is single-stepped: dear in a virtual machine", name);
}

/* Which function of a C Task the loop calls: only the loops that do it without a Handle need it. */
static void find_steps(struct search *s, const struct asyncio_symbols *sym, struct interpreter *in)
{
	const struct elf *e = s->asyncio_elf ? s->asyncio_elf : s->elf;
	int fd = s->asyncio_elf ? in->fd[1] : in->fd[0];

	if (in->asyncio == ASYNCIO_NOT_LOADED)
		return;
	optional_site(e, s->asyncio_bias, sym->task_step, "task step", 1, fd,
		      in->asyncio_file, in, &in->task_step);
	if (sym->task_wakeup_call)
		optional_site(e, s->asyncio_bias, sym->task_wakeup_call, "task wakeup", 1,
			      fd, in->asyncio_file, in, &in->task_wakeup_call);
	else
		optional_site(e, s->asyncio_bias, sym->task_wakeup, "task_wakeup", 2, fd,
			      in->asyncio_file, in, &in->task_wakeup);
}

/* uvloop's own entries, both or none: what can't be found or probed is not watched. */
static void find_uvloop(struct search *s, const struct asyncio_symbols *asyncio,
			struct interpreter *in)
{
	const struct mapping *map = images_uvloop(s->maps);
	struct uvloop_symbols sym;
	struct refusal why;
	uint64_t bias;

	in->context_enter.name = "Context_Enter";
	in->context_exit.name = "Context_Exit";
	in->task_step.name = "task step";
	in->task_wakeup.name = "task_wakeup";
	in->task_wakeup_call.name = "task wakeup";
	in->uvloop_mapped = !!map;
	if (!map || load_file(s, map, &s->uvloop_elf, &bias, &in->fd[2], &why) ||
	    symbols_find_uvloop(s->uvloop_elf, &sym) ||
	    site_find(s->uvloop_elf, bias, sym.context_enter, in->context_enter.name, 1,
		      &in->context_enter, &why) ||
	    site_find(s->uvloop_elf, bias, sym.context_exit, in->context_exit.name, 1,
		      &in->context_exit, &why)) {
		in->context_enter.cost = in->context_exit.cost = SITE_NONE;
		return;
	}
	process_escape(map->path, strlen(map->path), in->uvloop_file, sizeof(in->uvloop_file));
	place_site(&in->context_enter, in->fd[2], in->uvloop_file);
	place_site(&in->context_exit, in->fd[2], in->uvloop_file);
	if (in->context_enter.cost == SITE_STEPPED || in->context_exit.cost == SITE_STEPPED)
		degrade(in, "the probes on uvloop are single-stepped: dear in a virtual machine");
	find_steps(s, asyncio, in);
	in->uvloop = 1;
}

/* Sets asyncio's own symbols; they are absent while nothing has imported it. */
static int find_asyncio(struct search *s, struct interpreter *in, struct asyncio_symbols *sym,
			struct refusal *why)
{
	const struct mapping *map = images_asyncio(s->maps);
	const struct elf *e = s->elf;
	char doubt[INTERPRETER_TEXT_SZ];

	if (map) {
		if (load_file(s, map, &s->asyncio_elf, &s->asyncio_bias, &in->fd[1], why))
			return -1;
		e = s->asyncio_elf;
		process_escape(map->path, strlen(map->path), in->asyncio_file,
			       sizeof(in->asyncio_file));
	}
	symbols_find_asyncio(e, sym, doubt, sizeof(doubt));
	if (doubt[0])
		degrade(in, "%s", doubt);
	if (map)
		in->asyncio = ASYNCIO_LIBRARY;
	else if (sym->task_basicsize)
		in->asyncio = ASYNCIO_BUILT_IN;
	else
		memset(sym, 0, sizeof(*sym));
	if (in->asyncio == ASYNCIO_BUILT_IN) {
		s->asyncio_bias = s->bias;
		snprintf(in->asyncio_file, sizeof(in->asyncio_file), "%s", in->file);
	}
	return 0;
}

static int find_sites(struct search *s, const struct symbols *sym,
		      const struct asyncio_symbols *asyncio, struct interpreter *in,
		      struct refusal *why)
{
	const struct elf *e = s->asyncio_elf ? s->asyncio_elf : s->elf;
	int fd = s->asyncio_elf ? in->fd[1] : in->fd[0];

	/* context_run(self, args, nargs, kwnames); the program reads the first three. */
	if (site_find(s->elf, s->bias, sym->context_run, "context_run", 3, &in->context_run, why))
		return -1;
	place_site(&in->context_run, in->fd[0], in->file);
	if (in->context_run.cost == SITE_STEPPED)
		degrade(in,
			"the probe on context_run is single-stepped: dear in a virtual machine");
	in->set_running_loop.name = "_set_running_loop";
	in->task_dealloc.name = "Task tp_dealloc";
	if (in->asyncio == ASYNCIO_NOT_LOADED)
		return 0;
	optional_site(e, s->asyncio_bias, asyncio->set_running_loop, "_set_running_loop", 2, fd,
		      in->asyncio_file, in, &in->set_running_loop);
	optional_site(e, s->asyncio_bias, asyncio->task_dealloc, "Task tp_dealloc", 1, fd,
		      in->asyncio_file, in, &in->task_dealloc);
	return 0;
}

/* What the threads of a process run now. */
struct running {
	int asyncio, trio;
};

static struct running running_loops(struct memory *m, const struct interpreter *in)
{
	struct frames f = {.memory = m, .layout = &in->layout};
	uint64_t *tstate = calloc(THREADS_MAX, sizeof(*tstate));
	int cnt = tstate ? frames_threads(&f, in->main_interpreter, tstate, THREADS_MAX) : 0;
	struct running running = {0};
	struct frames_loop loop;

	for (int i = 0; i < cnt; i++) {
		uint64_t frame = frames_current(&f, tstate[i]);

		running.asyncio |= frames_find_loop(&f, frame, &loop) > 0;
		/* trio.run() runs all of it in this file, 0.12 to 0.35. */
		running.trio |= frames_run_file(&f, frame, "trio/_core/_run.py");
	}
	free(tstate);
	return running;
}

int interpreter_runs_trio(struct memory *m, const struct interpreter *in)
{
	return running_loops(m, in).trio;
}

/* Another loop is an error unless one that we know runs as well. */
static int check_loops(struct search *s, struct interpreter *in, struct refusal *why)
{
	const struct running running = running_loops(s->memory, in);

	in->foreign = images_foreign(s->maps, in->uvloop);
	if (running.trio && !in->foreign)
		in->foreign = "trio";
	if (!in->foreign)
		return 0;
	if (!running.asyncio && !in->uvloop)
		return refuse(why, EXIT_INTERPRETER, "run the program on asyncio's own event loop",
			      "%s is not supported, and no loop of asyncio runs in process %d",
			      in->foreign, (int)process_pid(s->process));
	degrade(in, "loops of %s in this process are not observed", in->foreign);
	return 0;
}

static int find_main_file(struct search *s, struct interpreter *in, struct symbols *sym,
			  struct refusal *why)
{
	const struct mapping *map = images_interpreter(s->process, s->maps, &in->shared);
	unsigned int major = 0, minor = 0;

	if (images_pypy(s->maps))
		return refuse(why, EXIT_INTERPRETER, "run the program on CPython",
			      "PyPy is not supported");
	if (!map)
		return refuse(why, EXIT_NO_PROCESS, remedy_python,
			      "process %d has no program mapped", (int)process_pid(s->process));
	process_escape(map->path, strlen(map->path), in->file, sizeof(in->file));
	if (load_file(s, map, &s->elf, &s->bias, &in->fd[0], why))
		return -1;
	if (!images_have_interpreter(s->elf))
		return refuse(why, EXIT_NO_PROCESS, remedy_python, "process %d (%s) is not Python",
			      (int)process_pid(s->process), process_comm(s->process));
	if (!version_from_name(in->file, &major, &minor) && (major != 3 || minor < 8))
		return refuse(why, EXIT_INTERPRETER, "use CPython 3.8 to 3.15",
			      "CPython %u.%u is not supported", major, minor);
	return symbols_find(s->elf, sym, why);
}

static void set_build(const struct elf *e, struct interpreter *in)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	size_t size = elf_build_id(e, id);

	in->stripped = !elf_has_symtab(e);
	for (size_t i = 0; i < size; i++)
		snprintf(in->build_id + 2 * i, 3, "%02x", id[i]);
}

int interpreter__find(const struct process *p, struct memory *m, struct interpreter *out,
		      struct refusal *why)
{
	struct search s = {.process = p, .memory = m};
	struct asyncio_symbols asyncio;
	struct symbols sym;
	int err = -1;

	memset(out, 0, sizeof(*out));
	out->fd[0] = out->fd[1] = out->fd[2] = -1;
	if (maps__read(p, &s.maps, why) || find_main_file(&s, out, &sym, why))
		goto out;
	set_build(s.elf, out);
	out->runtime = s.bias + sym.runtime;
	out->code_type = loaded(&s, sym.code_type);
	out->method_type = loaded(&s, sym.method_type);
	if (find_version(&s, &sym, out, why) || find_asyncio(&s, out, &asyncio, why) ||
	    find_layout(&s, &sym, asyncio.task_basicsize, out, why) || find_state(&s, out, why) ||
	    check_fit(&s, &sym, out, why) || find_sites(&s, &sym, &asyncio, out, why))
		goto out;
	find_uvloop(&s, &asyncio, out);
	if (check_loops(&s, out, why))
		goto out;
	if (!process_is_same(p)) {
		refuse(why, EXIT_NO_PROCESS, NULL, "process %d exited or called exec meanwhile",
		       (int)process_pid(p));
		goto out;
	}
	err = 0;
out:
	elf__close(s.elf);
	elf__close(s.asyncio_elf);
	elf__close(s.uvloop_elf);
	maps__free(s.maps);
	if (err)
		interpreter__close(out);
	return err;
}

void interpreter__close(struct interpreter *in)
{
	for (unsigned int i = 0; i < sizeof(in->fd) / sizeof(in->fd[0]); i++) {
		/* Descriptor 0 is nobody's file here: a zeroed object was never found. */
		if (in->fd[i] > 0)
			close(in->fd[i]);
		in->fd[i] = -1;
	}
}

int interpreter_has_changed(const struct process *p, const struct interpreter *in)
{
	struct maps *maps = NULL;
	struct refusal why;
	int changed;

	if (maps__read(p, &maps, &why))
		return 0;
	changed = (in->asyncio == ASYNCIO_NOT_LOADED && images_asyncio(maps)) ||
		  (!in->uvloop_mapped && images_uvloop(maps)) ||
		  (!in->foreign && images_foreign(maps, in->uvloop));
	maps__free(maps);
	return changed;
}

void interpreter_target(const struct interpreter *in, uint64_t threshold_ns, struct ap_target *out)
{
	memset(out, 0, sizeof(*out));
	out->layout = in->layout;
	out->gil_holder = in->gil_holder;
	out->threshold_ns = threshold_ns;
	out->long_ns = threshold_ns / 4 < LONG_MAX_NS ? threshold_ns / 4 : LONG_MAX_NS;
	out->collecting = in->collecting;
	out->method_type = in->method_type;
	out->has_loop_probe = in->set_running_loop.cost != SITE_NONE;
	out->has_task_probe = in->task_dealloc.cost != SITE_NONE;
}
