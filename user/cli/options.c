/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * argv and the environment, read once. Nonsense gets one line that says what
 * is wrong with which option, and what to write instead: a tool that is run in
 * the middle of an outage has no time for a manual.
 *
 * It must never guess: what could be meant in two ways is refused, and so is
 * an option that would change nothing.
 */
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/parse.h"
#include "cli/values.h"
#include "record.h"

/* asyncio's own slow_callback_duration (Lib/asyncio/base_events.py) */
#define THRESHOLD_DEFAULT_NS (100 * 1000000ULL)
#define THRESHOLD_MIN_NS     1000ULL

#define RATE_DEFAULT_HZ 99 /* not a divisor of anything that programs do */
#define RATE_MAX_HZ	1000

#define WATCH	 (1U << COMMAND_WATCH)
#define RECORD	 (1U << COMMAND_RECORD)
#define REPORT	 (1U << COMMAND_REPORT)
#define DOCTOR	 (1U << COMMAND_DOCTOR)
#define ANYWHERE (WATCH | RECORD | REPORT | DOCTOR)

/* Every option there is, and the commands that take it. */
static const struct {
	const char *name;
	int letter; /* above 255: it has only its long name */
	int has_value;
	unsigned int commands;
} table[] = {
	{"pid", 'p', 1, WATCH | RECORD | DOCTOR},
	{"subprocesses", 's', 0, WATCH | RECORD},
	{"as-root", OPTION_AS_ROOT, 0, WATCH | RECORD},
	{"duration", 'd', 1, WATCH | RECORD},
	{"count", 'n', 1, WATCH},
	{"threshold", 't', 1, WATCH | RECORD},
	{"tier", OPTION_TIER, 1, WATCH | RECORD},
	{"rate", 'r', 1, RECORD},
	{"kernel", OPTION_KERNEL, 0, RECORD},
	{"native", OPTION_NATIVE, 0, RECORD},
	{"diff", OPTION_DIFF, 1, REPORT},
	{"clock", OPTION_CLOCK, 1, RECORD | REPORT},
	{"by", OPTION_BY, 1, RECORD | REPORT},
	{"per-process", OPTION_PER_PROCESS, 0, RECORD | REPORT},
	{"threads", OPTION_THREADS, 0, RECORD | REPORT},
	{"idle", OPTION_IDLE, 0, RECORD | REPORT},
	{"only", OPTION_ONLY, 1, WATCH | REPORT},
	{"exclude", OPTION_EXCLUDE, 1, WATCH | REPORT},
	{"cause", OPTION_CAUSE, 1, WATCH | REPORT},
	{"task", OPTION_TASK, 1, WATCH | REPORT},
	{"stack-depth", OPTION_STACK_DEPTH, 1, WATCH | REPORT},
	{"full-filenames", OPTION_FULL_FILENAMES, 0, WATCH | RECORD | REPORT},
	{"output", 'o', 1, WATCH | RECORD | REPORT},
	{"format", 'f', 1, RECORD | REPORT},
	{"json", 'j', 0, WATCH | REPORT | DOCTOR},
	{"log", OPTION_LOG, 0, WATCH | REPORT},
	{"no-color", OPTION_NO_COLOR, 0, ANYWHERE},
	{"quiet", 'q', 0, WATCH | RECORD | REPORT},
	{"verbose", 'v', 0, WATCH | RECORD | REPORT},
	{"json-schema", OPTION_SCHEMA, 0, ANYWHERE},
	{"help", 'h', 0, ANYWHERE},
	{"version", OPTION_VERSION, 0, ANYWHERE},
};

#define OPTION_CNT (sizeof(table) / sizeof(table[0]))

static const struct {
	const char *name;
	enum command command;
} commands[] = {
	{"watch", COMMAND_WATCH},
	{"record", COMMAND_RECORD},
	{"report", COMMAND_REPORT},
	{"doctor", COMMAND_DOCTOR},
};

const char *parse_option_name(int letter)
{
	size_t i;

	for (i = 0; i < OPTION_CNT; i++)
		if (table[i].letter == letter)
			return table[i].name;
	return "?";
}

const char *parse_command_name(enum command command)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].command == command)
			return commands[i].name;
	return "?";
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
			      value_show(text).text);
	return 0;
}

/* One of a few words, as `from_name` knows them. */
static int parse_choice(int (*from_name)(const char *name), const char *what, const char *text,
			const char *choices, int *value, struct refusal *why)
{
	*value = from_name(text);
	if (*value >= 0)
		return 0;
	return refuse(why, EXIT_USAGE, choices, "no such %s: '%s'", what, value_show(text).text);
}

static int parse_format(struct options *options, const char *text, struct refusal *why)
{
	int value = format_from_name(text);

	options->format = value < 0 ? FORMAT_NONE : (enum format)value;
	if (options->format != FORMAT_NONE)
		return 0;
	refuse(why, EXIT_USAGE, "", "no such format: '%s'", value_show(text).text);
	snprintf(why->remedy, sizeof(why->remedy), "choose from %s", format_names());
	return -1;
}

