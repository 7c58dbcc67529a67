/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* A model whose last stall is remembered. Include cmocka_all.h first. */
#ifndef ASYNCPROF_TEST_SEEN_H
#define ASYNCPROF_TEST_SEEN_H

#include <stdio.h>

#include "model/model.h"
#include "records.h"

#define SYS_CLOCK_NANOSLEEP 230
#define SYS_RECVFROM	    45
#define SYS_GETPPID	    110
#define SYS_FUTEX	    202

/* What the last stall looked like; its strings do not outlive the call. */
struct seen {
	int cnt;
	struct stall stall;
	char task[64], coro[64], callback[64], file[256], syscall[32], fd[300], reason[64];
	char holder[64], leaf[64], root[64], advice[64];
};

static struct seen seen;

static inline void keep(char *to, size_t to_sz, const char *from)
{
	snprintf(to, to_sz, "%s", from ? from : "-");
}

static inline void on_stall(void *ctx, const struct stall *stall)
{
	struct seen *to = ctx;
	size_t last = stall->frame_cnt - 1;

	to->cnt++;
	to->stall = *stall;
	keep(to->task, sizeof(to->task), stall->task);
	keep(to->coro, sizeof(to->coro), stall->coro);
	keep(to->callback, sizeof(to->callback), stall->callback);
	keep(to->file, sizeof(to->file), stall->file);
	keep(to->syscall, sizeof(to->syscall), stall->syscall);
	keep(to->fd, sizeof(to->fd), stall->fd.peer ? stall->fd.peer : stall->fd.path);
	keep(to->reason, sizeof(to->reason), stall->stack_reason);
	keep(to->holder, sizeof(to->holder), stall->holder.func);
	keep(to->leaf, sizeof(to->leaf), stall->frame_cnt ? stall->frames[0].func : NULL);
	keep(to->root, sizeof(to->root), stall->frame_cnt ? stall->frames[last].func : NULL);
	keep(to->advice, sizeof(to->advice), stall->advice ? stall->advice->key : NULL);
}

static inline int thread_name(void *ctx, uint32_t pid, uint32_t tid, char *buf, size_t buf_sz)
{
	(void)ctx;
	assert_int_equal(pid, PID);
	return snprintf(buf, buf_sz, "worker-%u", tid);
}

static inline struct model *new_model(void)
{
	struct model_options options = {
		.unix_offset_ns = 1700000000000000000LL,
		.on_stall = on_stall,
		.ctx = &seen,
		.thread_name = thread_name,
	};

	memset(&seen, 0, sizeof(seen));
	return model__new(&options);
}

static inline void feed(struct model *model, const union any_record *record)
{
	assert_int_equal(model__feed(model, record, record->head.size), 0);
}

static inline void feed_codes(struct model *model)
{
	union any_record record;

	make_code(&record, CODE_SLEEPER, "sleeper", "/srv/shop/app.py", 10);
	feed(model, &record);
	make_code(&record, CODE_HANDLER, "Server.handle", "/srv/shop/app.py", 40);
	feed(model, &record);
}

#endif
