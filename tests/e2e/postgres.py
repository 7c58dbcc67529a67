# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A PostgreSQL of our own: a cluster in a temporary folder, on a loopback address that no one else
uses, run by a user without rights, gone with the test. It must never touch the system's clusters.
"""
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

import harness
from interpreters import Missing

PORT = 15432  # below the range that clients' sockets are given


def binaries():
	"""Debian keeps them out of PATH, one folder a version."""
	found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
	if not found:
		raise Missing("no PostgreSQL", "apt-get install postgresql (make deps-test does)")
	return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4])))


class Cluster:
	def __init__(self):
		self.bin = binaries()
		pid = os.getpid()
		self.host = f"127.{64 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255}"
		self.folder = tempfile.mkdtemp(prefix="asyncprof-postgres-")
		self.log = open(os.path.join(harness.LOGS, "postgres.log"), "w")
		self.process = None
		try:
			shutil.chown(self.folder, "nobody", "nogroup")
			subprocess.run(self.argv("initdb", "-D", self.folder + "/data", "-U", "test",
						 "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"),
				       check=True, **self.streams())
			self.process = subprocess.Popen(
				self.argv("postgres", "-D", self.folder + "/data", "-F", "-h", self.host,
					  "-p", str(PORT), "-c", "unix_socket_directories="),
				**self.streams())
			self.wait()
		except BaseException:
			self.close()
			raise

	def argv(self, program, *args):
		# Whatever ends us ends it: SIGINT is its fast shutdown.
		return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
			"--pdeathsig", "INT", os.path.join(self.bin, program), *args]

	def streams(self):
		return {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log,
			"cwd": self.folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}

	def wait(self):
		deadline = time.monotonic() + harness.HANG_S
		ready = self.argv("pg_isready", "-q", "-h", self.host, "-p", str(PORT), "-d", "postgres")
		while subprocess.run(ready, **self.streams()).returncode:
			if self.process.poll() is not None or time.monotonic() > deadline:
				raise harness.Hang(f"PostgreSQL does not start, see {self.log.name}")
			time.sleep(0.05)

	def url(self):
		return f"postgresql+asyncpg://test@{self.host}:{PORT}/postgres"

	def close(self):
		if self.process:
			self.process.send_signal(signal.SIGINT)
			try:
				self.process.wait(harness.HANG_S)
			except subprocess.TimeoutExpired:
				self.process.kill()
				self.process.wait()
		self.log.close()
		shutil.rmtree(self.folder, ignore_errors=True)
