# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Recordings of more than one process, at another rate, of hostile names; and stalls beside watch's.

It must never compare a name with what asyncprof made of it elsewhere: the program says what its
names are, and each format's own escaping is undone by that format's own reader.
"""
import json
import os
import re

import harness
import record_files
import recordings
from recordings import Recording, line_of, query, read_folded, rendered, total

FORMATS = recordings.FORMATS
HANDLERS = 80		# of programs/record.py
SHORT = 128		# bytes that are kept of a name


def as_bytes(name):
	"""What a recording keeps: bytes that Python took for no text, and no half of a pair."""
	return b"".join(one.encode("utf-8", "surrogateescape") if not "\ud800" <= one <= "\udfff" or
			"\udc80" <= one <= "\udcff" else b"\xef\xbf\xbd" for one in name)


def as_kept(name):
	return as_bytes(name).decode("utf-8", "surrogateescape")


def as_text(name):
	"""How a name reads where it is text: bytes that are no UTF-8 as \\xHH."""
	return as_bytes(name).decode("utf-8", "backslashreplace")


def as_shown(name):
	"""How a terminal, a picture, a folded line may show it: nothing that is not printable."""
	return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" if ord(one) < 128 else
		       f"\\u{ord(one):04x}" for one in as_text(name))


def hostile(results, interpreter, call_clients):
	where = recordings.folder("hostile")
	names = ["live.ndjson", "r.apdb"] + ["a." + suffix for suffix in FORMATS]
	recordings.record(interpreter, "hostile", where, names)
	results.check("record: hostile names: every format is what it should be",
		      record_files.whole(where, names))
	asked = load_names()
	path = {name: os.path.join(where, name) for name in names}
	with open(path["live.ndjson"]) as file:
		stacks = recordings.read_lines(file.read())["stack"]
	problems = missing({entry["task"] for entry in stacks}, asked, as_text)
	funcs = {frame["func"] for entry in stacks for frame in entry["stack"]}
	files = {frame["file"] for entry in stacks for frame in entry["stack"]}
	problems += missing(funcs, asked, as_text) + missing(files, asked, as_text, 256)
	results.check("record: hostile names: JSON lines", problems)
	found = {row[0] for row in query(path["r.apdb"], "SELECT task FROM tasks WHERE task NOT NULL")}
	code = set(query(path["r.apdb"], "SELECT func, file FROM frames WHERE kind = 'python'"))
	results.check("record: hostile names: SQL", missing(found, asked, as_kept)
		      + missing({func for func, _ in code}, asked, as_kept)
		      + missing({file for _, file in code}, asked, as_kept, 256))
	with open(path["a.folded"]) as file:
		labels = {label for stack, _ in read_folded(file.read()) for label in stack}
	results.check("record: hostile names: folded",
		      within(labels, asked, lambda name: folded_name(as_shown(name))))
	with open(path["a.speedscope.json"]) as file:
		frames = {frame["name"] for frame in json.load(file)["shared"]["frames"]}
	results.check("record: hostile names: speedscope", within(frames, asked, as_text))
	strings, _ = recordings.read_pprof(path["a.pprof"])
	results.check("record: hostile names: pprof", within(strings, asked, as_shown, as_text))
	texts = [element.text or "" for element in record_files.parse(path["a.svg"]).iter()]
	texts += [value for element in record_files.parse(path["a.svg"]).iter()
		  for value in element.attrib.values()]
	results.check("record: hostile names: svg", within(texts, asked, as_shown))
	page = record_files.parse(path["a.html"])
	results.check("record: hostile names: html", within(page.text, asked, as_shown)
		      + [f"{tag}: {page.cnt.get(tag)}" for tag, cnt in (("script", 1), ("body", 1),
									("b", None))
			 if page.cnt.get(tag) != cnt])
	text = rendered(path["r.apdb"], "text")
	results.check("record: hostile names: text",
		      [f"{one!a}" for one in text if one != "\n" and not one.isprintable()])
	clients = os.path.join(where, "clients")
	os.makedirs(clients)
	with open(os.path.join(clients, "hostile.truth.json"), "w") as file:
		json.dump({"clock": "wall", "hostile": True}, file)
	for suffix in ("folded", "speedscope.json", "pprof"):
		os.link(path["a." + suffix], os.path.join(clients, "hostile." + suffix))
	os.link(path["r.apdb"], os.path.join(clients, "hostile.apdb"))
	os.link(path["live.ndjson"], os.path.join(clients, "hostile.ndjson"))
	call_clients(results, "formats", clients)
	call_clients(results, "pictures", path["a.svg"], path["a.html"])


def load_names():
	"""The program's own list."""
	with open(recordings.PROGRAM) as file:
		source = file.read()
	scope = {}
	exec(re.search(r"^HOSTILE = \[.*?^\]", source, re.M | re.S)[0], scope)
	return scope["HOSTILE"]


