/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/pprof.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Without memory uthash ends the program; it is for pprof_print() to say so. */
#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(added) ((added)->lost = 1)
#include <uthash.h>

#include "pprof.pb-c.h"
#include "report/escape.h"
#include "report/gzip.h"
#include "report/selection.h"
#include "report/written.h"

/*
 * A protobuf message may come in pieces: repeated fields of its parts are one
 * behind the other (protobuf.dev/programming-guides/encoding, "Last One Wins").
 * So each sample, location and string is a Profile of its own: a million of
 * samples take no more memory than one.
 */

#define KERNEL_FILE "[kernel.kallsyms]" /* pprof knows a kernel's mapping by this name */
#define LABELS_MAX  8

enum value { VALUE_WALL, VALUE_CPU, VALUE_BLOCKED, VALUE_COUNT, VALUE_CNT };

/* A string of the file, by its text. */
struct text {
	UT_hash_handle hh;
	int64_t number;
	uint64_t mapping; /* that has it as its file, 0: none */
	int lost;	  /* not in the table after all: out of memory */
	char bytes[];
};

struct function_key {
	int64_t name, system_name, file;
};

struct function {
	UT_hash_handle hh;
	struct function_key key;
	uint64_t id;
	int lost;
};

/* What the labels of a sample say, as numbers of strings; 0: nothing. */
struct task_labels {
	int64_t task, coroutine, callback;
};

struct thread_labels {
	int64_t loop, comm;
};

struct keys {
	int64_t task, coroutine, callback, loop, thread, tid, pid, cause;
	int64_t count; /* a unit that pprof does not print */
};

struct writer {
	struct gzip gzip;
	const struct profile *profile;
	const struct flame_options *options;

	struct text *texts;
	int64_t text_cnt;
	uint64_t mapping_cnt, function_cnt, main_mapping;
	struct function *functions;

	struct keys keys;
	struct task_labels *tasks;
	struct thread_labels *threads;
	int64_t causes[CAUSE_CNT];
	struct selection selection;

	uint8_t *packed;
	size_t packed_sz;
	int err;
};

/* A piece of the profile. */
static void put(struct writer *w, const Asyncprof__Profile *piece)
{
	size_t sz = asyncprof__profile__get_packed_size(piece);

	if (w->err)
		return;
	if (sz > w->packed_sz) {
		uint8_t *packed = realloc(w->packed, 2 * sz);

		if (!packed) {
			w->err = -ENOMEM;
			return;
		}
		w->packed = packed;
		w->packed_sz = 2 * sz;
	}
	asyncprof__profile__pack(piece, w->packed);
	w->err = gzip_write(&w->gzip, w->packed, sz);
}

/*
 * The entry of the string table for a name of the target; NULL: out of memory.
 * pprof prints names as they are, also to a terminal.
 */
static struct text *text_of(struct writer *w, const char *name)
{
	Asyncprof__Profile piece = ASYNCPROF__PROFILE__INIT;
	size_t name_sz = strlen(name), sz;
	char *bytes[1];
	struct text *text = malloc(sizeof(*text) + ESCAPE_SZ(name_sz)), *known, *smaller;

	if (!text) {
		w->err = -ENOMEM;
		return NULL;
	}
	sz = escape_terminal(text->bytes, ESCAPE_SZ(name_sz), name, name_sz);
	HASH_FIND(hh, w->texts, text->bytes, sz, known);
	if (known) {
		free(text);
		return known;
	}
	smaller = realloc(text, sizeof(*text) + sz + 1);
	text = smaller ? smaller : text;
	text->number = w->text_cnt++;
	text->mapping = 0;
	text->lost = 0;
	HASH_ADD_KEYPTR(hh, w->texts, text->bytes, sz, text);
	if (text->lost) {
		free(text);
		w->err = -ENOMEM;
		return NULL;
	}
	bytes[0] = text->bytes;
	piece.n_string_table = 1;
	piece.string_table = bytes;
	put(w, &piece);
	return text;
}

/* Its number; 0, which is the empty string, for NULL. */
static int64_t string_of(struct writer *w, const char *name)
{
	struct text *text = name ? text_of(w, name) : NULL;

	return text ? text->number : 0;
}

static uint64_t mapping_of(struct writer *w, const char *file)
{
	Asyncprof__Mapping mapping = ASYNCPROF__MAPPING__INIT, *mappings[] = {&mapping};
	Asyncprof__Profile piece = ASYNCPROF__PROFILE__INIT;
	struct text *text = text_of(w, file);

	if (!text || text->mapping)
		return text ? text->mapping : 0;
	text->mapping = mapping.id = ++w->mapping_cnt;
	mapping.filename = text->number;
	/* All that pprof could look up is here: it must not look for the file on this machine. */
	mapping.has_functions = mapping.has_filenames = mapping.has_line_numbers = 1;
	piece.n_mapping = 1;
	piece.mapping = mappings;
	put(w, &piece);
	return mapping.id;
}

