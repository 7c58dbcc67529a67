/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* A recording as a file: killed writers, full disks, readers in the way, what is replaced and what
 * is not. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "recording/file.h"
#include "recordings.h"

#define COMMIT_POINTS 40 /* points of each commit in these tests */
#define KILLS	      40

/* So many points in as many places, so that every table grows. */
static int put_points(struct recording *r, int *next)
{
	for (int i = 0; i < COMMIT_POINTS; i++, (*next)++) {
		const struct point_frame frames[] = {
			{FRAME_PYTHON, "leaf", "/srv/app.py", 1 + *next % 10007},
			{FRAME_PYTHON, "main", "/srv/app.py", 1 + *next % 13},
		};
		struct point point = point_of_wait();
		int err;

		point.frames = frames;
		point.frame_cnt = 2;
		point.unix_ns = START_NS + *next / COMMIT_POINTS * SECOND;
		err = recording__point(r, &point);
		if (err)
			return err;
	}
	return recording__commit(r);
}

/* Points in it; -1: it can't be read. */
static long long count_points(const char *path, bool *complete)
{
	struct recording *r = NULL;
	struct profile *profile;
	struct refusal why = {};
	long long cnt = 0;

	if (recording__open(path, &r, &why) || recording_profile(r, &profile, &why)) {
		print_message("%s\n", why.what);
		recording__close(r);
		return -1;
	}
	for (size_t i = 0; i < profile->entry_cnt; i++)
		cnt += (long long)profile->entries[i].cnt;
	*complete = profile->complete;
	profile__free(profile);
	recording__close(r);
	return cnt;
}

/* --- Kill --- */

static void write_until_killed(const char *path, int ready)
{
	struct recording *r = create(path);
	int next = 0;

	if (put_points(r, &next) || write(ready, "", 1) != 1)
		_exit(1);
	while (!put_points(r, &next))
		;
	_exit(1);
}

/* One after the other, as no service commits: many kills fall into a commit. */
static void test_kill(void **state)
{
	struct folder folder;
	int within = 0;

	(void)state;
	folder_make(&folder);
	srand(1);
	for (int i = 0; i < KILLS; i++) {
		int ready[2], status;
		bool complete = true;
		long long cnt;
		pid_t pid;
		char byte;

		unlink(folder.file);
		unlink(folder.journal);
		assert_int_equal(pipe(ready), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			write_until_killed(folder.file, ready[1]);
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		usleep((unsigned int)rand() % 20000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		within += !access(folder.journal, F_OK);
		/* Whole commits only; and it says that it was cut. */
		cnt = count_points(folder.file, &complete);
		assert_true(cnt >= COMMIT_POINTS);
		assert_int_equal(cnt % COMMIT_POINTS, 0);
		assert_false(complete);
		/* What had to be taken back is taken back for everyone: the file alone will do. */
		unlink(folder.journal);
		assert_int_equal(count_points(folder.file, &complete), cnt);
		assert_int_equal(sql_number(folder.file,
					    "SELECT count(*) FROM pragma_integrity_check "
					    "WHERE integrity_check = 'ok'"),
				 1);
	}
	print_message("%d of %d kills fell into a commit\n", within, KILLS);
	folder_remove(&folder);
}

/* Between commits there is one file, and it is whole. */
static void test_one_file(void **state)
{
	struct folder folder;
	struct recording *r;
	bool complete = true;
	int next = 0;

	(void)state;
	folder_make(&folder);
	r = create(folder.file);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(put_points(r, &next), 0);
		assert_int_equal(access(folder.journal, F_OK), -1);
		assert_int_equal(count_points(folder.file, &complete), next);
		assert_false(complete);
		/* What waits for the next commit is not in the file, and needs no journal. */
		struct point point = point_of_wait();
		struct stall stall = {.id = "a", .comm = "x", .fd = {.num = -1}, .duration_ns = 5};

		assert_int_equal(recording__point(r, &point), 0);
		next++;
		assert_int_equal(recording__stall(r, &stall), 0);
		assert_int_equal(access(folder.journal, F_OK), -1);
	}
	recording__close(r);
	assert_int_equal(count_points(folder.file, &complete), next - 1);
	folder_remove(&folder);
}

/* --- A full disk --- */

static void assert_full(struct recording *r, const struct folder *folder, int error)
{
	const struct run_summary summary = {.tier = "exact", .overhead_ns = -1};
	struct profile *profile;
	bool complete = true;
	struct refusal why;
	int err = 0, next = 0, good;
	long long cnt = 0;

	for (good = 0; !err && good < 10000; good++)
		err = put_points(r, &next);
	assert_int_equal(err, error);
	assert_true(good > 10);
	/* It takes no more, and can still be read, here and anew. */
	assert_int_equal(put_points(r, &next), error);
	assert_int_equal(recording__commit(r), error);
	assert_int_equal(recording__finish(r, &summary), error);
	assert_int_equal(recording_profile(r, &profile, &why), 0);
	for (size_t i = 0; i < profile->entry_cnt; i++)
		cnt += (long long)profile->entries[i].cnt;
	assert_int_equal(cnt, (good - 1) * COMMIT_POINTS);
	assert_false(profile->complete);
	profile__free(profile);
	recording__close(r);
	assert_int_equal(count_points(folder->file, &complete), cnt);
	assert_false(complete);
	assert_int_equal(access(folder->journal, F_OK), -1);
}

static void test_full(void **state)
{
	struct folder folder;
	struct recording *r;

	(void)state;
	folder_make(&folder);
	r = create(folder.file);
	/* As SQLite says it of a full disk. */
	assert_int_equal(sqlite3_exec(r->db, "PRAGMA max_page_count = 80", NULL, NULL, NULL), 0);
	assert_full(r, &folder, -ENOSPC);
	folder_remove(&folder);
}

/* As the kernel says it, in the middle of writing pages. */
static void test_write_error(void **state)
{
	const struct rlimit limit = {400000, RLIM_INFINITY};
	struct rlimit before;
	struct folder folder;

	(void)state;
	folder_make(&folder);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_full(create(folder.file), &folder, -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	folder_remove(&folder);
}

/* --- Readers --- */

static void test_reader_in_the_way(void **state)
{
	struct folder folder;
	struct recording *writer, *reader;
	struct profile *profile;
	struct refusal why;
	bool complete;
	int next = 0;

	(void)state;
	folder_make(&folder);
	writer = create(folder.file);
	assert_int_equal(put_points(writer, &next), 0);
	reader = open_again(folder.file);
	for (int i = 0; i < 5; i++)
		assert_int_equal(put_points(writer, &next), 0);
	/* It sees the file as it was when it came. */
	assert_int_equal(recording_profile(reader, &profile, &why), 0);
	assert_int_equal(profile->entry_cnt, COMMIT_POINTS);
	profile__free(profile);
	recording__close(reader);
	assert_int_equal(put_points(writer, &next), 0);
	recording__close(writer);
	assert_int_equal(count_points(folder.file, &complete), next);
	folder_remove(&folder);
}

/* --- What is there already --- */

static void write_file(const char *path, const void *bytes, size_t sz)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, sz, file), sz);
	assert_int_equal(fclose(file), 0);
}

