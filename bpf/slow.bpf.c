/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What is sent of a callback: its name, the code in its stacks, and once it is
 * over and was slow, the record with its accounts.
 */
#include "rule.bpf.h"
#include "slow.bpf.h"
#include "emit.bpf.h"
#include "attribute.h"

#define LINETABLE_SMALL 512
#define LINETABLE_LARGE 16384

/* --- Code ------------------------------------------------------------------- */

static __always_inline void code_fill(struct ap_layout *l, struct ap_code *c, __u64 code, __u64 table,
				      __u64 len, __u32 room)
{
	__u64 kept = len;

	c->code = code;
	c->firstlineno = 0;
	ap_read(&c->firstlineno, sizeof(c->firstlineno), code + l->code_firstlineno);
	c->linetable_len = len;
	c->linetable_kept = 0;
	c->version = l->version;
	read_str(l, read_word(code + l->code_qualname), &c->name.text, c->name.data, AP_NAME_SZ);
	read_str(l, read_word(code + l->code_filename), &c->file.text, c->file.data, AP_FILE_SZ);
	if (kept > room)
		kept = room;
	asm volatile("" : "+r"(kept));
	if (kept > room)
		return;
	if (kept && !bpf_probe_read_user(c->linetable, kept, (void *)(table + l->bytes_data)))
		c->linetable_kept = kept;
}

/* Send a code object, unless it was sent. */
__noinline int code_send(struct ap_thread *t, __u64 code)
{
	struct ap_addr key = {.addr = code};
	struct code_entry entry = {};
	struct ap_layout *l;
	struct ap_code *c;
	__u64 table, len;

	if (!t || !code)
		return 0;
	l = &t->layout;
	key.tgid = t->tgid;
	code_look_up(t, &key, &entry);
	if (!entry.print || entry.sent)
		return 0;
	table = read_word(code + l->code_linetable);
	len = table ? read_word(table + l->bytes_size) : 0;
	if (len >> 31)
		len = 0;
	if (len <= LINETABLE_SMALL) {
		c = emit_begin(t, AP_CODE, sizeof(*c) + LINETABLE_SMALL);
		if (!c)
			return 0;
		code_fill(l, c, code, table, len, LINETABLE_SMALL);
	} else {
		c = emit_begin(t, AP_CODE, sizeof(*c) + LINETABLE_LARGE);
		if (!c)
			return 0;
		code_fill(l, c, code, table, len, LINETABLE_LARGE);
	}
	emit_end(c, 0);
	entry.sent = 1;
	bpf_map_update_elem(&codes, &key, &entry, BPF_ANY);
	return 0;
}

/* All of a stack's code; of a block's also the GIL holder's. */
__noinline int code_send_stack(struct ap_thread *t, __u32 stack)
{
	struct ap_stack *s;
	__u32 i;

	if (!t || stack > RULE_SAMPLE)
		return 0;
	s = rule_stack(t, stack);
	for (i = 0; i < AP_FRAMES_MAX; i++) {
		if (i >= s->cnt)
			break;
		code_send(t, s->frame[i].code);
	}
	if (stack != RULE_SAMPLE && rule_block(t, stack)->off == AP_OFF_GIL)
		code_send(t, rule_block(t, stack)->holder.code);
	return 0;
}

/* --- Names ------------------------------------------------------------------ */

/*
 * The target as it is described now. A thread keeps a copy of its layout, which
 * is older than _asyncio if that was loaded later: it lacks the tasks' offsets.
 */
static __always_inline struct ap_target *current_target(struct ap_thread *t)
{
	__u32 tgid = t->tgid;

	return bpf_map_lookup_elem(&targets, &tgid);
}

static __always_inline int has_task_probe(struct ap_thread *t)
{
	struct ap_target *target = current_target(t);

	return target && target->has_task_probe;
}

/* A global function, so that names don't share one frame of the stack (rule.bpf.h says why). */
__noinline int name_read(struct ap_thread *t, __u64 str, struct ap_text_name *out)
{
	if (t && out)
		read_str(&t->layout, str, &out->text, out->data, AP_NAME_SZ);
	return 0;
}

static __always_inline int text_is(const char *have, const char *want, __u32 size)
{
	__u32 i;

	for (i = 0; i < size; i++)
		if (have[i] != want[i])
			return 0;
	return 1;
}

#define IS(have, want) text_is(have, want, sizeof(want))

