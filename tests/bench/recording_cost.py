# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What recording costs the program: every profiler in turn, window by window.

The measure is the program's wall time per operation, since a profiler that stops its target costs
no CPU time of it, less the time that it stood in a run queue: for others on this machine, never for
the profiler, which has another CPU. Round trips are timed by the client, and waits by the program
that waits: there it is the median of a window, which does not see a profiler's short stops.

A round has a window with each profiler and two with none, at its ends, which the others are
compared with; the second of those by the first is what chance alone does. The order within a round
changes, so that no profiler always runs after the same one.
"""
import os
import statistics
import subprocess
import sys
import time

import bpf_time
import figures
import harness
import peers

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = (
	(os.path.join(HERE, "spin_tasks.py"), "sleep(0) loop", "us per iteration"),
	("echo.py", "echo server", "us per round trip"),
	(os.path.join(HERE, "burn.py"), "CPU-bound", "us per unit of work"),
)
SHORT_WAITS = (os.path.join(HERE, "short_waits.py"), "short waits", "us per wait")


class Client:
	"""The other end of the echo server, on the profiler's CPU; it counts as a target does."""

	def __init__(self, port):
		self.process = subprocess.Popen(
			["taskset", "-c", str(harness.OTHER_CPU), sys.executable,
			 os.path.join(HERE, "round_trips.py"), str(port)],
			stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		self.stream = harness.Stream(self.process.stdout)

	def send(self, line):
		self.process.stdin.write(line + "\n")
		self.process.stdin.flush()

	def close(self):
		self.process.kill()
		self.process.wait()
		self.process.stdin.close()


class Window:
	def __init__(self, target, counter, profiler, seconds):
		begin, cpu, done = time.monotonic(), profiler.cpu_ns(), figures.count(counter)
		queued = figures.schedstat(target.pid)[1]
		with bpf_time.Meter(profiler) as meter:
			time.sleep(seconds)
		now = figures.count(counter)
		queued = figures.schedstat(target.pid)[1] - queued
		took = time.monotonic() - begin
		operations = max(now["lines"] - done["lines"], 1)
		self.us = (took * 1e6 - queued / 1e3) / operations
		if "ns" in now:  # a median, by who waited
			self.us = now["ns"] / 1e3
		self.own_percent = (profiler.cpu_ns() - cpu) / took / 1e7
		self.bpf_us = meter.ns / 1e3 / operations
		self.per_second = operations / took


class Row:
	"""Windows with one profiler."""

	def __init__(self):
		self.windows, self.ratios, self.words = [], [], ""

	def add(self, window, without):
		self.windows.append(window)
		self.ratios.append(window.us / without)


def round_of(target, counter, profilers, seconds, rows, null):
	"""A window of each."""
	nothing = peers.Nothing()
	inside = {}
	before = Window(target, counter, nothing, seconds)
	for profiler in profilers:
		try:
			with profiler.beside(target.pid):
				time.sleep(0.2)  # its start is not what a window is about
				figures.count(counter)
				inside[profiler.name] = Window(target, counter, profiler, seconds)
			rows[profiler.name].words = profiler.last_words
		except harness.Hang as error:
			rows[profiler.name].words = str(error)
	figures.count(counter)
	after = Window(target, counter, nothing, seconds)
	without = (before.us + after.us) / 2
	rows[nothing.name].add(before, without)
	rows[nothing.name].add(after, without)
	null.append(after.us / before.us)
	for name, window in inside.items():
		rows[name].add(window, without)


def show(rows, null, unit, name, versions):
	print(f"\n{name}: {unit}, ratio to none, the profiler's own CPU in % of one; "
	      f"median [95 % interval], {versions}")
	for profiler, row in rows.items():
		if not row.windows:
			print(f"  skip {profiler}: {row.words}")
			continue
		line = f"  {profiler:28}" + figures.with_interval([w.us for w in row.windows], 2)
		if profiler != peers.Nothing.name:
			line += "   x " + figures.with_interval(row.ratios, 3)
			line += "   " + figures.with_interval([w.own_percent for w in row.windows], 2) + " %"
		print(line)
		if row.words:
			print(f"  {'':28}it says: {' '.join(row.words.split())}")
	print(f"  {'null (none by none)':28}{'':8}x {figures.with_interval(null, 3)}: "
	      "differences within it are noise", flush=True)


def show_bpf(rows):
	"""Of asyncprof alone: run time of its programs, by the kernel's clock around each."""
	for profiler, row in rows.items():
		times = [w.bpf_us for w in row.windows if w.bpf_us]
		if times:
			print(f"  {profiler:28}in the kernel: {figures.with_interval(times, 2)} us per "
			      f"operation at {statistics.median(w.per_second for w in row.windows):.0f} "
			      "operations a second", flush=True)


def measure(interpreter, program, profilers, rounds, seconds):
	path, name, unit = program
	rows = {one.name: Row() for one in [peers.Nothing()] + profilers}
	null = []
	with harness.Target(interpreter, path, log="bench") as target:
		hello = target.hello()
		client = Client(hello["port"]) if "port" in hello else None
		counter = client or target
		try:
			Window(target, counter, peers.Nothing(), seconds)  # warm up
			for i in range(rounds):
				turn = profilers[i % len(profilers):] + profilers[:i % len(profilers)]
				round_of(target, counter, turn, seconds, rows, null)
		finally:
			if client:
				client.close()
	show(rows, null, unit, name, f"Python {interpreter['version']}")
	return rows


def show_table(tables):
	"""All programs in one table of Markdown; in the last column the dearest program counts."""
	print("\n| | " + " | ".join(f"{name}, {unit}" for name, unit, _ in tables)
	      + " | the profiler's own CPU |")
	print("|---" * (len(tables) + 2) + "|")
	for profiler in tables[0][2]:
		rows = [rows[profiler] for _, _, rows in tables]
		cells = []
		for row in rows:
			cell = figures.with_interval([w.us for w in row.windows], 1) if row.windows else "-"
			if row.windows and profiler != peers.Nothing.name:
				cell += f", x {statistics.median(row.ratios):.2f}"
			cells.append(cell)
		own = [statistics.median(w.own_percent for w in row.windows) for row in rows if row.windows]
		cells.append(f"up to {max(own):.1f} %" if profiler != peers.Nothing.name and own else "")
		print(f"| {profiler} | " + " | ".join(cells) + " |", flush=True)


def run(interpreter, found, options):
	profilers = peers.all_of_them(found)
	show_table([(name, unit, measure(interpreter, (path, name, unit), profilers, options.windows,
					 options.seconds))
		    for path, name, unit in PROGRAMS])


def run_waits(interpreter, found, options):
	"""Recording beside watching where waits are many: asyncprof alone, with the kernel's clock."""
	os.makedirs(peers.OUT, exist_ok=True)
	measure(interpreter, SHORT_WAITS, peers.asyncprof(), options.windows, options.seconds)
	with bpf_time.enabled():
		rows = measure(interpreter, (SHORT_WAITS[0], "short waits, BPF programs timed",
					     SHORT_WAITS[2]),
			       peers.asyncprof(), max(options.windows // 3, 3), options.seconds)
	show_bpf(rows)
