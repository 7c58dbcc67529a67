/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A recording as a file: made, or opened without trust.
 *
 * Why a rollback journal: it is there only while a commit is written, a
 * fraction of a millisecond in each second. Killed at any other moment, asyncprof
 * leaves one file that is whole; killed within, it leaves the journal beside it,
 * and SQLite, ours or anyone's, takes the half commit back. A write-ahead log
 * would always lie beside the file, and without a journal the half commit would stay.
 */
#include "recording/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording/schema.h"

#define SUFFIX		"-journal"
#define BUSY_MS		5000
#define READ_LENGTH_MAX 1000000	  /* of a row or a text that is read */
#define READ_HEAP_MAX	201326592 /* 192 MiB for SQLite itself, whatever the file is */
#define ROWS_MAX	200000000 /* of one table: months, at a commit a second */
/*
 * One step is so many instructions of SQLite's machine, some 30 ms. A row takes about ten of
 * them, so a file that is read once needs a step for each two megabytes.
 */
#define STEP_OPS    1000000
#define STEPS_MIN   64
#define ROWS_A_STEP 32768
#define ROW_SZ_MIN  4 /* bytes of a file that its smallest row takes, at least */

/*
 * "x" as "./x": this SQLite may take "file:x" for a URI (SQLITE_USE_URI), and
 * ":memory:" is a name like any other. With `suffix` behind. NULL: out of memory.
 */
static char *plain_path(const char *path, const char *suffix)
{
	size_t sz = strlen(path) + strlen(suffix) + 3;
	char *plain = malloc(sz);

	if (plain)
		snprintf(plain, sz, "%s%s%s", path[0] == '/' ? "" : "./", path, suffix);
	return plain;
}

int file_errno(const struct recording *r, int rc)
{
	int err = 0;

	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_IOERR:
		/* EFBIG, EDQUOT: what the file itself met, before anything was taken back. */
		sqlite3_file_control(r->db, "main", SQLITE_FCNTL_LAST_ERRNO, &err);
	}
	if (!err)
		err = sqlite3_system_errno(r->db);
	return err > 0 ? -err : -EIO;
}

int file_damaged(struct refusal *why, int rc)
{
	return refuse(why, EXIT_FAILED,
		      (rc & 0xff) == SQLITE_NOMEM ? "" : "copy the file anew, or record again",
		      "the recording can't be read: %s",
		      (rc & 0xff) == SQLITE_INTERRUPT ? "there is no end to it"
						      : sqlite3_errstr(rc));
}

int file_forged(struct refusal *why, const char *table, int64_t id)
{
	return refuse(why, EXIT_FAILED, "asyncprof did not write it like this; record again",
		      "the recording is not sound: row %lld of its table '%s'", (long long)id,
		      table);
}

