/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the frames of a flame are called: "fetch (db.py:17)", "task orders",
 * "recvfrom 10.0.0.7:443". The one place that makes such words, so that
 * pictures, folded stacks and tables agree.
 *
 * It must never make a label that is longer than its buffer: what is too long
 * is cut between characters, and ends in dots.
 */
#ifndef ASYNCPROF_FLAME_LABEL_H
#define ASYNCPROF_FLAME_LABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "model/flame.h"

/* Recordings keep 128 bytes of a name and 256 of a path: only a forged one has more. */
#define FLAME_NAME_MAX 512
#define FLAME_PATH_MAX 1024

/* Raw bytes, no NUL. Not cleared before use: 1.6 kB for each of a million entries would show. */
struct flame_label {
	char text[FLAME_NAME_MAX + FLAME_PATH_MAX + 64];
	size_t sz;
};

/* Each fills the label and returns what kind of frame it is. */
enum flame_kind flame_label_process(struct flame_label *label,
				    const struct profile_process *process, bool apart);
enum flame_kind flame_label_thread(struct flame_label *label, const struct profile_thread *thread);
enum flame_kind flame_label_task(struct flame_label *label, const struct profile_task *task,
				 enum flame_by by);
enum flame_kind flame_label_frame(struct flame_label *label, const struct profile_frame *frame,
				  bool full_filenames);

/* What the stack does not say: that it rests, that it waits for a CPU, or that there is none. */
enum flame_kind flame_label_leaf(struct flame_label *label, const struct profile_entry *entry,
				 bool has_stack);

#endif