static uint64_t function_of(struct writer *w, const struct function_key *key)
{
	Asyncprof__Function function = ASYNCPROF__FUNCTION__INIT, *functions[] = {&function};
	Asyncprof__Profile piece = ASYNCPROF__PROFILE__INIT;
	struct function *known;

	HASH_FIND(hh, w->functions, key, sizeof(*key), known);
	if (known)
		return known->id;
	known = calloc(1, sizeof(*known));
	if (!known) {
		w->err = -ENOMEM;
		return 0;
	}
	known->key = *key;
	known->id = ++w->function_cnt;
	HASH_ADD(hh, w->functions, key, sizeof(known->key), known);
	if (known->lost) {
		free(known);
		w->err = -ENOMEM;
		return 0;
	}
	function.id = known->id;
	function.name = key->name;
	function.system_name = key->system_name;
	function.filename = key->file;
	piece.n_function = 1;
	piece.function = functions;
	put(w, &piece);
	return known->id;
}

static void put_location(struct writer *w, uint64_t id, uint64_t mapping,
			 const struct function_key *key, int line_number)
{
	Asyncprof__Location location = ASYNCPROF__LOCATION__INIT, *locations[] = {&location};
	Asyncprof__Line line = ASYNCPROF__LINE__INIT, *lines[] = {&line};
	Asyncprof__Profile piece = ASYNCPROF__PROFILE__INIT;

	line.function_id = function_of(w, key);
	line.line = line_number > 0 ? line_number : 0;
	location.id = id;
	location.mapping_id = mapping;
	location.n_line = 1;
	location.line = lines;
	piece.n_location = 1;
	piece.location = locations;
	put(w, &piece);
}

/* "recvfrom 10.0.0.7:443": a wait is told apart by what it waits for. */
static int64_t name_of_wait(struct writer *w, const struct profile_frame *frame)
{
	const char *func = frame->func ? frame->func : "?";
	size_t sz;
	int64_t number;
	char *name;

	if (!frame->file)
		return string_of(w, func);
	sz = strlen(func) + strlen(frame->file) + 2;
	name = malloc(sz);
	if (!name) {
		w->err = -ENOMEM;
		return 0;
	}
	snprintf(name, sz, "%s %s", func, frame->file);
	number = string_of(w, name);
	free(name);
	return number;
}

static void put_frame(struct writer *w, size_t index)
{
	const struct profile_frame *frame = &w->profile->frames[index];
	struct function_key key = {};
	uint64_t mapping = w->main_mapping;

	if (frame->kind == FRAME_WAIT) {
		key.name = name_of_wait(w, frame);
	} else {
		key.name = string_of(w, frame->func ? frame->func : "?");
		key.file = string_of(w, frame->file);
	}
	/*
	 * pprof demangles what has equal names, and takes "<module>" for parameters of a C++
	 * template (internal/symbolizer: demangleSingleFunction): that is only for mangled names.
	 */
	if (frame->kind == FRAME_NATIVE) {
		if (frame->func && !strncmp(frame->func, "_Z", 2))
			key.system_name = key.name;
		if (frame->file)
			mapping = mapping_of(w, frame->file);
	} else if (frame->kind == FRAME_KERNEL) {
		mapping = mapping_of(w, KERNEL_FILE);
	}
	put_location(w, index + 1, mapping, &key, frame->line);
}

static void put_mappings(struct writer *w)
{
	for (size_t i = 0; i < w->profile->process_cnt; i++) {
		const struct profile_process *process = &w->profile->processes[i];
		const char *file = process->exe ? process->exe : process->comm;
		uint64_t mapping = mapping_of(w, file ? file : "?");

		if (!i)
			w->main_mapping = mapping;
	}
}

/* A location behind those of the frames. */
static uint64_t location_of_leaf(const struct writer *w, int leaf)
{
	return w->profile->frame_cnt + (uint64_t)leaf;
}

static void put_locations(struct writer *w)
{
	char buf[LEAF_NAME_SZ];

	for (size_t i = 0; i < w->profile->frame_cnt && !w->err; i++) {
		if (w->selection.frame_used[i])
			put_frame(w, i);
	}
	for (int leaf = LEAF_NONE + 1; leaf < LEAF_CNT; leaf++) {
		struct function_key key = {};

		if (!w->selection.leaf_used[leaf])
			continue;
		key.name = string_of(w, selection_leaf_name(leaf, buf));
		put_location(w, location_of_leaf(w, leaf), w->main_mapping, &key, 0);
	}
}

