# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What becomes of files: killed, stopped, full disks, wrong names, pipes, terminals.

One program that goes on for ever, one asyncprof after the other on it, so each also shows that
the program still works. It must never leave a mount behind: full disks live in a mount namespace
that ends with its command.
"""
import html.parser
import json
import os
import pty
import random
import re
import signal
import sqlite3
import subprocess
import time
import xml.etree.ElementTree

import harness
import recordings
from recordings import Recording, asyncprof, line_of, query

SUFFIXES = ("svg", "html", "folded", "speedscope.json", "pprof")
KILLS = 3
SPINNER = os.path.join(harness.ROOT, "tests", "bench", "spin_tasks.py")
# A disk that is full a moment after the recording has begun: most of it is in use.
FULL = """
mount -t tmpfs -o size=500k none "$1"
head -c 200000 /dev/zero > "$1/other"
"$2" record -p "$3" -q -d 30 -o "$1/r.apdb" -o "$1/live.ndjson"
echo "code $?"
rm "$1/other" "$1/live.ndjson"
ls -a "$1"
"$2" report "$1/r.apdb" -f folded
echo "code $?"
"""


def one_line(done, code, *patterns):
	"""Problems of a refusal: its code, one line, what it says, nothing printed."""
	said = done.stderr.decode()
	problems = [f"exit {done.returncode}, not {code}: {said!r}"] if done.returncode != code else []
	if said.count("\n") != 1 or not said.startswith("asyncprof: "):
		problems.append(f"not one line: {said!r}")
	if done.stdout:
		problems.append(f"printed {done.stdout[:80]!r}")
	return problems + [f"no {pattern!r} in {said!r}" for pattern in patterns
			   if not re.search(pattern, said)]


class Page(html.parser.HTMLParser):
	"""How many elements of each kind; html.parser takes anything, so the count must fit."""

	def __init__(self, text):
		super().__init__(convert_charrefs=True)
		self.cnt, self.text = {}, []
		self.feed(text)
		self.close()

	def handle_starttag(self, tag, attributes):
		self.cnt[tag] = self.cnt.get(tag, 0) + 1
		self.text += [value for _, value in attributes if value]

	def handle_data(self, data):
		self.text.append(data)


def parse(path):
	"""A file as its readers would read it; ValueError and the like if they could not."""
	with open(path, "rb") as file:
		data = file.read()
	if path.endswith(".svg"):
		return xml.etree.ElementTree.fromstring(data)
	if path.endswith(".html"):
		return Page(data.decode())
	if path.endswith(".ndjson"):
		return recordings.read_lines(data.decode())
	if path.endswith(".json"):
		return json.loads(data)
	if path.endswith(".pprof"):
		return recordings.read_pprof(path)
	if path.endswith(".apdb"):
		return query(path, "SELECT * FROM about")
	return recordings.read_folded(data.decode())


def whole(where, names):
	problems = []
	for name in names:
		try:
			if not parse(os.path.join(where, name)):
				problems.append(f"{name} is empty")
		except Exception as error:  # whatever its reader says
			problems.append(f"{name}: {type(error).__name__}: {error}")
	return problems


def only(where, *names):
	"""Nothing else lies there."""
	left = sorted(one for one in os.listdir(where) if not one.startswith("stderr."))
	return [] if left == sorted(names) else [f"files: {left}, not {sorted(names)}"]


def says_complete(where, complete):
	rows = query(os.path.join(where, "r.apdb"), "SELECT complete FROM run")
	return [] if rows == [(complete,)] else [f"complete: {rows}"]


class Files:
	def __init__(self, results, interpreter, target):
		self.results, self.interpreter, self.target = results, interpreter, target
		self.pid = target.pid
		self.good = None	# a recording that is whole

	def check(self, name, problems):
		if self.target.process.poll() is not None:
			raise harness.Hang(f"the program ended: {self.target.said()}")
		self.results.check(f"record: {name}", problems)

	def interrupted(self):
		"""Ctrl-C ends it as its time would."""
		where = recordings.folder("interrupted")
		names = ["live.ndjson", "r.apdb"] + ["a." + suffix for suffix in SUFFIXES]
		with Recording(self.pid, outputs=[os.path.join(where, name) for name in names]) as recording:
			recording.started()
			time.sleep(1.5)
			code = recording.stop()
			said = recording.said()
		self.good = os.path.join(where, "r.apdb")
		self.check("Ctrl-C: all files are written, and are what they should be",
			   ([f"exit {code}: {said}"] if code else []) + whole(where, names)
			   + only(where, *names) + says_complete(where, 1))

	def killed(self):
		"""At any moment: what was committed is there."""
		problems = []
		for n in range(KILLS):
			where = recordings.folder("killed")
			path = os.path.join(where, "r.apdb")
			moment = random.uniform(0, 2.5)
			with Recording(self.pid, outputs=[os.path.join(where, "live.ndjson"), path]) \
					as recording:
				recording.started()
				time.sleep(moment)
				recording.process.kill()
				recording.finish()
			done = asyncprof("report", path)
			said = done.stderr.decode()
			if done.returncode or not re.fullmatch(r"asyncprof: .* is cut: .*\n", said) or \
					b"--- summary" not in done.stdout:
				problems.append(f"after {moment:.3f} s: exit {done.returncode}: {said}")
			problems += only(where, "live.ndjson", "r.apdb") + says_complete(where, 0)
			problems += [f"{row}" for row in query(path, "PRAGMA integrity_check")
				     if row != ("ok",)]
			for form in ("folded", "svg", "ndjson"):
				done = asyncprof("report", path, "-f", form, "-o", "-")
				if done.returncode:
					problems.append(f"{form}: exit {done.returncode} {done.stderr}")
		self.check(f"killed at {KILLS} moments: what was committed is read, and called cut", problems)

	def quiet(self):
		"""Nothing is late, so that only the collector's own looks bring the records.

		A ring that nobody looks into wakes it when a quarter is full: of a thousand samples.
		"""
		where = recordings.folder("quiet")
		path, cnt = os.path.join(where, "r.apdb"), 0
		with harness.Target(self.interpreter, SPINNER, log="record.quiet") as target:
			target.hello()
			with Recording(target.pid, outputs=[os.path.join(where, "live.ndjson"), path]) \
					as recording:
				recording.started()
				deadline = time.monotonic() + harness.HANG_S
				while not cnt and time.monotonic() < deadline:
					time.sleep(0.1)
					(cnt,), = query(path, "SELECT total(cnt) FROM detail WHERE kind = 'cpu'")
				code = recording.stop()
		self.check("nothing is late: time is in the file while the run goes on",
			   [] if 0 < cnt < 500 and not code else f"exit {code}, {cnt} samples at once")

	def ends(self, mode, words):
		where = recordings.folder("ends")
		names = ["live.ndjson", "r.apdb"] + ["a." + suffix for suffix in SUFFIXES]
		with harness.Target(self.interpreter, "record.py", mode, log="record." + mode) as target:
			target.hello()
			with Recording(target.pid, outputs=[os.path.join(where, name) for name in names]) \
					as recording:
				recording.started()
				target.send("go")
				code = recording.finish()
				said = recording.said()
		self.check(f"the program {words}: the same",
			   ([f"exit {code}: {said}"] if code or words not in said else [])
			   + whole(where, names) + only(where, *names) + says_complete(where, 1))

	def full_disk(self):
		with harness.Target(self.interpreter, "record.py", "many", log="record.many") as target:
			target.hello()
			where = recordings.folder("full")
			done = subprocess.run(
				["unshare", "-m", "--propagation", "private", "sh", "-c", FULL, "sh", where,
				 harness.ASYNCPROF, str(target.pid)], stdin=subprocess.DEVNULL,
				stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
			alive = target.process.poll() is None
		codes = re.findall(r"^code (\d+)$", done.stdout, re.M)
		problems = [] if codes == ["1", "0"] and alive else [f"{codes} {done.stdout[-300:]}"]
		if not re.search(r"^asyncprof: can't write .*: No space left on device; what was written "
				 r"before is readable: asyncprof report$", done.stderr, re.M):
			problems.append(done.stderr)
		if "is cut" not in done.stderr:
			problems.append(f"not said to be cut: {done.stderr}")
		if "journal" in done.stdout or not re.search(r";task order \d+ .* \d+$", done.stdout, re.M):
			problems.append(done.stdout[-300:])
		self.check("a full disk: one clear line, and what was written is readable", problems)

	def bad_places(self):
		where = recordings.folder("places")
		text, foreign = os.path.join(where, "notes.apdb"), os.path.join(where, "foreign.apdb")
		with open(text, "w") as file:
			file.write("not a recording\n")
		with sqlite3.connect(foreign) as database:
			database.execute("CREATE TABLE mine (precious TEXT)")
		picture = os.path.join(where, "old.svg")
		with open(picture, "w") as file:
			file.write("an older picture\n")
		before = {path: open(path, "rb").read() for path in (text, foreign, picture)}
		os.mkdir(os.path.join(where, "folder.svg"))
		os.mkdir(os.path.join(where, "folder.apdb"))
		for name, path, code, pattern in (
				("a folder that is not there", where + "/missing/a.svg", 1, "No such file"),
				("the same for a recording", where + "/missing/a.apdb", 1, "a.apdb"),
				("a folder", where + "/folder.svg", 1, "Is a directory"),
				("a folder, for a recording", where + "/folder.apdb", 1, "folder.apdb"),
				("no permission", "/sys/kernel/a.svg", 1, "Permission denied"),
				("no permission, for a recording", "/sys/kernel/a.apdb", 1, "a.apdb"),
				("a text file, for a recording", text, 1, "notes.apdb"),
				("another database, for a recording", foreign, 1, "foreign.apdb"),
				("a suffix that says nothing", where + "/a.xyz", 2, "tells no format")):
			done = asyncprof("record", "-p", self.pid, "-q", "-d", "1", "-o", picture, "-o", path)
			self.check(f"-o {name}: one clear line, nothing lost", one_line(done, code, pattern)
				   + [f"{one} changed" for one, data in before.items()
				      if open(one, "rb").read() != data]
				   + only(where, "notes.apdb", "foreign.apdb", "old.svg", "folder.svg",
					  "folder.apdb"))
		done = asyncprof("record", "-p", self.pid, "-q", "-d", "200ms", "-o", picture, "-o", self.good)
		self.check("older files of the same kind are replaced",
			   [f"exit {done.returncode} {done.stderr}"] if done.returncode or done.stderr
			   else whole(where, ["old.svg"]))

	def bad_recordings(self):
		where = recordings.folder("bad")
		with open(self.good, "rb") as file:
			data = file.read()
		with sqlite3.connect(os.path.join(where, "foreign.apdb")) as database:
			database.execute("CREATE TABLE mine (precious TEXT)")
		for name, content in (("empty", b""), ("text", b"hello\n" * 1000), ("foreign", None),
				      ("first page", data[:4096]), ("half", data[:len(data) // 2]),
				      ("head", data[:50]), ("noise", random.randbytes(8192))):
			path = os.path.join(where, name + ".apdb")
			if content is not None:
				with open(path, "wb") as file:
					file.write(content)
			for form in ("text", "svg"):
				done = asyncprof("report", path, "-f", form)
				self.check(f"report of a bad recording, {name}, as {form}: one line",
					   one_line(done, 1, re.escape(name + ".apdb")))
		done = asyncprof("report", where + "/missing.apdb", "-o", where + "/a.svg")
		self.check("report of none: one line, and no file", one_line(done, 1, "missing.apdb")
			   + ["a.svg is there"] * os.path.exists(where + "/a.svg"))

	def pipes(self):
		record = ["record", "-p", self.pid, "-q", "-d", "1"]
		done = asyncprof(*record, "-f", "folded", "-o", "-")
		rows = recordings.read_folded(done.stdout.decode())
		self.check("-f folded -o -: into a pipe",
			   [] if not done.returncode and not done.stderr and
			   recordings.of_label(rows, f"order (record.py:{line_of('order')})")
			   else f"exit {done.returncode} {done.stderr} {rows}")
		done = asyncprof(*record, "-f", "svg", "-o", "-")
		self.check("-f svg -o -: into a pipe", [] if not done.returncode and
			   xml.etree.ElementTree.fromstring(done.stdout) is not None else f"{done.stderr}")
		done = asyncprof(*record, "-f", "apdb", "-o", "-")
		where = recordings.folder("piped")
		path = os.path.join(where, "r.apdb")
		with open(path, "wb") as file:
			file.write(done.stdout)
		self.check("-f apdb -o -: into a pipe, when it is whole",
			   ([f"exit {done.returncode} {done.stderr}"] if done.returncode or done.stderr
			    else says_complete(where, 1) + ([] if query(path, "PRAGMA integrity_check") ==
							    [("ok",)] else ["not whole"])))
		for name, args in (("report -f ndjson", ["report", self.good, "-f", "ndjson"]),
				   ("report", ["report", self.good]),
				   ("report -f svg", ["report", self.good, "-f", "svg", "-o", "-"]),
				   ("record -f ndjson", record + ["-f", "ndjson", "-o", "-"])):
			ours, theirs = os.pipe()
			with subprocess.Popen([harness.ASYNCPROF, *map(str, args)], stdout=theirs,
					      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
				os.close(theirs)
				os.read(ours, 1)
				os.close(ours)
				said = process.stderr.read()
				code = process.wait()
			self.check(f"{name} | head -1 ends quietly",
				   [f"exit {code} {said}"] if code or said else [])

	def terminals(self):
		for name, args, code, pattern in (
				("pprof of a run, to a terminal",
				 ["record", "-p", self.pid, "-d", "1", "-f", "pprof", "-o", "-"], 2, "terminal"),
				("pprof of a recording, to a terminal",
				 ["report", self.good, "-f", "pprof"], 2, "terminal"),
				("apdb of a run, to a terminal",
				 ["record", "-p", self.pid, "-d", "1", "-f", "apdb", "-o", "-"], 2, "terminal")):
			ours, theirs = pty.openpty()
			done = subprocess.run([harness.ASYNCPROF, *map(str, args)], stdin=subprocess.DEVNULL,
					      stdout=theirs, stderr=subprocess.PIPE,
					      timeout=harness.HANG_S)
			done.stdout = b""
			os.close(theirs)
			os.close(ours)
			self.check(f"{name}: refused", one_line(done, code, pattern))
		done = asyncprof("report", self.good, "-f", "apdb", "-o", "-")
		self.check("apdb of a recording: refused, it is one", one_line(done, 2))

	def progress(self):
		where = recordings.folder("progress")
		path = os.path.join(where, "live.ndjson")
		with Recording(self.pid, outputs=[path], terminal=True) as recording:
			recording.started()
			time.sleep(1.5)
			code = recording.stop()
			shown = recording.terminal.decode()
		lines = re.findall(r"\rrecording: (\d+) s, Ctrl-C ends it, (\d+) stalls?, 0 lost ", shown)
		self.check("a progress line on a terminal, wiped at the end",
			   [] if not code and len(lines) >= 2 and
			   re.search(r"\r\x1b\[Kasyncprof: recorded ", shown) else f"exit {code} {shown!r}")
		with Recording(self.pid, outputs=[path], options=["-q", "-d", "1"], terminal=True) as recording:
			code = recording.finish()
		self.check("-q: silent, on a terminal too",
			   [f"exit {code} {recording.terminal!r}"] if code or recording.terminal else [])

	def nobody(self):
		where = recordings.folder("nobody")
		gone = subprocess.Popen(["true"])
		gone.wait()
		for path in (where + "/a.svg", where + "/a.apdb"):
			done = asyncprof("record", "-p", gone.pid, "-o", path)
			self.check(f"a pid that nobody has, {path[-5:]}: exit 3, no file",
				   one_line(done, 3) + only(where))
		with subprocess.Popen(["sleep", "1000"]) as other:
			done = asyncprof("record", "-p", other.pid, "-o", path)
			other.kill()
		self.check("a process that is not Python: no file", one_line(done, 3) + only(where))


def run(results, interpreter):
	with harness.Target(interpreter, "record.py", "service", log="record.service") as target:
		target.hello()
		files = Files(results, interpreter, target)
		for step, args in ((files.interrupted, ()), (files.killed, ()), (files.quiet, ()),
				   (files.full_disk, ()),
				   (files.ends, ("leave", "exited")),
				   (files.ends, ("exec", "became another program")),
				   (files.bad_recordings, ()), (files.bad_places, ()), (files.pipes, ()),
				   (files.terminals, ()), (files.progress, ()), (files.nobody, ())):
			try:
				step(*args)
			except (harness.Hang, subprocess.TimeoutExpired) as hang:
				results.check(f"record: {step.__name__}", str(hang))
