#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Opens rendered files with the programs that people open them with, and compares what those show
with the truth.

usage: tests/clients/formats.py [FOLDER...]

Screenshots go to build/clients/screenshots.

Without a folder: profiles made by hand (render.c), known to the nanosecond, one of them with
nothing but hostile names. A folder has NAME.truth.json and some of NAME.folded, .speedscope.json,
.pprof, .ndjson, .apdb, all of one recording. The truth, all of it optional:

	clock      "wall", "cpu" or "blocked": of .folded and .speedscope.json
	threads    true: rendered with --threads
	sums_ns    {clock: [lo, hi]} over all threads that were rendered
	heaviest   {clock: function} with the most time of its own; or {clock: {format: function}}
	stacks     [[function, ...]]: outermost first, each in this order in one stack
	tasks      names that must be there
	hostile    true: names differ between formats, as each escapes them

All formats must agree with each other as well. It must never pass what no client has opened: a
client that is missing is a skip, counted, with what to install.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import browser 		# noqa: E402
import speedscope 	# noqa: E402

B = os.path.join(ROOT, os.environ.get("B", "build"))
BUILD = os.path.join(B, "clients")
SHOTS = os.path.join(BUILD, "screenshots")
LIBRARY = os.path.join(B, "libasyncprof.a")
ASYNCPROF = os.environ.get("ASYNCPROF", os.path.join(ROOT, "asyncprof"))
FORMATS = ("folded", "speedscope.json", "pprof", "ndjson", "apdb")
CLOCKS = ("wall", "cpu", "blocked")
ROWS = 20 		# of a client's table that are compared

# What render.c has every name of: as JSON keeps it, and as a terminal may see it.
EVIL = "a\033[2Jb\u202ec\\xff\r\n\x07\x7f\"'\\%n;</script><b>&amp; 12"
EVIL_TERMINAL = "a\\x1b[2Jb\\u202ec\\xff\\x0d\\x0a\\x07\\x7f\"'\\%n;</script><b>&amp; 12"
EVIL_RAW = EVIL.replace("\\xff", "\udcff") 		# the byte itself, as Python reads it
MADE = {
	"shop": {
		"clock": "wall",
		"threads": True,
		"sums_ns": {"wall": [1680000000] * 2, "cpu": [180000000] * 2,
			    "blocked": [1500000000] * 2},
		"heaviest": {"wall": "recvfrom 10.0.0.7:443", "blocked": "recvfrom 10.0.0.7:443",
			     "cpu": "query"},
		"stacks": [["Worker.run", "query", "recvfrom 10.0.0.7:443"], ["fetch", "tcp_sendmsg"],
			   ["Worker.run", "query", "run queue"], ["fetch", "blocked: lock"],
			   ["<module>"], ["[no stack]"]],
		"tasks": ["worker"],
	},
	"evil": {
		"clock": "wall",
		"hostile": True,
		"sums_ns": {"wall": [100000000] * 2, "cpu": [70000000] * 2, "blocked": [30000000] * 2},
		"heaviest": {"wall": {
			"speedscope": "func" + EVIL, "ndjson": "func" + EVIL,
			"apdb": "func" + EVIL_RAW,
			"pprof": "func" + EVIL_TERMINAL,
			"folded": "func" + EVIL_TERMINAL.replace(";", ":")}},
	},
}


class Tally:
	def __init__(self):
		self.passed = self.failed = self.skipped = 0

	def check(self, name, why):
		"""`why`: what is wrong, empty when nothing is."""
		if why:
			self.failed += 1
			print(f"FAIL    {name}: {why}", flush=True)
		else:
			self.passed += 1
			print(f"ok      {name}", flush=True)

	def skip(self, name, why):
		self.skipped += 1
		print(f"skip    {name}: {why}", flush=True)


