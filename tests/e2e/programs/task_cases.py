# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Tasks and loops of other people's making: factories, Django's bridge, eager tasks, foreign loops."""
import asyncio
import heapq
import select
import sys
import threading
import time

import truth
from truth import case, during, gate, rest, silent, spin


class Counted(asyncio.Task):
	"""With a destructor and a field of its own."""

	def __init__(self, *args, **more):
		super().__init__(*args, **more)
		self.field = 1

	def __del__(self):
		super().__del__()


async def child():
	mark = await gate()
	with during("child sleeps", mark=mark):
		time.sleep(0.04)
	await asyncio.sleep(0)
	with during("child spins"):
		spin(0.04)


@case
def task_factories():
	async def main():
		loop = asyncio.get_running_loop()
		loop.set_task_factory(lambda loop, coro, **more: Counted(coro, loop=loop, **more))
		for number in range(2):
			task = asyncio.ensure_future(child())
			task.set_name(f"made {number}")
			await task
	asyncio.run(main())


class Crowded(asyncio.tasks._PyTask):
	"""With more fields than instances share the names of."""

	def __init__(self, *args, **more):
		super().__init__(*args, **more)
		for number in range(40):
			setattr(self, f"field_{number}", number)


@case
def python_tasks():
	"""What they are called lies among their attributes, which CPython keeps in several ways."""
	async def main():
		loop = asyncio.get_running_loop()
		for kind in (asyncio.tasks._PyTask, Crowded):
			for look in (id, vars):
				task = kind(child(), loop=loop, name=f"{kind.__name__} {look.__name__}")
				look(task)
				await task
	asyncio.run(main())


@case
def async_to_sync():
	"""asgiref runs a loop for each call, and a thread for what is not asynchronous."""
	try:
		from asgiref.sync import async_to_sync as bridge, sync_to_async
	except ImportError:
		return truth.skip("no asgiref for this Python")

	def database():
		time.sleep(0.03)

	async def view(name):
		await rest()
		asyncio.current_task().set_name(name)
		with during(name, task=name):
			time.sleep(0.04)
		await rest()
		await sync_to_async(database)()
		with during(name + " after", task=name):
			spin(0.04)
	for number in range(3):
		bridge(view)(f"view {number}")
		with silent(f"between {number}", loop_runs=False):
			time.sleep(0.05)

	async def outer():
		await rest()
		await sync_to_async(lambda: bridge(view)("inner view"))()
	asyncio.run(outer())
	return None


def foreign_run(loop):
	"""A loop in the style of qasync: another library's loop polls and runs the handles."""
	while not loop.stopped:
		timeout = 1000
		if loop.ready:
			timeout = 0
		elif loop.timers:
			timeout = max(0, loop.timers[0][0] - loop.time()) * 1000 + 1
		loop.poll.poll(timeout)
		while loop.timers and loop.timers[0][0] <= loop.time():
			loop.ready.append(heapq.heappop(loop.timers)[2])
		for handle in loop.ready[:]:
			loop.ready.remove(handle)
			on_timer(handle)


def on_timer(handle):
	if not handle.cancelled():
		handle._run()


class ForeignLoop(asyncio.AbstractEventLoop):
	def __init__(self):
		self.poll, self.ready, self.timers, self.number = select.poll(), [], [], 0
		self.stopped = False

	def get_debug(self):
		return False

	def time(self):
		return time.monotonic()

	def call_soon(self, callback, *args, context=None):
		handle = asyncio.Handle(callback, args, self, context)
		self.ready.append(handle)
		return handle

	def call_later(self, delay, callback, *args, context=None):
		handle = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
		self.number += 1
		heapq.heappush(self.timers, (handle.when(), self.number, handle))
		return handle

	def call_at(self, when, callback, *args, context=None):
		return self.call_later(when - self.time(), callback, *args, context=context)

	def _timer_handle_cancelled(self, handle):
		pass

	def call_exception_handler(self, context):
		print(context, file=sys.stderr)

	def create_future(self):
		return asyncio.Future(loop=self)

	def create_task(self, coro, **more):
		return asyncio.Task(coro, loop=self, **more)

	def run_forever(self):
		asyncio._set_running_loop(self)
		try:
			foreign_run(self)
		finally:
			asyncio._set_running_loop(None)

	def run_until_complete(self, coro):
		task = self.create_task(coro)
		task.add_done_callback(lambda task: setattr(self, "stopped", True))
		self.run_forever()
		return task.result()


@case
def foreign_loops():
	async def main():
		mark = await gate()
		with during("step sleeps", mark=mark):
			time.sleep(0.05)
		await rest()
		mark = await gate()
		with during("step spins", mark=mark):
			spin(0.05)
		await rest(0.05)
		loop = asyncio.get_running_loop()
		truth.call_bracketed(loop.call_soon, truth.sleep_named, "callback", 0.04)
		await rest(0.05)
		with during("last step"):
			time.sleep(0.04)
	loop = ForeignLoop()
	asyncio.set_event_loop(loop)
	loop.run_until_complete(main())
	asyncio.set_event_loop(None)
	with silent("after", loop_runs=False):
		time.sleep(0.06)


@case
def eager_tasks():
	if sys.version_info < (3, 12):
		return truth.skip("eager tasks came with 3.12")

	async def child(name):
		asyncio.current_task().set_name(name)
		with during(name + " at once", eager=True):
			time.sleep(0.05)
		mark = await gate()
		# 3.13.0 to 3.13.2 have renamed it to "None" by now (BaseEventLoop.create_task).
		with during(name + " later", mark=mark, eager=False):
			time.sleep(0.05)

	async def nested(name):
		asyncio.current_task().set_name(name)
		await asyncio.ensure_future(child(name + " inner"))

	async def at_once(name):
		asyncio.current_task().set_name(name)
		with during(name, eager=True):
			truth.spin_cpu(0.12)  # some ticks fall into it, whatever the machine does
		return 1

	async def main():
		asyncio.current_task().set_name("parent")
		loop = asyncio.get_running_loop()
		await rest()
		loop.set_task_factory(asyncio.eager_task_factory)
		for make in (child, nested):
			await rest()
			async with asyncio.TaskGroup() as group:
				group.create_task(make(make.__name__))
			mark = await gate()
			with during("parent itself", mark=mark, eager=False):
				time.sleep(0.04)
		await rest()
		await asyncio.create_task(at_once("never suspended"))
		await rest()

		async def in_python():
			"""Laid out otherwise than a C Task: not to be named, its parent is."""
			with during("eager in Python", task="parent", coro=main.__qualname__,
				    eager=False) as fact:
				fact["in_c"] = True
				time.sleep(0.05)
		asyncio.tasks._PyTask(in_python(), loop=loop, name="in Python", eager_start=True)
		await rest()

		def from_callback():
			keep.append(asyncio.ensure_future(child("of a callback")))
		keep = []
		loop.call_soon(from_callback)
		await rest(0.01)
		await keep[0]
	asyncio.run(main())
	return None


if __name__ == "__main__":
	truth.run_cases(sys.argv[1:] or list(truth.CASES))
