/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Files that lie: a real interpreter and a real _asyncio, cut short, with
 * headers overwritten and with symbols shifted, through all that looks for
 * probe sites in a file. The same lies every time: the seed is a constant.
 *
 * A site is held against the functions that the true file has, which are read
 * here and not by the code under test.
 */
#include "cmocka_all.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/eval_part.h"
#include "target/images.h"
#include "target/interpreter.h"
#include "target/layouts.h"
#include "target/sites.h"
#include "target/symbols.h"
#include "target/version.h"

#define SEED   0x5eedULL
#define CUTS   2000
#define SHIFTS 1000 /* of both files together, as the lies below; the large one has a tenth */
#define LIES   1000

/* What all caps of elf.h and elf.c together leave room for: loaded bytes, symbols, names,
 * relocations twice. */
#define MEMORY_MAX (256ULL << 20)

/* A copy that may be changed, and what it was before. */
struct copy {
	char path[256];
	int fd;
	size_t size;
	uint8_t *map;
	uint8_t *was;
	uint64_t *start; /* of its functions, sorted */
	size_t start_cnt;
};

static struct copy interpreter, library;
static uint64_t random_state = SEED;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* .eh_frame_hdr as every linker writes it: 12 bytes, then pairs of offsets from its own address. */
static void read_starts(struct copy *c)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)c->map;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(c->map + eh->e_phoff);

	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		const int32_t *hdr = (const int32_t *)(c->map + ph[i].p_offset);

		if (ph[i].p_type != PT_GNU_EH_FRAME)
			continue;
		c->start_cnt = (size_t)hdr[2];
		c->start = calloc(c->start_cnt, sizeof(*c->start));
		assert_non_null(c->start);
		for (size_t k = 0; k < c->start_cnt; k++)
			c->start[k] = ph[i].p_vaddr + (uint64_t)(int64_t)hdr[3 + 2 * k];
		qsort(c->start, c->start_cnt, sizeof(*c->start), by_value);
	}
	assert_true(c->start_cnt > 0);
}

static int open_copy(struct copy *c, const char *pattern)
{
	struct stat st;
	glob_t g;
	int from;

	if (glob(pattern, 0, NULL, &g)) {
		globfree(&g);
		return -1;
	}
	snprintf(c->path, sizeof(c->path), "%s", g.gl_pathv[0]);
	globfree(&g);
	from = open(c->path, O_RDONLY);
	assert_true(from >= 0 && !fstat(from, &st));
	c->size = (size_t)st.st_size;
	c->was = malloc(c->size);
	assert_non_null(c->was);
	assert_int_equal(read(from, c->was, c->size), c->size);
	close(from);
	c->fd = memfd_create("copy", 0);
	assert_int_equal(write(c->fd, c->was, c->size), c->size);
	c->map = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	assert_ptr_not_equal(c->map, MAP_FAILED);
	read_starts(c);
	return 0;
}

static int open_copies(void **state)
{
	(void)state;
	if (open_copy(&interpreter, "/usr/bin/python3.[0-9]*[0-9]") ||
	    open_copy(&library, "/usr/lib/python3*/lib-dynload/_asyncio.cpython-*.so"))
		interpreter.size = 0;
	print_message("# seed 0x%llx\n", (unsigned long long)SEED);
	return 0;
}

