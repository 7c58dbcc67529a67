/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The ELF reader and the finder on this very program, which carries a small
 * copy of CPython's tables, cut short and corrupted in many ways. Real ones
 * are test_elf_lies.c's matter.
 */
#include "cmocka_all.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/symbols.h"

/* --- What CPython has in its files, made small ------------------------------ */

struct method {
	const char *name;
	void *function;
	uint64_t flags;
	const char *doc;
};

/* Kept apart, and by .symtab in this program: none of them is exported. */
#define FUNCTION __attribute__((noinline, used)) static

FUNCTION uint64_t context_run(void *self, void *args, uint64_t nargs)
{
	return (uint64_t)(uintptr_t)self + (uint64_t)(uintptr_t)args + nargs;
}

FUNCTION uint64_t other_function(uint64_t x)
{
	return x * 3;
}

FUNCTION uint64_t _asyncio__set_running_loop(uint64_t x)
{
	return x * 5;
}

FUNCTION uint64_t TaskObj_dealloc(uint64_t x)
{
	return x * 7;
}

FUNCTION uint64_t TaskStepMethWrapper_call(uint64_t x)
{
	return x * 11;
}

FUNCTION uint64_t task_wakeup(uint64_t x)
{
	return x * 13;
}

/* As uvloop exports them. */
__attribute__((noinline, used)) uint64_t Context_Enter(uint64_t x);
uint64_t Context_Enter(uint64_t x)
{
	return x * 17;
}

__attribute__((noinline, used)) uint64_t Context_Exit(uint64_t x);
uint64_t Context_Exit(uint64_t x)
{
	return x * 19;
}

static struct method context_methods[] = {
	{"get", (void *)other_function, 0x80, NULL},
	{"run", (void *)other_function, 0x01, NULL},
	{"run", (void *)context_run, 0x82, NULL},
	{NULL, NULL, 0, NULL},
};

static struct method asyncio_methods[] = {
	{"_set_running_loop", (void *)other_function, 0x01, NULL},
	{"_set_running_loop", (void *)_asyncio__set_running_loop, 0x08, NULL},
	{"task_wakeup", (void *)task_wakeup, 0x08, NULL},
	{NULL, NULL, 0, NULL},
};

/* PyTypeObject: tp_name +24, tp_basicsize +32, tp_dealloc +48, tp_call +128, tp_methods +232. */
struct type {
	uint64_t head[3];
	const char *name;
	uint64_t basicsize, itemsize;
	void *dealloc;
	uint64_t between[9];
	void *call;
	uint64_t rest[12];
	struct method *methods;
};

__attribute__((used)) struct type PyContext_Type = {
	.name = "_contextvars.Context", .basicsize = 56, .methods = context_methods};
__attribute__((used)) static struct type task_type = {
	.name = "_asyncio.Task", .basicsize = 176, .dealloc = (void *)TaskObj_dealloc};
__attribute__((used)) static struct type step_type = {.name = "TaskStepMethWrapper",
						       .basicsize = 32,
						       .dealloc = (void *)other_function,
						       .call = (void *)TaskStepMethWrapper_call};
__attribute__((used)) uint64_t _PyRuntime[16] = {1};
__attribute__((used)) uint64_t PyCode_Type[60] = {1};
__attribute__((used)) const uint32_t Py_Version = 0x030b02f0;
__attribute__((used, section(".AsyncioDebug"))) static uint64_t task_offsets[13] = {176};
__attribute__((used)) static struct method *const keep = asyncio_methods;

/* --- Copies of a file that may be changed ------------------------------------ */

static int copy(const char *path)
{
	int from = open(path, O_RDONLY), to = memfd_create("copy", 0);
	char buf[65536];
	ssize_t n;

	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(to, buf, (size_t)n), n);
	close(from);
	return to;
}

static struct elf *read_self(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct elf *e;

	assert_true(fd >= 0);
	assert_int_equal(elf__read(fd, &e), 0);
	close(fd);
	return e;
}

static uint64_t bias;

static int find_bias(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	bias = info->dlpi_addr;
	return 1;
}

static uint64_t in_file(const void *addr)
{
	dl_iterate_phdr(find_bias, NULL);
	return (uint64_t)(uintptr_t)addr - bias;
}

/* Patches the relocation or the word of `slot` in a copy of ourselves to lead to `value`. */
static int patched_pointer(const void *slot, const void *value)
{
	int fd = copy("/proc/self/exe"), done = 0;
	struct stat st;
	uint8_t *map;

	assert_int_equal(fstat(fd, &st), 0);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (off_t i = 0; i + (off_t)sizeof(Elf64_Rela) <= st.st_size; i += 8) {
		Elf64_Rela *r = (Elf64_Rela *)(map + i);

		if (r->r_offset == in_file(slot) && r->r_info == R_X86_64_RELATIVE) {
			r->r_addend = (Elf64_Sxword)in_file(value);
			done++;
		}
	}
	munmap(map, (size_t)st.st_size);
	assert_int_equal(done, 1);
	return fd;
}

/* --- Tests --------------------------------------------------------------------- */

