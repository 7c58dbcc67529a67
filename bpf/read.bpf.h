/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The only way to the target's memory: a read that never faults a page in and
 * never sleeps, so a hostile page (userfaultfd, FUSE) costs an error and no time.
 */
#ifndef ASYNCPROF_READ_BPF_H
#define ASYNCPROF_READ_BPF_H

#include "maps.bpf.h"

static __always_inline int ap_read(void *dst, __u32 size, __u64 addr)
{
	return bpf_probe_read_user(dst, size, (void *)addr) != 0;
}

static __always_inline __u64 read_word(__u64 addr)
{
	__u64 word = 0;

	if (bpf_probe_read_user(&word, sizeof(word), (void *)addr))
		return 0;
	return word;
}

/* A Python str into `text` and its data: at most `size` bytes, which the caller knows to be there. */
static __always_inline void read_str(const struct ap_layout *l, __u64 str, struct ap_text *text,
				     __u8 *data, __u32 size)
{
	__u64 length = 0, bytes;
	__u32 state = 0, width;

	text->length = 0;
	text->kept = 0;
	text->width = 0;
	text->pad = 0;
	if (!str || ap_read(&length, sizeof(length), str + l->str_length) ||
	    ap_read(&state, sizeof(state), str + l->str_state))
		return;
	/* Include/cpython/unicodeobject.h: interned 0-1, kind 2-4, compact 5, ascii 6 */
	width = (state >> 2) & 7;
	if (!(state & (1 << 5)) || (width != 1 && width != 2 && width != 4) || length >> 31)
		return;
	bytes = length * width;
	if (bytes > size)
		bytes = size;
	/* The verifier must see the bound on the very register that is passed on. */
	asm volatile("" : "+r"(bytes));
	if (bytes > size)
		return;
	if (bytes && bpf_probe_read_user(data, bytes,
					 (void *)(str + (state & (1 << 6) ? l->str_ascii : l->str_compact))))
		return;
	text->length = length;
	text->kept = bytes;
	text->width = width;
}

#endif
