# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A loop in the style of qasync that is at work when the profiler comes."""
import asyncio
import time

import truth
from task_cases import ForeignLoop


async def main():
	truth.hello()
	assert truth.listen() == "go"
	asyncio.current_task().set_name("foreign")
	await truth.rest()
	time.sleep(0.05)
	await truth.rest()
	assert truth.listen() == "bye"


if __name__ == "__main__":
	loop = ForeignLoop()
	asyncio.set_event_loop(loop)
	loop.run_until_complete(main())
