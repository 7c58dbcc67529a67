# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Starts target programs and asyncprof, and lets them meet without ever sleeping and looking.

The target is started first and waits on its command socket; asyncprof is started and its `start`
record awaited; then the target is released. Every wait has a deadline that only guards against a
hang: it must never decide whether a test passes in time. Processes are ended by handles that this
file made, never by name.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.path.join(HERE, "programs")
BUILD = os.path.join(ROOT, "build", "e2e")
LOGS = os.path.join(ROOT, "build", "e2e-logs")
ASYNCPROF = os.environ.get("ASYNCPROF", os.path.join(ROOT, "asyncprof"))
HANG_S = 60 		# a wait that takes longer is a hang
TARGET_CPU = max(os.sched_getaffinity(0))
OTHER_CPU = min(os.sched_getaffinity(0))
MUTE_RESOLVER = "127.53.53.53"

# The target's own mount namespace: a resolver that never answers, and for a tree of another
# release /proc, /dev and this checkout under the same path. All steps exec, so the pid stays.
SETUP = """
set -e
mount --bind "$BUILD/resolv.conf" "$TREE/etc/resolv.conf"
mount --bind "$BUILD/nsswitch.conf" "$TREE/etc/nsswitch.conf"
if [ -n "$TREE" ]; then
	mount --rbind /dev "$TREE/dev"
	mount -t proc proc "$TREE/proc"
	mount --bind "$CHECKOUT" "$TREE$CHECKOUT"
	exec chroot "$TREE" "$@"
fi
exec "$@"
"""


class Hang(Exception):
	pass


class Stream:
	"""JSON lines from a pipe, collected by a thread; others wait for a line."""

	def __init__(self, file, log=None):
		self.items, self.junk = [], []
		self.eof = False
		self.changed = threading.Condition()
		self.file, self.log = file, log
		self.thread = threading.Thread(target=self.read, daemon=True)
		self.thread.start()

	def read(self):
		for line in self.file:
			if self.log:
				self.log.write(line)
				self.log.flush()
			try:
				item = json.loads(line)
			except ValueError:
				item = None
			with self.changed:
				if isinstance(item, dict):
					item["_seen"] = time.monotonic_ns()
					self.items.append(item)
				else:
					self.junk.append(line.rstrip("\n"))
				self.changed.notify_all()
		with self.changed:
			self.eof = True
			self.changed.notify_all()

	def wait(self, wanted, what, start=0, hopeless=None):
		"""The first item from `start` on for which wanted(item); Hang if it never comes.

		`hopeless()` may say earlier why it never will.
		"""
		deadline = time.monotonic() + HANG_S
		position = start
		with self.changed:
			while True:
				while position < len(self.items):
					if wanted(self.items[position]):
						return self.items[position]
					position += 1
				if self.eof:
					raise Hang(f"ended before {what}; last lines: {self.junk[-3:]}")
				if hopeless and hopeless():
					raise Hang(f"no {what}: {hopeless()}")
				if time.monotonic() > deadline:
					raise Hang(f"never came: {what}")
				self.changed.wait(min(1, HANG_S))


def prepare():
	"""What every target's mount namespace needs, made once."""
	os.makedirs(BUILD, exist_ok=True)
	os.makedirs(LOGS, exist_ok=True)
	with open(BUILD + "/resolv.conf", "w") as file:
		file.write(f"nameserver {MUTE_RESOLVER}\noptions timeout:1 attempts:1\n")
	with open(BUILD + "/nsswitch.conf", "w") as file:
		file.write("passwd: files\ngroup: files\nhosts: files dns\n")
	mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	mute.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	mute.bind((MUTE_RESOLVER, 53))
	return mute


def prepare_tree(tree):
	for part in ("dev", "proc", "etc", "tmp", ROOT.lstrip("/")):
		os.makedirs(os.path.join(tree, part), exist_ok=True)
	for part in ("etc/resolv.conf", "etc/nsswitch.conf"):
		path = os.path.join(tree, part)
		if not os.path.lexists(path):
			open(path, "w").close()
	# localhost must not depend on a resolver that never answers.
	with open(os.path.join(tree, "etc/hosts"), "w") as file:
		file.write("127.0.0.1 localhost\n")


