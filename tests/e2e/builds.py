# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Every interpreter that is here is laid out as we think, and one that is not is refused by name.

Each runs a task that hangs: its name, line and cause must be told, and doctor must say where the
layout comes from. Then come copies that lie about themselves (forged.py): a pre-release, a build
without the GIL, tables of another version, fields that a patch release would have moved.
"""
import glob
import json
import os
import time

import forged
import harness
import ongoing
import refusals

OWN, PYTHON, BOTH = ("asyncprof's own table", "_Py_DebugOffsets",
		     "_Py_DebugOffsets and .AsyncioDebug")
# Words of _Py_DebugOffsets, Include/internal/pycore_debug_offsets.h: 3.13, 3.14, 3.15.
WORDS = {"threads_head": (9, 9, 9), "gil_holder": (18, 19, 19), "current_frame": (23, 26, 26),
	 "previous": (29, 32, 40), "instr_ptr": (31, 34, 42), "filename": (35, 40, 48),
	 "name": (36, 41, 49), "linetable": (38, 43, 51), "str_length": (69, 79, 91),
	 "collecting": (72, 82, 95)}


class Hanging(harness.Target):
	"""A task that hangs in recv, by the kernel's own word."""

	def __init__(self, interpreter, log, env=None):
		super().__init__(interpreter, "hangs.py", "asleep", "before", log=log, env=env)

	def hang(self):
		self.line = self.hello()["line"]
		deadline = time.monotonic() + harness.HANG_S
		while not ongoing.is_stuck(self.pid, "asleep"):
			if time.monotonic() > deadline:
				raise harness.Hang("the program does not hang")
			time.sleep(0.01)


def wanted_source(minor):
	return OWN if minor < 13 else PYTHON if minor < 14 else BOTH


def names_the_task(results, interpreter):
	name, minor = interpreter["name"], int(interpreter["minor"][2:])
	with Hanging(interpreter, f"builds.{name}") as target:
		target.hang()
		doctor = json.loads(refusals.ask(["doctor", "-j", "-p", str(target.pid)]).stdout)
		with harness.Profiler(target.pid, log=f"builds.{name}") as profiler:
			profiler.started()
			record = profiler.wait_slow(lambda r: r["ongoing"], "an ongoing record")
			problems = ongoing.check_open(record, "asleep", target.line, False)
			profiler.stop()
	found = doctor["target"]
	for field, wanted in (("layout_source", wanted_source(minor)),
			      ("version", interpreter["version"]),
			      ("stripped", interpreter["stripped"])):
		if found.get(field) != wanted:
			problems.append(f"doctor: {field}: wanted {wanted}, got {found}")
	results.check(f"{name} {interpreter['version']}: names a task that hangs", problems)
	return found.get("asyncio")


def moved(word, by=None, to=None):
	def forge(binary):
		index = WORDS[word][int(binary.version() >> 16 & 0xff) - 13]
		binary.set_debug(index, binary.debug(index) + by if to is None else to)
	return forge


def version(minor=None, level=None):
	def forge(binary):
		old = binary.version()
		new = old if minor is None else old & 0xff00ffff | minor << 16
		binary.set_version(new if level is None else new & ~0xff | level)
	return forge


def debug(index, change):
	return lambda binary: binary.set_debug(index, change(binary.debug(index)))


def task(index, change):
	return lambda binary: binary.set_task(index, change(binary.task(index)))


