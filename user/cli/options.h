/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the user asked for: argv and the environment, checked once, then
 * constant. Nothing else in the program reads either.
 *
 * It must never touch the kernel, a process or a file: whether a pid lives or
 * a path can be written is found out where it is used.
 */
#ifndef ASYNCPROF_OPTIONS_H
#define ASYNCPROF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/flame.h"
#include "refusal.h"
#include "report/format.h"

enum command {
	COMMAND_WATCH,
	COMMAND_RECORD,
	COMMAND_REPORT,
	COMMAND_DOCTOR,
	COMMAND_HELP,	 /* -h, --help: print options_help() of `help_for` */
	COMMAND_VERSION, /* --version */
	COMMAND_SCHEMA,	 /* --json-schema */
	COMMAND_CNT
};

/* --tier. Light is refused while parsing: it is not built yet. */
enum tier { TIER_AUTO, TIER_EXACT };

/* Strings that came from argv, in its order; they live as long as argv does. */
struct string_list {
	const char **item;
	size_t cnt;
};

struct options {
	enum command command;
	enum command help_for;	/* COMMAND_HELP: which command's; COMMAND_HELP itself: all */
	pid_t *pid;		/* each once, in the order given */
	size_t pid_cnt;		/* at least 1 for watch and record without a program; else 0 or more */
	char **program;		/* after "--": argv of the program to start, ends with NULL; NULL: none */
	bool subprocesses;	/* -s: also what they start */
	bool as_root;		/* start it as root, not as the user behind sudo */
	bool has_sudo_user;	/* start it as this one: SUDO_UID and SUDO_GID of the environment */
	uid_t sudo_uid;
	gid_t sudo_gid;
	uint64_t duration_ns;	/* 0: until Ctrl-C */
	uint64_t stall_cnt_max; /* -n: stop after that many stalls; 0: no limit */
	uint64_t threshold_ns;	/* 100 ms unless given */
	enum tier tier;
	struct string_list only; /* MODULE:FUNCTION, FUNCTION or MODULE: */
	struct string_list exclude;
	struct string_list cause; /* names of causes; the model knows which exist */
	struct string_list task;  /* task names */
	unsigned int stack_depth; /* frames printed per stall in text; 0: the useful ones */
	bool full_filenames;
	const char *output; /* the last -o; NULL: stdout */
	bool json; /* -j; in report also when the format is FORMAT_NDJSON */
	bool log;      /* lines as asyncio's debug log writes them */
	bool no_color; /* --no-color, or NO_COLOR set and not empty */
	int verbosity; /* -1: -q, 0, 1 and more: -v */

	/* record and report */
	struct string_list outputs; /* each -o; several for record only */
	enum format format;	    /* -f; record: FORMAT_NONE: from the name of each output */
	struct flame_options flame; /* --clock, --by, --per-process, --threads, --idle */
	unsigned int rate_hz;	    /* -r: ticks a second on each CPU; 99 unless given */
	bool kernel, native;	    /* frames of the kernel, of C code */
	const char *file;	    /* report FILE */
	const char *diff_old;	    /* report --diff OLD NEW: OLD; NEW is `file` */
};

/*
 * Fills `options` from argv. Returns 0, or -1 with `why` filled (EXIT_USAGE;
 * EXIT_INTERPRETER for what is not built yet). `options` must be freed with
 * options__free() in either case.
 */
int options__parse(struct options *options, int argc, char **argv, struct refusal *why);
void options__free(struct options *options);

/* The help of one command, or with COMMAND_HELP of the whole program. A constant. */
const char *options_help(enum command command);

/*
 * Reads a time with its unit ("100ms", "250us", "1.5s", "800000ns") into
 * nanoseconds. Returns 0, or -1 with `why` filled; a bare number is refused,
 * since milliseconds and seconds are guessed wrong equally often.
 */
int options_parse_time(const char *text, uint64_t *ns, struct refusal *why);

#endif
