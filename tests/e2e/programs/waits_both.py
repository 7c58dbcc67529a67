# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A loop of asyncio's own beside one of uvloop's; ends when its stdin says something."""
import asyncio
import os
import threading

import uvloop


async def main():
	os.write(1, b'{"t": "hello", "unix_minus_mono": 0}\n')
	await asyncio.get_running_loop().run_in_executor(None, os.read, 0, 1)


if __name__ == "__main__":
	foreign = uvloop.new_event_loop()
	threading.Thread(target=foreign.run_forever, daemon=True).start()
	loop = asyncio.SelectorEventLoop()
	loop.run_until_complete(main())
