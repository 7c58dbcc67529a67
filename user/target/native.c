/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The child that unwinds. libdw runs on files of the target, which may be
 * made to hang it, crash it, shrink under its mmap or serve pages from FUSE:
 * so it runs in a child without privileges, with bounds on memory and time.
 * One request at a time goes over a socket pair; the sample and its frames
 * lie in shared pages; the child asks for files, and we open them.
 *
 * The child must never hold a descriptor of the collector but its socket, and
 * nothing that it answers is used without a check.
 */
#include "target/native.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/maps.h"
#include "target/unwinder.h"

#define MODULES_MAX  4096
#define STACK_MAX    65536
#define DEADLINE_MS  2000 /* for one sample: 0.4 s were seen where files came from a disk */
#define FAILURES_MAX 3	  /* children lost in one process: no more are started */
#define REREAD_NS    1000000000ULL /* maps are not read more often */
#define MEMORY_MAX   (3ULL << 30)  /* address space of the child, beyond ours: files are mapped */
#define STUCK_MAX    (FAILURES_MAX + 1)
#define NOBODY	     65534

/* Shared with the child. */
struct exchange {
	struct native_sample sample; /* its stack pointer means stack[] below */
	uint8_t stack[STACK_MAX];
	struct native_frame frame[NATIVE_FRAMES_MAX];
	uint32_t module_cnt;
	struct unwinder_module module[MODULES_MAX];
};

/* To the child: unwind, with the modules as they were or anew; to us: done, or a file's wanted. */
enum request { UNWIND = 1, UNWIND_ANEW = 2 };
enum answer_kind { DONE = 1, WANTED = 2 };

struct answer {
	int32_t kind, value; /* frames or a negative errno; the module */
	int32_t end, unknown;
};

/* What the child can't have: where a module's file is to be opened. */
struct origin {
	const struct mapping *map; /* belongs to native.maps; NULL: the vdso */
	int served;		   /* 1: the child has had it */
};

struct native {
	struct process *process;
	struct maps *maps;
	uint64_t read_ts;
	size_t module_cnt;
	struct unwinder_module module[MODULES_MAX];
	struct origin origin[MODULES_MAX];
	int fresh; /* 1: the child has these modules */

