# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Recordings: what they say of a program equals what the program counted itself, in every format.

The program (programs/record.py) knows of each piece of work its wall time, its CPU time and how
long it could not run. Asleep it was for the rest; the reported time must lie between that, less
5 %, and the whole. Time on the CPU is sampled, so its bracket is what chance allows, see
chance_ns(). It must never ask for more than that.
"""
import json
import math
import os
import re
import subprocess
import sys
import time

import harness
import judge
import ongoing
import output
import record_files
import record_names
import recordings
from recordings import line_of, query, read_folded, rendered, total, of_label

SHARE = 0.05
CLOCKS = ("wall", "cpu", "blocked")
BYS = ("task", "coroutine", "function")
LIBRARY = os.path.join(harness.BUILD, "record_native.so")


def chance_ns(facts, period_ns):
	"""By how much samples may be off, beyond 5 % and two ticks.

	A tick comes every `period` on the CPU, whoever runs there. A burst of work that is as long
	as L ticks is met by floor(L) or ceil(L) of them, with the right mean if its start has nothing
	to do with the tick: a variance of at most a quarter of a period squared, for each burst. Where
	others ran in between, as the program counts and times it, ticks fall into those gaps: a
	quarter for each gap again, or, when they are short, as many periods as they are long in all.
	Never is it more than cpu/period, that of bursts which are met or not. Five deviations are
	passed by chance in one of 1.7 million comparisons.
	"""
	cpu = sum(fact["cpu"] for fact in facts)
	bursts = sum(fact.get("bursts", 1) for fact in facts)
	gaps = min(sum(fact["switches"] for fact in facts) / 4,
		   sum(fact["delay"] for fact in facts) / period_ns)
	return SHARE * cpu + 2 * period_ns + \
		5 * period_ns * math.sqrt(min(bursts / 4 + gaps, cpu / period_ns))


def python_leaf(entry):
	return next((frame for frame in entry["stack"] if frame["kind"] == "python"), None)


def is_at(entry, mark):
	leaf = python_leaf(entry)
	if mark is None:
		return leaf is None
	return leaf is not None and (leaf["file"], leaf["line"]) == (recordings.PROGRAM, line_of(mark))


def sum_ns(entries, *kinds):
	return round(sum(entry["ms"] for entry in entries if not kinds or entry["kind"] in kinds) * 1e6)


def outside(what, got, low, high):
	if low <= got <= high:
		return []
	return [f"{what}: {got / 1e6:.2f} ms, the truth is {low / 1e6:.2f} to {high / 1e6:.2f}"]


class Run:
	"""What one run of the program said of itself, and all that was recorded of it."""

	def __init__(self, interpreter, where, facts):
		self.apdb = os.path.join(where, "r.apdb")
		self.where, self.facts = where, facts
		with open(os.path.join(where, "live.ndjson")) as file:
			self.live = file.read()
		self.lines = recordings.read_lines(self.live)
		self.stacks = self.lines["stack"]
		self.period_ns = query(self.apdb, "SELECT period_ns FROM run")[0][0]
		self.loop = next(fact for fact in facts if fact["task"] == "(loop)")
		self.groups = {}	# (who, mark): its facts
		for fact in facts:
			if fact is not self.loop:
				who = fact["task"] or fact.get("callback") or fact["coro"]
				self.groups.setdefault((who, fact["at"]), []).append(fact)

	def of(self, who, tid):
		"""Stacks of a task, a callback, an unnamed coroutine; of the job all of its thread."""
		if who == "(job)":
			return [e for e in self.stacks if e["tid"] == tid and "job" in
				[frame["func"] for frame in e["stack"]]]
		return [e for e in self.stacks if (e["task"] or e["callback"] or e["coro"]) == who]


def check_cpu(run):
	problems = []
	for (who, mark), facts in run.groups.items():
		if facts[0]["cause"] != "cpu":
			continue
		mine = run.of(who, facts[0]["tid"])
		sampled = [entry for entry in mine if entry["kind"] == "cpu"]
		cpu, chance = sum(fact["cpu"] for fact in facts), chance_ns(facts, run.period_ns)
		problems += outside(f"{who} on CPU", sum_ns(sampled), cpu - chance, cpu + chance)
		lines = {}
		for entry in sampled:
			leaf = python_leaf(entry)
			place = leaf and (leaf["file"], leaf["line"])
			lines[place] = lines.get(place, 0) + entry["ms"]
		heaviest = max(lines, key=lines.get, default=None)
		if heaviest != (recordings.PROGRAM, line_of(mark)):
			problems.append(f"{who}: the heaviest line is {heaviest}, not {line_of(mark)}")
		if any(entry["cause"] != "cpu" or not entry["sampled"] for entry in sampled):
			problems.append(f"{who}: time on CPU has another cause, or is not called sampled")
	return problems


def check_asleep(run):
	problems = []
	for (who, mark), facts in run.groups.items():
		if facts[0]["cause"] == "cpu":
			continue
		mine = [e for e in run.of(who, facts[0]["tid"]) if e["kind"] == "blocked" and is_at(e, mark)]
		wall = sum(fact["wall"] for fact in facts)
		asleep = wall - sum(fact["cpu"] + fact["delay"] for fact in facts)
		problems += outside(f"{who} asleep at {mark}", sum_ns(mine), (1 - SHARE) * asleep, wall)
		# The GIL is what a call may wait for as well, after what it called for.
		causes = {}
		for entry in mine:
			causes[entry["cause"]] = causes.get(entry["cause"], 0) + entry["ms"]
		if max(causes, key=causes.get, default=None) != facts[0]["cause"] or \
				set(causes) - {facts[0]["cause"], "gil"}:
			problems.append(f"{who}: causes {causes}, not {facts[0]['cause']}")
		if any(entry["sampled"] for entry in mine):
			problems.append(f"{who}: a measured wait is called sampled")
	return problems


def check_runnable(run):
	"""Time without a CPU, as the kernel counted it while the program counted."""
	problems = []
	for (who, mark), facts in run.groups.items():
		if who == "tiny" or mark is None:
			continue
		mine = [e for e in run.of(who, facts[0]["tid"]) if e["kind"] == "runqueue"]
		delay = sum(fact["delay"] for fact in facts)
		problems += outside(f"{who} runnable at {mark}", sum_ns([e for e in mine if is_at(e, mark)]),
				    0, (1 + SHARE) * delay)
		whole = sum(fact["delay"] for (other, _), facts in run.groups.items() if other == who
			    for fact in facts)
		problems += outside(f"{who} runnable", sum_ns(mine), (1 - SHARE) * whole, float("inf"))
	return problems


def check_loop(run):
	"""All of the loop's busy time and nothing else: on CPU, asleep, runnable; idle apart."""
	loop = run.loop
	mine = [e for e in run.stacks if e["tid"] == loop["tid"] and e["loop"]]
	busy = loop["wall"] - loop["select_wall"]
	# It is asleep once in each fact and in each poll.
	chance = chance_ns([dict(loop, bursts=loop["selects"] + len(run.facts))], run.period_ns)
	asleep = loop["select_wall"] - loop["select_cpu"] - loop["select_delay"]
	problems = outside("busy", sum_ns(mine, "cpu", "blocked", "runqueue"),
			   (1 - SHARE) * busy - chance,
			   (1 + SHARE) * (busy + loop["select_delay"]) + chance)
	problems += outside("idle", sum_ns(mine, "idle"), (1 - SHARE) * asleep, loop["select_wall"])
	account = query(run.apdb, "SELECT busy_ns, idle_ns - queued_ns FROM accounts JOIN loops ON "
			"loops.id = accounts.loop WHERE tid = ?", loop["tid"])[0]
	problems += outside("busy by the account", account[0], (1 - SHARE) * busy,
			    loop["wall"] - (1 - SHARE) * (loop["select_wall"] - loop["select_cpu"]))
	problems += outside("idle, of the account", sum_ns(mine, "idle"), account[1], account[1])
	if any(e["stack"] or e["task"] for e in mine if e["kind"] == "idle"):
		problems.append("the loop at rest has a stack or a task")
	return problems


