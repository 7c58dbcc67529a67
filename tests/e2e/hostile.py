# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Hostile targets: a program that scribbles over its own interpreter, names of every byte, pages
that never come, paths that lead to FIFOs.

Each time asyncprof must end when it is told to, stay small, say what it could not see and why, and
print nothing that a terminal obeys; and the program must not feel it.
"""
import os
import unicodedata

import harness
import judge
import recordings

GROWTH_KB_MAX = 8192
# What was freed at the start is given back at once, so that it hides no growth.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}
FAULT = "cut where memory could not be read"
BAD = "cut at a frame that makes no sense"
# Where the frames lead to in each case; no reason: the whole way.
REASONS = {
	"own_caller": "cut at 128 frames", "cycle_of_two": "cut at 128 frames",
	"cycle_of_awaits": "cut at 128 frames", "deep": "cut at 128 frames",
	"shapeless_10": BAD, "shapeless_ffffffff81000000": BAD, "shapeless_800000000000": BAD,
	"shapeless_fffffffffffffff8": BAD, "at_a_wall": FAULT, "silent_frame": FAULT,
}
# It says itself that it no longer runs: whatever is told then is not about its task.
LIES = ("past_the_run",)
NOT_CASES = LIES + ("named", "called", "last")
NOT_LOOKED_AT = ("some threads could not be looked at when we attached: what hung there before is "
		 "not known")
# Case of hostile_attach.py -> is it told that something was not seen, is the stall.
ATTACHED = (("own_caller", True, False), ("silent_frame", True, False), ("silent_code", True, False),
	    ("silent_callback", False, True), ("cycle_of_threads", False, True))


def memory_kb(profiler, field):
	with open(f"/proc/{profiler.process.pid}/status") as file:
		return int([line for line in file if line.startswith(field)][0].split()[1])


def forget_peak(profiler):
	with open(f"/proc/{profiler.process.pid}/clear_refs", "w") as file:
		file.write("5")


def outcome(target):
	"""The program's end, for comparison: exit code, what it said, what it made of its work."""
	return target.finish(), target.said(), [f["results"] for f in target.facts("result")]


def shown(text):
	"""As JSON has a name: NUL and halves of surrogate pairs are no characters."""
	return "".join("\ufffd" if c == "\0" or unicodedata.category(c) == "Cs" else c for c in text)


def is_name(got, wanted):
	return got is not None and (got == wanted or got.endswith("...") and
				    len(got) > 30 and wanted.startswith(got[:-3]))


def check_case(record, truth, names):
	name, reason = truth["name"], REASONS.get(truth["name"])
	took, outer = truth["b"] - truth["a"], truth["B"] - truth["A"]
	problems = []
	if not took <= judge.to_ns(record["duration_ms"]) + judge.ROUND_NS <= \
			outer + 2 * judge.ROUND_NS:
		problems.append(f"took {took / 1e6} to {outer / 1e6} ms, "
				f"reported {record['duration_ms']}")
	if record["cause"] not in ("sleep", "cpu", "runqueue"):
		problems.append(f"cause {record['cause']}")
	funcs = [frame["func"] for frame in record["stack"]]
	if record["stack_reason"] != reason and "in_task" not in funcs:
		problems.append(f"{len(funcs)} frames, stack_reason {record['stack_reason']!r}, "
				f"wanted {reason!r}")
	if name in names and "hold" in funcs and not is_name(funcs[funcs.index("hold") + 1],
							     shown(names[name])):
		problems.append(f"the function is called {funcs[funcs.index('hold') + 1]!a}")
	if record["stack_reason"] is None and not (funcs and funcs[-1] == "in_task"):
		problems.append(f"the stack does not end where it should: {funcs[-3:]}")
	return [f"{name}: {problem}" for problem in problems]


def check_names(records, names):
	"""Task, coroutine and callback have each of the names."""
	problems = []
	for name in map(shown, names.values()):
		for what, field in (("task", "task"), ("coroutine", "coro")):
			if not any(is_name(r[field], name) for r in records):
				problems.append(f"no {what} is called {name[:40]!a}")
		legal = name.replace("\ufffd", "")
		# Of a type: UTF-8, cut at a byte.
		if not any(r["callback"] and legal.startswith(r["callback"][:40]) for r in records):
			problems.append(f"no callback is called {legal[:40]!a}")
	return problems


