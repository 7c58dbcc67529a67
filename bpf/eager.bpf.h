/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Tasks that run inside the callback of another one. */
#ifndef ASYNCPROF_EAGER_BPF_H
#define ASYNCPROF_EAGER_BPF_H

#include "thread.bpf.h"

/*
 * The number of the eager task that callback `index` runs inside, which is named; 0: none. After
 * rule_look() has seen it.
 */
__u64 eager_look(struct ap_thread *t, __u32 index);

#endif