class Target:
	"""A Python program under test: commands by a socket (its fd 0), facts from its stdout."""

	def __init__(self, interpreter, program, *args, cpu=None, env=None, log="target", raw=False,
		     first=False, setup=SETUP):
		tree = interpreter["root"]
		if tree:
			prepare_tree(tree)
		ours, theirs = socket.socketpair()
		self.commands = ours
		cpu = TARGET_CPU if cpu is None else cpu
		path = program if program.startswith("/") else os.path.join(PROGRAMS, program)
		argv = ["taskset", "-c", str(cpu), "unshare", "-m", "--propagation", "private",
			"sh", "-c", setup, "sh", interpreter["python"]]
		argv += ([] if raw else ["-u", "-B"]) + [path] + [str(arg) for arg in args]
		environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "LC_ALL": "C.UTF-8",
			       "PYTHONPATH": PROGRAMS + ":" + interpreter["site"], "TREE": tree,
			       "BUILD": BUILD, "CHECKOUT": ROOT, "SETUP": SETUP}
		environment.update(env or {})
		self.log = open(os.path.join(LOGS, log + ".target"), "w")
		self.errors = open(os.path.join(LOGS, log + ".target.err"), "w")
		self.process = subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE,
						stderr=self.errors, env=environment, text=True,
						errors="replace", start_new_session=first)
		theirs.close()
		self.pid = self.process.pid
		if first:
			self.go_first()
		self.stream = Stream(self.process.stdout, self.log)
		self.answered = 0

	def go_first(self):
		"""Others wait for the CPU, not this one. Niceness counts within a session only."""
		os.setpriority(os.PRIO_PROCESS, self.pid, -15)
		try:
			with open(f"/proc/{self.pid}/autogroup", "w") as file:
				file.write("-15")
		except OSError:  # this kernel has none
			pass

	def hello(self):
		fact = self.stream.wait(lambda f: f["t"] == "hello", "the target's first line")
		self.offset = fact["unix_minus_mono"]
		return fact

	def send(self, line):
		self.commands.sendall(line.encode() + b"\n")

	def wait(self, t, **fields):
		return self.stream.wait(lambda f: f["t"] == t and
					all(f.get(k) == v for k, v in fields.items()),
					f"{t} {fields} of the target")

	def serve(self, helpers):
		"""Answer the target's requests until it says `done`."""
		while True:
			fact = self.stream.wait(lambda f: f["t"] in ("ask", "done"),
						"the target's `done`", self.answered)
			self.answered = self.stream.items.index(fact) + 1
			if fact["t"] == "done":
				return
			try:
				answer = helpers.answer(**{k: v for k, v in fact.items()
							   if k not in ("t", "_seen")})
			except OSError as error:
				answer = {"error": str(error)}
			self.send(json.dumps(answer))

	def facts(self, *kinds):
		return [f for f in self.stream.items if f["t"] in kinds]

	def finish(self, hang_s=HANG_S):
		"""Wait for the program's own end; its exit code."""
		code = self.process.wait(hang_s)
		self.stream.thread.join(HANG_S)
		return code

	def close(self):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		self.stream.thread.join(HANG_S)
		self.commands.close()
		self.log.close()
		self.errors.close()

	def said(self):
		self.errors.flush()
		with open(self.errors.name, errors="replace") as file:
			return file.read()

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		self.close()


class Profiler:
	"""asyncprof itself, attached to one or more targets, its records collected."""

	def __init__(self, *pids, threshold="20ms", options=(), log="target", json_lines=True,
		     env=None, within=()):
		argv = ["taskset", "-c", str(OTHER_CPU), *within, ASYNCPROF, "-t", threshold]
		argv += ["--json"] if json_lines else []
		for pid in pids:
			argv += ["-p", str(pid)]
		self.log = open(os.path.join(LOGS, log + ".json"), "w")
		self.errors = open(os.path.join(LOGS, log + ".err"), "w")
		self.process = subprocess.Popen(argv + list(options), stdin=subprocess.DEVNULL,
						stdout=subprocess.PIPE, stderr=self.errors, text=True,
						env=dict(os.environ, **(env or {})))
		self.stream = Stream(self.process.stdout, self.log)

	def started(self):
		"""Every probe is live."""
		return self.stream.wait(lambda r: r.get("type") == "start", "`start` of asyncprof")

	def wait_said(self, words):
		"""A message on stderr."""
		deadline = time.monotonic() + HANG_S
		while words not in self.said():
			if self.process.poll() is not None or time.monotonic() > deadline:
				raise Hang(f"asyncprof does not say {words!r}: {self.said()}")
			time.sleep(0.01)

	def said(self):
		with open(self.errors.name, errors="replace") as file:
			return file.read().strip()

	def wait_slow(self, wanted, what, start=0):
		return self.stream.wait(lambda r: r.get("type") == "slow" and wanted(r), what, start)

	def stop(self):
		"""Ctrl-C: the summary, or None if it printed none; its exit code is kept."""
		if self.process.poll() is None:
			self.process.send_signal(signal.SIGINT)
		return self.finish()

	def finish(self):
		"""Wait for its own end."""
		try:
			self.code = self.process.wait(HANG_S)
		except subprocess.TimeoutExpired:
			self.process.kill()
			self.process.wait()
			raise Hang("asyncprof does not end")
		self.stream.thread.join(HANG_S)
		found = [r for r in self.stream.items if r.get("type") == "summary"]
		return found[-1] if found else None

	def slow(self):
		return [r for r in self.stream.items if r.get("type") == "slow"]

	def closed(self):
		return [r for r in self.slow() if not r.get("ongoing")]

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		self.stream.thread.join(HANG_S)
		self.log.close()
		self.errors.close()


class Results:
	"""What passed, failed and was skipped; prints a line for each."""

	def __init__(self):
		self.passed = self.failed = self.skipped = 0
		self.failures = []
		self.outcomes = []	# (suite, name, ok|FAIL|skip)
		self.suite = None

	def check(self, name, problems):
		"""`problems`: an empty list or string is a pass, anything else says what is wrong."""
		self.outcomes.append((self.suite, name, "FAIL" if problems else "ok"))
		if not problems:
			self.passed += 1
			print(f"ok   {name}", flush=True)
			return True
		if isinstance(problems, str):
			problems = [problems]
		self.failed += 1
		self.failures.append(name)
		print(f"FAIL {name}", flush=True)
		for problem in problems[:12]:
			print(f"     {problem}", flush=True)
		return False

	def skip(self, name, why):
		self.outcomes.append((self.suite, name, "skip"))
		self.skipped += 1
		print(f"skip {name}: {why}", flush=True)
