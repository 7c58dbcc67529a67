/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A process held by what the kernel never gives away again: a pidfd, a
 * directory fd of /proc/PID (look-ups in it fail once the process is gone,
 * even when the number is used again) and a descriptor of its memory, which
 * names one program image: after exec or exit it reads nothing.
 *
 * It must never look anything up by the bare pid after open.
 */
#include "target/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/pids.h"

#define STAT_SZ	   1024
#define IN_EXEC	   1 /* no address of a stack: there is none yet */
/* include/linux/sched.h */
#define PF_FORKNOEXEC 0x00000040UL
#define PF_KTHREAD    0x00200000UL

struct process {
	pid_t pid;
	int pidfd;
	int dir;
	int mem; /* -1: no thread had memory at open */
	uint64_t start_ticks;
	int forked;
	uint64_t start_stack; /* of this image, 0: not known */
	char comm[64];
	char command[PROCESS_COMMAND_SZ];
};

static const char remedy_root[] = "run it as root: sudo asyncprof ...";

void process_escape(const char *src, size_t len, char *dst, size_t size)
{
	size_t used = 0;

	if (!size)
		return;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)src[i];
		size_t need = c >= 0x20 && c < 0x7f ? 1 : 4;

		if (used + need + 1 > size)
			break;
		if (need == 1)
			dst[used] = (char)c;
		else
			snprintf(dst + used, size - used, "\\x%02x", c);
		used += need;
	}
	dst[used] = '\0';
}

