# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A loop that sleeps and burns by turns, and a thread beside it; guest.py looks for the marks.

150 ms each are over the profiler's 100 ms. It must never hold the GIL in the thread, since the
stalls would then have two causes.
"""
import asyncio
import time


def nap():
	time.sleep(0.15)  # mark: nap


def burn():
	end = time.thread_time() + 0.15
	while time.thread_time() < end:
		sum(range(2000))  # mark: burn


def job():
	while True:
		time.sleep(0.05)  # mark: job


async def main():
	asyncio.get_running_loop().run_in_executor(None, job)
	while True:
		nap()
		await asyncio.sleep(0.05)
		burn()
		await asyncio.sleep(0.05)


asyncio.run(main())
