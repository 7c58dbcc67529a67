/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "face.h"
#include "kernel/features.h"
#include "kernel/ongoing.h"
#include "kernel/session.h"
#include "model/filter.h"
#include "model/model.h"
#include "target/source.h"
#include "watched.h"

#define LOOK_EVERY_NS	 50000000ULL	/* for stalls that still go on */
#define CHECK_EVERY_NS	 100000000ULL	/* for targets that ended, or begin to use asyncio */
#define MEASURE_NS	 1000000000ULL	/* how long the kernel measures our programs */
#define PERSON_NS	 1000000000ULL	/* a person is told once of a stall that ends sooner */
#define DEGRADED_MAX	 32

struct watch {
	const struct options *options;
	struct session *session;
	struct ongoing *ongoing;
	struct model *model;
	struct filter *filter;
	struct face *face;
	FILE *out;
	struct watched *watched;
	size_t watched_cnt;
	int64_t unix_offset_ns;
	uint64_t start_ns, stop_ns;	/* stop_ns 0: it still runs */
	uint64_t end_ns;		/* when to stop; 0: no limit */
	uint64_t shown;			/* stalls that were closed and shown */
	uint64_t synthesised[AP_KIND_CNT];
	int again;			/* tell of open stalls once more */
	int broken;			/* 0, else why no more can be written; -EPIPE: nobody reads */
	struct refusal *why;
};

static volatile sig_atomic_t stop_asked, summary_asked;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		summary_asked = 1;
	else
		stop_asked = 1;
}

static void catch_signals(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigemptyset(&act.sa_mask);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	/* A closed pipe shows as EPIPE where we write, and ends the run quietly. */
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int64_t unix_now_ns(const struct watch *w)
{
	return (int64_t)now_ns() + w->unix_offset_ns;
}

/* A reader that has left shows as an error of the pipe, also while there is nothing to write. */
static int reader_has_left(const struct watch *w)
{
	struct pollfd pfd = { .fd = fileno(w->out) };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLERR | POLLHUP));
}

static void note_write(struct watch *w, int err)
{
	if (!err || w->broken)
		return;
	/* What could not be written is still in the buffer: once more, for the reason. */
	if (reader_has_left(w))
		w->broken = -EPIPE;
	else
		w->broken = fflush(w->out) ? -errno : err;
}

static struct watched *find_watched(struct watch *w, pid_t pid)
{
	size_t i;

	for (i = 0; i < w->watched_cnt; i++)
		if (w->watched[i].process && process_pid(w->watched[i].process) == pid)
			return &w->watched[i];
	return NULL;
}

/* --- Into the model and out of it -------------------------------------------------- */

/* A record from the ring. */
static void on_record(void *ctx, const struct ap_head *record, size_t size)
{
	struct watch *w = ctx;
	const struct ap_gone *gone = (const struct ap_gone *)record;

	if (record->kind == AP_GONE && size >= sizeof(*gone)) {
		char comm[AP_COMM_SZ + 1] = "";

		memcpy(comm, gone->comm, AP_COMM_SZ);
		model__set_account(w->model, record->tgid, record->tid, comm, &gone->account);
	}
	model__feed(w->model, record, size);
}

/* A record that was made here. */
static void on_own_record(void *ctx, const struct ap_head *record, size_t size)
{
	struct watch *w = ctx;

	if (record->kind < AP_KIND_CNT)
		w->synthesised[record->kind]++;
	model__feed(w->model, record, size);
}

static void on_stall(void *ctx, const struct stall *stall)
{
	struct watch *w = ctx;
	uint64_t limit = w->options->stall_cnt_max;

	if (!filter_match(w->filter, stall) || (limit && w->shown >= limit))
		return;
	if (!stall->ongoing)
		w->shown++;
	note_write(w, face__stall(w->face, stall));
}

