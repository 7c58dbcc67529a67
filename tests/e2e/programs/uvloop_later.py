# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Runs a loop of asyncio's, then imports uvloop and stalls in a loop of that one until it is told to end."""
import asyncio
import time

import truth


async def stalls():
	end = asyncio.get_running_loop().run_in_executor(None, truth.listen)
	asyncio.current_task().set_name("later")
	while not end.done():
		await truth.rest(0.02)
		time.sleep(0.03)


if __name__ == "__main__":
	asyncio.run(truth.rest())
	truth.hello()
	assert truth.listen() == "go"
	import uvloop
	asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
	asyncio.run(stalls())
