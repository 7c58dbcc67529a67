/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The ELF reader and every question that is asked of it, on any file. */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/eval_part.h"
#include "target/sites.h"
#include "target/symbols.h"
#include "target/version.h"

static int count(void *ctx, uint64_t slot)
{
	(void)slot;
	return ++*(int *)ctx > 1000;
}

/* What the finder asks: a site must be where the file has a function. */
static void find(const struct elf *e)
{
	struct asyncio_symbols asyncio;
	struct site site = {0};
	struct symbols symbols;
	struct refusal why;
	uint64_t start, end;
	char doubt[128];

	symbols_find(e, &symbols, &why);
	symbols_find_asyncio(e, &asyncio, doubt, sizeof(doubt));
	version_read(e, symbols.version_word, "/usr/bin/python3.9");
	eval_part_find(e, &start, &end);
	if (!site_find(e, 0, elf_entry(e), "entry", 3, &site, &why)) {
		FUZZ_CHECK(elf_is_function(e, elf_entry(e)));
		FUZZ_CHECK(elf_bytes(e, site.vaddr, site.byte_cnt));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC), references = 0;
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf *e = NULL;
	uint64_t offset;
	size_t i;

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (!elf__read(fd, &e)) {
		FUZZ_CHECK(elf_build_id(e, id) <= sizeof(id));
		FUZZ_CHECK(elf_segment_cnt(e) <= ELF_SEGMENTS_MAX);
		for (i = 0; i < elf_segment_cnt(e); i++) {
			const struct elf_segment *s = elf_segment(e, i);
			const char *bytes = elf_bytes(e, s->vaddr, s->filesz);
			volatile char sum = 0;
			uint64_t k;

			/* What is handed out must be there. */
			for (k = 0; bytes && k < s->filesz; k++)
				sum = (char)(sum + bytes[k]);
			elf_pointer(e, s->vaddr);
			elf_is_code(e, s->vaddr);
			elf_function_end(e, s->vaddr + s->filesz / 2);
			elf_is_function(e, s->vaddr + s->filesz / 2);
			elf_offset(e, s->vaddr + s->filesz - 1, &offset);
			elf_string(e, s->vaddr, s->filesz);
		}
		elf_build_id_vaddr(e);
		elf_section(e, ".AsyncioDebug", 104);
		elf_dynsym(e, "PyContext_Type");
		elf_symtab(e, "main");
		elf_each_reference(e, "run", count, &references);
		find(e);
	}
	elf__close(e);
	close(fd);
	return 0;
}

/* Small programs that every system has: one dynamic, with relocations; the start of a large one. */
size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	static const char *const files[] = {"/bin/true", "/usr/bin/printf", "/proc/self/exe"};
	ssize_t size;
	int fd;

	if (n >= sizeof(files) / sizeof(files[0]))
		return 0;
	fd = open(files[n], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	size = read(fd, data, max);
	close(fd);
	return size > 0 ? (size_t)size : 0;
}