static void test_replace(void **state)
{
	struct folder folder;
	struct recording *r;
	bool complete;
	int next = 0;

	(void)state;
	folder_make(&folder);
	write_file(folder.file, "", 0);
	r = create(folder.file);
	assert_int_equal(put_points(r, &next), 0);
	recording__close(r);
	/* The journal of a recording that was cut is not for the one that replaces it. */
	write_file(folder.journal, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 8);
	r = create(folder.file);
	assert_int_equal(access(folder.journal, F_OK), -1);
	recording__close(r);
	assert_int_equal(count_points(folder.file, &complete), 0);
	/* One that is cut short was a recording all the same. */
	assert_int_equal(truncate(folder.file, 5000), 0);
	recording__close(create(folder.file));
	assert_int_equal(count_points(folder.file, &complete), 0);
	folder_remove(&folder);
}

static void assert_refused(const char *path, bool writing, const char *what)
{
	struct run_start start = start_of_test();
	struct recording_head head = {&start, PERIOD_NS, NULL};
	struct refusal why = {.code = EXIT_DONE};
	struct recording *r = NULL;
	int ret = writing ? recording__create(path, &head, &r, &why)
			  : recording__open(path, &r, &why);

	assert_int_equal(ret, -1);
	assert_null(r);
	assert_int_equal(why.code, EXIT_FAILED);
	if (!strstr(why.what, what))
		fail_msg("no '%s' in '%s'", what, why.what);
	assert_null(strchr(why.what, '\n'));
	/* Which file, of two that are compared. */
	if (strncmp(why.what, path, strlen(path)))
		fail_msg("not named: %s", why.what);
}

