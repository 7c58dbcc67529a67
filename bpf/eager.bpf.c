/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * An eager task (3.12+) runs its first step inside Task.__init__, in whoever
 * made it: neither the loop nor a frame tells, but the current task does. It is
 * called from C: without a shim of its own above the callback's there is none.
 */
#include "eager.bpf.h"
#include "rule.bpf.h"
#include "slow.bpf.h"

/* PyTypeObject.tp_base; PyDictObject.ma_keys, PyDictKeysObject (pycore_dict.h), 3.12 and 3.13. */
#define TYPE_BASE	256
#define TYPE_BASES_MAX	8
#define DICT_KEYS	32
#define KEYS_ENTRIES_MAX 32

/* A Task that is written in Python is laid out otherwise. */
static __always_inline int is_c_task(struct ap_thread *t, __u64 task)
{
	__u64 wanted = read_word(t->asyncio_state + t->layout.asyncio_task_type);
	__u64 type = read_word(task + 8);
	int i;

	for (i = 0; i < TYPE_BASES_MAX; i++) {
		if (!type)
			return 0;
		if (type == wanted)
			return 1;
		type = read_word(type + TYPE_BASE);
	}
	return 0;
}

/* The state of the module that made the task's type, or the one that it derives from. */
static __always_inline void learn_state(struct ap_thread *t, __u64 task)
{
	__u64 type = task ? read_word(task + 8) : 0, module, state;
	int i;

	for (i = 0; i < TYPE_BASES_MAX; i++) {
		if (!type)
			return;
		module = read_word(type + t->layout.type_module);
		state = module ? read_word(module + t->layout.module_state) : 0;
		if (state && read_word(state + t->layout.asyncio_task_type) == type) {
			t->asyncio_state = state;
			return;
		}
		type = read_word(type + TYPE_BASE);
	}
}

/* Until 3.13 the task that runs now on `loop`: {loop: task} in a dict with keys that are no strings. */
static __always_inline __u64 current_of_loop(struct ap_thread *t, __u64 loop)
{
	__u64 keys = read_word(read_word(t->asyncio_state + t->layout.asyncio_current) + DICT_KEYS);
	struct {
		__u64 refcnt;
		__u8 log2_size, log2_index_bytes, kind, pad[5];
		__u64 usable, cnt;
	} head = {};
	struct {
		__u64 hash, key, value;
	} entry;
	__u64 at;
	__u32 i;

	/* Sizes that only a process with more loops than we look at has. */
	if (!keys || ap_read(&head, sizeof(head), keys) || head.kind || head.log2_index_bytes > 8)
		return 0;
	at = keys + sizeof(head) + (1ULL << (head.log2_index_bytes & 15));
	for (i = 0; i < KEYS_ENTRIES_MAX; i++) {
		if (i >= head.cnt || ap_read(&entry, sizeof(entry), at + i * sizeof(entry)))
			return 0;
		/* Of a foreign loop the address may not be known: then it has to be the only one. */
		if (entry.value && (entry.key == loop || !loop))
			return entry.value;
	}
	return 0;
}

__noinline __u64 eager_look(struct ap_thread *t, __u32 index)
{
	struct ap_open *o;
	__u64 child;

	if (!t || t->shims < 2 || index >= AP_OPEN_MAX ||
	    (t->layout.asyncio_current == AP_NO_OFFSET &&
	     t->layout.thread_running_task == AP_NO_OFFSET))
		return 0;
	o = rule_open(t, index);
	if (!t->asyncio_state)
		learn_state(t, o->word3);
	if (!t->asyncio_state)
		learn_state(t, o->word2);
	if (!t->asyncio_state)
		return 0;
	child = t->layout.thread_running_task != AP_NO_OFFSET ?
			read_word(t->tstate + t->layout.thread_running_task) :
			current_of_loop(t, o->loop);
	if (!child || child == o->word2 || child == o->word3)
		return 0;
	rule_unfresh(o);
	if (child != o->child) {
		if (!is_c_task(t, child))
			return 0;
		o->child = child;
		o->child_no++;
		name_child(t, index, child);
	}
	return o->child_no;
}
