# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What a target program knows about itself: the truth that reports are compared with.

Imported by every target program, so it runs on CPython 3.8 and newer. Times are nanoseconds of
the monotonic clock. A fact has an inner bracket [a, b], read inside the callback, and where it
could be had an outer one [A, B], read by sentinel callbacks queued right before and after it:
A <= start <= a and b <= end <= B hold however the machine behaves. It must never write to the
harness while a loop runs, since that write could block: facts are kept and flushed between cases.
"""
import concurrent.futures.thread  # noqa: F401; with a loop's first executor, it would be a stall
import json
import os
import socket
import sys
import threading
import time
import traceback

if os.environ.get("NO_ASYNCIO_ACCELERATOR"):
	sys.modules["_asyncio"] = None
import asyncio

ns = time.monotonic_ns
facts = []
case_name = ""


def say(**fact):
	os.write(1, (json.dumps(fact) + "\n").encode())


def clocks():
	"""(monotonic, Unix) of one moment: of some readings the closest, since one may lose the CPU."""
	readings = [(ns(), time.time_ns(), ns()) for _ in range(20)]
	before, unix, after = min(readings, key=lambda one: one[2] - one[0])
	return (before + after) // 2, unix


def hello(**more):
	"""First line of a program; then it waits until the profiler is attached."""
	# What prints an error loads more modules the first time, 20 ms of them in 3.15.
	traceback.format_exception(RuntimeError, RuntimeError(), None)
	mono, unix = clocks()
	say(t="hello", pid=os.getpid(), tid=threading.get_native_id(), unix_minus_mono=unix - mono,
	    version="%d.%d.%d" % sys.version_info[:3], **more)


commands = socket.socket(fileno=os.dup(0)) if os.path.exists("/proc/self/fd/0") else None
command_buffer = b""


def listen():
	"""The next command of the harness; the program ends when the harness is gone."""
	global command_buffer
	while b"\n" not in command_buffer:
		data = commands.recv(4096)
		if not data:
			os._exit(99)
		command_buffer += data
	line, command_buffer = command_buffer.split(b"\n", 1)
	return line.decode()


def ask(what, **more):
	"""Have the harness do something that needs another process; returns its answer."""
	say(t="ask", what=what, **more)
	return json.loads(listen())


def skip(why):
	"""This interpreter or machine can't run the case."""
	say(t="skip", case=case_name, why=why)


def flush():
	global facts
	for fact in facts:
		fact.update(fact.pop("mark", None) or {})
		say(**fact)
	facts = []


def disturbance():
	"""Time that this thread and its CPU lost to others so far: (run queue ns, steal ns)."""
	with open("/proc/thread-self/schedstat") as file:
		delay = int(file.read().split()[1])
	cpu = "cpu%d " % min(os.sched_getaffinity(0))
	steal = 0
	with open("/proc/stat") as file:
		for line in file:
			if line.startswith(cpu):
				steal = int(line.split()[8]) * (10 ** 9 // os.sysconf("SC_CLK_TCK"))
	return delay, steal


class Case:
	"""One case: a named window of the program's life, flushed at its end.

	What the machine took is counted from the end of the case before: flushing is a part of it.
	"""
	before = None

	def __init__(self, name):
		self.name = name

	def __enter__(self):
		global case_name
		case_name = self.name
		self.since, self.lost = Case.before or (ns(), disturbance())
		self.a = ns()

	def __exit__(self, kind, value, trace):
		b = ns()
		lost = disturbance()
		Case.before = b, lost
		flush()
		say(t="case", case=self.name, since=self.since, a=self.a, b=b, run_delay=lost[0] - self.lost[0],
		    steal=lost[1] - self.lost[1], failed=repr(value) if value else "")


def schedstat():
	"""This thread's time on the CPU and in the run queue so far, in ns."""
	with open("/proc/thread-self/schedstat") as file:
		on_cpu, delay = file.read().split()[:2]
	return int(on_cpu), int(delay)


class during:
	"""A window around a piece of the program: `with during("name"): time.sleep(0.1)`."""

	def __init__(self, name, t="truth", mark=None, **more):
		self.fact = dict(t=t, case=case_name, name=name, tid=threading.get_native_id(),
				 mark=mark, **more)

	def __enter__(self):
		if self.fact["t"] == "truth" and "callback" not in self.fact:
			try:
				task = asyncio.current_task()
			except RuntimeError:
				task = None
			if task:
				self.fact.setdefault("task", task.get_name())
				self.fact["in_c"] = any(
					one.__module__ == "_asyncio" for one in type(task).__mro__)
				self.fact.setdefault("coro", task.get_coro().__qualname__)
		self.fact["a"] = ns()
		return self.fact

	def __exit__(self, *exception):
		self.fact["b"] = ns()
		facts.append(self.fact)


def silent(name, **more):
	"""A window over which no task and no callback may be reported."""
	return during(name, t="silent", **more)


def before(mark):
	mark["A"] = ns()


def after(mark):
	mark["B"] = ns()


def gate():
	"""(future, mark): await the future, and the step that follows lies between two sentinels."""
	loop = asyncio.get_event_loop()
	future, mark = loop.create_future(), {}

	def fire():
		loop.call_soon(before, mark)
		future.set_result(mark)
		loop.call_soon(after, mark)
	loop.call_later(0.002, fire)
	return future


def call_bracketed(call, function, *args):
	"""Queue `function(mark, *args)` with loop.call_soon between two sentinels."""
	mark = {}
	call(before, mark)
	call(function, mark, *args)
	call(after, mark)
	return mark


def spin(seconds):
	end = time.monotonic() + seconds
	while time.monotonic() < end:
		pass


def spin_cpu(seconds):
	end = time.thread_time() + seconds
	while time.thread_time() < end:
		pass


async def rest(seconds=0.005):
	await asyncio.sleep(seconds)


def sleep_named(mark, name, seconds):
	with during(name, mark=mark, callback="sleep_named"):
		time.sleep(seconds)


def spin_named(mark, name, seconds):
	with during(name, mark=mark, callback="spin_named"):
		spin(seconds)


def nothing(*args):
	pass


CASES = {}


def case(function):
	CASES[function.__name__] = function
	return function


def run_cases(wanted):
	"""The main function of a program: wait for the profiler, run the cases, wait for the end."""
	hello(cases=wanted)
	assert listen() == "go"
	for name in wanted:
		with Case(name):
			CASES[name]()
	say(t="done")
	listen()
