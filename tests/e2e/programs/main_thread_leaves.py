# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The main thread ends, the loop lives on in another: probes by pid go silent then.

They are put back within a moment; the loop here waits for that.

The thread group lives on as a process whose leader is a zombie.
"""
import asyncio
import ctypes
import os
import threading
import time

import truth
from truth import during, gate, rest


async def main():
	for number in range(3):
		mark = await gate()
		with during(f"stall {number}", mark=mark):
			time.sleep(0.05)
		await rest(0.02)


def leader_is_gone():
	with open(f"/proc/{os.getpid()}/stat") as file:
		return file.read().rsplit(")", 1)[1].split()[0] == "Z"


def other():
	while not leader_is_gone():
		time.sleep(0.005)
	truth.say(t="gone")
	assert truth.listen() == "run"
	truth.case_name = "after the main thread left"
	a = truth.ns()
	asyncio.run(main())
	truth.flush()
	truth.say(t="case", case=truth.case_name, a=a, b=truth.ns(), run_delay=0, steal=0, failed="")
	truth.say(t="done")
	truth.listen()
	os._exit(0)


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	threading.Thread(target=other, daemon=True).start()
	ctypes.CDLL(None).syscall(60, 0)  # exit, of this thread only
