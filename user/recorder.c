/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cli/values.h"
#include "collector.h"
#include "output.h"
#include "progress.h"
#include "recording/recording.h"
#include "rendering.h"
#include "report/json.h"

#define OUTPUTS_MAX	8

struct recorder {
	const struct options *options;
	struct collector *collector;
	struct recording *recording;
	struct progress progress;
	struct output output[OUTPUTS_MAX];
	size_t output_cnt;
	const char *apdb;	/* where the recording itself is to stay, NULL: nowhere */
	char spool[256];	/* the file behind a recording that goes to stdout, "": none */
	FILE *live;		/* the JSON lines, written as they come; NULL: not asked for */
	struct output *live_output;
	char name[128];		/* of the file when none was given */
	int64_t start_unix_ns;
	int done;		/* 1: the summary is in the recording */
	struct refusal *why;
};

/* --- What the run tells --------------------------------------------------------------- */

static int on_start(void *ctx, const struct run_start *start)
{
	struct recorder *r = ctx;
	struct utsname machine;
	char words[128];
	struct recording_head head = {
		.start = start,
		.period_ns = 1000000000 / r->options->rate_hz,
		.machine = words,
	};
	size_t i;

	uname(&machine);
	snprintf(words, sizeof(words), "%s, %ld CPUs", machine.machine, sysconf(_SC_NPROCESSORS_ONLN));
	if (recording__create(r->apdb, &head, &r->recording, r->why))
		return -ECANCELED;
	for (i = 0; i < r->output_cnt; i++)
		if (r->output[i].format == FORMAT_APDB)
			output_keep(&r->output[i]);
	progress_start(&r->progress, start->unix_ns);
	r->start_unix_ns = start->unix_ns;
	return r->live ? json_print_start(r->live, start) : 0;
}

static int on_joined(void *ctx, const struct run_joined *joined)
{
	struct recorder *r = ctx;
	int err = recording__joined(r->recording, joined);

	return !err && r->live ? json_print_joined(r->live, joined) : err;
}

/* The lines of a stall's frames, while the target is there to be asked. */
static int keep_sources(struct recorder *r, const struct stall *stall)
{
	char line[256];
	size_t i;
	int err = 0;

	for (i = 0; i < stall->frame_cnt && !err; i++) {
		const struct stall_frame *frame = &stall->frames[i];

		if (frame->file && frame->line > 0 &&
		    collector_source(r->collector, stall->pid, frame->file, frame->line, line,
				     sizeof(line)) > 0)
			err = recording__source(r->recording, stall->pid, frame->file,
						frame->line, line);
	}
	return err;
}

static int on_stall(void *ctx, const struct stall *stall)
{
	struct recorder *r = ctx;
	int err;

	if (!stall->ongoing)
		r->progress.stall_cnt++;
	err = recording__stall(r->recording, stall);
	if (!err)
		err = keep_sources(r, stall);
	return !err && r->live ? json_print_stall(r->live, stall) : err;
}

static int on_point(void *ctx, const struct point *point)
{
	struct recorder *r = ctx;
	struct point within = *point;

	/* The probes went in one by one, a moment before the recording began. */
	if (point->unix_ns <= r->start_unix_ns)
		return 0;
	if (point->kind != POINT_CPU && point->ns > point->unix_ns - r->start_unix_ns)
		within.ns = point->unix_ns - r->start_unix_ns;
	r->progress.point_cnt += point->cnt;
	return recording__point(r->recording, &within);
}

/* About once a second on the way: what is known so far, committed. */
static int on_summary(void *ctx, const struct run_summary *summary)
{
	struct recorder *r = ctx;
	int err;

	if (summary->interim) {
		progress_show(&r->progress, summary->unix_ns, summary->events_lost);
		return recording__summarise(r->recording, summary);
	}
	r->progress.lost_cnt = summary->events_lost;
	r->progress.duration_ns = summary->duration_ns;
	err = recording__finish(r->recording, summary);
	r->done = !err;
	if (err || !r->live)
		return err;
	if (rendering_stacks(r->recording, r->live, r->why))
		return -ECANCELED;
	return json_print_summary(r->live, summary);
}

