/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A leash on exec stops the child before the first line of each image (a shell
 * script may come before Python). If that is not the interpreter itself, another
 * one on its entry point stops it when ld.so has mapped its libraries, and none
 * of its code has run. Is one of them the interpreter, a leash on the functions
 * that make modules stops it at the first one: the interpreter has begun, no
 * Python code has run. From there on the program's own code runs, which is
 * never stopped: the same leash tells us when _asyncio is there, 10 to 20 ms on
 * CPU before the first callback of an asyncio.run().
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/leash.h"
#include "launch_user.h"
#include "signals.h"
#include "target/pids.h"
#include "target/process.h"
#include "target/startup.h"

#define NS_PER_MS 1000000ULL
/* What maps an interpreter as a plug-in of its own is found by looking from time to time. */
#define LATE_LOOK_NS (50 * NS_PER_MS)
/*
 * So often it stands in one image where it makes modules. The first of them are those that the
 * import system is made of (_imp, _thread, posix and some more): no file of Python has run.
 */
#define HOLDS_MAX 3

enum stage {
	STAGE_EXEC,    /* it will call exec */
	STAGE_ENTRY,   /* it will stop at its entry point */
	STAGE_MODULES, /* it is Python, and will stop where it makes modules */
	STAGE_TELL,    /* it says when it makes one */
	STAGE_FREE,    /* nothing is of interest until the next exec */
	STAGE_LATE,    /* as that, but it may become Python without one */
};

struct launch {
	pid_t pid;   /* for system calls */
	pid_t shown; /* for everybody else: pids.h */
	enum stage stage;
	bool stands;
	bool late;
	bool ended;
	unsigned int hold_cnt;
	int status;    /* of waitpid() */
	sigset_t mask; /* while the caller looks, its own one */
	bool masked;
	uint64_t looked_ns;
	struct process *process; /* the image that runs; NULL: not opened */
	struct startup startup;
	struct leash exec, sites;
	struct leash spent; /* loose, to be freed when nobody waits for it */
	char comm[64];
};

/* What the child says when it can't become the program. */
struct failure {
	int err;
	bool before; /* exec was not reached */
};

static void on_child(int number)
{
	(void)number; /* it is there to interrupt */
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * NS_PER_MS + (uint64_t)t.tv_nsec;
}

/* Waits for its next change, with waitpid()'s flags; 1: it has stopped, 0: not. */
static int reap(struct launch *l, int flags)
{
	pid_t pid;

	do {
		pid = waitpid(l->pid, &l->status, flags);
	} while (pid < 0 && errno == EINTR);
	if (pid != l->pid)
		return 0;
	l->ended = WIFEXITED(l->status) || WIFSIGNALED(l->status);
	return !l->ended && WIFSTOPPED(l->status) && WSTOPSIG(l->status) == SIGSTOP;
}

/* --- The child, until it is the program --------------------------------------------------- */

struct child {
	char *const *program;
	const struct launch_user *user;
	const sigset_t *mask;
	const struct sigaction *child_before; /* SIGCHLD's */
	int go, failed;
};

/* Only system calls: between fork and exec nothing else is safe. */
static void __attribute__((noreturn)) run_child(const struct child *c)
{
	struct failure failure = {.before = true};
	char go;

	if (launch_user_become(c->user)) {
		failure.err = errno;
		goto failed;
	}
	/*
	 * Should we be killed while it stands. After the change of user, which clears it. Nobody
	 * can take it back: a program that outlives us is sent SIGCONT, which it may see.
	 */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	/* What was ignored before us stays so. */
	signals_give_back();
	sigaction(SIGCHLD, c->child_before, NULL);
	sigprocmask(SIG_SETMASK, c->mask, NULL);
	if (read(c->go, &go, 1) != 1)
		_exit(EXIT_BEFORE_PROGRAM);
	failure.before = false;
	execvpe(c->program[0], c->program, launch_user_env(c->user));
	failure.err = errno;
failed:
	if (write(c->failed, &failure, sizeof(failure)) != sizeof(failure))
		_exit(EXIT_BEFORE_PROGRAM);
	_exit(EXIT_NOT_FOUND);
}

