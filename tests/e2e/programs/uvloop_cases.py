# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What a loop of uvloop's runs: tasks, handles, timers, transports, signals; and what runs after it.

Its callbacks have no Python frame of the loop's below them. A plain callback is known by its own
frame, so before 3.11, where code has no qualified name, by its short one.
"""
import asyncio
import os
import select
import signal
import socket
import sys
import threading
import time

import uvloop

import truth
from truth import during, gate, rest, silent, spin


def run(coroutine):
	loop = uvloop.new_event_loop()
	asyncio.set_event_loop(loop)
	try:
		loop.run_until_complete(coroutine)
	finally:
		asyncio.set_event_loop(None)
		loop.close()


def called(name, function, **more):
	"""A window inside a callback that has this function's frame right above the loop."""
	return during(name, callback=function.__qualname__, by_stack=True,
		      short=sys.version_info < (3, 11), **more)


@truth.case
def steps():
	async def main():
		mark = await gate()
		with during("wakeup", mark=mark, cause="sleep"):
			time.sleep(0.05)
		await asyncio.sleep(0)
		with during("step", cause="cpu"):
			spin(0.05)
		await rest()
		task = asyncio.ensure_future(child())
		task.set_name("named")
		await task
		await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
		with during("after an executor", cause="sleep"):
			time.sleep(0.04)

	async def child():
		with during("first step", task="named", cause="sleep"):
			time.sleep(0.04)
		await rest()
		with during("socket", task="named", cause="socket"):
			ours, theirs = socket.socketpair()
			timer = threading.Timer(0.05, theirs.send, [b"x"])
			timer.start()
			ours.recv(1)
		timer.join()
		ours.close()
		theirs.close()
	run(main())
	with silent("after the loop", loop_runs=False):
		time.sleep(0.06)


@truth.case
def callbacks():
	def sleeps(mark):
		with called("call_soon", sleeps, mark=mark, cause="sleep"):
			time.sleep(0.04)

	def spins(mark, name):
		with called(name, spins, mark=mark, cause="cpu"):
			spin(0.04)

	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		truth.call_bracketed(loop.call_soon, sleeps)
		await rest()
		truth.call_bracketed(loop.call_soon, spins, "spins")
		await rest()
		loop.call_later(0.003, spins, None, "call_later")
		await rest(0.02)
		thread = threading.Thread(target=loop.call_soon_threadsafe,
					  args=(spins, None, "call_soon_threadsafe"))
		thread.start()
		await rest(0.06)
		thread.join()
		loop.call_soon(time.sleep, 0.04)  # C code: it has no frame, and nothing says its name
		with during("C code", t="may"):
			await rest(0.05)
		readable(loop)
		await rest(0.06)
		from_signal(loop)
		await rest(0.06)
		loop.remove_signal_handler(signal.SIGUSR1)

	def readable(loop):
		ours, theirs = socket.socketpair()
		ours.setblocking(False)

		def on_readable():
			loop.remove_reader(ours)
			with called("add_reader", on_readable, cause="cpu"):
				spin(0.04)
			ours.close()
			theirs.close()
		loop.add_reader(ours, on_readable)
		theirs.send(b"x")

	def from_signal(loop):
		def on_signal():
			with called("add_signal_handler", on_signal, cause="sleep"):
				time.sleep(0.04)
		loop.add_signal_handler(signal.SIGUSR1, on_signal)
		os.kill(os.getpid(), signal.SIGUSR1)
	run(main())


class Protocol(asyncio.Protocol):
	def connection_made(self, transport):
		self.transport = transport
		with called("connection_made", Protocol.connection_made, cause="cpu"):
			spin(0.03)

	def data_received(self, data):
		with called("data_received " + data.decode(), Protocol.data_received, cause="sleep"):
			time.sleep(0.04)
		self.transport.write(data)

	def connection_lost(self, error):
		with called("connection_lost", Protocol.connection_lost, cause="cpu"):
			spin(0.03)


class Datagrams(asyncio.DatagramProtocol):
	def datagram_received(self, data, peer):
		with called("datagram_received", Datagrams.datagram_received, cause="sleep"):
			time.sleep(0.04)