static void name_labels(struct writer *w)
{
	const struct profile *profile = w->profile;
	char loop[32];

	w->keys = (struct keys){
		.task = string_of(w, "task"),
		.coroutine = string_of(w, "coroutine"),
		.callback = string_of(w, "callback"),
		.loop = string_of(w, "loop"),
		.thread = string_of(w, "thread"),
		.tid = string_of(w, "tid"),
		.pid = string_of(w, "pid"),
		.cause = string_of(w, "cause"),
		.count = string_of(w, "count"),
	};
	for (int cause = 0; cause < CAUSE_CNT; cause++)
		w->causes[cause] = string_of(w, cause_name(cause));
	for (size_t i = 0; i < profile->task_cnt && !w->err; i++) {
		const struct profile_task *task = &profile->tasks[i];
		/* Thousands of "Task-7" tell nothing: they are one by their coroutine. */
		bool named = task->task && !task->unnamed;

		w->tasks[i] = (struct task_labels){
			.task = string_of(w, named ? task->task : task->coro),
			.coroutine = string_of(w, task->coro),
			.callback = string_of(w, task->what == STALL_TASK ? NULL
						 : task->callback	  ? task->callback
								  : stall_kind_name(task->what)),
		};
	}
	for (size_t i = 0; i < profile->thread_cnt && !w->err; i++) {
		const struct profile_thread *thread = &profile->threads[i];

		snprintf(loop, sizeof(loop), "0x%llx", (unsigned long long)thread->loop);
		w->threads[i] = (struct thread_labels){
			.loop = thread->loop ? string_of(w, loop) : 0,
			.comm = string_of(w, thread->comm),
		};
	}
}

struct labels {
	Asyncprof__Label label[LABELS_MAX], *list[LABELS_MAX];
	size_t cnt;
};

static void add_label(struct labels *labels, int64_t key, int64_t text, int64_t number,
		      int64_t unit)
{
	Asyncprof__Label *label = &labels->label[labels->cnt];

	if (!text && !unit)
		return;
	asyncprof__label__init(label);
	label->key = key;
	label->str = text;
	label->num = number;
	label->num_unit = unit;
	labels->list[labels->cnt++] = label;
}

static void label_entry(const struct writer *w, const struct profile_entry *entry,
			struct labels *labels)
{
	const struct profile_thread *thread = &w->profile->threads[entry->thread];
	const struct thread_labels *thread_labels = &w->threads[entry->thread];
	const struct keys *keys = &w->keys;

	labels->cnt = 0;
	if (entry->task < w->profile->task_cnt) {
		const struct task_labels *task = &w->tasks[entry->task];

		add_label(labels, keys->task, task->task, 0, 0);
		add_label(labels, keys->coroutine, task->coroutine, 0, 0);
		add_label(labels, keys->callback, task->callback, 0, 0);
	}
	add_label(labels, keys->loop, thread_labels->loop, 0, 0);
	add_label(labels, keys->thread, thread_labels->comm, 0, 0);
	add_label(labels, keys->cause, w->causes[selection_cause(entry)], 0, 0);
	add_label(labels, keys->pid, 0, w->profile->processes[thread->process].pid, keys->count);
	add_label(labels, keys->tid, 0, thread->tid, keys->count);
}

/* An unsigned count in a signed field. */
static int64_t clamped(uint64_t cnt)
{
	return cnt > INT64_MAX ? INT64_MAX : (int64_t)cnt;
}

static void put_sample(struct writer *w, const struct profile_entry *entry)
{
	const struct profile *profile = w->profile;
	Asyncprof__Sample sample = ASYNCPROF__SAMPLE__INIT, *samples[] = {&sample};
	Asyncprof__Profile piece = ASYNCPROF__PROFILE__INIT;
	int64_t values[VALUE_CNT] = {[VALUE_WALL] = entry->ns, [VALUE_COUNT] = clamped(entry->cnt)};
	uint64_t locations[1 + FLAME_STACK_MAX];
	uint32_t frames[FLAME_STACK_MAX];
	size_t frame_cnt = selection_frames(profile, entry->stack, frames), cnt = 0;
	int leaf = selection_leaf(profile, entry);
	struct labels labels;

	if (entry->kind == POINT_CPU)
		values[VALUE_CPU] = entry->ns;
	else if (entry->kind != POINT_IDLE)
		values[VALUE_BLOCKED] = entry->ns;
	if (leaf)
		locations[cnt++] = location_of_leaf(w, leaf);
	for (size_t i = 0; i < frame_cnt; i++)
		locations[cnt++] = (uint64_t)frames[i] + 1;
	label_entry(w, entry, &labels);
	sample.n_location_id = cnt;
	sample.location_id = locations;
	sample.n_value = VALUE_CNT;
	sample.value = values;
	sample.n_label = labels.cnt;
	sample.label = labels.list;
	piece.n_sample = 1;
	piece.sample = samples;
	put(w, &piece);
}

