# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A service with normal load, for days of recording: HTTP on loopback, JSON, SQLite, hashes.

Routes differ in what they do, connections come and go, and some tasks work in the background, as
in any service. At 200 requests a second its loop is busy for a quarter of the time.
"""
import asyncio
import hashlib
import json
import os
import random
import sqlite3
import tempfile
import zlib

import truth

served = 0
cache = {}
chance = random.Random(1)


class Store:
	"""Items in a file, read and written as small services do: on the loop's own thread."""

	def __init__(self, path):
		self.db = sqlite3.connect(path, isolation_level=None)
		self.db.execute("PRAGMA synchronous = OFF")
		self.db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body TEXT)")
		self.db.executemany("INSERT INTO item VALUES (?, ?, ?)",
				    ((i, f"item {i % 97}", json.dumps(self.body(i)))
				     for i in range(5000)))

	def body(self, number):
		return {"number": number, "tags": [f"tag{number % n}" for n in range(2, 9)],
			"price": {"net": number * 0.81, "gross": number}, "text": "lorem ipsum " * 8}

	def get(self, number):
		row = self.db.execute("SELECT body FROM item WHERE id = ?", (number,)).fetchone()
		return json.loads(row[0]) if row else {}

	def search(self, name):
		rows = self.db.execute("SELECT id, body FROM item WHERE name LIKE ? LIMIT 50",
				       (f"%{name}",))
		return [dict(json.loads(body), id=number) for number, body in rows]

	def put(self, number, body):
		self.db.execute("INSERT OR REPLACE INTO item VALUES (?, ?, ?)",
				(number, f"item {number % 97}", json.dumps(body)))


def checksum(data, rounds):
	for _ in range(rounds):
		data = hashlib.sha256(data).digest()
	return data.hex()


def render(items):
	rows = "".join(f"<tr><td>{one.get('number')}</td><td>{', '.join(one.get('tags', []))}</td></tr>"
		       for one in items)
	return f"<html><table>{rows}</table></html>"


class Service:
	def __init__(self, store, log):
		self.store, self.log = store, log
		self.routes = [self.item, self.item, self.item, self.search, self.page, self.sign,
			       self.change, self.archive]

	async def item(self, number):
		if number not in cache:
			cache[number] = self.store.get(number)
		return json.dumps(cache[number])

	async def search(self, number):
		return json.dumps(self.store.search(f"item {number % 97}"))

	async def page(self, number):
		items = [self.store.get(number + i) for i in range(80)]
		return render(items)

	async def sign(self, number):
		await asyncio.sleep(0.002)
		return checksum(b"%d" % number, 2000)

	async def change(self, number):
		body = self.store.body(number)
		body["price"]["net"] = chance.random()
		self.store.put(number, body)
		cache.pop(number, None)
		return json.dumps(body)

	async def archive(self, number):
		data = json.dumps([self.store.get(number + i) for i in range(40)]).encode()
		loop = asyncio.get_running_loop()
		return str(len(await loop.run_in_executor(None, zlib.compress, data, 6)))

	async def answer(self, path):
		global served
		number = int(path.rsplit("/", 1)[1]) % 5000
		body = (await self.routes[number % len(self.routes)](number)).encode()
		self.log.write(f"{path} {len(body)}\n")
		served += 1
		return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

	async def serve(self, reader, writer):
		try:
			while True:
				head = await reader.readuntil(b"\r\n\r\n")
				line, *headers = head.decode().split("\r\n")
				fields = dict(one.split(": ", 1) for one in headers if one)
				writer.write(await self.answer(line.split(" ")[1]))
				await writer.drain()
				if fields.get("Connection") == "close":
					break
		except asyncio.IncompleteReadError:
			pass
		writer.close()


async def clean_cache():
	while True:
		await asyncio.sleep(0.5)
		for number in sorted(cache)[::3]:
			del cache[number]


async def flush_log(log):
	while True:
		await asyncio.sleep(1)
		log.flush()
		os.fdatasync(log.fileno())


async def count_metrics(store):
	while True:
		await asyncio.sleep(5)
		(total,) = store.db.execute("SELECT sum(length(body)) FROM item").fetchone()
		checksum(json.dumps({"total": total, "served": served}).encode(), 2000)


async def keep_alive():
	"""Asks another service whether it is there."""
	reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
	while True:
		await asyncio.sleep(1)
		writer.write(b"GET /health/0 HTTP/1.1\r\n\r\n")
		await reader.readuntil(b"\r\n\r\n")
		await reader.read(65536)


async def main(folder):
	global PORT
	with open(os.path.join(folder, "access.log"), "w") as log:
		store = Store(os.path.join(folder, "items.db"))
		server = await asyncio.start_server(Service(store, log).serve, "127.0.0.1", 0)
		PORT = server.sockets[0].getsockname()[1]
		tasks = [asyncio.ensure_future(one) for one in
			 (clean_cache(), flush_log(log), count_metrics(store), keep_alive())]
		for task, name in zip(tasks, ("cache", "log", "metrics", "health")):
			task.set_name(name)
		truth.hello(port=PORT)
		truth.commands.setblocking(False)
		loop = asyncio.get_running_loop()
		while await loop.sock_recv(truth.commands, 64) == b"count\n":
			truth.say(t="count", lines=served)
		server.close()
		for task in tasks:
			task.cancel()


if __name__ == "__main__":
	with tempfile.TemporaryDirectory() as scratch:
		asyncio.run(main(scratch))
