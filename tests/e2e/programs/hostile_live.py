# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program that scribbles on its own frames, code objects, names and tasks while a callback is
open, blocks for a while so that it is looked at, and puts everything back.

Its output is the same with and without a profiler.
"""
import asyncio
import functools
import os
import sys
import threading
import time

import scribble
import truth
from scribble import (CODE_FIRST, FRAME_PREVIOUS, SHAPELESS, TASK_CORO, TASK_NAME,
		      forged_bytes, forged_code, forged_str, frame_of, poke, put_between)

HOLD_S = 0.03
STORM = 40
EVERY_BYTE = "".join(map(chr, range(1, 256)))
ESCAPES = ("\x1b]0;owned\x07\x1b[2J\x9b31m\r\n</script><!--]]>\"'\\{}${x}%n\u202e\u2066\ufeff\u2028"
	   "\ud800\udfff\U000e0001\x7f\0end")
MEGABYTES = "\u4e2d" * 1000000
CASES = {}
released = []			# by the harness: it has seen enough


def case(function):
	CASES[function.__name__] = function
	return function


def hold():
	"""Asleep, then busy: a switch-out and ticks each walk what is there now."""
	time.sleep(HOLD_S)
	end = time.monotonic() + HOLD_S
	while time.monotonic() < end:
		pass


def leaf(change):
	frame = frame_of(sys._getframe())
	undo = change(frame)
	hold()
	scribble.restore(undo)


# --- Frames: chains that do not end, or lead nowhere ---------------------------------------------

def previous(frame):
	return scribble.peek(frame + FRAME_PREVIOUS)


@case
def own_caller():
	leaf(lambda frame: [poke(frame + FRAME_PREVIOUS, frame)])


@case
def cycle_of_two():
	leaf(lambda frame: [poke(previous(frame) + FRAME_PREVIOUS, frame)])


@case
def cycle_of_awaits():
	"""The outermost of three coroutines that await each other is called by the innermost."""
	async def inner():
		leaf(lambda frame: [poke(outer_frame[0] + FRAME_PREVIOUS, frame)])

	async def middle():
		await inner()

	async def outer():
		outer_frame.append(frame_of(sys._getframe()))
		await middle()
	outer_frame = []
	try:
		outer().send(None)
	except StopIteration:
		pass


def led_to(address):
	leaf(lambda frame: [poke(frame + FRAME_PREVIOUS, address)])


for place in SHAPELESS:
	CASES["shapeless_%x" % place] = functools.partial(led_to, place)


@case
def at_a_wall():
	led_to(scribble.wall() - 16)


@case
def silent_frame():
	led_to(silent.page(0))


@case
def deep():
	"""A thousand frames, each with a code object of its own."""
	codes = [forged_code(leaf.__code__) for _ in range(1000)]
	leaf(lambda frame: put_between(frame, codes))


@case
def past_the_run():
	"""The frame of Handle._run is left out: its caller seems to have called us."""
	def change(frame):
		run = sys._getframe()
		while run.f_code.co_name != "_run":
			run = run.f_back
		return [poke(frame + FRAME_PREVIOUS, previous(frame_of(run)))]
	leaf(change)


# --- Code objects --------------------------------------------------------------------------------

@case
def sizes_of_tables():
	of = hold.__code__
	codes = [forged_code(of, lines=forged_bytes(size))
		 for size in (0, -1, 1 << 16, 0x7fffffff, 1 << 31, 1 << 62)]
	codes += [forged_code(of, lines=address)
		  for address in SHAPELESS + (scribble.wall() - 40, silent.page(1))]
	leaf(lambda frame: put_between(frame, codes))


@case
def sizes_of_names():
	of = hold.__code__
	texts = [forged_str(length, state) for length in (1 << 16, 0x7fffffff, 1 << 62, -1)
		 for state in (0x64, 0x68, 0x70, 0x44, 0x7c, 0xffffffff, 0)]
	texts += list(SHAPELESS) + [scribble.wall() - 48, silent.page(2)]
	codes = [forged_code(of, name=text, qualname=text, file=text) for text in texts]
	leaf(lambda frame: put_between(frame, codes))


@case
def no_code():
	leaf(lambda frame: put_between(frame, list(SHAPELESS) + [silent.page(3), scribble.room(256),
								  scribble.wall() - 16]))


@case
def negative_lines():
	code = forged_code(hold.__code__)
	poke(code + CODE_FIRST, 0x80000000ffffffff)
	leaf(lambda frame: put_between(frame, [code]))


def renamed(name):
	"""leaf() under any name: legal Python."""
	code = leaf.__code__.replace(co_name=name, co_qualname=name, co_filename="/" + name)
	return type(leaf)(code, globals(), name)


@case
def every_byte():
	renamed(EVERY_BYTE)(lambda frame: [])


@case
def escapes():
	renamed(ESCAPES)(lambda frame: [])


@case
def megabytes():
	renamed(MEGABYTES)(lambda frame: [])


@case
def fifo():
	"""The source file is a FIFO that nobody writes to."""
	code = leaf.__code__.replace(co_filename=FIFO)
	type(leaf)(code, globals())(lambda frame: [])


# --- Tasks and callbacks -------------------------------------------------------------------------

def with_task(field, values):
	task = id(asyncio.current_task())
	for value in values:
		undo = poke(task + field, value)
		time.sleep(HOLD_S / 4)
		scribble.restore([undo])
	undo = poke(task + field, values[-1])
	hold()
	scribble.restore([undo])


@case
def forged_task_name():
	with_task(TASK_NAME, SHAPELESS + (silent.page(4), scribble.room(256), forged_str(1 << 62, 0x64)))


@case
def forged_task_coro():
	with_task(TASK_CORO, SHAPELESS + (silent.page(5), scribble.room(256)))


@case
def last():
	leaf(lambda frame: [])


# --- All of it -----------------------------------------------------------------------------------

async def in_task(name):
	mark = await truth.gate()
	with truth.during(name, mark=mark):
		CASES[name]()
	await truth.rest()


async def named(name):
	mark = await truth.gate()
	with truth.during("named", mark=mark):
		hold()


class Called:
	def __call__(self, mark):
		with truth.during("called", mark=mark, callback=type(self).__name__):
			hold()


async def storm():
	"""Stalls whose stacks are all of code that was never seen before, with large tables."""
	lines = b"\x80" * 16000
	for n in range(STORM):
		codes = [forged_code(hold.__code__, lines=id(lines)) for _ in range(60)]
		undo = put_between(frame_of(sys._getframe()), codes)
		time.sleep(0.025)
		scribble.restore(undo)
		await asyncio.sleep(0.01)  # or the ring fills, where the collector is kept waiting


async def main():
	loop = asyncio.get_running_loop()
	for name in [one for one in CASES if one != "last"]:
		await asyncio.create_task(in_task(name), name=name)
		results.append(name)
	for name in (ESCAPES, EVERY_BYTE, MEGABYTES):
		coro = named(name)
		coro.__qualname__ = name
		await asyncio.create_task(coro, name=name)
		# What a type's name may not have: NUL and surrogates.
		legal = name.replace("\0", "").encode(errors="ignore").decode()
		truth.call_bracketed(loop.call_soon, type(legal, (Called,), {})())
		await truth.rest()
		results.append(len(name))
	await storm()
	results.append(STORM)
	truth.say(t="stormed")
	while not released:
		await asyncio.create_task(in_task("last"), name="last")


if __name__ == "__main__":
	FIFO = os.environ["BUILD"] + "/fifo-%d" % os.getpid()
	os.mkfifo(FIFO)
	silent = scribble.Silent(6)
	results = []
	truth.hello(names={"escapes": ESCAPES, "every_byte": EVERY_BYTE, "megabytes": MEGABYTES[:200]})
	try:
		assert truth.listen() == "go"
		threading.Thread(target=lambda: released.append(truth.listen())).start()
		asyncio.run(main())
	finally:
		os.unlink(FIFO)
	truth.flush()
	truth.say(t="result", results=results)
	sys.exit(7)
