/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* The text of /proc/kallsyms, true and forged, and this kernel's own. */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/kallsyms.h"

static struct kallsyms *symbols;

static int parse(const char *text)
{
	FILE *file = fmemopen((char *)(uintptr_t)text, strlen(text), "r");
	int err;

	assert_non_null(file);
	kallsyms__close(symbols);
	err = kallsyms__parse(file, &symbols);
	fclose(file);
	return err;
}

static void find(uint64_t addr, const char *name)
{
	const char *found = kallsyms_find(symbols, addr);

	if (!name)
		assert_null(found);
	else
		assert_string_equal(found ? found : "(none)", name);
}

/* As a kernel writes it: modules last and at lower addresses, data between code, aliases. */
static void test_find(void **state)
{
	(void)state;
	assert_int_equal(parse("0000000000001000 A fixed_percpu_data\n"
			       "ffffffff81000000 t local_alias\n"
			       "ffffffff81000000 T _text\n"
			       "ffffffff81000000 T second_global\n"
			       "ffffffff81000040 W weak_one\n"
			       "ffffffff81000080 t last_text\n"
			       "ffffffff81200000 D jiffies\n"
			       "ffffffffc0000100 t ext4_iget\t[ext4]\n"
			       "ffffffffc0000180 r ext4_data\t[ext4]\n"
			       "ffffffffa0000000 t bpf_prog_6deef7357e7b4530\t[bpf]\n"),
			 0);
	find(0xffffffff81000000, "_text");
	find(0xffffffff8100003f, "_text");
	find(0xffffffff81000040, "weak_one");
	find(0xffffffff810000ff, "last_text");
	find(0xffffffffc0000100, "ext4_iget [ext4]");
	find(0xffffffffc000017f, "ext4_iget [ext4]");
	find(0xffffffffa0000010, "bpf_prog_6deef7357e7b4530 [bpf]");
	find(0xffffffffc0000180, NULL);
	find(0xffffffff81200000, NULL);
	find(0x1000, NULL);
	find(0xfff, NULL);
	find(0, NULL);
	find(UINT64_MAX, NULL);
}

/* The last symbol has no next one: it ends where no function can be that long. */
static void test_far(void **state)
{
	(void)state;
	assert_int_equal(parse("ffffffff81000000 T only\n"), 0);
	find(0xffffffff81000000 + KALLSYMS_FUNC_SZ - 1, "only");
	find(0xffffffff81000000 + KALLSYMS_FUNC_SZ, NULL);
}

static void test_hidden(void **state)
{
	(void)state;
	assert_int_equal(parse("0000000000000000 T _text\n0000000000000000 t x\t[mod]\n"), -EPERM);
	assert_null(symbols);
	/* per-CPU symbols begin at 0 on x86: one of them hides nothing */
	assert_int_equal(parse("0000000000000000 A fixed_percpu_data\nffffffff81000000 T f\n"), 0);
	find(0xffffffff81000000, "f");
}

static void test_forged(void **state)
{
	char line[4 * KALLSYMS_NAME_SZ];

	(void)state;
	assert_int_equal(parse("\n"), -ENODATA);
	assert_int_equal(
		parse("garbage\n\nffff\nffff T\nffff T \nffff  x\n"
		      "fffffffffffffffff T toolong\n-1x T f\nffffffff81000000 T f\t[open\n"),
		-ENODATA);
	memset(line, 'a', sizeof(line));
	memcpy(line, "ff T ", 5);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(parse(line), -EINVAL);
	line[KALLSYMS_NAME_SZ + 5] = '\0';
	assert_int_equal(parse(line), -ENODATA);
	line[KALLSYMS_NAME_SZ + 4] = '\0';
	assert_int_equal(parse(line), 0);
	assert_int_equal(strlen(kallsyms_find(symbols, 0xff)), KALLSYMS_NAME_SZ - 1);
}

/*
 * Each line of code of the real file is found by its own address, by that name or an alias; but
 * for those of BPF programs, which come and go.
 */
static void test_this_kernel(void **state)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	size_t checked = 0, known = 0;
	char line[2 * KALLSYMS_NAME_SZ];
	int err;

	(void)state;
	assert_non_null(file);
	kallsyms__close(symbols);
	err = kallsyms__open(&symbols);
	if (err == -EPERM) {
		fclose(file);
		print_message("skipped: the kernel hides its addresses from this user\n");
		skip();
	}
	assert_int_equal(err, 0);
	while (fgets(line, sizeof(line), file)) {
		unsigned long long addr;
		char type, name[KALLSYMS_NAME_SZ];
		const char *found;

		if (sscanf(line, "%llx %c %511s", &addr, &type, name) != 3 || !addr ||
		    !strchr("tTwW", type) || strstr(line, "[bpf]"))
			continue;
		found = kallsyms_find(symbols, addr);
		assert_non_null(found);
		checked++;
		known += !strncmp(found, name, strlen(name));
	}
	fclose(file);
	assert_true(checked > 1000);
	/* aliases share an address, and one name stays */
	assert_true(known > checked / 2);
}

static int close_symbols(void **state)
{
	(void)state;
	kallsyms__close(symbols);
	symbols = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),	    cmocka_unit_test(test_far),
		cmocka_unit_test(test_hidden),	    cmocka_unit_test(test_forged),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, close_symbols);
}
