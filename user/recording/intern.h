/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which row of a recording has a thing already: numbers from 1 on for byte
 * strings. Keeps a keyed 128-bit hash of each and not the string: a day's names
 * need not fit in memory.
 *
 * It must never grow beyond its bound, and a target that chooses its names
 * must not be able to choose where they collide.
 */
#ifndef ASYNCPROF_RECORDING_INTERN_H
#define ASYNCPROF_RECORDING_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern_slot {
	uint64_t low, high;
	uint32_t id; /* 0: free */
};

struct intern {
	struct intern_slot *slots;
	uint32_t slot_cnt; /* a power of two */
	uint32_t cnt;
	uint64_t key[2];
};

/* What is hashed: numbers and texts, one after the other. */
struct intern_hash {
	uint64_t v[4];
	uint64_t word_cnt;
};

/* `key` should be random. */
void intern__init(struct intern *intern, const uint64_t key[2]);
void intern__free(struct intern *intern);

void intern_hash_begin(const struct intern *intern, struct intern_hash *hash);
void intern_hash_number(struct intern_hash *hash, uint64_t number);
void intern_hash_text(struct intern_hash *hash, const char *text); /* NULL is not "" */

/*
 * Its number, new when `*added`; 0: it has none, and `cnt_max` numbers are given away.
 * Negative: -ENOMEM.
 */
int64_t intern_id(struct intern *intern, struct intern_hash *hash, uint32_t cnt_max, bool *added);

#endif