#define SKIP_WITHOUT_FILES()                                                                       \
	do {                                                                                       \
		if (!interpreter.size) {                                                           \
			print_message("# skip: no python3 with an _asyncio of its own in /usr; "   \
				      "apt-get install python3\n");                                \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* What one look at a file found. */
struct found {
	struct symbols symbols;
	struct asyncio_symbols asyncio;
	struct site site[3];
};

static void find_site(const struct elf *e, const struct copy *c, uint64_t vaddr, unsigned int args,
		      struct site *site)
{
	struct refusal why;
	uint8_t bytes[SITE_BYTES];

	memset(site, 0, sizeof(*site));
	if (!vaddr)
		return;
	if (site_find(e, 0, vaddr, "it", args, site, &why)) {
		assert_int_equal(why.code, EXIT_INTERPRETER);
		memset(site, 0, sizeof(*site));
		return;
	}
	assert_int_equal(pread(c->fd, bytes, site->byte_cnt, (off_t)site->offset), site->byte_cnt);
	assert_memory_equal(bytes, site->bytes, site->byte_cnt);
}

/* All that interpreter__find() asks of a file. 0, or -1: it can't be read. */
static int look(const struct copy *c, struct found *f)
{
	struct refusal why;
	uint64_t start, end, words[LAYOUT_DEBUG_WORDS];
	struct ap_layout layout;
	char doubt[128];
	const void *debug;
	uint32_t version;
	struct elf *e;
	int err;

	memset(f, 0, sizeof(*f));
	err = elf__read(c->fd, &e);
	assert_true(!err || err == -ENOEXEC || err == -E2BIG);
	if (err)
		return -1;
	images_have_interpreter(e);
	if (symbols_find(e, &f->symbols, &why)) {
		assert_int_equal(why.code, EXIT_INTERPRETER);
		memset(&f->symbols, 0, sizeof(f->symbols));
	}
	symbols_find_asyncio(e, &f->asyncio, doubt, sizeof(doubt));
	find_site(e, c, f->symbols.context_run, 3, &f->site[0]);
	find_site(e, c, f->asyncio.set_running_loop, 2, &f->site[1]);
	find_site(e, c, f->asyncio.task_dealloc, 1, &f->site[2]);
	version = version_read(e, f->symbols.version_word, c->path);
	debug = elf_bytes(e, f->symbols.runtime, sizeof(words));
	if (debug)
		memcpy(words, debug, sizeof(words));
	layout_fill(version, f->asyncio.task_basicsize, words, debug ? LAYOUT_DEBUG_WORDS : 0,
		    &layout, &why);
	if (eval_part_find(e, &start, &end))
		assert_true(start < end);
	elf__close(e);
	return 0;
}

static unsigned int site_cnt(const struct found *f)
{
	return !!f->site[0].cost + !!f->site[1].cost + !!f->site[2].cost;
}

static int is_start(const struct copy *c, uint64_t vaddr)
{
	return !!bsearch(&vaddr, c->start, c->start_cnt, sizeof(vaddr), by_value);
}

/* Nothing was changed: what each file has is found, so that not finding it says something. */
static void test_true(void **state)
{
	struct found f;

	(void)state;
	SKIP_WITHOUT_FILES();
	assert_int_equal(look(&interpreter, &f), 0);
	assert_int_not_equal(f.site[0].cost, SITE_NONE);
	assert_true(is_start(&interpreter, f.site[0].entry));
	assert_int_equal(look(&library, &f), 0);
	assert_int_equal(site_cnt(&f), 2);
	assert_true(is_start(&library, f.site[1].entry) && is_start(&library, f.site[2].entry));
}

/* A file that ends early: refused, unless only what is not loaded is missing. */
static void test_cut_short(void **state)
{
	unsigned int refused = 0;
	struct found f;

	(void)state;
	SKIP_WITHOUT_FILES();
	for (unsigned int i = CUTS; i-- > 0;) {
		struct copy *c = i % 2 ? &library : &interpreter;

		assert_int_equal(ftruncate(c->fd, (off_t)(c->size * i / CUTS)), 0);
		refused += look(c, &f) < 0;
		for (unsigned int k = 0; k < 3; k++)
			assert_true(!f.site[k].cost || is_start(c, f.site[k].entry));
	}
	print_message("# %u of %u cuts refused\n", refused, CUTS);
	assert_true(refused > CUTS / 2);
	for (unsigned int i = 0; i < 2; i++) {
		struct copy *c = i ? &library : &interpreter;

		assert_int_equal(pwrite(c->fd, c->was, c->size, 0), c->size);
	}
}

/* Adds to an address wherever the file has it: in tables, symbols, relocations. How many there are. */
static unsigned int shift_address(struct copy *c, uint64_t address, uint64_t by)
{
	uint64_t shifted = address + by;
	unsigned int cnt = 0;

	for (size_t at = 0; at + 8 <= c->size; at += 8) {
		if (memcmp(c->was + at, &address, 8))
			continue;
		memcpy(c->map + at, &shifted, 8);
		cnt++;
	}
	return cnt;
}

static void shift(struct copy *c, unsigned int cnt, unsigned int *refused, unsigned int *taken)
{
	struct found f, now;
	uint64_t address[6];

	assert_int_equal(look(c, &f), 0);
	memcpy(address,
	       (uint64_t[]){f.symbols.context_run, f.symbols.runtime, f.symbols.version_word,
			    f.symbols.code_type, f.asyncio.set_running_loop, f.asyncio.task_dealloc},
	       sizeof(address));
	for (unsigned int i = 0; i < cnt;) {
		uint64_t at = address[next_random() % 6];
		uint64_t by = 1 + next_random() % (i % 2 ? 16 : 4096);

		if (!at || !shift_address(c, at, next_random() % 2 ? by : -by))
			continue;
		i++;
		assert_int_equal(look(c, &now), 0);
		for (unsigned int k = 0; k < 3; k++)
			assert_true(!now.site[k].cost || is_start(c, now.site[k].entry));
		*refused += site_cnt(&now) < site_cnt(&f);
		*taken += site_cnt(&now);
		memcpy(c->map, c->was, c->size);
	}
}

/* A function that is said to lie elsewhere: no site there, unless a function begins there. */
static void test_shifted(void **state)
{
	unsigned int refused = 0, taken = 0;

	(void)state;
	SKIP_WITHOUT_FILES();
	shift(&library, SHIFTS - SHIFTS / 10, &refused, &taken);
	shift(&interpreter, SHIFTS / 10, &refused, &taken);
	print_message("# %u shifts: %u sites refused, %u taken\n", SHIFTS, refused, taken);
	assert_true(refused > SHIFTS / 2);
}

static const uint64_t evil[] = {0,	    1,	   7,	  0x7fffffff, 0xffffffff,
				1ULL << 47, ~0ULL, ~7ULL, 1ULL << 63};

/* A word of the file's header, of its program headers, of what they lead to, of the sections. */
static size_t header_word(const struct copy *c)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)c->was;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(c->was + eh->e_phoff);
	size_t at = 0, size = sizeof(*eh);

	switch (next_random() % 4) {
	case 0:
		break;
	case 1:
		at = eh->e_phoff;
		size = eh->e_phnum * sizeof(*ph);
		break;
	case 2:
		at = eh->e_shoff;
		size = eh->e_shnum * sizeof(Elf64_Shdr);
		break;
	default:
		ph += next_random() % eh->e_phnum;
		at = ph->p_offset;
		size = ph->p_filesz < 1024 ? ph->p_filesz : 1024;
	}
	at += size ? next_random() % size : 0;
	return at + 8 <= c->size ? at & ~3UL : 0;
}