enum type_class {
	TYPE_OTHER,
	TYPE_TASK_WRAPPER,	/* what a loop calls to step or wake a C Task */
	TYPE_BUILTIN,
	TYPE_FUNCTION,
	TYPE_METHOD,
	TYPE_PARTIAL,
	TYPE_STR,
	TYPE_INT,
};

__noinline int type_class(struct ap_thread *t, __u64 type)
{
	char name[32] = {};

	if (!t)
		return TYPE_OTHER;
	bpf_probe_read_user_str(name, sizeof(name), (void *)read_word(type + t->layout.type_name));
	if (IS(name, "_asyncio.TaskStepMethWrapper") || IS(name, "TaskStepMethWrapper") ||
	    IS(name, "TaskWakeupMethWrapper"))
		return TYPE_TASK_WRAPPER;
	if (IS(name, "builtin_function_or_method"))
		return TYPE_BUILTIN;
	if (IS(name, "function"))
		return TYPE_FUNCTION;
	if (IS(name, "method"))
		return TYPE_METHOD;
	if (IS(name, "functools.partial"))
		return TYPE_PARTIAL;
	if (IS(name, "str"))
		return TYPE_STR;
	return IS(name, "int") ? TYPE_INT : TYPE_OTHER;
}

/* The name of a function, from its code: the function object may be gone, its code is a constant. */
static __always_inline void name_of_code(struct ap_thread *t, __u64 code, struct ap_text_name *out)
{
	name_read(t, read_word(code + t->layout.code_qualname), out);
}

/*
 * Before 3.11 code has no qualified name, functions do. The str was there when
 * the callback began, and is a constant of the code around it as a rule: take
 * it if it is a str still.
 */
static __always_inline void name_of_function(struct ap_thread *t, __u64 code, __u64 qualname,
					     struct ap_text_name *out)
{
	struct ap_layout *l = &t->layout;

	if (l->code_qualname == l->code_name && qualname &&
	    read_word(qualname + 8) == read_word(read_word(code + l->code_name) + 8))
		name_read(t, qualname, out);
	else
		name_of_code(t, code, out);
}

static __always_inline void name_of_cstring(__u64 addr, struct ap_text_name *out)
{
	long n = bpf_probe_read_user_str(out->data, AP_NAME_SZ, (void *)addr);

	out->text.length = out->text.kept = n > 0 ? n - 1 : 0;
	out->text.width = n > 0 ? AP_TEXT_UTF8 : 0;
}

static __always_inline void name_of_task(struct ap_thread *t, struct ap_name *n)
{
	struct ap_target *target = current_target(t);
	struct ap_layout *l = target ? &target->layout : &t->layout;
	__u64 name = read_word(n->task + l->task_name);
	__u64 coro = read_word(n->task + l->task_coro);
	int class = type_class(t, read_word(name + 8));

	name_read(t, read_word(coro + l->coro_qualname), &n->coro);
	if (class == TYPE_STR) {
		name_read(t, name, &n->task_name);
	} else if (class == TYPE_INT && l->long_digit != AP_NO_OFFSET) {
		/* 3.12+: an unnamed task keeps its number; up to two digits of 30 bits */
		__u32 digit[2] = {};
		__u64 tag = read_word(name + l->long_tag);

		ap_read(digit, (tag >> 3) > 1 ? 8 : 4, name + l->long_digit);
		n->task_number = digit[0] | (__u64)digit[1] << 30;
	}
}

/* A Task in Python has its step as a bound method: `__step`, or `__wakeup` that calls it. */
static __always_inline int is_step(struct ap_layout *l, __u64 code)
{
	__u64 name = read_word(code + l->code_name), length, word = 0;

	length = read_word(name + l->str_length);
	if ((length != 6 && length != 8) || ap_read(&word, length, name + l->str_ascii))
		return 0;
	/* "__step", "__wakeup" */
	return word == 0x706574735f5fULL || word == 0x7075656b61775f5fULL;
}

__noinline __u64 name_of_py_task(struct ap_thread *t, __u64 object)
{
	return t ? ap_task_name(&t->layout, object) : 0;
}

/*
 * No probe tells when a Task in Python is freed: what it is called is read at
 * the first sight of its step running, and kept until the step is named. Other
 * callbacks cost a comparison, bound methods five reads.
 */
