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
#define TASK_MIN      8
#define SOURCE_SZ     512

struct text {
	FILE *out;
	struct display display;
	bool several; /* processes: each stall says whose it is */
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

/* Words of ours or escaped ones, broken at spaces where the line is full. */
static void say_wrapped(const struct text *text, const char *label, const char *words)
{
	size_t room = (size_t)text->display.width - strlen(label), len = strlen(words);

	fputs(label, text->out);
	while (len > room) {
		size_t cut = room;

		while (cut && words[cut] != ' ')
			cut--;
		if (!cut)
			cut = room;
		fprintf(text->out, "%.*s\n%*s", (int)cut, words, (int)strlen(label), "");
		words += cut;
		words += *words == ' ';
		len = strlen(words);
	}
	fprintf(text->out, "%s\n", words);
}

static void say_target(const struct text *text, const struct run_target *target)
{
	char name[WORDS_TEXT_SZ], python[WORDS_TEXT_SZ];

	fprintf(text->out, "watching %u %s, CPython %s", target->pid,
		words_text(target->comm, 16, name), words_text(target->python, 10, python));
}

static void say_interpreter(const struct text *text, const struct run_target *target)
{
	char name[WORDS_TEXT_SZ];

	if (text->display.verbose)
		fprintf(text->out, "  interpreter %s%s\n",
			words_tail(target->exe, (size_t)text->display.width - 30, name),
			target->stripped == 1 ? " (stripped)" : "");
}

int text__joined(struct text *text, const struct run_joined *joined)
{
	char reason[WORDS_TEXT_SZ];

	text->several = true;
	say_target(text, &joined->target);
	if (joined->parent)
		fprintf(text->out, ": started by %u", joined->parent);
	fputc('\n', text->out);
	say_interpreter(text, &joined->target);
	for (size_t i = 0; i < joined->degraded_cnt; i++)
		say_wrapped(text, "  note: ", words_text(joined->degraded[i], WORDS_TEXT_SZ, reason));
	return done(text);
}

int text__start(struct text *text, const struct run_start *start)
{
	char threshold[WORDS_DURATION_SZ], name[WORDS_TEXT_SZ];

	text->several = start->target_cnt > 1;
	for (size_t i = 0; i < start->target_cnt; i++) {
		say_target(text, &start->targets[i]);
		fprintf(text->out, ": callbacks over %s\n",
			words_duration((int64_t)start->threshold_ns, threshold));
		say_interpreter(text, &start->targets[i]);
	}
	if (text->display.verbose)
		fprintf(text->out, "  asyncprof %s, tier %s, kernel %s\n", start->version,
			start->tier, words_text(start->kernel, 40, name));
	for (size_t i = 0; i < start->degraded_cnt; i++)
		say_wrapped(text, "  note: ", words_text(start->degraded[i], WORDS_TEXT_SZ, name));
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
	char name[WORDS_TEXT_SZ], title[WORDS_TEXT_SZ], head[96], who[64] = "  ", many[64];
	char pid[16] = "";
	const char *what = stall_title(stall);
	int room = text->display.width, task;

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

	if (text->several)
		snprintf(pid, sizeof(pid), "%u ", stall->pid);
	room -= (int)(strlen(clock) + 1 + strlen(pid) + strlen(head));
	if (stall->task) {
		task = room - (int)strlen("  task '' ") - TITLE_MIN;
		task = task > TASK_MAX ? TASK_MAX : task < TASK_MIN ? TASK_MIN : task;
		words_text(stall->task, (size_t)task, name);
		snprintf(who, sizeof(who), "  task '%.*s' ", TASK_MAX, name);
	} else if (stall->kind == STALL_SIGNAL) {
		snprintf(who, sizeof(who), "  signal handler ");
	} else if (stall->kind == STALL_ITERATION && stall->inner_cnt) {
		snprintf(many, sizeof(many), "iteration of %u callback%s", stall->inner_cnt,
			 stall->inner_cnt == 1 ? "" : "s");
		what = many;
	}
	room -= (int)strlen(who);
	words_title(stall->kind, what, room > TITLE_MIN ? (size_t)room : TITLE_MIN, title);

	put(text, PAINT_DIM, "%s %s", clock, pid);
	put(text, PAINT_RED, "%s", head);
	fputs(who, text->out);
	put(text, PAINT_BOLD, "%s", title);
	/* The next line says it in words: better a whole name than the cause twice. */
	if ((int)(strlen(title) + 2 + strlen(cause)) <= room)
		put(text, PAINT_YELLOW, "  %s", cause);
	fputc('\n', text->out);
}

static size_t place_max(const struct text *text)
{
	return text->display.full_filenames ? WORDS_TEXT_SZ : (size_t)text->display.width - 6;
}

static void say_holder(const struct text *text, const struct stall *stall)
{
	char words[WORDS_TEXT_SZ], place[WORDS_TEXT_SZ];
	size_t room = (size_t)text->display.width - strlen("      in () ");

	if (stall->holder_tid)
		fprintf(text->out, "    held by thread %u", stall->holder_tid);
	else
		fputs("    held by another thread", text->out);
	if (stall->holder_comm)
		fprintf(text->out, " '%s'", words_text(stall->holder_comm, 32, words));
	fputc('\n', text->out);
	if (!stall->holder.func)
		return;
	words_text(stall->holder.func, room / 2, words);
	fprintf(text->out, "      in %s() %s\n", words,
		words_place(&text->display, stall->holder.file, stall->holder.line,
			    words_place_room(&text->display, room, strlen(words)), place));
}

/* What it waited for, in words. */
static void say_cause(const struct text *text, const struct stall *stall)
{
	char head[160], words[WORDS_TEXT_SZ];
	const struct stall_fd *fd = &stall->fd;
	const char *what = fd->peer ? fd->peer : fd->path, *joint = fd->peer ? " to " : " ";
	int len;

	len = snprintf(head, sizeof(head), "    %s%s%s", cause_words(stall->cause),
		       stall->syscall ? " in " : "", stall->syscall ? stall->syscall : "");
	if (fd->num >= 0)
		len += snprintf(head + len, sizeof(head) - (size_t)len, " on fd %d", fd->num);
	else if (what)
		joint = " of ";
	fputs(head, text->out);
	if (what) {
		words_tail(what, place_max(text), words);
		/* On a line of its own where it does not fit. */
		if (len + (int)(strlen(joint) + strlen(words)) > text->display.width)
			fprintf(text->out, "%s\n      ",
				fd->peer      ? " to"
				: fd->num < 0 ? " of"
					      : "");
		else
			fputs(joint, text->out);
		fputs(words, text->out);
	}
	fputc('\n', text->out);
	if (stall->holder_known)
		say_holder(text, stall);
	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		if (stall->causes & 1U << cause && cause != (int)stall->cause)
			fprintf(text->out, "    also %s\n", cause_words(cause));
	}
	if (stall->exited)
		fprintf(text->out, "    it ended because its thread or process did\n");
	if (stall->at_attach)
		fprintf(text->out, "    it began before asyncprof came\n");
}

