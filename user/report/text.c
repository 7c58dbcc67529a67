/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/fold.h"
#include "report/words.h"

#define WIDTH_MIN     40
#define FRAMES_USEFUL 6
#define TITLE_MIN     12
#define TASK_MAX      20
#define SOURCE_SZ     512

struct text {
	FILE *out;
	struct display display;
	struct fold fold;
};

struct text *text__new(FILE *out, const struct display *display)
{
	struct text *text = calloc(1, sizeof(*text));

	if (!text)
		return NULL;
	text->out = out;
	text->display = *display;
	if (text->display.width < WIDTH_MIN)
		text->display.width = WIDTH_MIN;
	return text;
}

void text__free(struct text *text)
{
	free(text);
}

static int done(const struct text *text)
{
	return fflush(text->out) || ferror(text->out) ? -EIO : 0;
}

static const char *paint(const struct text *text, enum paint which)
{
	return words_paint(&text->display, which);
}

/* One painted piece. */
__attribute__((format(printf, 3, 4))) static void put(const struct text *text, enum paint which,
						      const char *format, ...)
{
	va_list args;

	fputs(paint(text, which), text->out);
	va_start(args, format);
	vfprintf(text->out, format, args);
	va_end(args);
	fputs(paint(text, PAINT_OFF), text->out);
}

int text__start(struct text *text, const struct run_start *start)
{
	char threshold[WORDS_DURATION_SZ], name[WORDS_TEXT_SZ], python[WORDS_TEXT_SZ];

	for (size_t i = 0; i < start->target_cnt; i++) {
		const struct run_target *target = &start->targets[i];

		fprintf(text->out, "watching %u %s, CPython %s%s: callbacks over %s, %s\n",
			target->pid, words_text(target->comm, 16, name),
			words_text(target->python, 16, python),
			target->stripped == 1 ? " (stripped)" : "",
			words_duration((int64_t)start->threshold_ns, threshold), start->tier);
	}
	for (size_t i = 0; i < start->degraded_cnt; i++)
		fprintf(text->out, "  note: %s\n",
			words_text(start->degraded[i], WORDS_TEXT_SZ, name));
	return done(text);
}

/* "153 ms", "between 83 and 120 ms", "at least 5.00 s". */
static void say_duration(const struct stall *stall, char *out, size_t out_sz)
{
	char hi[WORDS_DURATION_SZ], lo[WORDS_DURATION_SZ];

	words_duration(stall->duration_lo_ns, lo);
	if (stall->duration_ns < 0) {
		/* Nothing was seen of it between the attach and its end. */
		if (stall->duration_lo_ns < 1000000)
			snprintf(out, out_sz, "of unknown length");
		else
			snprintf(out, out_sz, "at least %s", lo);
		return;
	}
	words_duration(stall->duration_ns, hi);
	if (stall->ongoing ||
	    stall->duration_lo_ns >= stall->duration_ns - stall->duration_ns / 50) {
		snprintf(out, out_sz, "%s", hi);
		return;
	}
	/* One unit is enough where both have it. */
	if (!strcmp(strchr(lo, ' '), strchr(hi, ' ')))
		*strchr(lo, ' ') = 0;
	snprintf(out, out_sz, "between %s and %s", lo, hi);
}