__noinline int name_py_task(struct ap_thread *t, __u32 index)
{
	struct ap_open *o;
	__u64 str;

	if (!t || index >= AP_OPEN_MAX)
		return 0;
	o = rule_open(t, index);
	if (o->named || !t->method_type || o->type != t->method_type || o->flags & AP_F_LEAVES ||
	    t->py_task_seq == o->seq)
		return 0;
	t->py_task_seq = o->seq;
	t->py_task_name.text = (struct ap_text){};
	if (!is_step(&t->layout, read_word(o->word2 + t->layout.function_code)))
		return 0;
	str = name_of_py_task(t, o->word3);
	if (type_class(t, read_word(str + 8)) == TYPE_STR)
		name_read(t, str, &t->py_task_name);
	return 0;
}

/* A builtin is named by its PyMethodDef; the bound one that wakes a C Task stands for the task. */
static __always_inline void name_builtin(struct ap_open *o, __u64 def, struct ap_name *n)
{
	__u64 name = read_word(def);
	char text[16] = {};

	bpf_probe_read_user_str(text, sizeof(text), (void *)name);
	if (n->callee == AP_CALLEE_BUILTIN && IS(text, "task_wakeup")) {
		n->callee = AP_CALLEE_TASK;
		n->task = o->word3;
	} else {
		name_of_cstring(name, &n->callback);
	}
}

/* A bound method or a partial: of a function, as a rule, but a partial may hold a bound method. */
static __always_inline void name_inner(struct ap_thread *t, struct ap_open *o, struct ap_name *n)
{
	struct ap_layout *l = &t->layout;
	__u64 object = o->word2, code;
	int class = type_class(t, read_word(object + 8));

	if (class == TYPE_METHOD) {
		object = read_word(object + l->method_function);
		class = type_class(t, read_word(object + 8));
	}
	if (class == TYPE_BUILTIN)
		name_builtin(o, read_word(object + 16), n);
	if (class != TYPE_FUNCTION)
		return;
	code = read_word(object + l->function_code);
	name_of_function(t, code, read_word(object + l->function_qualname), &n->callback);
	if (n->callee == AP_CALLEE_METHOD && is_step(l, code)) {
		n->callee = AP_CALLEE_TASK;
		n->task = o->word3;
		if (t->py_task_seq == o->seq)
			n->task_name = t->py_task_name;
	}
}

/* Of a foreign loop's callback: its task, or the code that the loop called. */
static __always_inline void name_foreign(struct ap_thread *t, struct ap_open *o, struct ap_name *n,
					 int alive)
{
	if (o->flags & AP_F_TASK) {
		n->callee = AP_CALLEE_TASK;
		n->task = o->word2;
		if (alive)
			name_of_task(t, n);
	} else if (is_step(&t->layout, o->qualname)) {
		n->callee = AP_CALLEE_TASK;
	} else {
		n->callee = AP_CALLEE_FUNCTION;
		name_of_code(t, o->qualname, &n->callback);
	}
}

static __always_inline void name_fill(struct ap_thread *t, struct ap_open *o, struct ap_name *n,
				      int alive)
{
	if (o->flags & AP_F_LEAVES) {
		name_foreign(t, o, n, alive);
		return;
	}
	switch (type_class(t, o->type)) {
	case TYPE_TASK_WRAPPER:
		n->callee = AP_CALLEE_TASK;
		n->task = o->word2;
		break;
	case TYPE_BUILTIN:
		n->callee = AP_CALLEE_BUILTIN;
		name_builtin(o, o->word2, n);
		break;
	case TYPE_FUNCTION:
		n->callee = AP_CALLEE_FUNCTION;
		name_of_function(t, t->layout.function_code == 48 ? o->word6 : o->word2, o->qualname,
				 &n->callback);
		break;
	case TYPE_METHOD:
		n->callee = AP_CALLEE_METHOD;
		break;
	case TYPE_PARTIAL:
		n->callee = AP_CALLEE_PARTIAL;
		break;
	default:
		n->callee = AP_CALLEE_OTHER;
		name_of_cstring(read_word(o->type + t->layout.type_name), &n->callback);
	}
	/* The layout of a task of asyncio's C code, which a Python one has not. */
	if (n->task && alive)
		name_of_task(t, n);
	if (n->callee == AP_CALLEE_METHOD || n->callee == AP_CALLEE_PARTIAL)
		name_inner(t, o, n);
}

/*
 * Who callback `index` is. `alive`: its task can't have been freed, since the
 * callback runs, or since a probe would have told.
 */
