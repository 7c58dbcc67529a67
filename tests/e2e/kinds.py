# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Loops and tasks that are not asyncio's plain ones: each right, or refused by its name.

uvloop: the newest wheel on every interpreter, older ones and Debian's own builds, which link a
shared libuv, on those that have them.
"""
import os

import harness
import judge
import recordings

THRESHOLD_NS = 20000000
BORROWED = "something else than asyncio's _run_once runs its handles"
# Laid out as another one that runs these: 3.8, and Debian's 3.11 and 3.13.
SIBLINGS = ("pyenv-3.9", "pyenv-3.11", "pyenv-3.13")


def detail_problems(judged):
	"""What is named is what happened, unless the machine itself took the CPU away for long."""
	problems = []
	for truth, report in judged.pairs:
		if report.record["eager"] != truth.get("eager", False):
			problems.append(f"{truth['name']}: eager is {report.record['eager']}")
		case = judged.cases.get(truth["case"])
		lost = case["run_delay"] + case["steal"] if case else 0
		# Where a switch was missed, what it slept on is not known.
		lost += judge.to_ns((report.record["budget_ms"] or {}).get("other")) or 0
		if truth.get("cause") and report.record["cause"] != truth["cause"] and \
				lost < THRESHOLD_NS // 2:
			problems.append(f"{truth['name']}: cause {truth['cause']}, got {report.words()}")
	return problems


def attach_and_judge(results, interpreter, what, program, site="", env=None, options=(),
		     borrowed=False):
	name = f"{interpreter['name']} {what}"
	log = "kinds." + name.replace(" ", ".")
	if site:
		interpreter = dict(interpreter, site=site + ":" + interpreter["site"])
	with harness.Target(interpreter, program, log=log, env=env) as target:
		target.hello()
		with harness.Profiler(target.pid, log=log, options=options) as profiler:
			start = profiler.started()
			target.send("go")
			target.wait("done")
			if borrowed:
				profiler.wait_said(BORROWED)
			target.send("bye")
			code = target.finish()
			summary = profiler.stop()
		judged = judge.Judge(target.facts("truth", "silent", "iteration", "may", "signal", "case",
						  "skip"),
				     profiler.closed(), target.offset, target.pid, THRESHOLD_NS)
		for case, problems in judged.judge().items():
			if case in judged.skips:
				results.skip(f"{name}: {case}", judged.skips[case])
				continue
			if judged.cases.get(case, {}).get("failed"):
				problems.append("the program: " + judged.cases[case]["failed"])
			results.check(f"{name}: {case}", problems)
		for note in judged.notes:
			print(f"note {name} {note}")
		results.check(f"{name}: causes and details", detail_problems(judged))
		problems = judge.account_problems(summary)
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()}"
					f"{profiler.said()}")
		if not summary or not summary["accounting"]["closed"]:
			problems.append(f"nothing was seen: {summary}")
		if (BORROWED in profiler.said()) != borrowed or BORROWED in str(start["degraded"]):
			problems.append(f"whose loop it is: {start['degraded']} {profiler.said()}")
		results.check(f"{name}: accounting", problems)
		return start


def foreign_before(results, interpreter):
	"""A loop like qasync's that runs when we come: how far it can be seen stands in `degraded`."""
	log = f"kinds.{interpreter['name']}.foreign"
	with harness.Target(interpreter, "foreign_loop.py", log=log) as target:
		target.hello()
		with harness.Profiler(target.pid, log=log) as profiler:
			start = profiler.started()
			target.send("go")
			profiler.wait_slow(lambda r: r["task"] == "foreign", "a stall of its task")
			target.send("bye")
			code = target.finish()
			problems = judge.account_problems(profiler.stop())
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()}")
		if BORROWED not in str(start["degraded"]) or BORROWED in profiler.said():
			problems.append(f"not told once: {start['degraded']} {profiler.said()}")
	results.check(f"{interpreter['name']} foreign loop that runs before", problems)