def check_chain(run):
	"""The await chain, from the task's coroutine down to the leaf."""
	entry = max((e for e in run.of("chain", 0) if e["kind"] == "cpu"), key=lambda e: e["ms"])
	frames = [(f["func"], f["file"], f["line"]) for f in reversed(entry["stack"])]
	wanted = [(func, recordings.PROGRAM, line_of(mark)) for func, mark in (
		("chain_a", "a"), ("chain_b", "b"), ("chain_c", "c"), ("chain_leaf", "chain"))]
	problems = [] if frames == wanted else [f"got {frames}, wanted {wanted}"]
	if (entry["what"], entry["coro"]) != ("task", "chain_a"):
		problems.append(f"{entry['what']} {entry['coro']}")
	return problems


def check_deep(run):
	"""200 frames: 128 from the leaf on are there, and it says that they are not all."""
	# On its way down or up it may be met as well, but not for long.
	entry = max(run.of("deep", 0), key=lambda e: e["ms"])
	python = [frame for frame in entry["stack"] if frame["kind"] == "python"]
	problems = []
	if len(python) != 128 or python[0]["line"] != line_of("bottom") or \
			{frame["func"] for frame in python} != {"descend"}:
		problems.append(f"{len(python)} frames, {python[0]} to {python[-1]}")
	cut = query(run.apdb, "SELECT sum(cnt) FROM samples JOIN points ON points.id = samples.point JOIN "
		    "tasks ON tasks.id = points.task WHERE cut AND tasks.task = 'deep' AND points.kind = 'cpu'")
	if not cut[0][0]:
		problems.append("the recording does not call it cut")
	with open(os.path.join(run.where, "a.svg")) as file:
		if " not whole" not in file.read():
			problems.append("the picture does not say that stacks are not whole")
	return problems


