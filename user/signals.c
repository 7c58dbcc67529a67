/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stop_asked, from_kernel, summary_asked;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number == SIGUSR1) {
		summary_asked = 1;
		return;
	}
	stop_asked = number;
	from_kernel = info->si_code == SI_KERNEL;
}

void signals_catch(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, old;
	size_t i;

	sigemptyset(&act.sa_mask);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int signals_stop_asked(void)
{
	return stop_asked;
}

int signals_take_stop(bool *from_terminal)
{
	int number = stop_asked;

	*from_terminal = from_kernel;
	stop_asked = 0;
	return number;
}

int signals_summary_asked(void)
{
	int asked = summary_asked;

	summary_asked = 0;
	return asked;
}
