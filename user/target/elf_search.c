/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Searches in a file that elf.c has read: symbols by name, the build id, the
 * end of a function, and who holds the address of a string.
 *
 * It must never search longer than the file is: each search goes over it once.
 */
#include "target/elf_file.h"

#include <stdlib.h>
#include <string.h>

#define STRING_PLACES_MAX 64
#define EH_PE_TABLE	  0x3b /* DW_EH_PE_datarel | DW_EH_PE_sdata4 */

size_t elf_build_id(const struct elf *e, uint8_t id[ELF_BUILD_ID_MAX])
{
	uint64_t vaddr = elf_build_id_vaddr(e);
	Elf64_Nhdr note;

	if (!vaddr)
		return 0;
	memcpy(&note, elf_bytes(e, vaddr - 16, sizeof(note)), sizeof(note));
	memcpy(id, elf_bytes(e, vaddr, note.n_descsz), note.n_descsz);
	return note.n_descsz;
}

uint64_t elf_build_id_vaddr(const struct elf *e)
{
	for (size_t i = 0; i < e->note_cnt; i++) {
		uint64_t at = e->note[i].vaddr, left = e->note[i].size;

		while (left >= sizeof(Elf64_Nhdr)) {
			const void *raw = elf_bytes(e, at, sizeof(Elf64_Nhdr) + 4);
			Elf64_Nhdr note;
			uint64_t size;

			if (!raw)
				break;
			memcpy(&note, raw, sizeof(note));
			size = sizeof(note) + (((uint64_t)note.n_namesz + 3) & ~3ULL) +
			       (((uint64_t)note.n_descsz + 3) & ~3ULL);
			if (size > left)
				break;
			if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			    !memcmp((const char *)raw + sizeof(note), "GNU", 4) && note.n_descsz &&
			    note.n_descsz <= ELF_BUILD_ID_MAX &&
			    elf_bytes(e, at + 16, note.n_descsz))
				return at + 16;
			at += size;
			left -= size;
		}
	}
	return 0;
}

/* 1 when the string at `offset` of a table is `name`, or `name` and an LTO suffix. */
static int is_name(const char *table, uint64_t table_sz, uint64_t offset, const char *name,
		   int suffixes)
{
	static const char *const suffix[] = {".lto_priv.", ".isra.", ".part.", ".constprop."};
	size_t len = strlen(name);

	if (offset >= table_sz || table_sz - offset <= len || memcmp(table + offset, name, len))
		return 0;
	if (!table[offset + len])
		return 1;
	for (size_t i = 0; suffixes && i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		size_t n = strlen(suffix[i]);

		if (table_sz - offset - len > n && !memcmp(table + offset + len, suffix[i], n))
			return 1;
	}
	return 0;
}

uint64_t elf_dynsym(const struct elf *e, const char *name)
{
	for (size_t i = 0; i < e->dynsym_cnt; i++) {
		Elf64_Sym s;

		memcpy(&s, &e->dynsym[i], sizeof(s));
		if (s.st_shndx != SHN_UNDEF && s.st_value &&
		    is_name(e->dynstr, e->dynstr_sz, s.st_name, name, 0))
			return s.st_value;
	}
	return 0;
}

uint64_t elf_symtab(const struct elf *e, const char *name)
{
	uint64_t cloned = 0;

	for (size_t i = 0; i < e->symtab_cnt; i++) {
		const Elf64_Sym *s = &e->symtab[i];

		if (s->st_shndx == SHN_UNDEF || !s->st_value)
			continue;
		if (is_name(e->strtab, e->strtab_sz, s->st_name, name, 0))
			return s->st_value;
		if (!cloned && is_name(e->strtab, e->strtab_sz, s->st_name, name, 1))
			cloned = s->st_value;
	}
	return cloned;
}

static uint64_t end_by_symtab(const struct elf *e, uint64_t vaddr)
{
	for (size_t i = 0; i < e->symtab_cnt; i++) {
		const Elf64_Sym *s = &e->symtab[i];

		if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_value <= vaddr &&
		    vaddr - s->st_value < s->st_size)
			return s->st_value + s->st_size;
	}
	return 0;
}