	pid_t child; /* 0: none runs */
	int sock;
	struct exchange *exchange;
	unsigned int failures;
	pid_t stuck[STUCK_MAX];
	unsigned int stuck_cnt;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- The child ------------------------------------------------------------------------- */

static int send_answer(int32_t kind, int32_t value, int32_t end, int32_t unknown)
{
	struct answer a = {.kind = kind, .value = value, .end = end, .unknown = unknown};

	return send(3, &a, sizeof(a), MSG_NOSIGNAL) == (ssize_t)sizeof(a) ? 0 : -1;
}

/* An int, and with it a descriptor where it is 0. */
static int receive_file(int sock)
{
	int32_t err = -EIO;
	struct iovec data = {&err, sizeof(err)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &data,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(err))
		_exit(0);
	c = CMSG_FIRSTHDR(&msg);
	if (err || !c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return err ? err : -EIO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int want_file(void *ctx, uint32_t module)
{
	(void)ctx;
	if (send_answer(WANTED, (int32_t)module, 0, 0))
		_exit(0);
	return receive_file(3);
}

/* As much more as it may use from here on. Sanitizers have terabytes already. */
static void limit_memory(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;
	struct rlimit limit, none = {0, 0};

	if (file && fscanf(file, "%llu", &pages) == 1) {
		limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_MAX;
		limit.rlim_max = limit.rlim_cur;
		setrlimit(RLIMIT_AS, &limit);
	}
	if (file)
		fclose(file);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &none);
}

/* For root; others have nothing to drop. The death signal is lost with the credentials. */
static void drop_privileges(pid_t parent)
{
	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
			       setresuid(NOBODY, NOBODY, NOBODY)))
		_exit(1);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

static void __attribute__((noreturn)) serve(int sock, struct exchange *x, pid_t parent)
{
	struct unwinder *u = NULL;
	int32_t request;

	prctl(PR_SET_NAME, "asyncprof-unwind");
	/* A crash of it is an answer, not an event for our own handlers. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	limit_memory();
	if (dup2(sock, 3) != 3 || syscall(SYS_close_range, 4U, ~0U, 0U))
		_exit(1);
	syscall(SYS_close_range, 0U, 2U, 0U);
	drop_privileges(parent);
	while (recv(3, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
		struct native_sample sample = x->sample;
		int cnt = 0, unknown = 0;
		enum native_end end = NATIVE_FAILED;

		sample.stack = x->stack;
		if (request == UNWIND_ANEW) {
			unwinder__free(u);
			cnt = unwinder__new(x->module, x->module_cnt, want_file, NULL, &u);
		} else if (!u) {
			cnt = -ENOEXEC;
		}
		if (!cnt)
			cnt = unwinder_run(u, &sample, x->frame, &end, &unknown);
		if (send_answer(DONE, cnt, (int32_t)end, unknown))
			break;
	}
	_exit(0);
}

static void reap(struct native *n)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < n->stuck_cnt; i++) {
		if (waitpid(n->stuck[i], NULL, WNOHANG) == 0)
			n->stuck[kept++] = n->stuck[i];
	}
	n->stuck_cnt = kept;
}

static void stop_child(struct native *n)
{
	if (n->child > 0) {
		kill(n->child, SIGKILL);
		n->stuck[n->stuck_cnt++] = n->child;
	}
	if (n->sock >= 0)
		close(n->sock);
	/* A killed child keeps its own pages, so that nothing it still does reaches us. */
	if (n->exchange)
		munmap(n->exchange, sizeof(*n->exchange));
	n->child = 0;
	n->sock = -1;
	n->exchange = NULL;
	n->fresh = 0;
	reap(n);
}

static int start_child(struct native *n)
{
	sigset_t all, old;
	pid_t parent = getpid();
	int pair[2], err = 0;
	void *shared;

	reap(n);
	if (n->stuck_cnt == STUCK_MAX)
		return -EBUSY;
	shared = mmap(NULL, sizeof(*n->exchange), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -ENOMEM;
	n->exchange = shared;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		err = -errno;
		goto out;
	}
	/* Ctrl-C goes to the whole process group: the child must not die of it first. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	n->child = fork();
	if (n->child == 0)
		serve(pair[1], n->exchange, parent);
	if (n->child < 0)
		err = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(pair[1]);
	n->sock = pair[0];
out:
	if (err) {
		n->child = 0;
		stop_child(n);
	}
	return err;
}

/* --- What is mapped -------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The program itself (its link in /proc says "(deleted)" where maps has that apart), or a
 * libpython. */
static int is_interpreter(const struct mapping *map, const char *exe)
{
	size_t len = strlen(map->path);

	return !strncmp(base_name(map->path), "libpython", 9) ||
	       (!strncmp(exe, map->path, len) && (!exe[len] || !strcmp(exe + len, " (deleted)")));
}

static void add_module(struct native *n, const struct mapping *first, uint64_t end, const char *exe)
{
	struct unwinder_module *m = &n->module[n->module_cnt];

	if (n->module_cnt == MODULES_MAX)
		return;
	memset(m, 0, sizeof(*m));
	m->start = first->start;
	m->end = end;
	snprintf(m->file, sizeof(m->file), "%s", base_name(first->path));
	m->interpreter = first->ino && is_interpreter(first, exe);
	n->origin[n->module_cnt++] = (struct origin){.map = first->ino ? first : NULL};
}

/*
 * A file's mappings follow each other, its first bytes first; its .bss is anonymous memory in
 * between or behind. One that never is executable is data.
 */
static void find_modules(struct native *n)
{
	const struct mapping *first = NULL;
	int executable = 0;
	uint64_t end = 0;
	char exe[4096];

	if (process_read_link(n->process, "exe", exe, sizeof(exe)) < 0)
		exe[0] = '\0';
	n->module_cnt = 0;
	for (size_t i = 0; i <= maps_cnt(n->maps); i++) {
		const struct mapping *map = maps_at(n->maps, i);

		if (first && map && map->ino == first->ino && map->dev == first->dev &&
		    map->offset) {
			executable |= map->executable;
			end = map->end;
			continue;
		}
		if (map && !map->ino && !map->path[0])
			continue;
		if (first && executable)
			add_module(n, first, end, exe);
		first = map && map->ino && !map->offset && map->path[0] == '/' ? map : NULL;
		executable = first && first->executable;
		end = first ? first->end : 0;
		if (map && !strcmp(map->path, "[vdso]"))
			add_module(n, map, map->end, exe);
	}
}

/* 1: other modules than before; 0: the same; or a negative errno. */
static int read_maps(struct native *n)
{
	size_t before_cnt = n->module_cnt;
	struct unwinder_module *before = NULL;
	struct refusal why;
	struct maps *maps;
	int changed;

	n->read_ts = now_ns();
	if (maps__read(n->process, &maps, &why))
		return why.code == EXIT_PERMISSION ? -EPERM : -ESRCH;
	if (before_cnt) {
		before = malloc(before_cnt * sizeof(*before));
		if (!before) {
			maps__free(maps);
			return -ENOMEM;
		}
		memcpy(before, n->module, before_cnt * sizeof(*before));
	}
	maps__free(n->maps);
	n->maps = maps;
	find_modules(n);
	changed = n->module_cnt != before_cnt ||
		  (before_cnt && memcmp(before, n->module, before_cnt * sizeof(*before)));
	free(before);
	if (changed)
		n->fresh = 0;
	return changed;
}

/*
 * The kernel maps the same one into every 64-bit process, so our own will do: the target's
 * memory is not read.
 */
static int open_vdso(uint64_t size)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	int fd = vdso ? memfd_create("vdso", MFD_CLOEXEC) : -1;

	if (fd < 0)
		return -ENOENT;
	/* Where ours is shorter, the kernel refuses to read on. */
	if (write(fd, (const void *)vdso, size) != (ssize_t)size) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

static int open_module(const struct native *n, uint32_t module)
{
	const struct origin *o = &n->origin[module];
	int doubtful = 0, fd;

	if (!o->map)
		return open_vdso(n->module[module].end - n->module[module].start);
	fd = maps_open_file(n->process, o->map, &doubtful);
	/* Whether it is the mapped one could only be compared in the target's memory. */
	if (fd >= 0 && doubtful) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static int send_file(int sock, int fd)
{
	int32_t err = fd < 0 ? fd : 0;
	struct iovec data = {&err, sizeof(err)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(err) ? 0 : -EPIPE;
}

/* A file, once: a child that asks for one again and again is not ours any more. */
static int serve_file(struct native *n, int32_t module)
{
	int fd, err;

	if (module < 0 || (size_t)module >= n->module_cnt || n->origin[module].served)
		return -EPROTO;
	n->origin[module].served = 1;
	fd = open_module(n, (uint32_t)module);
	err = send_file(n->sock, fd);
	if (fd >= 0)
		close(fd);
	return err;
}

/* --- One sample ------------------------------------------------------------------------ */

/* 0 and the child's last word, or a negative errno: it is lost. */
static int await(struct native *n, struct answer *a)
{
	uint64_t deadline = now_ns() + DEADLINE_MS * 1000000ULL;

	for (;;) {
		struct pollfd fd = {.fd = n->sock, .events = POLLIN};
		uint64_t now = now_ns();
		int err, ready = poll(&fd, 1,
				      now < deadline ? (int)((deadline - now) / 1000000) : 0);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready ? -errno : -ETIMEDOUT;
		if (recv(n->sock, a, sizeof(*a), 0) != (ssize_t)sizeof(*a))
			return -EPIPE;
		if (a->kind == DONE)
			return 0;
		err = a->kind == WANTED ? serve_file(n, a->value) : -EPROTO;
		if (err)
			return err;
	}
}

static int ask(struct native *n, const struct native_sample *sample, struct answer *a)
{
	int32_t request = n->fresh ? UNWIND : UNWIND_ANEW;
	struct exchange *x;
	int err;

	if (!n->child) {
		err = start_child(n);
		if (err)
			return err;
		request = UNWIND_ANEW;
	}
	x = n->exchange;
	x->sample = *sample;
	x->sample.stack_sz = sample->stack_sz < STACK_MAX ? sample->stack_sz : STACK_MAX;
	memcpy(x->stack, sample->stack, x->sample.stack_sz);
	if (request == UNWIND_ANEW) {
		x->module_cnt = (uint32_t)n->module_cnt;
		memcpy(x->module, n->module, n->module_cnt * sizeof(x->module[0]));
		for (size_t i = 0; i < n->module_cnt; i++)
			n->origin[i].served = 0;
		n->fresh = 1;
	}
	if (send(n->sock, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
		err = -EPIPE;
	else
		err = await(n, a);
	if (err) {
		n->failures++;
		stop_child(n);
	}
	return err;
}

/* The child's frames, or a negative errno; what can't be is -EPROTO. */
static int take(struct native *n, const struct answer *a, struct native_frame *frames,
		enum native_end *end)
{
	if (a->value < 0)
		return a->value > -4096 ? a->value : -EPROTO;
	if (a->value > NATIVE_FRAMES_MAX || a->end < NATIVE_WHOLE || a->end > NATIVE_FAILED)
		return -EPROTO;
	memcpy(frames, n->exchange->frame, (size_t)a->value * sizeof(*frames));
	for (int i = 0; i < a->value; i++) {
		frames[i].func[NATIVE_NAME_SZ - 1] = '\0';
		frames[i].file[NATIVE_FILE_SZ - 1] = '\0';
	}
	*end = (enum native_end)a->end;
	return a->value;
}

int native_unwind(struct native *n, const struct native_sample *sample,
		  struct native_frame frames[NATIVE_FRAMES_MAX], enum native_end *end)
{
	struct answer a;
	int err;

	*end = NATIVE_FAILED;
	if (n->failures >= FAILURES_MAX)
		return -EIO;
	err = ask(n, sample, &a);
	/* Something has been loaded meanwhile: once more, with it. */
	if (!err && a.unknown && now_ns() - n->read_ts >= REREAD_NS && read_maps(n) == 1)
		err = ask(n, sample, &a);
	return err ? err : take(n, &a, frames, end);
}

int native__open(struct process *process, struct native **out)
{
	struct native *n = calloc(1, sizeof(*n));
	int err = -ENOMEM;

	*out = NULL;
	if (!n)
		return err;
	n->process = process;
	n->sock = -1;
	err = read_maps(n);
	if (err >= 0)
		err = start_child(n);
	if (err)
		native__close(n);
	else
		*out = n;
	return err;
}

void native__close(struct native *n)
{
	if (!n)
		return;
	stop_child(n);
	/* Killed just now: it is as good as gone, unless the kernel holds it. */
	for (int i = 0; i < 100 && n->stuck_cnt; i++) {
		struct timespec ms = {0, 1000000};

		nanosleep(&ms, NULL);
		reap(n);
	}
	maps__free(n->maps);
	free(n);
}
