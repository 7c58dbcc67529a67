/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "children.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "target/descendants.h"

#define NS_PER_MS    1000000ULL
#define CHILDREN_MAX 1024		/* that are waited for at once */
#define FIRST_NS     (20 * NS_PER_MS)	/* who is forked to call exec has done it by then */
#define GIVE_UP_NS   (5000 * NS_PER_MS)	/* a shell, a database: what is not Python by then */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * NS_PER_MS + (uint64_t)t.tv_nsec;
}

static struct child *find(struct children *c, pid_t pid)
{
	size_t i;

	for (i = 0; i < c->cnt; i++)
		if (c->waiting[i].pid == pid)
			return &c->waiting[i];
	return NULL;
}

static void wait_for(struct children *c, const struct child *child)
{
	struct child *known = find(c, child->pid), *more;

	if (known) {
		*known = *child;
		return;
	}
	if (c->cnt == CHILDREN_MAX) {
		c->untold++;
		return;
	}
	if (c->cnt == c->room) {
		more = reallocarray(c->waiting, 2 * c->room + 16, sizeof(*more));
		if (!more) {
			c->untold++;
			return;
		}
		c->waiting = more;
		c->room = 2 * c->room + 16;
	}
	c->waiting[c->cnt++] = *child;
}

void children_born(struct children *c, const struct ap_born *born)
{
	struct child child = {
		.pid = (pid_t)born->head.tgid,
		.parent = (pid_t)born->parent,
		.flags = born->flags,
		.since_ns = born->head.ts,
		.due_ns = born->head.ts + FIRST_NS,
	};

	if (!c->on || child.pid == c->except)
		return;
	/* Found by looking, a moment before it was told of. */
	if (!(born->flags & AP_BORN_EXEC) && targets_find(c->targets, child.pid))
		return;
	wait_for(c, &child);
}

/* Why it is not watched is told where it could have been; the same reason once, then counted. */
static void tell(struct children *c, const struct child *child, const struct refusal *why)
{
	int verbosity = c->targets->options->verbosity;

	if (verbosity <= 0 && why->code == EXIT_NO_PROCESS)
		return;
	if (verbosity < 0 || (verbosity == 0 && why->code == c->told)) {
		c->untold++;
		return;
	}
	c->told = why->code;
	fprintf(stderr, "asyncprof: process %d, started by what is watched, is not: %s\n",
		(int)child->pid, why->what);
}

static void add_native(struct children *c, const struct watched *target)
{
	int err = c->natives ? natives_add(c->natives, target->process) : 0;

	if (err)
		fprintf(stderr, "asyncprof: no native stacks of process %d: %s\n",
			(int)process_pid(target->process), strerror(-err));
}

/* Also a dead one that nobody has waited for: that makes a few looks more, no more. */
static bool is_there(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return !access(path, F_OK);
}

/*
 * 0: it is settled, one way or the other. 1: look again. A program that has just begun will import
 * asyncio soon: what it ran before all its probes are there would have no end and no name.
 */
static int look(struct children *c, struct child *child, uint64_t now)
{
	struct refusal why;
	struct watched *target;

	/* Its old image, of which nobody has noticed yet that it is gone. */
	if (targets_find(c->targets, child->pid))
		return now - child->since_ns < GIVE_UP_NS;
	target = targets__add(c->targets, child->pid, &why);
	if (target && target->interpreter.asyncio == ASYNCIO_NOT_LOADED &&
	    now - child->since_ns < GIVE_UP_NS) {
		targets__forget(c->targets, target);
		return 1;
	}
	/* It is its parent still: what was meant for the one would be there twice. */
	if (target && process_shares_memory(target->process, child->parent)) {
		targets__forget(c->targets, target);
		return now - child->since_ns < GIVE_UP_NS;
	}
	if (target) {
		target->parent = child->parent;
		if (!watched__attach(target, c->session, c->emit, c->ctx, &why)) {
			add_native(c, target);
			c->joined(c->ctx, target);
			return 0;
		}
		targets__forget(c->targets, target);
	}
	if (now - child->since_ns < GIVE_UP_NS && is_there(child->pid))
		return 1;
	tell(c, child, &why);
	return 0;
}

void children_check(struct children *c)
{
	uint64_t now = now_ns(), wait;
	size_t i = 0;

	while (i < c->cnt) {
		struct child *child = &c->waiting[i];

		/* Who has its parent's memory would be its parent twice. Its exec is told of. */
		if (child->due_ns > now) {
			i++;
		} else if (!(child->flags & AP_BORN_SHARES) && look(c, child, now)) {
			/* Half as long again each time: 14 looks, and what runs unseen is at most a third. */
			wait = (now - child->since_ns) / 2;
			child->due_ns = now + (wait > FIRST_NS ? wait : FIRST_NS);
			i++;
		} else {
			*child = c->waiting[--c->cnt];
		}
	}
}

/* What is there already: as if it had been born this moment. */
static int find_descendants(struct children *c, struct refusal *why)
{
	const struct targets *t = c->targets;
	struct descendant *found = NULL;
	pid_t *root = calloc(t->cnt + 1, sizeof(*root));
	uint64_t now = now_ns();
	int cnt = -ENOMEM, i;
	size_t k;

	for (k = 0; root && k < t->cnt; k++)
		root[k] = process_pid(t->watched[k].process);
	if (root)
		cnt = descendants__find(root, t->cnt, &found);
	for (i = 0; i < cnt; i++) {
		session__family(c->session, found[i].pid);
		wait_for(c, &(struct child){
			.pid = found[i].pid,
			.parent = found[i].parent,
			.since_ns = now,
			.due_ns = now,
		});
	}
	free(found);
	free(root);
	if (cnt >= 0)
		return 0;
	return refuse(why, EXIT_FAILED, "leave -s out", "can't look for children: %s", strerror(-cnt));
}

int children__start(struct children *c, struct refusal *why)
{
	size_t i;

	if (session__follow(c->session, why))
		return -1;
	c->on = true;
	/* First who is followed, then who is there: whoever is born in between is both. */
	for (i = 0; i < c->targets->cnt; i++)
		session__family(c->session, process_pid(c->targets->watched[i].process));
	if (find_descendants(c, why))
		return -1;
	children_check(c);
	return 0;
}

void children__close(struct children *c)
{
	if (c->untold && c->targets->options->verbosity >= 0)
		fprintf(stderr, "asyncprof: %u more processes that were started were not watched\n",
			c->untold);
	free(c->waiting);
	c->waiting = NULL;
	c->cnt = c->room = 0;
}
