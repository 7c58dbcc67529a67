/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The JSON Schema of what json.h prints, made from one table.
 *
 * It must never describe a field that is not printed.
 */
#ifndef ASYNCPROF_SCHEMA_H
#define ASYNCPROF_SCHEMA_H

#include <stdio.h>

struct json_t;

/* 0, -EIO, -ENOMEM. */
int schema_print(FILE *out);

struct json_t *schema_json(void); /* owned by the caller; NULL: out of memory */

#endif
