/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watched *targets_find(const struct targets *t, pid_t pid)
{
	size_t i;

	for (i = 0; i < t->cnt; i++)
		if (t->watched[i].process && t->watched[i].state != WATCHED_ENDED &&
		    process_pid(t->watched[i].process) == pid)
			return &t->watched[i];
	return NULL;
}

int targets_thread_name(const struct targets *t, pid_t pid, pid_t tid, char *buf, size_t size)
{
	struct watched *target = targets_find(t, pid);
	char name[40];
	ssize_t n;
	int fd;

	if (!target)
		return -ESRCH;
	snprintf(name, sizeof(name), "task/%d/comm", (int)tid);
	fd = process_open_file(target->process, name);
	if (fd < 0)
		return fd;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	if (n <= 0)
		return -ESRCH;
	buf[n] = 0;
	return (int)n;
}

/* What a recording wants of the targets: AP_REC_*. */
static uint32_t record_of(const struct options *options)
{
	if (options->command != COMMAND_RECORD)
		return 0;
	return AP_REC_POINTS | (options->flame.threads ? AP_REC_THREADS : 0) |
	       (options->kernel ? AP_REC_KERNEL : 0) | (options->native ? AP_REC_NATIVE : 0);
}

struct watched *targets__add(struct targets *t, pid_t pid, struct refusal *why)
{
	struct watched *more = reallocarray(t->watched, t->cnt + 1, sizeof(*more));

	if (!more) {
		refuse(why, EXIT_FAILED, "", "out of memory");
		return NULL;
	}
	t->watched = more;
	if (watched__open(&more[t->cnt], pid, t->options->threshold_ns, record_of(t->options), why)) {
		watched__close(&more[t->cnt]);
		return NULL;
	}
	return &more[t->cnt++];
}

void targets__forget(struct targets *t, struct watched *target)
{
	size_t after = (size_t)(t->watched + t->cnt - (target + 1));

	watched__close(target);
	memmove(target, target + 1, after * sizeof(*target));
	t->cnt--;
}

int targets__open(struct targets *t, const struct options *options, struct refusal *why)
{
	size_t i;

	*t = (struct targets){ .options = options };
	for (i = 0; i < options->pid_cnt; i++)
		if (!targets__add(t, options->pid[i], why))
			return -1;
	return 0;
}

void targets__close(struct targets *t)
{
	size_t i;

	for (i = 0; i < t->cnt; i++)
		watched__close(&t->watched[i]);
	free(t->watched);
	*t = (struct targets){ 0 };
}

static void say_waiting(const struct watched *target)
{
	fprintf(stderr, "asyncprof: process %d runs Python %s without asyncio yet; waiting for it\n",
		(int)process_pid(target->process), target->interpreter.version_text);
}

static void say_news(const struct targets *t, const struct watched *target, enum watched_news news)
{
	bool expected = news == NEWS_ENDED || news == NEWS_ASYNCIO || news == NEWS_UVLOOP;
	int pid = process_pid(target->process);

	/* A program that we started loads asyncio and exits as it should; children come and go. */
	if (t->options->verbosity < 0 || (t->options->program && expected) ||
	    (target->parent && expected && !t->options->verbosity))
		return;
	switch (news) {
	case NEWS_NONE:
		break;
	case NEWS_ENDED:
		fprintf(stderr, "asyncprof: process %d %s\n", pid,
			target->execed ? "became another program (exec)" : "exited");
		break;
	case NEWS_MOVED:
		fprintf(stderr,
			"asyncprof: a thread of process %d left and took the probes with it; "
			"they are back, what ran meanwhile was not seen\n",
			pid);
		break;
	case NEWS_CROWDED:
		fprintf(stderr,
			"asyncprof: process %d has more than %d threads without a loop; the rest of "
			"them is not recorded\n",
			pid, AP_PLAIN_MAX);
		break;
	case NEWS_BORROWED:
		fprintf(stderr,
			"asyncprof: in process %d something else than asyncio's _run_once runs its "
			"handles, as qasync's loop does: when they end is an upper bound, and "
			"iterations are not seen\n",
			pid);
		break;
	case NEWS_UVLOOP:
		fprintf(stderr, "asyncprof: process %d has loaded uvloop; watching it\n", pid);
		break;
	case NEWS_FOREIGN:
		fprintf(stderr,
			"asyncprof: process %d uses %s, which is not supported; its loops are not "
			"observed\n",
			pid, target->interpreter.foreign);
		break;
	case NEWS_ASYNCIO:
		fprintf(stderr, "asyncprof: process %d has loaded asyncio; watching it\n", pid);
		break;
	}
}

int targets_attach(struct targets *t, struct session *s, watched_record emit, void *ctx,
		   struct refusal *why)
{
	size_t i;

	for (i = 0; i < t->cnt; i++) {
		if (watched__attach(&t->watched[i], s, emit, ctx, why))
			return -1;
		if (t->watched[i].interpreter.asyncio == ASYNCIO_NOT_LOADED)
			say_waiting(&t->watched[i]);
	}
	return 0;
}

size_t targets_check(struct targets *t, struct session *s)
{
	size_t i, left = 0;

	for (i = 0; i < t->cnt; i++) {
		struct refusal why;
		int news = watched__check(&t->watched[i], s, &why);

		/* If it exits this moment the next check tells. */
		if (news < 0 && why.code != EXIT_NO_PROCESS)
			fprintf(stderr, "asyncprof: %s\n", why.what);
		else if (news >= 0)
			say_news(t, &t->watched[i], news);
		left += t->watched[i].state != WATCHED_ENDED;
	}
	return left;
}

void targets_drop(struct targets *t, struct session *s)
{
	size_t i;

	for (i = 0; i < t->cnt; i++)
		if (t->watched[i].state == WATCHED_LIVE)
			session__drop(s, process_pid(t->watched[i].process));
}
