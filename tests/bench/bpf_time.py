# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""How long the programs of a profiler run in the kernel, by the kernel's own clock around each.

The clock costs something itself, so it is on only while it is asked for; what the administrator
had set is set again afterwards.
"""
import contextlib
import os

SWITCH = "/proc/sys/kernel/bpf_stats_enabled"


def read_switch():
	try:
		with open(SWITCH) as file:
			return file.read().strip()
	except OSError:
		return ""


@contextlib.contextmanager
def enabled():
	before = read_switch()
	if before:
		with open(SWITCH, "w") as file:
			file.write("1")
	try:
		yield
	finally:
		if before:
			with open(SWITCH, "w") as file:
				file.write(before)


def by_program(pid):
	"""{id: (ns, runs)} of the programs that the process holds."""
	found = {}
	for fd in os.listdir(f"/proc/{pid}/fdinfo"):
		try:
			with open(f"/proc/{pid}/fdinfo/{fd}") as file:
				fields = dict(line.split(":", 1) for line in file if ":" in line)
		except OSError:  # closed meanwhile
			continue
		if "run_time_ns" in fields:
			found[int(fields["prog_id"])] = (int(fields["run_time_ns"]), int(fields["run_cnt"]))
	return found


class Meter:
	"""Run time of all programs of a profiler while the context lasts; 0 where it is not counted."""

	def __init__(self, profiler):
		process = getattr(profiler, "process", None)
		self.pid = process.pid if process and read_switch() == "1" else None
		self.ns = 0

	def total(self):
		return sum(ns for ns, _ in by_program(self.pid).values()) if self.pid else 0

	def __enter__(self):
		self.begin = self.total()
		return self

	def __exit__(self, *exception):
		self.ns = self.total() - self.begin
