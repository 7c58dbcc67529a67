# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Loops in many threads: some run before the profiler comes, some start after it, some go.

Rounds of asyncio.run in the same thread, threads that come and go one after the other, and
threads whose loops run at the same time.
"""
import asyncio
import threading
import time

import truth
from truth import during, gate, rest, silent

ROUNDS, VISITORS = 5, 5


async def stall(task):
	mark = await gate()
	asyncio.current_task().set_name(task)
	with during(task, mark=mark, task=task):
		time.sleep(0.04)
	await rest()


async def older(go, number):
	while not go.is_set():
		await rest(0.01)
	await stall(f"older-{number}")


def later(number):
	asyncio.run(stall(f"later-{number}"))
	with silent(f"after later-{number}", loop_runs=False):
		time.sleep(0.04)


def main():
	go = threading.Event()
	old = [threading.Thread(target=asyncio.run, args=(older(go, i),)) for i in range(2)]
	for thread in old:
		thread.start()
	truth.hello()
	assert truth.listen() == "go"
	with truth.Case("older loops"):
		go.set()
		for thread in old:
			thread.join()
	with truth.Case("run again and again"):
		for number in range(ROUNDS):
			asyncio.run(stall(f"round-{number}"))
			with silent(f"after round-{number}", loop_runs=False):
				time.sleep(0.03)
	with truth.Case("threads come and go"):
		for number in range(VISITORS):
			thread = threading.Thread(target=later, args=(f"alone-{number}",))
			thread.start()
			thread.join()
	with truth.Case("threads at the same time"):
		threads = [threading.Thread(target=later, args=(f"together-{i}",)) for i in range(4)]
		for thread in threads:
			thread.start()
		for thread in threads:
			thread.join()
	truth.say(t="done")
	truth.listen()


if __name__ == "__main__":
	main()
