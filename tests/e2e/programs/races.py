# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A loop whose every callback stalls, in a task that is named after its process and program image;
a while after its stdin has ended something happens to it. It says when it is up, and when it calls exec. Or, with `churn`, many short loops in threads and forks.

usage: races.py KIND SECONDS [IMAGE]
"""
import asyncio
import ctypes
import itertools
import os
import sys
import threading
import time

STALL_S = 0.012
FORKED_S = 0.2		# how long a forked child runs on
THREADS = 40
EXIT = 60		# of this thread only, x86-64


def again(program):
	os.write(1, f"exec {time.time()}\n".encode())
	os.execv(program[0], program)


def fork():
	"""In the middle of a callback: the child goes on in it."""
	global ends
	if os.fork() == 0:
		ends = time.monotonic() + FORKED_S
	else:
		plan.append((time.monotonic() + FORKED_S / 2, fork))


def happens(kind):
	image2 = [sys.executable, os.path.abspath(__file__), "lasts", "0", "2"]
	return {
		"lasts": lambda: None,
		"exits": lambda: os._exit(0),
		"execs": lambda: again(image2),
		"execs from a thread": lambda: threading.Thread(target=again, args=(image2,)).start(),
		"becomes another program": lambda: again(["/bin/sleep", "600"]),
		"forks": fork,
		"loses its main thread": leave.set,
	}[kind]


async def stall():
	task = asyncio.current_task()
	os.write(1, b"up\n")
	while time.monotonic() < ends:
		task.set_name(f"{os.getpid()}.{image}")
		time.sleep(STALL_S)
		while plan and time.monotonic() > plan[0][0]:
			plan.pop(0)[1]()
		await asyncio.sleep(0)
	os._exit(0)


def when_told(seconds, what):
	sys.stdin.read()
	plan.append((time.monotonic() + seconds, what))


def main(kind, seconds):
	threading.Thread(target=when_told, args=(seconds, happens(kind)), daemon=True).start()
	if kind != "loses its main thread":
		return asyncio.run(stall())
	threading.Thread(target=asyncio.run, args=(stall(),)).start()
	leave.wait()
	return ctypes.CDLL(None).syscall(EXIT, 0)


def churn():
	"""Loops in threads that come and go, and children that are forked inside a callback."""
	import truth

	async def short():
		time.sleep(0.001)
		if threading.current_thread().name == "forks" and os.fork() == 0:
			await asyncio.sleep(0.01)
			os._exit(0)

	truth.hello()
	for turn in itertools.count():
		if truth.listen() != "go":
			break
		for number in range(THREADS):
			thread = threading.Thread(target=lambda: asyncio.run(short()),
						  name="" if number % 4 else "forks")
			thread.start()
			thread.join()
		for _ in range(THREADS // 4):
			os.wait()
		truth.say(t="done", turn=turn)


image = "1"
ends = float("inf")
plan = []		# (when, what), in the loop's thread
leave = threading.Event()

if __name__ == "__main__":
	if sys.argv[1] == "churn":
		churn()
	else:
		image = sys.argv[3] if len(sys.argv) > 3 else image
		main(sys.argv[1], float(sys.argv[2]))
