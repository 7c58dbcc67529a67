# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Processes that exec, fork, start or exit at random moments while asyncprof attaches or watches.

It must end with a reason or go on, and must never tell of another process or program image than the
one that it was asked for: what stalls is named after both. Whatever it takes away from here is
looked for: processes, descriptors, entries of maps. The seed that is printed, in RACES_SEED in the
environment, brings the same choices again. soak.py runs many more of them.
"""
import collections
import concurrent.futures
import contextlib
import ctypes
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import harness
import interpreters
import judge
import same
from refusals import refused

AT_A_TIME = 6
RACES, STARTS, REUSES = 60, 40, 6
SOAK_RACES, SOAK_STARTS, SOAK_REUSES, SOAK_STEP = 2000, 1000, 200, 50
KINDS = ("exits", "execs", "execs from a thread", "becomes another program", "forks",
	 "loses its main thread", "is killed", "lasts")
PROGRAM = os.path.join(harness.PROGRAMS, "races.py")
WATCH_S = 0.8		# how long asyncprof watches at most
ATTACH_S = 0.4		# about how long it needs to attach
START_S = 0.15		# about how long Python needs to start
CHURN_MIN = 80		# callbacks of two turns at least
FDS_MORE = 10
OBJECTS_MIN = 20	# programs, maps, and a link for each of some 30 probes
MARK = "ASYNCPROF_RACES"
BPF, MAP_NEXT_KEY = 321, 4
FD_BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}


def environment(**more):
	return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", MARK: str(os.getpid()),
		"PYTHONPATH": harness.PROGRAMS, "PYTHONDONTWRITEBYTECODE": "1", **more}


def marked():
	"""Processes that this suite has started and that still run: (pid, program)."""
	found, mark = [], f"{MARK}={os.getpid()}\0".encode()
	for pid in filter(str.isdigit, os.listdir("/proc")):
		try:
			with open(f"/proc/{pid}/environ", "rb") as file:
				if mark in file.read() and int(pid) != os.getpid():
					found.append((int(pid), os.readlink(f"/proc/{pid}/exe")))
		except OSError:
			continue
	return found


def wait_none(find):
	"""Until it finds none; what is still there when that never comes."""
	deadline = time.monotonic() + harness.HANG_S
	while (found := find()) and time.monotonic() < deadline:
		time.sleep(0.01)
	return found


class Run:
	"""asyncprof from its start to its end, which must come by itself."""

	def __init__(self, pid, *options):
		self.errors = tempfile.TemporaryFile("w+")
		self.process = subprocess.Popen(
			[harness.ASYNCPROF, "-p", str(pid), "--json", "-t", "5ms", *options],
			env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			stderr=self.errors, text=True)
		self.timer = threading.Timer(harness.HANG_S, self.process.kill)
		self.timer.start()
		self.first = ""

	def wait_first(self):
		"""Every probe is live, or it has ended."""
		self.first = self.process.stdout.readline()

	def end(self):
		self.out = self.first + self.process.stdout.read()
		self.code = self.process.wait()
		self.timer.cancel()
		self.process.stdout.close()
		self.errors.seek(0)
		self.err = self.errors.read()
		self.errors.close()

	def problems(self, wanted):
		"""Exit code 3 with a reason, or 0 with such a record."""
		if self.code == 3:
			return refused(subprocess.CompletedProcess("", 3, self.out, self.err), 3)
		if self.code or f'{{"type":"{wanted}"' not in self.out:
			return [f"exit code {self.code}: {self.err} {self.out[-200:]}"]
		return []


def end_group(process):
	"""The target with all that it has forked; it leads a group of its own."""
	try:
		os.killpg(process.pid, signal.SIGKILL)
	except ProcessLookupError:
		pass
	process.wait()


def members(records):
	"""Whom they say that asyncprof watched."""
	for record in records:
		if record["type"] == "start":
			yield from (target["pid"] for target in record["targets"])
		elif record["type"] == "joined":
			yield record["target"]["pid"]


def check_records(text, pid, exec_ts=None, follows=False):
	"""
	Every stall is of that process, and of one image: the first, if it ran at asyncprof's `start`.
	With -s of it or what it has forked, and of any image.
	"""
	problems, images, records = [], set(), []
	for line in text.split("\n"):
		if line:
			try:
				records.append(json.loads(line))
			except ValueError:
				problems.append(f"no JSON: {line[:100]!r}")
	watched = set(members(records)) if follows else {pid}
	for record in records:
		if record["type"] != "slow":
			continue
		owner, _, image = (record["task"] or f"{record['pid']}.").partition(".")
		images |= {image} if image and not follows else set()
		if record["pid"] not in watched or owner != str(record["pid"]):
			problems.append(f"of another one than {watched}: {record['pid']} {record['task']}")
	if exec_ts and records and records[0]["ts"] < exec_ts and not follows:
		images.add("1")
	if len(images) > 1:
		problems.append(f"of program images {images}, and it was asked for one")
	summaries = [record for record in records if record["type"] == "summary"]
	if summaries:
		problems += judge.account_problems(summaries[-1])
	return problems, records


def reason(err):
	"""Without what is another one each time."""
	return re.sub(r"process \d+( \(\S+\))?|asyncprof: |;.*|with pid \d+", "", err, flags=re.S).strip()


def race(python, kind, watched, follows, chance):
	"""
	(problems, what came of it) of one target with one asyncprof; `watched`: not while it attaches;
	`follows`: with what it starts.
	"""
	options = ("-s",) if follows else ()
	seconds, watch = chance.random() * (WATCH_S if watched else ATTACH_S), chance.random() * WATCH_S
	process = subprocess.Popen([python, PROGRAM, "lasts" if kind == "is killed" else kind,
				    str(seconds)], env=environment(), stdin=subprocess.PIPE,
				   stdout=subprocess.PIPE, start_new_session=True, text=True)
	try:
		if watched:
			process.stdout.readline()
		else:
			time.sleep(START_S * 2 * chance.random())
		run = Run(process.pid, "-d", f"{watch + 0.05:.3f}", *options)
		if watched:
			run.wait_first()
		process.stdin.close()
		if kind == "is killed":
			time.sleep(seconds)
			process.kill()
		run.end()
	finally:
		end_group(process)
	with process.stdout:
		said = re.search(r"exec (\S+)", process.stdout.read())
	problems, records = check_records(run.out, process.pid, said and float(said.group(1)), follows)
	if watched and run.code:
		problems.append("it was there, and was refused")
	return [f"{kind} after {seconds:.3f} s{' -s' if follows else ''}: {one}" for one in problems + run.problems("summary")], \
		reason(run.err) or ("stalls" if any(r["type"] == "slow" for r in records) else "no stall")


def start_up(python, chance):
	"""Attached, and then it must see a stall; or a reason. Not Python yet is one."""
	process = subprocess.Popen(["sh", "-c", 'read x; exec "$0" "$@"', python, PROGRAM, "lasts", "0"],
				   env=environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
				   start_new_session=True)
	offset = (chance.random() - 0.3) * START_S * 2
	try:
		if offset < 0:
			process.stdin.close()
			time.sleep(-offset)
		run = Run(process.pid, "-n", "1")
		if offset >= 0:
			time.sleep(offset / 4)
			process.stdin.close()
		run.end()
	finally:
		end_group(process)
	problems, _ = check_records(run.out, process.pid)
	return [f"at {offset:.3f} s: {one}" for one in problems + run.problems("slow")], \
		reason(run.err) if run.code else "attached"


def tally(words):
	return ", ".join(f"{count} {word}" for word, count in collections.Counter(words).most_common())


def races(python, seed, cnt):
	return [(race, python, KINDS[i // 2 % len(KINDS)], i % 2, i // 2 // len(KINDS) % 2,
		 random.Random(f"{seed} {i}")) for i in range(cnt)]


def starts(python, seed, cnt):
	return [(start_up, python, random.Random(f"{seed} start {i}")) for i in range(cnt)]


def side_by_side(calls):
	"""Each call gives (problems, what came of it); a list of both."""
	with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
		done = [future.result() for future in [pool.submit(*call) for call in calls]]
	return sum((problems for problems, _ in done), []), [what for _, what in done]


def reuses(python, seed, cnt):
	"""The same of pids that are used again at once, see reuse.py."""
	got = subprocess.run(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable,
			      os.path.join(harness.HERE, "reuse.py"), python, str(seed), str(cnt)],
			     stdout=subprocess.PIPE, env=environment(), text=True)
	rounds = [json.loads(line) for line in got.stdout.split("\n") if line]
	if rounds and "skip" in rounds[-1]:
		raise interpreters.Missing(rounds[-1]["skip"],
					   "run it as root, with CONFIG_CHECKPOINT_RESTORE")
	problems = sum((one["problems"] for one in rounds), [])
	if got.returncode or len(rounds) != cnt:
		problems.append(f"{len(rounds)} rounds, exit code {got.returncode}")
	return problems, [one["what"] for one in rounds]


def bpf(command, *attributes):
	attr = ctypes.create_string_buffer(struct.pack(*attributes), 128)
	return ctypes.CDLL(None).syscall(BPF, command, attr, 128)


def descriptors(profiler):
	"""What the kernel says of each: a dictionary."""
	folder = f"/proc/{profiler.process.pid}/fdinfo"
	for name in os.listdir(folder):
		with contextlib.suppress(FileNotFoundError), open(f"{folder}/{name}") as file:
			yield dict(line.split(":", 1) for line in file if ":" in line)


def entries(profiler):
	"""The threads in asyncprof's map of them: a hash with 8 bytes of key and large values."""
	found = [int(info["map_id"]) for info in descriptors(profiler)
		 if int(info.get("map_type", 0)) == 1 and int(info["key_size"]) == 8 and
		 int(info["value_size"]) > 1024]
	fd, key = bpf(FD_BY_ID["map_id"], "=I", found[0]), ctypes.create_string_buffer(8)
	if fd < 0:
		raise OSError("asyncprof's map of threads can't be opened")
	at, tids = 0, []
	while not bpf(MAP_NEXT_KEY, "=I4xQQ", fd, at, ctypes.addressof(key)):
		at = ctypes.addressof(key)
		tids.append(struct.unpack("=II", key.raw)[0])
	os.close(fd)
	return tids


