/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The summary for people: per loop iterations, busy time and stalls by place;
 * the accounts and whether they hold; losses; what the run cost.
 *
 * It must never hide a loss or an account that does not add up.
 */
#ifndef ASYNCPROF_SUMMARY_H
#define ASYNCPROF_SUMMARY_H

#include <stdio.h>

#include "model/run.h"
#include "report/display.h"

/* 0, or -EIO when it could not be written. */
int summary_text(FILE *out, const struct display *display, const struct run_summary *summary);

#endif
