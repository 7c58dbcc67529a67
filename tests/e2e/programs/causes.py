# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""One injected cause a case, each in a step of its own task unless the case says otherwise.

What blocks stands on a line with the comment `# mark: CASE`, so that this file itself says which
line must be reported. A case function yields facts about what it expects through `expect`; what
another process must do (hold a lock, delay a file, burn the CPU) is asked of the harness between
cases. Parts of the budget are measured here with the thread's own clocks and schedstat.
"""
import asyncio
import ctypes
import encodings.idna  # noqa: F401; with the first look-up of a name, it would be a stall of its own
import fcntl
import functools
import gc
import hashlib
import os
import queue
import re
import select
import selectors
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import truth
from truth import during, gate, ns, rest, schedstat, spin_cpu

CASES = {}
MARKS = {}
with open(__file__) as source:
	for number, text in enumerate(source, 1):
		found = re.search(r"# mark: ([\w ]+)$", text)
		if found:
			MARKS[found.group(1)] = number
FILE = os.path.abspath(__file__)
CHILD = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(0.1)"]
POLL = "ppoll" if sys.version_info >= (3, 15) else "poll"
# time.sleep() was select() before 3.11, and that is pselect6 from glibc 2.34 on (seen: 2.31, 2.36).
SLEEP = "clock_nanosleep" if sys.version_info >= (3, 11) else \
	"pselect6" if os.confstr("CS_GNU_LIBC_VERSION") >= "glibc 2.34" else "select"


def case(cause, *, syscall=None, leaf=True, kind="task", **more):
	"""`leaf`: the marked line is the innermost Python frame, so it is the record's own line."""
	def add(function):
		CASES[function.__name__] = function
		function.expect = dict(cause=[cause] if isinstance(cause, str) else list(cause),
				       syscall=syscall, leaf=leaf, kind=kind, **more)
		return function
	return add


class measured(during):
	"""As during; also knows how long the thread had to wait for its CPU."""

	def __enter__(self):
		self.before = schedstat()
		return super().__enter__()

	def __exit__(self, *exception):
		super().__exit__(*exception)
		after = schedstat()
		self.fact["on_cpu"] = after[0] - self.before[0]
		self.fact["run_delay"] = after[1] - self.before[1]


def expected(name, **more):
	"""`with expected("sleep", mark):` brackets what is injected and says what must be said."""
	expect = dict(CASES[name].expect)
	expect.update(more)
	kind = expect.pop("kind")
	mark = expect.pop("mark", None)
	if kind != "task" and "callback" not in expect:
		raise ValueError(name)
	expect["line"] = MARKS[name]
	expect["file"] = FILE
	return measured(name, mark=mark, **expect)


# --- Asleep and in syscalls ---------------------------------------------------------


@case("sleep", syscall=SLEEP)
async def sleep():
	mark = await gate()
	with expected("sleep", mark=mark) as fact:
		time.sleep(0.1)  # mark: sleep
	fact["parts"] = {"syscall": fact["b"] - fact["a"]}
	await rest()


def tcp_pair():
	server = socket.create_server(("127.0.0.1", 0))
	client = socket.create_connection(server.getsockname())
	peer, _ = server.accept()
	server.close()
	return client, peer


def later(seconds, function, *args):
	"""A thread that does it after a while; started before the gate, released at once."""
	go = threading.Event()

	def run():
		go.wait()
		time.sleep(seconds)
		function(*args)
	thread = threading.Thread(target=run, name="later", daemon=True)
	thread.start()
	return go.set


@case("socket", syscall="recvfrom", fd_kind="socket")
async def recv():
	client, peer = tcp_pair()
	release = later(0.08, peer.send, b"x")
	mark = await gate()
	with expected("recv", mark=mark, peer="127.0.0.1:%d" % peer.getsockname()[1],
		      fd=client.fileno()):
		release()
		client.recv(1)  # mark: recv
	await rest()
	client.close()
	peer.close()


@case("socket", syscall="poll", fd_kind="socket")
async def recv_timeout():
	client, peer = tcp_pair()
	client.settimeout(30)
	release = later(0.08, peer.send, b"x")
	mark = await gate()
	with expected("recv_timeout", mark=mark, fd=client.fileno()):
		release()
		client.recv(1)  # mark: recv_timeout
	await rest()
	client.close()
	peer.close()


