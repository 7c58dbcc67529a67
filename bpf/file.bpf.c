/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The file or peer behind a system call, read from the task's own file table
 * when it leaves the CPU. Later /proc/PID/fd may name another file: the
 * descriptor can be closed and used again before anyone looks.
 */
#include "rule.bpf.h"
#include "file.bpf.h"
#include "syscall.bpf.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define DEPTH_MAX 12	/* path components kept */

static __always_inline struct file *fd_file(int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slot, *file = NULL;

	if (!table || fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	slot = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), slot + fd))
		return NULL;
	return file;
}

/* Components from the leaf up, through the mounts, to the root of the task: as the task sees it. */
static __always_inline void note_path(struct ap_file *out, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry), *parent;
	struct vfsmount *vfsmount = BPF_CORE_READ(file, f_path.mnt);
	struct task_struct *task = bpf_get_current_task_btf();
	struct dentry *root = BPF_CORE_READ(task, fs, root.dentry);
	struct vfsmount *root_mount = BPF_CORE_READ(task, fs, root.mnt);
	__u32 used = 0;
	int i;

	for (i = 0; i < DEPTH_MAX; i++) {
		struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
		long n;

		if (dentry == root && vfsmount == root_mount)
			break;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(vfsmount, mnt_root) || dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount)
				break;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			vfsmount = (void *)above + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		if (used > AP_PATH_SZ - AP_COMPONENT_SZ)
			break;
		n = bpf_probe_read_kernel_str(out->path + used, AP_COMPONENT_SZ,
					      BPF_CORE_READ(dentry, d_name.name));
		if (n <= 0)
			break;
		used += n;
		dentry = parent;
	}
	out->path_len = used;
}

static __always_inline void note_unix(struct ap_file *out, struct sock *sock)
{
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sock, peer);
	struct unix_address *addr;
	long n;

	if (!peer)
		return;
	addr = BPF_CORE_READ((struct unix_sock *)peer, addr);
	if (!addr)
		return;
	n = bpf_probe_read_kernel_str(out->path, 108, &addr->name[0].sun_path);
	if (n == 1) {	/* an abstract name begins with NUL */
		n = bpf_probe_read_kernel_str(out->path + 1, 107, &addr->name[0].sun_path[1]);
		if (n > 0) {
			out->path[0] = '@';
			n++;
		}
	}
	out->path_len = n > 0 ? n : 0;
}

static __always_inline void note_socket(struct ap_file *out, struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sock = BPF_CORE_READ(socket, sk);

	out->type = BPF_CORE_READ(socket, type);
	if (!sock)
		return;
	out->family = BPF_CORE_READ(sock, __sk_common.skc_family);
	if (out->family == AF_UNIX) {
		note_unix(out, sock);
		return;
	}
	if (out->family != AF_INET && out->family != AF_INET6)
		return;
	out->port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
	out->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
	if (out->family == AF_INET) {
		__be32 addr = BPF_CORE_READ(sock, __sk_common.skc_daddr);

		__builtin_memcpy(out->addr, &addr, sizeof(addr));
	} else {
		BPF_CORE_READ_INTO(&out->addr, sock, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
}

static __always_inline void note_fd(struct ap_block *b, int fd)
{
	struct file *file = fd_file(fd);
	struct ap_file *out = &b->file;
	struct inode *inode;

	b->fd = fd;
	if (!file)
		return;
	inode = BPF_CORE_READ(file, f_inode);
	out->mode = BPF_CORE_READ(inode, i_mode);
	out->ino = BPF_CORE_READ(inode, i_ino);
	out->magic = BPF_CORE_READ(inode, i_sb, s_magic);
	__builtin_memset(out->addr, 0, sizeof(out->addr));
	out->local_port = 0;
	out->type = 0;
	/* is_resolver() compares the first words of a path that may be shorter. */
	__builtin_memset(out->path, 0, 16);
	if ((out->mode & S_IFMT) == S_IFSOCK)
		note_socket(out, file);
	else
		note_path(out, file);
}

static __always_inline void note_user_path(struct ap_file *out, __u64 path)
{
	long n = bpf_probe_read_user_str(out->path, AP_PATH_SZ, (void *)path);

	out->path_len = n > 0 ? n : 0;
}

__noinline int file_resolve(struct ap_thread *t, __u32 block)
{
	struct ap_block *b;
	__s32 fd = -1;

	if (!t)
		return 0;
	b = rule_block(t, block);
	switch (syscall_shape(b->syscall)) {
	case SHAPE_FD:
		note_fd(b, (__s32)b->arg[0]);
		break;
	case SHAPE_POLLFD:
		b->fds = (__u32)b->arg[1];
		if (b->fds && !ap_read(&fd, sizeof(fd), b->arg[0]))
			note_fd(b, fd);
		break;
	case SHAPE_NFDS:
		b->fds = (__u32)b->arg[0];
		break;
	case SHAPE_PATH:
		note_user_path(&b->file, b->arg[0]);
		break;
	case SHAPE_AT_PATH:
		note_user_path(&b->file, b->arg[1]);
		break;
	case SHAPE_NONE:
		break;
	}
	return 0;
}
