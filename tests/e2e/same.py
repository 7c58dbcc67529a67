# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Programs that a profiler could break behave the same with asyncprof and without: exit code and
output. Each run with it asserts that its probes were live and hit more than a thousand times.

It must never run a program again because its output was another.
"""
import os
import subprocess
import tempfile
from typing import Callable, NamedTuple

import harness
import judge
import packages
import postgres
from interpreters import Missing

RUNS = 2
SOAK_RUNS = 50
HITS_MIN = 1000
MINORS = ("3.11", "3.13")


class Case(NamedTuple):
	"""A program that ends with a code of its own, so that no other end looks like it."""
	name: str
	program: str
	code: int
	package: str = ""		# what it imports
	database: str = ""
	pyenv: bool = False		# other builds of the interpreter, too


CASES = (
	Case("greenlets", "switches.py", 7, "greenlet", pyenv=True),
	Case("C++ exceptions", "exceptions.py", 9, pyenv=True),
	Case("SQLAlchemy, aiosqlite", "databases.py", 11, "databases", "sqlite"),
	Case("SQLAlchemy, asyncpg", "databases.py", 11, "databases", "postgresql"),
	Case("gevent", "gevents.py", 12, "gevent"),
	Case("a debugger", "debugger.py", 13),
	Case("deep recursion", "recursion.py", 14),
	Case("seccomp", "seccomp.py", 15),
)


class Item(NamedTuple):
	"""Something that soak.py does again and again."""
	name: str
	wanted: int			# how many of it
	step: int			# how many one run does
	run: Callable			# returns (problems, figures to be added up, notes)
	seconds: float = 30		# what one run may take before it was ever timed


class Outcome(NamedTuple):
	code: int
	out: tuple
	err: str

	def difference(self, other):
		"""What is not the same, in words; the first line that differs of each stream."""
		said = [f"exit code {self.code}, {other.code}"] if self.code != other.code else []
		for stream, a, b in (("output", self.out, other.out),
				     ("errors", self.err.splitlines(), other.err.splitlines())):
			a, b = list(a), list(b)
			if a != b:
				length = max(len(a), len(b))
				a += ["(none)"] * (length - len(a))
				b += ["(none)"] * (length - len(b))
				x, y = next(pair for pair in zip(a, b) if pair[0] != pair[1])
				said.append(f"{stream}: {x!r:.600} and {y!r:.600}")
		return said


def profile_problems(start, summary):
	problems = judge.account_problems(summary)
	if start["tier"] != "exact":
		problems.append(f"tier {start['tier']}")
	hits = (summary or {}).get("accounting", {}).get("hits", 0)
	if hits <= HITS_MIN:
		problems.append(f"only {hits} probe hits")
	return problems, hits


def run_once(interpreter, case, args, env, profiled):
	"""(outcome, problems, hits) of a program with or without asyncprof."""
	log = f"same.{interpreter['name']}.{case.name.replace(' ', '-')}"
	problems, hits = [], 0
	with harness.Target(interpreter, case.program, *args, env=env, log=log) as target:
		target.hello()
		if profiled:
			with harness.Profiler(target.pid, log=log) as profiler:
				start = profiler.started()
				target.send("go")
				code = target.finish()
				summary = profiler.finish()
			problems, hits = profile_problems(start, summary)
			if profiler.code:
				problems.append(f"asyncprof ended with {profiler.code}: {profiler.said()}")
		else:
			target.send("go")
			code = target.finish()
		with open(target.log.name) as file:
			out = tuple(file.read().splitlines()[1:])  # the first has its process's id
		return Outcome(code, out, target.said()), problems, hits


class Surroundings:
	"""What the programs need around them, made when first asked for."""

	def __init__(self):
		self.cluster = None
		self.folder = tempfile.TemporaryDirectory(dir=harness.BUILD)

	def extension(self, interpreter):
		if not interpreter["include"]:
			raise Missing("no Python.h for it", "install its headers")
		folder = os.path.join(harness.BUILD, "throws-" + interpreter["name"])
		os.makedirs(folder, exist_ok=True)
		subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-I", interpreter["include"],
				"-idirafter", os.path.dirname(interpreter["include"]),
				"-o", folder + "/throws.so",
				os.path.join(harness.PROGRAMS, "throws.cpp")], check=True)
		return folder

	def url(self, database):
		if database == "sqlite":
			return f"sqlite+aiosqlite:///{self.folder.name}/accounts.db"
		self.cluster = self.cluster or postgres.Cluster()
		return self.cluster.url()

	def of(self, interpreter, case):
		"""(arguments, environment)"""
		path = [harness.PROGRAMS]
		if case.package:
			path.append(packages.pypi(interpreter, case.package))
		if case.program == "exceptions.py":
			path.append(self.extension(interpreter))
		args = [self.url(case.database)] if case.database else []
		return args, {"PYTHONPATH": ":".join(path)}

	def close(self):
		if self.cluster:
			self.cluster.close()
		self.folder.cleanup()

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		self.close()


def compare(interpreter, case, around, runs=RUNS):
	"""(problems, hits) of so many runs without and with, in turns."""
	args, env = around.of(interpreter, case)
	problems, total, first = [], 0, None
	for turn in range(runs):
		for profiled in (False, True):
			outcome, found, hits = run_once(interpreter, case, args, env, profiled)
			first = first or outcome
			which = f"run {turn + 1} {'with' if profiled else 'without'}: "
			problems += [which + one for one in found + first.difference(outcome)]
			total += hits
	if first.code != case.code:
		problems.append(f"the program does not work by itself: {first}")
	return problems, total


def debians(interpreters):
	"""The stripped ones, which most people run."""
	return [one for one in interpreters
		if one["minor"] in MINORS and one["name"].startswith("debian")]


def wanted(interpreters):
	"""(interpreter, case) for all that can be asked of these interpreters."""
	return [(interpreter, case) for interpreter in interpreters for case in CASES
		if interpreter["minor"] in MINORS and
		(interpreter["name"].startswith("debian") or case.pyenv)]


def run(results, interpreters):
	with Surroundings() as around:
		for interpreter, case in wanted(interpreters):
			name = f"{interpreter['name']} {case.name}: same with and without"
			try:
				problems, hits = compare(interpreter, case, around)
				results.check(f"{name}, {hits} hits", problems)
			except Missing as missing:
				results.skip(name, f"{missing.why}; {missing.remedy}")
			except harness.Hang as hang:
				results.check(name, str(hang))


def soak(interpreters, around):
	def once(interpreter, case):
		problems, hits = compare(interpreter, case, around, 1)
		return problems, {"hits": hits}, []

	return [Item(f"{interpreter['name']} {case.name}", SOAK_RUNS, 1,
		     lambda which=interpreter, case=case: once(which, case))
		for interpreter, case in wanted(interpreters)]
