# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Runs a loop that asyncprof does not support, at once or when it is told to; ends on more input.

Arguments: whose loop, and "later" to wait for a line first.
"""
import os
import sys


def hello():
	os.write(1, b'{"t": "hello", "unix_minus_mono": 0}\n')


def run_gevent():
	import gevent
	import gevent.os
	gevent.spawn(gevent.sleep, 0)
	hello()
	gevent.os.tp_read(0, 1)


def run_trio():
	import trio

	async def main():
		hello()
		await trio.to_thread.run_sync(os.read, 0, 1)
	trio.run(main)


def run_rloop():
	import asyncio
	import rloop

	async def main():
		hello()
		await asyncio.get_running_loop().run_in_executor(None, os.read, 0, 1)
	loop = rloop.new_event_loop()
	asyncio.set_event_loop(loop)
	loop.run_until_complete(main())


if __name__ == "__main__":
	if sys.argv[2:] == ["later"]:
		hello()
		while os.read(0, 1) != b"\n":
			pass
	globals()["run_" + sys.argv[1]]()
