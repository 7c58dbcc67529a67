# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program whose loop hangs in a read since before anyone came, while another thread of it
scribbles on what the loop's thread left behind, holds it so, and puts it back when told.

The loop's thread runs no Python meanwhile: it waits in read(2), and gets its byte after all is
put back. Its output is the same with and without a profiler.
"""
import asyncio
import ctypes
import os
import sys
import threading

import scribble
import truth
from scribble import FRAME_PREVIOUS, forged_code, frame_of, poke, put_between

THREAD_NEXT = 8				# PyThreadState.next (Include/cpython/pystate.h)
HANDLE_CALLBACK = 24			# Handle._callback, as in user/target/layouts.c
CASES = {}
there = {}				# the loop's thread, as it left itself
gate_r, gate_w = os.pipe()
back_r, back_w = os.pipe()


def case(function):
	CASES[function.__name__] = function
	return function


@case
def own_caller():
	return [poke(there["leaf"] + FRAME_PREVIOUS, there["leaf"])]


@case
def silent_frame():
	return [poke(there["leaf"] + FRAME_PREVIOUS, silent.page(0))]


@case
def silent_code():
	"""As many frames as are looked at, each with code whose names and lines never come."""
	codes = [forged_code(leaf.__code__, lines=silent.page(1 + 3 * n), qualname=silent.page(2 + 3 * n),
			     name=silent.page(2 + 3 * n), file=silent.page(3 + 3 * n))
		 for n in range(120)]
	return put_between(there["leaf"], codes)


@case
def silent_callback():
	return [poke(id(there["handle"]) + HANDLE_CALLBACK, silent.page(361))]


@case
def cycle_of_threads():
	"""The list of threads, newest first, leads back to its head."""
	return [poke(there["thread"] + THREAD_NEXT, tstate())]


def tstate():
	return ctypes.pythonapi.PyThreadState_Get()


def leaf():
	frame = sys._getframe()
	there["leaf"] = frame_of(frame)
	run = frame
	while run.f_code.co_name != "_run":
		run = run.f_back
	there["handle"] = run.f_locals["self"]
	del frame, run
	os.write(back_w, b".")
	return os.read(gate_r, 1)


async def hang():
	return leaf()


async def main(rounds):
	there["thread"] = tstate()
	return [await asyncio.create_task(hang(), name="hanging") for _ in range(rounds)]


def scribbler():
	"""One case after the other, as the harness names them, while the loop's thread hangs."""
	while True:
		name = truth.listen()
		if name == "end":
			return
		os.read(back_r, 1)
		undo = CASES[name]()
		truth.say(t="ready", case=name)
		assert truth.listen() == "back"
		scribble.restore(undo)
		os.write(gate_w, name[:1].encode())


if __name__ == "__main__":
	ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_uint64
	silent = scribble.Silent(362)
	truth.hello()
	thread = threading.Thread(target=scribbler)
	thread.start()
	results = asyncio.run(main(int(sys.argv[1])))
	thread.join()
	truth.say(t="result", results=[one.decode() for one in results])
	sys.exit(7)