@case("dns", leaf=False)
async def getaddrinfo():
	mark = await gate()
	with expected("getaddrinfo", mark=mark):
		try:
			socket.getaddrinfo("name.invalid", 80)  # mark: getaddrinfo
		except OSError:
			pass
	await rest()


@case("pipe", syscall="read", fd_kind="pipe")
async def pipe():
	reader, writer = os.pipe()
	release = later(0.08, os.write, writer, b"x")
	mark = await gate()
	with expected("pipe", mark=mark, fd=reader):
		release()
		os.read(reader, 1)  # mark: pipe
	await rest()
	os.close(reader)
	os.close(writer)


async def asked(what, **more):
	return await asyncio.get_running_loop().run_in_executor(
		None, functools.partial(truth.ask, what, **more))


@case("file", syscall="openat")
async def slow_open():
	answer = await asked("slow file")
	if "error" in answer:
		return truth.skip(answer["error"])
	mark = await gate()
	with expected("slow_open", mark=mark):
		fd = os.open(answer["path"], os.O_RDONLY)  # mark: slow_open
	await rest()
	os.close(fd)
	await asked("no slow file")


@case("file", syscall="read", fd_kind="file")
async def slow_read():
	answer = await asked("slow file", event="access")
	if "error" in answer:
		return truth.skip(answer["error"])
	fd = os.open(answer["path"], os.O_RDONLY)
	mark = await gate()
	with expected("slow_read", mark=mark, fd=fd, path=answer["path"]):
		os.read(fd, 16)  # mark: slow_read
	await rest()
	os.close(fd)
	await asked("no slow file")


@case("flock", syscall="flock", fd_kind="file")
async def flock():
	answer = await asked("lock file", seconds=0.1)
	fd = os.open(answer["path"], os.O_RDWR)
	mark = await gate()
	with expected("flock", mark=mark, fd=fd):
		fcntl.flock(fd, fcntl.LOCK_EX)  # mark: flock
	await rest()
	os.close(fd)


@case("flock", syscall="fcntl")
async def lockf():
	answer = await asked("lock file", seconds=0.1, record=True)
	fd = os.open(answer["path"], os.O_RDWR)
	mark = await gate()
	with expected("lockf", mark=mark):
		fcntl.lockf(fd, fcntl.LOCK_EX)  # mark: lockf
	await rest()
	os.close(fd)


@case("child", leaf=False)
async def subprocess_run():
	mark = await gate()
	with expected("subprocess_run", mark=mark):
		subprocess.run(CHILD)  # mark: subprocess_run
	await rest()


@case(("pipe", "child"), leaf=False, close=True)
async def subprocess_capture():
	mark = await gate()
	with expected("subprocess_capture", mark=mark):
		subprocess.run(CHILD, capture_output=True)  # mark: subprocess_capture
	await rest()


@case("poll", syscall="epoll_wait", leaf=False)
async def nested_selector():
	reader, writer = os.pipe()
	selector = selectors.EpollSelector()
	selector.register(reader, selectors.EVENT_READ)
	mark = await gate()
	with expected("nested_selector", mark=mark):
		selector.select(0.08)  # mark: nested_selector
	await rest()
	selector.close()
	os.close(reader)
	os.close(writer)


@case("poll", syscall=POLL)
async def select_poll():
	poll = select.poll()
	pairs = [os.pipe() for _ in range(8)]
	for reader, _ in pairs:
		poll.register(reader, select.POLLIN)
	mark = await gate()
	with expected("select_poll", mark=mark):
		poll.poll(80)  # mark: select_poll
	await rest()
	for pair in pairs:
		for fd in pair:
			os.close(fd)


@case("sleep", leaf=False)
async def sqlite_busy():
	"""SQLite's busy handler sleeps and tries again."""
	name = os.path.join(truth.ask("folder")["path"], "busy-%d.db" % os.getpid())
	holder = sqlite3.connect(name, isolation_level=None)
	holder.execute("pragma synchronous=off")  # a busy disk makes a commit a stall of its own
	holder.execute("pragma journal_mode=memory")
	holder.execute("create table if not exists t (x)")
	waiter = sqlite3.connect(name, timeout=0.3)
	mark = await gate()
	holder.execute("begin exclusive")
	await rest()
	mark = await gate()
	with expected("sqlite_busy", mark=mark):
		try:
			waiter.execute("insert into t values (1)")  # mark: sqlite_busy
		except sqlite3.OperationalError:
			pass
	await rest()
	holder.close()
	waiter.close()
	os.unlink(name)


