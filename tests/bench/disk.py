# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""How much disk a recording takes: a service with normal load, recorded for some minutes.

A day is scaled from those minutes, and said to be. Twice: by the whole file, which counts what is
written once (names, stacks) as if each few minutes brought it again, and by its second half.
"""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import figures
import harness
import peers

HERE = os.path.dirname(os.path.abspath(__file__))
DAY_S = 24 * 3600
TARGET_MB = 100
RATE = 200  # requests a second


def tables(path):
	"""[(rows, name)] of what is in it, largest first."""
	with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
		names = [name for name, in db.execute("SELECT name FROM sqlite_schema "
						      "WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
		rows = [(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0], name)
			for name in names]
		lost = db.execute("SELECT coalesce(sum(cnt), 0) FROM losses").fetchone()[0]
		busy, idle = db.execute("SELECT sum(busy_ns), sum(idle_ns) FROM accounts").fetchone()
	return sorted(rows, reverse=True), lost, busy / ((busy + idle) or 1)


def record(target, path, seconds):
	"""(size at half time, requests a second, the recorder's CPU in % of one)"""
	peer = peers.Peer("record", [harness.ASYNCPROF, "record", "-p", "PID", "-r", "99", "-o", path],
			  None, "", r"recorded .*lost", path)
	with peer.beside(target.pid):
		begin, done, cpu = time.monotonic(), figures.count(target)["lines"], peer.cpu_ns()
		time.sleep(seconds / 2)
		half = os.path.getsize(path)
		time.sleep(seconds / 2)
		took = time.monotonic() - begin
		rate = (figures.count(target)["lines"] - done) / took
		own = (peer.cpu_ns() - cpu) / took / 1e7
	print(f"  it says: {peer.last_words}")
	return half, rate, own


def run(interpreter, found, options):
	os.makedirs(peers.OUT, exist_ok=True)
	path = os.path.join(peers.OUT, "service.apdb")
	seconds = options.minutes * 60
	print(f"\nservice, recorded at 99 Hz for {options.minutes:g} minutes, "
	      f"Python {interpreter['version']}", flush=True)
	with harness.Target(interpreter, os.path.join(HERE, "service.py"), log="bench") as target:
		client = subprocess.Popen(
			["taskset", "-c", str(harness.OTHER_CPU), sys.executable,
			 os.path.join(HERE, "service_client.py"), str(target.hello()["port"]), str(RATE)],
			stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
		try:
			time.sleep(2)  # until it is warm
			half, rate, own = record(target, path, seconds)
		finally:
			client.stdin.close()
			client.wait()
	size = os.path.getsize(path)
	rows, lost, busy = tables(path)
	samples = next(cnt for cnt, name in rows if name == "samples")
	whole, marginal = size * DAY_S / seconds, (size - half) * 2 * DAY_S / seconds
	print(f"  {rate:.0f} requests a second, loop busy {busy:.0%}, recorder's own CPU {own:.2f} %, "
	      f"lost {lost}")
	print(f"  {size / 1e6:.2f} MB, {samples} rows of time, {size / max(samples, 1):.1f} bytes a row; "
	      f"half of the time: {half / 1e6:.2f} MB")
	print("  rows: " + ", ".join(f"{name} {cnt}" for cnt, name in rows if cnt > 10))
	print(f"  a day, scaled from {options.minutes:g} minutes: {whole / 1e6:.1f} MB by the whole file, "
	      f"{marginal / 1e6:.1f} MB by its second half; wanted: below {TARGET_MB} MB", flush=True)
