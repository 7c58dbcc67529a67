/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* What an fd is, and its path or peer in words. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "model/fd.h"

static struct ap_file file_of(uint16_t mode, const char *path, size_t path_len)
{
	struct ap_file file = {.mode = mode, .path_len = (uint16_t)path_len};

	memcpy(file.path, path, path_len);
	return file;
}

static const char *path_of(const struct ap_file *file)
{
	static char words[FD_WORDS_SZ];
	size_t len = fd_path(file, words, sizeof(words));

	assert_int_equal(len, strlen(words));
	return words;
}

static const char *peer_of(const struct ap_file *file)
{
	static char words[FD_WORDS_SZ];
	size_t len = fd_peer(file, words, sizeof(words));

	assert_int_equal(len, strlen(words));
	return words;
}

static void test_path(void **state)
{
	static const char leaf_first[] = "data.db\0app\0srv";
	struct ap_file file = file_of(0100644, leaf_first, sizeof(leaf_first));

	(void)state;
	assert_int_equal(fd_kind_of_file(&file), FD_FILE);
	assert_string_equal(path_of(&file), "/srv/app/data.db");
	/* The last NUL may be missing. */
	file.path_len--;
	assert_string_equal(path_of(&file), "/srv/app/data.db");
	file.path_len = 0;
	assert_string_equal(path_of(&file), "");
}

/* open() of a file that is not open yet. */
static void test_path_as_written(void **state)
{
	struct ap_file file = file_of(0, "../x/data.db", 13);

	(void)state;
	assert_int_equal(fd_kind_of_file(&file), FD_NONE);
	assert_string_equal(path_of(&file), "../x/data.db");
}

static void test_path_too_long(void **state)
{
	struct ap_file file = {.mode = 0100644, .path_len = UINT16_MAX};
	char small[8];

	(void)state;
	memset(file.path, 'a', sizeof(file.path));
	assert_true(strlen(path_of(&file)) <= AP_PATH_SZ + 4);
	assert_int_equal(strncmp(path_of(&file), "...", 3), 0);
	assert_true(fd_path(&file, small, sizeof(small)) < sizeof(small));
	assert_int_equal(fd_path(&file, small, 0), 0);
}

static void test_anonymous(void **state)
{
	struct ap_file file = file_of(0600, "[eventfd]", 10);

	(void)state;
	file.magic = 0x09041934;
	assert_int_equal(fd_kind_of_file(&file), FD_ANON);
	assert_string_equal(path_of(&file), "[eventfd]");
	/* Linux before 6.9 has pidfds here, later ones a file system of their own. */
	file = file_of(0600, "[pidfd]", 8);
	file.magic = 0x09041934;
	assert_int_equal(fd_kind_of_file(&file), FD_PIDFD);
	file = file_of(0100600, "123", 4);
	file.magic = 0x50494446;
	assert_int_equal(fd_kind_of_file(&file), FD_PIDFD);
}

static void test_kinds(void **state)
{
	static const struct {
		uint16_t mode;
		enum fd_kind kind;
	} rows[] = {
		{0, FD_NONE},	     {0140777, FD_SOCKET}, {0100644, FD_FILE}, {0040755, FD_DIR},
		{0060660, FD_BLOCK}, {0020620, FD_CHAR},   {0010600, FD_PIPE}, {0600, FD_ANON},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ap_place place = {.mode = rows[i].mode};
		struct ap_file file = {.mode = rows[i].mode};

		assert_int_equal(fd_kind_of_place(&place), rows[i].kind);
		assert_int_equal(fd_kind_of_file(&file), rows[i].kind);
		assert_true(!fd_kind_name(rows[i].kind) == (rows[i].kind == FD_NONE));
	}
}

static void test_inet(void **state)
{
	struct ap_file file = {.mode = 0140777, .family = 2, .port = 443};

	(void)state;
	memcpy(file.addr, "\x0a\x00\x00\xff", 4);
	assert_string_equal(peer_of(&file), "10.0.0.255:443");
	assert_string_equal(path_of(&file), "");
	assert_int_equal(fd_kind_of_file(&file), FD_SOCKET);
	file.port = 53;
	assert_int_equal(fd_kind_of_file(&file), FD_DNS);
	file.port = 0;
	assert_string_equal(peer_of(&file), "");
}

/* RFC 5952, section 4. */
static void test_inet6(void **state)
{
	static const struct {
		const char addr[17], *words;
	} rows[] = {
		{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "[::1]:80"},
		{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "[::]:80"},
		{"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", "[2001:db8::1]:80"},
		{"\x20\x01\x0d\xb8\0\0\0\1\0\0\0\0\0\0\0\1", "[2001:db8:0:1::1]:80"},
		{"\x20\x01\x0d\xb8\0\0\0\1\0\1\0\1\0\1\0\1", "[2001:db8:0:1:1:1:1:1]:80"},
		{"\x20\x01\0\0\0\0\0\1\0\0\0\0\0\1\0\1", "[2001::1:0:0:1:1]:80"},
		{"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "[fe80::]:80"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ap_file file = {.mode = 0140777, .family = 10, .port = 80};

		memcpy(file.addr, rows[i].addr, 16);
		assert_string_equal(peer_of(&file), rows[i].words);
	}
}

static void test_unix(void **state)
{
	struct ap_file file = file_of(0140777, "/run/app.sock", 13);

	(void)state;
	file.family = 1;
	assert_string_equal(peer_of(&file), "/run/app.sock");
	assert_int_equal(fd_kind_of_file(&file), FD_SOCKET);
	file = file_of(0140777, "@abstract", 9);
	file.family = 1;
	assert_string_equal(peer_of(&file), "@abstract");
	file = file_of(0140777, "/run/systemd/resolve/io.systemd.Resolve", 39);
	file.family = 1;
	assert_int_equal(fd_kind_of_file(&file), FD_DNS);
	/* The port of a socket that has none is not a port. */
	file = file_of(0140777, "/run/app.sock", 13);
	file.family = 1;
	file.port = 53;
	assert_int_equal(fd_kind_of_file(&file), FD_SOCKET);
}

static void test_place_dns(void **state)
{
	struct ap_place place = {.mode = 0140777, .port = 53};

	(void)state;
	assert_int_equal(fd_kind_of_place(&place), FD_DNS);
	place = (struct ap_place){.mode = 0140777, .unix_dns = 1};
	assert_int_equal(fd_kind_of_place(&place), FD_DNS);
	place = (struct ap_place){.mode = 0100644, .port = 53};
	assert_int_equal(fd_kind_of_place(&place), FD_FILE);
}

static void test_random(void **state)
{
	(void)state;
	srand(3);
	for (int round = 0; round < 20000; round++) {
		struct ap_file file;
		char words[FD_WORDS_SZ];
		size_t words_sz = (size_t)rand() % sizeof(words) + 1;

		for (size_t i = 0; i < sizeof(file); i++)
			((unsigned char *)&file)[i] = (unsigned char)(rand() & rand());
		file.family = (uint16_t)(rand() % 12);
		assert_true(fd_path(&file, words, words_sz) < words_sz);
		assert_true(fd_peer(&file, words, words_sz) < words_sz);
		assert_true(fd_kind_of_file(&file) < FD_KIND_CNT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),	      cmocka_unit_test(test_path_as_written),
		cmocka_unit_test(test_path_too_long), cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_kinds),	      cmocka_unit_test(test_inet),
		cmocka_unit_test(test_inet6),	      cmocka_unit_test(test_unix),
		cmocka_unit_test(test_place_dns),     cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
