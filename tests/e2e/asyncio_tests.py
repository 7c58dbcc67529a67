# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The interpreter's own unit tests of asyncio, with asyncprof and without: the same exit code, the
same tests, the same outcomes.

They have timing limits of their own, which asyncprof's tests must not have. So of a test whose
outcome was another it is asked whether that flips without asyncprof, too, on a quiet CPU and a
busy one: then it is named and counted. It must never be asked of a run with asyncprof again.
"""
import contextlib
import subprocess
import sys

import harness
import packages
import same
from interpreters import Missing

TESTS = "test.test_asyncio"
HANG_S = 400
ASKED_AGAIN = 10		# without asyncprof, half of them on a busy CPU
MOODY_MAX = 8


def start(interpreter, folder, names, cpu, log):
	env = {"PYTHONPATH": ":".join([harness.PROGRAMS] + ([folder] if folder else []))}
	return harness.Target(interpreter, "unit_tests.py", *names, cpu=cpu, env=env, log=log)


def result_of(target):
	"""(exit code, outcomes, why)"""
	try:
		code = target.finish(HANG_S)
	except subprocess.TimeoutExpired:
		raise harness.Hang("the unit tests do not end")
	results = target.facts("result")
	if not results:
		raise harness.Hang(f"the unit tests ended with {code}: {target.said()[-2000:]}")
	return code, results[0]["outcomes"], results[0]["why"]


def both(interpreter, folder, log):
	"""(without, with, problems, hits): side by side, so that both meet the same noise."""
	with start(interpreter, folder, [TESTS], harness.OTHER_CPU, log + ".without") as plain, \
	     start(interpreter, folder, [TESTS], harness.TARGET_CPU, log + ".with") as probed:
		plain.hello()
		probed.hello()
		with harness.Profiler(probed.pid, log=log) as profiler:
			begin = profiler.started()
			plain.send("go")
			probed.send("go")
			outcome = result_of(probed)
			summary = profiler.finish()
		problems, hits = same.profile_problems(begin, summary)
		if profiler.code:
			problems.append(f"asyncprof ended with {profiler.code}: {profiler.said()}")
		return result_of(plain), outcome, problems, hits


@contextlib.contextmanager
def burner(busy):
	process = subprocess.Popen(["taskset", "-c", str(harness.TARGET_CPU), sys.executable, "-c",
				    "while True: pass"]) if busy else None
	try:
		yield
	finally:
		if process:
			process.kill()
			process.wait()


def flips(interpreter, folder, name, log):
	"""How often a test has which outcome without asyncprof, if it has more than one."""
	counts = {}
	for turn in range(ASKED_AGAIN):
		with burner(turn % 2), start(interpreter, folder, [name], harness.TARGET_CPU,
					     log + ".alone") as target:
			target.hello()
			target.send("go")
			outcome = result_of(target)[1].get(name, "is not there")
		counts[outcome] = counts.get(outcome, 0) + 1
	return counts


def compare(interpreter, log):
	"""(problems, notes, words) of one run without and one with."""
	folder = packages.unit_tests(interpreter)
	without, outcome, problems, hits = both(interpreter, folder, log)
	notes = []
	for name in sorted(set(without[1]) ^ set(outcome[1])):
		problems.append(f"{name} ran only {'without' if name in without[1] else 'with'}")
	differ = sorted(name for name in set(without[1]) & set(outcome[1])
			if without[1][name] != outcome[1][name])
	for name in differ:
		# So many at once are no test's own mood.
		counts = flips(interpreter, folder, name, log) if len(differ) <= MOODY_MAX else {}
		counts[without[1][name]] = counts.get(without[1][name], 0) + 1
		said = (f"{name}: without {without[1][name]}, with {outcome[1][name]}; alone and without: "
			+ ", ".join(f"{what} {count}" for what, count in sorted(counts.items())))
		if len(counts) > 1:
			notes.append(said)
		else:
			why = outcome[2].get(name) or without[2].get(name) or ""
			problems.append(f"{said}\n{why}")
	if without[0] != outcome[0] and not notes:
		problems.append(f"exit code without {without[0]}, with {outcome[0]}")
	bad = sorted(name for name, what in without[1].items() if what in ("failure", "error"))
	words = (f"{len(outcome[1])} tests, {hits} hits, exit code {outcome[0]}, "
		 f"{len(bad)} fail without too, {len(notes)} flip without too")
	notes += [f"{name}: fails without asyncprof" for name in bad]
	return problems, notes, words


def check(results, interpreter):
	name = f"{interpreter['name']} {TESTS}: same with and without"
	try:
		problems, notes, words = compare(interpreter, f"asyncio.{interpreter['name']}")
		results.check(f"{name}: {words}", problems)
		for note in notes:
			print(f"     note: {note}", flush=True)
	except Missing as missing:
		results.skip(name, f"{missing.why}; {missing.remedy}")
	except harness.Hang as hang:
		results.check(name, str(hang))


def run(results, interpreters):
	for interpreter in same.debians(interpreters):
		check(results, interpreter)


def soak(interpreters, around):
	"""Every version that there is."""
	def once(interpreter):
		problems, notes, words = compare(interpreter, f"asyncio.{interpreter['name']}")
		return problems, {}, notes + [words]

	return [same.Item(f"{interpreter['name']} {TESTS}", 1, 1, lambda which=interpreter: once(which), 300)
		for interpreter in interpreters]
