# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A busy server: it echoes lines until the harness says stop, and counts them."""
import asyncio

import truth

lines = 0


async def serve(reader, writer):
	global lines
	while True:
		line = await reader.readline()
		if not line:
			break
		lines += 1
		writer.write(line)
		await writer.drain()
	writer.close()


async def main():
	server = await asyncio.start_server(serve, "127.0.0.1", 0)
	truth.hello(port=server.sockets[0].getsockname()[1])
	truth.commands.setblocking(False)
	while True:
		command = await asyncio.get_running_loop().sock_recv(truth.commands, 64)
		if command != b"count\n":
			break
		truth.say(t="count", lines=lines)
	server.close()
	truth.say(t="done", lines=lines)


if __name__ == "__main__":
	asyncio.run(main())
