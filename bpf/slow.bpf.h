/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is sent of a callback. Global functions, see rule.bpf.h. */
#ifndef ASYNCPROF_SLOW_BPF_H
#define ASYNCPROF_SLOW_BPF_H

#include "thread.bpf.h"

/* A closed callback or iteration, with its name and its longest block. */
int slow_send(struct ap_thread *t, __u32 index, __u32 end, __u64 hi);

/* Who a callback is; `alive`: its task can't have been freed. */
int name_send(struct ap_thread *t, __u32 index, int alive);

/* At a sight of callback `index` running: what its task is called, if that is one in Python. */
int name_py_task(struct ap_thread *t, __u32 index);

/* Who the eager task is that callback `index` runs inside, by the number that it has got. */
int name_child(struct ap_thread *t, __u32 index, __u64 child);

/* The code objects of a stack that were not sent yet. */
int code_send_stack(struct ap_thread *t, __u32 stack);

/* An off-CPU interval of open callback `index`, with the code of its stack; `flags`: AP_T_*. */
int block_send(struct ap_thread *t, __u32 block, __u32 index, __u32 flags);

#endif