# What is forged, how, words of the refusal, and which interpreters (minor versions) claim it.
ALL, NEWEST, TABLES = (11, 13, 14, 15), (15,), (13, 14, 15)
PYTHONS = (
	("a release candidate", version(level=0xc2), ("rc2", "pre-release"), ALL),
	("an alpha of the next version", version(minor=16, level=0xa1), ("3.16", "not supported"), NEWEST),
	("the next version", version(minor=16), ("3.16", "not supported"), NEWEST),
	("3.12, with its own table", version(minor=12), ("3.12", "interp_threads_head"), (11,)),
	("no GIL", debug(2, lambda old: 1), ("free-threaded",), TABLES),
	("a table of another version", debug(1, lambda old: old + 0x100), ("another version",), NEWEST),
	("no table", debug(0, lambda old: 0), ("no table",), NEWEST),
	("an impossible thread_frame", moved("current_frame", to=2 ** 63), ("impossible thread_frame",),
	 NEWEST),
	("an impossible frame_previous", moved("previous", by=8), ("impossible frame_previous",), NEWEST),
	("a frame that ends early", moved("instr_ptr", by=64), ("impossible frame_instr",), NEWEST),
	("another list of threads", moved("threads_head", by=-64), ("interp_threads_head",), TABLES),
	("another holder of the GIL", moved("gil_holder", by=-16), ("gil_last_holder",), NEWEST),
	("another word for the collector", moved("collecting", to=16), ("interp_collecting",), NEWEST),
	("another current frame", moved("current_frame", to=16), ("thread_frame",), NEWEST),
	("another instruction", moved("instr_ptr", by=-16), ("frame_instr",), NEWEST),
	("another file name", moved("filename", by=24), ("code_filename",), TABLES),
	("another line table", moved("linetable", by=-16), ("code_linetable",), NEWEST),
	("another length of a str", moved("str_length", by=8), ("str_length",), NEWEST),
)
TASKS = (
	("a Task of another size", task(0, lambda old: old + 8), ("Task of",)),
	("an impossible task_coro", task(forged.TASK_CORO, lambda old: 4096), ("impossible task_coro",)),
	("another task_name", task(forged.TASK_NAME, lambda old: 24), ("task_name",)),
	("another task_coro", task(forged.TASK_CORO, lambda old: 112), ("task_coro",)),
)


def refused(results, interpreter, what, words, env=None):
	name = f"{interpreter['name']} that claims {what}"
	with Hanging(interpreter, "builds.forged", env) as target:
		target.hang()
		results.check(f"refuses {name}",
			      refusals.refused(refusals.ask(["-p", str(target.pid), "-d", "0.2"]), 6,
					       words))
		if "free-threaded" in words:  # doctor takes the same way
			said = refusals.ask(["doctor", "-p", str(target.pid)])
			results.check(f"doctor refuses {name}", [f"{said.returncode}: {said.stdout}"]
				      if said.returncode != 6 or words[0] not in said.stdout else [])


def lies(results, interpreter):
	"""Forged copies of the program, which holds the interpreter in all Debian builds."""
	minor, python = int(interpreter["minor"][2:]), os.path.basename(interpreter["python"])
	program = os.path.join(forged.FOLDER, python)
	original = interpreter["root"] + interpreter["python"]
	for what, forge, words, minors in PYTHONS:
		if minor not in minors:
			continue
		binary = forged.Binary(original)
		forge(binary)
		binary.write(program)
		refused(results, dict(interpreter, python=program), what, words)
	if minor < 14:
		return
	# _asyncio may be part of the program, or a library that a folder before its own can shadow.
	found = glob.glob(f"{interpreter['root']}/usr/lib/{python}/lib-dynload/_asyncio.*.so")
	for what, forge, words in TASKS:
		binary = forged.Binary(found[0] if found else original)
		forge(binary)
		binary.write(os.path.join(forged.FOLDER, os.path.basename(found[0])) if found else program)
		path = ":".join((forged.FOLDER, harness.PROGRAMS, interpreter["site"]))
		refused(results, interpreter if found else dict(interpreter, python=program), what, words,
			{"PYTHONPATH": path})


def run(results, interpreters):
	built_in = []
	for interpreter in interpreters:
		try:
			if names_the_task(results, interpreter) == "built in":
				built_in.append(interpreter["name"])
			if interpreter["name"] in ("debian-3.11", "debian-3.13", "debian-3.14", "debian-3.15"):
				forged.clean()
				lies(results, interpreter)
		except harness.Hang as hang:
			results.check(f"{interpreter['name']} builds", str(hang))
	forged.clean()
	print(f"_asyncio is part of the interpreter's own file in: {', '.join(built_in) or 'none here'}")
