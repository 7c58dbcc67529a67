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
	finish(out, speedscope_print(out, flame, TITLE, "asyncprof 0.1"));
	out = create(name, ".pprof");
	finish(out, pprof_print(out, profile, &options, "0.1"));
	out = create(name, ".ndjson");
	for (size_t i = 0; i < profile->entry_cnt && !err; i++)
		err = json_print_stack(out, profile, &profile->entries[i]);
	finish(out, err);
	flame__free(flame);
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
