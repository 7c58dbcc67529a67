# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Injected causes: what is reported equals what happened, and a healthy twin stays unreported.

One attach an interpreter, to the program that stalls and to its twin. Prints the confusion matrix:
what was injected down, what was reported across.
"""
import harness
import helpers
import judge

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


def check_cause(truth, report, root):
	r, problems = report.record, []
	wanted = list(truth["cause"])
	if truth["run_delay"] > 0.4 * (truth["b"] - truth["a"]) or \
			(truth["run_delay"] > 0.8 * truth["on_cpu"] and "cpu" in wanted):
		wanted.append("runqueue")  # the machine's own doing: others were on its CPU
	if truth["run_delay"] > 0.4 * (truth["b"] - truth["a"]) and "throttled" not in wanted:
		wanted.append("runqueue")  # by the kernel's own account
	if r["cause"] not in wanted and not (truth.get("close") and set(wanted) & set(r["causes"])):
		problems.append(f"cause: wanted {'/'.join(wanted)}, got {r['cause']} of {r['causes']}: "
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
	if "holder" in truth and r["gil_holder"]:
		holder = r["gil_holder"]
		if holder["func"] not in (None, truth["holder"]):
			problems.append(f"gil holder: wanted {truth['holder']}, got {holder}")
		if truth.get("holder_tid") and holder["tid"] != truth["holder_tid"]:
			problems.append(f"gil holder: wanted {truth['holder_tid']}, got {holder}")
	return problems


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


def print_matrix(name, matrix):
	columns = sorted({reported for row in matrix.values() for reported in row})
	print(f"\n{name}: injected \\ reported")
	print(" " * 20 + " ".join(f"{column:>9}" for column in columns))
	for row, cells in matrix.items():
		print(f"{row:20}" + " ".join(f"{cells.get(column, '.'):>9}" for column in columns))
	print(flush=True)


def run_interpreter(results, interpreter):
	name = interpreter["name"]
	matrix = {}
	with harness.Target(interpreter, "causes.py", log=f"causes.{name}") as target, \
			harness.Target(interpreter, "healthy.py", cpu=harness.OTHER_CPU,
				       log=f"causes.{name}.twin") as twin, \
			helpers.Helpers(target) as helper:
		cases = target.hello()["cases"]
		twin.hello()
		with harness.Profiler(target.pid, twin.pid, log=f"causes.{name}") as profiler:
			profiler.started()
			twin.send("go")
			target.send("go")
			target.serve(helper)
			target.send("bye")
			twin.send("bye")
			code = target.finish()
			twin.wait("done")
			twin_code = twin.finish()
			summary = profiler.stop()
		results.check(f"{name} programs", [f"exit codes {code} {twin_code}: {target.said()} "
						   f"{twin.said()}"] if code or twin_code else [])
		facts = target.facts("truth", "may", "case", "skip")
		judged = judge.Judge(facts, profiler.closed(), target.offset, target.pid, THRESHOLD_NS)
		problems = judged.judge()
		for truth, report in judged.pairs:
			problems[truth["case"]] += check_cause(truth, report, interpreter["root"]) \
				+ check_budget(truth, report) \
				+ check_place(truth, report)
			row = f"{truth['case']}"
			cells = matrix.setdefault(row, {})
			cells[report.record["cause"]] = cells.get(report.record["cause"], 0) + 1
		for case in cases:
			if case in judged.skips:
				results.skip(f"{name} cause {case}", judged.skips[case])
			elif case not in problems:
				results.check(f"{name} cause {case}", "did not run")
			else:
				if not any(truth["case"] == case for truth, _ in judged.pairs):
					matrix[case] = {"(none)": 1}
				results.check(f"{name} cause {case}", problems.pop(case))
		results.check(f"{name} no false stalls", sum(problems.values(), []))
		results.check(f"{name} healthy twin", check_twin(twin, profiler, summary, twin.offset))
		results.check(f"{name} accounting", judge.account_problems(summary))
		for note in judged.notes:
			print(f"note {name} {note}")
	print_matrix(name, matrix)


def run(results, interpreters):
	for interpreter in interpreters:
		if interpreter["minor"] not in ("3.11", "3.13", "3.14", "3.15"):
			continue
		try:
			run_interpreter(results, interpreter)
		except harness.Hang as hang:
			results.check(f"{interpreter['name']} causes", str(hang))
