/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* Recordings that were never written like this: one clear line, and nothing else happens. */
#include "cmocka_all.h"

#include <sys/stat.h>

#include "recordings.h"
#include "stalls.h"

static void make(const struct folder *folder)
{
	const struct run_summary summary = {.tier = "exact", .overhead_ns = -1};
	struct stall stall = stall_of_sleep();
	struct point point = point_of_wait();
	struct recording *r = create(folder->file);

	stall.fd = (struct stall_fd){.num = 3, .kind = FD_FILE, .path = "/srv/x"};
	assert_int_equal(recording__point(r, &point), 0);
	point.plain = true;
	assert_int_equal(recording__point(r, &point), 0);
	assert_int_equal(recording__stall(r, &stall), 0);
	assert_int_equal(recording__finish(r, &summary), 0);
	recording__close(r);
}

static void ignore_stall(void *ctx, const struct stall *stall)
{
	(void)ctx;
	(void)stall;
}

static void ignore_joined(void *ctx, const struct run_joined *joined)
{
	(void)ctx;
	(void)joined;
}

/* All that can be asked. 0: all was answered. */
static int read_all(const char *path, struct refusal *why)
{
	struct recording *r = NULL;
	struct run_summary summary;
	struct profile *profile = NULL;
	struct run_start start;
	int complete, ret;

	ret = recording__open(path, &r, why);
	if (!ret)
		ret = recording_profile(r, &profile, why);
	if (!ret)
		ret = recording_start(r, &start, why);
	if (!ret)
		ret = recording_joined(r, ignore_joined, NULL, why);
	if (!ret)
		ret = recording_stalls(r, ignore_stall, NULL, why);
	if (!ret)
		ret = recording_summary(r, &summary, &complete, why);
	profile__free(profile);
	recording__close(r);
	return ret;
}