static int refuse_program(const char *name, const struct failure *failure, bool other_path,
			  struct refusal *why)
{
	char shown[128];

	process_escape(name, strlen(name), shown, sizeof(shown));
	if (failure->before)
		return refuse(why, EXIT_BEFORE_PROGRAM, "--as-root starts it as root",
			      "can't become the user that runs %s: %s", shown,
			      strerror(failure->err));
	if (failure->err != ENOENT)
		return refuse(why, EXIT_CANNOT_EXECUTE, "", "can't execute %s: %s", shown,
			      strerror(failure->err));
	if (strchr(name, '/') && !access(name, F_OK))
		return refuse(why, EXIT_NOT_FOUND, "", "the interpreter that %s names is not there",
			      shown);
	return refuse(why, EXIT_NOT_FOUND,
		      other_path && !strchr(name, '/')
			      ? "sudo has a PATH of its own: give the whole path of the program"
			      : "",
		      "there is no program %s", shown);
}

/* Lets it exec, and hears whether it could. */
static int release(struct launch *l, int go, int failed, const struct options *options,
		   struct refusal *why)
{
	struct failure failure;
	ssize_t n;

	if (write(go, "", 1) != 1)
		return refuse(why, EXIT_BEFORE_PROGRAM, "", "the child has died before it began");
	do {
		n = read(failed, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(failure)) {
		reap(l, 0);
		return refuse_program(options->program[0], &failure, options->has_sudo_user, why);
	}
	return 0;
}

static int start(struct launch *l, const struct options *options, const struct launch_user *user,
		 const sigset_t *mask, const struct sigaction *child_before, struct refusal *why)
{
	int go[2] = {-1, -1}, failed[2] = {-1, -1}, err, done = -1;

	if (pipe2(go, O_CLOEXEC) || pipe2(failed, O_CLOEXEC)) {
		refuse(why, EXIT_BEFORE_PROGRAM, "", "can't make a pipe: %s", strerror(errno));
		goto out;
	}
	l->pid = fork();
	if (l->pid < 0) {
		refuse(why, EXIT_BEFORE_PROGRAM, "", "can't fork: %s", strerror(errno));
		goto out;
	}
	if (!l->pid) {
		/* Its own ends of them would keep it from hearing that we have died. */
		close(go[1]);
		close(failed[0]);
		run_child(&(struct child){
			.program = options->program,
			.user = user,
			.mask = mask,
			.child_before = child_before,
			.go = go[0],
			.failed = failed[1],
		});
	}
	l->shown = pids_shown(l->pid);
	close(failed[1]);
	failed[1] = -1;
	err = leash__exec(&l->exec, l->pid);
	if (!err) {
		leash_stop(&l->exec, l->pid);
		done = release(l, go[1], failed[0], options, why);
		goto out;
	}
	refuse(why, EXIT_BEFORE_PROGRAM, "see asyncprof doctor",
	       "can't be told when process %d calls exec: %s", (int)l->pid, strerror(-err));
	close(go[1]); /* which ends it */
	go[1] = -1;
	reap(l, 0);
out:
	for (int i = 0; i < 2; i++) {
		if (go[i] >= 0)
			close(go[i]);
		if (failed[i] >= 0)
			close(failed[i]);
	}
	return done;
}

int launch__start(const struct options *options, struct launch **out, struct refusal *why)
{
	/* It interrupts what polls, which is never restarted (signal(7)), and nothing that writes. */
	struct sigaction act = {.sa_handler = on_child, .sa_flags = SA_RESTART}, before;
	struct launch *l = calloc(1, sizeof(*l));
	struct launch_user *user = NULL;
	sigset_t mask;
	int err = -1;

	*out = l;
	if (!l)
		return refuse(why, EXIT_BEFORE_PROGRAM, "", "out of memory");
	l->exec = l->sites = l->spent = LEASH_NONE;
	l->startup = STARTUP_NONE;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigemptyset(&act.sa_mask);
	sigaction(SIGCHLD, &act, &before);
	if (!launch_user__find(options, &user, why))
		err = start(l, options, user, &mask, &before, why);
	launch_user__free(user);
	if (err) {
		launch__free(l);
		*out = NULL;
	}
	return err;
}

/* --- The child, once it is the program --------------------------------------------------- */

/* Nobody looks at what it does next; the kernel does not let it go on either if we die now. */
static void stand(struct launch *l)
{
	leash_loosen(&l->exec);
	leash_loosen(&l->sites);
	l->stands = true;
}

static void resume(struct launch *l, enum stage stage)
{
	l->stage = stage;
	l->stands = false;
	leash_stop(&l->exec, l->pid);
	if (stage == STAGE_ENTRY || stage == STAGE_MODULES)
		leash_stop(&l->sites, l->pid);
	kill(l->pid, SIGCONT);
}

/* The leash on sites has done its work. */
static void retire(struct launch *l)
{
	leash_loosen(&l->sites);
	leash__free(&l->spent);
	l->spent = l->sites;
	l->sites = LEASH_NONE;
}

static void open_image(struct launch *l)
{
	struct refusal why;

	process__close(l->process);
	startup__close(&l->startup);
	l->process = NULL;
	if (process__open(l->shown, &l->process, &why))
		l->process = NULL; /* it ends */
	else
		snprintf(l->comm, sizeof(l->comm), "%s", process_comm(l->process));
}

/* -1: there are no sites, or they can't be probed. */
static int lay_leash(struct launch *l)
{
	retire(l);
	if (!l->startup.site_cnt)
		return -1;
	return leash__sites(&l->sites, l->pid, l->startup.site, l->startup.site_cnt);
}

/* It stands at its exec or its entry point: is it Python? */
static enum launch_news look(struct launch *l)
{
	enum startup_kind kind = STARTUP_NOTHING;
	enum stage from = l->stage, next = STAGE_LATE;