static int parse_threshold(struct options *options, const char *text, struct refusal *why)
{
	if (options_parse_time(text, &options->threshold_ns, why))
		return -1;
	if (options->threshold_ns < THRESHOLD_MIN_NS)
		return refuse(why, EXIT_USAGE, "1ms shows nearly every callback already",
			      "--threshold must be 1us or more");
	return 0;
}

static int parse_duration(struct options *options, const char *text, struct refusal *why)
{
	if (value_time(text, true, &options->duration_ns, why))
		return -1;
	if (!options->duration_ns)
		return refuse(why, EXIT_USAGE, "leave it out to go on until Ctrl-C",
			      "--duration must be more than 0");
	return 0;
}

/* The options that shape a flame graph. */
static int parse_flame_option(struct parse *parse, int letter, const char *text)
{
	struct flame_options *flame = &parse->options->flame;
	int value;

	switch (letter) {
	case OPTION_CLOCK:
		if (parse_choice(flame_clock_from_name, "clock", text, "write wall, cpu or blocked",
				 &value, parse->why))
			return -1;
		flame->clock = (enum flame_clock)value;
		return 0;
	case OPTION_BY:
		if (parse_choice(flame_by_from_name, "grouping", text,
				 "write task, coroutine or function", &value, parse->why))
			return -1;
		flame->by = (enum flame_by)value;
		return 0;
	case OPTION_PER_PROCESS:
		flame->per_process = true;
		return 0;
	case OPTION_THREADS:
		flame->threads = true;
		return 0;
	case OPTION_IDLE:
		flame->idle = true;
		return 0;
	default:
		return 0;
	}
}

/* The options without a value: each sets its flag. */
static void set_flag(struct parse *parse, int letter)
{
	struct options *options = parse->options;

	switch (letter) {
	case OPTION_FULL_FILENAMES:
		options->full_filenames = true;
		options->flame.full_filenames = true;
		break;
	case 's':
		options->subprocesses = true;
		break;
	case OPTION_AS_ROOT:
		options->as_root = true;
		break;
	case OPTION_KERNEL:
		options->kernel = true;
		break;
	case OPTION_NATIVE:
		options->native = true;
		break;
	case 'j':
		options->json = true;
		break;
	case OPTION_LOG:
		options->log = true;
		break;
	case OPTION_NO_COLOR:
		options->no_color = true;
		break;
	case 'q':
		parse->quiet = true;
		break;
	case 'v':
		options->verbosity++;
		break;
	default: /* -h, --version, --json-schema: see options__parse() */
		break;
	}
}

static int parse_option(struct parse *parse, int letter, const char *text)
{
	struct options *options = parse->options;
	struct refusal *why = parse->why;
	uint64_t value;

	switch (letter) {
	case 'p':
		return value_add_pid(options, text, why);
	case 'd':
		return parse_duration(options, text, why);
	case 'n':
		return value_count("--count", text, UINT32_MAX, &options->stall_cnt_max, why);
	case 't':
		return parse_threshold(options, text, why);
	case 'r':
		if (value_count("--rate", text, RATE_MAX_HZ, &value, why))
			return -1;
		options->rate_hz = (unsigned int)value;
		return 0;
	case OPTION_TIER:
		return parse_tier(options, text, why);
	case OPTION_ONLY:
		return value_add_place(&options->only, "only", text, why);
	case OPTION_EXCLUDE:
		return value_add_place(&options->exclude, "exclude", text, why);
	case OPTION_CAUSE:
		return value_add_string(&options->cause, "cause", text, why);
	case OPTION_TASK:
		return value_add_string(&options->task, "task", text, why);
	case OPTION_STACK_DEPTH:
		if (value_count("--stack-depth", text, AP_FRAMES_MAX, &value, why))
			return -1;
		options->stack_depth = (unsigned int)value;
		return 0;
	case 'o':
		if (!*text)
			return refuse(why, EXIT_USAGE, "leave it out for stdout",
				      "--output names no file");
		options->output = text;
		return value_add_string(&options->outputs, "output", text, why);
	case 'f':
		return parse_format(options, text, why);
	case OPTION_DIFF:
		if (!*text)
			return refuse(why, EXIT_USAGE, "asyncprof report --diff OLD NEW",
				      "--diff names no file");
		options->diff_old = text;
		return 0;
	case OPTION_CLOCK:
	case OPTION_BY:
	case OPTION_PER_PROCESS:
	case OPTION_THREADS:
	case OPTION_IDLE:
		return parse_flame_option(parse, letter, text);
	default:
		set_flag(parse, letter);
		return 0;
	}
}

/* What to write instead of a word that nothing takes. */
static const char *word_remedy(const char *word, bool starts_programs)
{
	if (*word >= '0' && *word <= '9')
		return "a process is given with -p";
	return starts_programs ? "a program to start comes after --" : SEE_HELP;
}

