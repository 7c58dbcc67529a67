# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program whose mapped files are not what their paths lead to: FIFOs, symlinks, devices, junk.

It runs an _asyncio of its own, a copy, whose path then leads elsewhere; and maps files that are
called like an interpreter and are none. Its loop stalls all the time. Its main thread has ended
when it is told to `leave`: then the kernel shows no map_files, and paths are all there is.
"""
import ctypes
import importlib.machinery
import mmap
import os
import shutil
import sys
import tempfile
import threading
import time

folder = tempfile.mkdtemp(prefix="hostile-", dir=os.environ["BUILD"])
library = shutil.copy(importlib.machinery.PathFinder.find_spec("_asyncio").origin, folder)
sys.path.insert(0, folder)

import asyncio  # noqa: E402

import truth  # noqa: E402

MS_BIND, MNT_DETACH = 4096, 2
libc = ctypes.CDLL(None, use_errno=True)
stopped = []
mapped, bound = [], []


def bind(what, over):
	if libc.mount(what.encode(), over.encode(), None, MS_BIND, None):
		raise OSError(ctypes.get_errno(), f"mount {what} over {over}")
	bound.append(over)


def no_more():
	while mapped:
		mapped.pop().close()
	while bound:
		path = bound.pop()
		libc.umount2(path.encode(), MNT_DETACH)


def fifo():
	path = folder + "/fifo"
	if not os.path.exists(path):
		os.mkfifo(path)
	return path


def bound_fifo():
	"""Not said to be deleted: its path leads to a FIFO that was mounted over it."""
	bind(fifo(), library)


def symlink():
	os.symlink("/proc/self/mem", folder + "/link")
	os.rename(folder + "/link", library)


def map_file(path, size):
	with open(path, "rb") as file:
		mapped.append(mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ))


def junk():
	path = folder + "/libpython3.99.so.1.0"
	with open(path, "wb") as file:
		file.write(b"\x7fELF\x02\x01\x01" + b"\xff" * 8185)
	map_file(path, 8192)


def device():
	"""A device under the name of an interpreter, whose name has escapes in it."""
	path = folder + "/\x1b[2J\nlib"
	os.makedirs(path)
	path += "/libpython3.99.so.1.0"
	open(path, "w").close()
	bind("/dev/zero", path)
	map_file(path, 4096)


COMMANDS = {f.__name__: f for f in (bound_fifo, symlink, junk, device)}


def serve():
	while True:
		name = truth.listen()
		if name == "end":
			no_more()
			shutil.rmtree(folder)
			stopped.append(1)
			return
		no_more()
		COMMANDS[name]()
		truth.say(t="ready", case=name)


async def late():
	time.sleep(0.03)
	await asyncio.sleep(0.01)


async def main():
	turns = 0
	while not stopped:
		await asyncio.create_task(late(), name="late")
		turns += 1
	assert turns


def leader_is_gone():
	with open(f"/proc/{os.getpid()}/stat") as file:
		return file.read().rsplit(")", 1)[1].split()[0] == "Z"


def run():
	while LEAVE and not leader_is_gone():
		time.sleep(0.005)
	threading.Thread(target=serve).start()
	truth.hello()
	asyncio.run(main())
	truth.say(t="result", results=[True])
	os._exit(7)


if __name__ == "__main__":
	LEAVE = sys.argv[1:] == ["leave"]
	assert sys.modules["_asyncio"].__file__ == library
	if LEAVE:
		threading.Thread(target=run, daemon=True).start()
		libc.syscall(60, 0)  # exit, of this thread only
	run()