@truth.case
def transports():
	def client(port):
		with socket.create_connection(("127.0.0.1", port)) as peer:
			for i in range(3):
				peer.sendall(b"%d" % i)
				peer.recv(8)

	def ask(port):
		with socket.create_connection(("127.0.0.1", port)) as peer:
			peer.sendall(b"line\n")
			peer.recv(8)
			peer.recv(8)  # until it is closed

	def make():
		with called("factory", make, cause="sleep"):
			time.sleep(0.03)
		return Protocol()

	async def served(reader, writer):
		asyncio.current_task().set_name("served")
		line = await reader.readline()
		with during("stream", task="served", cause="sleep"):
			time.sleep(0.04)
		writer.write(line)
		await writer.drain()
		writer.close()

	async def during_client(function, server):
		thread = threading.Thread(target=function, args=(server.sockets[0].getsockname()[1],))
		thread.start()
		while thread.is_alive():
			await rest(0.01)
		await rest(0.05)
		server.close()
		await server.wait_closed()

	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		await during_client(client, await loop.create_server(make, "127.0.0.1", 0))
		await during_client(ask, await asyncio.start_server(served, "127.0.0.1", 0))
		transport, _ = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
		with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
			peer.sendto(b"x", transport.get_extra_info("sockname"))
			await rest(0.06)
		transport.close()
		await rest()
	run(main())


@truth.case
def polls_of_its_own():
	"""What a callback waits for is its own, though the loop waits in the same system call."""
	async def main():
		await rest()
		mark = await gate()
		with during("epoll", mark=mark, cause="poll"):
			poll = select.epoll()
			poll.poll(0.04)
			poll.close()
		await rest()
		mark = await gate()
		with during("select", mark=mark, cause="poll"):
			ours, theirs = socket.socketpair()
			select.select([ours], [], [], 0.04)
			ours.close()
			theirs.close()
		await rest()
		poll = select.epoll()
		asyncio.get_running_loop().call_soon(poll.poll, 0.04)
		with during("C code that polls", t="may"):
			await rest(0.05)
		poll.close()
	run(main())


@truth.case
def batches():
	"""Each callback of one batch is its own; the batch around them is the loop's."""
	def spins(mark, name):
		with called(name, spins, mark=mark):
			spin(0.03)

	async def main():
		loop = asyncio.get_running_loop()
		await rest()
		marks = [{} for _ in range(4)]
		loop.call_soon(truth.before, marks[0])
		for i, mark in enumerate(marks):
			loop.call_soon(spins, mark, f"batch {i}")
			loop.call_soon(truth.after, mark)
			if i < 3:
				loop.call_soon(truth.before, marks[i + 1])
		await rest(0.01)
		a = truth.ns()
		for _ in range(1200):
			loop.call_soon(spin, 0.00005)
		loop.call_soon(lambda: truth.facts.append(dict(
			t="iteration", case="batches", name="many short ones",
			tid=threading.get_native_id(), a=a, b=truth.ns())))
		await rest(0.01)
	run(main())


@truth.case
def loops_in_threads():
	"""Several of uvloop's loops at once, one beside a loop of asyncio's, and one inside a callback."""
	async def stall(name):
		await rest()
		asyncio.current_task().set_name(name)
		with during(name, task=name):
			time.sleep(0.04)
		await rest()

	threads = [threading.Thread(target=run, args=(stall(f"uvloop {i}"),)) for i in range(2)]
	threads.append(threading.Thread(target=asyncio.run, args=(stall("asyncio"),)))
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()


@truth.case
def interrupted():
	"""A KeyboardInterrupt leaves the loop from inside a callback."""
	def interrupt():
		with called("interrupt", interrupt, cause="sleep"):
			time.sleep(0.04)
		raise KeyboardInterrupt

	async def main():
		await rest()
		asyncio.get_running_loop().call_soon(interrupt)
		await rest(1)
	loop = uvloop.new_event_loop()
	asyncio.set_event_loop(loop)
	try:
		loop.run_until_complete(main())
	except KeyboardInterrupt:
		pass
	with silent("after the interrupt", loop_runs=False):
		time.sleep(0.06)
	for task in asyncio.all_tasks(loop):
		task.cancel()
		try:
			loop.run_until_complete(task)
		except asyncio.CancelledError:
			pass
	asyncio.set_event_loop(None)
	loop.close()


async def warm_up():
	"""What is imported at its first use takes as long as a stall."""
	loop = asyncio.get_running_loop()
	for server in (await loop.create_server(asyncio.Protocol, "127.0.0.1", 0),
		       await asyncio.start_server(lambda *pair: None, "127.0.0.1", 0)):
		_, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
		writer.close()
		server.close()
		await server.wait_closed()
	transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
	transport.close()
	await loop.run_in_executor(None, truth.nothing)


if __name__ == "__main__":
	run(warm_up())
	truth.run_cases(sys.argv[1:] or list(truth.CASES))
