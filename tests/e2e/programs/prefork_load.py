# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Asks a server on loopback over a few connections, each request once the one before is answered,
until its stdin ends or it has asked often enough; checks every answer. Prints a line for each
worker that it meets and for each hundred answers, and its counts at the end.

Half of the connections are kept for some requests, half serve one. A server may close a connection that has
asked nothing yet, or that it is not done reading from; so a request of which not one byte of an
answer came is sent again on a new connection, as HTTP (RFC 9110, 9.2.2) has it for GET. That is
counted. A request with a piece of an answer is lost, and fails.
"""
import asyncio
import collections
import json
import sys

CONNECTIONS = 6
KEPT = 20		# a worker that accepts a connection while it ends waits for that one's end
REQUESTS_MAX = 500000
SECONDS_MAX = 600
counts = collections.Counter()
workers = set()


def say(**fact):
	print(json.dumps(fact), flush=True)


class Client:
	def __init__(self, port, kept):
		self.port, self.kept = port, kept
		self.writer = None

	def close(self):
		if self.writer:
			self.writer.close()
		self.writer = None

	async def answer(self, number):
		"""The body, or None when the connection ended without a byte of it."""
		if not self.writer:
			self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
			self.left = self.kept
		self.left -= 1
		head = b""
		try:
			self.writer.write(b"GET /?%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (
				number, b"" if self.left else b"Connection: close\r\n"))
			head = await self.reader.read(1)
		except ConnectionError:
			pass
		if not head:
			self.close()
			return None
		head += await self.reader.readuntil(b"\r\n\r\n")
		fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
		body = await self.reader.readexactly(int(fields["content-length"]))
		if not head.startswith(b"HTTP/1.1 200 "):
			raise ValueError(f"request {number}: {head}")
		if not self.left or fields.get("connection") == "close":
			self.close()
		return body.decode()

	async def ask(self, number):
		counts["asked"] += 1
		body = await self.answer(number)
		while body is None:
			counts["sent again"] += 1
			body = await self.answer(number)
		pid, echoed = body.split()
		if int(echoed) != number:
			raise ValueError(f"request {number} was answered {body}")
		counts["answered"] += 1
		if pid not in workers:
			workers.add(pid)
			say(t="worker", pid=int(pid))
		if counts["answered"] % 100 == 0:
			say(t="answered", count=counts["answered"])


async def ask_all(port, first, done):
	client = Client(port, KEPT if first % 2 else 1)
	for number in range(first, REQUESTS_MAX, CONNECTIONS):
		if done.is_set():
			break
		await client.ask(number)
	client.close()


async def main(port):
	done = asyncio.Event()
	loop = asyncio.get_running_loop()
	loop.add_reader(0, lambda: (loop.remove_reader(0), done.set()))
	loop.call_later(SECONDS_MAX, done.set)
	await asyncio.gather(*[ask_all(port, first, done) for first in range(CONNECTIONS)])
	say(t="counts", **counts)


if __name__ == "__main__":
	asyncio.run(main(int(sys.argv[1])))
