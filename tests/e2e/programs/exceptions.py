# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Callbacks through which a C++ exception is thrown, again and again; see throws.cpp."""
import asyncio
import contextvars
import sys

import throws

import truth

ROUNDS = 800
caught = 0


def callback():
	global caught
	caught += throws.through(contextvars.copy_context())


async def main():
	loop = asyncio.get_running_loop()
	for _ in range(ROUNDS):
		loop.call_soon(callback)
		await asyncio.sleep(0)
	await asyncio.sleep(0.01)


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	asyncio.run(main())
	truth.say(t="result", caught=caught)
	truth.say(t="done")
	sys.exit(9 if caught == ROUNDS else 1)