/* "14:03:07 stall 153 ms  task 'Task-5' handle_request()  blocked: sleep" */
static void headline(const struct text *text, const struct stall *stall, bool known)
{
	char clock[WORDS_CLOCK_SZ], duration[2 * WORDS_DURATION_SZ + 16], cause[WORDS_CAUSE_SZ];
	char name[WORDS_TEXT_SZ], title[WORDS_TEXT_SZ], head[96], who[64] = "  ";
	int room = text->display.width;
	bool show_cause;

	words_clock(&text->display, stall->ts_unix_ns, clock);
	say_duration(stall, duration, sizeof(duration));
	words_cause(stall->cause, cause);
	if (stall->ongoing && !strncmp(cause, "blocked: ", 9))
		snprintf(cause, sizeof(cause), "%s", cause_name(stall->cause));
	if (stall->ongoing)
		snprintf(head, sizeof(head), "still %s after %s",
			 stall->cause == CAUSE_CPU || stall->cause == CAUSE_LOOP ? "busy"
										 : "blocked",
			 duration);
	else if (known)
		snprintf(head, sizeof(head), "ended after %s", duration);
	else
		snprintf(head, sizeof(head), "stall %s", duration);

	if (stall->task) {
		words_text(stall->task, TASK_MAX, name);
		snprintf(who, sizeof(who), "  task '%.*s' ", TASK_MAX, name);
	} else if (stall->kind == STALL_ITERATION || stall->kind == STALL_SIGNAL) {
		snprintf(who, sizeof(who), "  %s ", stall_kind_name(stall->kind));
	}
	room -= (int)(strlen(clock) + 1 + strlen(head) + strlen(who) + strlen("()"));
	words_text(stall_title(stall), WORDS_TEXT_SZ, title);
	/* The next line says it in words: better a whole name than the cause twice. */
	show_cause = known || (int)(strlen(title) + 2 + strlen(cause)) <= room;
	if (show_cause)
		room -= (int)(2 + strlen(cause));
	words_text(stall_title(stall), room > TITLE_MIN ? (size_t)room : TITLE_MIN, title);

	put(text, PAINT_DIM, "%s ", clock);
	put(text, PAINT_RED, "%s", head);
	fputs(who, text->out);
	put(text, PAINT_BOLD, "%s()", title);
	if (show_cause)
		put(text, PAINT_YELLOW, "  %s", cause);
	fputc('\n', text->out);
}

/* What it waited for, in words. */
static void say_cause(const struct text *text, const struct stall *stall)
{
	char words[WORDS_TEXT_SZ], file[WORDS_TEXT_SZ];
	const struct stall_fd *fd = &stall->fd;
	const char *what = fd->peer ? fd->peer : fd->path;

	fprintf(text->out, "    %s", cause_words(stall->cause));
	if (stall->syscall)
		fprintf(text->out, " in %s", stall->syscall);
	if (fd->num >= 0)
		fprintf(text->out, " on fd %d", fd->num);
	if (what)
		fprintf(text->out, "%s%s",
			fd->peer       ? " to "
			: fd->num >= 0 ? " "
				       : " of ",
			words_text(what, 120, words));
	fputc('\n', text->out);
	if (stall->holder_known) {
		fprintf(text->out, "    held by thread %u", stall->holder_tid);
		if (stall->holder_comm)
			fprintf(text->out, " '%s'", words_text(stall->holder_comm, 32, words));
		if (stall->holder.func)
			fprintf(text->out, " in %s() %s", words_text(stall->holder.func, 60, words),
				words_place(&text->display, stall->holder.file, stall->holder.line,
					    60, file));
		fputc('\n', text->out);
	}
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		if (stall->causes & 1U << cause && cause != (int)stall->cause)
			fprintf(text->out, "    also %s\n", cause_words(cause));
	}
	if (stall->exited)
		fprintf(text->out, "    it ended because its thread or process did\n");
	if (stall->at_attach)
		fprintf(text->out, "    it was open already when asyncprof came\n");
}

static void say_budget(const struct text *text, const struct stall *stall)
{
	char duration[WORDS_DURATION_SZ];
	const char *comma = "    ";

	for (int part = 0; part < PART_CNT && stall->budget_known; part++) {
		if (stall->budget.ns[part] <= 0)
			continue;
		fprintf(text->out, "%s%s %s", comma, part_name(part),
			words_duration(stall->budget.ns[part], duration));
		comma = ", ";
	}
	fprintf(text->out, "%s%sid %s\n", stall->budget_known ? "" : "    ",
		stall->budget_known ? ", " : "", stall->id);
}

