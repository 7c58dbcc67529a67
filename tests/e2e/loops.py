# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Several loops in one process: in threads, before and after attach, again and again.

Also a program that has no asyncio yet when we come, and a main thread that leaves.
"""
import harness
import judge

THRESHOLD_NS = 20000000


def attach_and_judge(results, interpreter, program, loops_min, before_start=None):
	name = f"{interpreter['name']} {program[:-3].replace('_', ' ')}"
	log = f"loops.{interpreter['name']}.{program[:-3]}"
	with harness.Target(interpreter, program, log=log) as target:
		target.hello()
		with harness.Profiler(target.pid, log=log) as profiler:
			if before_start:
				before_start(profiler, target)
			else:
				profiler.started()
				target.send("go")
			target.wait("done")
			target.send("bye")
			code = target.finish()
			summary = profiler.stop()
		judged = judge.Judge(target.facts("truth", "silent", "case"), profiler.closed(),
				     target.offset, target.pid, THRESHOLD_NS)
		for case, problems in judged.judge().items():
			results.check(f"{name}: {case}", problems)
		problems = judge.account_problems(summary)
		if code or profiler.code:
			problems.append(f"exit codes {code} {profiler.code}: {target.said()}"
					f"{profiler.said()}")
		turned = [loop["tid"] for loop in (summary or {}).get("loops", [])
			  if loop["iterations"]]
		if len(turned) < loops_min:
			problems.append(f"{len(turned)} loops were seen to turn, of {loops_min}: "
					f"{(summary or {}).get('loops')}")
		results.check(f"{name}: accounting", problems)


def no_asyncio_yet(profiler, target):
	"""Python without asyncio is no error: asyncprof waits, and says so."""
	profiler.wait_said("without asyncio yet")
	target.send("import")
	profiler.wait_said("has loaded asyncio")
	profiler.started()
	target.send("go")


def asyncio_built_in(profiler, target):
	"""Where _asyncio is part of the interpreter there is nothing to wait for."""
	profiler.started()
	target.send("import")
	target.wait("imported")
	target.send("go")


def main_thread_leaves(profiler, target):
	profiler.started()
	target.send("go")
	target.wait("gone")
	profiler.wait_said("they are back")
	target.send("run")


def run(results, interpreters):
	for interpreter in interpreters:
		if interpreter["minor"] not in ("3.11", "3.13", "3.14", "3.15"):
			continue
		later = asyncio_built_in if interpreter["asyncio_built_in"] else no_asyncio_yet
		for program, loops_min, before in (("many_loops.py", 12, None),
						   ("asyncio_later.py", 1, later),
						   ("main_thread_leaves.py", 1, main_thread_leaves)):
			try:
				attach_and_judge(results, interpreter, program, loops_min, before)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} {program}", str(hang))
