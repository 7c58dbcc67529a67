# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program that only computes: units of some hundred microseconds, a callback each ten."""
import asyncio

import truth

units = 0


def weigh(tree):
	return tree if isinstance(tree, int) else sum(weigh(branch) for branch in tree)


def grow(depth):
	return depth if not depth else [grow(depth - 1), grow(depth - 1)]


async def work(tree):
	global units
	while True:
		for _ in range(10):
			weigh(tree)
			units += 1
		await asyncio.sleep(0)


async def main():
	truth.commands.setblocking(False)
	task = asyncio.ensure_future(work(grow(9)))
	truth.hello()
	while await asyncio.get_running_loop().sock_recv(truth.commands, 64) == b"count\n":
		truth.say(t="count", lines=units)
	task.cancel()


if __name__ == "__main__":
	asyncio.run(main())
