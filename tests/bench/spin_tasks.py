# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The dearest case for a probe per callback: 100 tasks that do nothing but give way."""
import asyncio

import truth

steps = 0


async def spin():
	global steps
	while True:
		await asyncio.sleep(0)
		steps += 1


async def main():
	truth.commands.setblocking(False)
	tasks = [asyncio.ensure_future(spin()) for _ in range(100)]
	truth.hello()
	while await asyncio.get_running_loop().sock_recv(truth.commands, 64) == b"count\n":
		truth.say(t="count", lines=steps)
	for task in tasks:
		task.cancel()


if __name__ == "__main__":
	asyncio.run(main())
