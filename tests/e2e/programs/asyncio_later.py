# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A Python program that has not imported asyncio when the profiler attaches, and does later.

It speaks the harness's words by itself, since truth.py imports asyncio.
"""
import json
import os
import socket
import sys
import time

commands = socket.socket(fileno=os.dup(0))


def say(**fact):
	os.write(1, (json.dumps(fact) + "\n").encode())


def main():
	assert "asyncio" not in sys.modules and "_asyncio" not in sys.modules
	say(t="hello", pid=os.getpid(), unix_minus_mono=time.time_ns() - time.monotonic_ns())
	assert commands.recv(64) == b"import\n"
	import truth
	truth.commands = commands
	say(t="imported")
	assert truth.listen() == "go"
	with truth.Case("after the import"):
		import asyncio

		async def stalls():
			for number in range(3):
				mark = await truth.gate()
				with truth.during(f"stall {number}", mark=mark):
					time.sleep(0.05)
				await truth.rest(0.02)
		asyncio.run(stalls())
	say(t="done")
	commands.recv(64)


if __name__ == "__main__":
	main()
