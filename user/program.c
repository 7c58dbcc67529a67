/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "program.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "signals.h"

/* Who sends a signal to us and to our group, as timeout(1) does, means one. */
#define BURST_NS 500000000ULL

/* A reader that is short of CPU may see half of a process that has just begun. */
#define REFUSED_MAX 3

int program__start(struct program *p, const struct options *options, struct refusal *why)
{
	if (!options->program)
		return 0;
	return launch__start(options, &p->launch, why);
}

void program__close(struct program *p)
{
	launch__free(p->launch);
	p->launch = NULL;
}

/* 0: it is watched. 1: look again. -1: it can't be watched. */
static int attach(struct program *p)
{
	pid_t pid = launch_pid(p->launch);
	struct watched *target;
	struct refusal why;

	target = targets__add(p->targets, pid, &why);
	if (target && !watched__attach(target, p->session, p->emit, p->ctx, &why))
		return 0;
	if (target)
		targets__forget(p->targets, target);
	/* That it ends by now is not why it could not be watched before. */
	if (why.code == EXIT_NO_PROCESS)
		return 1;
	p->why = why;
	if (++p->refused < REFUSED_MAX)
		return 1;
	fprintf(stderr, "asyncprof: %s; the program runs on, unwatched%s%s\n", p->why.what,
		p->why.remedy[0] ? "; " : "", p->why.remedy);
	p->told = true;
	return -1;
}

/* It stands and waits for us, or has mapped a library. */
static void look(struct program *p)
{
	struct watched *target;
	bool is_new = false;
	int err = 0;

	targets_check(p->targets, p->session);
	target = targets_find(p->targets, launch_pid(p->launch));
	if (!target) {
		err = attach(p);
		target = targets_find(p->targets, launch_pid(p->launch));
		is_new = target && !err;
		if (is_new && launch_is_late(p->launch))
			fprintf(stderr, "asyncprof: Python was there before it was noticed; what "
					"ran until then was not seen\n");
	}
	if (!err) {
		p->refused = 0;
		p->attached = true;
	}
	p->holding = err > 0 || (target && target->interpreter.asyncio == ASYNCIO_NOT_LOADED);
	launch_go_on(p->launch, err > 0 ? LAUNCH_HOLD : p->holding ? LAUNCH_TELL : LAUNCH_FREE);
	/* Not while it stands: these are of use when it samples. */
	if (is_new && p->natives)
		err = natives_add(p->natives, target->process);
	if (is_new && err)
		fprintf(stderr, "asyncprof: no native stacks: %s\n", strerror(-err));
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/* The user wants us to end although the program has not. */
static bool has_enough(const struct program *p)
{
	return p->signals > 1;
}

/* A signal that the terminal did not give to the program as well is passed on; a second one is for us. */
static int pass_on(struct program *p)
{
	bool from_terminal;
	int number = signals_take_stop(&from_terminal);

	if (!number)
		return 0;
	/* The first has been acted on, also when it was for both of us. */
	if (p->signals && now_ns() - p->signal_ns < BURST_NS)
		return 0;
	if (p->signals++)
		return number;
	p->signal_ns = now_ns();
	if (!from_terminal)
		launch_signal(p->launch, number);
	return 0;
}

int program_wait(struct program *p, int timeout_ms)
{
	enum launch_news news = launch_wait(p->launch, timeout_ms);

	if (news == LAUNCH_LOOK)
		look(p);
	else if (news == LAUNCH_ENDED)
		p->ended = true;
	return pass_on(p);
}

void program_let_go(struct program *p)
{
	if (p->launch)
		launch_let_go(p->launch);
	p->holding = false;
}

void program_finish(struct program *p)
{
	if (!p->launch)
		return;
	program_let_go(p);
	while (!p->ended && !has_enough(p))
		program_wait(p, 1000);
	if (!p->ended)
		fprintf(stderr, "asyncprof: process %d goes on\n", (int)launch_pid(p->launch));
}

int program_result(const struct program *p, struct refusal *why)
{
	const char *name;
	int code;

	if (!p->launch || !p->ended)
		return 0;
	/* What ran last, unless it ended before anybody looked. */
	name = launch_comm(p->launch)[0] ? launch_comm(p->launch) : "the program";
	code = launch_exit_code(p->launch);
	if (!p->attached && !p->refused)
		refuse(why, EXIT_NO_PROCESS, p->follows ? "" : "-s watches what it starts as well",
		       "%s never became Python%s", name,
		       p->follows ? ", nor did anything that it started" : "");
	else if (!p->attached && !p->told)
		refuse(why, p->why.code, p->why.remedy, "%.140s; %s was not watched", p->why.what, name);
	else if (!p->attached)
		*why = (struct refusal){.code = p->why.code};
	else if (code)
		why->what[0] = why->remedy[0] = 0;
	else
		return 0;
	if (code)
		why->code = (enum exit_code)code;
	return -1;
}
