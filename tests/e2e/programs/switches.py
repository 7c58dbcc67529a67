# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Greenlets that switch away inside Context.run, within a loop and across three loops.

Return probes kill such a program (the return address that they replaced is looked up on another
stack); entry probes must not be felt. Prints what it computed.
"""
import asyncio
import contextvars
import sys

import greenlet

import truth

ROUNDS = 400
main_greenlet = greenlet.getcurrent()
total = 0


async def within():
	"""Switches out in the middle of a context's run while another context runs."""
	global total
	for number in range(ROUNDS):
		def leave():
			return contextvars.copy_context().run(main_greenlet.switch, number)
		one = greenlet.greenlet(leave)
		total += one.switch()
		contextvars.copy_context().run(lambda: None)
		await asyncio.sleep(0)
		one.switch(1)
		assert one.dead

		async def leaf():
			await asyncio.sleep(0)
			return 5
		two = greenlet.greenlet(lambda: main_greenlet.switch(leaf()))
		value = await two.switch()
		total += two.switch(value)


def ring(rounds):
	"""A loop whose own callbacks switch away inside Handle._run's Context.run."""
	asyncio._set_running_loop(None)
	loop = asyncio.new_event_loop()
	left = [rounds]

	def callback():
		global total
		total += 1
		left[0] -= 1
		running = asyncio._get_running_loop()
		main_greenlet.switch()
		asyncio._set_running_loop(running)
		if left[0]:
			loop.call_soon(callback)
		else:
			loop.stop()
	loop.call_soon(callback)
	loop.run_forever()
	loop.close()


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	asyncio.run(within())
	ring_greenlets = [greenlet.greenlet(ring) for _ in range(3)]
	for each in ring_greenlets:
		each.switch(ROUNDS)
	while any(not each.dead for each in ring_greenlets):
		for each in ring_greenlets:
			if not each.dead:
				each.switch()
	truth.say(t="result", total=total)
	truth.say(t="done")
	sys.exit(7)
