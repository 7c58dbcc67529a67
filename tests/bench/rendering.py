# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What rendering costs: each format from a recording of a million rows, by wall time and memory.

The files are written to disk as users do. Peak memory is the kernel's: ru_maxrss of the child.
"""
import os
import subprocess
import sqlite3
import time

import figures
import harness
import peers

MAKER = os.environ.get("MILLION", os.path.join(harness.ROOT, "build", "bench", "million"))
FORMATS = ("svg", "html", "folded", "speedscope", "pprof", "ndjson", "text")
TARGET_S, TARGET_MB = 3, 300


def render(recording, name):
	"""(seconds, peak MB, bytes written)"""
	out = os.path.join(peers.OUT, "million." + name)
	begin = time.monotonic()
	child = subprocess.Popen([harness.ASYNCPROF, "report", recording, "-f", name, "-o", out],
				 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
	said = child.stderr.read()
	_, status, usage = os.wait4(child.pid, 0)
	took = time.monotonic() - begin
	child.returncode = os.waitstatus_to_exitcode(status)
	child.stderr.close()
	if child.returncode:
		raise harness.Hang(f"report -f {name} failed: {said.decode(errors='replace')}")
	size = os.path.getsize(out)
	os.remove(out)
	return took, usage.ru_maxrss * 1024 / 1e6, size


def run(interpreter, found, options):
	os.makedirs(peers.OUT, exist_ok=True)
	recording = os.path.join(peers.OUT, "million.apdb")
	if os.path.exists(recording):
		os.remove(recording)
	subprocess.run([MAKER, recording], check=True)
	with sqlite3.connect(f"file:{recording}?mode=ro", uri=True) as db:
		rows = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
			for name in ("samples", "points", "stacks", "frames", "tasks")}
	print("\nrendering, seconds and peak MB (median [95 % interval]); a recording of "
	      + ", ".join(f"{cnt} {name}" for name, cnt in rows.items())
	      + f", {os.path.getsize(recording) / 1e6:.1f} MB")
	for name in FORMATS:
		runs = [render(recording, name) for _ in range(options.windows)]
		print(f"  {name:12} " + figures.with_interval([one[0] for one in runs], 2) + " s   "
		      + figures.with_interval([one[1] for one in runs], 0)
		      + f" MB   writes {runs[0][2] / 1e6:.1f} MB", flush=True)
	print(f"  wanted: below {TARGET_S} s and {TARGET_MB} MB")
	os.remove(recording)
