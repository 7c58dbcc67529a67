# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The dearest case for a recording: some 2 000 short waits a second inside callbacks.

A thread answers each byte that comes through a pipe, so a wait is one for the pipe, and as a rule
one for the GIL. Of each count it tells the median: what one wait took, whatever else went on.
"""
import asyncio
import os
import statistics
import threading

import truth

to_thread, from_loop = os.pipe()[::-1]
from_thread, to_loop = os.pipe()
took = []
waits = 0


def answer():
	while True:
		os.write(to_loop, os.read(from_loop, 1))


def ask(depth):
	if depth:
		return ask(depth - 1)
	os.write(to_thread, b"x")
	return os.read(from_thread, 1)


async def wait_often():
	global waits
	while True:
		for _ in range(2):  # the loop's own sleep is a millisecond at least
			begin = truth.ns()
			ask(8 + waits % 8)
			took.append(truth.ns() - begin)
			waits += 1
		await asyncio.sleep(0.0001)


async def main():
	truth.commands.setblocking(False)
	threading.Thread(target=answer, daemon=True).start()
	task = asyncio.ensure_future(wait_often())
	truth.hello()
	while await asyncio.get_running_loop().sock_recv(truth.commands, 64) == b"count\n":
		truth.say(t="count", lines=waits, ns=statistics.median(took) if took else 0)
		took.clear()
	task.cancel()


if __name__ == "__main__":
	asyncio.run(main())