	if (l->process)
		kind = startup__look(&l->startup, l->process);
	if (kind == STARTUP_PYTHON) {
		/* No Python that we know makes no modules: the caller says what is wrong. */
		if (lay_leash(l))
			return LAUNCH_LOOK;
		next = STAGE_MODULES;
	} else if (kind == STARTUP_ENTRY && from == STAGE_EXEC && !lay_leash(l)) {
		next = STAGE_ENTRY;
	} else {
		retire(l);
	}
	resume(l, next);
	/* Else there will be a better moment: soon it stands again, and waits for us. */
	if (next == STAGE_LATE)
		leash__free(&l->spent);
	return LAUNCH_NONE;
}

/* It has been stopped: by us, or else by somebody who will let it go on. */
static enum launch_news on_stop(struct launch *l)
{
	if (leash_is_hit(&l->exec)) {
		stand(l);
		l->stage = STAGE_EXEC;
		l->late = false;
		l->hold_cnt = 0;
		open_image(l);
		return look(l);
	}
	if ((l->stage != STAGE_ENTRY && l->stage != STAGE_MODULES) || !leash_is_hit(&l->sites))
		return LAUNCH_NONE;
	stand(l);
	return l->stage == STAGE_ENTRY ? look(l) : LAUNCH_LOOK;
}

/* Has it become Python unnoticed? */
static enum launch_news look_late(struct launch *l)
{
	uint64_t now = now_ns();

	if (l->stage != STAGE_LATE || now - l->looked_ns < LATE_LOOK_NS)
		return LAUNCH_NONE;
	l->looked_ns = now;
	if (!l->process || !process_is_same(l->process))
		open_image(l);
	if (!l->process || startup__look(&l->startup, l->process) != STARTUP_PYTHON)
		return LAUNCH_NONE;
	l->late = true;
	l->stage = STAGE_TELL;
	/* Without it the caller looks less often. */
	if (!lay_leash(l))
		leash_tell_us(&l->sites);
	return LAUNCH_LOOK;
}

/* Has it something to tell? */
static enum launch_news ask(struct launch *l)
{
	if (l->stage == STAGE_TELL && leash_is_hit(&l->sites))
		return LAUNCH_LOOK;
	return look_late(l);
}

/* Waits for a signal, SIGCHLD among them; it is blocked but for this moment. */
static int sleep_until(uint64_t end_ns, const struct launch *l, const sigset_t *mask)
{
	uint64_t now = now_ns(), left;
	struct timespec t;

	if (now >= end_ns)
		return -1;
	left = end_ns - now;
	if (l->stage == STAGE_LATE && left > LATE_LOOK_NS)
		left = LATE_LOOK_NS;
	t = (struct timespec){(time_t)(left / (1000 * NS_PER_MS)),
			      (long)(left % (1000 * NS_PER_MS))};
	return ppoll(NULL, 0, &t, mask) < 0 ? 1 : 0;
}

/* No SIGCHLD, but for the moment in which we wait for it. */
static void mask_child(struct launch *l)
{
	sigset_t blocked;

	if (l->masked)
		return;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &l->mask);
	l->masked = true;
}