def still_there(objects):
	"""Of the kernel's maps, programs and links, named by kind and number, those that exist."""
	for kind, number in sorted(objects):
		fd = bpf(FD_BY_ID[kind], "=I", number)
		if fd >= 0:
			os.close(fd)
			yield f"{kind} {number}"


def nothing_piles_up(results, interpreter):
	"""Loops in threads that come and go, forks inside callbacks: what is over leaves no entry."""
	name = f"{interpreter['name']} threads and forks leave nothing in asyncprof"
	problems, fds = [], []
	with harness.Target(interpreter, "races.py", "churn", log="races.churn") as target:
		target.hello()
		target.send("go")	# asyncprof attaches in the middle of it
		with harness.Profiler(target.pid, log="races.churn", threshold="100ms") as profiler:
			profiler.started()
			for turn in range(3):
				target.wait("done", turn=turn)
				# The kernel's last word on a thread comes after its end is seen.
				left = wait_none(lambda: set(entries(profiler)) - {target.pid})
				if left:
					problems.append(f"turn {turn}: entries of threads {left}, "
							f"the process is {target.pid}")
					break
				fds.append(len(list(descriptors(profiler))))
				target.send("go")
			objects = {(kind, int(info[kind])) for info in descriptors(profiler)
				   for kind in FD_BY_ID if kind in info}
			summary = profiler.stop()
			# Some go after a grace period of RCU.
			problems += [f"it has left {one}" for one in
				     wait_none(lambda: list(still_there(objects)))]
			if len(objects) < OBJECTS_MIN:
				problems.append(f"it had {len(objects)} kernel objects only: {objects}")
			target.send("bye")
			target.finish()
	# It opens one or the other of /proc all the time; of what piles up there is one a thread.
	if fds and fds[-1] - fds[0] >= FDS_MORE:
		problems.append(f"numbers of descriptors: {fds}")
	seen = sum(loop["callbacks"] or 0 for loop in summary["loops"]) if summary else 0
	if seen < CHURN_MIN:
		problems.append(f"{seen} callbacks were seen")
	results.check(name, problems + judge.account_problems(summary))


