/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stop_asked, summary_asked;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		summary_asked = 1;
	else
		stop_asked = 1;
}

void signals_catch(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigemptyset(&act.sa_mask);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
}

int signals_stop_asked(void)
{
	return stop_asked;
}

int signals_summary_asked(void)
{
	int asked = summary_asked;

	summary_asked = 0;
	return asked;
}
