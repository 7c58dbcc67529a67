# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program that asyncprof starts: seen from its first callback on, and otherwise left as it is.

What a program says of itself (callbacks, signals, user, bytes) is held against what asyncprof
says, or against the same program without asyncprof. asyncprof spends most of its life waiting for
the kernel to take probes away, so the cases run side by side, which is also their load.
"""
import concurrent.futures
import glob
import json
import os
import pty
import random
import select
import signal
import subprocess
import tempfile
import time

import harness
from launched import PROGRAM, Started, ask, code_is, command, environment, read_records, state

AT_A_TIME = 8
KILLS = 10
BURST_S = 0.5		# signals within that are one
NOBODY = 65534
IGNORES_HUP = 1 << (signal.SIGHUP - 1)
HARMLESS = ("harm_handlers", "harm_blocked", "harm_subprocess", "harm_threads", "harm_fork")


def own_count(got, images=1):
	"""What the program counted, in all its images."""
	said = [int(line.split()[1]) for line in got.out.split("\n") if line.startswith("callbacks ")]
	return sum(said) if len(said) == images else None


def all_seen(got, images=1, code=0):
	own = own_count(got, images)
	problems = code_is(got, code)
	if own is None:
		problems.append(f"the program said: {got.out[:200]!r}")
	elif own != got.hits():
		problems.append(f"the program ran {own} callbacks, asyncprof saw {got.hits()}: {got.err}")
	if len(got.starts()) != 1:
		problems.append(f"{len(got.starts())} start records")
	return problems


# --- 1. Exit codes ------------------------------------------------------------------------------


def own_code(python, code):
	script = f"import asyncio; asyncio.run(asyncio.sleep(0)); raise SystemExit({code})"
	return code_is(ask([python, "-c", script]), code)


def killed(python, number):
	script = f"import asyncio, os; asyncio.run(asyncio.sleep(0)); os.kill(os.getpid(), {number})"
	return code_is(ask([python, "-c", script]), 128 + number)


def write(path, text, mode=0o755):
	with open(path, "w") as file:
		file.write(text)
	os.chmod(path, mode)
	return path


def not_started(python):
	"""The codes of env(1) and timeout(1), one line each, and nothing has run."""
	problems = []
	with tempfile.TemporaryDirectory() as folder:
		plain = write(folder + "/plain", "not a program\n", 0o644)
		orphan = write(folder + "/orphan", "#!/nonexistent/python3\nprint(1)\n")
		mark = folder + "/mark"
		touch = [python, "-c", f"open({mark!r}, 'w')"]
		for what, argv, options, env, code, words in (
				("a directory", [folder], None, {}, 126, ("can't execute",)),
				("not executable", [plain], None, {}, 126, ("can't execute",)),
				("an absent path", [folder + "/absent"], None, {}, 127, ("absent",)),
				("an absent name", ["asyncprof-absent"], None, {}, 127,
				 ("asyncprof-absent",)),
				("an absent shebang", [orphan], None, {}, 127, ("interpreter",)),
				("-o into nowhere", touch, ["-o", folder + "/no/file"], {}, 125,
				 ("can't write",)),
				("record -o into nowhere", touch,
				 ["record", "-o", folder + "/no/file.svg"], {}, 125, ("can't",)),
				("nonsense in SUDO_UID", touch, None, {"SUDO_UID": "me", "SUDO_GID": "1"}, 2,
				 ("SUDO_UID",))):
			got = ask(argv, options, env=environment(**env))
			problems += [f"{what}: {problem}" for problem in code_is(got, code, words)]
			if len(got.err.strip().split("\n")) != 1:
				problems.append(f"{what}: not one line: {got.err}")
			if os.path.exists(mark):
				problems.append(f"{what}: the program ran")
	return problems


def never_python():
	return (code_is(ask(["true"]), 3, ("true never became Python",)) +
		code_is(ask(["sh", "-c", "exit 9"]), 9, ("never became Python",)) +
		code_is(ask(["sh", "-c", "kill -KILL $$"]), 137))


def unsupported(python):
	"""It runs to its end, unwatched."""
	script = "import sys; sys.stdout.write('ran %d\\n' % len(sys.argv)); sys.exit(int(sys.argv[1]))"
	return (code_is(ask([python, "-c", script, "0"]), 6, ("3.8", "watched"), "ran 2\n") +
		code_is(ask([python, "-c", script, "4"]), 4, ("3.8", "watched"), "ran 2\n"))


# --- 2. The first callback ------------------------------------------------------------------------


def seen_by(interpreter):
	argv, env = command(interpreter, "count")
	return all_seen(ask(argv, env=env))


def seen_through(python, how):
	"""However it comes to be Python."""
	images = 1
	with tempfile.TemporaryDirectory() as folder:
		with open(PROGRAM) as file:
			text = file.read()
		script = write(folder + "/script", f"#!{python}\n" + text)
		by_env = write(folder + "/by_env", "#!/usr/bin/env python3\n" + text)
		shim = write(folder + "/python", "#!/usr/bin/env bash\nset -e\nprogram=\"${0##*/}\"\n"
			     "for i in {1..200}; do x=\"$(( i * i ))\"; done\n"
			     f"name=\"$(basename \"$program\")\"\nexec {python} \"$@\"\n")
		argv = {
			"a shebang": [script, "count"], "env in a shebang": [by_env, "count"],
			"env": ["env", "python3", PROGRAM, "count"],
			"sh that execs": ["sh", "-c", f"echo first; exec {python} {PROGRAM} count"],
			"a shim in bash": [shim, PROGRAM, "count"],
			"Python that becomes Python": [python, PROGRAM, "again"],
			"asyncio imported late": [python, PROGRAM, "late"],
		}[how]
		if how == "Python that becomes Python":
			images = 2
		return all_seen(ask(argv), images)


def not_through_fork(python):
	got = ask(["sh", "-c", f"{python} {PROGRAM} count; exit 5"])
	return code_is(got, 5, ("never became Python", "-s watches what it starts"))


def under_load(python):
	"""As many busy shells as would starve a watcher that comes too late."""
	busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(3)]
	try:
		return all_seen(ask([python, PROGRAM, "count"]))
	finally:
		for one in busy:
			one.kill()
			one.wait()


def ends_at_once(python):
	"""Python that ends before anything can be looked at, and Python without a loop."""
	problems = []
	for argv in (["-S", "-E", "-c", "pass"], ["--version"], ["-c", "import os; os._exit(0)"]):
		got = ask([python] + argv)
		# Without one module made, it never was Python that could be watched.
		problems += code_is(got, 3 if argv == ["--version"] else 0)
	return problems


# --- 3. Its user ----------------------------------------------------------------------------------


def facts_of(argv, options=(), **more):
	with tempfile.TemporaryDirectory() as folder:
		os.chmod(folder, 0o777)
		path = folder + "/records"
		got = ask(argv, ["--json", "-o", path] + list(options), **more)
		got.records = read_records(path)
		owner = os.stat(path).st_uid if os.path.exists(path) else None
	try:
		return json.loads(got.out.split("\n")[0]), owner, got
	except ValueError:
		raise harness.Hang(f"no facts: {got.out[:200]!r} {got.err}")


def same_as_alone(python):
	"""What it is started with, down to signals and descriptors, but for being our child."""
	argv = [python, PROGRAM, "facts"]
	wanted = json.loads(subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
					   env=environment(), cwd="/usr", umask=0o027).stdout)
	got, owner, _ = facts_of(argv, env=environment(), cwd="/usr", umask=0o027)
	problems = [f"{key}: {got[key]}, alone {value}" for key, value in wanted.items()
		    if got[key] != value]
	# As Python changes SIGPIPE itself, another one looks at that, for each way that it may be.
	for ignored in ((), (signal.SIGPIPE, signal.SIGCHLD)):
		def ignore():
			for number in ignored:
				signal.signal(number, signal.SIG_IGN)

		look = ["grep", "-E", "^(Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Cpus_allowed_list)",
			"/proc/self/status"]
		alone = subprocess.run(look, stdout=subprocess.PIPE, text=True, preexec_fn=ignore).stdout
		probed = ask(look, preexec_fn=ignore).out
		if not alone or probed != alone:
			problems.append(f"status {probed}, alone {alone}")
	alone = subprocess.run(["sh", "-c", "ulimit -a"], stdout=subprocess.PIPE, text=True).stdout
	probed = ask(["sh", "-c", "ulimit -a"]).out
	if not alone or probed != alone:
		problems.append(f"limits {probed}, alone {alone}")
	if got["fds"] != [0, 1, 2]:
		problems.append(f"descriptors {got['fds']}")
	if got["cwd"] != "/usr" or got["umask"] != 0o027 or got["env"].get("MARK") != "kept":
		problems.append(f"not kept: {got}")
	if owner != 0:
		problems.append(f"what root writes belongs to {owner}")
	return problems


def behind_sudo(python):
	"""The user behind sudo, wholly; with --as-root nothing of it."""
	sudo = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_USER": "nobody",
		"SUDO_COMMAND": "asyncprof", "USER": "root", "LOGNAME": "root", "HOME": "/root"}
	argv = [python, PROGRAM, "facts"]
	wanted = subprocess.run(["id", "-G", "nobody"], stdout=subprocess.PIPE, text=True).stdout
	got, owner, ran = facts_of(argv, env=environment(**sudo), cwd="/", umask=0o022)
	problems = []
	if got["uids"] != [NOBODY] * 3 or got["gids"] != [NOBODY] * 3:
		problems.append(f"uids {got['uids']}, gids {got['gids']}")
	if got["groups"] != sorted(int(gid) for gid in wanted.split()):
		problems.append(f"groups {got['groups']}, wanted {wanted}")
	for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
		if got["status"][name]:
			problems.append(f"{name} is {got['status'][name]:x}")
	if got["env"].get("USER") != "nobody" or got["env"].get("LOGNAME") != "nobody" or \
	   got["env"].get("HOME") != os.path.expanduser("~nobody") or got["env"].get("MARK") != "kept":
		problems.append(f"environment {got['env']}")
	if any(name.startswith("SUDO_") for name in got["env"]):
		problems.append(f"sudo's own variables are there: {got['env']}")
	if got["fds"] != [0, 1, 2] or got["umask"] != 0o022 or got["cwd"] != "/":
		problems.append(f"not kept: {got}")
	if not ran.hits():
		problems.append(f"it was not watched: {ran.err}")
	if owner != 0:
		problems.append(f"what root writes belongs to {owner}")
	got, owner, ran = facts_of(argv, ["--as-root"], env=environment(**sudo), cwd="/")
	if got["uids"] != [0] * 3 or got["env"].get("HOME") != "/root":
		problems.append(f"--as-root: uids {got['uids']}, HOME {got['env'].get('HOME')}")
	return problems


# --- 4. Streams and signals -------------------------------------------------------------------------


def copies_stdin(python):
	data = os.urandom(300000)
	with tempfile.TemporaryDirectory() as folder:
		got = subprocess.run([harness.ASYNCPROF, "-q", "-o", folder + "/out", "--", python, PROGRAM,
				      "copy"], input=data, stdout=subprocess.PIPE, env=environment(),
				     timeout=harness.HANG_S)
	return [] if got.returncode == 0 and got.stdout == data else \
		[f"code {got.returncode}, {len(got.stdout)} bytes of {len(data)} came back changed"]


def ctrl_c(python):
	"""The terminal gives it to both; asyncprof must not give it a second time."""
	ours, theirs = pty.openpty()
	problems = []
	with Started([python, PROGRAM, "signals", "once"], tty=theirs) as run:
		os.close(theirs)
		run.read_until("ready", ours)
		os.write(ours, b"\x03")
		text = run.read_until("total", ours)
		code = run.process.wait(harness.HANG_S)
		try:
			text = run.read_until(None, ours)
		finally:
			os.close(ours)
		if code or f'total {{"{int(signal.SIGINT)}": 1}}' not in text:
			problems.append(f"code {code}, the program said {text!r} {run.said()}")
		if not [r for r in run.records() if r["type"] == "summary" and not r["interim"]]:
			problems.append("no summary")
	return problems


def passed_on(python):
	"""SIGTERM for asyncprof alone: the first is the program's, the second its own.

	Two at once are one, as timeout(1) sends them.
	"""
	problems = []
	with Started([python, PROGRAM, "signals"]) as run:
		run.read_until("ready")
		run.process.send_signal(signal.SIGTERM)
		run.read_until(f"got {int(signal.SIGTERM)}\n")
		run.process.send_signal(signal.SIGTERM)
		time.sleep(2 * BURST_S)
		if run.process.poll() is not None:
			problems.append("asyncprof ended at the first one")
		run.process.send_signal(signal.SIGTERM)
		code = run.process.wait(harness.HANG_S)
		if code or "goes on" not in run.said():
			problems.append(f"code {code}: {run.said()}")
		if not [r for r in run.records() if r["type"] == "summary" and not r["interim"]]:
			problems.append("no summary")
		run.process.stdin.close()
		text = run.read_until(None)
		if f'total {{"{int(signal.SIGTERM)}": 1}}' not in text:
			problems.append(f"the program said {text!r}")
	return problems


def nohup(python):
	"""What is ignored stays ignored in both."""
	def ignore():
		signal.signal(signal.SIGHUP, signal.SIG_IGN)

	got, _, _ = facts_of([python, PROGRAM, "facts"], preexec_fn=ignore)
	problems = [] if got["status"]["SigIgn"] & IGNORES_HUP else ["SIGHUP is not ignored"]
	with Started([python, PROGRAM, "signals"], preexec_fn=ignore) as run:
		run.read_until("ready")
		run.process.send_signal(signal.SIGHUP)
		run.process.stdin.close()
		text = run.read_until("total")
		code = run.process.wait(harness.HANG_S)
	return problems + ([] if code == 0 and "total {}" in text else [f"code {code}, {text!r}"])


# --- 5. asyncprof is killed -------------------------------------------------------------------------


def survives(python, chance):
	with tempfile.TemporaryDirectory() as folder, \
	     Started([python, PROGRAM, "work", folder + "/total"], stdout=subprocess.DEVNULL) as run:
		deadline = time.monotonic() + harness.HANG_S
		while not run.child():
			if run.process.poll() is not None or time.monotonic() > deadline:
				return [f"no program was started: {run.said()}"]
		pid = run.child()
		after = chance.random() * 0.15
		time.sleep(after)
		if pid is None:
			return ["it ended before it could be killed"]
		handle = os.pidfd_open(pid)
		run.process.kill()
		run.process.wait()
		ended = bool(select.select([handle], [], [], harness.HANG_S)[0])
		os.close(handle)
		if not ended:
			stood = state(pid)
			os.kill(pid, signal.SIGKILL)
			return [f"killed after {after * 1000:.0f} ms, the program is in state {stood}"]
		with open(folder + "/total") as file:
			text = file.read()
	total = sum(sum(range(10000)) + i for i in range(30))
	return [] if text == f"total {total}\n" else [f"the program wrote {text!r}"]


def killed_at_random(python):
	seed = int.from_bytes(os.urandom(4), "little")
	chance = random.Random(seed)
	problems = []
	for _ in range(KILLS):
		problems += [f"seed {seed}: {problem}" for problem in survives(python, chance)]
	return problems


# --- 6 and 7. Recordings ------------------------------------------------------------------------------


def time_is_over(python):
	"""The program waits for the file, which is written although it still runs."""
	with tempfile.TemporaryDirectory() as folder:
		path = folder + "/out.apdb"
		svg = folder + "/out.svg"
		got = ask([python, PROGRAM, "wait_for", svg],
			  ["record", "-q", "-d", "0.3", "-o", path, "-o", svg])
		problems = code_is(got, 7, (), "it is there\n")
		return problems + [f"no {one}" for one in (path, svg) if not os.path.exists(one)]


def records(python, argv, code):
	with tempfile.TemporaryDirectory() as folder:
		path, svg = folder + "/out.apdb", folder + "/out.svg"
		got = ask([python] + argv, ["record", "-q", "-o", path, "-o", svg])
		problems = code_is(got, code)
		for one in (path, svg):
			if not os.path.exists(one) or not os.path.getsize(one):
				problems.append(f"no {one}: {got.err}")
		if not problems:
			shown = subprocess.run([harness.ASYNCPROF, "report", path], text=True,
					       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
			if shown.returncode:
				problems.append(f"report: {shown.returncode} {shown.stderr}")
	return problems


def child_outlives(python):
	ours, theirs = os.pipe()
	try:
		with Started([python, PROGRAM, "leaves_child"], stdin=ours) as run:
			os.close(ours)
			code = run.process.wait(harness.HANG_S)
			text = run.read_until("parent ends")
			os.close(theirs)
			theirs = -1
			run.read_until(None)
	finally:
		if theirs >= 0:
			os.close(theirs)
	return [] if code == 0 else [f"code {code}: {text!r}"]


# --- 8. Do no harm ------------------------------------------------------------------------------------


def the_same(python, mode):
	alone = subprocess.run([python, PROGRAM, mode], stdin=subprocess.DEVNULL, env=environment(),
			       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
			       timeout=harness.HANG_S)
	got = ask([python, PROGRAM, mode])
	problems = code_is(got, alone.returncode, (), alone.stdout)
	if got.err != alone.stderr:
		problems.append(f"on stderr {got.err!r}, alone {alone.stderr!r}")
	return problems + ([] if got.hits() else ["it was not watched"])


def shell_handler(python):
	"""A shell's own handler, before it becomes Python."""
	script = ("trap 'echo SIGCONT came' CONT; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; "
		  f"exec {python} {PROGRAM} count")
	got = ask(["bash", "-c", script])
	return all_seen(got) + (["bash was sent SIGCONT"] if "came" in got.out else [])


