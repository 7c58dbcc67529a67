/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "recording/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256

void intern__init(struct intern *intern, const uint64_t key[2])
{
	*intern = (struct intern){.key = {key[0], key[1]}};
}

void intern__free(struct intern *intern)
{
	free(intern->slots);
	*intern = (struct intern){};
}

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* SipHash-1-3 with 128 bits of output: Aumasson and Bernstein, 2012. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

void intern_hash_begin(const struct intern *intern, struct intern_hash *hash)
{
	*hash = (struct intern_hash){.v = {
					     intern->key[0] ^ 0x736f6d6570736575ULL,
					     intern->key[1] ^ 0x646f72616e646f6dULL ^ 0xee,
					     intern->key[0] ^ 0x6c7967656e657261ULL,
					     intern->key[1] ^ 0x7465646279746573ULL,
				     }};
}

void intern_hash_number(struct intern_hash *hash, uint64_t number)
{
	sip_word(hash->v, number);
	hash->word_cnt++;
}

void intern_hash_text(struct intern_hash *hash, const char *text)
{
	uint64_t word = 0;
	size_t sz;

	if (!text) {
		intern_hash_number(hash, UINT64_MAX);
		return;
	}
	/* The length before it: whole words, the last one filled up, can't run into what follows.
	 */
	sz = strlen(text);
	intern_hash_number(hash, sz);
	for (; sz >= sizeof(word); sz -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		intern_hash_number(hash, word);
	}
	if (sz) {
		word = 0;
		memcpy(&word, text, sz);
		intern_hash_number(hash, word);
	}
}

static void hash_end(struct intern_hash *hash, uint64_t *low, uint64_t *high)
{
	uint64_t *v = hash->v;

	sip_word(v, hash->word_cnt);
	v[2] ^= 0xee;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	*low = v[0] ^ v[1] ^ v[2] ^ v[3];
	v[1] ^= 0xdd;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	*high = v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that has it, or the free one where it belongs. */
static struct intern_slot *find(struct intern_slot *slots, uint32_t slot_cnt, uint64_t low,
				uint64_t high)
{
	uint32_t at = (uint32_t)low & (slot_cnt - 1);

	while (slots[at].id && (slots[at].low != low || slots[at].high != high))
		at = (at + 1) & (slot_cnt - 1);
	return &slots[at];
}

static int grow(struct intern *intern)
{
	uint32_t slot_cnt = intern->slot_cnt ? 2 * intern->slot_cnt : SLOTS_MIN;
	struct intern_slot *slots = calloc(slot_cnt, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < intern->slot_cnt; i++) {
		const struct intern_slot *slot = &intern->slots[i];

		if (slot->id)
			*find(slots, slot_cnt, slot->low, slot->high) = *slot;
	}
	free(intern->slots);
	intern->slots = slots;
	intern->slot_cnt = slot_cnt;
	return 0;
}

int64_t intern_id(struct intern *intern, struct intern_hash *hash, uint32_t cnt_max, bool *added)
{
	struct intern_slot *slot;
	uint64_t low, high;

	*added = false;
	hash_end(hash, &low, &high);
	/* At most three quarters full: a look-up meets a free slot soon. */
	if (intern->cnt >= intern->slot_cnt / 4 * 3 && intern->cnt < cnt_max && grow(intern))
		return -ENOMEM;
	if (!intern->slot_cnt)
		return 0;
	slot = find(intern->slots, intern->slot_cnt, low, high);
	if (!slot->id) {
		if (intern->cnt >= cnt_max)
			return 0;
		*slot = (struct intern_slot){low, high, ++intern->cnt};
		*added = true;
	}
	return slot->id;
}
