# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Starts `asyncprof record` on a program, and reads what it wrote.

It must never trust a file to be right because asyncprof made it: each is read by what reads such
files elsewhere, with nothing of asyncprof in it.
"""
import gzip
import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import time

import harness

PROGRAM = os.path.join(harness.PROGRAMS, "record.py")
FORMATS = ("folded", "svg", "html", "speedscope.json", "pprof")


def folder(*names):
	"""A new one, for the files of a run."""
	path = os.path.join(harness.LOGS, "record." + ".".join(names))
	shutil.rmtree(path, ignore_errors=True)
	os.makedirs(path)
	return path


def line_of(mark):
	"""The line of the program that has `# at: MARK`."""
	with open(PROGRAM) as source:
		found = [i for i, line in enumerate(source, 1)
			 if f"# at: {mark}" in line and line.split("# at: ")[1].split("  #")[0].strip() == mark]
	assert len(found) == 1, f"{mark}: {found}"
	return found[0]


def asyncprof(*args, **more):
	"""A command that ends by itself: code, stdout, stderr."""
	return subprocess.run([harness.ASYNCPROF, *map(str, args)], stdin=subprocess.DEVNULL,
			      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
			      timeout=harness.HANG_S, **more)


def rendered(path, form, *options):
	"""What `report` makes of a recording, as text."""
	done = asyncprof("report", path, "-f", form, *options)
	if done.returncode or done.stderr:
		raise ValueError(f"report {path} -f {form}: exit {done.returncode} {done.stderr}")
	return done.stdout.decode()


class Recording:
	"""One `asyncprof record`; with an output that ends in .ndjson it can say when it is live."""

	def __init__(self, *pids, outputs, options=(), terminal=False, stdout=None, env=None):
		argv = ["taskset", "-c", str(harness.OTHER_CPU), harness.ASYNCPROF, "record"]
		for pid in pids:
			argv += ["-p", str(pid)]
		for path in outputs:
			argv += ["-o", path]
		self.live = next((path for path in outputs if path.endswith(".ndjson")), None)
		self.terminal = b""
		ours = theirs = None
		if terminal:
			ours, theirs = pty.openpty()
		self.fd = ours
		base = os.path.dirname(self.live) if self.live else harness.LOGS
		self.errors = open(os.path.join(base, f"stderr.{time.monotonic_ns()}"), "w+")
		self.process = subprocess.Popen(argv + list(map(str, options)), stdin=subprocess.DEVNULL,
						stdout=stdout or subprocess.DEVNULL,
						stderr=theirs or self.errors,
						env=dict(os.environ, **(env or {})))
		if theirs:
			os.close(theirs)

	def started(self):
		"""Every probe is live: the JSON lines begin."""
		deadline = time.monotonic() + harness.HANG_S
		while not self.has_begun():
			if self.process.poll() is not None or time.monotonic() > deadline:
				raise harness.Hang(f"recording does not begin: {self.said()}")
			time.sleep(0.01)

	def has_begun(self):
		try:
			with open(self.live) as file:
				return '"type":"start"' in file.read()
		except FileNotFoundError:
			return False

	def said(self):
		with open(self.errors.name, errors="replace") as file:
			return file.read()

	def finish(self, number=None):
		"""Its exit code, after a signal if one is given."""
		if number and self.process.poll() is None:
			self.process.send_signal(number)
		if self.fd is not None:
			try:
				while data := os.read(self.fd, 65536):
					self.terminal += data
			except OSError:  # its last writer has left
				pass
		try:
			return self.process.wait(harness.HANG_S)
		except subprocess.TimeoutExpired:
			raise harness.Hang("asyncprof record does not end")

	def stop(self):
		return self.finish(signal.SIGINT)

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		self.errors.close()
		if self.fd is not None:
			os.close(self.fd)


def record(interpreter, mode, where, outputs, options=(), args=(), prepare=None):
	"""Record a run of the program from before its work to its end; its facts, asyncprof's stderr."""
	paths = [os.path.join(where, name) for name in outputs]
	with harness.Target(interpreter, "record.py", mode, *args,
			    log=f"record.{interpreter['name']}.{mode}", first=True) as target:
		target.hello()
		if prepare:
			prepare(target)
		with Recording(target.pid, outputs=paths, options=options) as recording:
			recording.started()
			target.send("go")
			target.wait("done")
			target.send("bye")
			if target.finish():
				raise harness.Hang(f"the program failed: {target.said()}")
			if recording.finish():
				raise harness.Hang(f"record failed: {recording.said()}")
			return target.facts("spent"), recording.said()


# --- Readers ---------------------------------------------------------------------------------------

def read_lines(text):
	"""The JSON lines: {type: [record]}."""
	found = {"start": [], "slow": [], "stack": [], "summary": []}
	for line in text.splitlines():
		record = json.loads(line)
		found[record["type"]].append(record)
	return found


def read_folded(text):
	"""[(labels, microseconds)], outermost first."""
	rows = []
	for line in text.splitlines():
		stack, us = line.rsplit(" ", 1)
		rows.append((stack.split(";"), int(us)))
	return rows


def total(rows):
	return sum(us for _, us in rows)


def of_label(rows, label):
	return sum(us for stack, us in rows if label in stack)


def query(path, sql, *args):
	with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
		database.text_factory = lambda data: data.decode(errors="surrogateescape")
		return database.execute(sql, args).fetchall()


def unpacked(path):
	with open(path, "rb") as file:
		data = file.read()
	return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def fields(data):
	"""Protocol buffers as they go over the wire: [(field, value)]."""
	at, found = 0, []

	def varint():
		nonlocal at
		value = shift = 0
		while True:
			byte = data[at]
			at += 1
			value |= (byte & 127) << shift
			shift += 7
			if byte < 128:
				return value
	while at < len(data):
		key = varint()
		if key & 7 == 0:
			found.append((key >> 3, varint()))
		elif key & 7 == 2:
			size = varint()
			if at + size > len(data):
				raise ValueError("a field is longer than the message")
			found.append((key >> 3, data[at:at + size]))
			at += size
		else:
			raise ValueError(f"wire type {key & 7}")
	return found


def read_pprof(path):
	"""(strings, sum of each sample type by its name)."""
	profile = fields(unpacked(path))
	strings = [value.decode() for key, value in profile if key == 6]
	names = [strings[dict(fields(value))[1]] for key, value in profile if key == 1]
	sums = [0] * len(names)
	for key, value in profile:
		if key != 2:
			continue
		values = []
		for part, number in fields(value):
			if part == 2:
				values += [number] if isinstance(number, int) else \
					[one for _, one in packed(number)]
		for i, number in enumerate(values):
			sums[i] += number
	return strings, dict(zip(names, sums))


def packed(data):
	value = shift = 0
	for byte in data:
		value |= (byte & 127) << shift
		shift += 7
		if byte < 128:
			yield 0, value
			value = shift = 0
