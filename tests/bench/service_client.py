# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Sends so many requests a second to service.py, over connections that come and go.

The pace does not follow the answers: a service that is slow for a moment gets what piled up, as
from real users. Prints how many answers came once its stdin ends.
"""
import asyncio
import random
import sys

answers = 0
chance = random.Random(2)


async def ask(reader, writer, last):
	global answers
	end = "Connection: close\r\n" if last else ""
	writer.write(f"GET /item/{chance.randrange(100000)} HTTP/1.1\r\nHost: a\r\n{end}\r\n".encode())
	head = await reader.readuntil(b"\r\n\r\n")
	await reader.readexactly(int(head.decode().split("Content-Length: ")[1].split("\r\n")[0]))
	answers += 1


async def use(port, queue):
	"""One user: a connection for some requests, then another one."""
	while True:
		reader, writer = await asyncio.open_connection("127.0.0.1", port)
		left = chance.randrange(5, 60)
		while left:
			await queue.get()
			left -= 1
			await ask(reader, writer, not left)
		writer.close()


async def main(port, rate):
	queue = asyncio.Queue()
	users = [asyncio.ensure_future(use(port, queue)) for _ in range(20)]
	loop = asyncio.get_running_loop()
	end = loop.run_in_executor(None, sys.stdin.read)
	begin, sent = loop.time(), 0
	while not end.done():
		for one in users:
			if one.done():
				one.result()
		while sent < (loop.time() - begin) * rate:
			queue.put_nowait(None)
			sent += 1
		await asyncio.sleep(chance.expovariate(rate))
	print(answers)
	for one in users:
		one.cancel()


if __name__ == "__main__":
	asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