def check_unnamed(run):
	problems = []
	rows = query(run.apdb, "SELECT task, unnamed, coro FROM tasks WHERE coro = 'tiny'")
	if rows != [(None, 1, "tiny")]:
		problems.append(f"rows of unnamed tasks: {rows}")
	labels = {label for stack, _ in read_folded(rendered(run.apdb, "folded")) for label in stack}
	for name in ("coro tiny", "task chain", "task second", "callback plain_callback",
		     "callback sleep"):
		if name not in labels:
			problems.append(f"no {name!r}")
	for name in [one for one in labels if re.match(r"task Task-\d|coro chain_a|task tiny", one)]:
		problems.append(f"{name!r}")
	return problems


def check_views(run):
	"""One recording, rendered in all ways: each piece of time once, wherever it stands."""
	problems, folded = [], {}
	for clock in CLOCKS:
		for by in BYS:
			folded[clock, by] = read_folded(rendered(run.apdb, "folded", "--clock", clock,
								 "--by", by))
	loops = [e for e in run.stacks if e["loop"]]
	for clock, kinds in (("wall", ("cpu", "blocked", "runqueue")), ("cpu", ("cpu",)),
			     ("blocked", ("blocked", "runqueue"))):
		wanted = sum_ns(loops, *kinds) / 1000
		for by in BYS:
			rows = folded[clock, by]
			# A line is less than a microsecond off.
			if abs(total(rows) - wanted) > len(rows) + 1:
				problems.append(f"{clock} by {by}: {total(rows)} us, not {wanted:.0f}")
	for clock, who in (("wall", "stepper"), ("cpu", "stepper"), ("blocked", "sleeper")):
		named = of_label(folded[clock, "task"], f"task {who}")
		coro = of_label(folded[clock, "coroutine"], f"coro {who}")
		lines = len(folded[clock, "task"]) + len(folded[clock, "function"])
		if abs(named - coro) > lines or not named:
			problems.append(f"{clock}: task {who} has {named} us, its coroutine {coro}")
		for by, absent in (("coroutine", f"task {who}"), ("function", f"task {who}"),
				   ("function", f"coro {who}")):
			if of_label(folded[clock, by], absent):
				problems.append(f"{clock} by {by} has {absent!r}")
	if of_label(folded["cpu", "task"], "task locker") > of_label(folded["blocked", "task"],
								     "task locker"):
		problems.append("a task that waits has more time on CPU")
	idle = read_folded(rendered(run.apdb, "folded", "--idle"))
	wanted = sum_ns(loops, "idle") / 1000
	got = total(idle) - total(folded["wall", "task"])
	if abs(got - wanted) > len(idle) * 2 or abs(of_label(idle, "idle") - wanted) > len(idle):
		problems.append(f"--idle adds {got} us, {of_label(idle, 'idle')} of it idle: "
				f"not {wanted:.0f}")
	if of_label(folded["wall", "task"], "idle"):
		problems.append("idle time without --idle")
	return problems


