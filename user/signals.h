/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the user says while a run goes on: enough (SIGINT, SIGTERM, SIGHUP), or
 * a summary so far (SIGUSR1). A closed pipe shows as EPIPE where we write.
 */
#ifndef ASYNCPROF_SIGNALS_H
#define ASYNCPROF_SIGNALS_H

void signals_catch(void);
int signals_stop_asked(void);
int signals_summary_asked(void); /* once for each time it was asked */

#endif
