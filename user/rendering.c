/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "rendering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/filters.h"
#include "face.h"
#include "output.h"
#include "report/comparison.h"
#include "report/flamegraph.h"
#include "report/folded.h"
#include "report/json.h"
#include "report/pprof.h"
#include "report/speedscope.h"

#define WORDS_SZ 512

static int refuse_write(struct refusal *why, FILE *out, const char *name, int err)
{
	if (!err || output_reader_left(out))
		return 0;
	if (err == -ENOMEM)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	return refuse(why, EXIT_FAILED, "", "can't write %s: %s", name, strerror(-err));
}

static void say_if_cut(int complete)
{
	if (!complete)
		fputs("asyncprof: the recording is cut: asyncprof was killed, or the disk was full\n",
		      stderr);
}

/* --- Words around a picture ------------------------------------------------------ */

/* "python3 (1234), 30.0 s, wall time" */
static void write_title(const struct profile *p, const struct flame_options *flame,
			char buf[WORDS_SZ])
{
	size_t len = 0, i;

	buf[0] = 0;
	for (i = 0; i < p->process_cnt && i < 3; i++)
		len += (size_t)snprintf(buf + len, WORDS_SZ - len, "%s%.64s (%u)", i ? ", " : "",
					p->processes[i].comm ? p->processes[i].comm : "python",
					p->processes[i].pid);
	if (p->process_cnt > 3)
		len += (size_t)snprintf(buf + len, WORDS_SZ - len, " and %zu more", p->process_cnt - 3);
	snprintf(buf + len, WORDS_SZ - len, "%s%.1f s, %s time", p->process_cnt ? ", " : "",
		 (double)p->duration_ns / 1e9, flame_clock_name(flame->clock));
}

/* What a reader must know before he believes it: what is sampled, what is missing. */
static void write_subtitle(const struct profile *p, const struct flame_options *flame,
			   char buf[WORDS_SZ])
{
	size_t len = 0;

	buf[0] = 0;
	if (flame->clock != FLAME_BLOCKED && p->period_ns > 0)
		len += (size_t)snprintf(buf + len, WORDS_SZ - len, "on CPU: sampled at %.0f Hz; ",
					1e9 / (double)p->period_ns);
	if (flame->clock != FLAME_CPU)
		len += (size_t)snprintf(buf + len, WORDS_SZ - len, "waits: measured; ");
	len += (size_t)snprintf(buf + len, WORDS_SZ - len, "%llu events lost",
				(unsigned long long)p->lost_cnt);
	if (p->cut_stack_cnt)
		len += (size_t)snprintf(buf + len, WORDS_SZ - len, ", %llu stack%s not whole",
					(unsigned long long)p->cut_stack_cnt,
					p->cut_stack_cnt == 1 ? "" : "s");
	if (!p->complete)
		snprintf(buf + len, WORDS_SZ - len, "; the recording is cut");
}

static int print_picture(FILE *out, enum format format, const struct flame *flame,
			 const char *title, const char *subtitle)
{
	const struct flamegraph words = {
		.title = title, .subtitle = subtitle, .version = ASYNCPROF_VERSION,
	};

	if (format == FORMAT_HTML)
		return flamegraph_html(out, flame, &words);
	return flamegraph_svg(out, flame, &words);
}

/* --- Formats that are a tree of frames ----------------------------------------------- */

static int print_tree(const struct profile *p, enum format format, const struct options *options,
		      FILE *out)
{
	char title[WORDS_SZ], subtitle[WORDS_SZ];
	struct flame *flame;
	int err;

	if (format == FORMAT_PPROF)
		return pprof_print(out, p, &options->flame, ASYNCPROF_VERSION);
	flame = flame__new(p, &options->flame);
	if (!flame)
		return -ENOMEM;
	write_title(p, &options->flame, title);
	write_subtitle(p, &options->flame, subtitle);
	if (format == FORMAT_FOLDED)
		err = folded_print(out, flame);
	else if (format == FORMAT_SPEEDSCOPE)
		err = speedscope_print(out, flame, title, ASYNCPROF_VERSION);
	else
		err = print_picture(out, format, flame, title, subtitle);
	flame__free(flame);
	return err;
}