def check_threads(run):
	"""--threads adds the threads without a loop, and the executor's wait for work is no work."""
	job = run.groups["(job)", "burn"][0]["tid"]
	mine = [e for e in run.stacks if e["tid"] == job]
	problems = []
	if not mine or any(e["loop"] or e["task"] or e["coro"] for e in mine):
		problems.append("an executor's thread has a loop or a task")
	for entry in mine:
		leaf = python_leaf(entry)
		if (entry["kind"] == "idle") != bool(entry["kind"] in ("idle", "blocked") and leaf and
						     leaf["func"] == "_worker"):
			problems.append(f"{entry['kind']} in {leaf}")
	if not sum_ns(mine, "idle"):
		problems.append("its wait for work is missing")
	other = run.groups["second", "burn"][0]["tid"]
	loops = {(e["tid"], e["loop"]) for e in run.of("second", other)}
	if len(loops) != 1 or loops & {(e["tid"], e["loop"]) for e in run.of("chain", other)} or \
			{tid for tid, _ in loops} != {other}:
		problems.append(f"the second loop, of thread {other}: {loops}")
	problems += [f"a loop that never turned: {one}" for one in run.lines["summary"][0]["loops"]
		     if not one["iterations"]]
	without = read_folded(rendered(run.apdb, "folded"))
	threads = read_folded(rendered(run.apdb, "folded", "--threads"))
	plain = sum_ns([e for e in run.stacks if not e["loop"]], "cpu", "blocked", "runqueue") / 1000
	if abs(total(threads) - total(without) - plain) > len(threads) + len(without):
		problems.append(f"--threads adds {total(threads) - total(without)} us, not {plain:.0f}")
	return problems


def check_sql(run):
	"""Anyone's SQL finds the same."""
	problems = []
	rows = dict(query(run.apdb, "SELECT kind, sum(ns) FROM samples JOIN points ON "
			  "points.id = samples.point GROUP BY kind"))
	for kind in ("cpu", "blocked", "runqueue", "idle"):
		lines = sum_ns([e for e in run.stacks if e["kind"] == kind])
		if abs(lines - rows.get(kind, 0)) > 1000:
			problems.append(f"{kind}: {rows.get(kind)} ns by SQL, {lines} in the JSON lines")
	top = query(run.apdb, "SELECT func, frames.line FROM samples JOIN points ON points.id = samples.point "
		    "JOIN tasks ON tasks.id = points.task JOIN stacks ON stacks.id = points.stack JOIN "
		    "frames ON frames.id = stacks.frame WHERE tasks.task = 'chain' "
		    "AND points.kind = 'cpu' GROUP BY 1, 2 ORDER BY sum(ns) DESC")[0]
	if top != ("chain_leaf", line_of("chain")):
		problems.append(f"the heaviest leaf is {top}")
	state = query(run.apdb, "SELECT state, lost FROM about")
	if state != [("complete", 0)]:
		problems.append(f"{state}")
	if query(run.apdb, "PRAGMA integrity_check") != [("ok",)]:
		problems.append("no whole database")
	return problems


def check_later(run):
	"""What the run wrote, and what `report` makes of its recording."""
	problems = []
	later = rendered(run.apdb, "ndjson")
	closed = {record["id"] for record in run.lines["slow"] if not record["ongoing"]}
	wanted = [line for line in run.live.splitlines()
		  if not ('"ongoing":true' in line and json.loads(line)["id"] in closed)]
	if wanted != later.splitlines():
		first = next((pair for pair in zip(wanted, later.splitlines()) if pair[0] != pair[1]),
			     f"{len(wanted)} lines and {len(later.splitlines())}")
		problems.append(f"JSON lines differ: {first}")
	for suffix in recordings.FORMATS:
		made, again = (os.path.join(run.where, name + suffix) for name in ("a.", "b."))
		done = recordings.asyncprof("report", run.apdb, "-o", again, "--threads")
		if done.returncode or recordings.unpacked(made) != recordings.unpacked(again):
			problems.append(f"{suffix} differs: {done.stderr}")
	return problems


def check_text(run):
	"""`report` alone prints what watch would have."""
	text = rendered(run.apdb, "text")
	problems = output.lacks(text, r"^watching \d+", r"^\d\d:\d\d:\d\d stall [\d.]+ m?s  task 'chain' ",
				r"^    chain_leaf +programs/record\.py:%d$" % line_of("chain"),
				r"^        while clock\(\) < end: pass", r"  blocked: flock$")
	problems += output.summary_problems(text) + output.too_wide(text.splitlines())
	stalls = {(record["task"], record["coro"]) for record in run.lines["slow"] if record["task"]}
	return problems + [f"no stall of {task}" for task, coro in stalls
			   if f"task '{task}' {coro}()" not in text]


