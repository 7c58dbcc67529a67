/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "greeting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "kernel/features.h"

#define DEGRADED_MAX 32

static struct run_target target_of(const struct watched *target)
{
	return (struct run_target){
		.pid = (uint32_t)process_pid(target->process),
		.comm = process_comm(target->process),
		.python = target->interpreter.version_text,
		.exe = target->interpreter.file,
		.stripped = target->interpreter.stripped,
	};
}

/* Each once, however many targets have it. */
static size_t add(const char *reason, const char *degraded[DEGRADED_MAX], size_t cnt)
{
	size_t i;

	for (i = 0; i < cnt; i++)
		if (!strcmp(degraded[i], reason))
			return cnt;
	if (cnt < DEGRADED_MAX)
		degraded[cnt++] = reason;
	return cnt;
}

/* What does not work with this one, after the `cnt` reasons that are there. How many there are then. */
static size_t add_reasons(const struct watched *target, const char *degraded[DEGRADED_MAX], size_t cnt)
{
	const struct interpreter *in = &target->interpreter;
	size_t k;

	for (k = 0; k < in->degraded_cnt; k++)
		cnt = add(in->degraded[k], degraded, cnt);
	if (target->unread)
		cnt = add("some threads could not be looked at when we attached: what hung there "
			  "before is not known", degraded, cnt);
	if (target->borrowed)
		cnt = add("something else than asyncio's _run_once runs its handles, as qasync's loop "
			  "does: when they end is an upper bound, and iterations are not seen",
			  degraded, cnt);
	if (target->doubtful)
		cnt = add("a callback was open in a forked process when asyncprof came: it is not told "
			  "of, since it may be the parent's", degraded, cnt);
	return cnt;
}

int greeting_start(const struct collector_sink *sink, const struct targets *t, int64_t unix_ns)
{
	const char *degraded[DEGRADED_MAX];
	struct run_target *targets = calloc(t->cnt + 1, sizeof(*targets));
	struct utsname kernel;
	size_t i, cnt;
	int err;

	if (!targets)
		return -ENOMEM;
	cnt = features_degraded(degraded, DEGRADED_MAX);
	if (cnt > DEGRADED_MAX)
		cnt = DEGRADED_MAX;
	cnt = add("gc and steal time are not told apart from cpu yet", degraded, cnt);
	for (i = 0; i < t->cnt; i++) {
		targets[i] = target_of(&t->watched[i]);
		cnt = add_reasons(&t->watched[i], degraded, cnt);
	}
	uname(&kernel);
	err = sink->start(sink->ctx, &(struct run_start){
					     .version = ASYNCPROF_VERSION,
					     .unix_ns = unix_ns,
					     .targets = targets,
					     .target_cnt = t->cnt,
					     .tier = "exact",
					     .threshold_ns = t->options->threshold_ns,
					     .kernel = kernel.release,
					     .degraded = degraded,
					     .degraded_cnt = cnt,
				     });
	free(targets);
	return err;
}

int greeting_joined(const struct collector_sink *sink, const struct watched *target, int64_t unix_ns)
{
	const char *degraded[DEGRADED_MAX];

	return sink->joined(sink->ctx, &(struct run_joined){
					       .unix_ns = unix_ns,
					       .target = target_of(target),
					       .parent = (uint32_t)target->parent,
					       .degraded = degraded,
					       .degraded_cnt = add_reasons(target, degraded, 0),
				       });
}
