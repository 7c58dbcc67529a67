/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The text of /proc/PID/maps, true and forged, and the files it names. */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <fcntl.h>

#include "target/images.h"
#include "target/maps.h"

static struct maps *maps;

static void parse(const char *text)
{
	maps__free(maps);
	assert_int_equal(maps__parse(text, strlen(text), &maps), 0);
}

static int is_libc(const char *base)
{
	return !strcmp(base, "libc.so.6");
}

static void test_images(void **state)
{
	(void)state;
	parse("00400000-00401000 r-xp 00000000 08:01 1 /usr/bin/python3.11\n"
	      "00500000-00501000 r-xp 00000000 08:01 2 /site/uvloop/loop.cpython-311.so\n"
	      "00600000-00601000 r-xp 00000000 08:01 3 /lib/_asyncio.cpython-311.so\n");
	assert_int_equal(images_uvloop(maps)->ino, 2);
	assert_int_equal(images_asyncio(maps)->ino, 3);
	assert_null(images_pypy(maps));
	assert_null(images_foreign(maps, 1));
	assert_string_equal(images_foreign(maps, 0), "uvloop");
	parse("00400000-00401000 r-xp 00000000 08:01 1 /site/rloop/_rloop.cpython-311.so\n");
	assert_null(images_uvloop(maps));
	assert_string_equal(images_foreign(maps, 0), "rloop");
	parse("00400000-00401000 r-xp 00000000 08:01 1 /site/gevent/_gevent_cgreenlet.so\n");
	assert_string_equal(images_foreign(maps, 1), "gevent");
	/* a name that is no file's */
	parse("00400000-00401000 rw-p 00000000 00:00 0 [/uvloop/loop.]\n");
	assert_null(images_foreign(maps, 0));
}

static void test_parse(void **state)
{
	const struct mapping *map;

	(void)state;
	parse("00400000-00401000 r--p 00000000 08:01 1234                       "
	      "/usr/bin/python3.11\n"
	      "00401000-00500000 r-xp 00001000 08:01 1234                       "
	      "/usr/bin/python3.11\n"
	      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
	      "7f0000002000-7f0000003000 r-xp 00002000 fe:10 99  /lib/a b\\012c/libc.so.6 "
	      "(deleted)\n"
	      "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n"
	      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]\n");
	assert_int_equal(maps_cnt(maps), 6);
	map = maps_find(maps, 0x401234);
	assert_non_null(map);
	assert_int_equal(map->start, 0x401000);
	assert_int_equal(map->offset, 0x1000);
	assert_int_equal(map->executable, 1);
	assert_int_equal(map->writable, 0);
	assert_int_equal(map->ino, 1234);
	assert_int_equal(map->dev, makedev(8, 1));
	assert_string_equal(map->path, "/usr/bin/python3.11");
	assert_null(maps_find(maps, 0x500000));
	assert_null(maps_find(maps, 0x3fffff));
	map = maps_find_file(maps, is_libc);
	assert_non_null(map);
	assert_int_equal(map->deleted, 1);
	assert_string_equal(map->path, "/lib/a b\nc/libc.so.6");
	assert_string_equal(maps_at(maps, 2)->path, "");
	assert_null(maps_at(maps, 6));
}

static void test_forged(void **state)
{
	(void)state;
	parse("");
	assert_int_equal(maps_cnt(maps), 0);
	parse("garbage\n\n-\n1000-\n1000-2000\n1000-2000 r-xp\n1000-2000 r-xp 0\n1000-2000 r-xp 0 "
	      "8:1\n"
	      "2000-1000 r-xp 00000000 08:01 12 /x\n1000-1000 r-xp 00000000 08:01 12 /x\n"
	      "10000000000001000-2000 r-xp 0 08:01 12 /x\n1000-2000 r-xp 0 08:01 x /x\n"
	      "1000-2000 r-xp 0 fffffff:01 12 /x\n1000-2000 r-xp 0 08:01 99999999999999999999 "
	      "/x\n");
	assert_int_equal(maps_cnt(maps), 0);
	/* the last line may lack its newline */
	parse("1000-2000 r-xp 00000000 08:01 12 /x");
	assert_int_equal(maps_cnt(maps), 1);
	assert_string_equal(maps_at(maps, 0)->path, "/x");
}

/* No more than the cap, however many lines there are. */
static void test_bounded(void **state)
{
	static const char line[] = "1000-2000 r-xp 00000000 08:01 12 /x\n";
	size_t len = sizeof(line) - 1;
	char *text = malloc((MAPS_MAX + 1) * len);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < MAPS_MAX + 1; i++)
		memcpy(text + i * len, line, len);
	maps__free(maps);
	assert_int_equal(maps__parse(text, MAPS_MAX * len, &maps), 0);
	assert_int_equal(maps_cnt(maps), MAPS_MAX);
	maps__free(maps);
	assert_int_equal(maps__parse(text, (MAPS_MAX + 1) * len, &maps), -E2BIG);
	assert_null(maps);
	free(text);
}

static void test_own(void **state)
{
	const struct mapping *map;
	struct process *process;
	struct refusal why;
	struct stat st, exe;
	int doubtful, fd;

	(void)state;
	assert_int_equal(process__open(getpid(), &process, &why), 0);
	maps__free(maps);
	assert_int_equal(maps__read(process, &maps, &why), 0);
	map = maps_find(maps, (uint64_t)(uintptr_t)test_own);
	assert_non_null(map);
	assert_int_equal(map->executable, 1);
	fd = maps_open_file(process, map, &doubtful);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/exe", &exe), 0);
	assert_int_equal(st.st_ino, exe.st_ino);
	close(fd);
	process__close(process);
}

/* The path leads elsewhere by now: the mapped file, or an error, but not the other file. */
static void path_trick(int (*trick)(const char *path))
{
	char dir[] = "/tmp/asyncprof-XXXXXX", path[64];
	struct process *process;
	struct refusal why;
	struct stat mapped, st;
	const struct mapping *map;
	int fd, doubtful;
	void *at;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "mapped", 6), 6);
	assert_int_equal(fstat(fd, &mapped), 0);
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	close(fd);
	assert_int_equal(process__open(getpid(), &process, &why), 0);
	maps__free(maps);
	assert_int_equal(maps__read(process, &maps, &why), 0);
	map = maps_find(maps, (uint64_t)(uintptr_t)at);
	assert_non_null(map);
	assert_string_equal(map->path, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(trick(path), 0);
	fd = maps_open_file(process, map, &doubtful);
	if (fd >= 0 && !doubtful) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_ino, mapped.st_ino);
	}
	if (fd >= 0)
		close(fd);
	process__close(process);
	munmap(at, 4096);
	unlink(path);
	rmdir(dir);
}

static int make_fifo(const char *path)
{
	return mkfifo(path, 0600);
}

static int make_link(const char *path)
{
	return symlink("/etc/passwd", path);
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int make_nothing(const char *path)
{
	(void)path;
	return 0;
}

static void test_path_tricks(void **state)
{
	(void)state;
	path_trick(make_fifo);
	path_trick(make_link);
	path_trick(make_file);
	path_trick(make_nothing);
}

static int stop(void **state)
{
	(void)state;
	maps__free(maps);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images), cmocka_unit_test(test_parse),	    cmocka_unit_test(test_forged),
		cmocka_unit_test(test_bounded),	    cmocka_unit_test(test_own),
		cmocka_unit_test(test_path_tricks),
	};

	return cmocka_run_group_tests(tests, NULL, stop);
}