static void lie(struct copy *c, unsigned int cnt, unsigned int *refused)
{
	struct found f;

	for (unsigned int i = 0; i < cnt; i++) {
		unsigned int words = 1 + (unsigned int)(next_random() % 3);
		size_t at[3];

		for (unsigned int k = 0; k < words; k++) {
			uint64_t word = next_random();

			if (next_random() % 4)
				word = evil[word % (sizeof(evil) / sizeof(*evil))];
			else
				word >>= next_random() % 64;
			at[k] = header_word(c);
			memcpy(c->map + at[k], &word, next_random() % 2 ? 8 : 4);
		}
		*refused += look(c, &f) < 0 || !site_cnt(&f);
		for (unsigned int k = 0; k < words; k++)
			memcpy(c->map + at[k], c->was + at[k], 8);
	}
}

static void test_lying_headers(void **state)
{
	unsigned int refused = 0;

	(void)state;
	SKIP_WITHOUT_FILES();
	lie(&library, LIES - LIES / 10, &refused);
	lie(&interpreter, LIES / 10, &refused);
	print_message("# %u files with lying headers: %u refused\n", LIES, refused);
	assert_true(refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_true),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_shifted),
		cmocka_unit_test(test_lying_headers),
	};
#ifndef __SANITIZE_ADDRESS__
	/* Then -ENOMEM fails the test. Sanitizers reserve terabytes. */
	const struct rlimit limit = {MEMORY_MAX, MEMORY_MAX};

	if (setrlimit(RLIMIT_AS, &limit))
		return 1;
#endif
	return cmocka_run_group_tests(tests, open_copies, NULL);
}
