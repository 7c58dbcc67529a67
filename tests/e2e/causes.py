# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Injected causes: what is reported equals what happened, and a healthy twin stays unreported.

One attach an interpreter, to the program that stalls, on asyncio and on uvloop, and to its twin.
Prints a confusion matrix for each loop.
"""
import contextlib
import io

import harness
import helpers
import judge
import matrix
import same

# One for each way to a cause: samples, a system call, its descriptor's peer and path, a futex, and
# who has the GIL. The others differ in what the kernel says, which no interpreter changes, or in
# what ran, of which rule_r has its own.
SIX = ("cpu_python", "sleep", "recv", "slow_read", "lock", "gil_held_by_c")
FULL = ("debian-3.11", "debian-3.13", "pyenv-3.11", "pyenv-3.13")	# stripped, and with symbols
FULL_IN_SOAK = ("pyenv-3.8", "debian-3.13")	# and the newest
SOAK_RUNS = 10
THRESHOLD_NS = 20000000
SHARE = 0.05		# measured parts of the budget: within 5 %, and `other` at most that
SUM_SHARE = 0.02


def near(got, wanted, slack):
	return abs(got - wanted) <= SHARE * wanted + slack


def check_budget(truth, report):
	budget, problems = report.record["budget_ms"], []
	if not budget:
		return ["no budget"]
	total = sum(value for value in budget.values() if value is not None)
	if abs(total - report.record["duration_ms"]) > SUM_SHARE * report.record["duration_ms"]:
		problems.append(f"budget sums to {total:.3f} of {report.record['duration_ms']:.3f} ms")
	if (budget["other"] or 0) > SHARE * report.record["duration_ms"]:
		problems.append(f"other is {budget['other']} of {report.record['duration_ms']} ms")
	slack = truth["B"] - truth["A"] - (truth["b"] - truth["a"]) if "B" in truth else 0
	for part, wanted in truth.get("parts", {}).items():
		got = judge.to_ns(budget[part]) or 0
		# What waits for more than the CPU may find that taken when it has it.
		taken = 0 if part in ("cpu", "runqueue") else truth["run_delay"]
		# What the hypervisor took is not told from the CPU yet: neither run nor queued, awake.
		if part == "cpu":
			taken = max(0, truth["b"] - truth["a"] - truth["on_cpu"] - truth["run_delay"])
		if not near(got, wanted, slack + taken + truth.get("slack_ns", 0)):
			problems.append(f"{part}: measured {wanted / 1e6:.2f} ms, reported {budget[part]}")
	return problems


def check_place(truth, report):
	"""File, line and stack: the marked line of the program's own source."""
	r, problems = report.record, []
	here = [f for f in r["stack"] if f["file"] == truth["file"] and f["line"] == truth["line"]]
	if not here:
		problems.append(f"line {truth['line']} is not in the stack: " + ", ".join(
			f"{f['func']}:{f['line']}" for f in r["stack"][:6]) + f" {r['stack_reason']}")
	if truth["leaf"] and (r["file"], r["line"]) != (truth["file"], truth["line"]):
		problems.append(f"wanted line {truth['line']}, got {r['file']}:{r['line']}")
	if len(r["stack"]) < truth.get("frames", 1):
		problems.append(f"{len(r['stack'])} frames, wanted {truth['frames']}")
	return problems


def verdict(truth, report):
	"""(what was injected, by us or the machine; what was reported, of a near tie the right one)."""
	r, wanted = report.record, list(truth["cause"])
	if truth["run_delay"] > 0.4 * (truth["b"] - truth["a"]) or \
			(truth["run_delay"] > 0.8 * truth["on_cpu"] and "cpu" in wanted):
		wanted.append("runqueue")  # the machine's own doing: others were on its CPU
	if truth["run_delay"] > 0.4 * (truth["b"] - truth["a"]) and "throttled" not in wanted:
		wanted.append("runqueue")  # by the kernel's own account
	said = r["causes"] if truth.get("close") else [r["cause"]]
	right = [cause for cause in wanted if cause in said]
	return (right[0], right[0]) if right else (wanted[0], r["cause"])


def check_cause(truth, report, root):
	r, problems = report.record, []
	injected, reported = verdict(truth, report)
	if reported != injected:
		problems.append(f"cause: wanted {injected}, got {reported} of {r['causes']}: "
				+ report.words())
	if r["cause"] not in r["causes"]:
		problems.append(f"cause {r['cause']} is not among causes {r['causes']}")
	if truth["syscall"] and r["syscall"] != truth["syscall"]:
		problems.append(f"syscall: wanted {truth['syscall']}, got {r['syscall']}")
	fd = r["fd"] or {}
	for field, key in (("num", "fd"), ("kind", "fd_kind"), ("peer", "peer")):
		if key in truth and fd.get(field) != truth[key]:
			problems.append(f"fd {field}: wanted {truth[key]}, got {r['fd']}")
	# A chrooted target's files have the host's path: the kernel walks up to the namespace's root.
	if "path" in truth and fd.get("path") not in (truth["path"], root + truth["path"]):
		problems.append(f"fd path: wanted {truth['path']}, got {r['fd']}")
	if "holder" in truth:
		holder = r["gil_holder"] or {}
		if "holder_tid" in truth and holder.get("tid", "none") != truth["holder_tid"]:
			problems.append(f"gil holder: wanted {truth['holder_tid']}, got {holder}")
		if holder and holder["func"] != truth["holder"]:
			problems.append(f"gil holder: wanted {truth['holder']}, got {holder}")
	return problems


