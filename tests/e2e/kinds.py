# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Loops and tasks that are not asyncio's plain ones: each right, or refused by its name.

uvloop: the newest wheel on every interpreter, older ones and Debian's own builds, which link a
shared libuv, on those that have them.
"""
import harness
import judge

THRESHOLD_NS = 20000000


def cause_problems(judged):
	"""What is named is what happened, unless the machine itself took the CPU away for long."""
	problems = []
	for truth, report in judged.pairs:
		case = judged.cases.get(truth["case"])
		lost = case["run_delay"] + case["steal"] if case else 0
		if truth.get("cause") and report.record["cause"] != truth["cause"] and \
				lost < THRESHOLD_NS // 2:
			problems.append(f"{truth['name']}: cause {truth['cause']}, got {report.words()}")
	return problems


def attach_and_judge(results, interpreter, what, program, site="", env=None, options=()):
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
		results.check(f"{name}: causes", cause_problems(judged))
		problems = judge.account_problems(summary)
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()}"
					f"{profiler.said()}")
		if not summary or not summary["accounting"]["closed"]:
			problems.append(f"nothing was seen: {summary}")
		results.check(f"{name}: accounting", problems)
		return start


def uvloops(interpreter):
	"""(words, folder of modules, environment) of each build of uvloop that it has."""
	found = [("uvloop", "", {})] if "uvloop" in interpreter["modules"] else []
	return found + [(f"uvloop {one['version']}", one["site"], one["env"])
			for one in interpreter["uvloops"]]


def run(results, interpreters):
	for interpreter in interpreters:
		for one in interpreter["no_uvloops"]:
			results.skip(f"{interpreter['name']} uvloop {one['version']}", one["why"])
		for words, site, env in uvloops(interpreter):
			try:
				attach_and_judge(results, interpreter, words, "uvloop_cases.py", site, env)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} {words}", str(hang))
