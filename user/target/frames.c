/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Chains of frames, walked while the thread that owns them runs on: a chain
 * may be torn. Every walk here ends by its bound or at a word that cannot be.
 *
 * It must never classify by name alone where only Handle._run will do.
 */
#include "target/frames.h"

#include <errno.h>
#include <string.h>

static int ap_read(void *dst, __u32 size, __u64 addr);
#include "walk.h"

#define CHAIN_MAX (AP_FRAMES_MAX + 32) /* shims take a turn and no place in a stack */

#define SHIMS_MAX 4 /* in a row: one for each entry from C */

/* walk.h reads without a context: whose memory, for the time of one call, and if all went well. */
static _Thread_local struct memory *reading;
static _Thread_local int failed;

static int ap_read(void *dst, __u32 size, __u64 addr)
{
	int err = memory_read(reading, addr, dst, size);

	failed |= err;
	return err;
}

static int read_word(struct frames *f, uint64_t addr, uint64_t *word)
{
	if (!ap_plausible(addr & ~7ULL))
		return -EFAULT;
	return memory_read(f->memory, addr, word, sizeof(*word));
}

int frames_threads(struct frames *f, uint64_t interpreter, uint64_t *tstate, size_t max)
{
	uint64_t at = 0;
	size_t cnt = 0;
	int err = read_word(f, interpreter + f->layout->interp_threads_head, &at);

	while (!err && at && cnt < max) {
		/* A list that leads back to itself has no more to tell. */
		for (size_t i = 0; i < cnt; i++) {
			if (tstate[i] == at)
				return (int)cnt;
		}
		tstate[cnt++] = at;
		err = read_word(f, at + f->layout->thread_next, &at);
	}
	/* Some threads are better than none: a list is torn while one comes or goes. */
	return cnt ? (int)cnt : err;
}

uint64_t frames_current(struct frames *f, uint64_t tstate)
{
	uint64_t frame;

	reading = f->memory;
	failed = 0;
	frame = ap_current_frame(f->layout, tstate);
	return failed ? FRAMES_UNREADABLE : frame;
}

/* 1 when the str at `addr` is ASCII and ends with `tail` (is `tail`, when `whole`). */
static int text_ends(struct frames *f, uint64_t addr, const char *tail, int whole)
{
	const struct ap_layout *l = f->layout;
	size_t size = strlen(tail);
	uint64_t length = 0;
	uint32_t state = 0;
	char text[32];

	if (size > sizeof(text) || read_word(f, addr + l->str_length, &length) ||
	    memory_read(f->memory, addr + l->str_state, &state, sizeof(state)))
		return 0;
	/* Include/cpython/unicodeobject.h: compact is bit 5, ascii bit 6 */
	if ((state & 0x60) != 0x60 || length < size || length > 4096 || (whole && length != size))
		return 0;
	if (memory_read(f->memory, addr + l->str_ascii + length - size, text, size))
		return 0;
	return !memcmp(text, tail, size);
}

static enum frames_class learn(struct frames *f, uint64_t code)
{
	uint64_t name = 0, file = 0;

	if (read_word(f, code + f->layout->code_name, &name))
		return FRAMES_OTHER;
	if (text_ends(f, name, "_run_once", 1))
		return FRAMES_NAMED_ONCE;
	if (!text_ends(f, name, "_run", 1))
		return FRAMES_OTHER;
	if (!read_word(f, code + f->layout->code_filename, &file) &&
	    text_ends(f, file, "asyncio/events.py", 0))
		return FRAMES_RUN;
	return FRAMES_NAMED_RUN;
}

enum frames_class frames_class(struct frames *f, uint64_t code)
{
	size_t i = (code >> 4 ^ code >> 10) % FRAMES_CACHE;

	if (!ap_plausible(code))
		return FRAMES_OTHER;
	if (!f->cache[i].class || f->cache[i].code != code) {
		f->cache[i].code = code;
		f->cache[i].class = learn(f, code);
	}
	return f->cache[i].class;
}

