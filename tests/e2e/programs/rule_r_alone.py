# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Cases of rule R that need a process of their own: they patch the interpreter, or end it.

The same words as in rule_r_callbacks.py.
"""
import asyncio
import contextlib
import contextvars
import ctypes
import os
import select
import selectors
import sys
import threading
import time

import truth
from truth import case, during, gate, ns, rest, say, silent, skip, spin

ALONE = ("nested_same_loop", "greenlets", "frame_evaluation_hook", "without_accelerator",
	 "exec_inside", "thread_dies_inside")


@case
def nested_same_loop():
	try:
		import nest_asyncio
	except ImportError:
		return skip("no nest_asyncio")

	async def inner():
		for _ in range(3):
			await rest(0.03)
		mark = await gate()
		with during("inner", mark=mark):
			time.sleep(0.04)
		await rest()

	async def main():
		await rest()
		with during("outer", need_ns=0) as fact:
			a = ns()
			time.sleep(0.05)
			b = ns()
			asyncio.get_event_loop().run_until_complete(inner())
			c = ns()
			time.sleep(0.05)
			fact["need_ns"] = fact["asleep_ns"] = b - a + ns() - c
		await rest()
		mark = await gate()
		with during("later", mark=mark):
			spin(0.04)
		await rest()
	loop = asyncio.new_event_loop()
	asyncio.set_event_loop(loop)
	nest_asyncio.apply(loop)
	loop.run_until_complete(main())
	loop.close()
	with silent("after", loop_runs=False):
		time.sleep(0.06)


@contextlib.contextmanager
def outside_the_loop():
	"""For another loop on this thread: from 3.14 on a thread has one current task, not each loop."""
	loop = asyncio._get_running_loop()
	thread_has_task = sys.version_info >= (3, 14)
	task = asyncio.tasks._swap_current_task(loop, None) if thread_has_task else None
	asyncio._set_running_loop(None)
	yield
	asyncio._set_running_loop(loop)
	if thread_has_task:
		asyncio.tasks._swap_current_task(loop, task)


@case
def greenlets():
	try:
		import greenlet
	except ImportError:
		return skip("no greenlet")
	main_greenlet = greenlet.getcurrent()

	def switches():
		time.sleep(0.03)
		main_greenlet.switch()
		spin(0.03)

	def polls():
		select.select([], [], [], 0.04)
		spin(0.03)

	def switches_in_context():
		contextvars.copy_context().run(
			lambda: (time.sleep(0.03), main_greenlet.switch(), time.sleep(0.03)))

	async def inner():
		await rest(0.02)
		with during("inner of greenlet"):
			time.sleep(0.03)

	def runs_a_loop():
		with outside_the_loop():
			loop = asyncio.new_event_loop()
			loop.run_until_complete(inner())
			loop.close()

	async def main():
		mark = await gate()
		with during("switches", mark=mark):
			one = greenlet.greenlet(switches)
			one.switch()
			time.sleep(0.02)
			one.switch()
		mark = await gate()
		with during("polls", mark=mark):
			greenlet.greenlet(polls).switch()
		mark = await gate()
		with during("switches in a context", mark=mark):
			one = greenlet.greenlet(switches_in_context)
			one.switch()
			contextvars.copy_context().run(time.sleep, 0.03)
			one.switch()
		mark = await gate()
		with during("runs a loop", mark=mark):
			time.sleep(0.02)
			greenlet.greenlet(runs_a_loop).switch()
			time.sleep(0.02)
		mark = await gate()
		with during("later", mark=mark):
			spin(0.03)
		await rest()
	asyncio.run(main())

	# Two loops whose callbacks interleave on two greenlets of one thread.
	async def first():
		await rest()
		with during("first, interrupted", task="first"):
			asyncio.current_task().set_name("first")
			time.sleep(0.03)
			with outside_the_loop():
				second_greenlet.switch()
			time.sleep(0.03)
		await rest()

	async def second():
		await rest()
		with during("second", task="second"):
			asyncio.current_task().set_name("second")
			time.sleep(0.03)
		await rest(0.02)
		with during("second, interrupted", task="second"):
			time.sleep(0.02)
			with outside_the_loop():
				main_greenlet.switch()
			time.sleep(0.02)
		await rest()

	def run_second():
		loop = asyncio.new_event_loop()
		loop.run_until_complete(second())
		loop.close()
	second_greenlet = greenlet.greenlet(run_second)
	loop = asyncio.new_event_loop()
	try:
		loop.run_until_complete(first())
	except RuntimeError as error:  # the C accelerator counts one current task a thread
		say(t="note", case="greenlets", text=str(error))
	if not second_greenlet.dead:
		second_greenlet.switch()
	with silent("after", loop_runs=False):
		time.sleep(0.05)


@case
def frame_evaluation_hook():
	"""PEP 523: every Python call goes through a C function, as debuggers and compilers do it."""
	try:
		ctypes.PyDLL(os.environ["EVAL_HOOK"]).install_eval_hook()
	except OSError as error:
		return skip(str(error))

	async def main():
		mark = await gate()
		with during("sleep", mark=mark):
			time.sleep(0.04)
		mark = await gate()
		with during("cpu", mark=mark):
			spin(0.04)
		selector = selectors.DefaultSelector()
		mark = await gate()
		with during("own poll", mark=mark):
			selector.select(0.04)
		await rest(0.02)
		selector.close()
	asyncio.run(main())
	with silent("after", loop_runs=False):
		time.sleep(0.06)


@case
def without_accelerator():
	"""Run with NO_ASYNCIO_ACCELERATOR=1: no _asyncio, so no _set_running_loop to probe."""
	assert asyncio.Task is asyncio.tasks._PyTask

	async def main():
		mark = await gate()
		with during("step", mark=mark):
			time.sleep(0.04)
		await rest()
	asyncio.run(main())
	with silent("after", loop_runs=False):
		time.sleep(0.1)
	asyncio.run(main())
	with silent("after, on the CPU", loop_runs=False):
		spin(0.1)


@case
def exec_inside():
	async def main():
		mark = await gate()
		a = ns()
		time.sleep(0.04)
		say(t="truth", case="exec_inside", name="before exec", a=a, b=ns(), A=mark["A"],
		    tid=threading.get_native_id(), task=asyncio.current_task().get_name(),
		    coro=asyncio.current_task().get_coro().__qualname__)
		say(t="case", case="exec_inside", a=a, b=ns(), run_delay=0, steal=0, failed="")
		os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(0.2)"])
	asyncio.run(main())


@case
def thread_dies_inside():
	"""A thread that ends without a return: ctypes.CDLL gives the GIL back before the syscall."""

	def dies():
		async def main():
			mark = await gate()
			a = ns()
			time.sleep(0.04)
			task = asyncio.current_task()
			truth.facts.append(dict(t="truth", case="thread_dies_inside", name="before the end",
						a=a, b=ns(), A=mark["A"], tid=threading.get_native_id(),
						task=task.get_name(), coro=task.get_coro().__qualname__))
			dead.set()
			ctypes.CDLL(None).syscall(60, 0)
		asyncio.run(main())
	dead = threading.Event()
	thread = threading.Thread(target=dies, daemon=True)
	thread.start()
	dead.wait()
	time.sleep(0.1)
