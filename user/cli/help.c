/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What --help says: how to use it, by example, then what there is. It must
 * never list what does not exist.
 */
#include "cli/options.h"

static const char help[] =
	"asyncprof: says from outside why a Python asyncio program is slow.\n"
	"\n"
	"  sudo asyncprof -p PID             each slow callback as it happens, and why\n"
	"  sudo asyncprof -p PID -t 20ms     lower the bar; asyncio's own is 100ms\n"
	"  sudo asyncprof -p PID -d 60 -j -o stalls.ndjson\n"
	"  sudo asyncprof doctor -p PID      what works here, what does not, the remedy\n"
	"\n"
	"The program needs no change and no restart, and is never stopped.\n"
	"\n"
	"Commands (asyncprof COMMAND --help):\n"
	"  watch       print slow callbacks, then a summary (the default)\n"
	"  doctor      what works on this kernel and for a process\n"
	"\n"
	"Also:\n"
	"  --json-schema   the shape of what --json prints\n"
	"  --version       of asyncprof, the kernel and libbpf\n"
	"\n"
	"Exit codes: 0 done, 1 failure, 2 usage, 3 no such process or not Python,\n"
	"4 permission, 5 kernel feature missing, 6 interpreter not supported.\n";

static const char watch_help[] =
	"asyncprof [watch] -p PID [options]\n"
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
	"\n"
	"What to watch:\n"
	"  -p, --pid PID            may be given several times\n"
	"  -d, --duration SECONDS   stop after that time (also: 500ms, 10min)\n"
	"  -n, --count N            stop after N stalls\n"
	"  -t, --threshold TIME     100ms unless given; with its unit: 250us, 1ms, 2s\n"
	"      --tier auto|exact    how to measure; both are exact for now\n"
	"\n"
	"What to print (each may be given several times):\n"
	"      --only PLACE         stalls with PLACE in their stack: MODULE:FUNCTION,\n"
	"                           FUNCTION or MODULE:\n"
	"      --exclude PLACE      not those\n"
	"      --cause CAUSE        cpu, sleep, socket, dns, pipe, file, flock, child,\n"
	"                           poll, lock, gil, fault, runqueue, throttled, ...\n"
	"      --task NAME          stalls of that task\n"
	"\n"
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
	"SIGUSR1 prints a summary so far. Stalls go to stdout, messages to stderr.\n";

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
	case COMMAND_DOCTOR:
		return doctor_help;
	default:
		return help;
	}
}