static void test_symbols(void **state)
{
	struct elf *e = read_self();
	const char *name;
	uint64_t offset, end;

	(void)state;
	assert_int_equal(elf_is_dynamic(e), 1);
	assert_int_equal(elf_machine(e), EM_X86_64);
	assert_int_equal(elf_has_symtab(e), 1);
	assert_int_equal(elf_symtab(e, "context_run"), in_file(context_run));
	assert_int_equal(elf_symtab(e, "context_ru"), 0);
	assert_int_equal(elf_symtab(e, "no such symbol"), 0);
	assert_int_equal(elf_dynsym(e, "no such symbol"), 0);
	assert_int_equal(elf_pointer(e, in_file(&context_methods[2].function)),
			 in_file(context_run));
	assert_int_equal(elf_is_code(e, in_file(context_run)), 1);
	assert_int_equal(elf_is_code(e, in_file(&task_type)), 0);
	assert_int_equal(elf_offset(e, in_file(context_run), &offset), 0);
	assert_memory_equal(elf_bytes(e, in_file(context_run), 16), context_run, 16);
	assert_int_equal(elf_is_function(e, in_file(context_run)), 1);
	assert_int_equal(elf_is_function(e, in_file(context_run) + 1), 0);
	assert_int_equal(elf_is_function(e, 0), 0);
	end = elf_function_end(e, in_file(context_run));
	assert_true(end > in_file(context_run) && end < in_file(context_run) + 4096);
	name = elf_string(e, elf_pointer(e, in_file(&task_type.name)), 64);
	assert_string_equal(name, "_asyncio.Task");
	assert_null(elf_string(e, elf_pointer(e, in_file(&task_type.name)), 5));
	assert_null(elf_bytes(e, in_file(context_run), 1 << 30));
	assert_null(elf_bytes(e, ~0ULL, 16));
	assert_int_equal(elf_pointer(e, 1ULL << 46), 0);
	elf__close(e);
	elf__close(NULL);
}

static void test_build_id(void **state)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf *e = read_self();
	size_t size = elf_build_id(e, id);

	(void)state;
	/* gcc's default is a SHA-1; without one there is nothing to compare */
	if (!size) {
		elf__close(e);
		print_message("# skip: this program was linked without a build id\n");
		skip();
	}
	assert_int_equal(size, 20);
	assert_memory_equal((void *)(uintptr_t)(bias + elf_build_id_vaddr(e)), id, size);
	elf__close(e);
}

static void test_finder(void **state)
{
	struct elf *e = read_self();
	struct asyncio_symbols asyncio;
	struct symbols sym;
	struct refusal why;
	char doubt[128];

	(void)state;
	assert_int_equal(symbols_find(e, &sym, &why), 0);
	assert_int_equal(sym.context_run, in_file(context_run));
	assert_int_equal(sym.runtime, in_file(_PyRuntime));
	assert_int_equal(sym.code_type, in_file(PyCode_Type));
	assert_int_equal(sym.version_word, in_file(&Py_Version));
	symbols_find_asyncio(e, &asyncio, doubt, sizeof(doubt));
	assert_string_equal(doubt, "");
	assert_int_equal(asyncio.set_running_loop, in_file(_asyncio__set_running_loop));
	assert_int_equal(asyncio.task_dealloc, in_file(TaskObj_dealloc));
	assert_int_equal(asyncio.task_basicsize, 176);
	assert_int_equal(asyncio.task_step, in_file(TaskStepMethWrapper_call));
	assert_int_equal(asyncio.task_wakeup, in_file(task_wakeup));
	assert_int_equal(asyncio.task_wakeup_call, 0);
	elf__close(e);
}

/* uvloop's two, or none of them: the C library has neither. */
static void test_uvloop(void **state)
{
	struct uvloop_symbols uvloop;
	struct elf *e = read_self();

	(void)state;
	if (elf_dynsym(e, "Context_Enter")) { /* exported: -rdynamic */
		assert_int_equal(symbols_find_uvloop(e, &uvloop), 0);
		assert_int_equal(uvloop.context_enter, in_file(Context_Enter));
		assert_int_equal(uvloop.context_exit, in_file(Context_Exit));
	} else {
		assert_int_equal(symbols_find_uvloop(e, &uvloop), -1);
	}
	elf__close(e);
}

static void test_section(void **state)
{
	struct elf *e = read_self();
	uint64_t at = elf_section(e, ".AsyncioDebug", sizeof(task_offsets));

	(void)state;
	assert_int_equal(at, in_file(task_offsets));
	assert_memory_equal(elf_bytes(e, at, sizeof(task_offsets)), task_offsets, 8);
	assert_int_equal(elf_section(e, ".AsyncioDebug", sizeof(task_offsets) + 1), 0);
	assert_int_equal(elf_section(e, "AsyncioDebug", 8), 0);
	assert_int_equal(elf_section(e, ".comment", 1), 0); /* not loaded */
	elf__close(e);
}

