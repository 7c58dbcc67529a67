/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The inside of struct elf, shared by the two files that make it up: elf.c
 * reads it, elf_search.c searches it. Nobody else may include this.
 */
#ifndef ASYNCPROF_TARGET_ELF_FILE_H
#define ASYNCPROF_TARGET_ELF_FILE_H

#include <elf.h>

#include "target/elf.h"

#define ELF_NOTES_MAX 8

struct elf_range {
	uint64_t vaddr, size;
};

/* What the dynamic linker will have written at `slot`: an address of this file. */
struct elf_reloc {
	uint64_t slot, value;
};

struct elf {
	uint64_t file_sz, loaded_sz;
	int is_dynamic;
	int machine;
	uint64_t entry;
	size_t segment_cnt;
	struct elf_segment segment[ELF_SEGMENTS_MAX];
	uint8_t *data[ELF_SEGMENTS_MAX]; /* filesz bytes each */
	uint64_t dynamic;		 /* vaddr, 0: none */
	uint64_t eh_frame_hdr;
	size_t note_cnt;
	struct elf_range note[ELF_NOTES_MAX];
	const Elf64_Sym *dynsym; /* in data[], perhaps not aligned: copy before use */
	size_t dynsym_cnt;
	const char *dynstr;
	uint64_t dynstr_sz;
	size_t reloc_cnt, reloc_room;
	struct elf_reloc *reloc; /* by slot */
	size_t section_cnt;
	Elf64_Shdr *section;
	char *names;
	uint64_t names_sz;
	Elf64_Sym *symtab;
	size_t symtab_cnt;
	char *strtab;
	uint64_t strtab_sz;
};

/* The 8 bytes at vaddr, 0 when they are not there. */
uint64_t elf_word(const struct elf *e, uint64_t vaddr);

#endif