/* A word that is no option: the command, or what that takes. */
static int parse_word(struct parse *parse, const char *word)
{
	struct options *options = parse->options;
	size_t i;

	if (parse->has_command && options->command == COMMAND_REPORT && !options->file) {
		if (!*word)
			return refuse(parse->why, EXIT_USAGE, "asyncprof report FILE",
				      "the name of the recording is empty");
		options->file = word;
		return 0;
	}
	if (parse->has_command)
		return refuse(parse->why, EXIT_USAGE,
			      word_remedy(word, options->command == COMMAND_WATCH ||
							options->command == COMMAND_RECORD),
			      "don't know what to do with '%s'", value_show(word).text);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word, commands[i].name))
			continue;
		parse->has_command = true;
		options->command = commands[i].command;
		return 0;
	}
	return refuse(parse->why, EXIT_USAGE, word_remedy(word, false), "no such command: '%s'",
		      value_show(word).text);
}

/* What stands after "--": a program, or words that begin with '-'. */
static int parse_rest(struct parse *parse, char **rest)
{
	struct options *options = parse->options;
	size_t i;

	if (options->command == COMMAND_WATCH || options->command == COMMAND_RECORD) {
		if (!*rest || !**rest)
			return refuse(parse->why, EXIT_USAGE, "such as: -- python3 app.py",
				      "no program after --");
		options->program = rest;
		return 0;
	}
	if (options->command == COMMAND_DOCTOR && *rest)
		return refuse(parse->why, EXIT_USAGE, "asyncprof doctor --help",
			      "doctor starts no program");
	for (i = 0; rest[i]; i++)
		if (parse_word(parse, rest[i]))
			return -1;
	return 0;
}

/* Nothing may be given that the command would not look at. */
static int check_taken(struct parse *parse)
{
	enum command command = parse->options->command;
	size_t i;

	for (i = 0; i < OPTION_CNT; i++) {
		if (!parse->used[table[i].letter] || table[i].commands & 1U << command)
			continue;
		refuse(parse->why, EXIT_USAGE, "", "%s has no --%s", parse_command_name(command),
		       table[i].name);
		snprintf(parse->why->remedy, sizeof(parse->why->remedy), "asyncprof %s --help",
			 parse_command_name(command));
		return -1;
	}
	return 0;
}

/* --- argv --------------------------------------------------------------------------------- */

/* The table as getopt_long() wants it. */
struct getopt_words {
	char letters[2 + 2 * OPTION_CNT + 1];
	struct option names[OPTION_CNT + 1];
};

static void fill_words(struct getopt_words *words)
{
	char *at = words->letters;
	size_t i;

	memset(words, 0, sizeof(*words));
	*at++ = '-'; /* hand over words that are no options, in their order */
	*at++ = ':'; /* tell a missing value */
	for (i = 0; i < OPTION_CNT; i++) {
		words->names[i] = (struct option){
			.name = table[i].name,
			.has_arg = table[i].has_value ? required_argument : no_argument,
			.val = table[i].letter,
		};
		if (table[i].letter > 255)
			continue;
		*at++ = (char)table[i].letter;
		if (table[i].has_value)
			*at++ = ':';
	}
}

/* All of argv, word by word. */
static int parse_words(struct parse *parse, int argc, char **argv)
{
	struct getopt_words words;
	int letter, before;

	fill_words(&words);
	opterr = 0;
	optind = 0; /* glibc: start anew, also after an earlier run that stopped midway */
	for (;;) {
		before = optind;
		letter = getopt_long(argc, argv, words.letters, words.names, NULL);
		if (letter == -1)
			break;
		if (letter == ':')
			return refuse(parse->why, EXIT_USAGE, SEE_HELP, "--%s wants a value",
				      parse_option_name(optopt));
		if (letter == '?')
			return refuse(parse->why, EXIT_USAGE, SEE_HELP, "no such option: '%s'",
				      value_show(argv[optind - 1]).text);
		if (letter == 1) {
			if (parse_word(parse, optarg))
				return -1;
			continue;
		}
		parse->used[letter] = true;
		if (parse_option(parse, letter, optarg))
			return -1;
	}
	/* The last call went past a "--", or past nothing at all. */
	return optind > before && optind > 1 ? parse_rest(parse, argv + optind) : 0;
}

int options__parse(struct options *options, int argc, char **argv, struct refusal *why)
{
	struct parse parse = {.options = options, .why = why};
	const char *no_color = getenv("NO_COLOR");

	*options = (struct options){
		.command = COMMAND_WATCH,
		.threshold_ns = THRESHOLD_DEFAULT_NS,
		.rate_hz = RATE_DEFAULT_HZ,
		.no_color = no_color && *no_color, /* as https://no-color.org has it */
	};
	if (parse_words(&parse, argc, argv))
		return -1;
	if (parse.used['h']) {
		options->help_for = parse.has_command ? options->command : COMMAND_HELP;
		options->command = COMMAND_HELP;
		return 0;
	}
	if (parse.used[OPTION_VERSION] || parse.used[OPTION_SCHEMA]) {
		options->command = parse.used[OPTION_VERSION] ? COMMAND_VERSION : COMMAND_SCHEMA;
		return 0;
	}
	return check_taken(&parse) || parse_check(&parse) ? -1 : 0;
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
	free(options->outputs.item);
	*options = (struct options){0};
}
