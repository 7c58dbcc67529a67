/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The number in Py_Version where there is one, else the text that ends a
 * string of the file.
 *
 * It must never choose between two texts that differ.
 */
#include "target/version.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Minor versions without Py_Version, which came with 3.11 (Include/pylifecycle.h). */
#define TEXT_FIRST 8
#define TEXT_LAST  10

/*
 * Before Py_Version there is only the text PY_VERSION, "3.10.13", somewhere in
 * the file; linkers merge it into the tail of a path. All that end so must agree.
 */
static uint32_t version_from_text(const struct elf *e, unsigned int minor)
{
	uint32_t version = 0;
	char prefix[8];
	int len = snprintf(prefix, sizeof(prefix), "3.%u.", minor);

	for (size_t i = 0; i < elf_segment_cnt(e); i++) {
		const struct elf_segment *seg = elf_segment(e, i);
		const char *data = elf_bytes(e, seg->vaddr, seg->filesz);
		const char *end, *at = data;

		if (!data)
			continue;
		end = data + seg->filesz;
		while ((at = memmem(at, (size_t)(end - at), prefix, (size_t)len))) {
			int inside = at > data && (isdigit((unsigned char)at[-1]) || at[-1] == '.');
			unsigned int micro = 0, digits = 0;
			uint32_t found;

			at += len;
			for (; at < end && isdigit((unsigned char)*at) && digits < 3; digits++)
				micro = micro * 10 + (unsigned int)(*at++ - '0');
			if (inside || !digits || micro > 255 || at >= end ||
			    (*at && *at != 'r' && *at != 'a' && *at != 'b' && *at != '+'))
				continue;
			/* What follows the digits is nothing, or "rc1", "b2", "+" of no release. */
			found = 3u << 24 | minor << 16 | micro << 8 | (*at ? 0xa0 : 0xf0);
			if (version && version != found)
				return 0;
			version = found;
		}
	}
	return version;
}

/* From the names "libpython3.10.so.1.0" and "python3.10". */
int version_from_name(const char *file, unsigned int *major, unsigned int *minor)
{
	const char *base = strrchr(file, '/');
	const char *s = strstr(base ? base : file, "python");

	return s && sscanf(s, "python%2u.%3u", major, minor) == 2 ? 0 : -1;
}

uint32_t version_read(const struct elf *e, uint64_t version_word, const char *file)
{
	const void *word = version_word ? elf_bytes(e, version_word, sizeof(uint32_t)) : NULL;
	unsigned int major = 3, minor = 0;
	int named = !version_from_name(file, &major, &minor);
	uint32_t version = 0;

	if (word) {
		memcpy(&version, word, sizeof(version));
		return version;
	}
	for (unsigned int m = TEXT_FIRST; m <= TEXT_LAST && !version; m++) {
		if (!named || (major == 3 && minor == m))
			version = version_from_text(e, m);
	}
	return version;
}