def of_this_system(found):
	"""One of this system, as a tree needs mounts; Debian's own is the first."""
	return next((one for one in found if not one["root"]), None)


def new_seed():
	return int(os.environ.get("RACES_SEED", int.from_bytes(os.urandom(4), "little")))


def run(results, found):
	interpreter, seed = of_this_system(found), new_seed()
	if not interpreter:
		return results.skip("races", "no interpreter of this system; apt-get install python3")
	name, python = interpreter["name"], interpreter["python"]
	for calls, cnt, words in ((races, RACES, "races"), (starts, STARTS, "attaches while it starts")):
		problems, came = side_by_side(calls(python, seed, cnt))
		results.check(f"{name} {cnt} {words} (seed {seed}, {tally(came)})", problems)
	try:
		problems, came = reuses(python, seed, REUSES)
		results.check(f"{name} a pid used again at once (seed {seed}, {tally(came)})", problems)
	except interpreters.Missing as missing:
		results.skip(f"{name} a pid used again at once", f"{missing.why}; {missing.remedy}")
	nothing_piles_up(results, interpreter)
	return results.check("no process is left", [f"{one}" for one in wait_none(marked)])


def soak(found, around):
	"""Races, attaches to what starts, and pids used again, 50 at a time."""
	def again(what, python):
		seed = new_seed()
		problems, came = what(python, seed)
		problems += [f"left: {one}" for one in wait_none(marked)]
		return problems + ([f"seed {seed}"] if problems else []), collections.Counter(came), []

	interpreter = of_this_system(found)
	kinds = (("races", SOAK_RACES, lambda *args: side_by_side(races(*args, SOAK_STEP))),
		 ("attaches while it starts", SOAK_STARTS,
		  lambda *args: side_by_side(starts(*args, SOAK_STEP))),
		 ("pids used again", SOAK_REUSES, lambda *args: reuses(*args, SOAK_STEP)))
	return [same.Item(f"{interpreter['name']} {name}", cnt, SOAK_STEP,
			  lambda what=what: again(what, interpreter["python"]), 120)
		for name, cnt, what in kinds if interpreter]
