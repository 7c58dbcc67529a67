/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/fold.h"

#include <stdio.h>
#include <string.h>

static int64_t length_ns(const struct stall *stall)
{
	return stall->duration_ns >= 0 ? stall->duration_ns : stall->duration_lo_ns;
}

static struct fold_open *find_open(struct fold *fold, const char *id)
{
	for (int i = 0; i < FOLD_OPEN_MAX; i++) {
		if (fold->open[i].id[0] && !strcmp(fold->open[i].id, id))
			return &fold->open[i];
	}
	return NULL;
}

static struct stall_frame place_of(const struct stall *stall)
{
	const struct stall_frame *blame = stall_blame(stall);

	return blame ? *blame : (struct stall_frame){.file = stall->file, .line = stall->line};
}

static struct fold_key *find_key(struct fold *fold, const struct stall *stall)
{
	const struct stall_frame at = place_of(stall);
	const char *title = stall_title(stall), *file = at.file ? at.file : "";

	for (int i = 0; i < FOLD_KEYS_MAX; i++) {
		struct fold_key *key = &fold->keys[i];

		if (key->used && key->pid == stall->pid && key->line == at.line &&
		    key->kind == stall->kind && key->cause == stall->cause &&
		    !strncmp(key->title, title, FOLD_NAME_SZ - 1) &&
		    !strncmp(key->file, file, FOLD_NAME_SZ - 1))
			return key;
	}
	return NULL;
}

/* A free one, else the oldest with nothing to tell; NULL: all have. */
static struct fold_key *free_key(struct fold *fold)
{
	struct fold_key *oldest = NULL;

	for (int i = 0; i < FOLD_KEYS_MAX; i++) {
		struct fold_key *key = &fold->keys[i];

		if (!key->used)
			return key;
		if (!key->cnt && (!oldest || key->since_unix_ns < oldest->since_unix_ns))
			oldest = key;
	}
	return oldest;
}

static void set_key(struct fold_key *key, const struct stall *stall)
{
	const struct stall_frame at = place_of(stall);

	*key = (struct fold_key){
		.used = true,
		.pid = stall->pid,
		.line = at.line,
		.kind = stall->kind,
		.cause = stall->cause,
		.since_unix_ns = stall->ts_unix_ns,
	};
	snprintf(key->title, sizeof(key->title), "%s", stall_title(stall));
	snprintf(key->file, sizeof(key->file), "%s", at.file ? at.file : "");
}

/* Shown at once, then each time it has doubled. */
static enum fold_how fold_ongoing(struct fold *fold, const struct stall *stall)
{
	struct fold_open *open = find_open(fold, stall->id);

	if (open) {
		if (length_ns(stall) < 2 * open->shown_ns)
			return FOLD_HIDE;
		open->shown_ns = length_ns(stall);
		return FOLD_HEADLINE;
	}
	open = &fold->open[fold->open_next++ % FOLD_OPEN_MAX];
	snprintf(open->id, sizeof(open->id), "%s", stall->id);
	open->shown_ns = length_ns(stall);
	return FOLD_FULL;
}

enum fold_how fold_stall(struct fold *fold, const struct stall *stall)
{
	struct fold_open *open;
	struct fold_key *key;

	if (stall->ongoing)
		return fold_ongoing(fold, stall);
	open = find_open(fold, stall->id);
	if (open) {
		open->id[0] = 0;
		return FOLD_HEADLINE;
	}

	key = find_key(fold, stall);
	if (key) {
		key->cnt++;
		if (length_ns(stall) > key->max_ns)
			key->max_ns = length_ns(stall);
		return FOLD_HIDE;
	}
	if (stall->ts_unix_ns - fold->window_unix_ns >= FOLD_WINDOW_NS && !fold->others_cnt) {
		fold->window_unix_ns = stall->ts_unix_ns;
		fold->full_cnt = 0;
	}
	key = free_key(fold);
	if (!key || fold->full_cnt >= FOLD_FULL_MAX) {
		fold->others_cnt++;
		if (length_ns(stall) > fold->others_max_ns)
			fold->others_max_ns = length_ns(stall);
		return FOLD_HIDE;
	}
	fold->full_cnt++;
	set_key(key, stall);
	return FOLD_FULL;
}

void fold_flush(struct fold *fold, int64_t now_unix_ns, bool all, const struct fold_sink *sink)
{
	for (int i = 0; i < FOLD_KEYS_MAX; i++) {
		struct fold_key *key = &fold->keys[i];

		if (!key->used || (!all && now_unix_ns - key->since_unix_ns < FOLD_WINDOW_NS))
			continue;
		if (!key->cnt) {
			/* A quiet window: the next one is news, and shown in full. */
			key->used = all && now_unix_ns - key->since_unix_ns < FOLD_WINDOW_NS;
			continue;
		}
		sink->repeats(sink->ctx, key, now_unix_ns);
		key->cnt = 0;
		key->max_ns = 0;
		key->since_unix_ns = now_unix_ns;
	}
	if (!all && now_unix_ns - fold->window_unix_ns < FOLD_WINDOW_NS)
		return;
	if (fold->others_cnt)
		sink->others(sink->ctx, fold->others_cnt, fold->others_max_ns, now_unix_ns,
			     fold->window_unix_ns);
	fold->others_cnt = 0;
	fold->others_max_ns = 0;
	fold->window_unix_ns = now_unix_ns;
	fold->full_cnt = 0;
}