static void assert_forged(const struct folder *folder, const char *sql, const char *what)
{
	struct refusal why = {.code = EXIT_DONE};

	make(folder);
	forge(folder->file, sql);
	if (!read_all(folder->file, &why))
		fail_msg("read all the same: %s", sql);
	assert_int_equal(why.code, EXIT_FAILED);
	if (!strstr(why.what, what))
		fail_msg("%s: no '%s' in '%s'", sql, what, why.what);
	/* Nothing of the file's own words in it. */
	for (const char *c = why.what; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
	assert_true(why.remedy[0]);
}

/* The one that is changed below is read. */
static void test_sound(void **state)
{
	struct refusal why = {};
	struct folder folder;

	(void)state;
	folder_make(&folder);
	make(&folder);
	if (read_all(folder.file, &why))
		fail_msg("%s", why.what);
	folder_remove(&folder);
}

static void test_rows(void **state)
{
	static const struct {
		const char *sql, *table;
	} cases[] = {
		/* Numbers that are none, or out of range. */
		{"UPDATE processes SET pid = 'x'", "row 1 of its table 'processes'"},
		{"UPDATE processes SET pid = -1", "'processes'"},
		{"UPDATE processes SET pid = 4294967296", "'processes'"},
		{"UPDATE processes SET comm = x'00'", "'processes'"},
		{"UPDATE processes SET stripped = 2", "'processes'"},
		{"UPDATE processes SET joined_unix_ns = 1", "'processes'"},
		{"UPDATE processes SET joined_unix_ns = 'x', parent = 1", "'processes'"},
		{"UPDATE threads SET tid = 1.5", "'threads'"},
		{"UPDATE threads SET plain = 2", "'threads'"},
		{"UPDATE threads SET loop = 'x'", "'threads'"},
		{"UPDATE tasks SET kind = 'nothing'", "'tasks'"},
		{"UPDATE tasks SET unnamed = 9", "'tasks'"},
		{"UPDATE frames SET kind = ''", "'frames'"},
		{"UPDATE frames SET line = 0", "'frames'"},
		{"UPDATE frames SET line = 2147483648", "'frames'"},
		{"UPDATE points SET kind = 'x'", "'points'"},
		{"UPDATE points SET cause = 'x'", "'points'"},
		/* References to nothing. */
		{"UPDATE threads SET process = 0", "'threads'"},
		{"UPDATE threads SET process = 4", "'threads'"},
		{"UPDATE threads SET process = -9223372036854775808", "'threads'"},
		{"UPDATE stacks SET frame = 99", "'stacks'"},
		{"UPDATE stacks SET frame = -1", "'stacks'"},
		{"UPDATE stacks SET frame = 4294967297", "'stacks'"},
		{"UPDATE points SET thread = 99", "'points'"},
		{"UPDATE points SET task = 99", "'points'"},
		{"UPDATE points SET task = 0", "'points'"},
		{"UPDATE points SET stack = 99", "'points'"},
		{"UPDATE points SET stack = 9223372036854775807", "'points'"},
		{"UPDATE samples SET point = 99", "a sample at second 0"},
		{"UPDATE samples SET point = 0", "a sample"},
		{"UPDATE samples SET point = -1", "a sample"},
		{"UPDATE samples SET ns = -1", "a sample"},
		{"UPDATE samples SET ns = 'x'", "a sample"},
		{"UPDATE samples SET cnt = -5", "a sample"},
		{"UPDATE samples SET second = 9223372036854775807", "a sample"},
		/* Cycles. */
		{"UPDATE stacks SET parent = id", "'stacks'"},
		{"UPDATE stacks SET parent = 5 WHERE id = 1", "'stacks'"},
		/* Gaps and order. */
		{"UPDATE frames SET id = 1000 WHERE id = 2", "'frames'"},
		{"UPDATE stacks SET id = -1 WHERE id = 2", "'stacks'"},
		{"DELETE FROM points WHERE id = 1", "'points'"},
		{"DELETE FROM run", "'run'"},
		{"DELETE FROM summary", "'run'"},
		/* Words of asyncprof's own, which reports print as they are. */
		{"UPDATE run SET version = char(27) || '[2J'", "'run'"},
		{"UPDATE run SET tier = 'long ' || hex(zeroblob(99))", ""},
		{"UPDATE summary SET tier = char(8238)", "'summary'"},
		{"UPDATE advice SET text = char(10)", "'stalls'"},
		{"UPDATE stalls SET syscall = hex(zeroblob(99))", "'stalls'"},
		{"UPDATE stalls SET stack_reason = char(155)", "'stalls'"},
		{"UPDATE stalls SET id = char(7)", "'stalls'"},
		{"UPDATE stalls SET id = hex(zeroblob(32))", "'stalls'"},
		{"UPDATE stalls SET cause = 'x'", "'stalls'"},
		{"UPDATE stalls SET causes = 'sleep,x'", "'stalls'"},
		{"UPDATE stalls SET causes = 'sleep,,cpu'", "'stalls'"},
		{"UPDATE stalls SET sampled = 'sleep'", "'stalls'"},
		{"UPDATE stalls SET fd_kind = 'x'", "'stalls'"},
		{"UPDATE stalls SET ongoing = 2", "'stalls'"},
		{"UPDATE stalls SET ts_unix_ns = 9223372036854775807", "'stalls'"},
		{"UPDATE stalls SET duration_ns = -5", "'stalls'"},
		{"UPDATE stalls SET cpu_ns = -1", "'stalls'"},
		{"UPDATE stalls SET stack = 99", "'stacks'"},
		{"UPDATE stalls SET stack = 0", "'stalls'"},
		{"UPDATE stacks SET parent = 1 WHERE parent IS NULL", "'stacks'"},
		{"INSERT INTO loops VALUES (2, 1, 1, 0, '', 0, 0, 0, 0, 0)", "'loops'"},
		{"INSERT INTO loops VALUES (1, 1, 1, 0, 'a name that no thread has', 0, 0, 0, 0, "
		 "0)",
		 "'loops'"},
		{"INSERT INTO places VALUES (1, 1, '', '', 1, 'task', 'cpu', 1, 1, 1)", "'places'"},
		{"INSERT INTO loops VALUES (1, 1, 1, 0, '', 0, 0, 0, 0, 0);"
		 "INSERT INTO places VALUES (1, 1, '', '', 1, 'task', 'cpu', 1, -1, 1)",
		 "'places'"},
		{"INSERT INTO records VALUES (99, 1, 1, 1, 1)", "'records'"},
		{"INSERT INTO records VALUES (-1, 1, 1, 1, 1)", ""},
		{"UPDATE accounts SET hits = 'x'", "'accounts'"},
		{"UPDATE run SET complete = 2", ""},
		{"UPDATE run SET threshold_ns = -1", "'run'"},
	};
	struct folder folder;

	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_forged(&folder, cases[i].sql, cases[i].table);
	folder_remove(&folder);
}

/* More, or longer, than a writer would have written. */
static void test_sizes(void **state)
{
	static const struct {
		const char *sql, *what;
	} cases[] = {
		{"UPDATE frames SET func = hex(zeroblob(5000000)) WHERE id = 1", "too big"},
		{"UPDATE frames SET func = hex(zeroblob(20000)) WHERE id = 1", "'frames'"},
		{"UPDATE stalls SET task = hex(zeroblob(5000000))", "too big"},
		{"WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n LIMIT 15000) "
		 "INSERT INTO processes SELECT i, i, '', '', '', 0, 1, NULL, NULL FROM n",
		 "'processes'"},
		{"WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n LIMIT 200000) "
		 "INSERT INTO tasks (id, kind, unnamed) SELECT i, 'task', 0 FROM n",
		 "'tasks'"},
		{"WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n LIMIT 5000) "
		 "INSERT INTO loops SELECT i - 2, i, i, 0, '', 0, 0, 0, 0, 0 FROM n",
		 "'loops'"},
		{"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 600) "
		 "INSERT INTO places SELECT i, 1, '', '', 1, 'task', 'cpu', 1, 1, 1 FROM n;"
		 "INSERT INTO loops VALUES (1, 1, 1, 0, '', 0, 0, 0, 0, 0)",
		 "'places'"},
		{"WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT 100) "
		 "INSERT INTO degraded SELECT i, NULL, 'x' FROM n",
		 "'degraded'"},
		/* A stall's stack that is deeper than any walk. */
		{"WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT 300) "
		 "INSERT INTO stacks SELECT i, i - 1, 1 FROM n;"
		 "UPDATE stacks SET parent = 9 WHERE id = 10; UPDATE stalls SET stack = 309",
		 "'stacks'"},
	};
	struct folder folder;

	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_forged(&folder, cases[i].sql, cases[i].what);
	folder_remove(&folder);
}

/* Something else where a table should be. */
static void test_tables(void **state)
{
	static const struct {
		const char *sql, *what;
	} cases[] = {
		{"DROP TABLE samples", "its table 'samples' is missing"},
		{"DROP TABLE samples; CREATE VIEW samples AS "
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
		 "SELECT i AS second, 1 AS point, 1 AS ns, 1 AS cnt FROM n",
		 "'samples' is missing"},
		{"DROP TABLE samples; CREATE VIRTUAL TABLE samples USING fts4(second, point, ns, "
		 "cnt)",
		 "'samples' is another one"},
		{"DROP TABLE samples; CREATE TABLE samples (second, point, ns, "
		 "cnt AS (length(zeroblob(999999999))))",
		 "'samples' is another one"},
		{"ALTER TABLE stalls ADD COLUMN more", "'stalls' is another one"},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'ns ', "
		 "'mS ') "
		 "WHERE name = 'samples'",
		 "'samples' is another one"},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE nonsense' "
		 "WHERE name = 'samples'",
		 "can't be read"},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1 "
		 "WHERE name = 'samples'",
		 ""},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 9999 "
		 "WHERE name = 'samples'",
		 "can't be read"},
		/* Two tables that share their pages. */
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = "
		 "(SELECT rootpage FROM sqlite_schema WHERE name = 'stalls') WHERE name = "
		 "'samples'",
		 ""},
	};
	struct folder folder;

	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_forged(&folder, cases[i].sql, cases[i].what);
		unlink(folder.file);
	}
	folder_remove(&folder);
}