def check_said(run, said):
	problems = [f"no word of {suffix}: {said}" for suffix in recordings.FORMATS + ("apdb",)
		    if not re.search(r"^asyncprof: wrote \S*\.%s; ." % re.escape(suffix), said, re.M)]
	found = re.search(r"^asyncprof: recorded [\d.]+ s, \d+ samples and waits, (\d+) stalls?, 0 lost$",
			  said, re.M)
	stalls = len([one for one in run.lines["slow"] if not one["ongoing"]])
	if not found or int(found[1]) != stalls:
		problems.append(f"{stalls} stalls: {said}")
	if "\x1b" in said or "\r" in said:
		problems.append(f"a progress line without a terminal: {said!r}")
	return problems


def clients(results, run):
	"""Each format in the hands of the program that people open it with."""
	truth = {"clock": "wall", "threads": True, "heaviest": {"cpu": "burn"},
		 "stacks": [["chain_a", "chain_b", "chain_c", "chain_leaf"]],
		 "tasks": ["chain", "stepper", "sleeper", "second", "file locker"],
		 "sums_ns": {}}
	kinds = {"wall": ("cpu", "blocked", "runqueue"), "cpu": ("cpu",), "blocked": ("blocked", "runqueue")}
	for clock, wanted in kinds.items():
		truth["sums_ns"][clock] = [sum_ns(run.stacks, *wanted)] * 2
	where = os.path.join(run.where, "clients")
	os.makedirs(where)
	with open(os.path.join(where, "run.truth.json"), "w") as file:
		json.dump(truth, file)
	for suffix in ("folded", "speedscope.json", "pprof"):
		os.link(os.path.join(run.where, "a." + suffix), os.path.join(where, "run." + suffix))
	os.link(run.apdb, os.path.join(where, "run.apdb"))
	os.link(os.path.join(run.where, "live.ndjson"), os.path.join(where, "run.ndjson"))
	call_clients(results, "formats", where)
	call_clients(results, "pictures", os.path.join(run.where, "a.svg"),
		     os.path.join(run.where, "a.html"))


def call_clients(results, name, *args):
	"""Run tests/clients/NAME.py; what it counts is ours as well."""
	path = os.path.join(harness.ROOT, "tests", "clients", name + ".py")
	done = subprocess.run([sys.executable, path, *args], stdout=subprocess.PIPE,
			      stderr=subprocess.STDOUT, text=True, errors="replace")
	count = re.search(rf"^{name}: (\d+) passed, (\d+) failed, (\d+) skipped$", done.stdout, re.M)
	for line in done.stdout.splitlines():
		found = re.match(r"(ok|FAIL|skip) +(.*)$", line)
		if found and found[1] == "skip":
			results.skip(f"record: {name}", found[2])
		elif found:
			results.check(f"record: {name}: {found[2]}", [] if found[1] == "ok" else
				      "see above")
	if not count or (int(count[2]) > 0) != (done.returncode != 0):
		results.check(f"record: {name}", f"exit {done.returncode}: {done.stdout[-2000:]}")


def truth(results, interpreter):
	name = interpreter["name"]
	where = recordings.folder(name)
	outputs = ["live.ndjson", "r.apdb"] + ["a." + suffix for suffix in recordings.FORMATS]
	facts, said = recordings.record(interpreter, "all", where, outputs, ["--threads"])
	run = Run(interpreter, where, facts)
	for check, words in (
			(check_cpu, "time on CPU, and the line that burned it"),
			(check_asleep, "time asleep, by line and cause"),
			(check_runnable, "time without a CPU"),
			(check_loop, "busy and idle time of the loop"),
			(check_chain, "the await chain from root to leaf"),
			(check_deep, "a stack that is too deep"),
			(check_unnamed, "unnamed tasks are one, named ones are not"),
			(check_views, "by task, coroutine, function; wall, cpu, blocked; idle"),
			(check_threads, "threads"),
			(check_sql, "the same by SQL"),
			(check_later, "live equals later"),
			(check_text, "the report as text")):
		results.check(f"record {name}: {words}", check(run))
	results.check(f"record {name}: what it says", check_said(run, said))
	results.check(f"record {name}: accounting",
		      judge.account_problems((run.lines["summary"] or [None])[0]))
	return run


