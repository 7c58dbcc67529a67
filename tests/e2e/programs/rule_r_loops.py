# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""When a callback begins and ends: what loops, polls and threads do that a naive rule gets wrong.

The same words as in rule_r_callbacks.py.
"""
import asyncio
import heapq
import os
import select
import selectors
import socket
import sys
import threading
import time

import truth
from truth import call_bracketed, case, during, gate, nothing, rest, silent, skip, spin


@case
def code_between_runs():
	async def main():
		await rest()
	asyncio.run(main())
	with silent("between", loop_runs=False):
		time.sleep(0.2)
	asyncio.run(main())
	with silent("after", loop_runs=False):
		spin(0.1)


@case
def interrupts():
	for kind in (KeyboardInterrupt, SystemExit):
		def bad():
			raise kind

		async def main():
			await rest()
			asyncio.get_running_loop().call_soon(bad)
			await rest(0.05)
		try:
			asyncio.run(main())
		except (KeyboardInterrupt, SystemExit):
			pass
		with silent("after run, " + kind.__name__, loop_runs=False):
			time.sleep(0.1)
		loop = asyncio.new_event_loop()
		loop.call_soon(bad)
		try:
			loop.run_forever()
		except (KeyboardInterrupt, SystemExit):
			pass
		with silent("after run_forever, " + kind.__name__, loop_runs=False):
			spin(0.1)
		loop.close()


@case
def descriptors_reused():
	async def main():
		mark = await gate()
		with during("step", mark=mark):
			time.sleep(0.03)
		await rest(0.001)
	for _ in range(4):
		asyncio.run(main())
		copy = os.dup(0)
		reader, writer = os.pipe()
		poll = select.poll()
		poll.register(reader)
		with silent("own poll on the old loop's numbers", loop_runs=False):
			poll.poll(40)
		for fd in (copy, reader, writer):
			os.close(fd)


@case
def nested_other_loop():
	async def inner():
		await rest(0.05)
		with during("inner"):
			time.sleep(0.04)

	def outer(mark):
		with during("outer", mark=mark, callback="nested_other_loop.<locals>.outer"):
			time.sleep(0.03)
			running = asyncio._get_running_loop()
			asyncio._set_running_loop(None)
			loop = asyncio.new_event_loop()
			loop.run_until_complete(inner())
			loop.close()
			asyncio._set_running_loop(running)
			time.sleep(0.03)

	async def main():
		await rest()
		call_bracketed(asyncio.get_running_loop().call_soon, outer)
		await rest(0.05)
		mark = await gate()
		with during("later", mark=mark):
			spin(0.04)
		await rest()
	asyncio.run(main())


@case
def polls_of_its_own():
	reader, writer = os.pipe()
	selector = selectors.EpollSelector()
	selector.register(reader, selectors.EVENT_READ)
	poll = select.poll()
	poll.register(reader, select.POLLIN)

	async def builtin(name, callback, function, *args):
		"""A builtin as callback: only sentinels can see when it ran."""
		loop, mark = asyncio.get_running_loop(), {}
		loop.call_soon(truth.before, mark)
		loop.call_soon(function, *args)
		loop.call_soon(truth.after, mark)
		await rest()
		truth.facts.append(dict(t="truth", case=truth.case_name, name=name, A=mark["A"], B=mark["B"],
					a=mark["A"], b=mark["B"], need_ns=int(0.058e9), outer_only=True,
					callback=callback, tid=threading.get_native_id()))

	async def main():
		mark = await gate()
		with during("own epoll in a step", mark=mark):
			selector.select(0.06)
		await rest()
		await builtin("select.select as callback", "select", select.select, [], [], [], 0.06)
		await builtin("poll as callback", "poll", poll.poll, 60)
		await builtin("selector.select as callback", "EpollSelector.select",
			      selector.select, 0.06)
	asyncio.run(main())
	selector.close()
	os.close(reader)
	os.close(writer)


@case
def cancelled_timers():
	async def main():
		loop = asyncio.get_running_loop()
		mark = await gate()
		with during("make", mark=mark):
			handles = [loop.call_later(1000 + i % 997, nothing) for i in range(100000)]
		# No sentinel after it: the heap is pruned right after the callback that cancelled.
		await rest()
		with during("cancel"):
			for handle in handles:
				handle.cancel()
			del handles, handle
		with during("pruning", t="iteration"):
			await rest()
		await rest()
	asyncio.run(main())


@case
def executors_and_threads():
	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		with silent("executor", idle=True):
			await loop.run_in_executor(None, time.sleep, 0.1)
		with silent("thread", idle=True):
			thread = threading.Thread(target=time.sleep, args=(0.08,))
			thread.start()
			await rest(0.1)
		thread.join()
		if sys.version_info >= (3, 9):
			with silent("to_thread", idle=True):
				await asyncio.to_thread(time.sleep, 0.08)
		mark = await gate()
		with during("step", mark=mark):
			time.sleep(0.03)
		await rest()
	asyncio.run(main())


class SuperLoop(asyncio.SelectorEventLoop):
	def _run_once(self):
		super()._run_once()


class OwnLoop(asyncio.SelectorEventLoop):
	def _poll(self, timeout):
		return self._selector.select(timeout)

	def _run_once(self):
		timeout = None
		if self._ready or self._stopping:
			timeout = 0
		elif self._scheduled:
			timeout = max(0, self._scheduled[0]._when - self.time())
		self._process_events(self._poll(timeout))
		end = self.time() + self._clock_resolution
		while self._scheduled and self._scheduled[0]._when < end:
			handle = heapq.heappop(self._scheduled)
			handle._scheduled = False
			self._ready.append(handle)
		for _ in range(len(self._ready)):
			handle = self._ready.popleft()
			if not handle._cancelled:
				handle._run()
		handle = None


class PollsFromC(OwnLoop):
	def _poll(self, timeout):
		select.select([self._ssock.fileno()], [], [], timeout)
		return []


@case
def own_loops():
	async def main():
		mark = await gate()
		with during("step", mark=mark):
			time.sleep(0.04)
		await rest(0.03)
		mark = await gate()
		with during("cpu", mark=mark):
			spin(0.04)
		await rest(0.03)
	for kind in (SuperLoop, OwnLoop, PollsFromC):
		loop = kind()
		loop.run_until_complete(main())
		loop.close()
		with silent("after " + kind.__name__, loop_runs=False):
			time.sleep(0.05)


@case
def other_selectors():
	async def main(name):
		loop = asyncio.get_running_loop()
		mark = await gate()
		with during(name + " sleep", mark=mark):
			time.sleep(0.04)
		await rest(0.05)
		mark = await gate()
		with during(name + " cpu", mark=mark):
			spin(0.04)
		await rest(0.05)
		reader, writer = socket.socketpair()
		reader.setblocking(False)
		loop.call_later(0.03, writer.send, b"x")
		await loop.sock_recv(reader, 1)
		with during(name + " after input"):
			time.sleep(0.03)
		await rest()
		reader.close()
		writer.close()
	for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
		loop = asyncio.SelectorEventLoop(kind())
		loop.run_until_complete(main(kind.__name__))
		loop.close()


@case
def fork_inside():
	async def main():
		mark = await gate()
		with during("step that forks", mark=mark):
			pid = os.fork()
			if not pid:
				time.sleep(0.08)
				os._exit(0)
			time.sleep(0.04)
		os.waitpid(pid, 0)
		await rest()
		mark = await gate()
		with during("later", mark=mark):
			time.sleep(0.03)
		await rest()
	asyncio.run(main())


@case
def many_short_callbacks():
	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		for _ in range(2):
			mark = {}
			with during("50 callbacks of 4 ms", t="iteration", must=True, mark=mark):
				loop.call_soon(truth.before, mark)
				for _ in range(50):
					loop.call_soon(time.sleep, 0.004)
				loop.call_soon(truth.after, mark)
				await rest(0.001)
	asyncio.run(main())


@case
def loops_in_threads():
	async def main(number):
		mark = await gate()
		with during("step", mark=mark, task=f"thread-{number}"):
			asyncio.current_task().set_name(f"thread-{number}")
			time.sleep(0.05)
		await rest()

	def thread(number):
		truth.facts.append(dict(t="thread", case=truth.case_name,
					tid=threading.get_native_id()))
		asyncio.run(main(number))
		with silent("after", loop_runs=False):
			time.sleep(0.05)
	threads = [threading.Thread(target=thread, args=(i,)) for i in range(3)]
	for each in threads:
		each.start()
	for each in threads:
		each.join()


@case
def anyio_on_asyncio():
	try:
		import anyio
		import anyio.from_thread
	except ImportError:
		return skip("no anyio")

	async def child():
		await anyio.sleep(0.01)
		with during("child"):
			time.sleep(0.04)

	def called():
		with during("from a thread", coro=None, task=None):
			time.sleep(0.03)

	def worker():
		time.sleep(0.02)
		anyio.from_thread.run_sync(called)

	async def main():
		async with anyio.create_task_group() as group:
			group.start_soon(child, name="anyio-child")
			await anyio.sleep(0.06)
		await anyio.to_thread.run_sync(time.sleep, 0.04)
		await anyio.to_thread.run_sync(worker)
	anyio.run(main)
	with silent("after", loop_runs=False):
		time.sleep(0.05)


@case
def stop_and_resume():
	loop = asyncio.new_event_loop()

	async def main():
		await rest()
		loop.stop()
	for _ in range(3):
		task = loop.create_task(main())
		loop.run_forever()
		with silent("between run_forever", loop_runs=False):
			time.sleep(0.06)
		loop.run_until_complete(task)
	loop.close()


@case
def threadsafe_storm():
	async def main():
		loop = asyncio.get_running_loop()

		def thread():
			for _ in range(20):
				loop.call_soon_threadsafe(nothing)
				time.sleep(0.003)
		worker = threading.Thread(target=thread)
		await rest()
		worker.start()
		await rest(0.1)
		worker.join()
		mark = await gate()
		with during("after", mark=mark):
			time.sleep(0.03)
		await rest(0.03)
	asyncio.run(main())