static int on_thread_name(void *ctx, uint32_t pid, uint32_t tid, char *buf, size_t size)
{
	struct watched *target = find_watched(ctx, (pid_t)pid);
	char name[40];
	ssize_t n;
	int fd;

	if (!target)
		return -ESRCH;
	snprintf(name, sizeof(name), "task/%u/comm", tid);
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

static int on_source(void *ctx, uint32_t pid, const char *file, int line, char *buf, size_t size)
{
	struct watched *target = find_watched(ctx, (pid_t)pid);

	if (!target || target->state == WATCHED_ENDED)
		return -ESRCH;
	return source_line(target->process, file, line, buf, size);
}

/* --- Start and summary ----------------------------------------------------------------- */

static void print_start(struct watch *w)
{
	const char *degraded[DEGRADED_MAX];
	struct run_target *targets = calloc(w->watched_cnt, sizeof(*targets));
	struct utsname kernel;
	size_t i, k, cnt;

	if (!targets)
		return;
	cnt = features_degraded(degraded, DEGRADED_MAX);
	if (cnt > DEGRADED_MAX)
		cnt = DEGRADED_MAX;
	if (cnt < DEGRADED_MAX)
		degraded[cnt++] = "gc and steal time are not told apart from cpu yet";
	for (i = 0; i < w->watched_cnt; i++) {
		const struct watched *target = &w->watched[i];

		targets[i] = (struct run_target){
			.pid = (uint32_t)process_pid(target->process),
			.comm = process_comm(target->process),
			.python = target->interpreter.version_text,
			.exe = target->interpreter.file,
			.stripped = target->interpreter.stripped,
		};
		for (k = 0; k < target->interpreter.degraded_cnt && cnt < DEGRADED_MAX; k++)
			degraded[cnt++] = target->interpreter.degraded[k];
		if (target->unread && cnt < DEGRADED_MAX)
			degraded[cnt++] = "some threads could not be looked at when we attached: what "
					  "hung there before is not known";
	}
	uname(&kernel);
	note_write(w, face__start(w->face, &(struct run_start){
						   .version = ASYNCPROF_VERSION,
						   .unix_ns = unix_now_ns(w),
						   .targets = targets,
						   .target_cnt = w->watched_cnt,
						   .tier = "exact",
						   .threshold_ns = w->options->threshold_ns,
						   .kernel = kernel.release,
						   .degraded = degraded,
						   .degraded_cnt = cnt,
					   }));
	free(targets);
}

static void give_account(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct watch *w = ctx;
	struct ap_account account;
	char comm[AP_COMM_SZ + 1] = "";

	watched_account(t, &account);
	memcpy(comm, t->comm, AP_COMM_SZ);
	model__set_account(w->model, (uint32_t)pid, (uint32_t)tid, comm, &account);
}

/* What was hit how often, times what that costs: an estimate, and called one. */
static int64_t estimate_overhead(const struct session_cost *cost, const struct run_summary *sum)
{
	struct ap_account all = { 0 };
	size_t i;

	if (!cost->measured)
		return -1;
	for (i = 0; i < sum->loop_cnt; i++)
		if (sum->loops[i]->has_account)
			account_add(&all, &sum->loops[i]->account);
	return (int64_t)(all.hits * (cost->trap_ns + cost->context_run_ns) +
			 all.task_deaths * (cost->trap_ns + cost->task_dealloc_ns) +
			 all.loop_calls * (cost->trap_ns + cost->set_running_loop_ns) +
			 all.polls * cost->poll_ns + all.switches * cost->switch_ns +
			 all.ticks * cost->tick_ns);
}

static void print_summary(struct watch *w, int interim)
{
	struct run_summary sum = {
		.unix_ns = unix_now_ns(w),
		.duration_ns = (int64_t)((w->stop_ns ? w->stop_ns : now_ns()) - w->start_ns),
		.tier = "exact",
		.interim = interim,
	};
	struct session_cost cost;
	size_t i;
	int k;

	session__threads(w->session, give_account, w);
	for (i = 0; i < w->watched_cnt; i++) {
		struct ap_account homeless;
		pid_t pid;

		if (!w->watched[i].process)
			continue;
		pid = process_pid(w->watched[i].process);
		session__homeless_account(w->session, pid, &homeless);
		if (homeless.hits)
			model__set_account(w->model, (uint32_t)pid, 0, "", &homeless);
	}
	session__sent(w->session, &sum.sent);
	for (k = 0; k < AP_KIND_CNT; k++)
		sum.events_lost += sum.sent.dropped[k];
	memcpy(sum.synthesised, w->synthesised, sizeof(sum.synthesised));
	if (model__summarise(w->model, &sum))
		return;
	session__cost(w->session, &cost);
	sum.hit_ns = cost.measured ? cost.trap_ns + cost.context_run_ns : 0;
	sum.overhead_ns = estimate_overhead(&cost, &sum);
	note_write(w, face__summary(w->face, &sum));
}

/* --- The run -------------------------------------------------------------------------------- */

static void look_at_thread(void *ctx, pid_t pid, pid_t tid, const struct ap_thread *t)
{
	struct watch *w = ctx;
	struct watched *target = find_watched(w, pid);

	/* The copy is session__threads()' own, and ours to change while it lasts. */
	if (target)
		watched__look(target, w->session, w->ongoing, tid, (struct ap_thread *)t, w->again,
			      on_own_record, w);
}

static void say_waiting(const struct watched *target)
{
	fprintf(stderr, "asyncprof: process %d runs Python %s without asyncio yet; waiting for it\n",
		(int)process_pid(target->process), target->interpreter.version_text);
}

static void say_news(const struct watch *w, const struct watched *target, enum watched_news news)
{
	int pid = process_pid(target->process);

	if (w->options->verbosity < 0)
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
	case NEWS_ASYNCIO:
		fprintf(stderr, "asyncprof: process %d has loaded asyncio; watching it\n", pid);
		break;
	}
}

