/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Do the words of a command line go together? Contradictions are refused, and
 * so is what would change nothing: whoever gave it expects that it does. Also
 * settles the format, which can be said in three ways.
 */
#include "cli/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/values.h"

/* Whom sudo did it for: a program to start is theirs, not root's. */
static int find_sudo_user(struct options *options, struct refusal *why)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");

	if (!uid || !options->program || options->as_root)
		return 0;
	if (value_id("SUDO_UID", uid, &options->sudo_uid, why) ||
	    value_id("SUDO_GID", gid ? gid : "", &options->sudo_gid, why))
		return -1;
	options->has_sudo_user = true;
	return 0;
}

static int check_target(struct options *options, struct refusal *why)
{
	if (options->pid_cnt && options->program)
		return refuse(why, EXIT_USAGE, "choose one", "-p and a program contradict");
	if (options->as_root && !options->program)
		return refuse(why, EXIT_USAGE, "give it after --, such as: -- python3 app.py",
			      "--as-root is for a program that asyncprof starts");
	if (options->pid_cnt || options->program)
		return find_sudo_user(options, why);
	if (options->command == COMMAND_RECORD)
		return refuse(why, EXIT_USAGE,
			      "asyncprof record -p PID; find it with: pgrep -af python",
			      "which process?");
	return refuse(why, EXIT_USAGE, "asyncprof -p PID; find it with: pgrep -af python",
		      "which process?");
}

static bool is_stdout(const char *output)
{
	return !output || !strcmp(output, "-");
}

/* The format by the name of the output. */
static int find_format(struct options *options, struct refusal *why)
{
	options->format = format_from_path(options->output);
	if (options->format != FORMAT_NONE)
		return 0;
	refuse(why, EXIT_USAGE, "", "the name '%s' tells no format",
	       value_show(options->output).text);
	snprintf(why->remedy, sizeof(why->remedy), "end it with .svg or another, or give -f: %s",
		 format_names());
	return -1;
}

/* Refuses the first of these options that was given, where it would do nothing. */
static int refuse_used(struct parse *parse, const int *letters, const char *remedy)
{
	const struct options *options = parse->options;

	for (; *letters; letters++)
		if (parse->used[*letters])
			return refuse(parse->why, EXIT_USAGE, remedy, "--%s changes nothing in %s",
				      parse_option_name(*letters),
				      options->diff_old ? "a comparison"
							: format_name(options->format));
	return 0;
}

static int check_record(struct parse *parse)
{
	static const int views[] = {OPTION_CLOCK, OPTION_BY, OPTION_PER_PROCESS, 0};
	struct options *options = parse->options;
	const enum format given = options->format;
	struct refusal *why = parse->why;
	bool pictures = !options->outputs.cnt && given == FORMAT_NONE;

	if (given == FORMAT_TEXT)
		return refuse(why, EXIT_USAGE,
			      "asyncprof watch prints it; or record to an .apdb file and report it",
			      "record writes no text");
	if (given == FORMAT_NONE && !options->outputs.cnt)
		return 0;
	if (given != FORMAT_NONE && options->outputs.cnt > 1)
		return refuse(why, EXIT_USAGE, "let each name tell: out.svg, all.apdb",
			      "--format is for one file, not %zu", options->outputs.cnt);
	for (size_t i = 0; i < options->outputs.cnt; i++) {
		options->output = options->outputs.item[i];
		options->format = given;
		if (given == FORMAT_NONE && is_stdout(options->output)) {
			refuse(why, EXIT_USAGE, "", "in which format?");
			snprintf(why->remedy, sizeof(why->remedy), "give -f: %s", format_names());
			return -1;
		}
		if (given == FORMAT_NONE && find_format(options, why))
			return -1;
		pictures |= options->format != FORMAT_APDB && options->format != FORMAT_NDJSON;
	}
	if (!options->outputs.cnt)
		pictures |= given != FORMAT_APDB && given != FORMAT_NDJSON;
	if (!pictures && refuse_used(parse, views,
				     options->format == FORMAT_APDB
					     ? "a recording holds all: give it to asyncprof report"
					     : "leave it out"))
		return -1;
	options->format = given;
	return 0;
}

