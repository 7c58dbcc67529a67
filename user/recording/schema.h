/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What a recording looks like: schema.sql, its version, and whether a file has it.
 *
 * It must never take a table on trust: a file whose tables are not, word for
 * word, those of schema.sql is no recording.
 */
#ifndef ASYNCPROF_RECORDING_SCHEMA_H
#define ASYNCPROF_RECORDING_SCHEMA_H

#include <sqlite3.h>
#include <stdio.h>

#include "refusal.h"

#define RECORDING_VERSION	 3
#define RECORDING_APPLICATION_ID 0x41504442 /* "APDB", as file(1) can see it at offset 68 */

/* Makes tables and views. An SQLite result code. */
int schema_create(sqlite3 *db);

/* 0, or -1 with `why`: `db` has other tables than a recording. */
int schema_check(sqlite3 *db, struct refusal *why);

enum schema_file {
	SCHEMA_EMPTY,	  /* a file of no bytes */
	SCHEMA_RECORDING, /* its first page says so, and the file is as long as it says */
	SCHEMA_DAMAGED,	  /* a recording, but not one that can be read */
	SCHEMA_OTHER,
};

/* By the first bytes of a file, before SQLite sees it. `why` is filled for all but
 * SCHEMA_RECORDING. */
enum schema_file schema_look(FILE *file, struct refusal *why);

#endif
