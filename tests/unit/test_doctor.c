/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What doctor says must be so: its exit code, its JSON and its text agree,
 * and the bytes that it shows for a probe are the ones in the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "kernel/features.h"

#define PYTHON "/usr/bin/python3"

/* Runs doctor on `cnt` processes; its output is freed by the caller. */
static char *run(pid_t *pid, size_t cnt, bool json, enum exit_code *code)
{
	struct options options = {
		.command = COMMAND_DOCTOR, .pid = pid, .pid_cnt = cnt, .json = json};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	*code = doctor_print(out, &options);
	fclose(out);
	return text;
}

static json_t *parse_line(const char *text)
{
	json_error_t error;
	json_t *root = json_loads(text, JSON_DISABLE_EOF_CHECK, &error);

	if (!root)
		fail_msg("no JSON: %s", error.text);
	return root;
}

static enum exit_code expect(enum exit_code without_refusal)
{
	struct refusal why;

	return features_require(&why) ? why.code : without_refusal;
}

static void test_kernel_only(void **state)
{
	enum exit_code code, text_code;
	char *json = run(NULL, 0, true, &code), *text = run(NULL, 0, false, &text_code);
	json_t *root = parse_line(json), *row;
	size_t i;

	(void)state;
	assert_int_equal(code, expect(EXIT_DONE));
	assert_int_equal(text_code, code);
	assert_int_equal(json_integer_value(json_object_get(root, "exit")), code);
	assert_null(json_object_get(root, "target"));
	assert_int_equal(json_array_size(json_object_get(root, "features")), FEATURE_CNT);
	json_array_foreach(json_object_get(root, "features"), i, row)
	{
		struct feature_row is = feature_row((enum feature)i);
		const char *mark = is.works ? "ok " : is.required ? "NO " : "no ";
		char line[128];

		assert_string_equal(json_string_value(json_object_get(row, "name")), is.name);
		assert_int_equal(json_is_true(json_object_get(row, "ok")), is.works);
		assert_int_equal(json_is_true(json_object_get(row, "required")), is.required);
		snprintf(line, sizeof(line), "  %s %s", mark, is.name);
		assert_non_null(strstr(text, line));
		if (!is.works)
			assert_non_null(strstr(text, is.why));
	}
	json_decref(root);
	free(json);
	free(text);
}

/* This program is no Python, and a pid that was reaped is nobody's. */
static void test_refused(void **state)
{
	enum exit_code code;
	pid_t pid[2] = {getpid(), fork()};
	char *text, *second;
	json_t *root;

	(void)state;
	if (!pid[1])
		_exit(0);
	assert_int_equal(waitpid(pid[1], NULL, 0), pid[1]);
	text = run(pid, 2, true, &code);
	assert_int_equal(code, expect(EXIT_NO_PROCESS));
	second = strchr(text, '\n');
	assert_non_null(second);
	root = parse_line(text);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(root, "target"), "pid")),
		pid[0]);
	assert_int_equal(json_array_size(json_object_get(root, "sites")), 0);
	assert_string_not_equal(json_string_value(json_object_get(root, "why")), "");
	json_decref(root);
	root = parse_line(second);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(root, "target"), "pid")),
		pid[1]);
	assert_int_equal(json_integer_value(json_object_get(root, "exit")),
			 expect(EXIT_NO_PROCESS));
	json_decref(root);
	free(text);
}

static pid_t start_python(const char *program)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails midway */
		dup2(ready[1], 1);
		close(ready[0]);
		close(ready[1]);
		execl(PYTHON, PYTHON, "-c", program, NULL);
		_exit(127);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fail_msg("%s does not start", PYTHON);
	close(ready[0]);
	return pid;
}

static void test_python(void **state)
{
	static const char program[] =
		"import asyncio, os, signal; os.write(1, b\"1\"); signal.pause()";
	enum exit_code code;
	json_t *root, *site, *target;
	size_t i;
	char *text;
	pid_t pid;

	(void)state;
	if (access(PYTHON, X_OK)) {
		print_message("skip: no " PYTHON "\n");
		skip();
	}
	if (geteuid()) {
		print_message("skip: only root may look into a process everywhere\n");
		skip();
	}
	pid = start_python(program);
	text = run(&pid, 1, true, &code);
	root = parse_line(text);
	target = json_object_get(root, "target");
	assert_int_equal(code, expect(EXIT_DONE));
	assert_string_equal(json_string_value(json_object_get(root, "why")), "");
	assert_int_equal(strncmp(json_string_value(json_object_get(target, "version")), "3.", 2),
			 0);
	assert_string_not_equal(json_string_value(json_object_get(target, "asyncio")),
				"not loaded");
	assert_in_range(json_array_size(json_object_get(root, "sites")), 1, 3);
	json_array_foreach(json_object_get(root, "sites"), i, site)
	{
		const char *hex = json_string_value(json_object_get(site, "bytes"));
		off_t offset = (off_t)json_integer_value(json_object_get(site, "offset"));
		unsigned char bytes[64];
		char path[512], got[129] = "";
		size_t k, cnt = strlen(hex) / 2;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid,
			 json_string_value(json_object_get(site, "file")));
		fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		assert_in_range(cnt, 1, sizeof(bytes));
		assert_int_equal(pread(fd, bytes, cnt, offset), cnt);
		close(fd);
		for (k = 0; k < cnt; k++)
			snprintf(got + 2 * k, 3, "%02x", bytes[k]);
		assert_string_equal(got, hex);
	}
	json_decref(root);
	free(text);
	/* One that is refused decides for all, wherever it stands. */
	free(run((pid_t[]){getpid(), pid}, 2, true, &code));
	assert_int_equal(code, expect(EXIT_NO_PROCESS));
	free(run((pid_t[]){pid, getpid()}, 2, true, &code));
	assert_int_equal(code, expect(EXIT_NO_PROCESS));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* No asyncio yet is no error: watch will wait. */
static void test_python_without_asyncio(void **state)
{
	static const char program[] = "import os, signal; os.write(1, b\"1\"); signal.pause()";
	enum exit_code code;
	char *text;
	pid_t pid;

	(void)state;
	if (access(PYTHON, X_OK) || geteuid()) {
		print_message("skip: needs " PYTHON " and root\n");
		skip();
	}
	pid = start_python(program);
	text = run(&pid, 1, false, &code);
	assert_int_equal(code, expect(EXIT_DONE));
	if (code == EXIT_DONE)
		assert_non_null(strstr(text, "will wait until the process imports asyncio"));
	free(text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_only),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_python),
		cmocka_unit_test(test_python_without_asyncio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
