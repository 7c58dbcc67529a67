# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A debugger in the process: sys.settrace set and cleared inside callbacks, bdb with a breakpoint,
sys.monitoring where there is one (3.12). Prints how many events of our own code each of them saw.
"""
import asyncio
import bdb
import collections
import sys

import truth

ROUNDS = 700
seen = collections.Counter()


def leaf(n):
	total = 0
	for i in range(n):
		total += i
	return total


async def inner(n):
	await asyncio.sleep(0)
	return leaf(n % 5)


async def step(n):
	return await inner(n) + leaf(2)


def tracer(frame, event, arg):
	"""Ours only: how often asyncio's own code runs is not for us to say."""
	if frame.f_code.co_filename != __file__:
		return None
	seen["trace", event, frame.f_code.co_name] += 1
	return tracer


class Debugger(bdb.Bdb):
	def user_line(self, frame):
		if frame.f_code.co_filename == self.canonic(__file__):
			seen["bdb", "line", frame.f_code.co_name] += 1
		self.set_continue()


async def traced():
	"""Set in one callback of a task and cleared in another: frames outlive both."""
	total = 0
	for n in range(ROUNDS):
		sys.settrace(tracer)
		sys._getframe().f_trace = tracer
		total += await step(n)
		sys._getframe().f_trace = None
		sys.settrace(None)
	return total


async def steps():
	return sum([await step(n) for n in range(ROUNDS)])


def stopped():
	"""A breakpoint in a line that each round reaches; bdb then lets the program go on."""
	debugger = Debugger()
	debugger.set_break(__file__, leaf.__code__.co_firstlineno + 4)
	result = []
	debugger.runcall(lambda: result.append(asyncio.run(steps())))
	sys.settrace(None)
	return result[0]


def monitored():
	if not hasattr(sys, "monitoring"):
		return None
	mon = sys.monitoring
	mon.use_tool_id(mon.DEBUGGER_ID, "test")
	events = {"line": mon.events.LINE, "start": mon.events.PY_START,
		  "return": mon.events.PY_RETURN, "yield": mon.events.PY_YIELD}

	def count(name):
		def callback(code, *_):
			seen["monitoring", name, code.co_name] += 1
		return callback

	for name, event in events.items():
		mon.register_callback(mon.DEBUGGER_ID, event, count(name))
	for code in (leaf.__code__, inner.__code__, step.__code__):
		mon.set_local_events(mon.DEBUGGER_ID, code, sum(events.values()))
	total = asyncio.run(steps())
	mon.free_tool_id(mon.DEBUGGER_ID)
	return total


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	totals = [asyncio.run(traced()), stopped(), monitored()]
	truth.say(t="result", totals=totals, seen=sorted([*key, n] for key, n in seen.items()))
	sys.exit(13)