def native(results, interpreter):
	"""Frames of C code and of the kernel."""
	name = interpreter["name"]
	where = recordings.folder(name, "native")
	subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-fomit-frame-pointer", "-o", LIBRARY,
			os.path.join(harness.PROGRAMS, "record_native.c")], check=True)
	recordings.record(interpreter, "native", where, ["live.ndjson", "r.apdb"],
			  ["--native", "--kernel"], [LIBRARY])
	with open(os.path.join(where, "live.ndjson")) as file:
		stacks = recordings.read_lines(file.read())["stack"]
	mine = [e for e in stacks if e["task"] == "calls_c" and e["kind"] == "cpu" and is_at(e, "in c")]
	good = []
	for entry in mine:
		funcs = [(f["kind"], f["func"], f["file"]) for f in entry["stack"] if f["kind"] != "kernel"]
		library = os.path.basename(LIBRARY)
		want = [("native", "c_inner", library), ("native", "c_outer", library)]
		at = funcs.index(want[0]) if want[0] in funcs else -1
		kinds = [kind for kind, _, _ in funcs]
		if at >= 0 and funcs[at:at + 2] == want and kinds == sorted(kinds) and kinds[-1] == "python":
			good.append(entry)
	# A tick in the middle of a call, and perf's ring, may cost a few.
	results.check(f"record {name}: native frames under the Python line that called them",
		      [] if sum_ns(good) >= 0.9 * sum_ns(mine) > 0 else
		      [f"{sum_ns(good) / 1e6} of {sum_ns(mine) / 1e6} ms"] +
		      [str([(f["kind"], f["func"]) for f in e["stack"]]) for e in mine if e not in good])
	with open("/proc/kallsyms") as file:
		if not any(int(line.split()[0], 16) for _, line in zip(range(100), file)):
			return results.skip(f"record {name}: kernel frames", "kernel.kptr_restrict hides them")
	naps = [e for e in stacks if e["task"] == "naps" and e["kind"] == "blocked" and is_at(e, "a nap")]
	kernel = [[f["func"] or "" for f in e["stack"] if f["kind"] == "kernel"] for e in naps]
	results.check(f"record {name}: kernel frames of a sleep",
		      [] if kernel and all(any("nanosleep" in func for func in one) for one in kernel)
		      else f"{kernel} of {naps}")
	folded = rendered(os.path.join(where, "r.apdb"), "folded")
	results.check(f"record {name}: kernel frames are told apart",
		      [] if re.search(r"nanosleep\w*_\[k\]", folded) else folded[-500:])
	return None


def hung_before(results, interpreter):
	"""A wait that began before us and ends while we record: what we saw of it is in the recording."""
	name = interpreter["name"]
	where = recordings.folder(name, "hung")
	live = os.path.join(where, "live.ndjson")
	with harness.Target(interpreter, "hangs.py", "asleep", "before",
			    log=f"record.{name}.hung") as target:
		target.hello()
		deadline = time.monotonic() + harness.HANG_S
		while not ongoing.is_stuck(target.pid, "asleep"):
			if time.monotonic() > deadline:
				raise harness.Hang("the program does not hang")
			time.sleep(0.01)
		with recordings.Recording(target.pid, outputs=[live]) as recording:
			recording.started()
			began = time.monotonic()
			time.sleep(1.5)  # the hang itself
			seen = time.monotonic() - began
			ongoing.release(target, "asleep")
			target.wait("done")
			target.send("bye")
			target.finish()
			recording.finish()
	with open(live) as file:
		lines = recordings.read_lines(file.read())
	mine = [e for e in lines["stack"] if e["task"] == "stuck-asleep" and e["kind"] == "blocked" and
		any(f["func"] == "recvfrom" for f in e["stack"])]
	run_s = lines["summary"][0]["duration_s"]
	told = sum_ns(mine) / 1e9
	# It is looked at 20 times a second; what came after the last look is not known.
	problems = [] if 0.8 * seen <= told <= run_s else [f"{told} s of {seen} to {run_s} s: {mine}"]
	if sum(e["count"] for e in mine) != 1:
		problems.append(f"one wait, counted as {[e['count'] for e in mine]}")
	results.check(f"record {name}: a wait that began before us", problems)


def run(results, interpreters):
	wanted = [one for one in interpreters
		  if one["name"] in ("debian-3.11", "debian-3.13", "pyenv-3.11")]
	for interpreter in wanted:
		try:
			found = truth(results, interpreter)
			native(results, interpreter)
			hung_before(results, interpreter)
			if interpreter["name"] == "debian-3.11":
				clients(results, found)
		except harness.Hang as hang:
			results.check(f"record {interpreter['name']}", str(hang))
	first = [one for one in wanted if one["name"] == "debian-3.11"]
	if not first:
		return results.skip("record: files and names", "debian-3.11 was not asked for")
	record_files.run(results, first[0])
	record_names.run(results, first[0], call_clients)
	return None
