/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A function reaches its moved part by conditional jumps. The bytes of the
 * eval function are searched for them at every offset, not decoded: what is
 * no jump leads anywhere in 4 GiB, and .eh_frame_hdr, which strip keeps, says
 * which targets lie in one function.
 *
 * It must never read more than its caps of a file that may say anything.
 */
#include "target/eval_part.h"

#include <string.h>

#define EVAL_SIZE_MAX (1024 * 1024) /* 55 644 bytes in 3.11 */
#define JCC_SIZE      6		    /* 0f 8x and 32 bits, relative to the next instruction */
#define PLACES_MAX    64	    /* functions that jumps may lead to */
#define JUMPS_MIN     8		    /* 379 in 3.11 */

struct place {
	uint64_t start, end; /* the lowest target seen, and where its function ends */
	unsigned int jumps;
};

static struct place *find_place(struct place place[], size_t *cnt, uint64_t target, uint64_t end)
{
	for (size_t i = 0; i < *cnt; i++) {
		if (place[i].end == end) {
			if (target < place[i].start)
				place[i].start = target;
			return &place[i];
		}
	}
	if (*cnt == PLACES_MAX)
		return NULL;
	place[*cnt] = (struct place){.start = target, .end = end};
	return &place[(*cnt)++];
}

int eval_part_find(const struct elf *e, uint64_t *start, uint64_t *end)
{
	uint64_t eval = elf_dynsym(e, "_PyEval_EvalFrameDefault");
	uint64_t eval_end = eval ? elf_function_end(e, eval) : 0;
	struct place place[PLACES_MAX], *best = NULL;
	unsigned int jumps = 0;
	const uint8_t *code;
	size_t cnt = 0;

	if (elf_has_symtab(e) || eval_end <= eval || eval_end - eval > EVAL_SIZE_MAX)
		return 0;
	code = elf_bytes(e, eval, eval_end - eval);
	for (uint64_t i = 0; code && i + JCC_SIZE <= eval_end - eval; i++) {
		uint64_t target, target_end;
		struct place *p;
		int32_t offset;

		if (code[i] != 0x0f || (code[i + 1] & 0xf0) != 0x80)
			continue;
		memcpy(&offset, code + i + 2, sizeof(offset));
		target = eval + i + JCC_SIZE + (uint64_t)(int64_t)offset;
		if ((target >= eval && target < eval_end) || !elf_is_code(e, target))
			continue;
		target_end = elf_function_end(e, target);
		p = target_end > target ? find_place(place, &cnt, target, target_end) : NULL;
		if (!p)
			continue;
		jumps++;
		p->jumps++;
		if (!best || p->jumps > best->jumps)
			best = p;
	}
	if (!best || best->jumps < JUMPS_MIN || best->jumps <= jumps / 2)
		return 0;
	*start = best->start;
	*end = best->end;
	return 1;
}