def run(command, errors="strict", **options):
	done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			      stderr=subprocess.PIPE, timeout=600, **options)
	if done.returncode:
		raise ValueError(f"{command[0]}: exit {done.returncode}: "
				 f"{done.stderr.decode(errors='replace').strip()[-500:]}")
	return done.stdout.decode("utf-8", errors), done.stderr.decode(errors="replace")


# --- Samples: (names from the outermost on, ns), whatever the format ---------------------------

def function_of(label):
	"""fetch (db.py:17) is fetch, vfs_read_[k] is vfs_read."""
	return re.sub(r"_\[k\]$", "", re.sub(r" \([^()]*\)$", "", label))


def self_by(samples, key):
	times = {}
	for names, ns in samples:
		times[key(names[-1])] = times.get(key(names[-1]), 0) + ns
	return times


def totals_by(samples):
	times = {}
	for names, ns in samples:
		for name in set(names):
			times[name] = times.get(name, 0) + ns
	return times


def has_stack(samples, wanted):
	"""Is there one with all of these, in this order?"""
	for names, _ in samples:
		left = iter(map(function_of, names))
		if all(any(name == wish for name in left) for wish in wanted):
			return True
	return False


def against_truth(truth, form, clock, samples):
	"""What is wrong with samples of one clock, in words."""
	total = sum(ns for _, ns in samples)
	low, high = truth.get("sums_ns", {}).get(clock, (0, float("inf")))
	if not low - 1000 <= total <= high + 1000:
		return f"{clock}: {total} ns, the truth is {low} to {high}"
	heaviest = truth.get("heaviest", {}).get(clock)
	if isinstance(heaviest, dict):
		heaviest = heaviest.get(form)
	times = self_by(samples, function_of)
	if heaviest and max(times, key=times.get, default=None) != heaviest:
		top = sorted(times.items(), key=lambda item: -item[1])[:3]
		return f"{clock}: heaviest is {top}, not {heaviest!r}"
	for wanted in truth.get("stacks", []) if clock == "wall" else []:
		if not has_stack(samples, wanted):
			return f"{clock}: no stack has {wanted}"
	return ""


def leaf_of(kind, cause, kinds):
	"""What flames and pprof put below a stack that does not say why it is off CPU."""
	waits = next((kind for kind in kinds if kind != "kernel"), None) == "wait"
	if kind == "idle":
		return ["idle"]
	if kinds and (kind == "cpu" or waits):
		return []
	if kind == "runqueue":
		return ["run queue"]
	return [f"blocked: {cause}"] if kinds else ["[no stack]"]


def wanted_by(clock, kind):
	return kind == clock or (clock == "wall" and kind != "idle") or \
		(clock == "blocked" and kind == "runqueue")


def name_of_frame(frame):
	if frame["kind"] == "wait" and frame["file"]:
		return f"{frame['func']} {frame['file']}"
	return frame["func"] or "?"


# --- The clients ---------------------------------------------------------------------------------

def parse_folded(path):
	samples = []
	with open(path, encoding="utf-8", newline="\n") as file:
		for line in file:
			found = re.fullmatch(r"(.*) (\d+)\n", line)
			if not found:
				raise ValueError(f"no folded line: {line!r}")
			samples.append((found[1].split(";"), int(found[2])))
	return samples


def parse_speedscope(path):
	with open(path, encoding="ascii") as file:
		content = json.load(file)
	names = [frame["name"] for frame in content["shared"]["frames"]]
	return content, [(profile["name"], [
		([names[at] for at in stack], ns)
		for stack, ns in zip(profile["samples"], profile["weights"])])
		for profile in content["profiles"]]


def compare_rows(shown, samples, write):
	"""The first rows of the sandwich view against the file."""
	selfs, totals = self_by(samples, lambda name: name), totals_by(samples)
	want = sorted(selfs.values(), reverse=True)[:ROWS]
	have = shown["active"][:len(want)]
	if [row["self"].split(" (")[0] for row in have] != [write(ns) for ns in want]:
		return f"own times are {[row['self'] for row in have]}, not {want}"
	for row in have:
		name = row["name"]
		if name not in selfs:
			return f"{name!r} is no frame of the file"
		if row["self"].split(" (")[0] != write(selfs[name]):
			return f"{name!r} has {row['self']}, not {selfs[name]}"
		if row["total"].split(" (")[0] != write(totals[name]):
			return f"{name!r} has {row['total']} in all, not {totals[name]}"
	return ""