__noinline int name_send(struct ap_thread *t, __u32 index, int alive)
{
	struct ap_open *o;
	struct ap_name *n;

	if (!t || index >= AP_OPEN_MAX)
		return 0;
	o = rule_open(t, index);
	/* Not seen yet: a later tick may. */
	if (o->flags & AP_F_LEAVES && !(o->flags & AP_F_TASK) && !o->qualname)
		return 0;
	o->named = 1;
	if (o->callee == AP_CALLEE_SIGNAL)
		return 0;
	n = emit_begin(t, AP_NAME, sizeof(*n));
	if (!n)
		return 0;
	__builtin_memset((void *)n + sizeof(n->head), 0,
			 __builtin_offsetof(struct ap_name, task_name) - sizeof(n->head));
	n->task_name.text = n->coro.text = n->callback.text = (struct ap_text){};
	n->seq = o->seq;
	name_fill(t, o, n, alive);
	emit_end(n, 0);
	return 0;
}

__noinline int name_child(struct ap_thread *t, __u32 index, __u64 child)
{
	struct ap_name *n;

	if (!t || index >= AP_OPEN_MAX)
		return 0;
	n = emit_begin(t, AP_NAME, sizeof(*n));
	if (!n)
		return 0;
	__builtin_memset((void *)n + sizeof(n->head), 0,
			 __builtin_offsetof(struct ap_name, task_name) - sizeof(n->head));
	n->task_name.text = n->coro.text = n->callback.text = (struct ap_text){};
	n->seq = rule_open(t, index)->seq;
	n->callee = AP_CALLEE_TASK;
	n->task = child;
	n->child = rule_open(t, index)->child_no;
	name_of_task(t, n);
	emit_end(n, 0);
	return 0;
}

/* --- Slow callbacks ----------------------------------------------------------- */

__noinline int block_send(struct ap_thread *t, __u32 block, __u32 index, __u32 flags)
{
	struct ap_block *b;
	struct ap_open *o;
	__u32 cnt;

	if (!t || index > RULE_ITERATION)
		return 0;
	code_send_stack(t, block);
	b = rule_block(t, block);
	cnt = b->stack.cnt;
	if (cnt > AP_FRAMES_MAX)
		cnt = AP_FRAMES_MAX;
	o = rule_open(t, index);
	b->seq = o->seq;
	b->flags = flags;
	b->callee = t->plain ? AP_CALLEE_THREAD : o->callee;
	b->loop = o->loop;
	bpf_get_current_comm(b->comm, sizeof(b->comm));
	emit_copy(t, &b->head, AP_BLOCK,
		  __builtin_offsetof(struct ap_block, stack.frame) + cnt * sizeof(struct ap_frame),
		  !(flags & AP_T_EARLY));
	return 0;
}

/* The longest one of a callback, unless an inner run of a loop has used its place. */
static __always_inline void send_longest(struct ap_thread *t, struct ap_open *o, __u32 index)
{
	if (o->longest_ns && (index == RULE_ITERATION || rule_block(t, o->longest)->seq == o->seq))
		block_send(t, o->longest, index, 0);
}

__noinline int slow_send(struct ap_thread *t, __u32 index, __u32 end, __u64 hi)
{
	int gone = end == AP_END_EXIT || end == AP_END_EXEC;
	struct ap_slow *s;
	struct ap_open *o;

	if (!t || index > RULE_ITERATION)
		return 0;
	o = rule_open(t, index);
	/* At exit and exec the memory that held the names is no longer there. */
	if (!o->named && !gone && index != RULE_ITERATION)
		name_send(t, index, has_task_probe(t));
	rule_unfresh(o);
	if (!gone)
		send_longest(t, o, index);
	s = emit_begin(t, AP_SLOW, sizeof(*s));
	if (!s)
		return 0;
	s->seq = o->seq;
	s->loop = o->loop;
	s->start_ts = o->start_ts;
	s->lo_ts = o->lo_ts;
	s->hi_ts = hi;
	s->suspended_ns = o->suspended_ns;
	s->inner_ns = o->inner_ns;
	s->inner_cnt = o->inner_cnt;
	s->flags = o->flags | (gone ? AP_F_EXITED : 0);
	s->end = end;
	s->callee = o->callee;
	s->depth = index == RULE_ITERATION ? 0 : index;
	s->switches = o->switches;
	s->switches_lost = o->switches_lost;
	s->place_cnt = o->place_cnt;
	s->cut = o->cut;
	s->pad = 0;
	__builtin_memcpy(s->off_ns, o->off_ns, sizeof(s->off_ns));
	__builtin_memcpy(s->place, o->place, sizeof(s->place));
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	emit_end(s, 1);
	return 0;
}
