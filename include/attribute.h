/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a Task that is written in Python is called: its attribute `_name`
 * (Lib/asyncio/tasks.py, 3.8 to 3.15). Written once, as walk.h is; whoever
 * includes it first defines how memory is read,
 *
 *	static int ap_read(void *dst, __u32 size, __u64 addr);
 *
 * An instance has a dict, or values alone whose keys its type has. What is
 * there is known by the key, read as a string: nothing that was moved or is
 * torn passes for a name. It must never look at more than AP_KEYS_MAX keys.
 */
#ifndef ASYNCPROF_ATTRIBUTE_H
#define ASYNCPROF_ATTRIBUTE_H

#include "layout.h"

#define AP_KEYS_MAX 32 /* dicts that share their keys have at most 30 (SHARED_KEYS_MAX_SIZE, 3.11 on) */

/* PyTypeObject, Include/cpython/object.h, 3.8 to 3.15; flags: Include/object.h, 3.11 and 3.13 on */
#define AP_TYPE_BASICSIZE  32
#define AP_TYPE_FLAGS	   168
#define AP_TYPE_DICTOFFSET 288
#define AP_MANAGED_DICT	   (1 << 4)
#define AP_INLINE_VALUES   (1 << 2)
/* MANAGED_DICT_OFFSET, Include/internal/pycore_object.h, 3.11 to 3.15 */
#define AP_MANAGED_DICT_AT 24

/* "_name" and "_coro" as they lie in memory */
#define AP_WORD_NAME 0x656d616e5fULL
#define AP_WORD_CORO 0x6f726f635fULL

static inline __attribute__((always_inline)) __u64 ap_word(__u64 addr)
{
	__u64 word = 0;

	return ap_read(&word, sizeof(word), addr) ? 0 : word;
}

/* Where the names and the values of an instance's attributes are; values 0: beside the keys. */
static inline __attribute__((always_inline)) void
ap_attributes(const struct ap_layout *l, __u64 object, __u64 *keys, __u64 *values)
{
	__u64 type = ap_word(object + 8), flags = ap_word(type + AP_TYPE_FLAGS), dict = 0;
	__s64 at = (__s64)ap_word(type + AP_TYPE_DICTOFFSET);

	*keys = *values = 0;
	if (at > 0) {
		dict = ap_word(object + (__u64)at);
	} else if (l->type_cached_keys != AP_NO_OFFSET && flags & AP_MANAGED_DICT) {
		dict = ap_word(object - AP_MANAGED_DICT_AT);
		/* 3.12: the address of the values, less one (_PyDictOrValues_SetValues()) */
		if (dict & 1)
			*values = dict + 1;
		else if (!dict && l->object_values != AP_NO_OFFSET)
			*values = ap_word(object - l->object_values);
		else if (!dict && flags & AP_INLINE_VALUES)
			*values = object + ap_word(type + AP_TYPE_BASICSIZE);
	}
	if (*values) {
		*keys = ap_word(type + l->type_cached_keys);
	} else if (dict) {
		*keys = ap_word(dict + l->dict_keys);
		*values = ap_word(dict + l->dict_values);
	}
}

/* The first entry of a dict's keys, how many there are, and of what size; their hash comes first. */
static inline __attribute__((always_inline)) __u64
ap_entries(const struct ap_layout *l, __u64 keys, __u64 *cnt, __u32 *hash)
{
	__u64 size = 0;

	*cnt = ap_word(keys + l->keys_cnt);
	*hash = 8;
	if (l->keys_index_bytes == AP_NO_OFFSET) {
		/* DK_IXSIZE, Objects/dictobject.c: one byte a slot, or two; more is not looked at */
		size = ap_word(keys + 8);
		if (size > 0xff)
			size *= 2;
		if (size > 0x1ffff)
			*cnt = 0;
	} else {
		__u8 log[2] = {};

		/* dk_kind follows: 0, keys of any type, has their hashes as well */
		if (ap_read(log, sizeof(log), keys + l->keys_index_bytes) || log[0] > 16)
			*cnt = 0;
		size = 1ULL << (log[0] & 31);
		*hash = log[1] ? 0 : 8;
	}
	return keys + l->keys_indices + size;
}

/*
 * What a Task that is written in Python keeps as its name, of any type; 0: none, or `object` is no
 * Task, which has a `_coro` as well, or it can't be read.
 */
static inline __attribute__((always_inline)) __u64 ap_task_name(const struct ap_layout *l,
								__u64 object)
{
	__u64 keys, values, at, cnt, key, text, value, name = 0, coro = 0;
	__u32 i, hash;

	ap_attributes(l, object, &keys, &values);
	if (!keys)
		return 0;
	at = ap_entries(l, keys, &cnt, &hash);
	for (i = 0; i < AP_KEYS_MAX; i++) {
		if (i >= cnt || (name && coro))
			break;
		key = ap_word(at + hash);
		value = values ? values + l->values_data + 8ULL * i : at + hash + 8;
		at += hash + 16;
		text = 0;
		if (!key || ap_word(key + l->str_length) != 5 ||
		    ap_read(&text, 5, key + l->str_ascii))
			continue;
		if (text == AP_WORD_NAME)
			name = ap_word(value);
		else if (text == AP_WORD_CORO)
			coro = ap_word(value);
	}
	return coro ? name : 0;
}

#endif
