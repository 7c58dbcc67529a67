# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Targets in namespaces, containers, chroots and on overlayfs; with their files deleted or replaced;
and asyncprof itself in a pid namespace.

All of it is made here with unshare, mount and chroot, in mount namespaces that end with their last
process. In each the main job must give task, coroutine, cause and line, under the numbers that
asyncprof's own /proc has for process and threads.
"""
import contextlib
import glob
import os
import shutil
import signal
import subprocess

import causes
import harness
import helpers
import judge
import launched
from refusals import refused

CASES = ("sleep", "recv", "slow_read", "lock", "gil_held_by_c", "cpu_python", "plain_callback")
FEW = ("sleep", "cpu_python", "plain_callback")
FOLDER = os.path.join(harness.BUILD, "spaces")

# Each becomes the target in the end, or has it as its only descendant.
PID = 'exec unshare --pid --fork --kill-child sh -c "$SETUP" sh "$@"'
USER = '''
exec unshare --user --map-root-user --pid --fork --kill-child --mount --propagation private \\
	sh -ec '[ -n "$TREE" ] || mount -t proc proc /proc; exec sh -c "$SETUP" sh "$@"' sh "$@"
'''
NESTED = '''
exec unshare --pid --fork --kill-child --mount-proc \\
	unshare --pid --fork --kill-child sh -c "$SETUP" sh "$@"
'''
# As container runtimes do it: a root of its own, on overlayfs.
CONTAINER = '''
exec unshare --user --map-root-user --pid --fork --kill-child --mount --propagation private \\
	sh -ec '
root=$SPACE/root
mount -t tmpfs none "$SPACE"
mkdir "$root" "$SPACE/upper" "$SPACE/work"
mount -t overlay none -o "lowerdir=${TREE:-/},upperdir=$SPACE/upper,workdir=$SPACE/work" "$root"
mount --rbind /dev "$root/dev"
mount --bind "$CHECKOUT" "$root$CHECKOUT"
mount -t proc proc "$root/proc"
mkdir -p "$root/mnt"
if [ -n "$REAL" ]; then
	touch "$root/mnt/python"
	mount --bind "$TREE$REAL" "$root/mnt/python"
fi
cd "$root"
mount --move . /
exec chroot . "$@"' sh "$@"
'''
MOUNTED = '''
mount -t tmpfs none /mnt
touch /mnt/python
mount --bind "$REAL" /mnt/python
exec sh -c "$SETUP" sh "$@"
'''


def child_of(pid):
	for other in filter(str.isdigit, os.listdir("/proc")):
		with contextlib.suppress(OSError), open(f"/proc/{other}/status") as file:
			if f"PPid:\t{pid}\n" in file:
				return int(other)
	return None


class Within(harness.Target):
	"""A target that may be a descendant of what was started, and has other numbers than ours.

	`place`: 0, or how many pid namespaces below ours asyncprof is, which numbers it in its way.
	"""
	place = 0

	def hello(self):
		fact = super().hello()
		self.cases = fact.get("cases")
		self.parent = None
		while child := child_of(self.pid):
			self.parent, self.pid = self.pid, child
		self.learn_tids()
		return fact

	def numbers(self):
		"""Of each thread, those of its namespaces: ours, then one a namespace down."""
		for tid in os.listdir(f"/proc/{self.pid}/task"):
			with open(f"/proc/{self.pid}/task/{tid}/status") as file:
				yield [[int(n) for n in line.split()[1:]] for line in file
				       if line.startswith("NSpid:")][0]

	def learn_tids(self):
		self.tids = {own[-1]: own[self.place] for own in self.numbers()}
		self.number = next(own[self.place] for own in self.numbers() if own[0] == self.pid)

	def facts(self, *kinds):
		return [dict(fact, tid=self.tids.get(fact["tid"])) if "tid" in fact else fact
			for fact in super().facts(*kinds)]


class Below(harness.Profiler):
	"""asyncprof as a child of what was started, which passes on no signal."""

	def stop(self):
		os.kill(child_of(self.process.pid), signal.SIGINT)
		return self.finish()

	def __exit__(self, *exception):
		if self.process.poll() is None and child_of(self.process.pid):
			os.kill(child_of(self.process.pid), signal.SIGKILL)
		super().__exit__(*exception)


class Helpers(helpers.Helpers):
	def outer_tid(self, tid):
		return {"tid": {own[-1]: own[self.target.place]
				for own in self.target.numbers()}.get(tid)}


def target_of(interpreter, name, *args, program="causes.py", place=0, env=None, **more):
	target = Within(interpreter, program, *args, env={"SPACE": FOLDER, **(env or {})}, first=True,
			log="spaces." + name.replace(" ", "_"), **more)
	target.place = place
	return target


def judge_causes(results, name, target, profiler, root):
	_, left = causes.judge_cases(results, name + ":", target, profiler, target.number, root)
	results.check(f"{name}: no false stalls", left)


def ended(profiler, summary, *targets):
	problems = judge.account_problems(summary)
	codes = [target.finish() for target in targets]
	if any(codes) or profiler.code:
		problems.append(f"exit codes {codes} {profiler.code}: {profiler.said()} "
				+ " ".join(target.said() for target in targets))
	return problems


def attach_and_judge(results, name, targets, within=(), kind=harness.Profiler):
	"""`targets`: of causes.py, they have said hello; `within`: what asyncprof is started by."""
	with contextlib.ExitStack() as stack:
		profiler = stack.enter_context(kind(*(target.number for target, _ in targets),
						    log="spaces." + name.replace(" ", "_"), within=within))
		profiler.started()
		for target, _ in targets:
			target.send("go")
			target.serve(stack.enter_context(Helpers(target)))
		# First, as it may be in a pid namespace that ends with the target.
		summary = profiler.stop()
		for target, _ in targets:
			target.send("bye")
		results.check(f"{name}: accounting", ended(profiler, summary, *(t for t, _ in targets)))
		for i, (target, root) in enumerate(targets):
			judge_causes(results, f"{name} {i + 1}" if len(targets) > 1 else name, target,
				     profiler, root)


# --- The target ---------------------------------------------------------------------------------


def in_namespaces(results, interpreter, what, setup):
	name = f"{interpreter['name']} {what}"
	with target_of(interpreter, name, *CASES, setup=setup) as target:
		target.hello()
		attach_and_judge(results, name, [(target, interpreter["root"])])


def in_our_mount_namespace(results, interpreter, what):
	"""asyncprof goes into the mount namespace that the harness has made."""
	name = f"{interpreter['name']} {what}"
	with target_of(interpreter, name, *FEW) as target:
		target.hello()
		attach_and_judge(results, name, [(target, interpreter["root"])],
				 ["nsenter", f"--mount=/proc/{target.pid}/ns/mnt"])


def without_main_thread(results, interpreter, what):
	"""The kernel shows no mapped files of such a process: they are found by their paths."""
	name = f"{interpreter['name']} {what}"
	with target_of(interpreter, name, program="main_thread_leaves.py", setup=CONTAINER) as target:
		target.hello()
		target.send("go")
		target.wait("gone")
		target.learn_tids()
		with harness.Profiler(target.pid, log="spaces." + name.replace(" ", "_")) as profiler:
			profiler.started()
			target.send("run")
			target.wait("done")
			target.send("bye")
			summary = profiler.stop()
			problems = ended(profiler, summary, target)
		judged = judge.Judge(target.facts("truth", "case"), profiler.closed(), target.offset,
				     target.number, causes.THRESHOLD_NS).judge()
		if not judged:
			problems.append("the program ran no case")
		results.check(name, problems + sum(judged.values(), []))


def without_its_files(results, interpreter, what):
	"""Its program and its _asyncio are gone, or are others, when asyncprof comes."""
	name = f"{interpreter['name']} files {what}"
	found = glob.glob(f"{interpreter['root']}/usr/lib/python{interpreter['minor']}/lib-dynload/"
			  "_asyncio.*.so")
	files = [shutil.copy(os.path.realpath(interpreter["root"] + interpreter["python"]),
			     FOLDER + "/python"), shutil.copy(found[0], FOLDER)]
	env = {"PYTHONHOME": "/usr",
	       "PYTHONPATH": ":".join((FOLDER, harness.PROGRAMS, interpreter["site"]))}
	with target_of(dict(interpreter, python=files[0]), name, *FEW, env=env) as target:
		target.hello()
		for path in files:
			if what == "replaced":
				shutil.copy("/bin/true", path + ".new")
				os.rename(path + ".new", path)
			else:
				os.unlink(path)
		attach_and_judge(results, name, [(target, interpreter["root"])])


def one_path(results, ours, other):
	"""Two processes, each with a /mnt/python of its own."""
	name = "one path, two files"
	with target_of(dict(ours, python="/mnt/python"), name + " 1", *FEW, setup=MOUNTED,
		       env={"PYTHONHOME": "/usr", "REAL": ours["python"]}) as first, \
			target_of(dict(other, python="/mnt/python"), name + " 2", *FEW, setup=CONTAINER,
				  env={"PYTHONHOME": "/usr", "REAL": other["python"]}) as second:
		first.hello()
		second.hello()
		paths = {os.readlink(f"/proc/{target.pid}/exe") for target in (first, second)}
		results.check(f"{name}: it is one path", "" if len(paths) == 1 else f"{paths}")
		attach_and_judge(results, name, [(first, ""), (second, "")])


# --- asyncprof ----------------------------------------------------------------------------------


def below(results, interpreter, what, setup, place):
	"""asyncprof in the pid namespace of the target's parent, or in its own with our /proc."""
	name = f"asyncprof {what}"
	with target_of(interpreter, name, *CASES, setup=setup, place=place) as target:
		target.hello()
		beside = target.parent if place else target.pid
		within = ["nsenter", f"--pid=/proc/{beside}/ns/pid"]
		if place:
			within.append(f"--mount=/proc/{beside}/ns/mnt")
		attach_and_judge(results, name, [(target, interpreter["root"])], within, Below)