/* What is missing from the figures. */
static size_t put_comments(struct writer *w, const char *version, int64_t comments[4])
{
	const struct profile *profile = w->profile;
	char text[160];
	size_t cnt = 0;

	snprintf(text, sizeof(text), "asyncprof %s", version);
	comments[cnt++] = string_of(w, text);
	if (!profile->complete)
		comments[cnt++] = string_of(w, "cut: the recording ends before its run did");
	if (profile->lost_cnt) {
		snprintf(text, sizeof(text), "%llu events lost: their time is missing",
			 (unsigned long long)profile->lost_cnt);
		comments[cnt++] = string_of(w, text);
	}
	if (profile->cut_stack_cnt) {
		snprintf(text, sizeof(text), "%llu stacks are not whole",
			 (unsigned long long)profile->cut_stack_cnt);
		comments[cnt++] = string_of(w, text);
	}
	return cnt;
}

static void put_head(struct writer *w, const char *version)
{
	static const char *const names[VALUE_CNT] = {"wall", "cpu", "blocked", "count"};
	static const enum value clocks[FLAME_CLOCK_CNT] = {
		[FLAME_WALL] = VALUE_WALL,
		[FLAME_CPU] = VALUE_CPU,
		[FLAME_BLOCKED] = VALUE_BLOCKED,
	};
	Asyncprof__Profile head = ASYNCPROF__PROFILE__INIT;
	Asyncprof__ValueType types[VALUE_CNT], *list[VALUE_CNT],
		period = ASYNCPROF__VALUE_TYPE__INIT;
	int64_t comments[4];

	/* pprof.proto: string_table[0] must always be "". */
	string_of(w, "");
	for (int i = 0; i < VALUE_CNT; i++) {
		asyncprof__value_type__init(&types[i]);
		types[i].type = string_of(w, names[i]);
		types[i].unit = string_of(w, i == VALUE_COUNT ? "count" : "nanoseconds");
		list[i] = &types[i];
	}
	head.n_sample_type = VALUE_CNT;
	head.sample_type = list;
	head.default_sample_type = types[clocks[w->options->clock]].type;
	period.type = types[VALUE_CPU].type;
	period.unit = types[VALUE_CPU].unit;
	head.period_type = &period;
	head.period = w->profile->period_ns;
	head.time_nanos = w->profile->start_unix_ns;
	head.duration_nanos = w->profile->duration_ns;
	head.n_comment = put_comments(w, version, comments);
	head.comment = comments;
	put(w, &head);
}

static void put_profile(struct writer *w, const char *version)
{
	put_head(w, version);
	name_labels(w);
	put_mappings(w);
	put_locations(w);
	for (size_t i = 0; i < w->profile->entry_cnt && !w->err; i++) {
		if (selection_wants(&w->selection, &w->profile->entries[i]))
			put_sample(w, &w->profile->entries[i]);
	}
	if (!w->err)
		w->err = gzip_finish(&w->gzip);
}

static void clear(struct writer *w)
{
	struct function *function, *next_function;
	struct text *text, *next_text;

	HASH_ITER(hh, w->functions, function, next_function)
	{
		HASH_DEL(w->functions, function);
		free(function);
	}
	HASH_ITER(hh, w->texts, text, next_text)
	{
		HASH_DEL(w->texts, text);
		free(text);
	}
	free(w->tasks);
	free(w->threads);
	selection__clear(&w->selection);
	free(w->packed);
}

int pprof_print(FILE *out, const struct profile *profile, const struct flame_options *options,
		const char *version)
{
	struct writer w = {.profile = profile, .options = options};

	w.tasks = calloc(profile->task_cnt + 1, sizeof(*w.tasks));
	w.threads = calloc(profile->thread_cnt + 1, sizeof(*w.threads));
	errno = 0;
	w.err = gzip__open(&w.gzip, out);
	if (selection__init(&w.selection, profile, options) || !w.tasks || !w.threads)
		w.err = -ENOMEM;
	if (!w.err)
		put_profile(&w, version);
	gzip__close(&w.gzip);
	clear(&w);
	return w.err ? w.err : written(out);
}
