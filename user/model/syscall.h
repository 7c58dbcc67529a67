/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * System calls by number: their names, and what a thread that sleeps in one
 * waits for. Numbers are those of x86-64; another architecture is another
 * table here, and nothing else changes.
 *
 * It must never include a header of the system: a recording is read anywhere.
 */
#ifndef ASYNCPROF_SYSCALL_H
#define ASYNCPROF_SYSCALL_H

enum syscall_class {
	SYSCALL_ANY = 0, /* nothing is known of what it waits for */
	SYSCALL_SLEEP,	 /* waits for time to pass */
	SYSCALL_SELECT,	 /* waits for fds that are listed in the call */
	SYSCALL_EPOLL,	 /* waits for fds that the kernel has a list of */
	SYSCALL_IO,	 /* on an fd of any kind: what it waits for is what the fd is */
	SYSCALL_SOCKET,	 /* on a socket, whether its fd was resolved or not */
	SYSCALL_PATH,	 /* on a file system */
	SYSCALL_FLOCK,	 /* waits for a file lock */
	SYSCALL_FCNTL,	 /* does so with some of its commands */
	SYSCALL_CHILD,	 /* waits for another process */
	SYSCALL_SEM,	 /* waits for a semaphore or a futex */
	SYSCALL_QUEUE,	 /* waits for a message */
	SYSCALL_CLASS_CNT
};

/* Commands of fcntl that wait (include/uapi/asm-generic/fcntl.h). */
#define SYSCALL_F_SETLKW     7
#define SYSCALL_F_OFD_SETLKW 38

const char *syscall_name(int number); /* NULL: none, or not known */
enum syscall_class syscall_class_of(int number);
int syscall_number(const char *name); /* -1: not known */

#endif
