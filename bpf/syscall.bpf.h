/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the first arguments of a system call are, x86-64 numbers
 * (arch/x86/entry/syscalls/syscall_64.tbl). What is not listed waits on
 * nothing that has a name.
 */
#ifndef ASYNCPROF_SYSCALL_BPF_H
#define ASYNCPROF_SYSCALL_BPF_H

#define SYS_POLL 7
#define SYS_SELECT 23
#define SYS_FCNTL 72
#define SYS_FUTEX 202
#define SYS_PSELECT6 270
#define SYS_PPOLL 271
#define SYS_FUTEX_WAITV 449

enum syscall_shape {
	SHAPE_NONE,
	SHAPE_FD,	/* a file descriptor */
	SHAPE_POLLFD,	/* an array of struct pollfd, and its length */
	SHAPE_NFDS,	/* select: highest descriptor + 1 */
	SHAPE_PATH,	/* a path */
	SHAPE_AT_PATH,	/* a directory's descriptor, and a path */
};

static __always_inline enum syscall_shape syscall_shape(__s32 nr)
{
	switch (nr) {
	case SYS_POLL:
	case SYS_PPOLL:
		return SHAPE_POLLFD;
	case SYS_SELECT:
	case SYS_PSELECT6:
		return SHAPE_NFDS;
	case 0 ... 1:		/* read write */
	case 5:			/* fstat */
	case 8:			/* lseek */
	case 16 ... 20:		/* ioctl pread64 pwrite64 readv writev */
	case 40:		/* sendfile */
	case 42 ... 48:		/* connect accept sendto recvfrom sendmsg recvmsg shutdown */
	case SYS_FCNTL:
	case 73 ... 75:		/* flock fsync fdatasync */
	case 77 ... 78:		/* ftruncate getdents */
	case 217:		/* getdents64 */
	case 232:		/* epoll_wait */
	case 275 ... 278:	/* splice tee sync_file_range vmsplice */
	case 281:		/* epoll_pwait */
	case 285:		/* fallocate */
	case 288:		/* accept4 */
	case 295 ... 296:	/* preadv pwritev */
	case 299:		/* recvmmsg */
	case 306 ... 307:	/* syncfs sendmmsg */
	case 326 ... 328:	/* copy_file_range preadv2 pwritev2 */
	case 441:		/* epoll_pwait2 */
		return SHAPE_FD;
	case 2:			/* open */
	case 4:			/* stat */
	case 6:			/* lstat */
	case 21:		/* access */
	case 76:		/* truncate */
	case 80:		/* chdir */
	case 82 ... 90:		/* rename mkdir rmdir creat link unlink symlink readlink chmod */
		return SHAPE_PATH;
	case 257 ... 258:	/* openat mkdirat */
	case 262 ... 264:	/* newfstatat unlinkat renameat */
	case 267:		/* readlinkat */
	case 269:		/* faccessat */
	case 332:		/* statx */
	case 437:		/* openat2 */
	case 439:		/* faccessat2 */
		return SHAPE_AT_PATH;
	}
	return SHAPE_NONE;
}

#endif