static inline int ap_is_run(void *ctx, __u64 code)
{
	enum frames_class class = frames_class(ctx, code);

	return class == FRAMES_RUN || class == FRAMES_NAMED_RUN;
}

int frames_read(struct frames *f, uint64_t frame, struct frames_one *out)
{
	struct ap_link link;

	reading = f->memory;
	if (ap_read_link(f->layout, frame, &link))
		return -EFAULT;
	*out = (struct frames_one){link.code, link.previous, link.lasti, !!link.shim};
	return 0;
}

uint64_t frames_code(struct frames *f, uint64_t frame)
{
	__u64 code = 0, previous;

	reading = f->memory;
	return ap_read_caller(f->layout, frame, &code, &previous) ? 0 : code;
}

uint64_t frames_self(struct frames *f, uint64_t frame)
{
	uint64_t value = 0;

	if (read_word(f, frame + f->layout->frame_locals, &value))
		return 0;
	value &= ~(uint64_t)f->layout->tag_mask;
	return ap_plausible(value) ? value : 0;
}

/*
 * The callback belongs to the `_run_once` that is next below it: `_run`s in
 * between (3.14's _ThreadSafeHandle._run calls Handle._run) are the same
 * callback, anything else means that the `_run` met before was no handle's.
 */
int frames_find_loop(struct frames *f, uint64_t frame, struct frames_loop *out)
{
	enum frames_class met = FRAMES_OTHER;
	struct frames_loop run = {0};
	uint64_t at = frame;
	int found = 0;

	memset(out, 0, sizeof(*out));
	reading = f->memory;
	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		struct ap_link link;
		enum frames_class class;

		if (!at)
			return found;
		if (ap_read_link(f->layout, at, &link))
			return -EFAULT;
		if (!link.shim) {
			out->root = at;
			class = frames_class(f, link.code);
			if (!found && class == FRAMES_NAMED_ONCE) {
				run.root = out->root;
				*out = run;
				out->once = at;
				out->forever = link.previous;
				out->loop = frames_self(f, at);
				found = 1;
			} else if (!found && class == FRAMES_OTHER) {
				memset(&run, 0, sizeof(run));
			} else if (!found &&
				   (!run.has_run || (met != FRAMES_RUN && class == FRAMES_RUN))) {
				/* A user's function may be called `_run` too: asyncio's own goes
				 * first. */
				met = class;
				run.has_run = 1;
				run.run = at;
				run.run_prev = link.previous;
				run.run_code = link.code;
				run.handle = frames_self(f, at);
			}
		}
		at = link.previous;
	}
	return -E2BIG;
}

#define OWNER_GENERATOR 1  /* Include/internal/pycore_frame.h, 3.11 to 3.15 */
#define OWNER_3_11	69 /* the layout leaves it out: 3.11 has no shims to tell by it */
#define GEN_BEFORE	8  /* f_gen lies right before f_lasti (Include/cpython/frameobject.h, 3.8-3.10) */

/* Is it a coroutine's frame? The loop calls only those of tasks. Before 3.11 it has its object. */
static int is_coroutine(struct frames *f, uint64_t frame, uint64_t *generator)
{
	const struct ap_layout *l = f->layout;
	uint16_t at = l->frame_owner == AP_NO_OFFSET ? OWNER_3_11 : l->frame_owner;
	uint8_t owner = 0;

	if (l->lasti_scale)
		return !read_word(f, frame + l->frame_instr - GEN_BEFORE, generator) && *generator;
	return !memory_read(f->memory, frame + at, &owner, sizeof(owner)) &&
	       owner == OWNER_GENERATOR;
}

static int runs_loop(struct frames *f, uint64_t code)
{
	uint64_t name = 0, file = 0;

	if (read_word(f, code + f->layout->code_name, &name) || !text_ends(f, name, "run", 1) ||
	    read_word(f, code + f->layout->code_filename, &file))
		return 0;
	return text_ends(f, file, "asyncio/runners.py", 0) ||
	       text_ends(f, file, "uvloop/__init__.py", 0);
}