def missing(found, asked, spell, kept=SHORT):
	"""Names that did not come back whole, or, if they are long, cut and called so."""
	problems = []
	for name in asked:
		wanted = spell(name)
		if len(name) < kept and wanted not in found:
			problems.append(f"no {wanted!a}")
		elif len(name) >= kept and not any(one and len(one) > 40 and
						   wanted.startswith(one.removesuffix("..."))
						   for one in found):
			problems.append(f"no beginning of a name of {len(name)} characters")
	return problems


def within(found, asked, *spellings):
	"""Names that stand in no label, in none of the spellings."""
	problems = []
	for name in asked:
		wanted = [spell(name)[:40 if len(name) > SHORT else None] for spell in spellings]
		if not any(one in label for one in wanted for label in found):
			problems.append(f"no {wanted!a}")
	return problems


def folded_name(name):
	"""The two characters that stand for something in a folded line."""
	return re.sub(r" (?=\d+$)", "_", name.replace(";", ":"))


def rates(results, interpreter):
	"""Five times the ticks, about five times the samples, and every format says so."""
	counts, problems = {}, []
	for rate in (99, 499):
		where = recordings.folder("rate")
		recordings.record(interpreter, "burner", where,
				  ["live.ndjson", "r.apdb", "a.svg", "a.pprof"], ["-r", rate])
		path = os.path.join(where, "r.apdb")
		counts[rate] = query(path, "SELECT sum(cnt) FROM detail WHERE kind = 'cpu' "
				     "AND task = 'burner'")[0][0] or 0
		period = query(path, "SELECT period_ns FROM run")[0][0]
		if abs(period * rate - 1e9) > rate:
			problems.append(f"-r {rate}: a period of {period} ns")
		with open(os.path.join(where, "a.svg")) as file:
			if f"sampled at {rate} Hz" not in file.read():
				problems.append(f"-r {rate}: the picture does not say so")
		pprof = [value for key, value in recordings.fields(
			recordings.unpacked(os.path.join(where, "a.pprof"))) if key == 12]
		if pprof != [period]:
			problems.append(f"-r {rate}: pprof has the period {pprof}")
	if not counts[499] > 2 * counts[99] > 0:
		problems.append(f"samples: {counts}")
	results.check("record: -r 499", problems)


def handlers(results, interpreter):
	"""
	A tick that comes between the interrupted poll and the handler's first frame is no end of the
	handler: with 1000 ticks a second that is one handler in a hundred.
	"""
	where = recordings.folder("signals")
	recordings.record(interpreter, "signals", where, ["live.ndjson"], ["-r", 1000, "-t", "20ms"])
	with open(os.path.join(where, "live.ndjson")) as file:
		slow = recordings.read_lines(file.read())["slow"]
	kinds = {}
	for one in slow:
		if not one["ongoing"]:
			kinds[one["kind"]] = kinds.get(one["kind"], 0) + 1
	results.check("record: a signal's handler under fast ticks",
		      [] if kinds.get("signal") == HANDLERS else [f"{kinds}, not {HANDLERS} signals"])


def run_delay(pid):
	"""What the kernel counts of the thread: ns runnable without a CPU."""
	with open(f"/proc/{pid}/schedstat") as file:
		return int(file.read().split()[1])


def crowded(results, interpreter):
	"""A loop that wakes and has no CPU does not idle: what it waits is between two brackets."""
	where = recordings.folder("crowded")
	live, apdb = os.path.join(where, "live.ndjson"), os.path.join(where, "r.apdb")
	with harness.Target(interpreter, "record.py", "crowded", log="record.crowded") as target:
		target.hello()
		with Recording(target.pid, outputs=[live, apdb]) as recording:
			recording.started()
			outer = run_delay(target.pid)
			target.send("go")
			inner = target.wait("queued")["ns"]
			target.wait("done")
			outer = run_delay(target.pid) - outer
			target.send("bye")
			recording.finish()
		target.finish()
	found = query(apdb, "SELECT sum(ns) FROM detail WHERE kind = 'runqueue'")[0][0] or 0
	results.check("record: a loop that wakes without a CPU",
		      [] if inner <= found <= outer else [f"{inner} <= {found} <= {outer} ns"])


