/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

static const int stops[] = { SIGINT, SIGTERM, SIGHUP };

#define STOP_CNT (sizeof(stops) / sizeof(stops[0]))

static volatile sig_atomic_t stop_asked[STOP_CNT], from_kernel[STOP_CNT], summary_asked;
static struct sigaction stop_before[STOP_CNT], pipe_before;

static void on_signal(int number, siginfo_t *info, void *context)
{
	size_t i;

	(void)context;
	if (number == SIGUSR1)
		summary_asked = 1;
	for (i = 0; i < STOP_CNT; i++) {
		if (stops[i] != number)
			continue;
		from_kernel[i] = info->si_code == SI_KERNEL;
		stop_asked[i] = 1;
	}
}

void signals_catch(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	size_t i;

	sigemptyset(&act.sa_mask);
	for (i = 0; i < STOP_CNT; i++)
		sigaction(stops[i], &act, &stop_before[i]);
	for (i = 0; i < STOP_CNT; i++)
		if (stops[i] == SIGHUP && stop_before[i].sa_handler == SIG_IGN)
			sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGUSR1, &act, NULL);
	sigemptyset(&ignore.sa_mask);
	sigaction(SIGPIPE, &ignore, &pipe_before);
}

void signals_give_back(void)
{
	size_t i;

	sigaction(SIGPIPE, &pipe_before, NULL);
	for (i = 0; i < STOP_CNT; i++)
		if (stop_before[i].sa_handler == SIG_IGN)
			sigaction(stops[i], &stop_before[i], NULL);
}

int signals_stop_asked(void)
{
	size_t i;

	for (i = 0; i < STOP_CNT; i++)
		if (stop_asked[i])
			return stops[i];
	return 0;
}

int signals_take_stop(bool *from_terminal)
{
	size_t i;

	for (i = 0; i < STOP_CNT; i++) {
		if (!stop_asked[i])
			continue;
		/* First this: one that comes now is another one. */
		stop_asked[i] = 0;
		*from_terminal = from_kernel[i];
		return stops[i];
	}
	return 0;
}

int signals_summary_asked(void)
{
	int asked = summary_asked;

	summary_asked = 0;
	return asked;
}
