# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""When a callback begins and ends, on every interpreter that is here.

The cases that can share a process do, those that patch or end theirs have one each; all are
attached to at once and released one after the other. Only asyncio without its accelerator, where
one probe is missing, has an attach of its own.
"""
import os
import subprocess

import harness
import judge

THRESHOLD_NS = 20000000
TOGETHER = (None, "nested_same_loop", "greenlets", "frame_evaluation_hook", "exec_inside",
	    "thread_dies_inside")
HOOK = os.path.join(harness.BUILD, "eval_hook.so")


def build_hook():
	subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", HOOK,
			os.path.join(harness.PROGRAMS, "eval_hook.c"),
			"-Wl,--unresolved-symbols=ignore-all"], check=True)


def environment(case):
	more = {"EVAL_HOOK": HOOK}
	if case == "without_accelerator":
		more["NO_ASYNCIO_ACCELERATOR"] = "1"
	return more


def run_target(target, case):
	"""Release one target and let it run to its end; why it failed, or None."""
	target.send("go")
	if case == "exec_inside":
		target.wait("case", case=case)
		code = target.finish()
	else:
		target.wait("done")
		target.send("bye")
		code = target.finish()
	return None if code == 0 else f"the program ended with {code}: {target.said()[-600:]}"


def facts_of(target, case):
	facts = target.facts("truth", "silent", "iteration", "may", "signal", "case", "skip")
	for fact in facts:
		if case == "without_accelerator" and fact["t"] == "silent":
			fact["by_samples"] = True  # no _set_running_loop: samples end the last callback
		if case == "exec_inside" and fact["t"] == "case":
			fact["b"] += 10 ** 9
	return facts


def run_interpreter(results, interpreter, names, hits_min):
	name = interpreter["name"]
	targets = []
	failures = {}
	try:
		for case in names:
			targets.append(harness.Target(
				interpreter, "rule_r.py", *([case] if case else []), env=environment(case),
				log=f"rule_r.{name}.{case or 'main'}"))
		for target in targets:
			target.hello()
		with harness.Profiler(*[t.pid for t in targets], log=f"rule_r.{name}.{names[0] or 'all'}") as profiler:
			try:
				profiler.started()
			except harness.Hang as hang:
				profiler.stop()
				if profiler.code == 0:
					raise hang
				if profiler.code == 6:
					return results.skip(f"{name} rule R", profiler.said())
				return results.check(f"{name} rule R: attach", f"exit code {profiler.code}: "
						     + profiler.said())
			for case, target in zip(names, targets):
				try:
					failures[case] = run_target(target, case)
				except harness.Hang as hang:
					failures[case] = f"{hang}: {target.said()[-600:]}"
			summary = profiler.stop()
			code = profiler.code
		for case, target in zip(names, targets):
			if failures[case]:
				results.check(f"{name} {case or 'main'}: program", failures[case])
			report(results, name, target, case, profiler)
		problems = judge.account_problems(summary)
		if code:
			problems.append(f"exit code {code}: {profiler.said()}")
		if not summary or summary["accounting"]["hits"] < hits_min:
			problems.append(f"probes were not hit: {summary}")
		results.check(f"{name} {names[0] or 'all'}: accounting", problems)
	finally:
		for target in targets:
			target.close()


def report(results, name, target, case, profiler):
	judged = judge.Judge(facts_of(target, case), profiler.closed(), target.offset, target.pid,
			     THRESHOLD_NS)
	closed = {r["id"] for r in profiler.closed()}
	for record in profiler.slow():
		if record["pid"] == target.pid and record["id"] not in closed:
			judged.say(case or "(outside)", f"never closed: {record['id']} {record['coro']}")
			closed.add(record["id"])
	judged.judge()
	for truth, found in judged.pairs:
		budget = found.record["budget_ms"] or {}
		off = sum(judge.to_ns(budget.get(part)) or 0 for part in ("syscall", "runqueue"))
		if off < 0.95 * truth.get("asleep_ns", 0):
			judged.say(truth["case"], f"asleep for {truth['asleep_ns']} ns: {found.words()}")
	for wanted, problems in sorted(judged.problems.items(), key=lambda item: item[0]):
		if wanted in judged.skips:
			results.skip(f"{name} {wanted}", judged.skips[wanted])
		else:
			results.check(f"{name} {wanted}", problems)
	for note in judged.notes:
		print(f"note {name} {note}")


def run(results, interpreters):
	build_hook()
	for interpreter in interpreters:
		for names, hits_min in ((TOGETHER, 1000), (("without_accelerator",), 10)):
			if names != TOGETHER and interpreter["asyncio_built_in"]:
				results.skip(f"{interpreter['name']} {names[0]}", "its _asyncio is part of "
					     "the interpreter: no file tells that nothing imports it")
				continue
			try:
				run_interpreter(results, interpreter, names, hits_min)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} {names[0] or 'rule R'}", str(hang))