/* An interior page of a table, https://www.sqlite.org/fileformat.html 1.6, all children the same.
 */
static void fill_page(unsigned char page[4096], uint32_t child)
{
	const uint16_t cell_cnt = 380;

	memset(page, 0, 4096);
	page[0] = 5;
	page[3] = cell_cnt >> 8;
	page[4] = cell_cnt & 0xff;
	page[5] = (4096 - 5 * cell_cnt) >> 8;
	page[6] = (4096 - 5 * cell_cnt) & 0xff;
	page[10] = (unsigned char)(child >> 8);
	page[11] = (unsigned char)child;
	for (int i = 0; i < cell_cnt; i++) {
		int at = 4096 - 5 * (i + 1);

		page[at + 2] = (unsigned char)(child >> 8);
		page[at + 3] = (unsigned char)child;
		page[at + 4] = 1;
		page[12 + 2 * i] = (unsigned char)(at >> 8);
		page[13 + 2 * i] = (unsigned char)at;
	}
}

/* A few pages that refer to each other: the table has each of its rows 380^12 times. */
static void make_endless(const char *path, const char *table)
{
	const int levels = 12;
	unsigned char page[4096];
	uint32_t root, page_cnt;
	char sql[128];
	FILE *file;

	snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	root = (uint32_t)sql_number(path, sql);
	page_cnt = (uint32_t)sql_number(path, "PRAGMA page_count");
	file = fopen(path, "r+b");
	assert_non_null(file);
	/* The root, a leaf still, goes behind the last page; above it, pages of 381 children. */
	fseek(file, (long)(root - 1) * 4096, SEEK_SET);
	assert_int_equal(fread(page, 1, sizeof(page), file), sizeof(page));
	fseek(file, 0, SEEK_END);
	fwrite(page, 1, sizeof(page), file);
	for (int i = 1; i <= levels; i++) {
		fill_page(page, page_cnt + (uint32_t)i);
		fwrite(page, 1, sizeof(page), file);
	}
	page_cnt += 1 + (uint32_t)levels;
	fill_page(page, page_cnt);
	fseek(file, (long)(root - 1) * 4096, SEEK_SET);
	fwrite(page, 1, sizeof(page), file);
	fseek(file, 28, SEEK_SET); /* pages in the header */
	page[2] = (unsigned char)(page_cnt >> 8);
	page[3] = (unsigned char)page_cnt;
	page[0] = page[1] = 0;
	fwrite(page, 1, 4, file);
	assert_int_equal(fclose(file), 0);
}