def page_of_speedscope(page, path):
	content, profiles = parse_speedscope(path)
	shown = page.show(path, os.path.join(SHOTS, os.path.basename(path) + ".png"))
	if shown["title"] != content["name"]:
		return f"the title is {shown['title']!r}, not {content['name']!r}"
	listed = [(row["name"], row["total"]) for row in shown["profiles"]]
	wanted = [(name, speedscope.format_time(sum(ns for _, ns in samples)))
		  for name, samples in profiles]
	# One alone has no list.
	if len(wanted) > 1 and sorted(listed) != sorted(wanted):
		return f"profiles are {listed}, not {wanted}"
	return compare_rows(shown, profiles[content["activeProfileIndex"]][1],
			    speedscope.format_time)


def page_of_folded(page, path):
	shown = page.show(path, os.path.join(SHOTS, os.path.basename(path) + ".png"))
	return compare_rows(shown, parse_folded(path), speedscope.format_count)


def pprof(path, *options):
	# A folder of its own for what it keeps, and nothing to fetch.
	environment = {**os.environ, "PPROF_TMPDIR": os.path.join(BUILD, "pprof"),
		       "DEBUGINFOD_URLS": "", "TZ": "UTC"}
	# With its own idea of symbols, as people run it: it must not find anything to improve.
	text, said = run(["go", "tool", "pprof", "-unit=ns", "-nodecount=1000000",
			  "-nodefraction=0", "-edgefraction=0", *options, path], env=environment)
	if said.strip():
		raise ValueError(f"pprof complains: {said.strip()}")
	return text


def ns_of(text):
	return int(float(text[:-2])) if text != "0" else 0


def parse_traces(text):
	"""What -traces prints: samples, and with what labels."""
	samples, labels = [], []
	for block in re.split(r"^-{5,}\+-{5,}\n", text, flags=re.M)[1:]:
		names, tags, ns = [], {}, None
		for line in block.splitlines():
			tag = re.match(r" *([a-z]+):  (.*)$", line)
			if ns is None and tag:
				tags[tag[1]] = tag[2]
				continue
			frame = re.match(r" *(\d+ns|0)?   (.*)$", line)
			if not frame or (ns is None) != (frame[1] is not None):
				raise ValueError(f"no trace: {line!r}")
			ns = ns if frame[1] is None else ns_of(frame[1])
			names.append(frame[2])
		if names:
			samples.append((names[::-1], ns))
			labels.append(tags)
	return samples, labels


def top_of(text):
	"""What -top prints: (own ns, all ns, function), and the total."""
	total = re.search(r"Showing nodes accounting for \S+, \S+ of (\S+) total", text)
	rows = re.findall(r"^ *(\S+) +\S+% +\S+% +(\S+) +\S+%  (.*)$", text, re.M)
	return [(ns_of(own), ns_of(every), name) for own, every, name in rows], ns_of(total[1])