int file_prepare(struct recording *r, const char *sql, sqlite3_stmt **out)
{
	return sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

void *file_keep(struct recording *r, size_t sz)
{
	struct kept *kept = calloc(1, sizeof(*kept) + sz);

	if (!kept)
		return NULL;
	kept->next = r->kept;
	r->kept = kept;
	return kept->bytes;
}

const char *file_keep_text(struct recording *r, const char *text)
{
	char *copy = text ? file_keep(r, strlen(text) + 1) : NULL;

	return copy ? strcpy(copy, text) : NULL;
}

/* --- Making one --- */

/* What is there already may only be a recording, which goes, or an empty file. */
static int make_room(const char *path, struct refusal *why)
{
	char *journal = plain_path(path, SUFFIX);
	FILE *old = fopen(path, "rb");
	enum schema_file what = SCHEMA_EMPTY;
	int err = errno;

	if (!journal) {
		if (old)
			fclose(old);
		return refuse(why, EXIT_FAILED, "", "out of memory");
	}
	if (old) {
		what = schema_look(old, why);
		fclose(old);
	}
	if (what != SCHEMA_OTHER)
		remove(journal); /* of a recording that was cut: it must not be applied to this one
				  */
	free(journal);
	if (!old && err != ENOENT)
		return refuse(why, EXIT_FAILED, "", "can't be opened: %s", strerror(err));
	if (what == SCHEMA_OTHER)
		return refuse(why, EXIT_FAILED, "choose another name, or remove the file",
			      "exists, and is no recording that could be replaced");
	if (what != SCHEMA_EMPTY && remove(path))
		return refuse(why, EXIT_FAILED, "", "can't be replaced: %s", strerror(errno));
	return 0;
}

int file_create(struct recording *r, const char *path, struct refusal *why)
{
	/*
	 * Synchronous off: what SIGKILL leaves behind is in the page cache all the same, and
	 * fsync would hold up the reader of the kernel's ring for as long as a disk likes. The
	 * writer collects rows in temporary tables, which are in memory.
	 */
	static const char pragmas[] = "PRAGMA page_size = 4096; PRAGMA journal_mode = DELETE;"
				      "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"
				      "PRAGMA cache_size = -4096; PRAGMA mmap_size = 0;"
				      "PRAGMA auto_vacuum = NONE; PRAGMA foreign_keys = OFF";
	char *plain;
	int rc;

	if (path && make_room(path, why))
		return -1;
	/* SQLite's name for a file that has none. */
	plain = path ? plain_path(path, "") : calloc(1, 1);
	if (!plain)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	rc = sqlite3_open_v2(plain, &r->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			     NULL);
	free(plain);
	if (!rc)
		rc = sqlite3_exec(r->db, pragmas, NULL, NULL, NULL);
	if (!rc)
		rc = sqlite3_exec(r->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (!rc)
		rc = schema_create(r->db);
	if (rc)
		return refuse(why, EXIT_FAILED, "", "the recording can't be made: %s",
			      strerror(r->db ? -file_errno(r, rc) : ENOMEM));
	return 0;
}

/* --- Opening one --- */

/*
 * The journal of a forged recording may name any file as its super-journal, which
 * SQLite deletes once it has rolled back: there is none of ours, and none is opened.
 */
static int guarded_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
			int *flags_out)
{
	sqlite3_vfs *base = vfs->pAppData;

	if (flags & SQLITE_OPEN_SUPER_JOURNAL) {
		file->pMethods = NULL;
		return SQLITE_CANTOPEN;
	}
	return base->xOpen(base, name, file, flags, flags_out);
}

static int guarded_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	sqlite3_vfs *base = vfs->pAppData;
	size_t len = strlen(name), suffix = strlen(SUFFIX);

	if (len < suffix || strcmp(name + len - suffix, SUFFIX))
		return SQLITE_IOERR_DELETE;
	return base->xDelete(base, name, sync_dir);
}

static int guarded_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	sqlite3_vfs *base = vfs->pAppData;

	return base->xAccess(base, name, flags, out);
}

static int guarded_full_pathname(sqlite3_vfs *vfs, const char *name, int sz, char *out)
{
	sqlite3_vfs *base = vfs->pAppData;

	return base->xFullPathname(base, name, sz, out);
}

static const char *guard_name(void)
{
	static sqlite3_vfs guard;
	sqlite3_vfs *base = sqlite3_vfs_find(NULL);

	if (!guard.zName && base) {
		guard = *base;
		guard.pNext = NULL;
		guard.zName = "asyncprof";
		guard.pAppData = base;
		guard.xOpen = guarded_open;
		guard.xDelete = guarded_delete;
		guard.xAccess = guarded_access;
		guard.xFullPathname = guarded_full_pathname;
		if (sqlite3_vfs_register(&guard, 0))
			return NULL;
	}
	return guard.zName;
}

