# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Callbacks that recurse until the interpreter stops them, in Python, through coroutines and in C:
at the same depth each time. Prints the depths.
"""
import asyncio
import contextvars
import functools
import json
import sys
import threading
import time

import truth

ROUNDS = 60
depths = {}


def note(kind, depth):
	depths.setdefault(kind, set()).add(depth)


def until_it_stops(kind, down):
	depth = 0

	def deeper():
		nonlocal depth
		depth += 1
		down(deeper)

	try:
		deeper()
	except RecursionError:
		note(kind, depth)


def plain():
	until_it_stops("python", lambda deeper: deeper())


def through_context():
	"""Context.run below Context.run, each entry of it a probe's hit."""
	context = contextvars.copy_context
	until_it_stops("context", lambda deeper: context().run(deeper))


def through_c():
	until_it_stops("sort", lambda deeper: [0].sort(key=lambda _: deeper()))
	until_it_stops("partial", lambda deeper: functools.partial(deeper)())


def nested_data():
	data = []
	for _ in range(100000):
		data = [data]
	for kind, work in (("repr", repr), ("json", json.dumps)):
		try:
			work(data)
		except RecursionError as error:
			note(kind, str(error))
	while data:  # its own destruction would recurse as well
		data = data[0]


def slow_and_deep(depth=400):
	"""A stall in a deep stack, which is walked."""
	if depth:
		return slow_and_deep(depth - 1)
	time.sleep(0.03)


async def deep(depth):
	depth[0] += 1
	await deep(depth)


async def main(rounds):
	loop = asyncio.get_running_loop()
	for turn in range(rounds):
		loop.call_soon(plain)
		loop.call_soon(through_context)
		loop.call_soon(through_c)
		await asyncio.sleep(0)
		depth = [0]
		try:
			await deep(depth)
		except RecursionError:
			note("coroutine", depth[0])
	loop.call_soon(nested_data)
	loop.call_soon(slow_and_deep)
	await asyncio.sleep(0)


def higher():
	"""With a limit that fits the larger stack of a thread of its own."""
	sys.setrecursionlimit(6000)
	asyncio.run(main(2))


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	asyncio.run(main(ROUNDS))
	threading.stack_size(512 << 20)
	thread = threading.Thread(target=higher)
	thread.start()
	thread.join()
	truth.say(t="result", depths={kind: sorted(found, key=str) for kind, found in depths.items()})
	sys.exit(14)
