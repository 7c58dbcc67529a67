# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Programs that are started by asyncprof; each says on stdout what it has seen itself.

asyncio is imported where the mode needs it and not before: what a program does between its first
line and that import belongs to what is tested.
"""
import json
import os
import signal
import sys
import time

CALLBACKS = 100


def count_callbacks():
	"""Runs a loop; returns how many callbacks it ran, by its own count."""
	import asyncio
	from asyncio import events

	counted = [0]
	original = events.Handle._run

	def _run(self):
		counted[0] += 1
		return original(self)

	async def child():
		await asyncio.sleep(0)

	async def main():
		tasks = [asyncio.ensure_future(child()) for _ in range(10)]
		for task in tasks:
			await task
		while counted[0] < CALLBACKS:
			await asyncio.sleep(0)

	events.Handle._run = _run
	try:
		asyncio.run(main())
	finally:
		events.Handle._run = original
	return counted[0]


def count():
	print("callbacks", count_callbacks(), flush=True)


def late():
	"""asyncio after two seconds of other work."""
	end = time.monotonic() + 2
	while time.monotonic() < end:
		sum(range(1000))
	count()


def again():
	"""Python that becomes Python: a loop in each image."""
	count()
	os.execv(sys.executable, [sys.executable, os.path.abspath(__file__), "count"])


def status(name, words):
	return next(line.split()[1] for line in words if line.startswith(name + ":"))


def facts():
	"""As whom and with what it was started. Before anything is opened or handled."""
	with open("/proc/self/status") as file:
		words = file.read().split("\n")
	numbers = {}
	for name in ("SigBlk", "SigIgn", "SigCgt", "CapPrm", "CapEff", "CapInh", "CapAmb"):
		numbers[name] = int(status(name, words), 16)
	fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
	umask = os.umask(0)
	print(json.dumps({
		"uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups()),
		"status": numbers, "umask": umask, "cwd": os.getcwd(),
		# The last one is the directory that was listed.
		"fds": [fd for fd in fds if os.path.exists("/proc/self/fd/%d" % fd)],
		"env": dict(os.environ), "nice": os.getpriority(os.PRIO_PROCESS, 0),
		"pgrp": os.getpgrp() == os.getppid() or os.getpgrp() == os.getpgid(os.getppid()),
	}), flush=True)
	count_callbacks()


def copy():
	"""stdin to stdout, byte for byte."""
	count_callbacks()
	while True:
		data = os.read(0, 65536)
		if not data:
			return
		os.write(1, data)


def signals():
	"""Counts what comes, until stdin ends (a pipe), or one has come and a second had its time."""
	import asyncio

	counted = {}

	def handle(number, frame):
		counted[number] = counted.get(number, 0) + 1
		os.write(1, b"got %d\n" % number)  # print() may be at work already

	for number in (signal.SIGINT, signal.SIGTERM):
		signal.signal(number, handle)

	async def main():
		ended = asyncio.get_running_loop().run_in_executor(None, os.read, 0, 1)
		print("ready", flush=True)
		while not ended.done():
			await asyncio.sleep(0.01)
			if sys.argv[2:] == ["once"] and counted:
				await asyncio.sleep(0.5)
				break
		print("total", json.dumps(counted, sort_keys=True), flush=True)
		os._exit(0)

	asyncio.run(main())


def work():
	"""Long enough to be caught at any moment of its start."""
	import asyncio

	async def main():
		total = 0
		for i in range(30):
			total += sum(range(10000)) + i
			await asyncio.sleep(0.005)
		return total

	total = asyncio.run(main())
	with open(sys.argv[2], "w") as file:
		file.write("total %d\n" % total)


def wait_for():
	"""Runs a loop until a file is there."""
	import asyncio

	async def main():
		while not os.path.exists(sys.argv[2]):
			await asyncio.sleep(0.02)

	asyncio.run(main())
	print("it is there", flush=True)
	sys.exit(7)


def leaves_child():
	"""Its child outlives it, until somebody closes the pipe that is stdin."""
	count_callbacks()
	if os.fork() == 0:
		os.read(0, 1)
		os._exit(0)
	print("parent ends", flush=True)


# --- Programs that must be the same with and without asyncprof -----------------------------------


def harm_handlers():
	"""Handlers of its own before asyncio is imported, and a system call that a stop would end."""
	import ctypes
	import select
	import threading

	counted = {}

	def handle(number, frame):
		counted[number] = counted.get(number, 0) + 1

	for number in (signal.SIGCONT, signal.SIGCHLD, signal.SIGALRM, signal.SIGURG, signal.SIGIO):
		signal.signal(number, handle)
	ended = []
	poll = select.epoll()

	def wait():
		signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
		# Python's own would try again.
		ended.append(ctypes.CDLL(None).epoll_wait(poll.fileno(), bytes(64), 1, 1500))

	blocked = threading.Thread(target=wait)
	blocked.start()
	import decimal  # noqa: F401 - libraries of C code, each of which makes modules
	import sqlite3  # noqa: F401
	callbacks = count_callbacks()
	if os.fork() == 0:
		os._exit(0)
	os.wait()
	blocked.join()
	print("handlers", json.dumps(counted, sort_keys=True), ended, callbacks)


def harm_blocked():
	"""A blocked SIGCONT would stay pending."""
	signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT, signal.SIGTERM])
	callbacks = count_callbacks()
	print("pending", sorted(int(number) for number in signal.sigpending()), callbacks)


def harm_subprocess():
	import asyncio

	async def serve(reader, writer):
		while True:
			data = await reader.read(100)
			if not data:
				break
			writer.write(data)
			await writer.drain()
		writer.close()

	async def main():
		server = await asyncio.start_server(serve, "127.0.0.1", 0)
		port = server.sockets[0].getsockname()[1]
		reader, writer = await asyncio.open_connection("127.0.0.1", port)
		for i in range(20):
			writer.write(b"line %d\n" % i)
			print(await reader.readline())
		writer.close()
		child = await asyncio.create_subprocess_exec(
			sys.executable, "-c", "import asyncio, sys; print(sys.stdin.read()); sys.exit(5)",
			stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
		print((await child.communicate(b"to the child"))[0], child.returncode)
		server.close()
		await server.wait_closed()

	asyncio.run(main())
	sys.exit(11)


def harm_threads():
	import asyncio
	import threading

	done = []

	def own_loop(i):
		async def main():
			await asyncio.sleep(0.01 * i)
			return i
		done.append(asyncio.run(main()))

	threads = [threading.Thread(target=own_loop, args=(i,)) for i in range(8)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	print("threads", sorted(done))


def square(n):
	return n * n, count_callbacks() >= CALLBACKS


def harm_fork():
	import multiprocessing

	with multiprocessing.get_context("fork").Pool(2) as pool:
		print("pool", pool.map(square, range(6)), count_callbacks() >= CALLBACKS)


def harm_stops_itself():
	"""Whoever sends it SIGCONT finds its pid in a file."""
	count_callbacks()
	with open(sys.argv[2] + ".new", "w") as file:
		file.write(str(os.getpid()))
	os.rename(sys.argv[2] + ".new", sys.argv[2])
	os.kill(os.getpid(), signal.SIGSTOP)
	print("goes on")


if __name__ == "__main__":
	{function.__name__: function for function in (
		count, late, again, facts, copy, signals, work, wait_for, leaves_child, harm_handlers,
		harm_blocked, harm_subprocess, harm_threads, harm_fork,
		harm_stops_itself)}[sys.argv[1]]()