def check_pprof(tally, name, path, truth):
	"""Returns samples by clock."""
	contents = {}
	for clock in CLOCKS:
		option = f"-sample_index={clock}"
		samples, labels = parse_traces(pprof(path, "-traces", option))
		contents[clock] = samples
		tally.check(f"{name}: pprof -traces, {clock}",
			    against_truth(truth, "pprof", clock, samples))
		rows, total = top_of(pprof(path, "-top", option))
		own = {function: ns for function, ns in
		       self_by(samples, lambda function: function).items() if ns}
		why = ""
		if total != sum(ns for _, ns in samples):
			why = f"the total is {total}"
		elif {function: ns for ns, _, function in rows if ns} != own:
			why = f"own times are {rows}, not {own}"
		tally.check(f"{name}: pprof -top, {clock}", why)
	tags = pprof(path, "-tags", "-sample_index=wall")
	for key in ("task", "coroutine", "loop", "pid", "cause"):
		want = {}
		for (_, ns), has in zip(contents["wall"], labels):
			if key in has:
				want[has[key]] = want.get(has[key], 0) + ns
		part = re.search(rf"^ *{key}: Total (.*\n(?: .*\n)*)", tags, re.M)
		rows = re.findall(r"^ +(\S+) \([^)]*\): (.*)$", part[1], re.M) if part else []
		# -unit is for numbers of any kind.
		have = {value.removesuffix("ns") if key == "pid" else value: ns_of(ns)
			for ns, value in rows}
		why = "" if have == want and (have or key != "pid") else f"{have}, not {want}"
		if key == "task" and not why:
			why = ", ".join(f"no {task}" for task in truth.get("tasks", []) if task not in have)
		tally.check(f"{name}: pprof -tags, {key}", why)
	about = pprof(path, "-comments")
	tally.check(f"{name}: pprof -comments", "" if about.startswith("asyncprof ") else about)
	default = re.search(r"^Type: (\S+)$", pprof(path, "-top"), re.M)[1]
	tally.check(f"{name}: pprof's default clock",
		    "" if default == truth.get("clock", default) else default)
	return contents


def check_ndjson(tally, name, path, truth, validate):
	contents = {clock: [] for clock in CLOCKS}
	tasks, types, why = set(), [], ""
	with open(path, encoding="ascii") as file:
		items = [json.loads(line) for line in file]
	for number, item in enumerate(items, 1):
		if validate and not why:
			why = next((f"line {number}: {error.json_path}: {error.message}"[:300]
				    for error in validate(item)), "")
		types.append(item["type"])
		if item["type"] != "stack" or (not truth.get("threads") and item["what"] is None
					       and item["kind"] != "idle" and not item["loop"]):
			continue
		tasks.add(item["task"])
		frames = item["stack"]
		names = leaf_of(item["kind"], item["cause"], [frame["kind"] for frame in frames]) + \
			[name_of_frame(frame) for frame in frames]
		for clock in CLOCKS:
			if wanted_by(clock, item["kind"]):
				contents[clock].append((names[::-1], round(item["ms"] * 1e6)))
	if "start" in types and not why:
		order = re.fullmatch("start (stack |slow )*summary", " ".join(types))
		why = "" if order else f"the order is {types[0]}, ..., {types[-1]}"
	if validate:
		tally.check(f"{name}: ndjson against the schema", why)
	else:
		tally.skip(f"{name}: ndjson against the schema", "apt-get install python3-jsonschema")
	missing = [task for task in truth.get("tasks", []) if task not in tasks]
	tally.check(f"{name}: ndjson", f"no task {missing}" if missing else
		    against_truth(truth, "ndjson", "wall", contents["wall"]))
	return contents


APDB_ROWS = """
SELECT detail.kind AS kind, cause, plain, task, stack, sum(ns) AS ns FROM detail
GROUP BY 1, 2, 3, 4, 5
"""
APDB_FRAMES = """
WITH RECURSIVE up(leaf, depth, stack) AS (
	SELECT DISTINCT stack, 0, stack FROM points WHERE stack IS NOT NULL
	UNION ALL SELECT leaf, depth + 1, parent FROM up JOIN stacks ON stacks.id = up.stack
	WHERE parent IS NOT NULL)
SELECT leaf, frames.kind AS kind, func, file FROM up JOIN stacks ON stacks.id = up.stack
JOIN frames ON frames.id = stacks.frame ORDER BY leaf, depth
"""