int frames_find_foreign(struct frames *f, uint64_t frame, struct frames_foreign *out)
{
	uint64_t at = frame, above = 0, code_above = 0;
	int found = 0;

	memset(out, 0, sizeof(*out));
	reading = f->memory;
	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		struct ap_link link;

		if (!at)
			return found;
		if (ap_read_link(f->layout, at, &link))
			return -EFAULT;
		if (!link.shim) {
			out->root = at;
			if (!found && runs_loop(f, link.code)) {
				out->run = at;
				out->run_prev = link.previous;
				out->callee = code_above;
				out->coroutine = above && is_coroutine(f, above, &out->generator);
				found = 1;
			}
			above = at;
			code_above = link.code;
		}
		at = link.previous;
	}
	return -E2BIG;
}

static int is_in(struct frames *f, const struct ap_link *link, const char *tail)
{
	uint64_t file;

	return !link->shim && !read_word(f, link->code + f->layout->code_filename, &file) &&
	       text_ends(f, file, tail, 0);
}

int frames_is_in(struct frames *f, uint64_t frame, const char *tail)
{
	struct ap_link link;

	reading = f->memory;
	return !ap_read_link(f->layout, frame, &link) && is_in(f, &link, tail);
}

int frames_run_borrowed(struct frames *f, uint64_t frame)
{
	struct ap_link link;
	uint64_t name, file;

	reading = f->memory;
	for (unsigned int i = 0; i < CHAIN_MAX && frame; i++, frame = link.previous) {
		if (ap_read_link(f->layout, frame, &link))
			return 0;
		/* A subclass may call the one that it replaces: what lies above counts. */
		if (!link.shim && !read_word(f, link.code + f->layout->code_name, &name) &&
		    text_ends(f, name, "run_forever", 1))
			return !read_word(f, link.code + f->layout->code_filename, &file) &&
			       !text_ends(f, file, "asyncio/base_events.py", 0);
	}
	return 0;
}

int frames_run_file(struct frames *f, uint64_t frame, const char *tail)
{
	struct ap_link link;

	reading = f->memory;
	for (unsigned int i = 0; i < CHAIN_MAX && frame; i++, frame = link.previous) {
		if (ap_read_link(f->layout, frame, &link))
			return 0;
		if (is_in(f, &link, tail))
			return 1;
	}
	return 0;
}

void frames_first(struct frames *f, uint64_t frame, struct ap_frame *out)
{
	memset(out, 0, sizeof(*out));
	reading = f->memory;
	for (unsigned int i = 0; i < SHIMS_MAX && frame; i++) {
		struct ap_link link;

		if (ap_read_link(f->layout, frame, &link))
			return;
		if (!link.shim) {
			out->code = link.code;
			out->lasti = link.lasti;
			return;
		}
		frame = link.previous;
	}
}

enum ap_seen frames_look(struct frames *f, uint64_t frame, const struct ap_open *open,
			 struct ap_stack *stack)
{
	struct ap_look look = {.at = frame};
	__u64 code, previous;

	reading = f->memory;
	stack->cnt = 0;
	stack->cut = frame ? AP_CUT_NONE : AP_CUT_NO_FRAME;
	if (!frame)
		return AP_SEEN_ELSEWHERE;
	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		int seen = ap_look_step(f, f->layout, open, &look, stack);

		if (seen)
			return seen;
	}
	stack->cut = AP_CUT_DEPTH;
	/* Too deep to see: it is under as long as its frame's memory still holds the `_run`. */
	if (ap_read_caller(f->layout, open->run, &code, &previous) || previous != open->run_prev ||
	    !ap_is_run(f, code))
		return AP_SEEN_ELSEWHERE;
	return AP_SEEN_UNDER;
}