static void say_source(const struct text *text, const struct stall *stall,
		       const struct stall_frame *frame)
{
	const struct display *display = &text->display;
	char source[SOURCE_SZ], words[WORDS_TEXT_SZ];
	const char *line = source;

	if (!display->source || !frame->file || frame->line <= 0)
		return;
	if (display->source(display->ctx, stall->pid, frame->file, frame->line, source,
			    sizeof(source)) <= 0)
		return;
	source[sizeof(source) - 1] = 0;
	while (*line == ' ' || *line == '\t')
		line++;
	if (*line)
		put(text, PAINT_CYAN, "        %s\n",
		    words_text(line, (size_t)display->width - 8, words));
}

static void say_frame(const struct text *text, const struct stall_frame *frame, size_t cnt)
{
	char func[WORDS_TEXT_SZ], place[WORDS_TEXT_SZ];
	size_t room = (size_t)text->display.width - 6 - (cnt > 1 ? 6 : 0);
	size_t func_max = room / 2;

	words_text(frame->func, text->display.full_filenames ? WORDS_TEXT_SZ : func_max, func);
	if (strlen(func) < func_max)
		func_max = strlen(func) > 24 ? strlen(func) : 24;
	words_place(&text->display, frame->file, frame->line,
		    text->display.full_filenames ? WORDS_TEXT_SZ : room - func_max, place);
	fprintf(text->out, "    %-24s  ", func);
	put(text, words_is_library(frame->file) ? PAINT_DIM : PAINT_OFF, "%s", place);
	if (cnt > 1)
		fprintf(text->out, "  x%zu", cnt);
	fputc('\n', text->out);
}

/* The line to look at: the project's own nearest to the leaf, else the leaf. */
static size_t guilty_frame(const struct stall *stall)
{
	for (size_t i = 0; i < stall->frame_cnt; i++) {
		if (!words_is_library(stall->frames[i].file))
			return i;
	}
	return 0;
}

/* A frame that is shown; `cnt` times the same one in a row: recursion. */
struct shown {
	size_t frame, cnt;
	size_t library_cnt; /* not shown, between this one and the one before */
};

static bool same_frame(const struct stall_frame *a, const struct stall_frame *b)
{
	return a->line == b->line && a->func && b->func && a->file && b->file &&
	       !strcmp(a->func, b->func) && !strcmp(a->file, b->file);
}

/* The leaf and the project's frames; all with `verbose`. Returns how many. */
static size_t pick_frames(const struct text *text, const struct stall *stall,
			  struct shown shown[AP_FRAMES_MAX], size_t *library_cnt)
{
	const struct stall_frame *frames = stall->frames;
	size_t cnt = 0;

	*library_cnt = 0;
	for (size_t i = 0; i < stall->frame_cnt && cnt < AP_FRAMES_MAX; i++) {
		if (!text->display.verbose && i && words_is_library(frames[i].file)) {
			(*library_cnt)++;
			continue;
		}
		if (cnt && !*library_cnt && same_frame(&frames[i - 1], &frames[i])) {
			shown[cnt - 1].cnt++;
			continue;
		}
		shown[cnt++] = (struct shown){i, 1, *library_cnt};
		*library_cnt = 0;
	}
	return cnt;
}

static void say_library(const struct text *text, size_t cnt)
{
	if (cnt)
		put(text, PAINT_DIM, "    ... %zu library frame%s\n", cnt, cnt == 1 ? "" : "s");
}