def starts_a_program(results, interpreter, what, *options):
	argv, env = launched.command(interpreter, "count")
	got = launched.ask(argv, env=env, within=["unshare", "--pid", "--fork", "--kill-child", *options])
	said = [int(line.split()[1]) for line in got.out.split("\n") if line.startswith("callbacks ")]
	results.check(f"asyncprof {what} starts a program",
		      launched.code_is(got, 0) or
		      ("" if said == [got.hits()] else f"the program said {said}, asyncprof {got.hits()}"))


def outside(results, interpreter):
	"""System calls of ours can't name it: refused, by doctor as well."""
	name = "refuses a process outside of asyncprof's pid namespace"
	with target_of(interpreter, name, *FEW) as target:
		target.hello()
		for command in ([], ["doctor"]):
			got = subprocess.run(["unshare", "--pid", "--fork", "--kill-child",
					      harness.ASYNCPROF, *command, "-p", str(target.pid)],
					     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
					     timeout=harness.HANG_S)
			if command:
				results.check(f"{name}, doctor", "" if got.returncode == 5 else
					      f"exit code {got.returncode}: {got.stdout} {got.stderr}")
			else:
				results.check(name, refused(got, 5, ("namespace", "--pid=host")))


def run(results, interpreters):
	named = {one["name"]: one for one in interpreters}
	ours, other = named.get("debian-3.11"), named.get("debian-3.13")
	for what, *args in (
			(in_namespaces, ours, "pid namespace", PID),
			(in_namespaces, ours, "user, pid and mount namespace", USER),
			(in_namespaces, other, "container", CONTAINER),
			(in_our_mount_namespace, other, "chroot in our own mount namespace"),
			(without_main_thread, other, "container without its main thread"),
			(without_its_files, ours, "deleted"),
			(without_its_files, ours, "replaced"),
			(one_path, ours, other),
			(below, ours, "in a pid namespace with our proc", PID, 0),
			(below, ours, "in a pid namespace with its own proc", NESTED, 1),
			(starts_a_program, ours, "in a pid namespace with our proc"),
			(starts_a_program, ours, "in a pid namespace with its own proc", "--mount-proc"),
			(outside, ours)):
		if None in args:
			continue
		shutil.rmtree(FOLDER, ignore_errors=True)
		os.makedirs(FOLDER)
		try:
			what(results, *args)
		except harness.Hang as hang:
			results.check(f"{what.__name__} {args[1:2]}", str(hang))
	shutil.rmtree(FOLDER, ignore_errors=True)
