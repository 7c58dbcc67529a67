# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What can't be done is refused in one clear line on stderr, with its own exit code, at once.

Nothing may be on stdout then, and `doctor` must say the same.
"""
import json
import os
import random
import shutil
import subprocess
import tempfile
import threading

import harness

USAGE = (
	("nothing", []), ("no such command", ["frobnicate"]), ("no such option", ["--frobnicate"]),
	("a pid that is none", ["-p", "one"]), ("a negative pid", ["-p", "-1"]),
	("pid zero", ["-p", "0"]), ("a pid too large", ["-p", "99999999999"]),
	("a threshold without unit", ["-p", "PID", "-t", "5"]),
	("a negative threshold", ["-p", "PID", "-t", "-5ms"]),
	("no duration", ["-p", "PID", "-d", "0"]), ("no stalls", ["-p", "PID", "-n", "0"]),
	("a threshold that is none", ["-p", "PID", "-t", "soon"]),
	("two formats", ["-p", "PID", "--json", "--log"]),
	("a tier that is none", ["-p", "PID", "--tier", "loud"]),
	("a cause that is none", ["-p", "PID", "--cause", "bad luck"]),
	("an option without its value", ["-p"]),
)


def ask(options, **more):
	return subprocess.run([harness.ASYNCPROF] + options, stdin=subprocess.DEVNULL,
			      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
			      timeout=harness.HANG_S, **more)


def refused(got, code, words=()):
	problems = []
	if got.returncode != code:
		problems.append(f"exit code {got.returncode}, wanted {code}: {got.stderr.strip()}")
	if got.stdout:
		problems.append(f"on stdout: {got.stdout[:200]}")
	lines = got.stderr.strip().split("\n")
	if len(lines) != 1 or not lines[0].startswith("asyncprof: "):
		problems.append(f"not one line: {got.stderr}")
	for word in words:
		if word not in got.stderr:
			problems.append(f"'{word}' is not in: {got.stderr}")
	return problems


def check(results, name, pid, code, words=()):
	results.check(f"refuses {name}", refused(ask(["-p", str(pid)]), code, words))
	doctor = ask(["doctor", "-p", str(pid)])
	results.check(f"doctor refuses {name}", [f"exit code {doctor.returncode}, wanted {code}"]
		      if doctor.returncode != code else [])


def dead_pid():
	gone = subprocess.Popen(["true"])
	gone.wait()
	return gone.pid


def unsupported(results):
	base = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
	for version in ("2.7", "3.6", "3.7"):
		found = [name for name in os.listdir(base + "/versions")
			 if name.startswith(version + ".")] if os.path.isdir(base + "/versions") else []
		if not found:
			results.skip(f"refuses CPython {version}", f"pyenv install {version}")
			continue
		python = f"{base}/versions/{found[0]}/bin/python"
		interpreter = {"root": "", "python": python, "site": ""}
		with harness.Target(interpreter, "waits.py", "plain", log="refusals.old") as target:
			target.hello()
			check(results, f"CPython {version}", target.pid, 6, ("3.8",))


def foreign_loop(results, interpreters):
	for interpreter in interpreters:
		if interpreter["name"] != "debian-3.11":
			continue
		library = os.path.join(harness.BUILD, "uvloop", "loop.so")
		os.makedirs(os.path.dirname(library), exist_ok=True)
		subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", library],
			       check=True)
		with harness.Target(interpreter, "waits_unknown.py", library,
				    log="refusals.unknown") as target:
			target.hello()
			check(results, "a uvloop that it does not know", target.pid, 6, ("uvloop",))
		with harness.Target(interpreter, "waits_unknown.py", library, "asyncio",
				    log="refusals.both") as target:
			target.hello()
			beside_asyncio(results, target.pid)


def unsupported_loops(results, interpreters):
	"""By their names, at attach and when they come later."""
	for interpreter in interpreters:
		if interpreter["name"] != "debian-3.11":
			continue
		for module in ("gevent", "trio", "rloop"):
			if module not in interpreter["modules"]:
				results.skip(f"refuses {module}", interpreter.get("why", "not there"))
				continue
			with harness.Target(interpreter, "waits_foreign.py", module,
					    log="refusals." + module) as target:
				target.hello()
				check(results, module, target.pid, 6, (module, "not supported"))
			log = f"refusals.{module}.later"
			with harness.Target(interpreter, "waits_foreign.py", module, "later",
					    log=log) as target:
				target.hello()
				with harness.Profiler(target.pid, log=log) as profiler:
					profiler.started()
					target.send("go")
					try:
						profiler.wait_said(module)
						problems = []
					except harness.Hang as hang:
						problems = str(hang)
					profiler.stop()
			if profiler.said().count(module) > 1:
				problems = f"it is said again and again: {profiler.said()}"
			results.check(f"says {module} that comes later", problems)


def beside_asyncio(results, pid):
	"""It does not spoil a process that has a loop of asyncio's: that one is watched, and said."""
	got = ask(["-p", str(pid), "--json", "-d", "0.2"])
	degraded = json.loads(got.stdout.split("\n")[0])["degraded"] if got.stdout else []
	problems = [f"exit code {got.returncode}: {got.stderr}"] if got.returncode else []
	if not any("uvloop" in one for one in degraded):
		problems.append(f"uvloop is not among what is degraded: {degraded}")
	results.check("watches asyncio beside uvloop", problems)