/* --- Files ------------------------------------------------------------------------------ */

/* asyncprof-1234-20261124-190500.svg; of a program that is not started yet without its pid */
static void make_name(struct recorder *r)
{
	time_t now = time(NULL);
	struct tm local;
	char date[32] = "", pid[16] = "";

	if (localtime_r(&now, &local))
		strftime(date, sizeof(date), "-%Y%m%d-%H%M%S", &local);
	if (collector_pid(r->collector))
		snprintf(pid, sizeof(pid), "-%d", collector_pid(r->collector));
	snprintf(r->name, sizeof(r->name), "asyncprof%s%s%s", pid, date,
		 format_suffix(r->options->format == FORMAT_NONE ? FORMAT_SVG : r->options->format));
}

/* A database can't be written into a pipe: it is made in a file, and goes out when it is whole. */
static int make_spool(struct recorder *r)
{
	const char *folder = getenv("TMPDIR");
	int fd;

	snprintf(r->spool, sizeof(r->spool), "%s/asyncprof-XXXXXX", folder ? folder : "/tmp");
	fd = mkstemp(r->spool);
	if (fd < 0) {
		r->spool[0] = 0;
		return refuse(r->why, EXIT_FAILED, "give the recording a name with -o",
			      "can't make a file in %s: %s", folder ? "$TMPDIR" : "/tmp",
			      strerror(errno));
	}
	close(fd);
	return 0;
}

static int send_spool(struct recorder *r, FILE *out)
{
	FILE *in = fopen(r->spool, "re");
	char bytes[65536];
	size_t n;
	int err = in ? 0 : -errno;

	while (!err && (n = fread(bytes, 1, sizeof(bytes), in)))
		if (fwrite(bytes, 1, n, out) != n)
			err = -errno;
	if (in)
		fclose(in);
	if (!err || output_reader_left(out))
		return 0;
	return refuse(r->why, EXIT_FAILED, "", "can't write stdout: %s", strerror(-err));
}

static int open_outputs(struct recorder *r)
{
	const struct string_list *asked = &r->options->outputs;
	size_t i;

	if (!asked->cnt)
		make_name(r);
	for (i = 0; i < (asked->cnt ? asked->cnt : 1); i++) {
		struct output *o = &r->output[i];

		if (i == OUTPUTS_MAX)
			return refuse(r->why, EXIT_USAGE, "asyncprof report makes more of a recording",
				      "%d files at most", OUTPUTS_MAX);
		r->output_cnt = i + 1;
		if (output__open(o, asked->cnt ? asked->item[i] : r->name, r->options->format,
				 FORMAT_NONE, r->why))
			return -1;
		if (o->format == FORMAT_TEXT)
			return refuse(r->why, EXIT_USAGE, "asyncprof -p PID prints it, asyncprof report too",
				      "record has no text format");
		if (o->format == FORMAT_APDB && r->apdb)
			return refuse(r->why, EXIT_USAGE, "choose one", "two recordings of one run");
		if (o->format == FORMAT_APDB && !strcmp(o->path, "-") && make_spool(r))
			return -1;
		if (o->format == FORMAT_APDB)
			r->apdb = r->spool[0] ? r->spool : o->path;
	}
	return 0;
}

/* The JSON lines go out as they come, the rest when all is known. */
static int open_live(struct recorder *r)
{
	size_t i;

	for (i = 0; i < r->output_cnt && !r->live; i++) {
		if (r->output[i].format != FORMAT_NDJSON)
			continue;
		r->live_output = &r->output[i];
		r->live = output_begin(r->live_output, r->why);
		if (!r->live)
			return -1;
	}
	return 0;
}

static void say_written(const struct recorder *r, const struct output *o)
{
	char how[256];

	if (r->options->verbosity < 0 || !strcmp(o->path, "-"))
		return;
	format_how_to_open(o->format, o->path, how, sizeof(how));
	fprintf(stderr, "asyncprof: wrote %s; %s\n", o->path, how);
}