def recorded(results, interpreter):
	"""A recording of uvloop: time under its task, and its own poll is idle time, not a wait."""
	name = f"{interpreter['name']} uvloop recorded"
	path = os.path.join(harness.LOGS, "kinds.folded")
	live = os.path.join(harness.LOGS, "kinds.ndjson")
	for old in (path, live):
		if os.path.exists(old):  # an earlier run's would look like this one's
			os.unlink(old)
	with harness.Target(interpreter, "uvloop_cases.py", "steps", log="kinds.recorded") as target:
		target.hello()
		with recordings.Recording(target.pid, outputs=[live, path],
					  options=["--idle"]) as recording:
			recording.started()
			target.send("go")
			target.wait("done")
			target.send("bye")
			codes = target.finish(), recording.finish()
			problems = [f"exit codes {codes}: {target.said()} {recording.said()}"] \
				if any(codes) else []
	if problems:
		return results.check(name, problems)
	with open(path) as file:
		lines = [line.rsplit(" ", 1) for line in file]
	for who in ("coro steps.<locals>.main", "task named"):
		slept = sum(int(us) for stack, us in lines if f";{who};" in stack
			    and stack.endswith(("clock_nanosleep", "switches were missed")))
		if slept < 40000:
			problems.append(f"{who} slept for {slept} us: {lines}")
	if any("epoll" in stack for stack, _ in lines):
		problems.append(f"the loop's poll is no wait: {lines}")
	if not any(stack.endswith(";idle") for stack, _ in lines):
		problems.append(f"it was never idle: {lines}")
	return results.check(name, problems)


def hung_before(results, interpreter, where, kind, name):
	"""One that hangs when we come is named by its frames, and over when it is over."""
	log = f"kinds.{interpreter['name']}.hangs.{where}"
	problems = []
	with harness.Target(interpreter, "uvloop_hangs.py", where, log=log) as target:
		target.hello()
		with harness.Profiler(target.pid, log=log) as profiler:
			profiler.started()
			profiler.wait_slow(lambda r: r["ongoing"] and r["at_attach"], "the hang")
			target.send("go")
			closed = profiler.wait_slow(lambda r: not r["ongoing"] and r["at_attach"],
						    "its end")
			target.wait("done")
			target.send("bye")
			code = target.finish()
			summary = profiler.stop()
		problems = judge.account_problems(summary)
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()}")
	who = closed["coro"] if kind == "task" else closed["callback"]
	if (closed["kind"], who, closed["cause"]) != (kind, name, "socket"):
		problems.append(f"wanted {kind} {name} socket: {closed}")
	if closed["duration_ms"] is not None or closed["start_ts"] is not None:
		problems.append(f"its start is not known: {closed}")
	results.check(f"{interpreter['name']} uvloop hung before, in a {where}", problems)


def imported_later(results, interpreter):
	log = f"kinds.{interpreter['name']}.later"
	with harness.Target(interpreter, "uvloop_later.py", log=log) as target:
		target.hello()
		with harness.Profiler(target.pid, log=log) as profiler:
			profiler.started()
			target.send("go")
			profiler.wait_said("has loaded uvloop")
			profiler.wait_slow(lambda r: r["task"] == "later" and r["cause"] == "sleep",
					   "a stall of uvloop's")
			target.send("bye")
			code = target.finish()
			problems = judge.account_problems(profiler.stop())
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()}")
	results.check(f"{interpreter['name']} uvloop imported later", problems)


def uvloops(interpreter):
	"""(words, folder of modules, environment) of each build of uvloop that it has."""
	found = [("uvloop", "", {})] if "uvloop" in interpreter["modules"] else []
	return found + [(f"uvloop {one['version']}", one["site"], one["env"])
			for one in interpreter["uvloops"]]


def run(results, interpreters):
	for interpreter in interpreters:
		if interpreter["name"] in SIBLINGS:
			continue
		try:
			attach_and_judge(results, interpreter, "tasks", "task_cases.py", borrowed=True)
			if interpreter["name"] in ("debian-3.11", "debian-3.13"):
				foreign_before(results, interpreter)
		except harness.Hang as hang:
			results.check(f"{interpreter['name']} tasks", str(hang))
		if "uvloop" not in interpreter["modules"]:
			results.skip(f"{interpreter['name']} uvloop",
				     f"{interpreter.get('why', 'no wheel')}; make it reach PyPI, and run "
				     "tests/interpreters.py again")
		for one in interpreter["no_uvloops"]:
			results.skip(f"{interpreter['name']} uvloop {one['version']}", one["why"])
		for words, site, env in uvloops(interpreter):
			try:
				attach_and_judge(results, interpreter, words, "uvloop_cases.py", site, env)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} {words}", str(hang))
		if interpreter["name"] in ("debian-3.11", "debian-3.13") and \
				"uvloop" in interpreter["modules"]:
			try:
				recorded(results, interpreter)
				hung_before(results, interpreter, "task", "task", "in_task")
				hung_before(results, interpreter, "callback", "callback", "hang")
				imported_later(results, interpreter)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} uvloop recorded, hung or late", str(hang))
