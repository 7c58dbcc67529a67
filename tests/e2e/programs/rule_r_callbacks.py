# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""When a callback begins and ends: what callbacks, tasks and handles do that a naive rule gets wrong.

A case says what must be reported (`during`), over which windows no task and no callback may be
(`silent`), and which windows belong to a loop's iteration but to no callback (t="iteration").
A case ends with its loop closed, so that cases can't touch each other.
"""
import asyncio
import contextvars
import functools
import gc
import logging
import os
import selectors
import signal
import sys
import threading
import time

import truth
from truth import call_bracketed, case, during, gate, rest, silent, spin, sleep_named, spin_named, nothing


@case
def steps_and_callbacks():
	async def main():
		mark = await gate()
		with during("sleep", mark=mark):
			time.sleep(0.06)
		mark = await gate()
		with during("cpu", mark=mark):
			spin(0.06)
		loop = asyncio.get_running_loop()
		call_bracketed(loop.call_soon, sleep_named, "call_soon", 0.05)
		await rest()
		loop.call_later(0.003, spin_named, None, "call_later", 0.05)
		await rest(0.02)
		loop.call_soon(functools.partial(sleep_named, None, "partial", 0.03))
		await rest()
		mark = await gate()
		with during("last step", mark=None):
			time.sleep(0.04)
	asyncio.run(main())
	with silent("after the last step"):
		time.sleep(0.05)


@case
def kept_exceptions():
	kept = []

	async def main():
		loop = asyncio.get_running_loop()
		loop.set_exception_handler(lambda loop, context: kept.append(context["exception"]))

		def bad():
			raise ValueError("kept with its traceback")
		for i in range(50):
			loop.call_soon(bad if i % 10 == 0 else nothing)
			await rest(0.001)
		mark = await gate()
		with during("after failures", mark=mark):
			time.sleep(0.04)
		await rest()
	asyncio.run(main())
	with silent("after", loop_runs=False):
		time.sleep(0.06)
	assert len(kept) == 5


@case
def debug_mode():
	class Slow(logging.Handler):
		def emit(self, record):
			with during("log handler", t="silent", in_iteration=True):
				time.sleep(0.1)
	handler = Slow()
	logging.getLogger("asyncio").addHandler(handler)

	async def main():
		await rest()
		with during("step"):
			time.sleep(0.11)
		await rest()
	asyncio.run(main(), debug=True)
	logging.getLogger("asyncio").removeHandler(handler)


@case
def exception_handler():
	async def main():
		loop = asyncio.get_running_loop()

		def handler(loop, context):
			with during("handler", callback="exception_handler.<locals>.main.<locals>.bad"):
				time.sleep(0.06)

		def bad():
			raise ValueError
		loop.set_exception_handler(handler)
		loop.call_soon(bad)
		await rest()
		loop.call_soon(bad)
		loop.call_soon(nothing)
		await rest()
	asyncio.run(main())


@case
def destructors_of_arguments():
	class Sleeps:
		def __del__(self):
			with during("__del__ sleeps", t="silent", in_iteration=True):
				time.sleep(0.1)

	class Spins:
		def __del__(self):
			with during("__del__ spins", t="silent", in_iteration=True):
				spin(0.1)

	async def main():
		loop = asyncio.get_running_loop()
		loop.call_soon(nothing, Sleeps())
		await rest()
		loop.call_soon(nothing, Spins())
		await rest()
		loop.call_soon(nothing, Sleeps())
		loop.call_soon(nothing)
		loop.call_soon(nothing)
		await rest()
	asyncio.run(main())


@case
def signals():
	def in_poll(*args):
		with during("handler in the poll", t="signal"):
			time.sleep(0.08)

	def in_callback(*args):
		with during("handler in a callback"):
			time.sleep(0.03)

	def from_loop():
		with during("add_signal_handler", callback="signals.<locals>.from_loop"):
			time.sleep(0.05)

	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		signal.signal(signal.SIGALRM, in_poll)
		signal.setitimer(signal.ITIMER_REAL, 0.03)
		await rest(0.2)
		signal.signal(signal.SIGALRM, in_callback)
		mark = await gate()
		with during("step with a handler", mark=mark):
			signal.setitimer(signal.ITIMER_REAL, 0.02)
			time.sleep(0.06)
		await rest()
		loop.add_signal_handler(signal.SIGUSR1, from_loop)
		os.kill(os.getpid(), signal.SIGUSR1)
		await rest(0.02)
		loop.remove_signal_handler(signal.SIGUSR1)
	asyncio.run(main())
	signal.signal(signal.SIGALRM, signal.SIG_DFL)


@case
def context_run_inside():
	context = contextvars.copy_context()

	def runs(mark):
		with during("call", mark=mark, callback="context_run_inside.<locals>.runs"):
			context.run(spin, 0.05)

	async def main():
		mark = await gate()
		with during("step", mark=mark):
			contextvars.copy_context().run(time.sleep, 0.05)
			time.sleep(0.03)
		await rest()
		call_bracketed(asyncio.get_running_loop().call_soon, runs)
		await rest()
	asyncio.run(main())


@case
def context_entered_already():
	context = contextvars.copy_context()
	entered, leave = threading.Event(), threading.Event()
	thread = threading.Thread(target=context.run, args=(lambda: (entered.set(), leave.wait()),))

	ran = []

	def runs(mark):
		ran.append(1)
		with during("runs", mark=mark, callback="context_entered_already.<locals>.runs"):
			time.sleep(0.04)

	async def main():
		loop = asyncio.get_running_loop()
		thread.start()
		entered.wait()
		for _ in range(10):  # each fails: "cannot enter context"
			loop.call_soon(runs, {}, context=context)
		await rest(0.02)
		assert not ran
		leave.set()
		thread.join()
		mark = {}
		loop.call_soon(truth.before, mark)
		loop.call_soon(runs, mark, context=context)
		loop.call_soon(truth.after, mark)
		await rest(0.02)
	asyncio.run(main())


class OwnTask(asyncio.Task):
	pass


@case
def other_tasks():
	async def child():
		mark = await gate()
		with during("wakeup", mark=mark):
			time.sleep(0.04)
		await asyncio.sleep(0)
		with during("step"):
			spin(0.04)
		await rest()

	async def main():
		loop = asyncio.get_running_loop()
		for kind, name in ((asyncio.tasks._PyTask, "python-task"), (OwnTask, "own-task")):
			task = kind(child(), loop=loop, name=name)
			await task
	asyncio.run(main())


class SuperHandle(asyncio.Handle):
	__slots__ = ()

	def _run(self):
		super()._run()


class OwnHandle(asyncio.Handle):
	__slots__ = ()

	def _run(self):
		self._context.run(self._callback, *self._args)


@case
def own_handles():
	async def main():
		loop = asyncio.get_running_loop()

		def push(kind, function, *args):
			loop._ready.append(kind(function, args, loop))
		await rest()
		for kind in (SuperHandle, OwnHandle):
			call_bracketed(functools.partial(push, kind), sleep_named,
				       kind.__name__ + " sleeps", 0.04)
			await rest(0.02)
			call_bracketed(functools.partial(push, kind), spin_named,
				       kind.__name__ + " spins", 0.04)
			await rest(0.02)
		push(OwnHandle, nothing)
		loop.call_soon(sleep_named, None, "plain after own", 0.03)
		await rest(0.02)
		thread = threading.Thread(target=loop.call_soon_threadsafe,
					  args=(sleep_named, None, "threadsafe", 0.04))
		thread.start()
		await rest(0.06)
		thread.join()

		def two():
			loop.call_soon_threadsafe(nothing)
			loop.call_soon_threadsafe(spin_named, None, "threadsafe cpu", 0.04)
		thread = threading.Thread(target=two)
		thread.start()
		await rest(0.06)
		thread.join()
	asyncio.run(main())


@case
def tracing():
	async def main():
		for _ in range(50):
			await asyncio.sleep(0)
		for name, start in (("settrace", sys.settrace), ("setprofile", sys.setprofile)):
			start(lambda *args: None)
			for _ in range(20):
				await asyncio.sleep(0)
			with during(name + " sleep"):
				time.sleep(0.04)
			await rest(0.03)
			with during(name + " cpu"):
				spin(0.04)
			await rest(0.03)
			start(None)

	def follow(*args):
		return follow

	async def traced():
		await rest()
		with during("traced everywhere"):
			time.sleep(0.04)
		await rest(0.03)
	asyncio.run(main())
	sys.settrace(follow)
	asyncio.run(traced())
	sys.settrace(None)
	with silent("after", loop_runs=False):
		time.sleep(0.05)


@case
def waits_between_callbacks():
	stop = []

	def hog():
		while not stop:
			pass

	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		with during("build", t="may"):
			big = [[i] for i in range(600000)]
		with during("arguments freed", t="iteration"):
			loop.call_soon(nothing, big)
			loop.call_soon(nothing)
			del big
			await rest()
		await rest()
		thread = threading.Thread(target=hog)
		thread.start()
		for _ in range(3):
			with during("step"):
				spin(0.06)
			await asyncio.sleep(0)
		for _ in range(3):
			await rest(0.002)
		stop.append(1)
		thread.join()
		await rest()
	asyncio.run(main())


def deep(levels, function, *args):
	return deep(levels - 1, function, *args) if levels else function(*args)


@case
def deep_stacks():
	async def main():
		selector = selectors.DefaultSelector()
		for name, levels, function, argument in (
				("60 sleep", 60, time.sleep, 0.04), ("300 sleep", 300, time.sleep, 0.04),
				("300 cpu", 300, spin, 0.04), ("300 poll", 300, selector.select, 0.04)):
			mark = await gate()
			with during(name, mark=mark):
				deep(levels, function, argument)
			await rest(0.03)
		selector.close()
	asyncio.run(main())


@case
def collected_between():
	"""gc.collect() in a callback of its own: the callback's time, nobody else's."""
	keep = [[i] for i in range(300000)]

	def collect(mark):
		with during("gc.collect", mark=mark, callback="collected_between.<locals>.collect"):
			for _ in range(4):
				gc.collect()

	async def main():
		await rest()
		call_bracketed(asyncio.get_running_loop().call_soon, collect)
		await rest()
	asyncio.run(main())
	keep.clear()  # outside: 300 000 frees take over 10 ms on a slow machine, a stall of their own