/* --- Formats that are what watch prints ------------------------------------------------ */

struct replay {
	struct face *face;
	struct filter *filter;
	int err;
};

static void replay_stall(void *ctx, const struct stall *stall)
{
	struct replay *r = ctx;

	if (r->err || !filter_match(r->filter, stall))
		return;
	/* As the clock of the run did: what repeated before is told before. */
	r->err = face__tick(r->face, stall->ts_unix_ns);
	if (!r->err)
		r->err = face__stall(r->face, stall);
}

static void replay_joined(void *ctx, const struct run_joined *joined)
{
	struct replay *r = ctx;

	if (!r->err)
		r->err = face__joined(r->face, joined);
}

int rendering_stacks(struct recording *r, FILE *out, struct refusal *why)
{
	struct profile *p;
	size_t i;
	int err = 0;

	if (recording_profile(r, &p, why))
		return -1;
	for (i = 0; i < p->entry_cnt && !err; i++)
		err = json_print_stack(out, p, &p->entries[i]);
	profile__free(p);
	return refuse_write(why, out, "the stacks", err);
}

/* The words of the run again: start, stalls, stacks (ndjson), summary. */
static int print_words(struct recording *r, enum format format, const struct options *options,
		       FILE *out, int *err, struct refusal *why)
{
	struct options as_json = *options;
	struct replay replay = { 0 };
	struct run_summary summary;
	struct run_start start;
	int complete, failed = -1;

	as_json.json |= format == FORMAT_NDJSON;
	replay.filter = filters__make(options, why);
	if (!replay.filter)
		return -1;
	replay.face = face__new(out, &as_json, recording_source, r);
	if (!replay.face) {
		refuse(why, EXIT_FAILED, "", "out of memory");
		goto out;
	}
	if (recording_start(r, &start, why))
		goto out;
	replay.err = face__start(replay.face, &start);
	if (recording_joined(r, replay_joined, &replay, why) ||
	    recording_stalls(r, replay_stall, &replay, why) ||
	    (format == FORMAT_NDJSON && !replay.err && rendering_stacks(r, out, why)) ||
	    recording_summary(r, &summary, &complete, why))
		goto out;
	say_if_cut(complete);
	if (!replay.err)
		replay.err = face__summary(replay.face, &summary);
	*err = replay.err;
	failed = 0;
out:
	face__free(replay.face);
	filter__free(replay.filter);
	return failed;
}

int rendering_write(struct recording *r, enum format format, const struct options *options,
		    FILE *out, const char *name, struct refusal *why)
{
	struct profile *p;
	int err = 0;

	if (format == FORMAT_TEXT || format == FORMAT_NDJSON) {
		if (print_words(r, format, options, out, &err, why))
			return -1;
		return refuse_write(why, out, name, err);
	}
	if (recording_profile(r, &p, why))
		return -1;
	say_if_cut(p->complete);
	err = print_tree(p, format, options, out);
	profile__free(p);
	return refuse_write(why, out, name, err);
}

int rendering_compare(struct recording *old, struct recording *current, enum format format,
		      const struct options *options, FILE *out, const char *name,
		      struct refusal *why)
{
	char title[WORDS_SZ], rest[WORDS_SZ], subtitle[2 * WORDS_SZ];
	struct profile *before = NULL, *after = NULL;
	struct flame *flame = NULL;
	struct display display;
	int err = -ENOMEM;

	if (recording_profile(old, &before, why) || recording_profile(current, &after, why)) {
		profile__free(before);
		return -1;
	}
	flame = flame__compare(before, after, &options->flame);
	if (flame && format == FORMAT_TEXT) {
		face_display(out, options, &display);
		err = comparison_print(out, &display, flame);
	} else if (flame) {
		write_title(before, &options->flame, title);
		snprintf(subtitle, sizeof(subtitle), "before: %s; ", title);
		write_subtitle(after, &options->flame, rest);
		strncat(subtitle, rest, sizeof(subtitle) - strlen(subtitle) - 1);
		write_title(after, &options->flame, title);
		err = print_picture(out, format, flame, title, subtitle);
	}
	flame__free(flame);
	profile__free(before);
	profile__free(after);
	return refuse_write(why, out, name, err);
}