# --- Locks and the GIL ----------------------------------------------------------------


@case("lock", syscall="futex")
async def lock():
	held = threading.Lock()
	held.acquire()
	release = later(0.08, held.release)
	mark = await gate()
	with expected("lock", mark=mark) as fact:
		release()
		a = ns()
		held.acquire()  # mark: lock
		fact["parts"] = {"lock": ns() - a}
	await rest()


@case("lock", leaf=False)
async def queue_get():
	items = queue.Queue()
	release = later(0.08, items.put, 1)
	mark = await gate()
	with expected("queue_get", mark=mark):
		release()
		items.get(timeout=30)  # mark: queue_get
	await rest()


def hold_gil_in_c(ready, go):
	ready.set()
	go.wait()
	ctypes.PyDLL(None).usleep(120000)


@case("gil")
async def gil_held_by_c():
	ready, go = threading.Event(), threading.Event()
	thread = threading.Thread(target=hold_gil_in_c, args=(ready, go), name="holder")
	thread.start()
	ready.wait()
	tid = (await asked("outer tid", tid=thread.native_id))["tid"]
	if sys.version_info < (3, 11):
		tid = None  # a thread state has no native_thread_id: only what the thread runs is known
	mark = await gate()
	with expected("gil_held_by_c", mark=mark, holder="hold_gil_in_c", holder_tid=tid) as fact:
		go.set()
		cpu = time.thread_time_ns()
		a = ns()
		for _ in range(3):
			time.sleep(0.001)  # mark: gil_held_by_c
		fact["parts"] = {"gil": ns() - a - (time.thread_time_ns() - cpu) - 3000000}
		fact["slack_ns"] = 5000000  # the sleeps themselves are over by a little
	thread.join()
	await rest()


def burn_python(go, stop):
	while not go:
		time.sleep(0.001)
	x = 0
	while not stop:
		x += 1


@case("gil", close=True)
async def gil_contended():
	"""Three threads that compute: they want the GIL only while the marked line runs."""
	go, stop = [], []
	threads = [threading.Thread(target=burn_python, args=(go, stop)) for _ in range(3)]
	for thread in threads:
		thread.start()
	mark = await gate()
	with expected("gil_contended", mark=mark, holder="burn_python"):
		end, x = time.thread_time() + 0.03, 0
		go.append(1)
		while time.thread_time() < end: x += 1  # mark: gil_contended
		stop.append(1)
	for thread in threads:
		thread.join()
	await rest()


# --- On the CPU -----------------------------------------------------------------------


def burn_lines(seconds):
	end = time.thread_time() + seconds
	x = 0
	while time.thread_time() < end:
		for _ in range(100000): x += 1  # mark: cpu_python
	return x


@case("cpu")
async def cpu_python():
	mark = await gate()
	with expected("cpu_python", mark=mark) as fact:
		cpu = time.thread_time_ns()
		burn_lines(0.1)
		fact["parts"] = {"cpu": time.thread_time_ns() - cpu}
	await rest()


@case("cpu")
async def cpu_in_c():
	"""C code that lets the GIL go."""
	with during("build", t="may"):
		data = bytes(20 << 20)
	mark = await gate()
	with expected("cpu_in_c", mark=mark) as fact:
		cpu = time.thread_time_ns()
		for _ in range(4):
			hashlib.md5(data).digest()  # mark: cpu_in_c
		fact["parts"] = {"cpu": time.thread_time_ns() - cpu}
	await rest()


@case("cpu")
async def cpu_in_c_with_gil():
	"""C code that keeps the GIL: nobody else is kept waiting, so it is the CPU."""
	with during("build", t="may"):
		data = list(range(400000))
	mark = await gate()
	with expected("cpu_in_c_with_gil", mark=mark) as fact:
		cpu = time.thread_time_ns()
		while time.thread_time_ns() - cpu < 80000000:
			data.sort(key=str)  # mark: cpu_in_c_with_gil
		fact["parts"] = {"cpu": time.thread_time_ns() - cpu}
	await rest()


