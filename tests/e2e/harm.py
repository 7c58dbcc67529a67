# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Do no harm: attach and detach on a busy server, a profiler killed at any moment, programs that
return probes would kill. The target must not feel any of it, and its text must be its file's again.

SOAK=1 in the environment repeats more often.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

import harness
import judge

SOAK = bool(os.environ.get("SOAK"))
ATTACHES = 100 if SOAK else 25
KILLS = 50 if SOAK else 8
HITS_MIN = 1000


def probe_sites(pid):
	"""Where probes go, from asyncprof itself; the bytes that belong there are the file's."""
	out = subprocess.run([harness.ASYNCPROF, "doctor", "-p", str(pid), "--json"],
			     stdout=subprocess.PIPE, text=True, timeout=harness.HANG_S).stdout
	return json.loads(out)["sites"]


def file_bytes(pid, site, size=16):
	"""From the file behind the mapping, which may lie in another mount namespace."""
	path = f"/proc/{pid}/root{site['file']}"
	with open(path, "rb") as file:
		file.seek(site["offset"])
		return file.read(size)


def text_bytes(pid, site, size=16):
	with open(f"/proc/{pid}/mem", "rb") as file:
		file.seek(site["address"])
		return file.read(size)


def check_text(pid, sites, when):
	return [f"{when}: {site['name']} reads {text_bytes(pid, site).hex()}, the file has "
		f"{file_bytes(pid, site).hex()}" for site in sites
		if text_bytes(pid, site) != file_bytes(pid, site)]