def judge_cases(results, name, target, profiler, pid, root):
	"""A check for each case; returns what was judged, and the problems of no case."""
	judged = judge.Judge(target.facts("truth", "may", "case", "skip"), profiler.closed(),
			     target.offset, pid, THRESHOLD_NS)
	problems = judged.judge()
	for truth, report in judged.pairs:
		problems[truth["case"]] += check_budget(truth, report)
		if verdict(truth, report)[0] in truth["cause"]:
			problems[truth["case"]] += check_cause(truth, report, root) + \
				check_place(truth, report)
		else:
			print(f"note {name} {truth['case']}: the machine had its CPU: {report.words()}")
	injected = {truth["case"] for truth in judged.truths}
	for case in target.cases:
		if case in judged.skips:
			results.skip(f"{name} {case}", judged.skips[case])
		else:
			results.check(f"{name} {case}", problems.pop(case, []) if case in injected
				      else "it did not run")
	for note in judged.notes:
		print(f"note {name} {note}")
	return judged, sum(problems.values(), [])


def matrix_of(name, judged):
	made = matrix.Matrix(name)
	for truth, report in judged.pairs:
		made.add(*verdict(truth, report))
	for truth in judged.missed:
		made.add(truth["cause"][0], matrix.NOTHING)
	for report in judged.false:
		made.add(matrix.NOTHING, report.record["cause"])
	return made


def check_twin(twin, profiler, summary, offset):
	problems = []
	gaps = twin.facts("gap")
	for record in profiler.slow():
		if record["pid"] != twin.pid:
			continue
		report = judge.Report(record, offset)
		if not any(g["b"] - g["a"] >= THRESHOLD_NS // 2 and
			   report.overlap(g["a"], g["b"], report.hi) for g in gaps):
			problems.append("a healthy program was reported: " + report.words())
	loops = [loop for loop in (summary or {}).get("loops", []) if loop["pid"] == twin.pid]
	if not any((loop["iterations"] or 0) > 100 for loop in loops):
		problems.append(f"its loop was not seen to turn: {loops}")
	return problems


def run_interpreter(results, interpreter, cases):
	"""`cases`: on asyncio; none are all. Returns the confusion matrices."""
	name, matrices = interpreter["name"], []
	loops = [("asyncio", cases)] + [("uvloop", SIX)] * ("uvloop" in interpreter["modules"])
	with contextlib.ExitStack() as stack:
		targets = [stack.enter_context(harness.Target(
			interpreter, "causes.py", *wanted, env={"LOOP": loop},
			log=f"causes.{name}.{loop}")) for loop, wanted in loops]
		twin = stack.enter_context(harness.Target(interpreter, "healthy.py", cpu=harness.OTHER_CPU,
							  log=f"causes.{name}.twin"))
		for target in targets:
			target.cases = target.hello()["cases"]
		twin.hello()
		profiler = stack.enter_context(harness.Profiler(
			twin.pid, *(target.pid for target in targets), log=f"causes.{name}"))
		profiler.started()
		twin.send("go")
		for target in targets:
			target.send("go")
			with helpers.Helpers(target) as helper:
				target.serve(helper)
		for target in (*targets, twin):
			target.send("bye")
		codes = [target.finish() for target in (*targets, twin)]
		twin.wait("done")
		summary = profiler.stop()
		results.check(f"{name} programs", [f"exit codes {codes}: " + " ".join(
			target.said() for target in (*targets, twin))] if any(codes) else [])
		for (loop, _), target in zip(loops, targets):
			judged, left = judge_cases(results, f"{name} {loop}", target, profiler, target.pid,
						   interpreter["root"])
			matrices.append(matrix_of(f"{name} {loop}", judged))
			print(f"\n{matrices[-1]}\n", flush=True)
			results.check(f"{name} {loop} matrix", matrices[-1].problems() + left)
		results.check(f"{name} healthy twin", check_twin(twin, profiler, summary, twin.offset))
		results.check(f"{name} accounting", judge.account_problems(summary))
	return matrices


def run(results, interpreters):
	for interpreter in interpreters:
		name = interpreter["name"]
		try:
			run_interpreter(results, interpreter, () if name in FULL else SIX)
		except harness.Hang as hang:
			results.check(f"{name} causes", str(hang))
		for case in () if "uvloop" in interpreter["modules"] else (*SIX, "matrix"):
			results.skip(f"{name} uvloop {case}", f"{interpreter.get('why', 'no wheel')}; make "
				     "it reach PyPI, and run tests/interpreters.py again")


def soak(interpreters, around):
	"""Every case on the oldest, the other one that must be there, and the newest."""
	def once(interpreter):
		results = harness.Results()
		with contextlib.redirect_stdout(io.StringIO()) as said:
			matrices = run_interpreter(results, interpreter, ())
		if results.failed:
			print(said.getvalue())
		return results.failures, {"causes injected": sum(one.total for one in matrices),
					  "reported as such": sum(one.right for one in matrices),
					  "cases skipped": results.skipped}, []

	newest = max(interpreters, key=lambda one: int(one["minor"][2:]))
	return [same.Item(f"{interpreter['name']} causes", SOAK_RUNS, 1,
			  lambda which=interpreter: once(which))
		for interpreter in interpreters
		if interpreter["name"] in FULL_IN_SOAK or interpreter is newest]