def check_apdb(tally, name, path, truth):
	def ask(sql):
		# A recording keeps the bytes of a name as they are.
		text, _ = run(["sqlite3", "-readonly", "-json", path, sql], errors="surrogateescape")
		return json.loads(text) if text.strip() else []

	state = ask("PRAGMA integrity_check")[0]["integrity_check"]
	beside = [path + end for end in ("-wal", "-shm", "-journal") if os.path.exists(path + end)]
	tally.check(f"{name}: sqlite3, integrity", "" if state == "ok" and not beside else
		    f"{state} {beside}")
	about = ask("SELECT * FROM about")
	tally.check(f"{name}: sqlite3, view about", "" if len(about) == 1 else f"{about}")
	stacks = {}
	for row in ask(APDB_FRAMES):
		stacks.setdefault(row["leaf"], []).append(row)
	contents = {clock: [] for clock in CLOCKS}
	tasks = set()
	for row in ask(APDB_ROWS):
		if row["plain"] and not truth.get("threads"):
			continue
		tasks.add(row["task"])
		frames = stacks.get(row["stack"], [])
		names = leaf_of(row["kind"], row["cause"], [frame["kind"] for frame in frames]) + \
			[name_of_frame(frame) for frame in frames]
		for clock in CLOCKS:
			if wanted_by(clock, row["kind"]):
				contents[clock].append((names[::-1], row["ns"]))
	missing = [task for task in truth.get("tasks", []) if task not in tasks]
	tally.check(f"{name}: sqlite3, content", f"no task {missing}" if missing else
		    against_truth(truth, "apdb", "wall", contents["wall"]))
	return contents


# --- All of them -------------------------------------------------------------------------------

class Clients:
	"""What is installed, opened once for all files; `why`: what would have to be."""

	def __init__(self, tally):
		self.tally, self.why = tally, {}
		self.page = self.schema_of_speedscope = self.validate = None
		if not shutil.which("go"):
			self.why["pprof"] = "no go; apt-get install golang-go"
		if not shutil.which("sqlite3"):
			self.why["apdb"] = "no sqlite3; apt-get install sqlite3"
		self._find_page()
		self._find_schema()

	def _find_page(self):
		missing = browser.missing()
		if missing:
			self.why["page"] = missing
			return
		try:
			where = speedscope.fetch(BUILD)
		except urllib.error.URLError as error:
			self.why["page"] = f"{speedscope.URL}: {error.reason}; a way to the npm registry"
			return
		except ValueError as error:
			self.why["page"] = "see above"
			self.tally.check("speedscope's page", str(error))
			return
		with open(os.path.join(where, speedscope.SCHEMA), encoding="utf-8") as file:
			self.schema_of_speedscope = json.load(file)
		self.page = speedscope.Speedscope(where)

	def _find_schema(self):
		try:
			import jsonschema 	# noqa: PLC0415
		except ImportError:
			return
		schema = json.loads(run([ASYNCPROF, "--json-schema"])[0])
		# By its type: a oneOf of all would say no more than that none fits.
		self.validators = {
			kind: jsonschema.Draft202012Validator({**schema, "oneOf": [
				{"$ref": f"#/$defs/{kind}"}]})
			for kind in (ref["$ref"].rsplit("/", 1)[1] for ref in schema["oneOf"])}
		self.validate = self._errors
		self.draft7 = jsonschema.Draft7Validator

	def _errors(self, item):
		return self.validators[item["type"]].iter_errors(item)

	def quit(self):
		if self.page:
			self.page.quit()


def agree(tally, name, contents, truth):
	"""Each format's own times by function against those of the first."""
	first = None
	for form, samples in contents.items():
		times = {function: ns for function, ns in self_by(samples, function_of).items()
			 if ns >= 2000}
		if truth.get("hostile"):
			times = dict(enumerate(sorted(times.values())))
		if not first:
			first = form, times
			continue
		# Folded lines are whole microseconds.
		slack = 1000 * (1 + len(samples))
		keys = times.keys() | first[1].keys()
		wrong = {key: (times.get(key), first[1].get(key)) for key in keys
			 if abs(times.get(key, 0) - first[1].get(key, 0)) > slack}
		tally.check(f"{name}: {form} agrees with {first[0]}", f"{wrong}" if wrong else "")


