/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The kernel's own symbols, from /proc/kallsyms, read once.
 *
 * It must never call an unknown address by a neighbour's name: with addresses hidden
 * (kptr_restrict) there are none.
 */
#ifndef ASYNCPROF_KALLSYMS_H
#define ASYNCPROF_KALLSYMS_H

#include <stdint.h>

struct kallsyms;

/* 0; -EPERM: the addresses are hidden; another negative errno. */
int kallsyms__open(struct kallsyms **out);
void kallsyms__close(struct kallsyms *k);

/* The symbol that holds `addr`, NULL: none. Lives until the close. */
const char *kallsyms_find(const struct kallsyms *k, uint64_t addr);

#endif
