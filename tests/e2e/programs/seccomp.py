# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A process that may make a handful of system calls only, and dies of any other: a probe that made
it do one (as return probes did on kernels 6.11 to 6.13) would end it. x86-64's numbers.
"""
import asyncio
import ctypes
import os
import socket
import struct
import sys

import truth

# What the rest of the program does, and what an allocator and a signal may need.
ALLOWED = {"read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10,
	   "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
	   "mremap": 25, "madvise": 28, "getpid": 39, "sendto": 44, "recvfrom": 45, "shutdown": 48,
	   "getsockname": 51, "getpeername": 52, "exit": 60, "futex": 202, "clock_gettime": 228, "exit_group": 231,
	   "epoll_wait": 232, "epoll_ctl": 233, "epoll_pwait": 281, "getrandom": 318}
AUDIT_ARCH_X86_64 = 0xc000003e
LOAD, JEQ, RET = 0x20, 0x15, 0x06		# of words, against a constant, a constant
KILL, ALLOW = 0x80000000, 0x7fff0000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
ROUNDS = 600


def lock_up():
	rules = [(LOAD, 0, 0, 4), (JEQ, 1, 0, AUDIT_ARCH_X86_64), (RET, 0, 0, KILL), (LOAD, 0, 0, 0)]
	for number in ALLOWED.values():
		rules += [(JEQ, 0, 1, number), (RET, 0, 0, ALLOW)]
	rules.append((RET, 0, 0, KILL))
	code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
	program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
	libc = ctypes.CDLL(None, use_errno=True)
	for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
			  (PR_SET_SECCOMP, FILTER, ctypes.addressof(program), 0, 0)):
		if libc.prctl(*[ctypes.c_ulong(one) for one in arguments]):
			sys.exit("prctl: " + os.strerror(ctypes.get_errno()))


def killed_by():
	"""The filter works: the signal that ends a child which makes another call."""
	child = os.fork()
	if not child:
		lock_up()
		os.getppid()
		os._exit(0)
	return os.WTERMSIG(os.waitpid(child, 0)[1])


async def echo(sock):
	loop = asyncio.get_running_loop()
	while True:
		data = await loop.sock_recv(sock, 100)
		if not data:
			return
		await loop.sock_sendall(sock, data[::-1])


async def main():
	ours, theirs = socket.socketpair()
	ours.setblocking(False)
	theirs.setblocking(False)
	loop = asyncio.get_running_loop()
	other = asyncio.create_task(echo(theirs))
	await asyncio.sleep(0.001)
	lock_up()
	with theirs, ours:
		right = 0
		for n in range(ROUNDS):
			sent = b"%d" % n
			await loop.sock_sendall(ours, sent)
			right += await loop.sock_recv(ours, 100) == sent[::-1]
			if n % 100 == 0:
				await asyncio.sleep(0.001)
		ours.shutdown(socket.SHUT_WR)
		await other
	return right


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	killed = killed_by()
	truth.say(t="result", killed=killed, right=asyncio.run(main()))
	sys.exit(15)
