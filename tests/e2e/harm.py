# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Do no harm: attach and detach on a busy server, a profiler killed at any moment. The target must
not feel any of it, and its text must be its file's again.
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
import same

ATTACHES = 25
KILLS = 8
SOAK_ATTACHES = 500		# of each interpreter
SOAK_KILLS = 50


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


def attach_and_detach(interpreter, times):
	"""(problems, hits)"""
	problems, hits = [], 0
	with Busy(interpreter, f"harm.{interpreter['name']}.attach") as busy:
		pid = busy.target.pid
		busy.serve_some()
		sites = probe_sites(pid)
		if not sites:
			problems.append("doctor names no probe site")
		problems += check_text(pid, sites, "before")
		before = busy.descriptors()
		for turn in range(times):
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
	return problems, hits


def kill_at_random(interpreter, times):
	"""(problems, seed)"""
	seed = int.from_bytes(os.urandom(4), "little")
	chance = random.Random(seed)
	problems = []
	with Busy(interpreter, f"harm.{interpreter['name']}.kill") as busy:
		pid = busy.target.pid
		busy.serve_some()
		sites = probe_sites(pid)
		for turn in range(times):
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
	return problems, seed


def run(results, interpreters):
	for interpreter in same.debians(interpreters):
		name = interpreter["name"]
		try:
			problems, hits = attach_and_detach(interpreter, ATTACHES)
			if hits <= same.HITS_MIN:
				problems.append(f"only {hits} probe hits")
			results.check(f"{name} attach and detach {ATTACHES} times, {hits} hits", problems)
			problems, seed = kill_at_random(interpreter, KILLS)
			results.check(f"{name} killed at {KILLS} random moments (seed {seed})", problems)
		except harness.Hang as hang:
			results.check(f"{name} harm", str(hang))


def soak(interpreters, around):
	"""Attaches and kills as CI has them, again and again."""
	def attach(interpreter):
		problems, hits = attach_and_detach(interpreter, ATTACHES)
		return problems, {"hits": hits}, []

	def kill(interpreter):
		problems, seed = kill_at_random(interpreter, SOAK_KILLS // 5)
		return problems + ([f"seed {seed}"] if problems else []), {}, []

	items = []
	for interpreter in same.debians(interpreters):
		name = interpreter["name"]
		items.append(same.Item(f"{name} attach and detach", SOAK_ATTACHES, ATTACHES,
				       lambda which=interpreter: attach(which)))
		items.append(same.Item(f"{name} killed at random moments", SOAK_KILLS, SOAK_KILLS // 5,
				       lambda which=interpreter: kill(which)))
	return items