def live(results, interpreter):
	"""Scribbles while it runs under our eyes."""
	log = f"hostile.{interpreter['name']}.live"
	with harness.Target(interpreter, "hostile_live.py", log=log) as target:
		target.hello()
		target.send("go")
		target.send("bye")
		alone = outcome(target)
	with harness.Target(interpreter, "hostile_live.py", log=log) as target:
		names = target.hello()["names"]
		with harness.Profiler(target.pid, log=log, env=MALLOC) as profiler:
			profiler.started()
			forget_peak(profiler)
			before = memory_kb(profiler, "VmRSS")
			target.send("go")
			# What the storm pushed out is known again.
			profiler.wait_slow(lambda r: r["task"] == "last" and r["stack"] and
					   r["stack"][-1]["func"] == "in_task", "the last stall, known")
			grown = memory_kb(profiler, "VmHWM") - before
			target.send("bye")
			watched = outcome(target)
			summary = profiler.finish()
		records = profiler.closed()
		tasks = [judge.Report(r, target.offset) for r in records if r["kind"] == "task"]
		cases = [t for t in target.facts("truth") if t["name"] not in NOT_CASES]
		problems = judge.account_problems(summary)
		if profiler.stream.junk:
			problems.append(f"no JSON: {profiler.stream.junk[0][:80]!a}")
		for truth in cases:
			found = [r.record for r in tasks if
				 truth["A"] - judge.CLOCK_NS <= r.start <= truth["a"] + judge.CLOCK_NS]
			# Its name may be what it has scribbled on.
			if len(found) != 1 or truth["name"] not in (found[0]["task"], "forged_task_name"):
				problems.append(f"{truth['name']}: told of {[r['task'] for r in found]}")
			else:
				problems += check_case(found[0], truth, names)
		problems += check_names(records, names)
		if alone[0] != 7 or alone != watched:
			problems.append(f"alone {alone}, watched {watched}")
		results.check(f"{interpreter['name']} scribbles: {len(cases)} cases", problems)
		results.check(f"{interpreter['name']} scribbles: {grown} KiB of memory more",
			      [] if grown <= GROWTH_KB_MAX else f"{before} KiB before")


