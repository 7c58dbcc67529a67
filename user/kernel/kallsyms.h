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
#include <stdio.h>

#define KALLSYMS_MAX	 (1024 * 1024) /* symbols; a distribution's kernel has some 200 000 */
#define KALLSYMS_NAME_SZ 512	       /* KSYM_NAME_LEN (include/linux/kallsyms.h, 6.1 and newer) */
/* No function of the kernel is longer; what lies farther behind the last symbol is none of it. */
#define KALLSYMS_FUNC_SZ (1024 * 1024)

struct kallsyms;

/* 0; -EPERM: the addresses are hidden; another negative errno. */
int kallsyms__open(struct kallsyms **out);
/* The same from text of that format. */
int kallsyms__parse(FILE *text, struct kallsyms **out);
void kallsyms__close(struct kallsyms *k);

/*
 * The function that holds `addr`, with its module behind it ("ext4_iget [ext4]"), NULL: none.
 * Lives until the close. A return address belongs to the call before it: ask for it less one.
 */
const char *kallsyms_find(const struct kallsyms *k, uint64_t addr);

#endif
