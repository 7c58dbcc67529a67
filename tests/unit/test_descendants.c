/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* What a process has started, as /proc shows it: real children, and theirs. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/descendants.h"

struct family {
	pid_t child, grandchild, execed;
};

/* A child that has a child; and one that has called exec. They wait to be killed. */
static void make(struct family *f)
{
	int pipes[2];
	char byte;

	assert_int_equal(pipe(pipes), 0);
	f->child = fork();
	if (!f->child) {
		pid_t grandchild = fork();

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (grandchild && write(pipes[1], &grandchild, sizeof(grandchild)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipes[0], &f->grandchild, sizeof(f->grandchild)),
			 sizeof(f->grandchild));
	close(pipes[0]);
	close(pipes[1]);
	/* The end of this pipe closes when exec has happened. */
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	f->execed = fork();
	if (!f->execed) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
}

static void end(const struct family *f)
{
	kill(f->grandchild, SIGKILL);
	kill(f->child, SIGKILL);
	kill(f->execed, SIGKILL);
	waitpid(f->child, NULL, 0);
	waitpid(f->execed, NULL, 0);
}

static const struct descendant *find(const struct descendant *all, int cnt, pid_t pid)
{
	for (int i = 0; i < cnt; i++)
		if (all[i].pid == pid)
			return &all[i];
	return NULL;
}

static void test_all(void **state)
{
	const pid_t own = getpid();
	const struct descendant *child, *grandchild, *execed;
	struct descendant *found;
	struct family f;
	int cnt;

	(void)state;
	make(&f);
	cnt = descendants__find(&own, 1, &found);
	assert_int_equal(cnt, 3);
	child = find(found, cnt, f.child);
	grandchild = find(found, cnt, f.grandchild);
	execed = find(found, cnt, f.execed);
	assert_true(child && grandchild && execed);
	assert_true(child < grandchild);
	assert_int_equal(child->parent, own);
	assert_int_equal(grandchild->parent, f.child);
	assert_int_equal(execed->parent, own);
	free(found);
	end(&f);
}

static void test_roots(void **state)
{
	pid_t roots[2] = {getpid()};
	struct descendant *found;
	struct family f;

	(void)state;
	make(&f);
	/* Who is given is not found as well. */
	roots[1] = f.child;
	assert_int_equal(descendants__find(roots, 2, &found), 2);
	assert_null(find(found, 2, f.child));
	free(found);
	assert_int_equal(descendants__find(&roots[1], 1, &found), 1);
	assert_int_equal(found[0].pid, f.grandchild);
	free(found);
	assert_int_equal(descendants__find(roots, 0, &found), 0);
	free(found);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
