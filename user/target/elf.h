/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A bounded reader of 64-bit little-endian ELF files: what is loaded, which
 * symbols and relocations there are, the build id. The file is the target's:
 * every range is checked against the file before use, every count has a cap,
 * and the bytes are copied (a file that shrinks under an mmap kills us with
 * SIGBUS).
 *
 * It must never look at a process: addresses here are those of the file
 * (p_vaddr); who wants others adds the load bias.
 */
#ifndef ASYNCPROF_TARGET_ELF_H
#define ASYNCPROF_TARGET_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 32
#define ELF_LOADED_MAX	 (64 * 1024 * 1024) /* bytes of all PT_LOAD together */
#define ELF_SYMBOLS_MAX	 (1024 * 1024)
#define ELF_BUILD_ID_MAX 32

struct elf;

struct elf_segment {
	uint64_t vaddr, offset, filesz, memsz;
	int executable, writable;
};

/*
 * `fd` is read, not kept. 0, or a negative errno: -ENOEXEC (no ELF of our
 * kind, or its tables lie), -E2BIG (over a cap), -EIO, -ENOMEM. The caller
 * closes it.
 */
int elf__read(int fd, struct elf **out);
void elf__close(struct elf *e);

int elf_is_dynamic(const struct elf *e); /* 1: ET_DYN, 0: ET_EXEC */
int elf_machine(const struct elf *e);	 /* EM_X86_64, ... */
uint64_t elf_entry(const struct elf *e); /* where a program begins; a library says nothing useful */
int elf_has_symtab(const struct elf *e); /* 1: not stripped */
size_t elf_segment_cnt(const struct elf *e);
const struct elf_segment *elf_segment(const struct elf *e, size_t i);

/* Bytes of the build id copied to `id`, 0 when there is none. */
size_t elf_build_id(const struct elf *e, uint8_t id[ELF_BUILD_ID_MAX]);
/* Where the build id lies when loaded (its vaddr), 0: not in a loaded segment. */
uint64_t elf_build_id_vaddr(const struct elf *e);

/* `size` bytes of the file as loaded at vaddr, or NULL when they are not all in one segment. */
const void *elf_bytes(const struct elf *e, uint64_t vaddr, size_t size);
/* A string there that ends within `max` bytes, or NULL. */
const char *elf_string(const struct elf *e, uint64_t vaddr, size_t max);
/* 0, or -1 when vaddr has no bytes in the file. */
int elf_offset(const struct elf *e, uint64_t vaddr, uint64_t *offset);
int elf_is_code(const struct elf *e, uint64_t vaddr);

/* The pointer that lies at vaddr once relocated; 0 when there is none, or it leads out of the file.
 */
uint64_t elf_pointer(const struct elf *e, uint64_t vaddr);

/* Where a loaded section of that name lies, 0: there is none, or it has fewer than `size` bytes. */
uint64_t elf_section(const struct elf *e, const char *name, uint64_t size);

/* Value of a defined symbol, 0: there is none. */
uint64_t elf_dynsym(const struct elf *e, const char *name);
/* In .symtab, where LTO may have added .lto_priv.N; never a .cold part. 0: there is none. */
uint64_t elf_symtab(const struct elf *e, const char *name);
/* Where the function that holds vaddr ends, by .symtab or .eh_frame_hdr's next entry; 0: unknown.
 */
uint64_t elf_function_end(const struct elf *e, uint64_t vaddr);
/* 1 when a function, or a part that was moved away from one, begins at vaddr: .eh_frame_hdr
 * decides, without it .symtab. */
int elf_is_function(const struct elf *e, uint64_t vaddr);

/*
 * Calls `visit` for each 8-byte slot that holds the address of `string`
 * with its NUL, as a suffix anywhere: linkers merge tails. Stops when
 * visit returns non-zero and returns that.
 */
int elf_each_reference(const struct elf *e, const char *string,
		       int (*visit)(void *ctx, uint64_t slot), void *ctx);

#endif
