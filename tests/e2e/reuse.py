#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A process that ends while asyncprof attaches or watches, and whose pid is another one's at once.

Run by races.py in a pid namespace of its own, so that it gives away no number that anybody else
uses: says in one JSON line what came of each round, or why it can't be done here.
"""
import json
import os
import random
import subprocess
import sys
import time

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import harness  # noqa: E402
from races import ATTACH_S, PROGRAM, Run, check_records, environment, reason  # noqa: E402

FIRST = 1000		# no other pid of this namespace comes near
TRIES = 20		# asyncprof may take the number for a child of its own


def start_as(pid, argv):
	for _ in range(TRIES):
		with open("/proc/sys/kernel/ns_last_pid", "w") as file:
			file.write(str(pid - 1))
		process = subprocess.Popen(argv, env=environment(), stdin=subprocess.DEVNULL,
					   stdout=subprocess.PIPE)
		if process.pid == pid:
			return process
		end(process)
	raise harness.Hang(f"pid {pid} is not to be had")


def end(process):
	process.kill()
	process.wait()
	process.stdout.close()


def reuse(python, pid, watched, chance):
	old = start_as(pid, [python, PROGRAM, "lasts", "0", "1"])
	if watched:
		old.stdout.readline()
	run = Run(pid, "-d", "1" if watched else "0.3")
	if watched:
		run.wait_first()
	time.sleep(chance.random() * ATTACH_S)
	end(old)
	new = start_as(pid, [python, PROGRAM, "lasts", "0", "2"])
	run.end()
	problems, _ = check_records(run.out, pid, time.time() if watched else None)
	problems += run.problems("summary")
	if new.poll() is not None:
		problems.append("the other process has ended as well")
	end(new)
	if watched and "exited" not in run.err:
		problems.append(f"asyncprof did not see it exit: {run.err}")
	what = reason(run.err) or "another one was watched"
	return {"problems": [f"pid {pid}: {one}" for one in problems], "what": what}


def main(python, seed, count):
	for i in range(count):
		try:
			said = reuse(python, FIRST + 10 * i, i % 2, random.Random(f"{seed} {i}"))
		except OSError as error:
			said = {"skip": f"{error}"}
		print(json.dumps(said), flush=True)
		if "skip" in said:
			return


if __name__ == "__main__":
	main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