static void test_endless(void **state)
{
	static const char *const tables[] = {"samples", "stalls", "stacks",  "processes",
					     "points",	"loops",  "records", "degraded"};
	struct folder folder;

	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct refusal why = {};

		make(&folder);
		make_endless(folder.file, tables[i]);
		if (!read_all(folder.file, &why))
			fail_msg("read all the same: %s", tables[i]);
		assert_true(why.what[0]);
	}
	folder_remove(&folder);
}

/* What a user may add to look at it, and what a forger may: neither is used. */
static void test_more_than_tables(void **state)
{
	struct refusal why = {};
	struct folder folder;

	(void)state;
	folder_make(&folder);
	make(&folder);
	forge(folder.file, "CREATE INDEX mine ON samples (point); CREATE TABLE notes (x); ANALYZE;"
			   "CREATE TRIGGER t AFTER INSERT ON samples BEGIN DELETE FROM run; END;"
			   "CREATE VIEW v AS SELECT load_extension('x'); VACUUM");
	if (read_all(folder.file, &why))
		fail_msg("%s", why.what);
	folder_remove(&folder);
}

/* It is only read: not a byte of it changes. */
static void test_unchanged(void **state)
{
	struct refusal why = {};
	struct folder folder;
	struct stat before, after;

	(void)state;
	folder_make(&folder);
	make(&folder);
	assert_int_equal(chmod(folder.file, 0400), 0);
	assert_int_equal(stat(folder.file, &before), 0);
	assert_int_equal(read_all(folder.file, &why), 0);
	assert_int_equal(stat(folder.file, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	assert_int_equal(access(folder.journal, F_OK), -1);
	folder_remove(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),	  cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sizes),	  cmocka_unit_test(test_tables),
		cmocka_unit_test(test_endless),	  cmocka_unit_test(test_more_than_tables),
		cmocka_unit_test(test_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
