/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What --help says: how to use it, by example, then what there is. It must
 * never list what does not exist.
 */
#include "cli/options.h"

/* What commands have in common. */
#define PROGRAM_HELP                                                                               \
	"  -- PROGRAM ...           start it, and go on until it ends; as the user behind sudo\n"  \
	"      --as-root            start it as root\n"

#define STALLS_HELP                                                                                \
	"      --only PLACE         stalls with PLACE in their stack: MODULE:FUNCTION,\n"          \
	"                           FUNCTION or MODULE:\n"                                         \
	"      --exclude PLACE      not those\n"                                                   \
	"      --cause CAUSE        cpu, sleep, socket, dns, pipe, file, flock, child,\n"          \
	"                           poll, lock, gil, fault, runqueue, throttled, ...\n"            \
	"      --task NAME          stalls of that task\n"

#define VIEW_HELP                                                                                  \
	"      --clock CLOCK        wall (cpu and blocked; unless given), cpu or blocked\n"        \
	"      --by WHAT            task (unless given), coroutine or function\n"                  \
	"      --per-process        processes of one name apart\n"                                 \
	"      --threads            plain threads as well as event loops\n"                        \
	"      --idle               also the time in which loops wait for work\n"

#define FORMAT_HELP                                                                                \
	"  -f, --format FORMAT      svg, html, folded, speedscope, pprof, ndjson, apdb\n"

static const char help[] =
	"asyncprof: says from outside why a Python asyncio program is slow.\n"
	"\n"
	"  sudo asyncprof -p PID             each slow callback as it happens, and why\n"
	"  sudo asyncprof -p PID -t 20ms     lower the bar; asyncio's own is 100ms\n"
	"  sudo asyncprof -p PID -d 60 -j -o stalls.ndjson\n"
	"  sudo asyncprof -- python3 app.py  the same for a program, from its first line\n"
	"  sudo asyncprof -s -p PID          a server with all its workers\n"
	"  sudo asyncprof record -p PID -d 30 -o out.svg\n"
	"                                    a picture of where the time goes\n"
	"  sudo asyncprof doctor -p PID      what works here, what does not, the remedy\n"
	"\n"
	"A running program needs no change and no restart, and is never stopped.\n"
	"\n"
	"Commands (asyncprof COMMAND --help):\n"
	"  watch       print slow callbacks, then a summary (the default)\n"
	"  record      write a flame graph, a profile or a recording\n"
	"  report      make any of them from a recording, without the program; compare two\n"
	"  doctor      what works on this kernel and for a process\n"
	"\n"
	"Also:\n"
	"  --json-schema   the shape of what --json prints\n"
	"  --version       of asyncprof, the kernel and libbpf\n"
	"\n"
	"Exit codes: 0 done, 1 failure, 2 usage, 3 no such process or not Python,\n"
	"4 permission, 5 kernel feature missing, 6 interpreter not supported. With a\n"
	"program after --: its own code if that is not 0, 128+N if signal N ended it; 127\n"
	"it was not found, 126 it can't be run, 125 asyncprof failed before it began.\n";

static const char watch_help[] =
	"asyncprof [watch] -p PID | -- PROGRAM [ARGUMENTS]  [options]\n"
	"\n"
	"Prints each callback that blocks its event loop for longer than the threshold,\n"
	"also while it still hangs: task, coroutine, line, how long, and on what. Ends on\n"
	"Ctrl-C, or when the program exits, with a summary.\n"
	"\n"
	"  sudo asyncprof -p 1234\n"
	"  sudo asyncprof -p 1234 -t 20ms -n 10      the first ten over 20 ms\n"
	"  sudo asyncprof -p 1234 --cause socket     only those that waited for a peer\n"
	"  sudo asyncprof -p 1234 --only app.db:     only those inside module app.db\n"
	"  sudo asyncprof -p 1234 --log >> slow.log  lines as asyncio's debug mode logs\n"
	"  sudo asyncprof -o stalls.txt -- python3 app.py\n"
	"\n"
	"What to watch:\n"
	"  -p, --pid PID            may be given several times\n" PROGRAM_HELP
	"  -s, --subprocesses       also what it has started, and will start\n"
	"  -d, --duration SECONDS   stop after that time (also: 500ms, 10min)\n"
	"  -n, --count N            stop after N stalls\n"
	"  -t, --threshold TIME     100ms unless given; with its unit: 250us, 1ms, 2s\n"
	"      --tier auto|exact    how to measure; both are exact for now\n"
	"\n"
	"What to print (each may be given several times):\n" STALLS_HELP "\n"
	"How to print it:\n"
	"      --stack-depth N      at most N frames per stall (6 unless given)\n"
	"      --full-filenames     whole paths\n"
	"  -o, --output FILE        instead of stdout\n"
	"  -j, --json               one JSON object a line (asyncprof --json-schema)\n"
	"      --log                lines in the format of asyncio's debug log\n"
	"      --no-color           also with NO_COLOR in the environment\n"
	"  -q, --quiet              stalls only: no greeting, no summary\n"
	"  -v, --verbose            library frames, where the time went, all places\n"
	"\n"
	"SIGUSR1 prints a summary so far. Stalls go to stdout, messages to stderr; a\n"
	"program after -- writes to the same places, so give -o to keep them apart.\n";