/* -f, -j, --log or the name of the output: which format is meant? */
static int settle_report(struct options *options, struct refusal *why)
{
	enum format given = options->format;

	if (options->json && given != FORMAT_NONE && given != FORMAT_NDJSON)
		return refuse(why, EXIT_USAGE, "choose one", "--json and --format %s contradict",
			      format_name(given));
	if (options->log && given != FORMAT_NONE && given != FORMAT_TEXT)
		return refuse(why, EXIT_USAGE, "choose one", "--log and --format %s contradict",
			      format_name(given));
	if (options->json)
		options->format = FORMAT_NDJSON;
	else if (given == FORMAT_NONE && (options->log || is_stdout(options->output)))
		options->format = FORMAT_TEXT;
	else if (given == FORMAT_NONE && find_format(options, why))
		return -1;
	options->json = options->format == FORMAT_NDJSON;
	return 0;
}

static int check_report(struct parse *parse)
{
	static const int stalls[] = {OPTION_ONLY, OPTION_EXCLUDE,     OPTION_CAUSE,
				     OPTION_TASK, OPTION_STACK_DEPTH, 0};
	static const int views[] = {OPTION_CLOCK,   OPTION_BY,	 OPTION_PER_PROCESS,
				    OPTION_THREADS, OPTION_IDLE, 0};
	static const char draws[] = "it is for svg, html, folded, speedscope and pprof: give -f";
	static const char lists[] = "it is for text and ndjson, which list stalls";
	struct options *options = parse->options;
	struct refusal *why = parse->why;

	if (!options->file && options->diff_old)
		return refuse(why, EXIT_USAGE, "asyncprof report --diff OLD NEW",
			      "--diff wants two recordings");
	if (!options->file)
		return refuse(why, EXIT_USAGE,
			      "asyncprof report FILE; asyncprof record -o FILE.apdb makes one",
			      "which recording?");
	if (options->outputs.cnt > 1)
		return refuse(why, EXIT_USAGE, "one report a file", "--output was given twice");
	if (settle_report(options, why))
		return -1;
	if (options->diff_old) {
		if (options->log ||
		    (options->format != FORMAT_TEXT && options->format != FORMAT_SVG &&
		     options->format != FORMAT_HTML))
			return refuse(why, EXIT_USAGE, "text, svg or html",
				      "--diff can't be written as %s",
				      options->log ? "a log" : format_name(options->format));
		return refuse_used(parse, stalls, "leave it out");
	}
	switch (options->format) {
	case FORMAT_TEXT:
	case FORMAT_NDJSON:
		return refuse_used(parse, views, draws);
	case FORMAT_APDB:
		if (refuse_used(parse, views, "a recording holds all: give it to the next report"))
			return -1;
		return refuse_used(parse, stalls, lists);
	default:
		return refuse_used(parse, stalls, lists);
	}
}

int parse_check(struct parse *parse)
{
	struct options *options = parse->options;
	struct refusal *why = parse->why;

	if (options->command == COMMAND_DOCTOR)
		return 0;
	if (options->json && options->log)
		return refuse(why, EXIT_USAGE, "choose one", "--json and --log contradict");
	if (parse->quiet && options->verbosity)
		return refuse(why, EXIT_USAGE, "choose one", "--quiet and --verbose contradict");
	if (parse->quiet)
		options->verbosity = -1;
	if (options->command == COMMAND_REPORT)
		return check_report(parse);
	if (options->command == COMMAND_WATCH && options->outputs.cnt > 1)
		return refuse(why, EXIT_USAGE, "choose one", "--output was given twice");
	if (check_target(options, why))
		return -1;
	return options->command == COMMAND_RECORD ? check_record(parse) : 0;
}
