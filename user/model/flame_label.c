/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/flame_label.h"

#include <stdio.h>
#include <string.h>

static void append(struct flame_label *label, const char *text, size_t max)
{
	size_t sz = strnlen(text, max + 1);
	bool cut = sz > max;

	if (cut) {
		/* Not in the middle of a character. */
		for (sz = max - 3; sz && ((unsigned char)text[sz] & 0xc0) == 0x80; sz--)
			;
	}
	if (sz + 3 > sizeof(label->text) - label->sz)
		return;
	memcpy(label->text + label->sz, text, sz);
	label->sz += sz;
	if (cut) {
		memcpy(label->text + label->sz, "...", 3);
		label->sz += 3;
	}
}

static void append_number(struct flame_label *label, const char *format, unsigned int number)
{
	char text[32];

	snprintf(text, sizeof(text), format, number);
	append(label, text, sizeof(text));
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static const char *known(const char *text)
{
	return text ? text : "?";
}

/* "fetch (db.py:17)", as py-spy writes them. */
static void label_python(struct flame_label *label, const struct profile_frame *frame, bool full)
{
	const char *file = known(frame->file);

	append(label, known(frame->func), FLAME_NAME_MAX);
	append(label, " (", 2);
	append(label, full ? file : last_part(file), FLAME_PATH_MAX);
	if (frame->line > 0)
		append_number(label, ":%u", (unsigned int)frame->line);
	append(label, ")", 1);
}

enum flame_kind flame_label_frame(struct flame_label *label, const struct profile_frame *frame,
				  bool full)
{
	label->sz = 0;
	switch (frame->kind) {
	case FRAME_NATIVE:
		append(label, known(frame->func), FLAME_NAME_MAX);
		if (frame->file) {
			append(label, " (", 2);
			append(label, last_part(frame->file), FLAME_PATH_MAX);
			append(label, ")", 1);
		}
		return FLAME_NATIVE;
	case FRAME_KERNEL:
		append(label, known(frame->func), FLAME_NAME_MAX);
		append(label, "_[k]", 4);
		return FLAME_KERNEL;
	case FRAME_WAIT:
		append(label, known(frame->func), FLAME_NAME_MAX);
		if (frame->file) {
			append(label, " ", 1);
			append(label, frame->file, FLAME_PATH_MAX);
		}
		return FLAME_WAIT;
	default:
		label_python(label, frame, full);
		return FLAME_PYTHON;
	}
}

enum flame_kind flame_label_process(struct flame_label *label,
				    const struct profile_process *process, bool apart)
{
	label->sz = 0;
	append(label, known(process->comm), FLAME_NAME_MAX);
	if (apart || !process->comm)
		append_number(label, " (%u)", process->pid);
	return FLAME_PROCESS;
}

static enum flame_kind label_named(struct flame_label *label, const char *what, const char *name,
				   enum flame_kind kind)
{
	append(label, what, 16);
	append(label, " ", 1);
	append(label, known(name), FLAME_NAME_MAX);
	return kind;
}

enum flame_kind flame_label_task(struct flame_label *label, const struct profile_task *task,
				 enum flame_by by)
{
	label->sz = 0;
	switch (task->what) {
	case STALL_TASK:
		if (by == FLAME_BY_TASK && task->task && !(task->unnamed && task->coro))
			return label_named(label, "task", task->task, FLAME_TASK);
		return label_named(label, "coro", task->coro, FLAME_TASK);
	case STALL_ITERATION:
		append(label, "event loop", 10);
		return FLAME_CALLBACK;
	case STALL_SIGNAL:
		return label_named(label, "signal", task->callback, FLAME_CALLBACK);
	default:
		return label_named(label, "callback", task->callback, FLAME_CALLBACK);
	}
}

enum flame_kind flame_label_thread(struct flame_label *label, const struct profile_thread *thread)
{
	label->sz = 0;
	if (thread->plain)
		return label_named(label, "thread", thread->comm, FLAME_THREAD);
	append(label, "loop (", 6);
	append(label, known(thread->comm), FLAME_NAME_MAX);
	append(label, ")", 1);
	return FLAME_LOOP;
}

enum flame_kind flame_label_leaf(struct flame_label *label, const struct profile_entry *entry,
				 bool has_stack)
{
	label->sz = 0;
	if (entry->kind == POINT_IDLE) {
		append(label, "idle", 4);
		return FLAME_IDLE;
	}
	if (entry->kind == POINT_RUNQUEUE) {
		append(label, "run queue", 9);
		return FLAME_WAIT;
	}
	if (has_stack)
		return label_named(label, "blocked:", cause_name(entry->cause), FLAME_WAIT);
	append(label, "[no stack]", 10);
	return entry->kind == POINT_CPU ? FLAME_NATIVE : FLAME_WAIT;
}