/* At most `depth` of them: those near the leaf, and the coroutine at the end. */
static void say_stack(const struct text *text, const struct stall *stall)
{
	size_t depth = (size_t)text->display.stack_depth, guilty = guilty_frame(stall);
	struct shown shown[AP_FRAMES_MAX];
	size_t library_cnt, cnt = pick_frames(text, stall, shown, &library_cnt);

	if (text->display.stack_depth <= 0)
		depth = text->display.verbose ? AP_FRAMES_MAX : FRAMES_USEFUL;
	for (size_t i = 0; i < cnt; i++) {
		size_t next = i ? shown[i - 1].frame + shown[i - 1].cnt : 0;

		if (i == depth) {
			put(text, PAINT_DIM, "    ... %zu more\n", stall->frame_cnt - next);
			library_cnt = 0;
			break;
		}
		if (depth > 1 && i == depth - 1 && cnt > depth) {
			put(text, PAINT_DIM, "    ... %zu more\n", shown[cnt - 1].frame - next);
			i = cnt - 1;
		} else {
			say_library(text, shown[i].library_cnt);
		}
		say_frame(text, &stall->frames[shown[i].frame], shown[i].cnt);
		if (shown[i].frame == guilty)
			say_source(text, stall, &stall->frames[guilty]);
	}
	say_library(text, library_cnt);
	if (stall->stack_reason)
		put(text, PAINT_DIM, "    stack: %s\n", stall->stack_reason);
}

int text__stall(struct text *text, const struct stall *stall)
{
	enum fold_how how = fold_stall(&text->fold, stall);

	if (how == FOLD_HIDE)
		return done(text);
	headline(text, stall, how == FOLD_HEADLINE);
	if (how == FOLD_HEADLINE)
		return done(text);
	say_cause(text, stall);
	if (text->display.verbose)
		say_budget(text, stall);
	if (!text->display.quiet) {
		say_stack(text, stall);
		if (stall->advice)
			put(text, PAINT_GREEN, "    hint: %s\n", stall->advice->text);
	}
	return done(text);
}

static void say_repeats(void *ctx, const struct fold_key *key, int64_t now_unix_ns)
{
	const struct text *text = ctx;
	char clock[WORDS_CLOCK_SZ], duration[WORDS_DURATION_SZ], cause[WORDS_CAUSE_SZ];
	char title[WORDS_TEXT_SZ], place[WORDS_TEXT_SZ];
	long long seconds = (now_unix_ns - key->since_unix_ns + 999999999) / 1000000000;

	put(text, PAINT_DIM, "%s ", words_clock(&text->display, now_unix_ns, clock));
	put(text, PAINT_RED, "x%llu in %lld s", (unsigned long long)key->cnt, seconds);
	fprintf(text->out, "  up to %s  %s()  %s  ", words_duration(key->max_ns, duration),
		words_text(key->title, 28, title),
		words_place(&text->display, *key->file ? key->file : NULL, key->line, 40, place));
	put(text, PAINT_YELLOW, "%s\n", words_cause(key->cause, cause));
}

static void say_others(void *ctx, uint64_t cnt, int64_t max_ns, int64_t now_unix_ns,
		       int64_t since_unix_ns)
{
	const struct text *text = ctx;
	char clock[WORDS_CLOCK_SZ], duration[WORDS_DURATION_SZ];
	long long seconds = (now_unix_ns - since_unix_ns + 999999999) / 1000000000;

	put(text, PAINT_DIM, "%s ", words_clock(&text->display, now_unix_ns, clock));
	put(text, PAINT_RED, "x%llu in %lld s", (unsigned long long)cnt, seconds);
	fprintf(text->out, "  up to %s  at other places\n", words_duration(max_ns, duration));
}

static int flush(struct text *text, int64_t now_unix_ns, bool all)
{
	struct fold_sink sink = {.repeats = say_repeats, .others = say_others, .ctx = text};

	fold_flush(&text->fold, now_unix_ns, all, &sink);
	return done(text);
}

int text__tick(struct text *text, int64_t now_unix_ns)
{
	return flush(text, now_unix_ns, false);
}

int text__flush(struct text *text, int64_t now_unix_ns)
{
	return flush(text, now_unix_ns, true);
}