static void say_budget(const struct text *text, const struct stall *stall)
{
	char duration[WORDS_DURATION_SZ], words[40 * (PART_CNT + 1)];
	size_t len = 0;

	for (int part = 0; part < PART_CNT && stall->budget_known; part++) {
		if (stall->budget.ns[part] <= 0)
			continue;
		len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s %s",
					len ? ", " : "", part_name(part),
					words_duration(stall->budget.ns[part], duration));
	}
	if (len)
		say_wrapped(text, "    time: ", words);
	fprintf(text->out, "    id %s\n", stall->id);
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
	put(text, stall_is_library(frame->file) ? PAINT_DIM : PAINT_OFF, "%s", place);
	if (cnt > 1)
		fprintf(text->out, "  x%zu", cnt);
	fputc('\n', text->out);
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
		if (!text->display.verbose && i && stall_is_library(frames[i].file)) {
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

static void say_left_out(const struct text *text, size_t cnt, const char *kind)
{
	if (cnt)
		put(text, PAINT_DIM, "    ... %zu %s frame%s\n", cnt, kind, cnt == 1 ? "" : "s");
}

/* At most `depth` of them: those near the leaf, and the coroutine at the end. */
static void say_stack(const struct text *text, const struct stall *stall)
{
	size_t depth = (size_t)text->display.stack_depth;
	const struct stall_frame *blame = stall_blame(stall);
	struct shown shown[AP_FRAMES_MAX];
	size_t library_cnt, cnt = pick_frames(text, stall, shown, &library_cnt);

	if (text->display.stack_depth <= 0)
		depth = text->display.verbose ? AP_FRAMES_MAX : FRAMES_USEFUL;
	for (size_t i = 0; i < cnt; i++) {
		size_t next = i ? shown[i - 1].frame + shown[i - 1].cnt : 0;

		if (i == depth) {
			say_left_out(text, stall->frame_cnt - next, "more");
			library_cnt = 0;
			break;
		}
		if (depth > 1 && i == depth - 1 && cnt > depth) {
			say_left_out(text, shown[cnt - 1].frame - next, "more");
			i = cnt - 1;
		} else {
			say_left_out(text, shown[i].library_cnt, "library");
		}
		say_frame(text, &stall->frames[shown[i].frame], shown[i].cnt);
		if (&stall->frames[shown[i].frame] == blame)
			say_source(text, stall, blame);
	}
	say_left_out(text, library_cnt, "library");
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
	say_stack(text, stall);
	if (stall->advice)
		put(text, PAINT_GREEN, "    hint: %s\n", stall->advice->text);
	return done(text);
}

/* "x37 in 10 s  up to 196 ms" after the clock; returns the columns it took. */
static int say_count(const struct text *text, uint64_t cnt, int64_t max_ns, int64_t now_unix_ns,
		     int64_t since_unix_ns)
{
	char clock[WORDS_CLOCK_SZ], duration[WORDS_DURATION_SZ], many[64];
	long long seconds = (now_unix_ns - since_unix_ns + 999999999) / 1000000000;

	words_clock(&text->display, now_unix_ns, clock);
	snprintf(many, sizeof(many), "x%llu in %lld s", (unsigned long long)cnt, seconds);
	put(text, PAINT_DIM, "%s ", clock);
	put(text, PAINT_RED, "%s", many);
	return (int)(strlen(clock) + 1 + strlen(many)) +
	       fprintf(text->out, "  up to %s", words_duration(max_ns, duration));
}

static void say_repeats(void *ctx, const struct fold_key *key, int64_t now_unix_ns)
{
	const struct text *text = ctx;
	char title[WORDS_TEXT_SZ], place[WORDS_TEXT_SZ];
	int used = say_count(text, key->cnt, key->max_ns, now_unix_ns, key->since_unix_ns);
	size_t room;

	put(text, PAINT_YELLOW, "  %s", cause_name(key->cause));
	used += (int)(2 + strlen(cause_name(key->cause)) + 2);
	room = text->display.width - used > 2 * TITLE_MIN ? (size_t)(text->display.width - used)
							  : 2 * TITLE_MIN;
	words_title(key->kind, key->title, room * 3 / 5, title);
	fprintf(text->out, "  %s  %s\n", title,
		words_place(&text->display, *key->file ? key->file : NULL, key->line,
			    words_place_room(&text->display, room, strlen(title)), place));
}

static void say_others(void *ctx, uint64_t cnt, int64_t max_ns, int64_t now_unix_ns,
		       int64_t since_unix_ns)
{
	const struct text *text = ctx;

	say_count(text, cnt, max_ns, now_unix_ns, since_unix_ns);
	fprintf(text->out, "  at other places\n");
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
