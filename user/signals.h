/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the user says while a run goes on: enough (SIGINT, SIGTERM, SIGHUP), or
 * a summary so far (SIGUSR1). A closed pipe shows as EPIPE where we write.
 *
 * A SIGHUP that was ignored when we began stays ignored, as nohup wants it. Not so SIGINT: a shell
 * ignores it for what runs in a script's background, and there `kill -INT` is how to end it.
 */
#ifndef ASYNCPROF_SIGNALS_H
#define ASYNCPROF_SIGNALS_H

#include <stdbool.h>

void signals_catch(void);
void signals_give_back(void);	 /* for a child before its exec, which resets what is handled */
int signals_stop_asked(void);	 /* the number of such a signal, 0: none */
int signals_summary_asked(void); /* once for each time it was asked */

/*
 * The same as signals_stop_asked(), once for each. `*from_terminal`: Ctrl-C, which every
 * process of the terminal's foreground got.
 */
int signals_take_stop(bool *from_terminal);

#endif
