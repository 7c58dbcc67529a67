# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""gevent inside asyncio's callbacks: its hub turns a loop of its own, on another greenlet of the
same thread, while the callback's Context.run is open. Prints what was computed, in order.
"""
import asyncio
import contextvars
import sys

import gevent
import gevent.queue

import truth

ROUNDS = 120
which = contextvars.ContextVar("which", default=-1)
log = []


def produce(queue, number):
	which.set(number)
	for item in range(3):
		queue.put((number, item))
		contextvars.copy_context().run(gevent.sleep, 0)
	return which.get()


def consume(queue, count):
	return sum(number + item for number, item in (queue.get() for _ in range(count)))


def callback(number):
	"""Producers and a consumer, each on a greenlet; waits for them in the hub."""
	queue = gevent.queue.Queue(maxsize=1)
	makers = [gevent.spawn(produce, queue, number + i) for i in range(4)]
	eater = gevent.spawn(consume, queue, 12)
	gevent.joinall(makers + [eater], raise_error=True)
	log.append([number, eater.value, [one.value for one in makers], which.get()])


async def step(number):
	"""The same from a task, whose coroutine another greenlet could not resume."""
	which.set(1000 + number)
	for turn in range(4):
		callback(number + turn)
		await asyncio.sleep(0)


async def main():
	"""asyncprof has no business with gevent's own loop: it comes while asyncio's is there."""
	await asyncio.sleep(0)
	truth.hello()
	assert truth.listen() == "go"
	loop = asyncio.get_running_loop()
	for number in range(ROUNDS):
		loop.call_soon(callback, number)
		await asyncio.sleep(0)
	await asyncio.gather(*[step(number) for number in range(ROUNDS)])


if __name__ == "__main__":
	asyncio.run(main())
	truth.say(t="result", log=log)
	sys.exit(12)
