/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A target's memory made by a test: words at addresses, faults, and words
 * that change between two reads. It stands in for user/target/memory.c, so
 * that walks can be tried on what no real process can be made to show.
 */
#ifndef ASYNCPROF_FAKE_MEMORY_H
#define ASYNCPROF_FAKE_MEMORY_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target/memory.h"

#define FAKE_BASE 0x100000ULL
#define FAKE_SZ	  (1 << 20)

struct memory {
	uint8_t bytes[FAKE_SZ]; /* at FAKE_BASE */
	unsigned long reads;
	unsigned long fault_at;	 /* this read and all later ones fail; 0: none */
	unsigned long mutate_at; /* before this read mutate_addr becomes mutate_word */
	uint64_t mutate_addr, mutate_word;
};

static inline void fake_put(struct memory *m, uint64_t addr, const void *data, size_t size)
{
	if (addr < FAKE_BASE || addr - FAKE_BASE > FAKE_SZ - size)
		abort();
	memcpy(m->bytes + (addr - FAKE_BASE), data, size);
}

static inline void fake_word(struct memory *m, uint64_t addr, uint64_t word)
{
	fake_put(m, addr, &word, sizeof(word));
}

/* A compact ASCII str (Include/cpython/unicodeobject.h). */
static inline uint64_t fake_str(struct memory *m, const struct ap_layout *l, uint64_t addr,
				const char *text)
{
	uint32_t state = 1 << 2 | 1 << 5 | 1 << 6;

	fake_word(m, addr + l->str_length, strlen(text));
	fake_put(m, addr + l->str_state, &state, sizeof(state));
	fake_put(m, addr + l->str_ascii, text, strlen(text) + 1);
	return addr;
}

int memory__open(const struct process *p, struct memory **out)
{
	(void)p;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void memory__close(struct memory *m)
{
	free(m);
}

int memory_read(struct memory *m, uint64_t addr, void *buf, size_t size)
{
	m->reads++;
	if (m->mutate_at && m->reads == m->mutate_at)
		fake_word(m, m->mutate_addr, m->mutate_word);
	if (m->fault_at && m->reads >= m->fault_at)
		return -EFAULT;
	if (addr < FAKE_BASE || size > FAKE_SZ || addr - FAKE_BASE > FAKE_SZ - size)
		return -EFAULT;
	memcpy(buf, m->bytes + (addr - FAKE_BASE), size);
	return 0;
}

unsigned int memory_timeouts(const struct memory *m)
{
	(void)m;
	return 0;
}

#endif
