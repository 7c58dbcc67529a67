# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What a recording must show: tasks, threads and lines whose time the program counts itself.

Each piece of work is one `spent` fact: how long it took by the wall clock, what of that it was on
the CPU by thread_time(), and what of the rest it was runnable, by the kernel's account. What is
left was spent asleep, on the line with the mark `# at: NAME`. It must never do anything longer than
a moment that is in no fact.
"""
import asyncio
import concurrent.futures
import ctypes
import fcntl
import os
import resource
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time

import truth

clock = time.thread_time
facts = []
LEVELS = 200
UNNAMED = 3000


class spent:
	"""Counts a piece of work: `with spent("sleeper", "sleep", "nap"): time.sleep(0.1)`."""

	def __init__(self, task, cause, at, **more):
		self.fact = dict(t="spent", task=task, cause=cause, at=at,
				 tid=threading.get_native_id(), **more)

	def __enter__(self):
		self.delay = truth.schedstat()[1]
		self.switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
		self.cpu = time.thread_time_ns()
		self.wall = time.perf_counter_ns()
		return self.fact

	def __exit__(self, *exception):
		self.fact["wall"] = time.perf_counter_ns() - self.wall
		self.fact["cpu"] = time.thread_time_ns() - self.cpu
		self.fact["switches"] = (resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
					 - self.switches)
		self.fact["delay"] = truth.schedstat()[1] - self.delay
		facts.append(self.fact)


class Selector(selectors.DefaultSelector):
	"""Knows how long the loop polled."""

	def __init__(self):
		super().__init__()
		self.wall = self.cpu = self.delay = self.cnt = 0

	def select(self, timeout=None):
		delay, cpu, wall = truth.schedstat()[1], time.thread_time_ns(), time.perf_counter_ns()
		events = super().select(timeout)
		self.wall += time.perf_counter_ns() - wall
		self.cpu += time.thread_time_ns() - cpu
		self.delay += truth.schedstat()[1] - delay
		self.cnt += 1
		return events


async def pause():
	await asyncio.sleep(0)


# --- On the CPU ----------------------------------------------------------------------------------

async def chain_leaf():
	end = clock() + 1.2
	while clock() < end: pass  # at: chain  # noqa: E701


async def chain_c():
	await chain_leaf()  # at: c


async def chain_b():
	await chain_c()  # at: b


async def chain_a():
	with spent("chain", "cpu", "chain"):
		await chain_b()  # at: a


def burn(seconds):
	end = clock() + seconds
	while clock() < end: pass  # at: burn  # noqa: E701


async def stepper():
	for _ in range(10):
		with spent("stepper", "cpu", "burn"):
			burn(0.06)
		await pause()


def descend(levels):
	if levels:
		return descend(levels - 1)
	end = clock() + 0.3
	while clock() < end: pass  # at: bottom  # noqa: E701


async def deep():
	with spent("deep", "cpu", "bottom"):
		descend(LEVELS)


async def tiny():
	start, cpu = time.perf_counter_ns(), time.thread_time_ns()
	end = cpu + 100000
	while time.thread_time_ns() < end: pass  # at: tiny  # noqa: E701
	tiny_spent.append((time.perf_counter_ns() - start, time.thread_time_ns() - cpu))


tiny_spent = []


async def unnamed():
	await asyncio.gather(*[asyncio.ensure_future(tiny()) for _ in range(UNNAMED)])
	facts.append(dict(t="spent", task=None, coro="tiny", cause="cpu", at="tiny",
			  tid=threading.get_native_id(), wall=sum(wall for wall, _ in tiny_spent),
			  cpu=sum(cpu for _, cpu in tiny_spent), delay=0, switches=0, bursts=UNNAMED))


# --- Asleep --------------------------------------------------------------------------------------

async def sleeper():
	for _ in range(8):
		with spent("sleeper", "sleep", "nap"):
			time.sleep(0.03)  # at: nap
		await pause()


def later(seconds, function, *args):
	thread = threading.Timer(seconds, function, args)
	thread.start()
	return thread


async def reader():
	out, into = os.pipe()
	for _ in range(4):
		thread = later(0.05, os.write, into, b"x")
		with spent("reader", "pipe", "read"):
			os.read(out, 1)  # at: read
		thread.join()
		await pause()


async def receiver():
	ours, theirs = socket.socketpair()
	for _ in range(4):
		thread = later(0.05, theirs.send, b"x")
		with spent("receiver", "socket", "recv"):
			ours.recv(1)  # at: recv
		thread.join()
		await pause()


async def file_locker():
	with tempfile.NamedTemporaryFile() as mine, open(mine.name) as other:
		fcntl.flock(other, fcntl.LOCK_EX)
		thread = later(0.12, fcntl.flock, other, fcntl.LOCK_UN)
		with spent("file locker", "flock", "flock"):
			fcntl.flock(mine, fcntl.LOCK_EX)  # at: flock
		thread.join()


async def locker():
	lock = threading.Lock()
	lock.acquire()
	thread = later(0.12, lock.release)
	with spent("locker", "lock", "lock"):
		lock.acquire()  # at: lock
	thread.join()


def hog(seconds):
	end = clock() + seconds
	while clock() < end:
		pass


async def jammed():
	"""Another thread holds the GIL for most of the time."""
	sys.setswitchinterval(0.02)
	thread = threading.Thread(target=hog, args=(0.3,))
	thread.start()
	with spent("jammed", "gil", "jam"):
		end = clock() + 0.06
		while clock() < end: pass  # at: jam  # noqa: E701
	sys.setswitchinterval(0.005)
	thread.join()


# --- No task -------------------------------------------------------------------------------------

def plain_callback():
	with spent(None, "cpu", "burn", callback="plain_callback"):
		burn(0.4)


async def callbacks(loop):
	"""A function, and one that is written in C: that one has no line."""
	done = loop.create_future()
	loop.call_soon(plain_callback)
	await pause()
	await pause()
	with spent(None, "sleep", None, callback="sleep"):
		loop.call_soon(time.sleep, 0.15)
		loop.call_soon(done.set_result, None)
		await done


# --- Other threads -------------------------------------------------------------------------------

def job():
	with spent("(job)", "cpu", "burn", thread="job"):
		burn(0.5)
	with spent("(job)", "sleep", "job nap", thread="job"):
		time.sleep(0.3)  # at: job nap


async def second():
	with spent("second", "cpu", "burn"):
		burn(0.5)
	with spent("second", "sleep", "second nap"):
		time.sleep(0.2)  # at: second nap


async def second_main():
	await asyncio.create_task(second(), name="second")


async def second_loop(loop):
	done = loop.create_future()

	def run():
		asyncio.run(second_main())
		loop.call_soon_threadsafe(done.set_result, None)
	thread = threading.Thread(target=run)
	thread.start()
	await done
	thread.join()


# --- Together ------------------------------------------------------------------------------------

async def main(pool):
	loop = asyncio.get_running_loop()
	for coro, name in ((chain_a, "chain"), (stepper, "stepper"), (deep, "deep"),
			   (sleeper, "sleeper"), (reader, "reader"), (receiver, "receiver"),
			   (file_locker, "file locker"), (locker, "locker"), (jammed, "jammed")):
		await asyncio.create_task(coro(), name=name)
		await pause()
	await asyncio.create_task(unnamed(), name="makes unnamed")
	await callbacks(loop)
	await loop.run_in_executor(pool, job)
	await second_loop(loop)
	await asyncio.sleep(0.4)  # at rest


def run_all():
	selector = Selector()
	loop = asyncio.SelectorEventLoop(selector)
	asyncio.set_event_loop(loop)
	pool = concurrent.futures.ThreadPoolExecutor(1)
	pool.submit(truth.nothing).result()  # so that its thread is there from the start
	truth.hello()
	assert truth.listen() == "go"
	with spent("(loop)", None, None) as fact:
		loop.run_until_complete(main(pool))
	fact.update(select_wall=selector.wall, select_cpu=selector.cpu,
		    select_delay=selector.delay, selects=selector.cnt)
	for fact in facts:
		truth.say(**fact)
	truth.say(t="done")
	truth.listen()
	pool.shutdown()


# --- One thing only ------------------------------------------------------------------------------

def run_named(*coros):
	"""Each one in a task of its own, called as its coroutine, one after the other."""
	async def one_by_one():
		for coro in coros:
			await asyncio.create_task(coro(), name=coro.__name__)
			await pause()
	truth.hello()
	assert truth.listen() == "go"
	asyncio.run(one_by_one())
	for fact in facts:
		truth.say(**fact)
	truth.say(t="done")
	truth.listen()


async def order():
	burn(0.05)
	time.sleep(0.12)  # at: order


async def serve():
	while True:
		await asyncio.create_task(order(), name="order")
		await asyncio.sleep(0.02)


def run_service():
	"""Stalls over 100 ms, again and again, with work and rest in between, for as long as it may."""
	truth.hello()
	threading.Thread(target=truth.listen, daemon=True).start()
	asyncio.run(serve())


async def new_names():
	n = 0
	while True:
		n += 1
		await asyncio.create_task(order_of(n), name=f"order {n} of a name that takes some room")


async def order_of(n):
	time.sleep(0.004)


def run_many():
	"""Never the same task twice."""
	truth.hello()
	threading.Thread(target=truth.listen, daemon=True).start()
	asyncio.run(new_names())


async def burner():
	with spent("burner", "cpu", "burn"):
		burn(1.5)


HANDLERS = 80


async def signals():
	"""A handler of Python's in the loop's poll, time and again."""
	signal.signal(signal.SIGALRM, lambda *args: time.sleep(0.025))
	for _ in range(HANDLERS):
		signal.setitimer(signal.ITIMER_REAL, 0.01)
		await asyncio.sleep(0.05)
	signal.signal(signal.SIGALRM, signal.SIG_DFL)


HOG = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"


async def crowded():
	"""A loop that does next to nothing, and waits for a CPU when it wakes: 200 ms in all."""
	os.setpriority(os.PRIO_PROCESS, 0, 19)
	hogs = [await asyncio.create_subprocess_exec(
		"nice", "-n", "-19", sys.executable, "-c", HOG) for _ in range(2)]
	await asyncio.sleep(0.01)
	before = truth.schedstat()[1]
	while truth.schedstat()[1] - before < 200_000_000:
		await asyncio.sleep(0.001)
	facts.append({"t": "queued", "ns": truth.schedstat()[1] - before})
	for hog in hogs:
		hog.kill()
		await hog.wait()


async def exec_another():
	burn(0.1)
	os.execv("/bin/sleep", ["sleep", "1"])


async def leave():
	burn(0.1)
	os._exit(0)


async def slow_sleep():
	time.sleep(0.16)  # at: slow sleep


async def slow_read():
	out, into = os.pipe()
	thread = later(0.16, os.write, into, b"x")
	os.read(out, 1)  # at: slow read
	thread.join()


async def slow_lock():
	lock = threading.Lock()
	lock.acquire()
	thread = later(0.16, lock.release)
	lock.acquire()  # at: slow lock
	thread.join()


async def fast_sleep():
	time.sleep(0.01)


STALLS = (slow_sleep, fast_sleep, slow_read, slow_lock, fast_sleep, slow_sleep)


# --- C -------------------------------------------------------------------------------------------

async def calls_c():
	with spent("calls_c", "cpu", "in c"):
		library.c_outer(0.8)  # at: in c


def run_native():
	global library
	library = ctypes.PyDLL(sys.argv[2])  # before anyone looks where what is mapped
	library.c_outer.argtypes = [ctypes.c_double]
	run_named(calls_c, naps)


async def naps():
	time.sleep(0.1)  # at: a nap


# --- Names ---------------------------------------------------------------------------------------

HOSTILE = [
	"</script><b>&amp;\"'",
	"]]><!--",
	"\x1b[2J\x1b]0;owned\x07\x1b[31m",
	"line one\r\nline two\x7f\x01",
	"\u202eolleh\u2066\u200b\ufeff",
	"low \udc80\udcff high \ud800",
	"semi;colon 12",
	"\U0001f600 \u00e9",
	"x" * 10000,
]


def evil_coroutine(name):
	"""A coroutine whose code, qualified name and file have that name."""
	scope = {"time": time}
	exec("async def evil():\n time.sleep(0.03)\n", scope)
	evil = scope["evil"]
	evil.__code__ = evil.__code__.replace(co_name=name, co_qualname=name, co_filename=name)
	evil.__qualname__ = name
	return evil()


async def evil():
	for name in HOSTILE:
		await asyncio.create_task(evil_coroutine(name), name=name)


RUNS = {
	"all": run_all, "service": run_service, "many": run_many,
	"burner": lambda: run_named(burner), "signals": lambda: run_named(signals),
	"crowded": lambda: run_named(crowded),
	"exec": lambda: run_named(exec_another),
	"leave": lambda: run_named(leave), "stalls": lambda: run_named(*STALLS),
	"native": run_native, "hostile": lambda: run_named(evil),
}

if __name__ == "__main__":
	RUNS[sys.argv[1]]()