def ends_meanwhile(results, interpreter, what):
	"""Exits, or becomes another program, at any moment of the attach."""
	problems, seed = [], int.from_bytes(os.urandom(4), "little")
	chance, codes = random.Random(seed), {}
	for turn in range(10):
		with harness.Target(interpreter, "waits.py", what, log="refusals.exits") as target:
			target.hello()
			timer = threading.Timer(chance.random() * 0.5, target.commands.sendall, [b"x"])
			timer.start()
			got = ask(["-p", str(target.pid), "--json", "-d", "3"])
			timer.join()
		codes[got.returncode] = codes.get(got.returncode, 0) + 1
		if got.returncode == 3:
			problems += refused(got, 3)
		elif got.returncode or '"summary"' not in got.stdout:
			problems.append(f"turn {turn}: exit code {got.returncode}: {got.stderr}")
	results.check(f"{interpreter['name']} that {what} while attaching (seed {seed}, codes {codes})",
		      problems)


def without_btf(results, pid):
	"""A kernel without type information, as it looks in a mount namespace of the test's own."""
	got = subprocess.run(["unshare", "--mount", "sh", "-c",
			      'mount -t tmpfs none /sys/kernel/btf && exec "$0" -p "$1"',
			      harness.ASYNCPROF, str(pid)], stdin=subprocess.DEVNULL,
			     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
			     timeout=harness.HANG_S)
	results.check("refuses without BTF", refused(got, 5, ("BTF",)))


def without_root(results, pid):
	folder = tempfile.mkdtemp()
	try:
		os.chmod(folder, 0o755)
		binary = shutil.copy(harness.ASYNCPROF, folder)
		got = subprocess.run([binary, "-p", str(pid)], stdout=subprocess.PIPE,
				     stderr=subprocess.PIPE, text=True, user=65534, group=65534,
				     extra_groups=[], cwd="/", timeout=harness.HANG_S)
		results.check("refuses without root", refused(got, 4, ("root",)))
	finally:
		shutil.rmtree(folder)


def run(results, interpreters):
	check(results, "no such process", dead_pid(), 3, ("no process",))
	with subprocess.Popen(["sleep", "600"]) as other:
		check(results, "not Python", other.pid, 3, ("sleep", "not Python"))
		other.kill()
	check(results, "a kernel thread", 2, 3)
	one = [each for each in interpreters if each["name"] == "debian-3.11"] or interpreters
	with harness.Target(one[0], "waits.py", "asyncio", log="refusals.usage") as target:
		target.hello()
		for name, options in USAGE:
			options = [str(target.pid) if each == "PID" else each for each in options]
			results.check(f"refuses {name}", refused(ask(options), 2))
		results.check("refuses the light tier", refused(
			ask(["-p", str(target.pid), "--tier", "light"]), 6, ("exact",)))
		results.check("refuses to write where it can't", refused(
			ask(["-p", str(target.pid), "-o", "/nowhere/file"]), 1, ("/nowhere/file",)))
		without_root(results, target.pid)
		without_btf(results, target.pid)
	for what in ("exits", "execs"):
		ends_meanwhile(results, one[0], what)
	for interpreter in interpreters:
		what = {"debian-3.14": "exits", "debian-3.15": "execs"}.get(interpreter["name"])
		if what and interpreter is not one[0]:
			ends_meanwhile(results, interpreter, what)
	unsupported(results)
	foreign_loop(results, interpreters)
	unsupported_loops(results, interpreters)