@case("cpu")
async def collect():
	with during("build", t="may"):
		keep = [[i] for i in range(400000)]
	mark = await gate()
	with expected("collect", mark=mark) as fact:
		cpu = time.thread_time_ns()
		for _ in range(4):
			gc.collect()  # mark: collect
		fact["parts"] = {"cpu": time.thread_time_ns() - cpu}
	keep.clear()
	await rest()


@case("runqueue", close=True)
async def run_queue():
	"""Three others on the same CPU: the thread could run, but waits its turn."""
	await asked("rivals", count=3)
	mark = await gate()
	with expected("run_queue", mark=mark, leaf=False) as fact:
		before = schedstat()
		spin_cpu(0.05)  # mark: run_queue
		after = schedstat()
		fact["parts"] = {"runqueue": after[1] - before[1]}
	await asked("no rivals")
	await rest()


@case("throttled")
async def throttled():
	answer = await asked("throttle")
	if "error" in answer:
		return truth.skip(answer["error"])
	mark = await gate()
	with expected("throttled", mark=mark, leaf=False):
		spin_cpu(0.06)  # mark: throttled
	await asked("no throttle")
	await rest()


@case("fault", leaf=False)
async def page_fault():
	"""A page that another process hands out late: userfaultfd."""
	import late_page
	try:
		page = late_page.LatePage(0.1)
	except OSError as error:
		return truth.skip(f"userfaultfd: {error}")
	mark = await gate()
	with expected("page_fault", mark=mark):
		page.touch()  # mark: page_fault
	await rest()
	page.close()


# --- Shapes -----------------------------------------------------------------------------


def plain(mark):
	with expected("plain_callback", mark=mark, callback="plain"):
		time.sleep(0.08)  # mark: plain_callback


@case("sleep", kind="callback")
async def plain_callback():
	truth.call_bracketed(asyncio.get_running_loop().call_soon, plain)
	await rest()


class Worker:
	def work(self, mark):
		with expected("bound_method", mark=mark, callback="Worker.work"):
			time.sleep(0.08)  # mark: bound_method


@case("sleep", kind="callback")
async def bound_method():
	truth.call_bracketed(asyncio.get_running_loop().call_soon, Worker().work)
	await rest()


class Receiver(asyncio.Protocol):
	def __init__(self, mark, done):
		self.mark, self.done = mark, done

	def data_received(self, data):
		with expected("transport", mark=self.mark,
			      callback="_SelectorSocketTransport._read_ready"):
			time.sleep(0.08)  # mark: transport
		asyncio.get_running_loop().call_soon(truth.after, self.mark)
		self.done.set_result(None)


@case("sleep", kind="callback")
async def transport():
	loop = asyncio.get_running_loop()
	done, mark = loop.create_future(), {}
	ours, theirs = socket.socketpair()
	connection, _ = await loop.create_connection(lambda: Receiver(mark, done), sock=ours)
	await rest()
	truth.before(mark)
	theirs.send(b"x")
	await done
	await rest()
	connection.close()
	theirs.close()
	await rest()


async def chain(levels):
	if levels:
		return await chain(levels - 1)
	mark = await gate()
	with expected("await_chain", mark=mark, frames=42):
		time.sleep(0.08)  # mark: await_chain
	await rest()


@case("sleep")
async def await_chain():
	await chain(40)


async def main(wanted):
	for name in wanted:
		await rest()
		with truth.Case(name):
			await asyncio.create_task(CASES[name](), name="task-" + name.replace("_", "-"))
			await rest()
	ending.__enter__()  # asyncio waits for the executor's threads


def run(coroutine):
	if os.environ.get("LOOP") != "uvloop":
		return asyncio.run(coroutine)
	loop = uvloop.new_event_loop()  # uvloop.run() came with 0.18, its policies go in 3.16
	asyncio.set_event_loop(loop)
	loop.run_until_complete(coroutine)
	loop.close()
	return None


if __name__ == "__main__":
	if os.environ.get("LOOP") == "uvloop":
		import uvloop
	names = sys.argv[1:] or list(CASES)
	truth.hello(cases=names)
	assert truth.listen() == "go"
	ending = truth.Case("ending")
	run(main(names))
	ending.__exit__(None, None, None)
	truth.say(t="done")
	truth.listen()