int64_t file_rows_max(struct recording *r)
{
	sqlite3_stmt *stmt = NULL;
	int64_t rows = 0;

	if (!sqlite3_prepare_v2(r->db,
				"SELECT page_count * page_size FROM pragma_page_count, "
				"pragma_page_size",
				-1, &stmt, NULL) &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		rows = sqlite3_column_int64(stmt, 0) / ROW_SZ_MIN;
	sqlite3_finalize(stmt);
	return rows < ROWS_MAX ? rows : ROWS_MAX;
}

/* In a tree of pages that refer to each other a million times, every row is found for ever. */
static int count_steps(void *ctx)
{
	struct recording *r = ctx;

	return --r->steps_left < 0;
}

void file_go_on(struct recording *r)
{
	r->steps_left = r->steps_max;
}

/* Before SQLite looks into a file. */
static void distrust(struct recording *r)
{
	sqlite3_hard_heap_limit64(READ_HEAP_MAX);
	sqlite3_limit(r->db, SQLITE_LIMIT_LENGTH, READ_LENGTH_MAX);
	sqlite3_limit(r->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	r->steps_max = STEPS_MIN;
	file_go_on(r);
	sqlite3_progress_handler(r->db, STEP_OPS, count_steps, r);
}

int file_check(struct recording *r, struct refusal *why)
{
	/* One look at the file, while its writer may still be at work. */
	static const char pragmas[] = "PRAGMA cell_size_check = ON; PRAGMA query_only = ON;"
				      "PRAGMA mmap_size = 0; PRAGMA cache_size = -8192;"
				      "PRAGMA temp_store = MEMORY; BEGIN";
	int rc;

	distrust(r);
	rc = sqlite3_exec(r->db, pragmas, NULL, NULL, NULL);
	if (rc)
		return file_damaged(why, rc);
	r->steps_max += file_rows_max(r) / ROWS_A_STEP;
	return schema_check(r->db, why);
}

static int open_with(struct recording *r, const char *plain, int flags)
{
	int rc;

	sqlite3_close(r->db);
	r->db = NULL;
	rc = sqlite3_open_v2(plain, &r->db, flags | SQLITE_OPEN_NOMUTEX, guard_name());
	if (rc)
		return rc;
	distrust(r);
	sqlite3_busy_timeout(r->db, BUSY_MS);
	rc = sqlite3_exec(r->db, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
	return rc ? sqlite3_extended_errcode(r->db) : 0;
}

/* Killed within a commit: SQLite takes the half commit back, for which it must write. */
static int roll_back(struct recording *r, const char *plain, struct refusal *why)
{
	int rc = open_with(r, plain, SQLITE_OPEN_READWRITE);

	if (!rc)
		return 0;
	return refuse(why, EXIT_FAILED,
		      "run it once as a user who may write the file and its folder",
		      "asyncprof was killed while it wrote, and its last commit can't be taken "
		      "back: %s",
		      sqlite3_errstr(rc));
}

static int look_again(const char *path, struct refusal *why)
{
	FILE *file = fopen(path, "rb");
	enum schema_file what;

	if (!file)
		return refuse(why, EXIT_FAILED, "", "can't be opened: %s", strerror(errno));
	what = schema_look(file, why);
	fclose(file);
	return what == SCHEMA_RECORDING ? 0 : -1;
}

static int open_plain(struct recording *r, const char *plain, const char *journal,
		      struct refusal *why)
{
	FILE *beside = fopen(journal, "rb");
	int rc;

	if (beside) {
		/* Whatever it looks like now. One that belongs to a live writer stays. */
		fclose(beside);
		rc = open_with(r, plain, SQLITE_OPEN_READONLY);
		if ((rc == SQLITE_READONLY_ROLLBACK || (rc & 0xff) == SQLITE_CANTOPEN) &&
		    roll_back(r, plain, why))
			return -1;
	}
	if (look_again(plain, why))
		return -1;
	rc = open_with(r, plain, SQLITE_OPEN_READONLY);
	if ((rc & 0xff) == SQLITE_BUSY)
		return refuse(why, EXIT_FAILED, "try again, or end the program that holds it",
			      "the recording is locked by another program");
	return rc ? file_damaged(why, rc) : file_check(r, why);
}

int file_open(struct recording *r, const char *path, struct refusal *why)
{
	char *plain = plain_path(path, ""), *journal = plain_path(path, SUFFIX);
	int ret = -1;

	if (!plain || !journal)
		refuse(why, EXIT_FAILED, "", "out of memory");
	else
		ret = open_plain(r, plain, journal, why);
	free(plain);
	free(journal);
	return ret;
}

void file_name_it(struct refusal *why, const char *path)
{
	char what[sizeof(why->what)], name[96];
	size_t len = strlen(path), from = len < sizeof(name) ? 0 : len - sizeof(name) + 1;

	for (size_t i = from; i <= len; i++)
		name[i - from] = (path[i] >= ' ' && path[i] <= '~') || !path[i] ? path[i] : '?';
	snprintf(what, sizeof(what), "%s", why->what);
	snprintf(why->what, sizeof(why->what), "%s: %.*s", name,
		 (int)(sizeof(why->what) - strlen(name) - 3), what);
}

int recording__open(const char *path, struct recording **out, struct refusal *why)
{
	struct recording *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (!r)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	if (file_open(r, path, why)) {
		file_name_it(why, path);
		recording__close(r);
		return -1;
	}
	*out = r;
	return 0;
}

void recording__close(struct recording *r)
{
	struct kept_loop *loop;
	struct kept *kept;

	if (!r)
		return;
	writer__free(r->writer);
	sqlite3_close(r->db);
	while ((loop = r->loops)) {
		r->loops = loop->next;
		loop_clear(&loop->loop);
		free(loop);
	}
	while ((kept = r->kept)) {
		r->kept = kept->next;
		free(kept);
	}
	free(r);
}
