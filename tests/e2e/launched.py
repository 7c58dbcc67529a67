# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""asyncprof with a program that it starts: what both said, at its end or while they run.

It must never wait without an end: each wait has a deadline, which only guards against a hang.
"""
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import termios
import time

import harness

PROGRAM = os.path.join(harness.PROGRAMS, "launch.py")
ENV = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "LC_ALL": "C.UTF-8", "MARK": "kept",
       "PYTHONDONTWRITEBYTECODE": "1"}


class Got:
	"""What one run of asyncprof came to: exit code, both streams, its records."""

	def __init__(self, code, out, err, records=()):
		self.code, self.out, self.err = code, out, err
		self.records = list(records)

	def summary(self):
		found = [r for r in self.records if r["type"] == "summary"]
		return found[-1] if found else None

	def hits(self):
		summary = self.summary()
		return summary["accounting"]["hits"] if summary else None

	def starts(self):
		return [r for r in self.records if r["type"] == "start"]


def environment(**more):
	env = dict(ENV)
	env.update(more)
	return env


def read_records(path):
	if not os.path.exists(path):
		return []
	with open(path) as file:
		return [json.loads(line) for line in file]


def ask(argv, options=None, stdin=b"", within=(), **more):
	"""asyncprof OPTIONS -- ARGV, its records kept apart from the program's stdout."""
	env = more.pop("env", None) or environment()
	with tempfile.TemporaryDirectory() as folder:
		path = folder + "/records"
		if options is None:
			options = ["--json", "-o", path]
		got = subprocess.run([*within, harness.ASYNCPROF] + options + ["--"] + argv, input=stdin,
				     stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
				     timeout=harness.HANG_S, **more)
		records = read_records(path)
	return Got(got.returncode, got.stdout.decode(errors="replace"),
		   got.stderr.decode(errors="replace"), records)


def command(interpreter, *args):
	"""How to run the program with an interpreter that may live in a tree of its own."""
	argv = [interpreter["python"], PROGRAM] + list(args)
	if not interpreter["root"]:
		return argv, environment()
	harness.prepare_tree(interpreter["root"])
	return (["unshare", "-m", "--propagation", "private", "sh", "-c", harness.SETUP, "sh"] + argv,
		environment(TREE=interpreter["root"], BUILD=harness.BUILD, CHECKOUT=harness.ROOT))


def code_is(got, code, words=(), out=None):
	problems = []
	if got.code != code:
		problems.append(f"exit code {got.code}, wanted {code}: {got.err.strip()[-300:]}")
	for word in words:
		if word not in got.err:
			problems.append(f"'{word}' is not in: {got.err.strip()[-300:]}")
	if out is not None and got.out != out:
		problems.append(f"on stdout: {got.out[:200]!r}, wanted {out[:200]!r}")
	return problems


class Started:
	"""asyncprof with a program that runs on while it is looked at."""

	def __init__(self, argv, options=(), tty=None, **more):
		self.folder = tempfile.mkdtemp()
		self.errors = open(self.folder + "/err", "w+")
		options = list(options) or ["--json", "-o", self.folder + "/records"]
		stream = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		if tty is not None:
			stream = dict(stdin=tty, stdout=tty, start_new_session=True, preexec_fn=lambda:
				      fcntl.ioctl(0, termios.TIOCSCTTY, 0))
		stream.update(more)
		self.process = subprocess.Popen([harness.ASYNCPROF] + options + ["--"] + argv,
						stderr=self.errors, env=environment(), **stream)
		self.out = self.process.stdout.fileno() if self.process.stdout else None
		self.text = ""

	def read_until(self, words, fd=None):
		"""What the program has said, once `words` are in it; None: until its end."""
		fd = self.out if fd is None else fd
		deadline = time.monotonic() + harness.HANG_S
		while words is None or words not in self.text:
			if not select.select([fd], [], [], 1)[0]:
				if time.monotonic() > deadline:
					raise harness.Hang(f"never said {words!r}: {self.text!r} {self.said()}")
				continue
			try:
				data = os.read(fd, 65536)
			except OSError:  # the other side of a terminal has gone
				data = b""
			if not data:
				if words is None:
					return self.text
				raise harness.Hang(f"ended before {words!r}: {self.text!r} {self.said()}")
			self.text += data.decode(errors="replace")
		return self.text

	def said(self):
		self.errors.flush()
		with open(self.errors.name) as file:
			return file.read()

	def records(self):
		return read_records(self.folder + "/records")

	def child(self):
		"""The program's pid once it has called exec; None while there is none."""
		pid = self.process.pid
		try:
			with open(f"/proc/{pid}/task/{pid}/children") as file:
				children = file.read().split()
			for child in children:
				# Not by its name, which changes when somebody builds meanwhile.
				if not os.path.samefile(f"/proc/{child}/exe", f"/proc/{pid}/exe"):
					return int(child)
		except OSError:
			pass
		return None

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		for stream in (self.process.stdin, self.process.stdout):
			if stream:
				stream.close()
		self.errors.close()
		shutil.rmtree(self.folder)


def state(pid):
	with open(f"/proc/{pid}/stat") as file:
		return file.read().rsplit(")", 1)[1].split()[0]
