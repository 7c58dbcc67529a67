# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What a target can't do to itself: rivals for its CPU, a slow file, held locks, a CPU quota.

Answers the requests that target programs send between their cases. Everything it starts ends
with it; it must never act on a process that the harness did not start.
"""
import ctypes
import os
import select
import struct
import subprocess
import sys
import threading
import time

import harness

FAN_CLASS_CONTENT, FAN_CLOEXEC = 4, 1
FAN_MARK_ADD, FAN_ALLOW = 1, 1
FAN_ACCESS_PERM, FAN_OPEN_PERM = 0x20000, 0x10000
QUOTA_US, PERIOD_US = 10000, 100000


class SlowFile:
	"""Delays each open, or each read, of a file: a fanotify permission event."""

	def __init__(self, path, seconds, event):
		libc = ctypes.CDLL(None, use_errno=True)
		self.seconds = seconds
		self.fd = libc.fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, os.O_RDONLY)
		if self.fd < 0:
			raise OSError(ctypes.get_errno(), "fanotify_init: " + os.strerror(ctypes.get_errno()))
		mask = FAN_ACCESS_PERM if event == "access" else FAN_OPEN_PERM
		if libc.fanotify_mark(self.fd, FAN_MARK_ADD, ctypes.c_uint64(mask), -100,
				      path.encode()) < 0:
			error = ctypes.get_errno()
			os.close(self.fd)
			raise OSError(error, "fanotify_mark: " + os.strerror(error))
		self.stop, self.stopper = os.pipe()
		self.thread = threading.Thread(target=self.serve, daemon=True)
		self.thread.start()

	def serve(self):
		poll = select.poll()
		poll.register(self.fd, select.POLLIN)
		poll.register(self.stop, select.POLLIN | select.POLLHUP)
		while True:
			ready = [fd for fd, _ in poll.poll()]
			if self.fd in ready:
				data = os.read(self.fd, 4096)
				while data:
					size, _, _, _, _, fd, pid = struct.unpack_from("=IBBHQii", data)
					time.sleep(self.seconds)
					os.write(self.fd, struct.pack("=iI", fd, FAN_ALLOW))
					os.close(fd)
					data = data[size:]
			elif self.stop in ready:
				return

	def close(self):
		os.close(self.stopper)
		self.thread.join()
		os.close(self.fd)
		os.close(self.stop)


class Quota:
	"""A CPU quota of 10 % for one process, in whichever cgroup version has the controller."""

	def __init__(self, pid):
		if os.path.exists("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"):
			self.version, base = 1, "/sys/fs/cgroup/cpu"
		elif "cpu" in self.read("/sys/fs/cgroup/cgroup.controllers").split():
			self.version, base = 2, "/sys/fs/cgroup"
			with open(base + "/cgroup.subtree_control", "w") as file:
				file.write("+cpu")
		else:
			raise OSError(0, "no cgroup here has a cpu controller")
		with open(f"/proc/{pid}/cgroup") as file:
			lines = [line.rstrip("\n").split(":", 2) for line in file]
		before = [path for _, names, path in lines
			  if (self.version == 1 and "cpu" in names.split(",")) or
			  (self.version == 2 and not names)]
		self.pid = pid
		self.before = base + before[0]
		self.group = f"{base}/asyncprof-e2e-{pid}"
		os.mkdir(self.group)
		if self.version == 1:
			self.write("cpu.cfs_period_us", PERIOD_US)
			self.write("cpu.cfs_quota_us", QUOTA_US)
		else:
			self.write("cpu.max", f"{QUOTA_US} {PERIOD_US}")
		self.write("cgroup.procs", pid)

	@staticmethod
	def read(path):
		try:
			with open(path) as file:
				return file.read()
		except OSError:
			return ""

	def write(self, name, value):
		with open(f"{self.group}/{name}", "w") as file:
			file.write(str(value))

	def close(self):
		if os.path.exists(f"/proc/{self.pid}"):
			with open(self.before + "/cgroup.procs", "w") as file:
				file.write(str(self.pid))
		deadline = time.monotonic() + harness.HANG_S
		while True:  # a dead process leaves its group a moment later
			try:
				return os.rmdir(self.group)
			except OSError:
				if time.monotonic() > deadline:
					raise
				time.sleep(0.01)


class Helpers:
	"""All helpers of one target."""

	def __init__(self, target):
		self.target = target
		self.open = {}
		self.path = os.path.join(harness.BUILD, "files")
		os.makedirs(self.path, exist_ok=True)

	def answer(self, what, **more):
		return getattr(self, what.replace(" ", "_"))(**more) or {}

	def file(self, name, text="x" * 4096):
		path = os.path.join(self.path, f"{name}-{self.target.pid}")
		with open(path, "w") as file:
			file.write(text)
		return path

	def outer_tid(self, tid):
		"""What asyncprof calls the thread that calls itself `tid`."""
		return {"tid": tid}

	def folder(self):
		return {"path": self.path}

	def slow_file(self, event="open", seconds=0.1):
		path = self.file("slow")
		self.open["slow"] = SlowFile(path, seconds, event)
		return {"path": path}

	def no_slow_file(self):
		self.open.pop("slow").close()

	def lock_file(self, seconds, record=False):
		"""Held by another process, let go once somebody waits for it for that long."""
		path = self.file("lock")
		code = ("import fcntl, os, sys, time\n"
			"fd = os.open(sys.argv[1], os.O_RDWR)\n"
			"(fcntl.lockf if sys.argv[3] else fcntl.flock)(fd, fcntl.LOCK_EX)\n"
			"inode = ':%d ' % os.fstat(fd).st_ino\n"
			"print('held', flush=True)\n"
			"while not any('->' in l and inode in l for l in open('/proc/locks')):\n"
			"    time.sleep(0.002)\n"
			"time.sleep(float(sys.argv[2]))\n")
		holder = subprocess.Popen([sys.executable, "-c", code, path, str(seconds),
					   "1" if record else ""], stdout=subprocess.PIPE,
					  preexec_fn=lambda: os.sched_setaffinity(
						0, {harness.OTHER_CPU}))
		self.open.setdefault("processes", []).append(holder)
		holder.stdout.readline()
		return {"path": path}

	def rivals(self, count):
		code = "print(1, flush=True)\nwhile True: pass"
		self.open["rivals"] = [
			subprocess.Popen(["taskset", "-c", str(harness.TARGET_CPU), sys.executable,
					  "-c", code], stdout=subprocess.PIPE) for _ in range(count)]
		for rival in self.open["rivals"]:
			rival.stdout.readline()

	def no_rivals(self):
		for rival in self.open.pop("rivals"):
			rival.kill()
			rival.wait()
			rival.stdout.close()

	def throttle(self):
		self.open["quota"] = Quota(self.target.pid)

	def no_throttle(self):
		self.open.pop("quota").close()

	def close(self):
		if "rivals" in self.open:
			self.no_rivals()
		for name in ("slow", "quota"):
			if name in self.open:
				self.open.pop(name).close()
		for process in self.open.pop("processes", []):
			process.kill()
			process.wait()
			process.stdout.close()

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		self.close()
