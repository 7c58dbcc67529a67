# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Stalls that go on: reported while they last, closed under the same id once they are released.

Both those that begin under our eyes and those that hung long before we came.
"""
import os
import signal
import time

import harness
import judge

KINDS = {"asleep": ("socket", "recvfrom"), "burning": ("cpu", None)}


def release(target, kind):
	if kind == "asleep":
		target.commands.sendall(b"x")
	else:
		os.kill(target.pid, signal.SIGUSR1)


def schedstat(pid):
	"""(time on the CPU, time in the run queue) so far, by the kernel's own account."""
	with open(f"/proc/{pid}/schedstat") as file:
		on_cpu, delay = file.read().split()[:2]
	return int(on_cpu), int(delay)


def was_kept_waiting(pid, since=(0, 0)):
	"""Others had its CPU for about as long as itself: then that is the cause, whatever we did."""
	on_cpu, delay = schedstat(pid)
	return delay - since[1] > 0.6 * (on_cpu - since[0])


def check_open(record, kind, line, crowded):
	cause, syscall = KINDS[kind]
	problems = []
	if record["cause"] == "runqueue" and crowded:
		cause, syscall = "runqueue", None
	for field, wanted in (("kind", "task"), ("task", "stuck-" + kind), ("coro", "stuck_task"),
			      ("cause", cause), ("syscall", syscall), ("line", line)):
		if field == "syscall" and wanted is None:
			continue
		if record[field] != wanted:
			problems.append(f"{field}: wanted {wanted}, got {record[field]}")
	if not any(frame["line"] == line for frame in record["stack"]):
		problems.append(f"line {line} is not in the stack {record['stack'][:3]} "
				f"{record['stack_reason']}")
	return problems


def under_our_eyes(results, interpreter, kind):
	name = f"{interpreter['name']} {kind} for ever"
	log = f"ongoing.{interpreter['name']}.{kind}"
	with harness.Target(interpreter, "hangs.py", kind, log=log) as target:
		line = target.hello()["line"]
		with harness.Profiler(target.pid, log=log) as profiler:
			profiler.started()
			before = schedstat(target.pid)
			target.send("go")
			record = profiler.wait_slow(lambda r: r["ongoing"] and r["coro"] == "stuck_task",
						    "an ongoing record")
			crowded = was_kept_waiting(target.pid, before)
			problems = check_open(record, kind, line, crowded)
			if record["start_ts"] is None or record["duration_ms"] is None:
				problems.append(f"it began under our eyes: {record}")
			release(target, kind)
			target.wait("done")
			closed = profiler.wait_slow(lambda r: not r["ongoing"] and
						    r["id"] == record["id"], "the record that closes it")
			target.send("bye")
			code = target.finish()
			summary = profiler.stop()
		truth = target.facts("truth")[0]
		took = truth["b"] - truth["a"]
		if not took <= judge.to_ns(closed["duration_ms"]) + judge.ROUND_NS <= \
				truth["B"] - truth["A"] + 2 * judge.ROUND_NS:
			problems.append(f"took {took / 1e6:.3f} ms, reported {closed['duration_ms']}")
		if judge.to_ns(record["duration_ms"]) > truth["B"] - truth["A"]:
			problems.append("the open record says more than it lasted in the end")
		if code:
			problems.append(f"the program ended with {code}: {target.said()}")
		results.check(name, problems + check_open(closed, kind, line, crowded)
			      + judge.account_problems(summary))


def is_stuck(pid, kind):
	"""By the kernel's own word: in recvfrom (45 on x86-64), or burning the CPU for a while."""
	if kind == "asleep":
		with open(f"/proc/{pid}/syscall") as file:
			return file.read().startswith("45 ")
	with open(f"/proc/{pid}/schedstat") as file:
		return int(file.read().split()[0]) > 10 ** 9


def long_before(results, interpreter, kind):
	name = f"{interpreter['name']} {kind} since before attach"
	log = f"ongoing.{interpreter['name']}.{kind}.before"
	with harness.Target(interpreter, "hangs.py", kind, "before", log=log) as target:
		line = target.hello()["line"]
		deadline = time.monotonic() + harness.HANG_S
		while not is_stuck(target.pid, kind):
			if time.monotonic() > deadline:
				raise harness.Hang("the program does not hang")
			time.sleep(0.01)
		with harness.Profiler(target.pid, log=log) as profiler:
			profiler.started()
			record = profiler.wait_slow(lambda r: r["ongoing"], "an ongoing record")
			crowded = was_kept_waiting(target.pid)
			problems = check_open(record, kind, line, crowded)
			for field in ("start_ts", "duration_ms"):
				if record[field] is not None:
					problems.append(f"{field} can't be known: {record[field]}")
			if not record["at_attach"]:
				problems.append("at_attach is false")
			release(target, kind)
			target.wait("done")
			closed = profiler.wait_slow(lambda r: not r["ongoing"] and
						    r["id"] == record["id"], "the record that closes it")
			for field in ("start_ts", "duration_ms"):
				if closed[field] is not None:
					problems.append(f"closed: {field} can't be known: {closed[field]}")
			target.send("bye")
			target.finish()
			summary = profiler.stop()
		problems += judge.account_problems(summary)
		if summary and summary["accounting"]["open_at_attach"] != 1:
			problems.append(f"open_at_attach: {summary['accounting']}")
		results.check(name, problems)


def run(results, interpreters):
	for interpreter in interpreters:
		if interpreter["minor"] not in ("3.11", "3.13", "3.14", "3.15"):
			continue
		for kind in KINDS:
			for what in (under_our_eyes, long_before):
				try:
					what(results, interpreter, kind)
				except harness.Hang as hang:
					results.check(f"{interpreter['name']} {what.__name__} {kind}",
						      str(hang))
