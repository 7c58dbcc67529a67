# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A loop of uvloop's that hangs when the profiler comes: in a task, or with "callback" in a callback."""
import asyncio
import sys

import uvloop

import truth


def hang():
	truth.hello()
	assert truth.listen() == "go"


async def in_task():
	await truth.rest()
	hang()
	await truth.rest()
	truth.say(t="done")
	await asyncio.get_running_loop().run_in_executor(None, truth.listen)


async def in_callback():
	asyncio.get_running_loop().call_soon(hang)
	await truth.rest()
	truth.say(t="done")
	await asyncio.get_running_loop().run_in_executor(None, truth.listen)


if __name__ == "__main__":
	asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
	asyncio.run(in_callback() if sys.argv[1:] == ["callback"] else in_task())
