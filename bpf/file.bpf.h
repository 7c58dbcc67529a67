/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The file or peer behind a system call. A global function, see rule.bpf.h. */
#ifndef ASYNCPROF_FILE_BPF_H
#define ASYNCPROF_FILE_BPF_H

#include "thread.bpf.h"

/* Fills the block's file from its system call and arguments. */
int file_resolve(struct ap_thread *t, __u32 block);

#endif
