/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Profiles made by hand, written in each format for formats.py: one that is
 * known to the nanosecond, and one whose every name is hostile.
 *
 * usage: render FOLDER
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiles.h"
#include "recording/recording.h"
#include "report/folded.h"
#include "report/json.h"
#include "report/pprof.h"
#include "report/speedscope.h"

#define TITLE "a \"shop\" <b>"

static const char *folder;

static FILE *create(const char *name, const char *suffix)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
	out = fopen(path, "w");
	if (!out) {
		perror(path);
		exit(1);
	}
	return out;
}

static void finish(FILE *out, int err)
{
	if (fclose(out) || err) {
		fprintf(stderr, "render: %s\n", strerror(err ? -err : errno));
		exit(1);
	}
}

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "render: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static void record_entry(struct recording *recording, const struct profile *profile,
			 const struct profile_entry *entry)
{
	const struct profile_thread *thread = &profile->threads[entry->thread];
	static const struct profile_task none;
	const struct profile_task *task =
		entry->task == PROFILE_NONE ? &none : &profile->tasks[entry->task];
	struct point_frame frames[MADE_MAX];
	struct point point = {
		.kind = entry->kind,
		.unix_ns = profile->start_unix_ns + 1,
		.ns = entry->ns,
		.cnt = entry->cnt,
		.pid = profile->processes[thread->process].pid,
		.tid = thread->tid,
		.comm = thread->comm,
		.plain = thread->plain,
		.loop = thread->loop,
		.what = task->what,
		.task = task->task,
		.unnamed = task->unnamed,
		.coro = task->coro,
		.callback = task->callback,
		.cause = entry->cause,
		.frames = frames,
	};

	for (uint32_t at = entry->stack; at != PROFILE_NONE; at = profile->stacks[at].parent) {
		const struct profile_frame *frame = &profile->frames[profile->stacks[at].frame];

		frames[point.frame_cnt++] =
			(struct point_frame){frame->kind, frame->func, frame->file, frame->line};
	}
	must(recording__point(recording, &point), "a point");
}

static void record(const char *name, const struct profile *profile)
{
	struct run_target target = {profile->processes[0].pid, profile->processes[0].comm, "3.11.2",
				    profile->processes[0].exe, 0};
	struct run_start start = {
		.version = "0.1",
		.unix_ns = profile->start_unix_ns,
		.targets = &target,
		.target_cnt = 1,
		.tier = "exact",
		.threshold_ns = 100000000,
	};
	struct recording_head head = {.start = &start, .period_ns = profile->period_ns};
	struct run_summary summary = {
		.tier = "exact",
		.unix_ns = profile->start_unix_ns + profile->duration_ns,
		.duration_ns = profile->duration_ns,
		.overhead_ns = -1,
	};
	struct recording *recording;
	struct refusal why;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.apdb", folder, name);
	must(recording__create(path, &head, &recording, &why) ? EIO : 0, path);
	for (size_t i = 0; i < profile->entry_cnt; i++)
		record_entry(recording, profile, &profile->entries[i]);
	must(recording__finish(recording, &summary), path);
	recording__close(recording);
}

static void render(const char *name, const struct profile *profile)
{
	struct flame_options options = {.threads = true};
	struct flame *flame = flame__new(profile, &options);
	FILE *out;
	int err = 0;

	if (!flame)
		exit(1);
	out = create(name, ".folded");
	finish(out, folded_print(out, flame));
	out = create(name, ".speedscope.json");
	finish(out, speedscope_print(out, flame, TITLE, "0.1"));
	out = create(name, ".pprof");
	finish(out, pprof_print(out, profile, &options, "0.1"));
	out = create(name, ".ndjson");
	for (size_t i = 0; i < profile->entry_cnt && !err; i++)
		err = json_print_stack(out, profile, &profile->entries[i]);
	finish(out, err);
	flame__free(flame);
	record(name, profile);
}

int main(int argc, char **argv)
{
	static struct made shop;
	static struct made_evil evil;

	if (argc != 2) {
		fprintf(stderr, "usage: render FOLDER\n");
		return 2;
	}
	folder = argv[1];
	made_shop(&shop);
	render("shop", &shop.profile);
	made_evil(&evil, "a\033[2Jb\xe2\x80\xae"
			 "c\xff\r\n\x07\x7f\"'\\%n;</script><b>&amp; 12");
	render("evil", &evil.made.profile);
	return 0;
}
