# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""How figures are made and shown: medians with intervals, and what they were measured on.

It must never show a figure without saying how sure it is.
"""
import os
import platform
import random
import statistics
import subprocess
import time

import harness


def schedstat(pid):
	"""All threads that live, by the scheduler's own account: ns on the CPU, in the run queue."""
	on_cpu = queued = 0
	for tid in os.listdir(f"/proc/{pid}/task"):
		with open(f"/proc/{pid}/task/{tid}/schedstat") as file:
			ran, waited, _ = file.read().split()
		on_cpu += int(ran)
		queued += int(waited)
	return on_cpu, queued


def cpu_ns(pid):
	return schedstat(pid)[0]


def count(target):
	"""What the program has done so far, as it says itself."""
	start = len(target.stream.items)
	target.send("count")
	return target.stream.wait(lambda f: f["t"] == "count", "a count", start)


def interval(values):
	"""A bootstrap interval of 95 % for the median."""
	chance = random.Random(1)
	medians = sorted(statistics.median(chance.choices(values, k=len(values)))
			 for _ in range(2000))
	return medians[50], medians[1949]


def show(name, values, digits=0):
	low, high = interval(values)
	print(f"  {name:24} {statistics.median(values):10.{digits}f}   "
	      f"[{low:.{digits}f}, {high:.{digits}f}]   n = {len(values)}")


def with_interval(values, digits):
	low, high = interval(values)
	return f"{statistics.median(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def first_line(argv):
	return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
			      errors="replace").stdout.split("\n")[0].strip()


def show_machine():
	model = "unknown CPU"
	with open("/proc/cpuinfo") as file:
		for line in file:
			if line.startswith("model name"):
				model = line.split(":", 1)[1].strip()
				break
	with open("/proc/meminfo") as file:
		memory = int(file.readline().split()[1]) / 2 ** 20
	load = " ".join(f"{value:.2f}" for value in os.getloadavg())
	print(f"machine: {model}, {os.cpu_count()} CPUs, {memory:.1f} GiB; Linux {platform.release()}; "
	      f"load {load}; {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC")
	print("asyncprof: " + first_line([harness.ASYNCPROF, "--version"]), flush=True)