def obeyed(text):
	"""What a terminal would not just show."""
	return sorted({c for c in text if c not in "\n\t" and
		       unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")})


def faces(results, interpreter):
	"""Recorded, with all that people look at made of it: escaped in each, and small all the same."""
	where = recordings.folder(interpreter["name"], "hostile")
	outputs = [os.path.join(where, "all." + form) for form in ("ndjson", "apdb", "svg", "html", "folded")]
	problems = []
	with harness.Target(interpreter, "hostile_live.py",
			    log=f"hostile.{interpreter['name']}.record") as target:
		target.hello()
		with recordings.Recording(target.pid, outputs=outputs, options=["-t", "20ms"],
					  env=MALLOC) as recording:
			recording.started()
			forget_peak(recording)
			before = memory_kb(recording, "VmRSS")
			target.send("go")
			target.wait("stormed")
			grown = memory_kb(recording, "VmHWM") - before
			target.send("bye")
			code, words, _ = outcome(target)
			if code != 7 or words:
				problems.append(f"the program ended with {code}: {words}")
			if recording.finish():
				problems.append(f"record failed: {recording.said()}")
			said = {"stderr": recording.said()}
	for form, options in (("text", ["-v"]), ("log", ["--log"])):
		done = recordings.asyncprof("report", outputs[1], *options)
		said[form] = (done.stdout + done.stderr).decode(errors="surrogateescape")
		if done.returncode:
			problems.append(f"report {options} ended with {done.returncode}")
	for path in outputs[2:]:
		with open(path, errors="surrogateescape") as file:
			said[path[-4:]] = file.read()
	problems += [f"{name}: {obeyed(words)!a}" for name, words in said.items() if obeyed(words)]
	problems += [f"{name} names no function" for name, words in said.items()
		     if name != "stderr" and "in_task" not in words]
	results.check(f"{interpreter['name']} scribbles: escaped in {', '.join(said)}", problems)
	results.check(f"{interpreter['name']} scribbles: recorded with {grown} KiB more",
		      [] if grown <= GROWTH_KB_MAX else f"{before} KiB before")


def attach(results, interpreter):
	"""Scribbled before we come, and held so while its loop hangs: the collector reads that."""
	log = f"hostile.{interpreter['name']}.attach"
	problems = []
	with harness.Target(interpreter, "hostile_attach.py", len(ATTACHED), log=log) as target:
		target.hello()
		for case, unseen, told in ATTACHED:
			target.send(case)
			target.wait("ready", case=case)
			with harness.Profiler(target.pid, log=log) as profiler:
				degraded = profiler.started()["degraded"]
				if unseen and NOT_LOOKED_AT not in degraded:
					problems.append(f"{case}: degraded {degraded}")
				if told:
					record = profiler.wait_slow(lambda r: r["ongoing"], case)
					funcs = [f["func"] for f in record["stack"]]
					if funcs != ["leaf", "hang"] or record["cause"] != "pipe":
						problems.append(f"{case}: {funcs} {record['cause']}")
				summary = profiler.stop()
			if profiler.code or not summary:
				problems.append(f"{case}: exit code {profiler.code}: {profiler.said()}")
			target.send("back")
		target.send("end")
		ended = outcome(target)
	if ended[:2] != (7, "") or ended[2] != [[case[0] for case, _, _ in ATTACHED]]:
		problems.append(f"the program ended with {ended}")
	results.check(f"{interpreter['name']} scribbled before: {len(ATTACHED)} cases", problems)


def see_late(target, log):
	"""Attach; "" when it tells of a stall of the task `late`, else how it refused."""
	with harness.Profiler(target.pid, log=log) as profiler:
		try:
			profiler.wait_slow(lambda r: r["task"] == "late", "a stall of `late`")
		except harness.Hang as hang:
			if profiler.finish() or profiler.code != 6 or profiler.stream.items or \
					obeyed(profiler.said()):
				return f"{hang}, exit code {profiler.code}: {profiler.said()!a}"
			return "refused: " + profiler.said()
		summary = profiler.stop()
	return "" if summary and not profiler.code else f"exit code {profiler.code}: {profiler.said()}"


def files(results, interpreter):
	"""What is mapped is opened, not what its path leads to now."""
	log = f"hostile.{interpreter['name']}.files"
	problems = []

	def expect(target, command, refusal=None, stall=False):
		target.send(command)
		target.wait("ready", case=command)
		got = see_late(target, log)
		if got.startswith(f"refused: asyncprof: {refusal}") if refusal else not got:
			return
		if got or not stall:
			problems.append(f"{command}: {got!a}, wanted {refusal or 'a stall'}")

	with harness.Target(interpreter, "hostile_files.py", log=log) as target:
		target.hello()
		expect(target, "bound_fifo")
		expect(target, "symlink")
		expect(target, "junk", "/")
		expect(target, "device", "cannot open ")
		target.send("end")
		problems += [] if target.finish() == 7 else [f"it ended badly: {target.said()}"]
	with harness.Target(interpreter, "hostile_files.py", "leave", log=log) as target:
		target.hello()
		# Only with the path at hand, which may lead to the file from our own root.
		expect(target, "bound_fifo", "cannot open ", stall=True)
		expect(target, "symlink", "cannot open ")
		target.send("end")
		problems += [] if target.finish() == 7 else [f"it ended badly: {target.said()}"]
	results.check(f"{interpreter['name']} paths that lead elsewhere", problems)


# Faces know no version; paths are more of a maze for a target in a tree of its own.
SUITE = {"debian-3.11": (live, attach, faces), "debian-3.13": (live, attach, files)}


def run(results, interpreters):
	for interpreter in interpreters:
		for what in SUITE.get(interpreter["name"], ()):
			try:
				what(results, interpreter)
			except harness.Hang as hang:
				results.check(f"{interpreter['name']} {what.__name__}", str(hang))
