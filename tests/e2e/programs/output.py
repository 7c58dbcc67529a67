# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""One loop that stalls on command, so that what is printed can be read line by line.

Each command is a JSON object; `did` with its number says that it is over. It must never stall
on its own: the harness decides when asyncprof looks.
"""
import asyncio
import json
import logging
import threading
import time

import truth

BLOCK_S = 0.03	# over the threshold of 20 ms that the harness sets
loop = None
beating = None
HOSTILE = [
	"\x1b[2J\x1b]0;owned\x07\x1b[31m",
	"line one\r\nline two\x00\x7f",
	"low \udc80\udcff high \ud800",
	"</script><b>&amp;\"'",
	"\u202eolleh\u2066\u200b\ufeff",
	"x" * 10000,
	"\U0001f600" * 200,
	"",
]


async def handle_order():
	time.sleep(BLOCK_S)


async def other_coroutine():
	time.sleep(BLOCK_S)


async def excluded_coroutine():
	time.sleep(BLOCK_S)


async def burn_cpu():
	truth.spin_cpu(BLOCK_S)


def climb(levels):
	if levels:
		# One line a level would fold as recursion: two of them do not.
		return climb_on(levels - 1)
	time.sleep(BLOCK_S)


def climb_on(levels):
	return climb(levels)


async def deep_stack():
	climb(6)


async def wait_for_lock():
	lock = threading.Lock()
	lock.acquire()
	timer = threading.Timer(BLOCK_S, lock.release)
	timer.start()
	lock.acquire()
	timer.join()


async def hang():
	truth.commands.recv(1)


COROUTINES = {one.__name__: one for one in (
	handle_order, other_coroutine, excluded_coroutine, burn_cpu, deep_stack, wait_for_lock, hang)}


def short_callback():
	truth.spin_cpu(0.004)


async def beat():
	while True:
		await asyncio.sleep(0.02)
		await asyncio.create_task(handle_order(), name="beat")


def evil_coroutine(name):
	"""A coroutine whose code, qualified name and file have that name."""
	scope = {"time": time, "BLOCK_S": BLOCK_S}
	exec("async def evil():\n time.sleep(BLOCK_S)\n", scope)
	evil = scope["evil"]
	evil.__code__ = evil.__code__.replace(co_name=name, co_qualname=name, co_filename=name)
	evil.__qualname__ = name
	return evil()


class Kept(logging.Handler):
	"""What asyncio's own debug mode says."""

	def __init__(self):
		super().__init__()
		self.lines = []

	def emit(self, record):
		self.lines.append(record.getMessage())


async def execute(command, answer):
	do = command["do"]
	if do == "run":
		for _ in range(command.get("times", 1)):
			await asyncio.create_task(COROUTINES[command["coro"]](), name=command["task"])
			await truth.rest()
	elif do == "iteration":
		for _ in range(command["callbacks"]):
			loop.call_soon(short_callback)
		await truth.rest()
	elif do == "beat":
		global beating
		if beating:
			beating.cancel()
		beating = asyncio.create_task(beat(), name="beats") if command["on"] else None
	elif do == "hostile names":
		for name in HOSTILE:
			await asyncio.create_task(other_coroutine(), name=name)
			await truth.rest()
		answer["names"] = HOSTILE
	elif do == "hostile code":
		for name in HOSTILE:
			await asyncio.create_task(evil_coroutine(name), name="evil")
			await truth.rest()
	elif do == "debug":
		kept = Kept()
		log = logging.getLogger("asyncio")
		log.propagate = False
		log.addHandler(kept)
		loop.slow_callback_duration = 0.02
		loop.set_debug(True)
		await asyncio.create_task(handle_order(), name="order-99")
		loop.call_soon(time.sleep, BLOCK_S)
		await truth.rest()
		loop.set_debug(False)
		log.removeHandler(kept)
		answer["lines"] = kept.lines
	elif do == "end":
		loop.stop()


async def serve(command):
	answer = {"t": "did", "n": command["n"]}
	await execute(command, answer)
	truth.say(**answer)


def main():
	global loop
	loop = asyncio.new_event_loop()
	asyncio.set_event_loop(loop)
	tasks = set()

	def on_command():
		for line in truth.commands.recv(65536).decode().splitlines():
			task = loop.create_task(serve(json.loads(line)), name="serve")
			tasks.add(task)
			task.add_done_callback(tasks.discard)
	loop.add_reader(truth.commands, on_command)
	truth.hello()
	loop.run_forever()


if __name__ == "__main__":
	main()
