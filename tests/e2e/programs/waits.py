# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program that only waits, with asyncio imported unless it is `plain`. Python 2.7 runs it too.

Ends when its stdin says something; with `execs`, becomes another program then.
"""
import os
import sys

if __name__ == "__main__":
	if sys.argv[1] != "plain":
		import asyncio
		asyncio.new_event_loop()
	os.write(1, b'{"t": "hello", "unix_minus_mono": 0}\n')
	os.read(0, 1)
	if sys.argv[1] == "execs":
		os.execv(sys.executable, [sys.executable, "-c", "import os; os.read(0, 1)"])
