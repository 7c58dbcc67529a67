# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A program whose only loop is uvloop's; ends when its stdin says something."""
import asyncio
import os

import uvloop


async def main():
	os.write(1, b'{"t": "hello", "unix_minus_mono": 0}\n')
	await asyncio.get_running_loop().run_in_executor(None, os.read, 0, 1)


if __name__ == "__main__":
	loop = uvloop.new_event_loop()
	loop.run_until_complete(main())