static void test_not_replaced(void **state)
{
	struct folder folder;
	struct stat st;

	(void)state;
	folder_make(&folder);
	write_file(folder.file, "precious", 8);
	write_file(folder.journal, "as well", 7);
	assert_refused(folder.file, true, "no recording that could be replaced");
	assert_int_equal(stat(folder.file, &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(stat(folder.journal, &st), 0);
	unlink(folder.journal);
	unlink(folder.file);
	forge(folder.file, "CREATE TABLE run (x)");
	assert_refused(folder.file, true, "no recording that could be replaced");
	assert_int_equal(sql_number(folder.file, "SELECT count(*) FROM sqlite_schema"), 1);
	assert_refused(folder.path, true, "no recording");
	assert_refused("/nowhere/x.apdb", true, "No such file");
	assert_refused("/nowhere/x.apdb", false, "No such file");
	folder_remove(&folder);
}

/* Names that SQLite would take for something else. */
static void test_names(void **state)
{
	static const char *const names[] = {":memory:", "file:x.apdb?mode=memory", "x%20y", " "};
	char before[4096];
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder.path), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bool complete;

		recording__close(create(names[i]));
		assert_int_equal(access(names[i], F_OK), 0);
		assert_int_equal(count_points(names[i], &complete), 0);
		assert_int_equal(unlink(names[i]), 0);
	}
	assert_int_equal(chdir(before), 0);
	folder_remove(&folder);
}

static void test_open_refused(void **state)
{
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_refused(folder.file, false, "No such file");
	assert_refused(folder.path, false, "Is a directory");
	write_file(folder.file, "", 0);
	assert_refused(folder.file, false, "empty");
	write_file(folder.file, "hello", 5);
	assert_refused(folder.file, false, "no SQLite file");
	write_file(folder.file, "SQLite format 3", 16);
	assert_refused(folder.file, false, "cut short, to 16 bytes");
	unlink(folder.file);
	forge(folder.file, "CREATE TABLE run (x)");
	assert_refused(folder.file, false, "not a recording of asyncprof");
	unlink(folder.file);
	recording__close(create(folder.file));
	forge(folder.file, "PRAGMA user_version = 77");
	assert_refused(folder.file, false, "has version 77, and this asyncprof reads version 3");
	recording__close(create(folder.file));
	forge(folder.file, "PRAGMA journal_mode = WAL");
	assert_refused(folder.file, false, "write-ahead log");
	folder_remove(&folder);
}

/* Cut at any length: refused in words, never read as if it were whole. */
static void test_truncated(void **state)
{
	struct folder folder;
	struct recording *r;
	struct stat st;
	int next = 0;

	(void)state;
	folder_make(&folder);
	r = create(folder.file);
	assert_int_equal(put_points(r, &next), 0);
	recording__close(r);
	assert_int_equal(stat(folder.file, &st), 0);
	for (off_t sz = st.st_size - 1; sz >= 0; sz -= 997) {
		assert_int_equal(truncate(folder.file, sz), 0);
		assert_refused(folder.file, false, sz ? "" : "empty");
	}
	folder_remove(&folder);
}

/*
 * A journal that names another file as its super-journal: SQLite would roll back and then
 * delete that file, as root.
 */
static void test_super_journal(void **state)
{
	unsigned char header[512] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
	unsigned char tail[16];
	struct folder folder;
	char victim[160];
	uint32_t sum = 0, sz;
	struct refusal why;
	struct recording *r;
	FILE *file;

	(void)state;
	folder_make(&folder);
	snprintf(victim, sizeof(victim), "%s/victim", folder.path);
	write_file(victim, "precious", 8);
	recording__close(create(folder.file));
	/* https://www.sqlite.org/fileformat.html, 3: header with no pages, then the name. */
	header[22] = 2;	 /* sector size 512 */
	header[26] = 16; /* page size 4096 */
	header[19] = (unsigned char)(sql_number(folder.file, "PRAGMA page_count"));
	file = fopen(folder.journal, "wb");
	assert_non_null(file);
	fwrite(header, 1, sizeof(header), file);
	sz = (uint32_t)strlen(victim);
	fwrite("\x00\x04\x00\x01", 1, 4, file); /* the page that is never used: at 1 GiB */
	fwrite(victim, 1, sz, file);
	for (uint32_t i = 0; i < sz; i++)
		sum += (uint32_t)victim[i];
	for (int i = 0; i < 4; i++) {
		tail[i] = (unsigned char)(sz >> 8 * (3 - i));
		tail[4 + i] = (unsigned char)(sum >> 8 * (3 - i));
	}
	memcpy(tail + 8, header, 8);
	fwrite(tail, 1, sizeof(tail), file);
	fclose(file);
	if (!recording__open(folder.file, &r, &why))
		recording__close(r);
	assert_int_equal(access(victim, F_OK), 0);
	unlink(victim);
	folder_remove(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_one_file),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_write_error),
		cmocka_unit_test(test_reader_in_the_way),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_not_replaced),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_super_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
