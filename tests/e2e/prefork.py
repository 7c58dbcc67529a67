# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A prefork server (gunicorn, uvicorn's workers) under load through two graceful reloads, with
asyncprof -s on it and without: every request is answered, by three generations of workers, and the
server ends with 0 and reports no error. The probes' breakpoints are in what it forks meanwhile.
"""
import os
import signal
import subprocess
import sys
import time

import harness
import packages
import same
from interpreters import Missing

WORKERS = 2
RELOADS = 2
ANSWERS = 500		# before each reload: some hits of a probe each


class Load:
	"""The client, on the other CPU."""

	def __init__(self, port):
		self.process = subprocess.Popen(
			["taskset", "-c", str(harness.OTHER_CPU), sys.executable,
			 os.path.join(harness.PROGRAMS, "prefork_load.py"), str(port)],
			stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
		self.stream = harness.Stream(self.process.stdout)
		self.met, self.errors = set(), ""

	def workers(self):
		"""Process ids of the next whole generation."""
		found = []
		while len(found) < WORKERS:
			one = self.stream.wait(lambda f: f["t"] == "worker" and f["pid"] not in self.met,
					       "an answer of a new worker", hopeless=self.hopeless)
			found.append(one["pid"])
			self.met.add(one["pid"])
		return found

	def answers(self, more):
		"""Until so many more are answered than are now known to be."""
		counts = [f["count"] for f in list(self.stream.items) if f["t"] == "answered"]
		wanted = (counts or [0])[-1] + more
		self.stream.wait(lambda f: f["t"] == "answered" and f["count"] >= wanted, "more answers",
				 hopeless=self.hopeless)

	def said(self):
		self.errors = self.errors or self.process.stderr.read()
		return self.errors

	def hopeless(self):
		return self.process.poll() is not None and f"the client ended: {self.said()}"

	def end(self):
		self.process.stdin.close()
		code = self.process.wait(harness.HANG_S)
		self.stream.thread.join(harness.HANG_S)
		counts = [f for f in self.stream.items if f["t"] == "counts"]
		return code, counts[-1] if counts else {}, self.said()

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		if self.process.poll() is None:
			self.process.kill()
			self.process.wait()


def wait_gone(pids):
	"""Old workers end once their requests are answered."""
	deadline = time.monotonic() + harness.HANG_S
	while any(os.path.exists(f"/proc/{pid}") for pid in pids):
		if time.monotonic() > deadline:
			raise harness.Hang(f"of the workers {pids} some do not end")
		time.sleep(0.01)


def reload(master, workers, load):
	"""The server works for a while, then reloads; its next workers."""
	load.answers(ANSWERS)
	os.kill(master, signal.SIGHUP)
	following = load.workers()
	wait_gone(workers)
	load.answers(100)
	return following


def reload_watched(master, workers, load, log):
	"""(next workers, problems, hits)"""
	with harness.Profiler(master, options=("-s",), log=log) as profiler:
		start = profiler.started()
		following = reload(master, workers, load)
		if profiler.process.poll() is not None:
			raise harness.Hang(f"asyncprof left a server that runs: {profiler.said()}")
		summary = profiler.stop()
	problems, hits = same.profile_problems(start, summary)
	if profiler.code:
		problems.append(f"asyncprof ended with {profiler.code}: {profiler.said()}")
	return following, problems, hits


def run_once(interpreter, env, profiled):
	"""(outcome, problems, hits, what the client counted)"""
	log = f"prefork.{interpreter['name']}"
	problems, hits = [], 0
	with harness.Target(interpreter, "prefork.py", env=env, log=log) as target:
		port = target.hello()["port"]
		target.send("go")
		try:
			with Load(port) as load:
				workers = load.workers()
				for turn in range(RELOADS):
					if not profiled:
						workers = reload(target.pid, workers, load)
						continue
					workers, found, more = reload_watched(target.pid, workers, load,
									      f"{log}.{turn}")
					problems += found
					hits += more
				code, counts, said = load.end()
		finally:
			target.process.terminate()  # and its workers with it
			master = target.finish()
		if code or not counts or counts["asked"] != counts["answered"]:
			problems.append(f"the client ended with {code}: {counts} {said}")
		# One worker more is one that died and was replaced.
		met = len([f for f in load.stream.items if f["t"] == "worker"])
		outcome = same.Outcome(master, (f"{met} workers",), target.said())
		return outcome, problems, hits, counts


def compare(interpreter, runs=same.RUNS):
	"""(problems, hits, requests answered, requests sent again) of so many runs without and with."""
	env = {"PYTHONPATH": harness.PROGRAMS + ":" + packages.pypi(interpreter, "gunicorn")}
	problems, total, first, answered, again = [], 0, None, [0, 0], [0, 0]
	for turn in range(runs):
		for profiled in (False, True):
			outcome, found, hits, counts = run_once(interpreter, env, profiled)
			first = first or outcome
			which = f"run {turn + 1} {'with' if profiled else 'without'}: "
			problems += [which + one for one in found + first.difference(outcome)]
			total += hits
			answered[profiled] += counts.get("answered", 0)
			again[profiled] += counts.get("sent again", 0)
	if first != (0, (f"{WORKERS * (RELOADS + 1)} workers",), ""):
		problems.append(f"the server does not work by itself: {first}")
	return problems, total, answered, again


def run(results, interpreters):
	for interpreter in same.debians(interpreters):
		name = f"{interpreter['name']} gunicorn reloads under load"
		try:
			problems, hits, answered, again = compare(interpreter)
			results.check(f"{name}: {hits} hits, requests answered without {answered[0]} (sent again "
				      f"{again[0]}), with {answered[1]} ({again[1]})", problems)
		except Missing as missing:
			results.skip(name, f"{missing.why}; {missing.remedy}")
		except harness.Hang as hang:
			results.check(name, str(hang))


def soak(interpreters, around):
	def once(interpreter):
		problems, hits, answered, again = compare(interpreter, 1)
		return problems, {"hits": hits, "answered without": answered[0], "answered with": answered[1],
				  "sent again without": again[0], "sent again with": again[1]}, []

	return [same.Item(f"{interpreter['name']} gunicorn reloads under load", same.SOAK_RUNS, 1,
			  lambda which=interpreter: once(which)) for interpreter in same.debians(interpreters)]