int process_open_file(const struct process *p, const char *name)
{
	int fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int process_open_dir(const struct process *p, const char *name)
{
	int fd = openat(p->dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int process_open_path(const struct process *p, const char *name)
{
	int fd = openat(p->dir, name, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

ssize_t process_read_link(const struct process *p, const char *name, char *buf, size_t size)
{
	ssize_t n;

	if (!size)
		return -EINVAL;
	n = readlinkat(p->dir, name, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

/* Whole small file, NUL-terminated; bytes, or a negative errno. */
static ssize_t read_small(const struct process *p, const char *name, char *buf, size_t size)
{
	size_t used = 0;
	ssize_t n = 0;
	int fd = process_open_file(p, name);

	if (fd < 0)
		return fd;
	while (used < size - 1) {
		n = read(fd, buf + used, size - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	buf[used] = '\0';
	return n < 0 ? n : (ssize_t)used;
}

/*
 * Field `field` of a stat line (proc(5): from 3 on). The command, field 2, may
 * hold spaces and parentheses: count from the last ')'.
 */
static int stat_field(const char *stat, unsigned int field, uint64_t *value)
{
	const char *s = strrchr(stat, ')');
	char *end;

	if (!s)
		return -1;
	s++;
	for (unsigned int i = 3;; i++) {
		while (*s == ' ')
			s++;
		if (!*s)
			return -1;
		if (i == field)
			break;
		while (*s && *s != ' ')
			s++;
	}
	errno = 0;
	*value = strtoull(s, &end, 10);
	return errno || end == s ? -1 : 0;
}

static int has_exited(const struct process *p)
{
	struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};

	return poll(&fd, 1, 0) > 0 && (fd.revents & POLLIN);
}

int process_threads(const struct process *p, pid_t *tid, size_t max)
{
	struct dirent *entry;
	size_t cnt = 0;
	DIR *dir;
	int fd = openat(p->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (cnt < max && (entry = readdir(dir))) {
		long n = strtol(entry->d_name, NULL, 10);

		if (isdigit((unsigned char)entry->d_name[0]) && n > 0)
			tid[cnt++] = (pid_t)n;
	}
	closedir(dir);
	return (int)cnt;
}

/* A dead main thread that others outlive stays as a zombie and has lost its mm. */
static int thread_has_memory(const struct process *p, pid_t tid)
{
	char name[64], byte;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "task/%d/auxv", (int)tid);
	fd = process_open_file(p, name);
	if (fd < 0)
		return 0;
	n = read(fd, &byte, 1);
	close(fd);
	return n == 1;
}

pid_t process_live_tid(const struct process *p)
{
	pid_t found = 0;
	pid_t *tid;
	int cnt;

	if (thread_has_memory(p, p->pid))
		return p->pid;
	tid = calloc(PROCESS_THREADS_MAX, sizeof(*tid));
	if (!tid)
		return 0;
	cnt = process_threads(p, tid, PROCESS_THREADS_MAX);
	for (int i = 0; i < cnt && !found; i++) {
		if (thread_has_memory(p, tid[i]))
			found = tid[i];
	}
	free(tid);
	return found;
}

/* A kernel without pid namespaces has one number for each. */
static pid_t numbered(const struct process *p, pid_t tid, int place)
{
	char name[64], status[16384]; /* "Groups:" comes before, and may be long */

	snprintf(name, sizeof(name), "task/%d/status", (int)tid);
	if (read_small(p, name, status, sizeof(status)) <= 0)
		return 0;
	return strstr(status, "\nNSpid:") ? pids_number(status, place) : tid;
}

pid_t process_inner_tid(const struct process *p, pid_t tid)
{
	return numbered(p, tid, PIDS_LAST);
}

pid_t process_own_tid(const struct process *p, pid_t tid)
{
	int depth = pids_depth();

	return depth > 0 ? numbered(p, tid, depth) : tid;
}

pid_t process_find_tid(const struct process *p, pid_t inner)
{
	pid_t *tid = calloc(PROCESS_THREADS_MAX, sizeof(*tid));
	int cnt = tid ? process_threads(p, tid, PROCESS_THREADS_MAX) : 0;
	pid_t found = 0;

	for (int i = 0; i < cnt && !found; i++)
		if (process_inner_tid(p, tid[i]) == inner)
			found = tid[i];
	free(tid);
	return found;
}

static int open_mem(struct process *p)
{
	char name[64];
	pid_t tid = process_live_tid(p);

	if (!tid)
		return -ESRCH;
	snprintf(name, sizeof(name), "task/%d/mem", (int)tid);
	return process_open_file(p, name);
}

/*
 * /proc/PID/mem keeps the mm of the moment it was opened (fs/proc/base.c,
 * mem_open); once the last user of that mm is gone mem_rw() returns 0. Page
 * zero is never mapped, so that a living one fails at once and touches nothing.
 */
static int image_is_gone(const struct process *p)
{
	char byte;

	return pread(p->mem, &byte, 1, 0) == 0;
}

/*
 * exec gives a process its new memory before it lets the old one go, and others may hold that for
 * longer: the kernel does for whoever registers a uprobe on a file that is mapped there
 * (kernel/events/uprobes.c, build_map_info()). Where the stack begins is random for each image.
 * 0: nothing to compare.
 */
static uint64_t read_start_stack(const struct process *p)
{
	char name[64], stat[STAT_SZ];
	uint64_t size = 0, start = 0;

	snprintf(name, sizeof(name), "task/%d/stat", (int)process_live_tid(p));
	/* Without memory, as of a thread that has just left, the size is 0 as well. */
	if (read_small(p, name, stat, sizeof(stat)) <= 0 || stat_field(stat, 23, &size) || !size ||
	    stat_field(stat, 28, &start))
		return 0;
	return start ? start : IN_EXEC;
}

static int has_other_image(const struct process *p)
{
	uint64_t now = p->start_stack ? read_start_stack(p) : 0;

	return now && now != p->start_stack;
}

enum process_state process_state(const struct process *p)
{
	if (has_exited(p))
		return PROCESS_EXITED;
	if (!image_is_gone(p))
		return has_other_image(p) ? PROCESS_EXECED : PROCESS_SAME;
	/* A process that exits drops its memory before it can be waited for. */
	if (!process_live_tid(p))
		return PROCESS_EXITED;
	return PROCESS_EXECED;
}

int process_is_same(const struct process *p)
{
	return process_state(p) == PROCESS_SAME;
}

static void read_command(struct process *p)
{
	char buf[PROCESS_COMMAND_SZ] = "";
	ssize_t n = read_small(p, "cmdline", buf, sizeof(buf));

	while (n > 0 && !buf[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++) {
		if (!buf[i])
			buf[i] = ' ';
	}
	process_escape(buf, n > 0 ? (size_t)n : 0, p->command, sizeof(p->command));
	n = read_small(p, "comm", buf, sizeof(buf));
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	process_escape(buf, n > 0 ? (size_t)n : 0, p->comm, sizeof(p->comm));
}

static int refuse_open(pid_t pid, int error, struct refusal *why)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return refuse(why, EXIT_PERMISSION, remedy_root, "no permission to read process %d",
			      (int)pid);
	case EXDEV:
		return refuse(why, EXIT_KERNEL,
			      "run it in the host's pid namespace (docker run --pid=host)",
			      "process %d is outside of asyncprof's own pid namespace", (int)pid);
	case ENOSYS:
		return refuse(why, EXIT_KERNEL, "use Linux 5.15 or newer",
			      "this kernel has no pidfd_open");
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return refuse(why, EXIT_FAILED, NULL, "cannot open process %d: %s", (int)pid,
			      strerror(error));
	default:
		return refuse(why, EXIT_NO_PROCESS, "list them with: ps -ef",
			      "no process with pid %d", (int)pid);
	}
}

int process__open(pid_t pid, struct process **out, struct refusal *why)
{
	char path[32], stat[STAT_SZ];
	struct process *p;
	uint64_t flags = 0;
	ssize_t n;
	int err = -1;

	*out = NULL;
	if (pid <= 0)
		return refuse_open(pid, ESRCH, why);
	p = calloc(1, sizeof(*p));
	if (!p)
		return refuse_open(pid, ENOMEM, why);
	p->pid = pid;
	p->dir = p->mem = -1;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	p->pidfd = pids_open(pid);
	if (p->pidfd < 0) {
		err = -p->pidfd;
		/* A thread that leads no group: EINVAL, ENOENT from 6.9 on. */
		if ((err == EINVAL || err == ENOENT) && !access(path, F_OK))
			err = refuse(why, EXIT_NO_PROCESS, "give the pid of its process",
				     "%d is a thread, not a process", (int)pid);
		else
			err = refuse_open(pid, err, why);
		goto out;
	}
	p->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0) {
		/* With hidepid the process is there and its directory is not. */
		err = refuse_open(pid, errno == ENOENT && !has_exited(p) ? EPERM : errno, why);
		goto out;
	}
	n = read_small(p, "stat", stat, sizeof(stat));
	/* Only now is it certain that pidfd and directory are the same process. */
	if (n <= 0 || has_exited(p) || stat_field(stat, 22, &p->start_ticks) ||
	    stat_field(stat, 9, &flags)) {
		err = refuse_open(pid, n < 0 ? (int)-n : ESRCH, why);
		goto out;
	}
	if (flags & PF_KTHREAD) {
		err = refuse(why, EXIT_NO_PROCESS, NULL, "%d is a kernel thread, not Python",
			     (int)pid);
		goto out;
	}
	p->forked = !!(flags & PF_FORKNOEXEC);
	p->mem = open_mem(p);
	if (p->mem < 0) {
		err = refuse_open(pid, p->mem == -ESRCH && !has_exited(p) ? EPERM : -p->mem, why);
		goto out;
	}
	p->start_stack = read_start_stack(p);
	if (p->start_stack == IN_EXEC)
		p->start_stack = 0;
	read_command(p);
	*out = p;
	p = NULL;
	err = 0;
out:
	process__close(p);
	return err;
}

void process__close(struct process *p)
{
	if (!p)
		return;
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (p->dir >= 0)
		close(p->dir);
	if (p->mem >= 0)
		close(p->mem);
	free(p);
}

pid_t process_pid(const struct process *p)
{
	return p->pid;
}

int process_pidfd(const struct process *p)
{
	return p->pidfd;
}

uint64_t process_start_ticks(const struct process *p)
{
	return p->start_ticks;
}

uint64_t process_start_ns(const struct process *p)
{
	struct timespec boot, mono;
	int64_t slept;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	/* How long the machine was suspended, which the one counts and the other does not. */
	slept = (boot.tv_sec - mono.tv_sec) * 1000000000LL + boot.tv_nsec - mono.tv_nsec;
	return p->start_ticks * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK)) - (uint64_t)slept;
}

int process_is_forked(const struct process *p)
{
	return p->forked;
}

int process_shares_memory(const struct process *p, pid_t pid)
{
	struct process *other;
	struct refusal why;
	pid_t own;
	long same = -1;

	if (pid <= 0 || process__open(pid, &other, &why))
		return 0;
	own = process_own_tid(p, process_live_tid(p));
	pid = process_own_tid(other, process_live_tid(other));
	/* linux/kcmp.h; a kernel without CONFIG_KCMP does not tell. */
	if (own > 0 && pid > 0)
		same = syscall(SYS_kcmp, own, pid, KCMP_VM, 0, 0);
	process__close(other);
	return same == 0;
}

const char *process_comm(const struct process *p)
{
	return p->comm;
}

const char *process_command(const struct process *p)
{
	return p->command;
}