/* The method table says another function than .symtab: no choice is made. */
static void test_contradiction(void **state)
{
	struct asyncio_symbols asyncio;
	struct symbols sym;
	struct refusal why;
	char doubt[128];
	struct elf *e;
	int fd = patched_pointer(&context_methods[2].function, other_function);

	(void)state;
	assert_int_equal(elf__read(fd, &e), 0);
	assert_int_equal(symbols_find(e, &sym, &why), -1);
	assert_int_equal(why.code, EXIT_INTERPRETER);
	elf__close(e);
	close(fd);
	fd = patched_pointer(&task_type.dealloc, other_function);
	assert_int_equal(elf__read(fd, &e), 0);
	symbols_find_asyncio(e, &asyncio, doubt, sizeof(doubt));
	assert_int_equal(asyncio.task_dealloc, 0);
	assert_true(doubt[0]);
	elf__close(e);
	close(fd);
	/* a function pointer that leads to data is none */
	fd = patched_pointer(&context_methods[2].function, &task_type);
	assert_int_equal(elf__read(fd, &e), 0);
	assert_int_equal(symbols_find(e, &sym, &why), -1);
	elf__close(e);
	close(fd);
}

static void search_all(const struct elf *e)
{
	struct asyncio_symbols asyncio;
	struct uvloop_symbols uvloop;
	struct symbols sym;
	struct refusal why;
	uint8_t id[ELF_BUILD_ID_MAX];
	char doubt[128];
	uint64_t offset;

	if (!symbols_find(e, &sym, &why)) {
		assert_true(elf_is_code(e, sym.context_run));
		assert_int_equal(elf_offset(e, sym.context_run, &offset), 0);
		elf_function_end(e, sym.context_run);
	}
	symbols_find_asyncio(e, &asyncio, doubt, sizeof(doubt));
	symbols_find_uvloop(e, &uvloop);
	elf_build_id(e, id);
}

static void truncate_and_read(int fd, off_t step, off_t size)
{
	unsigned int refused = 0;
	struct elf *e;

	for (off_t at = size - 1; at >= 0; at = at > step ? at - step : at - 1 - at / 2) {
		assert_int_equal(ftruncate(fd, at), 0);
		if (elf__read(fd, &e)) {
			refused++;
			continue;
		}
		/* Only what is not loaded was cut off. */
		search_all(e);
		elf__close(e);
	}
	assert_true(refused > 0);
}

static void test_truncated(void **state)
{
	int fd = copy("/proc/self/exe");
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	truncate_and_read(fd, 4096, st.st_size);
	close(fd);
}

static const uint64_t evil[] = {0,	    1,	   7,	  0x7fffffff, 0xffffffff,
				1ULL << 47, ~0ULL, ~7ULL, 1ULL << 63};

/* Words of the headers, the dynamic section and the tables replaced by nasty ones. */
static void test_corrupted(void **state)
{
	int fd = copy("/proc/self/exe");
	struct stat st;
	uint8_t *map;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	srandom(3);
	for (unsigned int round = 0; round < 1500; round++) {
		size_t range = round % 3 ? 2048 : (size_t)st.st_size - 8;
		size_t at[3];
		uint64_t was[3];
		struct elf *e;

		for (size_t i = 0; i < 3; i++) {
			uint64_t word = evil[(size_t)random() % (sizeof(evil) / sizeof(evil[0]))];

			at[i] = (size_t)random() % range & ~3UL;
			memcpy(&was[i], map + at[i], 8);
			memcpy(map + at[i], &word, i ? 8 : 4);
		}
		if (!elf__read(fd, &e)) {
			search_all(e);
			elf__close(e);
		}
		for (size_t i = 3; i-- > 0;)
			memcpy(map + at[i], &was[i], 8);
	}
	munmap(map, (size_t)st.st_size);
	close(fd);
}

static void test_no_elf(void **state)
{
	int fd = memfd_create("text", 0);
	struct elf *e;

	(void)state;
	assert_int_equal(elf__read(fd, &e), -ENOEXEC);
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	assert_int_equal(elf__read(fd, &e), -ENOEXEC);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(elf__read(fd, &e), -ENOEXEC);
	assert_null(e);
	close(fd);
	assert_true(elf__read(-1, &e) < 0);
}

/* A segment of gigabytes in a sparse file is refused before anything is allocated. */
static void test_huge_segment(void **state)
{
	int fd = copy("/proc/self/exe");
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	struct elf *e;

	(void)state;
	assert_int_equal(pread(fd, &eh, sizeof(eh), 0), sizeof(eh));
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		off_t at = (off_t)(eh.e_phoff + i * sizeof(ph));

		assert_int_equal(pread(fd, &ph, sizeof(ph), at), sizeof(ph));
		if (ph.p_type != PT_LOAD)
			continue;
		ph.p_filesz = ph.p_memsz = 1ULL << 33;
		assert_int_equal(pwrite(fd, &ph, sizeof(ph), at), sizeof(ph));
		break;
	}
	assert_int_equal(ftruncate(fd, 1LL << 34), 0);
	assert_int_equal(elf__read(fd, &e), -E2BIG);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols),	  cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_finder),	  cmocka_unit_test(test_section),
		cmocka_unit_test(test_uvloop),	  cmocka_unit_test(test_contradiction),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_corrupted),
		cmocka_unit_test(test_no_elf),	  cmocka_unit_test(test_huge_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
