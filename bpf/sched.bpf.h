/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What sched.bpf.c does for others. A global function, see rule.bpf.h. */
#ifndef ASYNCPROF_SCHED_BPF_H
#define ASYNCPROF_SCHED_BPF_H

#include "thread.bpf.h"

/* Account the off-CPU interval that is over, if one is pending. */
int sched_settle(struct ap_thread *t);

#endif
