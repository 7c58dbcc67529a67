# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What watching costs a callback: the same program with and without it, in alternating windows.

Two programs: a loop of nothing but `sleep(0)`, where a callback does no work at all, and an echo
server, where it does some. The measure is the target's own CPU time per operation, from the
kernel's account of its threads: it does not matter who else is on the machine.
"""
import os
import statistics
import subprocess
import sys
import time

import figures
import harness

HERE = os.path.dirname(os.path.abspath(__file__))
SPINNER = os.path.join(HERE, "spin_tasks.py")


def window(target, seconds):
	"""CPU ns per operation"""
	done, cpu = figures.count(target)["lines"], figures.cpu_ns(target.pid)
	time.sleep(seconds)
	done, cpu = figures.count(target)["lines"] - done, figures.cpu_ns(target.pid) - cpu
	return cpu / max(done, 1)


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
				before = window(target, seconds)
				again = window(target, seconds)
				with harness.Profiler(target.pid, threshold="100ms",
						      log="bench") as profiler:
					profiler.started()
					inside = window(target, seconds)
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
	figures.show("without", without)
	figures.show("exact tier", attached)
	figures.show("ratio", ratios, 3)
	figures.show("null (twice without)", null, 3)
	print("  differences within the null are noise")
	if estimates:
		print(f"  its own estimate: {statistics.median(estimates):.0f} ns a hit", flush=True)


def run(interpreter, found, options):
	for program in (SPINNER, "echo.py"):
		measure(interpreter, program, options.windows, options.seconds)