static void unmask_child(struct launch *l)
{
	if (l->masked)
		sigprocmask(SIG_SETMASK, &l->mask, NULL);
	l->masked = false;
}

enum launch_news launch_wait(struct launch *l, int timeout_ms)
{
	uint64_t end_ns = now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	enum launch_news news = LAUNCH_NONE;
	int interrupted = 0;

	mask_child(l);
	while (!l->ended && !l->stands) {
		if (reap(l, WNOHANG | WUNTRACED)) {
			news = on_stop(l);
			interrupted = 0;
			if (news)
				break;
			continue;
		}
		if (l->ended)
			break;
		news = ask(l);
		/* After a signal that was not the child's it is the caller's turn. */
		if (news || interrupted)
			break;
		interrupted = sleep_until(end_ns, l, &l->mask);
		if (interrupted < 0)
			break;
	}
	if (l->ended)
		news = LAUNCH_ENDED;
	if (news != LAUNCH_LOOK)
		unmask_child(l);
	return news;
}

void launch_go_on(struct launch *l, enum launch_next next)
{
	static const enum stage stages[] = {
		[LAUNCH_HOLD] = STAGE_MODULES,
		[LAUNCH_TELL] = STAGE_TELL,
		[LAUNCH_FREE] = STAGE_FREE,
	};
	enum stage stage = stages[next];

	if (stage == STAGE_MODULES && (!l->stands || ++l->hold_cnt >= HOLDS_MAX))
		stage = STAGE_TELL;
	/* Nothing that could tell. */
	if (stage != STAGE_FREE && l->sites.fd[0] < 0)
		stage = STAGE_LATE;
	if (stage == STAGE_TELL)
		leash_tell_us(&l->sites);
	else if (stage == STAGE_FREE)
		retire(l);
	l->stage = stage;
	if (l->stands)
		resume(l, stage);
	if (stage != STAGE_MODULES)
		leash__free(&l->spent);
	unmask_child(l);
}

/* What we have sent it, and not taken back. */
static bool may_stand(struct launch *l)
{
	if (l->pid <= 0 || l->ended)
		return false;
	return l->stands || leash_is_hit(&l->exec) ||
	       ((l->stage == STAGE_ENTRY || l->stage == STAGE_MODULES) && leash_is_hit(&l->sites));
}

void launch_let_go(struct launch *l)
{
	leash_loosen(&l->exec);
	leash_loosen(&l->sites);
	if (may_stand(l))
		kill(l->pid, SIGCONT);
	leash__free(&l->exec);
	leash__free(&l->sites);
	leash__free(&l->spent);
	l->stands = false;
	l->stage = STAGE_FREE;
	unmask_child(l);
}

void launch__free(struct launch *l)
{
	if (!l)
		return;
	launch_let_go(l);
	startup__close(&l->startup);
	process__close(l->process);
	free(l);
}

pid_t launch_pid(const struct launch *l)
{
	return l->shown;
}

bool launch_is_late(const struct launch *l)
{
	return l->late;
}

void launch_signal(const struct launch *l, int number)
{
	if (!l->ended)
		kill(l->pid, number);
}

int launch_exit_code(const struct launch *l)
{
	if (!l->ended)
		return -1;
	return WIFSIGNALED(l->status) ? 128 + WTERMSIG(l->status) : WEXITSTATUS(l->status);
}

const char *launch_comm(const struct launch *l)
{
	return l->comm;
}
