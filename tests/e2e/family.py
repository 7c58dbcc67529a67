# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""-s: what a target has started and starts is watched as it is, each stall under its own process.

Who was forked inside a callback must not have that one told as its own: the frames are its parent's.
"""
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time

import harness
import judge
import launched

THRESHOLD_NS = 20000000
HUNG = "forked before, hung"
ROLES = ("forked before", "forked before, inside", "forked", "forked inside", "started",
	 "started by a shell", HUNG)
WHOLE = ("debian-3.11", "pyenv-3.8")
BY_PID = ("debian-3.13", "debian-3.15")		# whose _run_once has other locals
SPAWN_S = 1		# an attach takes a third of it
LATER = 4		# that come and go


def joined(record, pid):
	"""Is that the record from which on `pid` is watched?"""
	if record.get("type") == "start":
		return any(target["pid"] == pid for target in record["targets"])
	return record.get("type") == "joined" and record["target"]["pid"] == pid


def member(target, profiler, role):
	"""Goes when it is watched; its pid, and who started it as asyncprof has it."""
	pid = target.wait("ready", role=role)["pid"]
	record = profiler.stream.wait(lambda r: joined(r, pid), f"that {role} ({pid}) is watched")
	target.send(role)
	target.wait("over", role=role)
	return pid, record


def asked_by_pid(target, hung):
	"""Without -s, each by its pid: who hangs is told of, who lies in its parent's callback is not."""
	pid = target.wait("ready", role="forked before, inside")["pid"]
	with harness.Profiler(pid, hung, log="family.pids") as profiler:
		profiler.wait_slow(lambda r: r["pid"] == hung, "that it hangs")
		profiler.stop()
		return hung_problems(profiler, hung) + [str(r) for r in profiler.slow() if r["pid"] == pid]


def hung_problems(profiler, pid):
	hung = [r for r in profiler.slow() if r["pid"] == pid and r["at_attach"]]
	if hung and hung[0]["coro"] in ("hang", None) and hung[0]["cause"] == "pipe":
		return []
	return [f"{pid} hangs in a pipe, reported is {hung}"]


def let_spawn(target, seconds=0):
	"""Leaves some time in which asyncprof would take who has its parent's memory for a child."""
	fifo = target.wait("spawns")["fifo"]
	time.sleep(seconds)
	open(fifo, "w").close()


def own_stalls(target, records, pid):
	facts = [f for f in target.facts("truth", "case") if f.get("pid") == pid]
	judged = judge.Judge(facts, records, target.offset, pid, THRESHOLD_NS)
	problems = [text for found in judged.judge().values() for text in found]
	if not judged.pairs:
		problems.append(f"no stall of {pid} was asked for: {facts}")
	return problems


def open_files(profiler):
	"""What asyncprof's descriptors lead to."""
	folder = f"/proc/{profiler.process.pid}/fd"
	links = []
	for name in os.listdir(folder):
		with contextlib.suppress(FileNotFoundError):
			links.append(os.readlink(f"{folder}/{name}"))
	return links


def files_alone(profiler):
	"""How many files are open once asyncprof holds only one process, the parent."""
	deadline = time.monotonic() + harness.HANG_S
	while sum("pidfd" in link for link in open_files(profiler)) != 1:
		if time.monotonic() > deadline:
			raise harness.Hang(f"processes that are gone are held: {open_files(profiler)}")
		time.sleep(0.05)
	return len(open_files(profiler))


def watch(results, interpreter):
	name = f"{interpreter['name']} -s"
	log = f"family.{interpreter['name']}"
	found = {}
	with harness.Target(interpreter, "family.py", log=log) as target:
		target.hello()
		hung = target.wait("hangs")["pid"]
		results.check(f"{name}: without it", asked_by_pid(target, hung))
		with harness.Profiler(target.pid, options=("-s",), log=log) as profiler:
			profiler.started()
			profiler.wait_slow(lambda r: r["pid"] == hung, "that it hangs")
			target.send("go")
			pool = []
			for number in range(2):
				pool.append(target.wait("pool")["pid"] if not number else pool[0])
				profiler.stream.wait(lambda r: joined(r, pool[0]), "that the pool is watched")
				target.send("on")
			let_spawn(target, SPAWN_S)
			target.send(HUNG)  # it goes on, and is a member as the others are
			for role in ROLES:
				found[role] = member(target, profiler, role)
			first = files_alone(profiler)
			for number in range(LATER):
				role = f"started later {number}"
				target.send(role)
				found[role] = member(target, profiler, role)
			last = files_alone(profiler)
			results.check(f"{name}: nothing is kept of who is gone",
				      [f"{first} files were open, now {last}"] if last > first else [])
			target.send("bye")
			code = target.finish()
			summary = profiler.finish()
		closed = profiler.closed()
		for role, (pid, record) in found.items():
			problems = own_stalls(target, [r for r in closed if not r["at_attach"]], pid)
			if record["type"] == "joined" and role != "started by a shell" and \
			   record["parent"] != target.pid:
				problems.append(f"its parent is {target.pid}: {record}")
			results.check(f"{name}: {role}", problems)
		results.check(f"{name}: {HUNG}: its hang", hung_problems(profiler, hung))
		strange = [r for r in profiler.slow() if r["pid"] in pool or
			   (r["pid"] not in (target.pid, hung) and r["coro"] != "own_stalls")]
		results.check(f"{name}: a parent's callback is not a child's", [str(r) for r in strange])
		known = {pid for pid, _ in found.values()} | set(pool)
		strange = [r for r in profiler.stream.items if r["type"] == "joined" and
			   r["target"]["pid"] not in known]
		results.check(f"{name}: who has its parent's memory is not watched", [str(r) for r in strange])
		problems = judge.account_problems(summary)
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()} {profiler.said()}")
		results.check(f"{name}: accounting", problems)


