/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * argv and the environment, read once. Nonsense gets one line that says what
 * is wrong with which option, and what to write instead: a tool that is run in
 * the middle of an outage has no time for a manual.
 *
 * It must never guess: what could be meant in two ways is refused.
 */
#include "cli/options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define NS_PER_S 1000000000ULL

/* asyncio's own slow_callback_duration (Lib/asyncio/base_events.py) */
#define THRESHOLD_DEFAULT_NS (100 * 1000000ULL)
#define THRESHOLD_MIN_NS     1000ULL
#define TIME_MAX_NS	     (365 * 86400 * NS_PER_S)

#define SEE_HELP "asyncprof --help lists what there is"

enum {
	OPTION_TIER = 256,
	OPTION_ONLY,
	OPTION_EXCLUDE,
	OPTION_CAUSE,
	OPTION_TASK,
	OPTION_STACK_DEPTH,
	OPTION_FULL_FILENAMES,
	OPTION_SCHEMA,
	OPTION_LOG,
	OPTION_NO_COLOR,
	OPTION_VERSION,
};

/* The leading '-' hands over words that are no options in their order, ':' tells a missing
 * argument. */
static const char short_options[] = "-:p:d:n:t:o:jqvh";

static const struct option long_options[] = {
	{"pid", required_argument, NULL, 'p'},
	{"duration", required_argument, NULL, 'd'},
	{"count", required_argument, NULL, 'n'},
	{"threshold", required_argument, NULL, 't'},
	{"tier", required_argument, NULL, OPTION_TIER},
	{"only", required_argument, NULL, OPTION_ONLY},
	{"exclude", required_argument, NULL, OPTION_EXCLUDE},
	{"cause", required_argument, NULL, OPTION_CAUSE},
	{"task", required_argument, NULL, OPTION_TASK},
	{"stack-depth", required_argument, NULL, OPTION_STACK_DEPTH},
	{"full-filenames", no_argument, NULL, OPTION_FULL_FILENAMES},
	{"output", required_argument, NULL, 'o'},
	{"json", no_argument, NULL, 'j'},
	{"json-schema", no_argument, NULL, OPTION_SCHEMA},
	{"log", no_argument, NULL, OPTION_LOG},
	{"no-color", no_argument, NULL, OPTION_NO_COLOR},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

/* What doctor takes; watch takes everything. */
static const int doctor_options[] = {'p', 'j', 'h', OPTION_NO_COLOR};

static const struct {
	const char *name;
	enum command command;
} commands[] = {
	{"watch", COMMAND_WATCH},
	{"doctor", COMMAND_DOCTOR},
};

/* What was seen on the way, for checks that need the whole line. */
struct parse {
	struct options *options;
	struct refusal *why;
	bool has_command;
	bool quiet;
	bool used[OPTION_VERSION + 1];
};

/* A word of argv as it may stand in a message: printable, and not for ever. */
struct shown {
	char text[48];
};

static struct shown show(const char *word)
{
	struct shown shown;
	size_t i;

	for (i = 0; word[i] && i < sizeof(shown.text) - 1; i++)
		shown.text[i] = word[i] >= ' ' && word[i] <= '~' ? word[i] : '?';
	if (word[i])
		memcpy(shown.text + i - 3, "...", 3);
	shown.text[i] = '\0';
	return shown;
}

/*
 * Reads DIGITS[.DIGITS] as a number of `1 / scale`; returns where it ends, or
 * NULL when it is no such number or too large. By hand, since strtod() depends
 * on the locale, takes "nan" and "0x1p3", and rounds.
 */
static const char *parse_decimal(const char *text, uint64_t scale, uint64_t *value)
{
	uint64_t whole = 0, part = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		whole = whole * 10 + (*text - '0');
		if (whole > TIME_MAX_NS)
			return NULL;
	}
	if (*text == '.') {
		uint64_t unit = scale;

		text++;
		if (*text < '0' || *text > '9')
			return NULL;
		for (; *text >= '0' && *text <= '9'; text++) {
			unit /= 10;
			part += unit * (*text - '0');
		}
	}
	if (whole > (TIME_MAX_NS - part) / scale)
		return NULL;
	*value = whole * scale + part;
	return text;
}

