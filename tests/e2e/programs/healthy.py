# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The healthy twin: it does what causes.py does, the asynchronous way, so nothing may be reported.

A heartbeat notes every gap in which its loop did not turn: what the machine did to it.
"""
import asyncio
import socket
import time

import truth

GAP_NS = 10000000


async def heart():
	last = truth.ns()
	while True:
		await asyncio.sleep(0.002)
		now = truth.ns()
		if now - last > GAP_NS:
			truth.facts.append(dict(t="gap", a=last, b=now))
		last = now


async def answer(reader, writer):
	while True:
		line = await reader.readline()
		if not line:
			return writer.close()
		writer.write(line)
		await writer.drain()


async def chain(levels):
	return await chain(levels - 1) if levels else await asyncio.sleep(0.01)


async def work():
	loop = asyncio.get_running_loop()
	lock = asyncio.Lock()
	ours, theirs = socket.socketpair()
	asyncio.ensure_future(answer(*await asyncio.open_connection(sock=theirs)))
	reader, writer = await asyncio.open_connection(sock=ours)
	while True:
		await asyncio.sleep(0.05)
		await loop.run_in_executor(None, time.sleep, 0.05)
		writer.write(b"line\n")
		await reader.readline()
		async with lock:
			await chain(40)
		await asyncio.gather(*[asyncio.sleep(0) for _ in range(50)])
		loop.call_soon(len, "")


async def main():
	loop = asyncio.get_running_loop()
	tasks = [loop.create_task(one(), name=one.__name__) for one in (heart, work)]
	truth.commands.setblocking(False)
	await loop.sock_recv(truth.commands, 100)
	ending = truth.ns()
	for task in tasks:
		task.cancel()
	await asyncio.gather(*tasks, return_exceptions=True)
	return ending


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	began = asyncio.run(main())  # which waits for the executor's threads
	truth.facts.append(dict(t="gap", a=began, b=truth.ns()))
	truth.flush()
	truth.say(t="done")