class Busy:
	"""An echo server and a client that keeps it busy and checks every answer."""

	def __init__(self, interpreter, log):
		self.target = harness.Target(interpreter, "echo.py", log=log)
		port = self.target.hello()["port"]
		self.client = subprocess.Popen(
			["taskset", "-c", str(harness.OTHER_CPU), sys.executable,
			 os.path.join(harness.PROGRAMS, "echo_client.py"), str(port), "8"],
			stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

	def lines(self):
		start = len(self.target.stream.items)
		self.target.send("count")
		return self.target.stream.wait(lambda f: f["t"] == "count", "a count", start)["lines"]

	def serve_some(self, count=100):
		"""Wait until it has answered that many more lines: it lives, and it works."""
		wanted = self.lines() + count
		deadline = time.monotonic() + harness.HANG_S
		while self.lines() < wanted:
			if time.monotonic() > deadline:
				raise harness.Hang("the server answers no more")

	def descriptors(self):
		return sorted(os.listdir(f"/proc/{self.target.pid}/fd"), key=int)

	def end(self):
		"""Problems of the client and the server, if any."""
		out, err = self.client.communicate(timeout=harness.HANG_S)
		problems = [f"client: {err}"] if self.client.returncode else []
		if not problems and int(out) < 1000:
			problems.append(f"client: only {out} lines")
		self.target.send("stop")
		code = self.target.finish()
		if code:
			problems.append(f"the server ended with {code}: {self.target.said()}")
		return problems

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		if self.client.poll() is None:
			self.client.kill()
			self.client.wait()
		self.target.close()


def attach_and_detach(results, interpreter):
	name = f"{interpreter['name']} attach and detach {ATTACHES} times"
	problems, hits = [], 0
	with Busy(interpreter, f"harm.{interpreter['name']}.attach") as busy:
		pid = busy.target.pid
		busy.serve_some()
		sites = probe_sites(pid)
		if not sites:
			problems.append("doctor names no probe site")
		problems += check_text(pid, sites, "before")
		before = busy.descriptors()
		for turn in range(ATTACHES):
			with harness.Profiler(pid, log=f"harm.{interpreter['name']}.attach") as profiler:
				profiler.started()
				busy.serve_some()
				if not check_text(pid, sites, "attached"):
					problems.append(f"turn {turn}: attached, but no site has a probe")
				summary = profiler.stop()
			if profiler.code:
				problems.append(f"turn {turn}: exit code {profiler.code}: {profiler.said()}")
			problems += check_text(pid, sites, f"turn {turn}")
			problems += judge.account_problems(summary)
			hits += (summary or {}).get("accounting", {}).get("hits", 0)
		busy.serve_some()
		if busy.descriptors() != before:
			problems.append(f"descriptors were {before}, are {busy.descriptors()}")
		problems += busy.end()
	if hits <= HITS_MIN:
		problems.append(f"only {hits} probe hits")
	results.check(name, problems)


def kill_at_random(results, interpreter):
	seed = int.from_bytes(os.urandom(4), "little")
	chance = random.Random(seed)
	name = f"{interpreter['name']} killed at {KILLS} random moments (seed {seed})"
	problems = []
	with Busy(interpreter, f"harm.{interpreter['name']}.kill") as busy:
		pid = busy.target.pid
		busy.serve_some()
		sites = probe_sites(pid)
		for turn in range(KILLS):
			with harness.Profiler(pid, log=f"harm.{interpreter['name']}.kill") as profiler:
				if turn % 2:
					profiler.started()
				time.sleep(chance.random())
				if profiler.process.poll() is not None:
					problems.append(f"turn {turn}: it ended by itself: {profiler.said()}")
				profiler.process.send_signal(signal.SIGKILL)
				profiler.process.wait()
			deadline = time.monotonic() + harness.HANG_S
			while check_text(pid, sites, "") and time.monotonic() < deadline:
				time.sleep(0.01)  # the kernel lets go of a dead process's links by and by
			problems += check_text(pid, sites, f"turn {turn}")
			busy.serve_some()
		problems += busy.end()
	results.check(name, problems)


def run_once(interpreter, program, env, log, profiled):
	"""(exit code, result, hits) of a program with or without asyncprof."""
	hits, problems = None, []
	with harness.Target(interpreter, program, env=env, log=log) as target:
		target.hello()
		if profiled:
			with harness.Profiler(target.pid, log=log) as profiler:
				profiler.started()
				target.send("go")
				code = target.finish()
				summary = profiler.finish()
			problems = judge.account_problems(summary)
			hits = (summary or {}).get("accounting", {}).get("hits", 0)
		else:
			target.send("go")
			code = target.finish()
		results = target.facts("result")
		return (code, {k: v for f in results for k, v in f.items() if k != "_seen"},
			target.said()), hits, problems


def same_with_and_without(results, interpreter, program, env=None):
	name = f"{interpreter['name']} {program}: same with and without"
	log = f"harm.{interpreter['name']}.{program[:-3]}"
	without, _, _ = run_once(interpreter, program, env, log, False)
	outcome, hits, problems = run_once(interpreter, program, env, log, True)
	if without != outcome:
		problems.append(f"without {without}, with {outcome}")
	if without[0] not in (7, 9):
		problems.append(f"the program does not work by itself: {without}")
	if hits <= HITS_MIN:
		problems.append(f"only {hits} probe hits")
	results.check(name, problems)


def build_extension(interpreter):
	folder = os.path.join(harness.BUILD, "throws-" + interpreter["name"])
	os.makedirs(folder, exist_ok=True)
	subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-I", interpreter["include"],
			"-idirafter", os.path.dirname(interpreter["include"]),
			"-o", folder + "/throws.so", os.path.join(harness.PROGRAMS, "throws.cpp")],
		       check=True)
	return folder


def run(results, interpreters):
	for interpreter in interpreters:
		name = interpreter["name"]
		if interpreter["minor"] not in ("3.11", "3.13"):
			continue
		try:
			if name.startswith("debian"):
				attach_and_detach(results, interpreter)
				kill_at_random(results, interpreter)
			if "greenlet" in interpreter["modules"]:
				same_with_and_without(results, interpreter, "switches.py")
			else:
				results.skip(f"{name} greenlets", interpreter.get("why", "no greenlet"))
			if interpreter["include"]:
				folder = build_extension(interpreter)
				path = f"{harness.PROGRAMS}:{interpreter['site']}:{folder}"
				same_with_and_without(results, interpreter, "exceptions.py",
						      {"PYTHONPATH": path})
			else:
				results.skip(f"{name} C++ exceptions", "no Python.h for it")
		except harness.Hang as hang:
			results.check(f"{name} harm", str(hang))
