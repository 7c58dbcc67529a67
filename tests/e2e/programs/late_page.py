# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A page of memory that comes late: a userfaultfd served by a forked process.

The server must be another process: whoever touches the page keeps the GIL while it waits.
x86-64 numbers, from linux/userfaultfd.h and asm/unistd_64.h.
"""
import ctypes
import mmap
import os
import struct
import time

SYS_userfaultfd = 323
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE = 0xc018aa3f, 0xc020aa00, 0xc020aa04
UFFD_API, REGISTER_MISSING = 0xaa, 1


def silent(pages):
	"""(userfaultfd, memory): pages that do not come unless somebody serves them."""
	import fcntl
	libc = ctypes.CDLL(None, use_errno=True)
	fd = libc.syscall(SYS_userfaultfd, os.O_CLOEXEC)
	if fd < 0:
		raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
	memory = mmap.mmap(-1, pages * mmap.PAGESIZE)
	address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
	fcntl.ioctl(fd, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
	fcntl.ioctl(fd, UFFDIO_REGISTER, struct.pack("QQQQ", address, pages * mmap.PAGESIZE,
						     REGISTER_MISSING, 0))
	return fd, memory


class LatePage:
	def __init__(self, seconds):
		import fcntl
		self.server = 0
		self.fd, self.memory = fd, _ = silent(1)
		self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
		self.server = os.fork()
		if not self.server:
			try:
				os.read(fd, 32)
				time.sleep(seconds)
				fcntl.ioctl(fd, UFFDIO_ZEROPAGE,
					    struct.pack("QQQq", self.address, mmap.PAGESIZE, 0, 0))
			finally:
				os._exit(0)

	def touch(self):
		return ctypes.c_char.from_address(self.address).value

	def close(self):
		os.waitpid(self.server, 0)
		os.close(self.fd)