def stops_itself(python):
	"""Nobody but who would do it anyway lets it go on."""
	with tempfile.TemporaryDirectory() as folder:
		path = folder + "/pid"
		with Started([python, PROGRAM, "harm_stops_itself", path]) as run:
			deadline = time.monotonic() + harness.HANG_S
			while not os.path.exists(path):
				if run.process.poll() is not None or time.monotonic() > deadline:
					return [f"never came so far: {run.said()}"]
				time.sleep(0.01)
			with open(path) as file:
				pid = int(file.read())
			while state(pid) != "T":
				if time.monotonic() > deadline:
					return ["it does not stop"]
				time.sleep(0.01)
			stood = []
			for _ in range(50):
				time.sleep(0.01)
				stood.append(state(pid))
			os.kill(pid, signal.SIGCONT)
			text = run.read_until("goes on")
			code = run.process.wait(harness.HANG_S)
	problems = [] if code == 0 and text == "goes on\n" else [f"code {code}, {text!r}"]
	return problems + ([] if set(stood) == {"T"} else [f"somebody let it go on: {stood}"])


def pyenv(version):
	base = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
	found = sorted(glob.glob(f"{base}/versions/{version}.*/bin/python"))
	return found[0] if found else None


def cases(results, interpreters):
	"""Name and what to call; what takes longest first."""
	by_name = {one["name"]: one for one in interpreters}
	first = by_name.get("debian-3.11") or interpreters[0]
	python = first["python"]
	yield f"a program goes on when asyncprof is killed ({KILLS} times)", killed_at_random, python
	yield "first callback: asyncio imported late", seen_through, python, "asyncio imported late"
	for interpreter in interpreters:
		yield f"first callback: {interpreter['name']}", seen_by, interpreter
	for how in ("a shebang", "env in a shebang", "env", "sh that execs", "a shim in bash",
		    "Python that becomes Python"):
		yield f"first callback: {how}", seen_through, python, how
	yield "first callback: under load", under_load, python
	yield "Python that a shell forks is not watched, and that is said", not_through_fork, python
	yield "Python that ends at once", ends_at_once, python
	for code in (0, 3, 255):
		yield f"the program's own exit code {code}", own_code, python, code
	for number in (signal.SIGTERM, signal.SIGKILL):
		yield f"a program killed by {number.name}", killed, python, int(number)
	yield "programs that can't be started", not_started, python
	yield "programs that never become Python", never_python
	for version in ("2.7", "3.6", "3.7"):
		old = pyenv(version)
		if old:
			yield f"CPython {version} runs unwatched", unsupported, old
		else:
			results.skip(f"CPython {version} runs unwatched", f"pyenv install {version}")
	yield "a program is started as it would be without asyncprof", same_as_alone, python
	yield "a program of the user behind sudo", behind_sudo, python
	yield "stdin reaches the program, stdout is its own", copies_stdin, python
	yield "Ctrl-C reaches the program once", ctrl_c, python
	yield "SIGTERM is passed on once", passed_on, python
	yield "SIGHUP stays ignored", nohup, python
	yield "files are written when the time is over", time_is_over, python
	yield "record: a program that fails", records, python, \
		["-c", "import asyncio; asyncio.run(asyncio.sleep(0.1)); raise SystemExit(9)"], 9
	yield "record: a loop that never runs", records, python, ["-c", "import asyncio"], 0
	yield "a child that outlives the program", child_outlives, python
	for mode in HARMLESS:
		yield f"the same with and without asyncprof: {mode}", the_same, python, mode
	yield "a shell's handler of SIGCONT is not called", shell_handler, python
	yield "a program that stops itself", stops_itself, python


def call(function, *args):
	try:
		return function(*args)
	except Exception as error:  # one case that breaks is a failure, not the end of all
		return f"{type(error).__name__}: {error}"


def run(results, interpreters):
	todo = list(cases(results, interpreters))
	with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
		futures = [pool.submit(call, *case[1:]) for case in todo]
		for case, future in zip(todo, futures):
			results.check(case[0], future.result())