def two(results, interpreter):
	"""Processes of one name are one, unless asked for apart; one named twice counts once."""
	where = recordings.folder("two")
	live, path = os.path.join(where, "live.ndjson"), os.path.join(where, "r.apdb")
	with harness.Target(interpreter, "record.py", "stalls", log="record.two.1") as one, \
			harness.Target(interpreter, "record.py", "stalls", log="record.two.2") as other:
		one.hello()
		other.hello()
		with Recording(one.pid, other.pid, one.pid, outputs=[live, path]) as recording:
			recording.started()
			for target in (one, other):
				target.send("go")
				target.wait("done")
				target.send("bye")
				target.finish()
			code = recording.finish()
			said = recording.said()
		pids = sorted([one.pid, other.pid])
	problems = [f"exit {code} {said}"] if code else []
	if sorted(row[0] for row in query(path, "SELECT pid FROM processes")) != pids:
		problems.append("not both processes, each once")
	merged = read_folded(rendered(path, "folded"))
	apart = read_folded(rendered(path, "folded", "--per-process"))
	name = f"python{interpreter['minor']}"
	if {stack[0] for stack, _ in merged} != {name}:
		problems.append(f"{ {stack[0] for stack, _ in merged} }")
	if {stack[0] for stack, _ in apart} != {f"{name} ({pid})" for pid in pids}:
		problems.append(f"{ {stack[0] for stack, _ in apart} }")
	if abs(total(merged) - total(apart)) > len(apart) + len(merged):
		problems.append(f"{total(merged)} us, apart {total(apart)}")
	for pid in pids:
		slept = sum(us for stack, us in apart if stack[0] == f"{name} ({pid})" and
			    f"slow_sleep (record.py:{line_of('slow sleep')})" in stack)
		if slept < 320000 - len(apart):  # twice 160 ms, of which nothing may be missing
			problems.append(f"process {pid}: asleep for {slept} us")
	results.check("record: two processes, together and apart", problems)


def beside_watch(results, interpreter):
	"""The same program under `watch --json` and under `record`: the same stalls."""
	found = {}
	where = recordings.folder("beside")
	with harness.Target(interpreter, "record.py", "stalls", log="record.watched") as target:
		target.hello()
		with harness.Profiler(target.pid, threshold="100ms", log="record.watched") as profiler:
			profiler.started()
			target.send("go")
			target.wait("done")
			target.send("bye")
			target.finish()
			profiler.stop()
		found["watch"] = stalls(profiler.slow())
	recordings.record(interpreter, "stalls", where, ["live.ndjson", "r.apdb"])
	later = recordings.read_lines(rendered(os.path.join(where, "r.apdb"), "ndjson"))["slow"]
	found["record"] = stalls(later)
	wanted = sorted([("slow_sleep", line_of("slow sleep"), "sleep")] * 2 +
			[("slow_read", line_of("slow read"), "pipe"),
			 ("slow_lock", line_of("slow lock"), "lock")])
	results.check("record: the same stalls as watch sees",
		      [f"{who}: {got}, not {wanted}" for who, got in found.items() if got != wanted])


def stalls(records):
	"""Who, where and why, of those that ended and were a task's: the machine makes iterations."""
	return sorted((one["task"], one["line"], one["cause"]) for one in records
		      if not one["ongoing"] and one["task"])


def compared(results, interpreter):
	"""report --diff: what only the new one does has grown, what both do has not."""
	where = recordings.folder("compared")
	paths = []
	for mode, name in (("stalls", "old"), ("burner", "new")):
		part = os.path.join(where, name)
		os.makedirs(part)
		recordings.record(interpreter, mode, part, ["live.ndjson", "r.apdb"])
		paths.append(os.path.join(part, "r.apdb"))
	picture = os.path.join(where, "diff.svg")
	done = recordings.asyncprof("report", "--diff", *paths, "-o", picture)
	problems = [f"exit {done.returncode} {done.stderr}"] if done.returncode or done.stderr else \
		record_files.whole(where, ["diff.svg"])
	done = recordings.asyncprof("report", "--diff", *paths)
	text = done.stdout.decode()
	if done.returncode or not re.search(r"\+.*burn", text) or not re.search(r"-.*slow_sleep", text):
		problems.append(f"exit {done.returncode} {done.stderr} {text}")
	results.check("record: report --diff", problems)


def run(results, interpreter, call_clients):
	for step, more in ((hostile, (call_clients,)), (rates, ()), (handlers, ()), (crowded, ()),
			   (two, ()), (beside_watch, ()), (compared, ())):
		try:
			step(results, interpreter, *more)
		except harness.Hang as hang:
			results.check(f"record: {step.__name__}", str(hang))
