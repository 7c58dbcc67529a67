# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Stalls without an end of their own: each goes on until the harness releases it.

Run with a name: `asleep` blocks in recv, `burning` on the CPU; `before` says so before it begins,
so that the harness can let it hang first and attach then.
"""
import asyncio
import signal
import sys

import truth

released = []


def asleep():
	truth.commands.recv(1)  # mark: asleep


def burning():
	x = 0
	while not released: x += 1  # mark: burning
	return x


async def stuck_task(function):
	mark = await truth.gate()
	with truth.during(function.__name__, mark=mark):
		function()
	await truth.rest()


async def main(function):
	await asyncio.create_task(stuck_task(function), name="stuck-" + function.__name__)
	await truth.rest()


if __name__ == "__main__":
	function = {"asleep": asleep, "burning": burning}[sys.argv[1]]
	signal.signal(signal.SIGUSR1, lambda *args: released.append(1))
	with open(__file__) as source:
		lines = [i for i, text in enumerate(source, 1)
			 if text.rstrip().endswith("# mark: " + function.__name__)]
	truth.hello(line=lines[0])
	if sys.argv[2:] != ["before"]:
		assert truth.listen() == "go"
	asyncio.run(main(function))
	truth.flush()
	truth.say(t="done")
	truth.listen()