static int parse_time(const char *text, bool seconds, uint64_t *ns, struct refusal *why)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ns", 1},	 {"us", 1000},		 {"\xc2\xb5s", 1000},	 {"ms", 1000000},
		{"s", NS_PER_S}, {"min", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	};
	static const char remedy[] = "write a number and its unit: 250us, 100ms, 1.5s";
	struct shown shown = show(text);
	const char *unit;
	uint64_t value;
	size_t i;

	unit = parse_decimal(text, NS_PER_S, &value);
	if (!unit)
		return refuse(why, EXIT_USAGE, remedy, "'%s' is not a time", shown.text);
	if (!*unit && seconds) {
		*ns = value;
		return 0;
	}
	if (!*unit)
		return refuse(why, EXIT_USAGE, remedy, "'%s' has no unit", shown.text);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name))
			continue;
		if (!parse_decimal(text, units[i].ns, ns))
			return refuse(why, EXIT_USAGE, remedy, "'%s' is too long", shown.text);
		return 0;
	}
	return refuse(why, EXIT_USAGE, remedy, "'%s' is not a time", shown.text);
}

int options_parse_time(const char *text, uint64_t *ns, struct refusal *why)
{
	return parse_time(text, false, ns, why);
}

/* A whole number from 1 to `max`. */
static int parse_count(const char *option, const char *text, uint64_t max, uint64_t *value,
		       struct refusal *why)
{
	const char *at = text;

	*value = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		*value = *value * 10 + (*at - '0');
		if (*value > max)
			break;
	}
	if (at == text || *at || !*value)
		return refuse(why, EXIT_USAGE, "",
			      "%s wants a whole number from 1 to %llu, not '%s'", option,
			      (unsigned long long)max, show(text).text);
	return 0;
}

static int add_pid(struct options *options, const char *text, struct refusal *why)
{
	uint64_t value;
	size_t i;
	pid_t *pid;

	if (parse_count("--pid", text, INT_MAX, &value, why)) {
		snprintf(why->remedy, sizeof(why->remedy),
			 "find it with: pgrep -af python; several: -p 1 -p 2");
		return -1;
	}
	for (i = 0; i < options->pid_cnt; i++)
		if ((uint64_t)options->pid[i] == value)
			return 0;
	pid = reallocarray(options->pid, options->pid_cnt + 1, sizeof(*pid));
	if (!pid)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	pid[options->pid_cnt++] = (pid_t)value;
	options->pid = pid;
	return 0;
}

static int add_string(struct string_list *list, const char *option, const char *text,
		      struct refusal *why)
{
	const char **item;

	if (!*text)
		return refuse(why, EXIT_USAGE, SEE_HELP, "--%s is empty", option);
	item = reallocarray(list->item, list->cnt + 1, sizeof(*item));
	if (!item)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	item[list->cnt++] = text;
	list->item = item;
	return 0;
}

/* MODULE:FUNCTION, FUNCTION or MODULE: */
static int add_place(struct string_list *list, const char *option, const char *text,
		     struct refusal *why)
{
	const char *colon = strchr(text, ':');

	if (!strcmp(text, ":") || (colon && strchr(colon + 1, ':')))
		return refuse(why, EXIT_USAGE,
			      "write MODULE:FUNCTION, FUNCTION or MODULE:, such as app.db:fetch",
			      "--%s '%s' names no function", option, show(text).text);
	return add_string(list, option, text, why);
}

static int parse_tier(struct options *options, const char *text, struct refusal *why)
{
	if (!strcmp(text, "auto"))
		options->tier = TIER_AUTO;
	else if (!strcmp(text, "exact"))
		options->tier = TIER_EXACT;
	else if (!strcmp(text, "light"))
		return refuse(why, EXIT_INTERPRETER, "use --tier exact",
			      "the light tier is not built yet");
	else
		return refuse(why, EXIT_USAGE, "write auto or exact", "no such tier: '%s'",
			      show(text).text);
	return 0;
}

static int parse_word(struct parse *parse, const char *word)
{
	struct shown shown = show(word);
	size_t i;

	if (parse->has_command)
		return refuse(parse->why, EXIT_USAGE,
			      *word >= '0' && *word <= '9' ? "a process is given with -p"
							   : SEE_HELP,
			      "don't know what to do with '%s'", shown.text);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word, commands[i].name))
			continue;
		parse->has_command = true;
		parse->options->command = commands[i].command;
		return 0;
	}
	return refuse(parse->why, EXIT_USAGE,
		      *word >= '0' && *word <= '9' ? "a process is given with -p" : SEE_HELP,
		      "no such command: '%s'", shown.text);
}

