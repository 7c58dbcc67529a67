/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which CPython a file is, told from the file alone: before it is known,
 * nothing in the process can be read.
 *
 * It must never take a file's name for its version: the name only narrows
 * down what is looked for.
 */
#ifndef ASYNCPROF_TARGET_VERSION_H
#define ASYNCPROF_TARGET_VERSION_H

#include "elf.h"

/*
 * PY_VERSION_HEX of the interpreter in `e`, 0: it can't be told.
 * `version_word`: where Py_Version lies (from 3.11 on), or 0.
 */
uint32_t version_read(const struct elf *e, uint64_t version_word, const char *file);

/* From names like "libpython3.10.so.1.0" and "python3.10". 0, or -1. */
int version_from_name(const char *file, unsigned int *major, unsigned int *minor);

#endif
