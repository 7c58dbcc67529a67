#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A small asyncio service with the mistakes that services have.

It answers lines over TCP on a port of its own choosing and is its own client. Most requests are
fine; some handlers block the loop for everybody, each in another way.
"""
import asyncio
import hashlib
import socket
import subprocess
import sys
import threading
import time

lock = threading.Lock()


async def greet():
	await asyncio.sleep(0.02)
	return "hello"


async def wait_politely():
	await asyncio.sleep(0.2)
	return "waited, and blocked nobody"


async def retry_later():
	time.sleep(0.15)  # blocks the loop; asyncio.sleep() would not
	return "tried again"


async def hash_password():
	digest = b"secret"
	end = time.monotonic() + 0.2
	while time.monotonic() < end:  # CPU work on the loop; asyncio.to_thread() would help
		digest = hashlib.sha256(digest).digest()
	return digest.hex()


async def ask_upstream(upstream):
	with socket.create_connection(upstream) as connection:
		return connection.recv(16).decode()  # a blocking socket


async def make_thumbnail():
	return subprocess.run(["sleep", "0.25"]).returncode  # waits for a child


async def read_counter():
	with lock:  # held by another thread meanwhile
		return "counted"


def slow_upstream(server):
	"""A peer that takes its time, in a thread of its own."""
	while True:
		connection, _ = server.accept()
		time.sleep(0.12)
		connection.sendall(b"at last")
		connection.close()


def hog():
	"""Another thread that keeps the lock for too long."""
	while True:
		with lock:
			time.sleep(0.3)
		time.sleep(0.7)


async def main(seconds):
	server = socket.create_server(("127.0.0.1", 0))
	threading.Thread(target=slow_upstream, args=(server,), daemon=True).start()
	threading.Thread(target=hog, daemon=True).start()
	handlers = {
		"greet": greet,
		"wait": wait_politely,
		"retry": retry_later,
		"password": hash_password,
		"upstream": lambda: ask_upstream(server.getsockname()),
		"thumbnail": make_thumbnail,
		"counter": read_counter,
	}

	async def serve(reader, writer):
		asyncio.current_task().set_name("serve")
		while line := await reader.readline():
			answer = await handlers[line.decode().strip()]()
			writer.write(f"{answer}\n".encode())
			await writer.drain()
		writer.close()

	listener = await asyncio.start_server(serve, "127.0.0.1", 0)
	reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
	print("serving", flush=True)
	end = time.monotonic() + seconds
	while time.monotonic() < end:
		for request in handlers:
			writer.write(f"{request}\n".encode())
			await reader.readline()
			await asyncio.sleep(0.1)
	writer.close()
	await asyncio.sleep(0.1)


asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3600))