static int parse_option(struct parse *parse, int letter, const char *text)
{
	struct options *options = parse->options;
	struct refusal *why = parse->why;
	uint64_t value;

	switch (letter) {
	case 'p':
		return add_pid(options, text, why);
	case 'd':
		if (parse_time(text, true, &options->duration_ns, why))
			return -1;
		if (!options->duration_ns)
			return refuse(why, EXIT_USAGE, "leave it out to go on until Ctrl-C",
				      "--duration must be more than 0");
		return 0;
	case 'n':
		return parse_count("--count", text, UINT32_MAX, &options->stall_cnt_max, why);
	case 't':
		if (options_parse_time(text, &options->threshold_ns, why))
			return -1;
		if (options->threshold_ns < THRESHOLD_MIN_NS)
			return refuse(why, EXIT_USAGE, "1ms shows nearly every callback already",
				      "--threshold must be 1us or more");
		return 0;
	case OPTION_TIER:
		return parse_tier(options, text, why);
	case OPTION_ONLY:
		return add_place(&options->only, "only", text, why);
	case OPTION_EXCLUDE:
		return add_place(&options->exclude, "exclude", text, why);
	case OPTION_CAUSE:
		return add_string(&options->cause, "cause", text, why);
	case OPTION_TASK:
		return add_string(&options->task, "task", text, why);
	case OPTION_STACK_DEPTH:
		if (parse_count("--stack-depth", text, AP_FRAMES_MAX, &value, why))
			return -1;
		options->stack_depth = (unsigned int)value;
		return 0;
	case OPTION_FULL_FILENAMES:
		options->full_filenames = true;
		return 0;
	case 'o':
		if (!*text)
			return refuse(why, EXIT_USAGE, "leave it out for stdout",
				      "--output names no file");
		options->output = text;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case OPTION_LOG:
		options->log = true;
		return 0;
	case OPTION_NO_COLOR:
		options->no_color = true;
		return 0;
	case 'q':
		parse->quiet = true;
		return 0;
	case 'v':
		options->verbosity++;
		return 0;
	default: /* -h, --version, --json-schema: see options__parse() */
		return 0;
	}
}

static const char *option_name(int letter)
{
	size_t i;

	for (i = 0; long_options[i].name; i++)
		if (long_options[i].val == letter)
			return long_options[i].name;
	return "?";
}

/* What only the whole line can tell. */
static int check_whole(struct parse *parse)
{
	struct options *options = parse->options;
	struct refusal *why = parse->why;
	size_t i, k, taken = sizeof(doctor_options) / sizeof(doctor_options[0]);

	if (options->command == COMMAND_DOCTOR) {
		for (i = 0; long_options[i].name; i++) {
			if (!parse->used[long_options[i].val])
				continue;
			for (k = 0; k < taken; k++)
				if (doctor_options[k] == long_options[i].val)
					break;
			if (k == taken)
				return refuse(why, EXIT_USAGE, "asyncprof doctor --help",
					      "doctor has no --%s", long_options[i].name);
		}
		return 0;
	}
	if (!options->pid_cnt)
		return refuse(why, EXIT_USAGE, "asyncprof -p PID; find it with: pgrep -af python",
			      "which process?");
	if (options->json && options->log)
		return refuse(why, EXIT_USAGE, "choose one", "--json and --log contradict");
	if (parse->quiet && options->verbosity)
		return refuse(why, EXIT_USAGE, "choose one", "--quiet and --verbose contradict");
	if (parse->quiet)
		options->verbosity = -1;
	return 0;
}

int options__parse(struct options *options, int argc, char **argv, struct refusal *why)
{
	struct parse parse = {.options = options, .why = why};
	const char *no_color = getenv("NO_COLOR");
	int letter;

	*options = (struct options){
		.command = COMMAND_WATCH,
		.threshold_ns = THRESHOLD_DEFAULT_NS,
		.no_color = no_color && *no_color, /* as https://no-color.org has it */
	};
	opterr = 0;
	optind = 0; /* glibc: start anew, also after an earlier run that stopped midway */
	while ((letter = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (letter == ':')
			return refuse(why, EXIT_USAGE, SEE_HELP, "--%s wants a value",
				      option_name(optopt));
		if (letter == '?')
			return refuse(why, EXIT_USAGE, SEE_HELP, "no such option: '%s'",
				      show(argv[optind - 1]).text);
		if (letter == 1) {
			if (parse_word(&parse, optarg))
				return -1;
			continue;
		}
		parse.used[letter] = true;
		if (parse_option(&parse, letter, optarg))
			return -1;
	}
	if (optind < argc)
		return refuse(why, EXIT_USAGE, "start it yourself and give its pid with -p",
			      "can't start a program: '%s'", show(argv[optind]).text);
	if (parse.used['h']) {
		options->help_for = parse.has_command ? options->command : COMMAND_HELP;
		options->command = COMMAND_HELP;
		return 0;
	}
	if (parse.used[OPTION_VERSION] || parse.used[OPTION_SCHEMA]) {
		options->command = parse.used[OPTION_VERSION] ? COMMAND_VERSION : COMMAND_SCHEMA;
		return 0;
	}
	return check_whole(&parse);
}

void options__free(struct options *options)
{
	if (!options)
		return;
	free(options->pid);
	free(options->only.item);
	free(options->exclude.item);
	free(options->cause.item);
	free(options->task.item);
	*options = (struct options){0};
}
