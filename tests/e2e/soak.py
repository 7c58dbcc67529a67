#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The do-no-harm tests, the races and all causes, many more times than CI runs them. Needs root.

Runs in parts of SOAK_MINUTES (90, and at most that), each of which goes on where the one before
ended: build/soak.json has what was done and what came of it. It belongs to one build: another
asyncprof begins anew. It must never count what it did not run, nor run again what failed.
"""
import hashlib
import importlib
import json
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import harness  # noqa: E402
import interpreters  # noqa: E402
import same  # noqa: E402

STATE = os.path.join(harness.ROOT, "build", "soak.json")
PART_MINUTES = 90
# Each has soak(interpreters, around), a list of Item.
SUITES = ("causes", "races", "same", "prefork", "harm", "asyncio_tests")


def build_id():
	with open(harness.ASYNCPROF, "rb") as file:
		return hashlib.sha256(file.read()).hexdigest()


def load():
	"""What was done with this build so far."""
	try:
		with open(STATE) as file:
			state = json.load(file)
		if state["build"] == build_id():
			return state
		print("another build than the last part's: begins anew, its figures are in soak.json.old")
		os.rename(STATE, STATE + ".old")
	except OSError:
		pass
	return {"build": build_id(), "minutes": 0, "parts": 0, "items": {}}


def save(state):
	with open(STATE + ".new", "w") as file:
		json.dump(state, file, indent=1)
	os.rename(STATE + ".new", STATE)


def choose(items, state, seconds_left):
	"""Of what is not done, the item that is furthest behind and fits into this part."""
	pending = [item for item in items
		   if state["items"][item.name]["done"] < item.wanted and
		   not state["items"][item.name]["skipped"] and
		   max(item.seconds, state["items"][item.name]["longest_s"]) <= seconds_left]
	return min(pending, key=lambda item: state["items"][item.name]["done"] / item.wanted,
		   default=None)


def run_one(item, entry):
	begin = time.monotonic()
	try:
		problems, figures, notes = item.run()
	except interpreters.Missing as missing:  # in this part
		entry["skipped"] = f"{missing.why}; {missing.remedy}"
		return
	except Exception as error:  # a failure, not the end of all
		problems, figures, notes = [f"{type(error).__name__}: {error}"], {}, []
	took = time.monotonic() - begin
	entry["done"] += item.step
	entry["runs"] += 1
	entry["longest_s"] = max(entry["longest_s"], took)
	entry["notes"] += notes
	for name, value in figures.items():
		entry["figures"][name] = entry["figures"].get(name, 0) + value
	if problems:
		entry["failed"] += 1
		entry["problems"].append(problems)
	print(f"{'FAIL' if problems else 'ok  '} {item.name}: {entry['done']} of {item.wanted}, "
	      f"{took:.1f} s", flush=True)
	for problem in problems[:12]:
		print(f"     {problem}", flush=True)


def report(items, state):
	"""A line for each item; (runs that passed, runs that failed, items skipped, how many are left)."""
	runs = failed = skipped = left = 0
	print(f"\nfigures of {state['parts']} parts, {state['minutes']:.0f} minutes:")
	for item in items:
		entry = state["items"][item.name]
		runs += entry["runs"]
		failed += entry["failed"]
		skipped += bool(entry["skipped"])
		left += item.wanted - entry["done"]
		word = ("FAIL" if entry["failed"] else "skip" if entry["skipped"] else
			"ok  " if entry["done"] >= item.wanted else "left")
		said = [f"{entry['done']} of {item.wanted}"]
		said += [f"{entry['failed']} failed"] if entry["failed"] else []
		said += [f"{value} {name}" for name, value in entry["figures"].items()]
		print(f"{word} {item.name}: {entry['skipped'] or ', '.join(said)}")
		for note in entry["notes"]:
			print(f"     note: {note}")
	return runs - failed, failed, skipped, left


def main():
	minutes = min(float(os.environ.get("SOAK_MINUTES") or PART_MINUTES), PART_MINUTES)
	deadline = time.monotonic() + minutes * 60
	if os.geteuid():
		print("root is needed: sudo make soak")
		return 2
	interpreters.main()
	with open(interpreters.INDEX) as file:
		found = json.load(file)["found"]
	harness.LOGS += f".{os.getpid()}"
	mute = harness.prepare()
	state = load()
	begin, before = time.monotonic(), state["minutes"]
	state["parts"] += 1
	with same.Surroundings() as around:
		items = [item for suite in SUITES
			 for item in importlib.import_module(suite).soak(found, around)]
		for item in items:
			entry = state["items"].setdefault(item.name, {
				"done": 0, "runs": 0, "failed": 0, "longest_s": 0, "figures": {},
				"problems": [], "notes": []})
			entry["skipped"] = ""
		try:
			while True:
				item = choose(items, state, deadline - time.monotonic())
				if not item:
					break
				run_one(item, state["items"][item.name])
				state["minutes"] = before + (time.monotonic() - begin) / 60
				save(state)
		except KeyboardInterrupt:  # what is half done is not counted
			print("interrupted")
	mute.close()
	passed, failed, skipped, left = report(items, state)
	if not failed:
		shutil.rmtree(harness.LOGS, ignore_errors=True)
	if left:
		print(f"soak: {left} left; make soak goes on with them")
	print(f"soak: {passed} passed, {failed} failed, {skipped} skipped")
	return 1 if failed else 0


if __name__ == "__main__":
	sys.exit(main())