def check_stem(tally, clients, folder, name, truth):
	paths = {form: os.path.join(folder, f"{name}.{form}") for form in FORMATS}
	paths = {form: path for form, path in paths.items() if os.path.exists(path)}
	clock, contents = truth.get("clock", "wall"), {}

	def opened(form, what):
		"""Is there a client for what there is a file of?"""
		if form in paths and what in clients.why:
			tally.skip(f"{name}: {form}", clients.why[what])
		return form in paths and what not in clients.why

	if "folded" in paths:
		samples = [(names, us * 1000) for names, us in parse_folded(paths["folded"])]
		contents["folded"] = samples
		tally.check(f"{name}: folded lines", against_truth(truth, "folded", clock, samples))
	if "speedscope.json" in paths:
		content, profiles = parse_speedscope(paths["speedscope.json"])
		samples = [sample for _, part in profiles for sample in part]
		contents["speedscope"] = samples
		tally.check(f"{name}: speedscope file",
			    against_truth(truth, "speedscope", clock, samples))
		if clients.schema_of_speedscope and clients.validate:
			errors = clients.draft7(clients.schema_of_speedscope).iter_errors(content)
			tally.check(f"{name}: speedscope's own schema", next(
				(f"{error.json_path}: {error.message}"[:300] for error in errors), ""))
	if opened("speedscope.json", "page"):
		tally.check(f"{name}: speedscope's page",
			    page_of_speedscope(clients.page, paths["speedscope.json"]))
	if opened("folded", "page"):
		tally.check(f"{name}: speedscope's page, folded",
			    page_of_folded(clients.page, paths["folded"]))
	if opened("pprof", "pprof"):
		contents["pprof"] = check_pprof(tally, name, paths["pprof"], truth)[clock]
	if "ndjson" in paths:
		contents["ndjson"] = check_ndjson(tally, name, paths["ndjson"], truth,
						  clients.validate)[clock]
	if opened("apdb", "apdb"):
		contents["apdb"] = check_apdb(tally, name, paths["apdb"], truth)[clock]
	agree(tally, name, contents, truth)


def make(folder):
	"""Files of what render.c makes."""
	program = os.path.join(folder, "render")
	libraries, _ = run(["pkg-config", "--cflags", "--libs", "jansson", "sqlite3", "zlib",
			    "libprotobuf-c"])
	run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
	     f"-I{ROOT}/include", f"-I{ROOT}/user", f"-I{ROOT}/tests/unit", f"{HERE}/render.c",
	     LIBRARY, *libraries.split(), "-o", program])
	run([program, folder])
	for name, truth in MADE.items():
		with open(os.path.join(folder, f"{name}.truth.json"), "w", encoding="utf-8") as file:
			json.dump(truth, file)


def main():
	# Names in a complaint may be no text at all.
	sys.stdout.reconfigure(errors="backslashreplace")
	tally = Tally()
	folders = sys.argv[1:]
	os.makedirs(BUILD, exist_ok=True)
	clients = Clients(tally)
	try:
		with tempfile.TemporaryDirectory(dir=BUILD, prefix="made-") as made:
			if not folders:
				try:
					make(made)
				except ValueError as error:
					tally.check("render.c", str(error))
			for folder in folders or [made]:
				names = sorted(file[:-len(".truth.json")] for file in os.listdir(folder)
					       if file.endswith(".truth.json"))
				if not names:
					tally.check(folder, "no NAME.truth.json in it")
				for name in names:
					with open(os.path.join(folder, f"{name}.truth.json"),
						  encoding="utf-8") as file:
						truth = json.load(file)
					try:
						check_stem(tally, clients, folder, name, truth)
					except (ValueError, KeyError, OSError, RuntimeError,
						browser.WebDriverError) as error:
						tally.check(name, f"{type(error).__name__}: {error}")
	finally:
		clients.quit()
	print(f"formats: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
	return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
	sys.exit(main())