static int open_targets(struct watch *w)
{
	size_t i;

	w->watched = calloc(w->options->pid_cnt, sizeof(*w->watched));
	if (!w->watched)
		return refuse(w->why, EXIT_FAILED, "", "out of memory");
	for (i = 0; i < w->options->pid_cnt; i++) {
		w->watched_cnt = i + 1;
		if (watched__open(&w->watched[i], w->options->pid[i], w->options->threshold_ns,
				  w->why))
			return -1;
	}
	return 0;
}

static int attach_targets(struct watch *w)
{
	size_t i;

	for (i = 0; i < w->watched_cnt; i++) {
		if (watched__attach(&w->watched[i], w->session, on_own_record, w, w->why))
			return -1;
		if (w->watched[i].interpreter.asyncio == ASYNCIO_NOT_LOADED)
			say_waiting(&w->watched[i]);
	}
	print_start(w);
	return 0;
}

/* How many are left. */
static size_t check_targets(struct watch *w)
{
	size_t i, left = 0;

	for (i = 0; i < w->watched_cnt; i++) {
		struct refusal why;
		int news = watched__check(&w->watched[i], w->session, &why);

		/* Most likely it exits this moment: the next check tells. */
		if (news < 0)
			fprintf(stderr, "asyncprof: %s\n", why.what);
		else
			say_news(w, &w->watched[i], news);
		left += w->watched[i].state != WATCHED_ENDED;
	}
	return left;
}

static int is_over(const struct watch *w, uint64_t now)
{
	return stop_asked || w->broken || (w->end_ns && now >= w->end_ns) ||
	       (w->options->stall_cnt_max && w->shown >= w->options->stall_cnt_max);
}

static int run(struct watch *w)
{
	uint64_t next_look = 0, next_check = 0, now = now_ns();

	session__measure(w->session, 1);
	while (!is_over(w, now)) {
		int err = session__poll(w->session, (int)(LOOK_EVERY_NS / 1000000));

		if (err && err != -EINTR)
			return refuse(w->why, EXIT_FAILED, "", "can't read the ring buffer: %s",
				      strerror(-err));
		now = now_ns();
		if (now >= next_look) {
			session__threads(w->session, look_at_thread, w);
			next_look = now + LOOK_EVERY_NS;
		}
		if (now >= next_check) {
			next_check = now + CHECK_EVERY_NS;
			note_write(w, face__tick(w->face, unix_now_ns(w)));
			if (reader_has_left(w))
				w->broken = -EPIPE;
			if (!check_targets(w))
				break;
		}
		if (now - w->start_ns >= MEASURE_NS)
			session__measure(w->session, 0);
		if (summary_asked) {
			summary_asked = 0;
			print_summary(w, 1);
		}
	}
	return 0;
}

