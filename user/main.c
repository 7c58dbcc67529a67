/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * asyncprof: says from outside why a Python asyncio program is slow. Reads the
 * command line, runs the command, turns what it returns into an exit code.
 */
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/options.h"
#include "recorder.h"
#include "refusal.h"
#include "report/schema.h"
#include "watch.h"

static int say(const struct refusal *why)
{
	/* A program's own exit code needs no words. */
	if (!why->what[0])
		return why->code;
	fprintf(stderr, "asyncprof: %s%s%s\n", why->what, why->remedy[0] ? "; " : "", why->remedy);
	return why->code;
}

/* What was printed must have arrived; a closed pipe is how the reader says "enough". */
static int finish_stdout(int code)
{
	if (fflush(stdout) || ferror(stdout))
		return code ? code : EXIT_FAILED;
	return code;
}

static int run(const struct options *options)
{
	struct refusal why;
	enum exit_code code;

	switch (options->command) {
	case COMMAND_WATCH:
		code = watch_run(options, &why);
		return code == EXIT_DONE ? EXIT_DONE : say(&why);
	case COMMAND_RECORD:
		code = record_run(options, &why);
		return code == EXIT_DONE ? EXIT_DONE : say(&why);
	case COMMAND_REPORT:
		code = report_run(options, &why);
		return code == EXIT_DONE ? EXIT_DONE : say(&why);
	case COMMAND_DOCTOR:
		return finish_stdout(doctor_print(stdout, options));
	case COMMAND_HELP:
		fputs(options_help(options->help_for), stdout);
		return finish_stdout(EXIT_DONE);
	case COMMAND_VERSION:
		doctor_print_version(stdout);
		return finish_stdout(EXIT_DONE);
	case COMMAND_SCHEMA:
		return finish_stdout(schema_print(stdout) ? EXIT_FAILED : EXIT_DONE);
	default:
		break;
	}
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct options options;
	struct refusal why;
	int code;

	if (options__parse(&options, argc, argv, &why))
		code = say(&why);
	else
		code = run(&options);
	options__free(&options);
	return code;
}