def wait_line(path, wanted, what):
	"""The first JSON line of a file that grows for which wanted(record)."""
	deadline = time.monotonic() + harness.HANG_S
	while time.monotonic() < deadline:
		if os.path.exists(path):
			with open(path) as file:
				lines = [line for line in file if line.endswith("\n")]
			for record in map(json.loads, lines):
				if wanted(record):
					return record
		time.sleep(0.01)
	raise harness.Hang(f"never came: {what}")


def launch(interpreter, where):
	"""A shell that starts Python: asyncprof's own child is none, what that starts is."""
	records = where + "/records"
	argv = ["env", "FAMILY_MEMBER=launched 0", "PYTHONPATH=" + harness.PROGRAMS, "sh", "-c",
		'"$@"; exit 7', "sh", interpreter["python"], "-u", "-B",
		os.path.join(harness.PROGRAMS, "family.py")]
	ours, theirs = socket.socketpair()  # as all target programs have it
	with ours, theirs, launched.Started(argv, ("-s", "-t", "20ms", "--json", "-o", records),
					    stdin=theirs) as started:
		ready = json.loads(started.read_until("ready").split("\n")[0])
		wait_line(records, lambda r: joined(r, ready["pid"]), "that it is watched")
		offset = time.time_ns() - time.monotonic_ns()
		ours.sendall(b"x")
		facts = [json.loads(line) for line in started.read_until(None).split("\n") if line]
		code = started.process.wait(harness.HANG_S)
		closed = [r for r in launched.read_records(records) if r["type"] == "slow" and not r["ongoing"]]
		judged = judge.Judge([f for f in facts if f["t"] in ("truth", "case")], closed, offset,
				     ready["pid"], THRESHOLD_NS)
		problems = [text for found in judged.judge().values() for text in found]
		if code != 7 or not judged.pairs:
			problems.append(f"exit code {code}, {len(judged.pairs)} stalls: {started.said()}")
	return problems


def record(interpreter, where, log):
	"""A recording says the same of who joined as the run did, and has their time."""
	live, apdb = where + "/live.ndjson", where + "/r.apdb"
	with harness.Target(interpreter, "family.py", log=log) as target:
		target.hello()
		recorder = subprocess.Popen([harness.ASYNCPROF, "record", "-q", "-s", "-p", str(target.pid),
					     "-t", "20ms", "-o", live, "-o", apdb])
		try:
			wait_line(live, lambda r: r["type"] == "start", "start")
			target.send("go")
			for _ in range(2):
				target.wait("pool")
				target.send("on")
			let_spawn(target)
			pid = target.wait("ready", role="started")["pid"]
			wait_line(live, lambda r: joined(r, pid), "that it is recorded")
			target.send("started")
			target.wait("over", role="started")
			target.send("bye")
			target.finish()
			code = recorder.wait(harness.HANG_S)
		finally:
			if recorder.poll() is None:
				recorder.kill()
				recorder.wait()
		slept = sum(f["b"] - f["a"] for f in target.facts("truth") if f["pid"] == pid)
	later = subprocess.run([harness.ASYNCPROF, "report", apdb, "-f", "ndjson"], capture_output=True,
			       text=True, timeout=harness.HANG_S)
	said = [[json.loads(line) for line in text.split("\n") if line]
		for text in (open(live).read(), later.stdout)]
	told = [[r for r in records if r["type"] == "joined"] for records in said]
	problems = [] if told[0] == told[1] else [f"joined live {told[0]}, in the recording {told[1]}"]
	for records in said:
		blocked = sum(r["ms"] for r in records if r["type"] == "stack" and r["pid"] == pid and
			      r["kind"] == "blocked" and r["coro"] and r["coro"].endswith("own_stalls"))
		# Not all of it: on a busy machine it comes late to sleep, and late back.
		if not 0 < blocked * 1e6 <= slept + judge.ROUND_NS:
			problems.append(f"{pid} slept {slept / 1e6} ms, recorded are {blocked}")
	if code or later.returncode:
		problems.append(f"exit codes {code}, {later.returncode}: {later.stderr}")
	return problems


def one(results, interpreter):
	name = f"{interpreter['name']} -s"
	if interpreter["name"] in BY_PID:
		with harness.Target(interpreter, "family.py", log=f"family.{interpreter['name']}") as target:
			target.hello()
			hung = target.wait("hangs")["pid"]
			results.check(f"{name}: without it", asked_by_pid(target, hung))
		return
	watch(results, interpreter)
	with tempfile.TemporaryDirectory() as where:
		results.check(f"{name}: of a program that asyncprof starts", launch(interpreter, where))
		results.check(f"{name}: in a recording",
			      record(interpreter, where, f"family.{interpreter['name']}.record"))


def run(results, interpreters):
	for interpreter in interpreters:
		if interpreter["name"] in WHOLE + BY_PID:
			try:
				one(results, interpreter)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} -s", str(hang))