/* What still hangs is told of once more, with its time by now; then the probes go. */
static void finish(struct watch *w)
{
	size_t i;

	/* Taking probes away takes the kernel half a second: not part of what was watched. */
	w->stop_ns = now_ns();
	w->again = 1;
	session__threads(w->session, look_at_thread, w);
	session__stop(w->session);
	for (i = 0; i < w->watched_cnt; i++)
		if (w->watched[i].state == WATCHED_LIVE)
			session__drop(w->session, process_pid(w->watched[i].process));
	session__measure(w->session, 0);
	session__drain(w->session);
	if (!w->broken)
		print_summary(w, 0);
}

static int make_filter(struct watch *w)
{
	static const struct {
		int (*add)(struct filter *filter, const char *pattern, struct refusal *why);
		size_t list;
	} kinds[] = {
		{ filter__only, offsetof(struct options, only) },
		{ filter__exclude, offsetof(struct options, exclude) },
		{ filter__cause, offsetof(struct options, cause) },
		{ filter__task, offsetof(struct options, task) },
	};
	size_t i, k;

	w->filter = filter__new();
	if (!w->filter)
		return refuse(w->why, EXIT_FAILED, "", "out of memory");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct string_list *list =
			(const struct string_list *)((const char *)w->options + kinds[i].list);

		for (k = 0; k < list->cnt; k++)
			if (kinds[i].add(w->filter, list->item[k], w->why))
				return -1;
	}
	return 0;
}

static int open_output(struct watch *w)
{
	const char *name = w->options->output;

	w->out = stdout;
	if (name && strcmp(name, "-") != 0)
		w->out = fopen(name, "we");
	if (!w->out)
		return refuse(w->why, EXIT_FAILED, "", "can't write %s: %s", name, strerror(errno));
	w->face = face__new(w->out, w->options, on_source, w);
	if (!w->face)
		return refuse(w->why, EXIT_FAILED, "", "out of memory");
	return 0;
}

static int prepare(struct watch *w)
{
	w->unix_offset_ns = (int64_t)clock_ns(CLOCK_REALTIME) - (int64_t)now_ns();
	if (make_filter(w) || open_targets(w) ||
	    session__open(on_record, w, &w->session, w->why) || open_output(w))
		return -1;
	w->ongoing = ongoing__new(w->options->json ? 0 : PERSON_NS);
	w->model = model__new(&(struct model_options){
		.unix_offset_ns = w->unix_offset_ns,
		.on_stall = on_stall,
		.thread_name = on_thread_name,
		.ctx = w,
	});
	if (!w->ongoing || !w->model)
		return refuse(w->why, EXIT_FAILED, "", "out of memory");
	if (session__start(w->session, w->why))
		return -1;
	if (attach_targets(w))
		return -1;
	w->start_ns = now_ns(); /* from now on every probe is live */
	if (w->options->duration_ns)
		w->end_ns = w->start_ns + w->options->duration_ns;
	return 0;
}

/* A reader that has left is how it says "enough"; anything else lost what was to be kept. */
static int close_output(struct watch *w)
{
	int err = w->broken;

	if (w->out && w->out != stdout && fclose(w->out) && !err)
		err = -errno;
	if (!err || err == -EPIPE)
		return 0;
	return refuse(w->why, EXIT_FAILED, "", "can't write %s: %s",
		      w->out == stdout ? "stdout" : w->options->output, strerror(-err));
}

enum exit_code watch_run(const struct options *options, struct refusal *why)
{
	struct watch w = { .options = options, .why = why };
	enum exit_code code = EXIT_DONE;
	size_t i;

	catch_signals();
	if (prepare(&w)) {
		code = why->code;
	} else {
		if (run(&w))
			code = why->code;
		finish(&w);
	}
	session__close(w.session);
	for (i = 0; i < w.watched_cnt; i++)
		watched__close(&w.watched[i]);
	free(w.watched);
	face__free(w.face);
	model__free(w.model);
	ongoing__free(w.ongoing);
	filter__free(w.filter);
	if (code == EXIT_DONE && close_output(&w))
		code = why->code;
	return code;
}
