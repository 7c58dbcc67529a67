# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Has a library mapped that by its name is uvloop's, and is not; ends when its stdin says something.

With "asyncio" as argument a loop of asyncio's runs beside it.
"""
import asyncio
import ctypes
import os
import sys


def hello():
	os.write(1, b'{"t": "hello", "unix_minus_mono": 0}\n')


async def main():
	hello()
	await asyncio.get_running_loop().run_in_executor(None, os.read, 0, 1)


if __name__ == "__main__":
	ctypes.CDLL(sys.argv[1])
	if sys.argv[2:] == ["asyncio"]:
		asyncio.run(main())
	else:
		hello()
		os.read(0, 1)
