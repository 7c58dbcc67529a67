/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The reader itself: loaded segments copied once, symbol tables and
 * relocations found through the dynamic section (strip keeps it, and section
 * headers may be missing or lie). What is searched in them is in elf_search.c.
 *
 * It must never use an offset, a count or an index from the file that has
 * not been compared with what the file really has.
 */
#include "target/elf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PHDRS_MAX   128
#define SHDRS_MAX   4096
#define DYNAMIC_MAX 1024
#define RELOCS_MAX  (1024 * 1024)
#define STRINGS_MAX (64 * 1024 * 1024)

static int read_at(int fd, void *buf, size_t size, uint64_t offset)
{
	size_t used = 0;

	if (offset > INT64_MAX)
		return -ENOEXEC;
	while (used < size) {
		ssize_t n = pread(fd, (char *)buf + used, size - used, (off_t)(offset + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -EIO;
		if (n == 0)
			return -ENOEXEC;
		used += (size_t)n;
	}
	return 0;
}

static int in_file(const struct elf *e, uint64_t offset, uint64_t size)
{
	uint64_t end;

	return !__builtin_add_overflow(offset, size, &end) && end <= e->file_sz;
}

static int load_segment(struct elf *e, int fd, const Elf64_Phdr *ph)
{
	struct elf_segment *seg = &e->segment[e->segment_cnt];
	uint64_t end;
	int err;

	if (e->segment_cnt == ELF_SEGMENTS_MAX)
		return -E2BIG;
	if (ph->p_filesz > ph->p_memsz || !in_file(e, ph->p_offset, ph->p_filesz) ||
	    __builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end) || end > 1ULL << 47)
		return -ENOEXEC;
	if (ph->p_filesz > ELF_LOADED_MAX - e->loaded_sz)
		return -E2BIG;
	seg->vaddr = ph->p_vaddr;
	seg->offset = ph->p_offset;
	seg->filesz = ph->p_filesz;
	seg->memsz = ph->p_memsz;
	seg->executable = !!(ph->p_flags & PF_X);
	seg->writable = !!(ph->p_flags & PF_W);
	e->data[e->segment_cnt] = malloc(ph->p_filesz + 1);
	if (!e->data[e->segment_cnt])
		return -ENOMEM;
	err = read_at(fd, e->data[e->segment_cnt++], ph->p_filesz, ph->p_offset);
	e->loaded_sz += ph->p_filesz;
	return err;
}

static int load_segments(struct elf *e, int fd, const Elf64_Ehdr *eh)
{
	Elf64_Phdr ph[PHDRS_MAX];
	int err;

	if (eh->e_phentsize != sizeof(ph[0]) || !eh->e_phnum || eh->e_phnum > PHDRS_MAX)
		return -ENOEXEC;
	err = read_at(fd, ph, eh->e_phnum * sizeof(ph[0]), eh->e_phoff);
	for (unsigned int i = 0; !err && i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			err = load_segment(e, fd, &ph[i]);
		else if (ph[i].p_type == PT_DYNAMIC)
			e->dynamic = ph[i].p_vaddr;
		else if (ph[i].p_type == PT_GNU_EH_FRAME)
			e->eh_frame_hdr = ph[i].p_vaddr;
		else if (ph[i].p_type == PT_NOTE && e->note_cnt < ELF_NOTES_MAX)
			e->note[e->note_cnt++] = (struct elf_range){ph[i].p_vaddr, ph[i].p_filesz};
	}
	return err ? err : e->segment_cnt ? 0 : -ENOEXEC;
}

const void *elf_bytes(const struct elf *e, uint64_t vaddr, size_t size)
{
	for (size_t i = 0; i < e->segment_cnt; i++) {
		const struct elf_segment *seg = &e->segment[i];

		if (vaddr >= seg->vaddr && vaddr - seg->vaddr <= seg->filesz &&
		    size <= seg->filesz - (vaddr - seg->vaddr))
			return e->data[i] + (vaddr - seg->vaddr);
	}
	return NULL;
}

uint64_t elf_word(const struct elf *e, uint64_t vaddr)
{
	const void *at = elf_bytes(e, vaddr, sizeof(uint64_t));
	uint64_t word = 0;

	if (at)
		memcpy(&word, at, sizeof(word));
	return word;
}

static uint32_t half_word(const struct elf *e, uint64_t vaddr)
{
	const void *at = elf_bytes(e, vaddr, sizeof(uint32_t));
	uint32_t word = 0;

	if (at)
		memcpy(&word, at, sizeof(word));
	return word;
}

const char *elf_string(const struct elf *e, uint64_t vaddr, size_t max)
{
	for (size_t i = 0; i < e->segment_cnt; i++) {
		const struct elf_segment *seg = &e->segment[i];
		uint64_t left;

		if (vaddr < seg->vaddr || vaddr - seg->vaddr >= seg->filesz)
			continue;
		left = seg->filesz - (vaddr - seg->vaddr);
		if (left > max)
			left = max;
		if (memchr(e->data[i] + (vaddr - seg->vaddr), 0, left))
			return (const char *)e->data[i] + (vaddr - seg->vaddr);
		return NULL;
	}
	return NULL;
}

static const struct elf_segment *segment_of(const struct elf *e, uint64_t vaddr)
{
	for (size_t i = 0; i < e->segment_cnt; i++) {
		const struct elf_segment *seg = &e->segment[i];

		if (vaddr >= seg->vaddr && vaddr - seg->vaddr < seg->memsz)
			return seg;
	}
	return NULL;
}

int elf_offset(const struct elf *e, uint64_t vaddr, uint64_t *offset)
{
	const struct elf_segment *seg = segment_of(e, vaddr);

	if (!seg || vaddr - seg->vaddr >= seg->filesz)
		return -1;
	*offset = seg->offset + (vaddr - seg->vaddr);
	return 0;
}

int elf_is_code(const struct elf *e, uint64_t vaddr)
{
	const struct elf_segment *seg = segment_of(e, vaddr);

	return seg && seg->executable && vaddr - seg->vaddr < seg->filesz;
}

/* How many dynamic symbols: DT_HASH says, DT_GNU_HASH must be walked to its last chain. */
static size_t dynsym_count(const struct elf *e, uint64_t hash, uint64_t gnu_hash)
{
	uint64_t bucket_cnt, first, bloom_cnt, buckets, chain;
	uint32_t last = 0;

	if (hash)
		return half_word(e, hash + 4);
	if (!gnu_hash)
		return 0;
	bucket_cnt = half_word(e, gnu_hash);
	first = half_word(e, gnu_hash + 4);
	bloom_cnt = half_word(e, gnu_hash + 8);
	if (bucket_cnt > ELF_SYMBOLS_MAX || bloom_cnt > ELF_SYMBOLS_MAX)
		return 0;
	buckets = gnu_hash + 16 + bloom_cnt * 8;
	for (uint64_t i = 0; i < bucket_cnt; i++) {
		uint32_t b = half_word(e, buckets + 4 * i);

		last = b > last ? b : last;
	}
	if (last < first)
		return 0;
	chain = buckets + 4 * bucket_cnt;
	while (last < ELF_SYMBOLS_MAX && elf_bytes(e, chain + 4ULL * (last - first), 4) &&
	       !(half_word(e, chain + 4ULL * (last - first)) & 1))
		last++;
	return (size_t)last + 1;
}

static int add_reloc(struct elf *e, uint64_t slot, uint64_t value)
{
	if (e->reloc_cnt == RELOCS_MAX)
		return -E2BIG;
	if (e->reloc_cnt == e->reloc_room) {
		size_t room = e->reloc_room ? e->reloc_room * 2 : 4096;
		struct elf_reloc *more = realloc(e->reloc, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		e->reloc = more;
		e->reloc_room = room;
	}
	e->reloc[e->reloc_cnt++] = (struct elf_reloc){slot, value};
	return 0;
}

static int read_rela(struct elf *e, uint64_t rela, uint64_t size)
{
	const Elf64_Rela *r;
	int err = 0;

	size -= size % sizeof(*r);
	r = elf_bytes(e, rela, size);
	if (!r)
		return size ? -ENOEXEC : 0;
	for (size_t i = 0; !err && i < size / sizeof(*r); i++) {
		Elf64_Rela one;
		uint64_t value = 0;
		uint32_t type, sym;

		memcpy(&one, &r[i], sizeof(one));
		type = (uint32_t)ELF64_R_TYPE(one.r_info);
		sym = (uint32_t)ELF64_R_SYM(one.r_info);
		if (type == R_X86_64_RELATIVE || type == R_AARCH64_RELATIVE) {
			value = (uint64_t)one.r_addend;
		} else if (type == R_X86_64_64 || type == R_X86_64_GLOB_DAT ||
			   type == R_AARCH64_ABS64 || type == R_AARCH64_GLOB_DAT) {
			Elf64_Sym s;

			if (sym >= e->dynsym_cnt)
				continue;
			memcpy(&s, &e->dynsym[sym], sizeof(s));
			if (s.st_shndx == SHN_UNDEF)
				continue;
			value = s.st_value;
			if (type == R_X86_64_64 || type == R_AARCH64_ABS64)
				value += (uint64_t)one.r_addend;
		} else {
			continue;
		}
		err = add_reloc(e, one.r_offset, value);
	}
	return err;
}

/* DT_RELR: an even word is an address, an odd one a bitmap of the 63 words after it. */
static int read_relr(struct elf *e, uint64_t relr, uint64_t size)
{
	uint64_t where = 0;
	int err = 0;

	if (!size)
		return 0;
	if (!elf_bytes(e, relr, size))
		return -ENOEXEC;
	for (uint64_t i = 0; !err && i + 8 <= size; i += 8) {
		uint64_t word = elf_word(e, relr + i);

		if (!(word & 1)) {
			err = add_reloc(e, word, elf_word(e, word));
			where = word + 8;
			continue;
		}
		for (unsigned int bit = 1; !err && bit < 64; bit++) {
			uint64_t slot = where + (bit - 1) * 8;

			if (word >> bit & 1)
				err = add_reloc(e, slot, elf_word(e, slot));
		}
		where += 63 * 8;
	}
	return err;
}

static int by_slot(const void *a, const void *b)
{
	const struct elf_reloc *x = a, *y = b;

	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int read_dynamic(struct elf *e)
{
	uint64_t hash = 0, gnu_hash = 0, rela = 0, rela_sz = 0, relr = 0, relr_sz = 0;
	uint64_t symtab = 0, strtab = 0, str_sz = 0;
	int err;

	if (!e->dynamic)
		return 0;
	for (unsigned int i = 0; i < DYNAMIC_MAX; i++) {
		uint64_t tag = elf_word(e, e->dynamic + 16ULL * i);
		uint64_t value = elf_word(e, e->dynamic + 16ULL * i + 8);

		if (tag == DT_NULL)
			break;
		switch (tag) {
		case DT_HASH:
			hash = value;
			break;
		case DT_GNU_HASH:
			gnu_hash = value;
			break;
		case DT_SYMTAB:
			symtab = value;
			break;
		case DT_STRTAB:
			strtab = value;
			break;
		case DT_STRSZ:
			str_sz = value;
			break;
		case DT_RELA:
			rela = value;
			break;
		case DT_RELASZ:
			rela_sz = value;
			break;
		case DT_RELR:
			relr = value;
			break;
		case DT_RELRSZ:
			relr_sz = value;
			break;
		}
	}
	e->dynsym_cnt = dynsym_count(e, hash, gnu_hash);
	if (e->dynsym_cnt > ELF_SYMBOLS_MAX)
		return -E2BIG;
	e->dynsym = elf_bytes(e, symtab, e->dynsym_cnt * sizeof(Elf64_Sym));
	e->dynstr = elf_bytes(e, strtab, str_sz);
	e->dynstr_sz = str_sz;
	if (!e->dynsym || !e->dynstr)
		e->dynsym_cnt = 0;
	err = read_rela(e, rela, rela_sz);
	if (!err)
		err = read_relr(e, relr, relr_sz);
	if (!err && e->reloc_cnt)
		qsort(e->reloc, e->reloc_cnt, sizeof(*e->reloc), by_slot);
	return err;
}

static void *read_section(const struct elf *e, int fd, const Elf64_Shdr *sh, uint64_t max)
{
	char *data;

	if (!sh->sh_size || sh->sh_size > max || !in_file(e, sh->sh_offset, sh->sh_size))
		return NULL;
	data = malloc(sh->sh_size);
	if (data && read_at(fd, data, sh->sh_size, sh->sh_offset)) {
		free(data);
		data = NULL;
	}
	return data;
}

/* Section headers that are missing or broken are none at all. */
static void read_sections(struct elf *e, int fd, const Elf64_Ehdr *eh)
{
	size_t size = eh->e_shnum * sizeof(Elf64_Shdr);

	if (eh->e_shentsize != sizeof(*e->section) || !eh->e_shnum || eh->e_shnum > SHDRS_MAX ||
	    !in_file(e, eh->e_shoff, size))
		return;
	e->section = malloc(size);
	if (!e->section || read_at(fd, e->section, size, eh->e_shoff))
		return;
	e->section_cnt = eh->e_shnum;
	if (eh->e_shstrndx >= e->section_cnt)
		return;
	e->names = read_section(e, fd, &e->section[eh->e_shstrndx], STRINGS_MAX);
	e->names_sz = e->names ? e->section[eh->e_shstrndx].sh_size : 0;
}

/* A missing or broken .symtab only makes the file count as stripped. */
static void read_symtab(struct elf *e, int fd)
{
	const Elf64_Shdr *sh = e->section;

	for (size_t i = 0; i < e->section_cnt; i++) {
		if (sh[i].sh_type != SHT_SYMTAB || sh[i].sh_link >= e->section_cnt ||
		    sh[sh[i].sh_link].sh_type != SHT_STRTAB)
			continue;
		e->symtab = read_section(e, fd, &sh[i], ELF_SYMBOLS_MAX * sizeof(Elf64_Sym));
		e->strtab = read_section(e, fd, &sh[sh[i].sh_link], STRINGS_MAX);
		e->strtab_sz = e->strtab ? sh[sh[i].sh_link].sh_size : 0;
		e->symtab_cnt = e->symtab && e->strtab ? sh[i].sh_size / sizeof(Elf64_Sym) : 0;
		break;
	}
}

uint64_t elf_section(const struct elf *e, const char *name, uint64_t size)
{
	uint64_t len = strlen(name) + 1;

	for (size_t i = 0; i < e->section_cnt; i++) {
		const Elf64_Shdr *sh = &e->section[i];

		if (sh->sh_name < e->names_sz && e->names_sz - sh->sh_name >= len &&
		    !memcmp(e->names + sh->sh_name, name, len) && sh->sh_flags & SHF_ALLOC &&
		    sh->sh_size >= size)
			return sh->sh_addr;
	}
	return 0;
}

int elf__read(int fd, struct elf **out)
{
	struct elf *e = NULL;
	Elf64_Ehdr eh;
	struct stat st;
	int err;

	*out = NULL;
	if (fstat(fd, &st))
		return -errno;
	err = read_at(fd, &eh, sizeof(eh), 0);
	if (err)
		return err;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || (eh.e_type != ET_EXEC && eh.e_type != ET_DYN))
		return -ENOEXEC;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->file_sz = (uint64_t)st.st_size;
	e->is_dynamic = eh.e_type == ET_DYN;
	e->machine = eh.e_machine;
	e->entry = eh.e_entry;
	err = load_segments(e, fd, &eh);
	if (!err)
		err = read_dynamic(e);
	if (!err) {
		read_sections(e, fd, &eh);
		read_symtab(e, fd);
		*out = e;
		e = NULL;
	}
	elf__close(e);
	return err;
}

void elf__close(struct elf *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->segment_cnt; i++)
		free(e->data[i]);
	free(e->reloc);
	free(e->section);
	free(e->names);
	free(e->symtab);
	free(e->strtab);
	free(e);
}

int elf_is_dynamic(const struct elf *e)
{
	return e->is_dynamic;
}

uint64_t elf_entry(const struct elf *e)
{
	return e->entry;
}

int elf_machine(const struct elf *e)
{
	return e->machine;
}

int elf_has_symtab(const struct elf *e)
{
	return e->symtab_cnt > 0;
}

size_t elf_segment_cnt(const struct elf *e)
{
	return e->segment_cnt;
}

const struct elf_segment *elf_segment(const struct elf *e, size_t i)
{
	return i < e->segment_cnt ? &e->segment[i] : NULL;
}

uint64_t elf_pointer(const struct elf *e, uint64_t vaddr)
{
	struct elf_reloc key = {vaddr, 0};
	const struct elf_reloc *r = NULL;
	uint64_t value;

	if (e->reloc_cnt)
		r = bsearch(&key, e->reloc, e->reloc_cnt, sizeof(*r), by_slot);
	if (r)
		value = r->value;
	else
		value = e->is_dynamic ? 0 : elf_word(e, vaddr);
	return segment_of(e, value) ? value : 0;
}