static int write_outputs(struct recorder *r)
{
	size_t i;

	for (i = 0; i < r->output_cnt; i++) {
		struct output *o = &r->output[i];
		FILE *file;
		int err;

		if ((o->format != FORMAT_APDB || r->spool[0]) && o != r->live_output) {
			file = output_begin(o, r->why);
			if (!file)
				return -1;
			if (o->format == FORMAT_APDB)
				err = send_spool(r, file);
			else
				err = rendering_write(r->recording, o->format, r->options, file,
						      output_name(o), r->why);
			if (output_end(o, file, r->why) || err)
				return -1;
		}
		say_written(r, o);
	}
	return 0;
}

/* --- Commands ------------------------------------------------------------------------------- */

/* Why the run ended when its sink could not go on. */
static int refuse_sink(struct recorder *r, int err)
{
	if (err == -ECANCELED)	/* said already */
		return -1;
	if (r->live && output_reader_left(r->live))
		return 0;
	if (r->live && ferror(r->live))
		return refuse(r->why, EXIT_FAILED, "", "can't write %s: %s",
			      output_name(r->live_output), strerror(-err));
	return refuse(r->why, EXIT_FAILED,
		      r->apdb ? "what was written before is readable: asyncprof report" : "",
		      "can't write the recording: %s", strerror(-err));
}

static int run(struct recorder *r, const struct collector_sink *sink)
{
	int sink_error = 0, err;

	if (collector__open(r->options, &r->collector, r->why) || open_outputs(r) || open_live(r))
		return -1;
	progress_begin(&r->progress, r->options);
	err = collector_run(r->collector, sink, &sink_error, r->why);
	progress_end(&r->progress);
	if (sink_error && refuse_sink(r, sink_error))
		err = -1;
	if (r->live && output_end(r->live_output, r->live, r->why))
		err = -1;
	if (r->recording && r->done && write_outputs(r))
		err = -1;
	return err;
}

enum exit_code record_run(const struct options *options, struct refusal *why)
{
	struct recorder r = { .options = options, .why = why };
	const struct collector_sink sink = {
		.start = on_start,
		.joined = on_joined,
		.stall = on_stall,
		.point = on_point,
		.summary = on_summary,
		.ctx = &r,
	};
	int failed = run(&r, &sink);
	size_t i;

	recording__close(r.recording);
	if (r.spool[0])
		unlink(r.spool);
	failed = collector_finish(r.collector, failed, why);
	collector__close(r.collector);
	for (i = 0; i < r.output_cnt; i++)
		output__close(&r.output[i]);
	return failed ? why->code : EXIT_DONE;
}

static int report(const struct options *options, struct recording *current, struct recording *old,
		  struct output *o, struct refusal *why)
{
	FILE *file;
	int err;

	if (o->format == FORMAT_APDB)
		return refuse(why, EXIT_USAGE, "copy the file", "it is a recording already");
	file = output_begin(o, why);
	if (!file)
		return -1;
	if (old)
		err = rendering_compare(old, current, o->format, options, file, output_name(o), why);
	else
		err = rendering_write(current, o->format, options, file, output_name(o), why);
	return output_end(o, file, why) || err ? -1 : 0;
}

static int open_recording(const char *path, struct recording **out, struct refusal *why)
{
	struct stat st;

	/* A pipe would be waited for, and can't be a database. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return refuse(why, EXIT_FAILED, "asyncprof report reads what record wrote with -o FILE.apdb",
			      "a recording is a file, which '%s' is not", value_show(path).text);
	return recording__open(path, out, why);
}

enum exit_code report_run(const struct options *options, struct refusal *why)
{
	const struct string_list *asked = &options->outputs;
	struct recording *current = NULL, *old = NULL;
	enum exit_code code = EXIT_DONE;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	if (open_recording(options->file, &current, why) ||
	    (options->diff_old && open_recording(options->diff_old, &old, why)))
		code = why->code;
	for (i = 0; code == EXIT_DONE && i < (asked->cnt ? asked->cnt : 1); i++) {
		struct output o;

		if (output__open(&o, asked->cnt ? asked->item[i] : "-", options->format,
				 FORMAT_TEXT, why) ||
		    report(options, current, old, &o, why))
			code = why->code;
		output__close(&o);
	}
	recording__close(old);
	recording__close(current);
	return code;
}
