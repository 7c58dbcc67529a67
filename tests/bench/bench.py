#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What asyncprof costs a program: the same program with and without it, in alternating windows.

Two programs: a loop of nothing but `sleep(0)`, where a callback does no work at all, and an echo
server, where it does some. The measure is the target's own CPU time per operation, from the
kernel's account of its threads: it does not matter who else is on the machine. Prints medians and
intervals; it must never judge: there is no pass and no fail in a timing.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "e2e"), os.path.dirname(HERE)]

import harness  # noqa: E402
import interpreters  # noqa: E402

SPINNER = os.path.join(HERE, "spin_tasks.py")


def cpu_ns(pid):
	"""CPU time of all threads that live, by the scheduler's own account."""
	total = 0
	for tid in os.listdir(f"/proc/{pid}/task"):
		with open(f"/proc/{pid}/task/{tid}/schedstat") as file:
			total += int(file.read().split()[0])
	return total


def operations(target):
	start = len(target.stream.items)
	target.send("count")
	return target.stream.wait(lambda f: f["t"] == "count", "a count", start)["lines"]


def window(target, seconds):
	"""(CPU ns per operation, operations per second)"""
	done, cpu, begin = operations(target), cpu_ns(target.pid), time.monotonic()
	time.sleep(seconds)
	done, cpu = operations(target) - done, cpu_ns(target.pid) - cpu
	return cpu / max(done, 1), done / (time.monotonic() - begin)


def interval(values):
	"""A bootstrap interval of 95 % for the median."""
	chance = random.Random(1)
	medians = sorted(statistics.median(chance.choices(values, k=len(values)))
			 for _ in range(2000))
	return medians[50], medians[1949]


def show(name, values):
	low, high = interval(values)
	print(f"  {name:22} {statistics.median(values):10.0f}   [{low:.0f}, {high:.0f}]   "
	      f"n = {len(values)}")


def measure(interpreter, program, windows, seconds):
	client = None
	with harness.Target(interpreter, program, log="bench") as target:
		hello = target.hello()
		if "port" in hello:
			client = subprocess.Popen(
				["taskset", "-c", str(harness.OTHER_CPU), sys.executable,
				 os.path.join(harness.PROGRAMS, "echo_client.py"), str(hello["port"]), "20"],
				stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
		without, null, attached, ratios, estimates = [], [], [], [], []
		try:
			window(target, seconds)  # warm up
			for _ in range(windows):
				before, _ = window(target, seconds)
				again, _ = window(target, seconds)
				with harness.Profiler(target.pid, threshold="100ms",
						      log="bench") as profiler:
					profiler.started()
					inside, _ = window(target, seconds)
					summary = profiler.stop()
				without.append(before)
				null.append(again / before)
				attached.append(inside)
				ratios.append(2 * inside / (before + again))
				overhead = (summary or {}).get("overhead_estimated") or {}
				if overhead.get("hit_ns") is not None:
					estimates.append(overhead["hit_ns"])
		finally:
			if client:
				client.kill()
				client.wait()
	print(f"\n{interpreter['name']} ({interpreter['version']}), {os.path.basename(program)}: "
	      "CPU ns per operation, median [95 % interval]")
	show("without", without)
	show("exact tier", attached)
	low, high = interval(ratios)
	print(f"  {'ratio':22} {statistics.median(ratios):10.3f}   [{low:.3f}, {high:.3f}]")
	low, high = interval(null)
	print(f"  {'null (twice without)':22} {statistics.median(null):10.3f}   "
	      f"[{low:.3f}, {high:.3f}]: differences within it are noise")
	if estimates:
		print(f"  its own estimate: {statistics.median(estimates):.0f} ns a hit")


def main():
	parser = argparse.ArgumentParser(description=__doc__)
	parser.add_argument("--windows", type=int, default=9)
	parser.add_argument("--seconds", type=float, default=1.0, help="of a window")
	parser.add_argument("--interpreter", action="append")
	options = parser.parse_args()
	if os.geteuid():
		sys.exit("root is needed")
	interpreters.main()
	with open(interpreters.INDEX) as file:
		found = json.load(file)["found"]
	mute = harness.prepare()
	for interpreter in found:
		if interpreter["name"] in (options.interpreter or ["debian-3.11", "debian-3.13"]):
			for program in (SPINNER, "echo.py"):
				measure(interpreter, program, options.windows, options.seconds)
	mute.close()
	return 0


if __name__ == "__main__":
	sys.exit(main())