static const char record_help[] =
	"asyncprof record -p PID | -- PROGRAM [ARGUMENTS]  [options]\n"
	"\n"
	"Writes where the time of the event loops goes, by task and coroutine: on CPU, and\n"
	"blocked inside callbacks. Time in which a loop just waits for work is left out.\n"
	"Ends after the duration, on Ctrl-C, or when the program exits.\n"
	"\n"
	"  sudo asyncprof record -p 1234 -d 30              asyncprof-1234-DATE.svg\n"
	"  sudo asyncprof record -p 1234 -d 30 -o out.html\n"
	"  sudo asyncprof record -p 1234 -o all.apdb        a recording, for asyncprof report\n"
	"  sudo asyncprof record -p 1234 -o out.svg -o all.apdb   both\n"
	"  sudo asyncprof record -p 1234 -o out.svg --clock blocked --by coroutine\n"
	"  sudo asyncprof record -o out.svg -- python3 app.py\n"
	"  sudo asyncprof record -p 1234 -d 9 -f folded -o - | flamegraph.pl > out.svg\n"
	"\n"
	"What to record:\n"
	"  -p, --pid PID            may be given several times\n" PROGRAM_HELP
	"  -s, --subprocesses       also what it has started, and will start\n"
	"  -d, --duration SECONDS   stop after that time (also: 500ms, 10min)\n"
	"  -r, --rate HZ            samples a second on CPU, 99 unless given; blocked time is\n"
	"                           measured, not sampled\n"
	"      --kernel             frames of the kernel as well\n"
	"      --native             frames of C code as well\n"
	"  -t, --threshold TIME     from when a callback is a stall: 100ms unless given\n"
	"      --tier auto|exact    how to measure; both are exact for now\n"
	"\n"
	"What to show:\n" VIEW_HELP "      --full-filenames     whole paths\n"
	"\n"
	"Where to:\n"
	"  -o, --output FILE        its name tells the format; - is stdout; several files of\n"
	"                           one run: -o a.svg -o a.apdb\n" FORMAT_HELP
	"      --no-color           also with NO_COLOR in the environment\n"
	"  -q, --quiet              no progress, no greeting\n"
	"  -v, --verbose            more about what was lost and why\n";

static const char report_help[] =
	"asyncprof report FILE [options]\n"
	"asyncprof report --diff OLD NEW [options]\n"
	"\n"
	"Makes from a recording (asyncprof record -o FILE.apdb) whatever the run itself could\n"
	"have made: on stdout its stalls and summary as text, unless another format is asked\n"
	"for. Needs neither the program nor root.\n"
	"\n"
	"  asyncprof report all.apdb\n"
	"  asyncprof report all.apdb -o out.svg --clock cpu\n"
	"  asyncprof report all.apdb -j --cause socket | jq .duration_ms\n"
	"  asyncprof report --diff monday.apdb today.apdb          a table: what grew\n"
	"  asyncprof report --diff monday.apdb today.apdb -o diff.svg\n"
	"\n"
	"      --diff OLD           compare: text, svg or html\n"
	"  -o, --output FILE        its name tells the format; - is stdout\n" FORMAT_HELP
	"                           or text\n"
	"  -j, --json               the same as -f ndjson\n"
	"      --log                stalls in the format of asyncio's debug log\n"
	"\n"
	"In pictures and profiles:\n" VIEW_HELP "\n"
	"In lists of stalls (each may be given several times):\n" STALLS_HELP
	"      --stack-depth N      at most N frames per stall (6 unless given)\n"
	"\n"
	"      --full-filenames     whole paths\n"
	"      --no-color           also with NO_COLOR in the environment\n"
	"  -q, --quiet              stalls only: no greeting, no summary\n"
	"  -v, --verbose            library frames, where the time went, all places\n";

static const char doctor_help[] =
	"asyncprof doctor [-p PID]... [options]\n"
	"\n"
	"Tries what asyncprof needs from the kernel, and with -p also finds the\n"
	"interpreter and the places to probe, without attaching. Exits as watch would.\n"
	"\n"
	"  sudo asyncprof doctor\n"
	"  sudo asyncprof doctor -p 1234\n"
	"  sudo asyncprof doctor -p 1234 --json | jq .sites\n"
	"\n"
	"  -p, --pid PID            may be given several times\n"
	"  -j, --json               one JSON object\n"
	"      --no-color           also with NO_COLOR in the environment\n";

const char *options_help(enum command command)
{
	switch (command) {
	case COMMAND_WATCH:
		return watch_help;
	case COMMAND_RECORD:
		return record_help;
	case COMMAND_REPORT:
		return report_help;
	case COMMAND_DOCTOR:
		return doctor_help;
	default:
		return help;
	}
}
