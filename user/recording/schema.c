/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "recording/schema.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define HEADER_SZ      100 /* https://www.sqlite.org/fileformat.html, 1.3 */
#define MAGIC	       "SQLite format 3"
#define AT_PAGE_SZ     16
#define AT_WAL	       18
#define AT_CHANGES     24
#define AT_PAGES       28
#define AT_VERSION     60
#define AT_APPLICATION 68
#define AT_VALID_FOR   92

#define REMEDY_OTHER "asyncprof report reads what asyncprof record wrote with -o FILE.apdb"
#define REMEDY_CUT   "what is left of it can't be read; copy it anew, or record again"

/* schema.sql as it is, taken in by the assembler. */
__asm__(".section .rodata\n"
	".global recording_schema_sql\n"
	"recording_schema_sql:\n"
	".incbin \"user/recording/schema.sql\"\n"
	".byte 0\n"
	".previous\n");
extern const char recording_schema_sql[] __attribute__((visibility("hidden")));

int schema_create(sqlite3 *db)
{
	char pragmas[128];
	int rc;

	snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 RECORDING_APPLICATION_ID, RECORDING_VERSION);
	rc = sqlite3_exec(db, pragmas, NULL, NULL, NULL);
	return rc ? rc : sqlite3_exec(db, recording_schema_sql, NULL, NULL, NULL);
}

static int compare_tables(sqlite3_stmt *ours, sqlite3_stmt *theirs, struct refusal *why)
{
	int rc;

	while ((rc = sqlite3_step(ours)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(ours, 0);
		const char *sql = (const char *)sqlite3_column_text(ours, 1), *got;

		sqlite3_reset(theirs);
		sqlite3_bind_text(theirs, 1, name, -1, SQLITE_STATIC);
		rc = sqlite3_step(theirs);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return refuse(why, EXIT_FAILED, REMEDY_CUT, "the recording is damaged: %s",
				      sqlite3_errstr(rc));
		got = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(theirs, 0) : NULL;
		if (!got || !sql || strcmp(got, sql))
			return refuse(why, EXIT_FAILED, REMEDY_OTHER,
				      "not a recording: its table '%s' is %s", name,
				      got ? "another one" : "missing");
	}
	return rc == SQLITE_DONE
		       ? 0
		       : refuse(why, EXIT_FAILED, "", "can't compare: %s", sqlite3_errstr(rc));
}

int schema_check(sqlite3 *db, struct refusal *why)
{
	sqlite3_stmt *ours = NULL, *theirs = NULL;
	sqlite3 *model = NULL;
	int rc, ret = -1;

	rc = sqlite3_open_v2(":memory:", &model, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = schema_create(model);
	if (!rc)
		rc = sqlite3_prepare_v2(model,
					"SELECT name, sql FROM sqlite_schema WHERE type = 'table'",
					-1, &ours, NULL);
	if (rc) {
		refuse(why, EXIT_FAILED, "", "can't compare: %s", sqlite3_errstr(rc));
		goto out;
	}
	/* Parses the whole schema of the file: what is damaged there shows here. */
	rc = sqlite3_prepare_v2(db,
				"SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?",
				-1, &theirs, NULL);
	if (rc) {
		refuse(why, EXIT_FAILED, REMEDY_CUT, "the recording is damaged: %s",
		       sqlite3_errstr(rc));
		goto out;
	}
	ret = compare_tables(ours, theirs, why);
out:
	sqlite3_finalize(ours);
	sqlite3_finalize(theirs);
	sqlite3_close(model);
	return ret;
}

static uint32_t be32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Bytes that the header promises; 0: it does not say. */
static uint64_t promised_sz(const unsigned char *header)
{
	uint32_t page_sz = (uint32_t)header[AT_PAGE_SZ] << 8 | header[AT_PAGE_SZ + 1];

	if (page_sz == 1)
		page_sz = 65536;
	if (be32(header + AT_CHANGES) != be32(header + AT_VALID_FOR))
		return 0;
	return (uint64_t)page_sz * be32(header + AT_PAGES);
}

static enum schema_file look_at_header(const unsigned char *header, struct refusal *why)
{
	if (be32(header + AT_APPLICATION) != RECORDING_APPLICATION_ID) {
		refuse(why, EXIT_FAILED, REMEDY_OTHER,
		       "an SQLite file, but not a recording of asyncprof");
		return SCHEMA_OTHER;
	}
	if (be32(header + AT_VERSION) != RECORDING_VERSION) {
		refuse(why, EXIT_FAILED, "read it with the asyncprof that wrote it, or a newer one",
		       "the recording has version %u, and this asyncprof reads version %d",
		       be32(header + AT_VERSION), RECORDING_VERSION);
		return SCHEMA_DAMAGED;
	}
	if (header[AT_WAL] != 1 || header[AT_WAL + 1] != 1) {
		refuse(why, EXIT_FAILED, "run: sqlite3 FILE 'PRAGMA journal_mode = DELETE'",
		       "another program gave the recording a write-ahead log");
		return SCHEMA_DAMAGED;
	}
	return SCHEMA_RECORDING;
}

enum schema_file schema_look(FILE *file, struct refusal *why)
{
	unsigned char header[HEADER_SZ];
	size_t got = fread(header, 1, sizeof(header), file);
	enum schema_file what;
	long file_sz;

	if (ferror(file)) {
		refuse(why, EXIT_FAILED, "", "can't be read: %s", strerror(errno));
		return SCHEMA_OTHER;
	}
	if (!got) {
		refuse(why, EXIT_FAILED,
		       "asyncprof was ended before it wrote anything; record again",
		       "the recording is empty");
		return SCHEMA_EMPTY;
	}
	if (got < sizeof(MAGIC) || memcmp(header, MAGIC, sizeof(MAGIC))) {
		refuse(why, EXIT_FAILED, REMEDY_OTHER,
		       "not a recording, and no SQLite file at all");
		return SCHEMA_OTHER;
	}
	if (got < sizeof(header)) {
		refuse(why, EXIT_FAILED, REMEDY_CUT, "the file is cut short, to %zu bytes", got);
		return SCHEMA_OTHER;
	}
	what = look_at_header(header, why);
	if (what != SCHEMA_RECORDING)
		return what;
	if (fseek(file, 0, SEEK_END) || (file_sz = ftell(file)) < 0) {
		refuse(why, EXIT_FAILED, "", "can't be read: %s", strerror(errno));
		return SCHEMA_OTHER;
	}
	if ((uint64_t)file_sz < promised_sz(header)) {
		refuse(why, EXIT_FAILED, REMEDY_CUT,
		       "the recording is cut short: %ld of at least %llu bytes are there", file_sz,
		       (unsigned long long)promised_sz(header));
		return SCHEMA_DAMAGED;
	}
	return SCHEMA_RECORDING;
}
