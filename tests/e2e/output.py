# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What is printed: by every face, on a terminal and not, until the end or until someone stops it.

One program that stalls on command, one asyncprof after the other on it. Lines are judged as a
reader would judge them: they fit, they hold no byte that a terminal would obey, they say who and
where. It must never ask for a duration in a narrower range than the program can vouch for.
"""
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
import unicodedata

import harness
import judge

PROGRAM = os.path.join(harness.PROGRAMS, "output.py")
WIDTH = 80
# What someone would write for asyncio's own debug log (Lib/asyncio/base_events.py, _run_once).
LOG_RULE = re.compile(r"Executing <(Task|Handle|TimerHandle) .*> took (\d+\.\d+) seconds")
LOG_NAMES = re.compile(r"<Task \w+ name='([^']*)' coro=<([^( ]+)\(")
HEADLINE = re.compile(r"^\d\d:\d\d:\d\d stall \d+(\.\d+)? ms  task '(.*)' (.*)\(\)  (.*)$")


class Shown:
	"""asyncprof as a person runs it: its bytes, from a pipe or a terminal, its messages, its end."""

	def __init__(self, *pids, options=(), terminal=False, env=None):
		argv = ["taskset", "-c", str(harness.OTHER_CPU), harness.ASYNCPROF, "-t", "20ms"]
		for pid in pids:
			argv += ["-p", str(pid)]
		environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
		environment.update(env or {})
		ours, theirs = pty.openpty() if terminal else os.pipe()
		self.errors = tempfile.TemporaryFile()
		self.process = subprocess.Popen(argv + list(options), stdin=subprocess.DEVNULL,
						stdout=theirs, stderr=self.errors, env=environment)
		os.close(theirs)
		self.fd = ours
		self.data = b""
		self.eof = False
		self.changed = threading.Condition()
		self.thread = threading.Thread(target=self.read, daemon=True)
		self.thread.start()

	def read(self):
		while True:
			try:
				data = os.read(self.fd, 65536)
			except OSError:	 # a terminal whose last writer has left
				data = b""
			with self.changed:
				self.data += data
				self.eof = not data
				self.changed.notify_all()
			if not data:
				return

	def wait(self, pattern):
		"""Until the output has it; the match."""
		deadline = time.monotonic() + harness.HANG_S
		with self.changed:
			while True:
				found = re.search(pattern, self.text(), re.MULTILINE)
				if found:
					return found
				if self.eof or time.monotonic() > deadline:
					raise harness.Hang(f"never printed: {pattern}\n{self.text()}"
							   f"{self.said()}")
				self.changed.wait(1)

	def text(self):
		return self.data.decode(errors="surrogateescape").replace("\r\n", "\n")

	def lines(self):
		return self.text().splitlines()

	def said(self):
		size = os.fstat(self.errors.fileno()).st_size
		return os.pread(self.errors.fileno(), size, 0).decode(errors="replace")

	def records(self):
		return [json.loads(line) for line in self.lines()]

	def finish(self, number=None):
		"""Its exit code."""
		if number:
			self.process.send_signal(number)
		try:
			code = self.process.wait(harness.HANG_S)
		except subprocess.TimeoutExpired:
			raise harness.Hang("asyncprof does not end")
		self.thread.join(harness.HANG_S)
		return code

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		self.thread.join(harness.HANG_S)
		os.close(self.fd)
		self.errors.close()


class Commander:
	"""Has the program do things, one after the other."""

	def __init__(self, target):
		self.target = target
		self.n = 0

	def start(self, do, **more):
		self.n += 1
		self.target.send(json.dumps(dict(do=do, n=self.n, **more)))
		return self.n

	def __call__(self, do, **more):
		return self.target.wait("did", n=self.start(do, **more))

	def run(self, coro, task, times=1):
		return self("run", coro=coro, task=task, times=times)


def line_of(text):
	with open(PROGRAM) as source:
		lines = source.read().split("\n")
	found = [i for i, line in enumerate(lines, 1) if line.strip() == text]
	return found


def unprintable(lines):
	"""Lines that a terminal would obey or that are not what they look."""
	bad = []
	for line in lines:
		if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn") for c in line):
			bad.append(f"not printable: {line!a}")
	return bad


def too_wide(lines):
	return [f"{len(line)} columns: {line!a}" for line in lines if len(line) > WIDTH]


def lacks(text, *patterns):
	return [f"no {pattern!r} in:\n{text}" for pattern in patterns
		if not re.search(pattern, text, re.MULTILINE)]


def has(text, *patterns):
	return [f"{pattern!r} in:\n{text}" for pattern in patterns
		if re.search(pattern, text, re.MULTILINE)]


def summary_problems(text):
	return lacks(text, r"^--- summary: .* stalls?, tier exact$", r"^loop of process \d+ '",
		     r"^  busy \d+\.\d % of the time, \d+ iterations, \d+ callbacks$",
		     r"^callbacks: \d+ seen = \d+ ended \+ \d+ running \+ \d+ ignored$",
		     r"^records:   \d+ made = \d+ sent \+ 0 lost; \d+ arrived$",
		     r"^cost:      about .* of the program's time") + has(text, "DOES NOT ADD UP")


def until(text, pattern):
	"""The block of lines from the first that matches to the next stall."""
	lines = text.split("\n")
	first = next((i for i, line in enumerate(lines) if re.search(pattern, line)), None)
	if first is None:
		return ""
	block = [lines[first]]
	for line in lines[first + 1:]:
		if not line.startswith("    "):
			break
		block.append(line)
	return "\n".join(block)


def text_face(check, do, pid):
	with Shown(pid) as shown:
		shown.wait(r"^watching")
		do.run("handle_order", "order-7")
		do.run("handle_order", "order-8", times=3)
		do.run("burn_cpu", "hot")
		do.run("wait_for_lock", "locked")
		do.run("deep_stack", "deep")
		do("iteration", callbacks=12)
		number = do.start("run", coro="hang", task="stuck")
		shown.wait(r"still blocked after")
		do.target.commands.sendall(b"x")
		do.target.wait("did", n=number)
		shown.wait(r"ended after")
		do("hostile names")
		do("hostile code")
		shown.process.send_signal(signal.SIGUSR1)
		shown.wait(r"^--- so far: ")
		do.run("excluded_coroutine", "after-usr1")
		shown.wait(r"task 'after-usr1'")
		code = shown.finish(signal.SIGINT)
		text, said = shown.text(), shown.said()
	check("a line fits 80 columns", too_wide(text.splitlines()))
	check("no byte that a terminal obeys, whatever the names", unprintable(text.splitlines()))
	order = until(text, r"task 'order-7'")
	head = HEADLINE.match(order.split("\n")[0])
	check("a headline has the task, the coroutine and the cause",
	      [] if head and head.groups()[1:] == ("order-7", "handle_order", "blocked: sleep")
	      else order)
	line = line_of("time.sleep(BLOCK_S)")[0]
	check("a stall shows its cause, place, source line and one hint",
	      lacks(order, r"^    asleep in clock_nanosleep$",
		    r"^    handle_order +programs/output\.py:%d$" % line,
		    r"^        time\.sleep\(BLOCK_S\)$", r"^    hint: use await asyncio\.sleep\(\)$")
	      + ([] if order.count("hint:") == 1 else ["not one hint"]))
	check("what repeats is not shown again", has(text, r"task 'order-8'"))
	check("CPU work says where", lacks(until(text, "task 'hot'"), r"on CPU$|no CPU: runqueue$",
					   r"programs/(output|truth)\.py:\d+"))
	check("a lock says so", lacks(until(text, "task 'locked'"), r"blocked: lock$",
				      r"^    waiting for a lock", r"^        lock\.acquire\(\)$",
				      r"hint: use asyncio\.Lock"))
	deep = until(text, "task 'deep'")
	check("a deep stack shows the leaf and the coroutine",
	      lacks(deep, r"^    climb ", r"^    \.\.\. \d+ more frames$", r"^    deep_stack ")
	      + ([] if deep.count("output.py:") == 6 else [f"not 6 frames:\n{deep}"]))
	check("an iteration says how many callbacks it ran",
	      lacks(text, r"^\S+ stall \d+ ms  iteration of \d\d callbacks") + has(text, r"\?\(\)"))
	check("a stall that goes on is told of once, and once at its end",
	      [f"{words}: {text.count(words)} times" for words in
	       ("still blocked after", "ended after") if text.count(words) != 1]
	      + lacks(until(text, "still blocked"), r"task 'stuck' hang\(\)", r"commands\.recv\(1\)"))
	check("SIGUSR1 prints an interim summary and goes on",
	      lacks(text, r"(?s)^--- so far: .*^callbacks: .*task 'after-usr1'.*^--- summary: "))
	summary = text[text.rindex("--- summary"):]
	check("Ctrl-C prints the summary",
	      summary_problems(summary)
	      + lacks(summary, r"^ +4 +1\d\d ms +\S+ ms  sleep +handle_order\(\)  programs/output\.py:%d$"
		      % line, r"^ +1 .* lock +wait_for_lock\(\)", r"  iteration  programs/")
	      + ([f"exit code {code}"] if code else []) + ([said] if said else []))
	evil = "\n".join(line for line in text.splitlines() if "task 'evil' " in line)
	check("hostile names are shown escaped",
	      lacks(evil, r"'evil' line one\\x0d\\x0aline two", r"'evil' \\x1b\[2J", r"'evil' </script>",
		    r"'evil' \\u202e", r"'evil' xxxx+\.\.\.\(\)", r"'evil' low \\x80\\xff high ")
	      + lacks(text, r"task '\\x1b\[2J.*\.\.\.' other_coroutine\(\)$"))


def verbose(check, do, pid):
	with Shown(pid, options=["-v", "--full-filenames", "--stack-depth", "2"]) as shown:
		shown.wait(r"^watching")
		do.run("deep_stack", "deep")
		shown.wait(r"task 'deep'")
		code = shown.finish(signal.SIGTERM)
		text = shown.text()
	deep = until(text, "task 'deep'")
	check("-v shows the budget, the id and the interpreter",
	      lacks(deep, r"^    time: .*syscall \d+", r"^    id \d+-\d+-\d+")
	      + lacks(text, r"^  interpreter /usr/bin/python3\S* \(stripped\)$", r"^  asyncprof \d"))
	check("--full-filenames and --stack-depth",
	      ([] if deep.count(PROGRAM + ":") == 2 else [f"not 2 whole paths:\n{deep}"])
	      + lacks(deep, r"^    \.\.\. \d+ more frames$"))
	check("SIGTERM prints the summary", summary_problems(text) + ([f"exit {code}"] if code else []))


def quiet(check, do, pid):
	do("beat", on=True)
	with Shown(pid, options=["-q", "-n", "5"]) as shown:
		code = shown.finish()
		text, said = shown.text(), shown.said()
	check("-q: no greeting and no summary; -n ends it; repeats fold",
	      has(text, "watching", "summary", "callbacks:")
	      + lacks(text, r"^\S+ x\d in \d+ s  up to \d+ ms  sleep  handle_order\(\)  programs/")
	      + ([] if len(HEADLINE.findall(text.split("\n")[0])) == 1 else [text])
	      + ([f"exit {code}"] if code else []) + ([said] if said else []))
	for name, options, env, coloured in (
			("on a terminal there is colour", [], {}, True),
			("NO_COLOR: none", [], {"NO_COLOR": "1"}, False),
			("--no-color: none", ["--no-color"], {}, False)):
		with Shown(pid, options=["-q", "-n", "1"] + options, env=env, terminal=True) as shown:
			code = shown.finish()
			text = shown.text()
		plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
		check(name, ([f"exit {code}"] if code else [])
		      + lacks(plain, r"^\S+ stall .* task 'beat' handle_order\(\)  blocked: sleep$")
		      + unprintable(plain.splitlines())
		      + ([] if ("\x1b[" in text) == coloured else [f"{text!a}"]))
	with Shown(pid, options=["--json", "-n", "3"]) as shown:
		code = shown.finish()
		records = shown.records()
	check("-n 3 ends after 3 stalls",
	      [] if not code and [one["type"] for one in records if not one.get("ongoing")] ==
	      ["start"] + 3 * ["slow"] + ["summary"] else f"exit {code}: {records}")
	do("beat", on=False)


def validator():
	schema = subprocess.run([harness.ASYNCPROF, "--json-schema"], stdout=subprocess.PIPE, check=True)
	schema = json.loads(schema.stdout)
	import jsonschema
	kind = jsonschema.validators.validator_for(schema)
	kind.check_schema(schema)
	return kind(schema)


def as_text(name):
	"""A name as it must be in JSON; None: it is no text, and its bytes show as such."""
	data = name.encode("utf-8", "surrogatepass")
	try:
		return data.decode()
	except UnicodeDecodeError:
		return None


def json_face(results, check, do, pid):
	with Shown(pid, options=["-j"]) as shown:
		shown.wait(r'^\{"type":"start"')
		do.run("handle_order", "order-7")
		do("iteration", callbacks=12)
		number = do.start("run", coro="hang", task="stuck")
		shown.wait(r'"ongoing":true')
		do.target.commands.sendall(b"x")
		do.target.wait("did", n=number)
		names = do("hostile names")["names"]
		do("hostile code")
		shown.process.send_signal(signal.SIGUSR1)
		shown.wait(r'"interim":true')
		code = shown.finish(signal.SIGTERM)
		records = shown.records()
		raw = shown.data
	slow = [one for one in records if one["type"] == "slow"]
	check("--json: start is first, the summary last",
	      [] if records[0]["type"] == "start" and records[-1]["type"] == "summary" and not code
	      and not records[-1]["interim"] and not any(b < 32 and b != 10 or b > 126 for b in raw)
	      else f"exit {code}: {raw[:300]}")
	try:
		valid = validator()
	except ImportError:
		results.skip("--json against --json-schema", "apt-get install python3-jsonschema")
	else:
		check("--json against --json-schema",
		      [f"{error.json_path}: {error.message}" for record in records
		       for error in valid.iter_errors(record)])
		broken = dict(slow[0], duration_ms="long")
		check("the schema refuses nonsense",
		      [] if list(valid.iter_errors(broken)) else "a duration that is a word")
	sleep = next(one for one in slow if one["task"] == "order-7")
	check("--json: unknown is null",
	      [f"{key}: {sleep[key]}" for key in ("fd", "gil_holder", "callback", "callbacks",
						  "stack_reason") if sleep[key] is not None]
	      + [f"gc: {sleep['budget_ms']}" for key in ("gc", "steal")
		 if sleep["budget_ms"][key] is not None])
	iteration = [one for one in slow if one["kind"] == "iteration"]
	check("--json: an iteration has its callbacks",
	      [] if iteration and iteration[0]["callbacks"] >= 12 and not iteration[0]["task"]
	      else str(iteration))
	problems = []
	got = [one["task"] for one in slow if one["coro"] == "other_coroutine"]
	for name, task in zip(names, got):
		whole = as_text(name)
		if whole is None:
			if task is None or "\\x" not in task:
				problems.append(f"{name!a}: {task!a}")
		elif len(name) < 128 and task != whole.replace("\0", "\ufffd"):
			problems.append(f"{name!a}: {task!a}")
		elif len(name) >= 128 and not (len(task or "") >= 30 and
					       whole.startswith(task.rstrip("."))):
			problems.append(f"{len(name)} characters: {task!a}")
	if len(got) != len(names):
		problems.append(f"{len(got)} of {len(names)} tasks: {got}")
	check("--json: a hostile task name is exact, or escaped, or cut", problems)
	evil = [one for one in slow if one["task"] == "evil"]
	problems = [f"{one['coro']!a} {one['file']!a}" for one in evil
		    if one["coro"] is None or one["file"] is None or one["line"] != 2]
	exact = names[0]
	if not any(one["coro"] == exact and one["file"] == exact and one["stack"][0]["func"] == exact
		   for one in evil):
		problems.append(f"none is called {exact!a}: {[one['coro'] for one in evil]}")
	if len(evil) != len(names):
		problems.append(f"{len(evil)} of {len(names)}")
	check("--json: hostile coroutines and files", problems)


def to_file(check, do, pid):
	with tempfile.TemporaryDirectory() as folder:
		path = os.path.join(folder, "stalls.txt")
		do("beat", on=True)
		with Shown(pid, options=["-d", "1", "-o", path], terminal=True) as shown:
			code = shown.finish()
			stdout, said = shown.text(), shown.said()
		do("beat", on=False)
		with open(path) as file:
			text = file.read()
		check("-d ends it; -o has it all, without colour", summary_problems(text)
		      + lacks(text, r"^watching", r"^--- summary: 1\.\d\d s") + unprintable(text.splitlines())
		      + ([f"stdout: {stdout!a}"] if stdout else [])
		      + ([f"exit {code}: {said}"] if code or said else []))
		for name, bad in (("a folder that is not there", folder + "/no/file"),
				  ("a folder", folder), ("a full disk", "/dev/full")):
			with Shown(pid, options=["-o", bad]) as shown:
				code = shown.finish()
				stdout, said = shown.text(), shown.said()
			check(f"-o {name} is one line and exit 1",
			      [] if code == 1 and not stdout and said.count("\n") == 1 and bad in said
			      and said.startswith("asyncprof: can't write ")
			      else f"exit {code}, stdout {stdout!a}, stderr {said!a}")


def closed_pipe(check, do, pid):
	"""`| head -1`, where nothing is to be written any more, and where something is."""
	for name, on, first, options in (("an idle loop", False, "watching ", []),
					 ("a loop that stalls", True, '{"type":"start"', ["--json"])):
		do("beat", on=on)
		read, write = os.pipe()
		with tempfile.TemporaryFile("w+") as errors:
			ours = subprocess.Popen([harness.ASYNCPROF, "-p", str(pid), "-t", "20ms"]
						+ options, stdin=subprocess.DEVNULL, stdout=write, stderr=errors)
			os.close(write)
			head = subprocess.run(["head", "-1"], stdin=read, stdout=subprocess.PIPE, text=True)
			os.close(read)
			try:
				code = ours.wait(harness.HANG_S)
			except subprocess.TimeoutExpired:
				ours.kill()
				ours.wait()
				code = "none: it hangs"
			errors.seek(0)
			said = errors.read()
		check(f"a closed pipe ends it quietly: {name}",
		      [] if code == 0 and not said and head.stdout.startswith(first)
		      else f"exit {code}, {head.stdout!a}, stderr {said!a}")
	do("beat", on=False)


def log_face(check, do, pid):
	own = do("debug")["lines"]
	do("beat", on=True)
	with Shown(pid, options=["--log", "-n", "2"]) as shown:
		shown.wait(r"took .* seconds")
		code = shown.finish()
		lines = shown.lines()
	do("beat", on=False)
	with Shown(pid, options=["--log"]) as shown:
		# No greeting in this format: the first stall that it reports is the handshake.
		while not select.select([shown.fd], [], [], 0)[0] and not shown.lines():
			do.run("other_coroutine", "hello")
		theirs = do("debug")["lines"]
		shown.wait(r"name='order-99'")
		shown.finish(signal.SIGINT)
		both = [line for line in shown.lines() if "hello" not in line]
	check("--log: every line matches a rule for asyncio's debug log",
	      [line for line in lines + both if not LOG_RULE.search(line)]
	      + ([f"exit {code}: {lines}"] if code or len(lines) != 2 else []))
	problems = []
	names = []
	for what, found in (("asyncio", own), ("asyncio", theirs), ("asyncprof", both)):
		tasks = [LOG_NAMES.search(line) for line in found if "order-99" in line]
		if len(tasks) != 1 or not tasks[0] or not all(LOG_RULE.search(line) for line in found):
			problems.append(f"{what}: {found}")
			continue
		names.append(tasks[0].groups())
	if set(names) != {("order-99", "handle_order")}:
		problems.append(f"{names}")
	seconds = [float(LOG_RULE.search(line).group(2)) for line in theirs + both
		   if LOG_RULE.search(line) and "order-99" in line]
	if min(seconds, default=0) < 0.03:
		problems.append(f"took {seconds}")
	check("--log: asyncio's own line and ours name the same task and coroutine", problems)


def filters(check, do, pid):
	shown_options = ["--json", "--cause", "sleep", "--task", "order-*", "--only", "handle_order",
			 "--only", "output:*_coroutine", "--exclude", "excluded_coroutine"]
	with Shown(pid, options=shown_options) as shown:
		shown.wait(r'^\{"type":"start"')
		do.run("handle_order", "order-1")
		do.run("handle_order", "other-task")
		do.run("burn_cpu", "order-cpu")
		do.run("wait_for_lock", "order-lock")
		do.run("excluded_coroutine", "order-excluded")
		do.run("deep_stack", "order-unlisted")
		do.run("other_coroutine", "order-2")
		shown.wait(r'"task":"order-2"')
		shown.finish(signal.SIGINT)
		records = shown.records()
	tasks = [one["task"] for one in records if one["type"] == "slow"]
	check("--only, --exclude, --cause and --task choose what is shown",
	      [] if tasks == ["order-1", "order-2"] else f"{tasks}")
	summary = records[-1]
	check("but not what is counted", judge.account_problems(summary)
	      + ([] if summary["stalls"] >= 7 and sum(loop["stalls"] for loop in summary["loops"]) ==
		 summary["stalls"] else [f"{summary}"]))


def two_and_the_end(check, interpreter, do, target):
	with harness.Target(interpreter, "output.py", log="output.second") as second:
		second.hello()
		with Shown(target.pid, second.pid, target.pid, options=["-j"]) as shown:
			shown.wait(r'^\{"type":"start"')
			do.run("handle_order", "first")
			Commander(second).run("handle_order", "second")
			shown.wait(r'"task":"first"')
			shown.wait(r'"task":"second"')
			Commander(second).start("end")
			left = second.finish()
			do.run("handle_order", "still here")
			shown.wait(r'"task":"still here"')
			do.start("end")
			code = shown.finish()
			records, said = shown.records(), shown.said()
	check("two processes, one of them named twice",
	      [] if sorted(one["pid"] for one in records[0]["targets"]) ==
	      sorted([target.pid, second.pid]) else str(records[0]))
	check("it ends when the last of them ends, with a summary",
	      judge.account_problems(records[-1]) + ([f"exit {code}, {left}"] if code or left else [])
	      + ([] if len([one for one in records[-1]["loops"] if one["stalls"]]) == 2
		 else [f"{records[-1]}"])
	      + lacks(said, rf"process {second.pid} exited", rf"process {target.pid} exited"))


def run(results, interpreters):
	found = [one for one in interpreters if one["name"] == "debian-3.11"]
	if not found:
		results.skip("output", "debian-3.11 was not asked for, or is not there")
		return
	with harness.Target(found[0], "output.py", log="output") as target:
		target.hello()
		do = Commander(target)

		def check(name, problems):
			results.check(f"output: {name}", problems)
		for what, more in ((text_face, ()), (verbose, ()), (quiet, ()), (json_face, (results,)),
				   (to_file, ()), (closed_pipe, ()), (log_face, ()), (filters, ())):
			try:
				what(*more, check, do, target.pid)
			except harness.Hang as hang:
				check(what.__name__, str(hang))
		try:
			two_and_the_end(check, found[0], do, target)
		except harness.Hang as hang:
			check("two_and_the_end", str(hang))