/* The sorted table of .eh_frame_hdr, which survives strip; NULL: none of the kind that linkers write. */
static const uint8_t *eh_table(const struct elf *e, uint32_t *cnt)
{
	const uint8_t *hdr = elf_bytes(e, e->eh_frame_hdr, 12);

	/* version 1; eh_frame_ptr pcrel sdata4, count udata4: what every linker here writes */
	if (!e->eh_frame_hdr || !hdr || hdr[0] != 1 || hdr[1] != 0x1b || hdr[2] != 0x03 ||
	    hdr[3] != EH_PE_TABLE)
		return NULL;
	memcpy(cnt, hdr + 8, sizeof(*cnt));
	if (*cnt > ELF_SYMBOLS_MAX)
		return NULL;
	return elf_bytes(e, e->eh_frame_hdr + 12, 8ULL * *cnt);
}

static uint64_t eh_start(const struct elf *e, const uint8_t *table, uint32_t i)
{
	int32_t start;

	memcpy(&start, table + 8ULL * i, sizeof(start));
	return e->eh_frame_hdr + (uint64_t)(int64_t)start;
}

/* The first of its functions that begins behind vaddr. */
static uint32_t eh_next(const struct elf *e, const uint8_t *table, uint32_t cnt, uint64_t vaddr)
{
	uint32_t low = 0, high = cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (eh_start(e, table, mid) <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The next function's start is our end. */
static uint64_t end_by_eh_frame(const struct elf *e, uint64_t vaddr)
{
	uint32_t cnt, next;
	const uint8_t *table = eh_table(e, &cnt);

	if (!table)
		return 0;
	next = eh_next(e, table, cnt, vaddr);
	return next < cnt ? eh_start(e, table, next) : 0;
}

int elf_is_function(const struct elf *e, uint64_t vaddr)
{
	uint32_t cnt, next;
	const uint8_t *table = eh_table(e, &cnt);

	if (table) {
		next = eh_next(e, table, cnt, vaddr);
		return next && eh_start(e, table, next - 1) == vaddr;
	}
	for (size_t i = 0; i < e->symtab_cnt; i++) {
		const Elf64_Sym *s = &e->symtab[i];

		if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_value == vaddr)
			return 1;
	}
	return 0;
}

uint64_t elf_function_end(const struct elf *e, uint64_t vaddr)
{
	uint64_t end = end_by_symtab(e, vaddr);

	return end ? end : end_by_eh_frame(e, vaddr);
}

/* Addresses of `string` with its NUL, as a suffix of anything: linkers merge tails. */
static size_t find_string(const struct elf *e, const char *string, uint64_t place[])
{
	size_t len = strlen(string) + 1, cnt = 0;

	for (size_t i = 0; i < e->segment_cnt; i++) {
		const uint8_t *at = e->data[i];
		size_t left = e->segment[i].filesz;

		while (cnt < STRING_PLACES_MAX && left >= len) {
			const uint8_t *hit = memmem(at, left, string, len);

			if (!hit)
				break;
			place[cnt++] = e->segment[i].vaddr + (uint64_t)(hit - e->data[i]);
			left -= (size_t)(hit + 1 - at);
			at = hit + 1;
		}
	}
	return cnt;
}

static int is_place(const uint64_t place[], size_t cnt, uint64_t value)
{
	for (size_t i = 0; i < cnt; i++) {
		if (place[i] == value)
			return 1;
	}
	return 0;
}

int elf_each_reference(const struct elf *e, const char *string,
		       int (*visit)(void *ctx, uint64_t slot), void *ctx)
{
	uint64_t place[STRING_PLACES_MAX];
	size_t cnt = find_string(e, string, place);
	int stop = 0;

	if (!cnt)
		return 0;
	for (size_t i = 0; !stop && i < e->reloc_cnt; i++) {
		if (is_place(place, cnt, e->reloc[i].value))
			stop = visit(ctx, e->reloc[i].slot);
	}
	if (e->is_dynamic)
		return stop;
	for (size_t s = 0; !stop && s < e->segment_cnt; s++) {
		const struct elf_segment *seg = &e->segment[s];
		uint64_t skip = -seg->vaddr & 7;

		if (seg->executable)
			continue;
		for (uint64_t i = skip; !stop && i + 8 <= seg->filesz; i += 8) {
			uint64_t word;

			memcpy(&word, e->data[s] + i, sizeof(word));
			if (is_place(place, cnt, word))
				stop = visit(ctx, seg->vaddr + i);
		}
	}
	return stop;
}
