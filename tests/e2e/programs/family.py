# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A process with a family: children that it forks, inside callbacks and outside, and programs that
it starts, one through a shell. Each waits until it is told to go, and then has stalls of its own.

Who was forked inside a callback has that one's frames on its stack for as long as it lives, and may
sleep for ever: no stall, its loop is the parent's.
"""
import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time

import truth

STALL_S = 0.06
ENDLESS_S = 0.3		# long after the threshold
ALONE_S = 300		# no member outlives a test that failed
MEMBER = "FAMILY_MEMBER"
HUNG = "forked before, hung"
pipes = {}


async def own_stalls():
	for number in range(2):
		mark = await truth.gate()
		with truth.during(f"stall {number}", mark=mark):
			time.sleep(STALL_S)
		await truth.rest()


async def hang(fd):
	"""A loop of its own that hangs, before anybody looks. Past the tick in which it was forked."""
	await asyncio.sleep(0.1)
	truth.say(t="hangs")
	os.read(fd, 1)


def live(role, fd):
	"""A member's life: ready, go, its stalls. Its facts say whose they are."""
	say, own = truth.say, os.getpid()
	truth.say = lambda **fact: say(pid=own, **fact)
	truth.facts.clear()
	signal.alarm(ALONE_S)
	for other in pipes.values():  # by which they hear that their parent has gone
		os.close(other)
	if role == HUNG:
		asyncio.run(hang(fd))
	truth.say(t="ready", role=role, parent=os.getppid())
	if os.read(fd, 1):
		with truth.Case(role):
			asyncio.run(own_stalls())
	truth.say(t="over", role=role)


def pipe_to(role):
	mine, pipes[role] = os.pipe()
	return mine


def fork(role):
	fd = pipe_to(role)
	if os.fork():
		return
	try:
		live(role, fd)
	finally:
		os._exit(0)


async def fork_in_callback(role):
	"""What the child runs from here on is inside the parent's callback."""
	fork(role)


def work(number):
	"""An executor's child sleeps between its jobs, in the frames of the callback that made it."""
	time.sleep(ENDLESS_S)
	return os.getpid()


async def use_pool():
	context = multiprocessing.get_context("fork")
	with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
		loop = asyncio.get_running_loop()
		for number in range(2):
			pid = await loop.run_in_executor(pool, work, number)
			# Unless it was watched by then nothing was shown.
			truth.say(t="pool", pid=pid)
			await loop.run_in_executor(None, truth.listen)


def spawn_slowly():
	"""posix_spawn: until its exec the child has our memory; that waits for the harness to write."""
	with tempfile.TemporaryDirectory() as where:
		fifo = os.path.join(where, "fifo")
		os.mkfifo(fifo)
		truth.say(t="spawns", fifo=fifo)
		done = [(os.POSIX_SPAWN_OPEN, 9, fifo, os.O_RDONLY, 0)]
		os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], os.environ,
					  file_actions=done), 0)


def start(role, *before):
	fd = pipe_to(role)
	env = dict(os.environ, **{MEMBER: f"{role} {fd}"})
	subprocess.Popen([*before, sys.executable, "-u", "-B", __file__], env=env, pass_fds=[fd])


def main():
	fork("forked before")
	asyncio.run(fork_in_callback("forked before, inside"))
	fork(HUNG)
	truth.hello()
	assert truth.listen() == "go"
	fork("forked")
	asyncio.run(fork_in_callback("forked inside"))
	start("started")
	start("started by a shell", "sh", "-c", '"$@"; true', "sh")
	asyncio.run(use_pool())
	spawn_slowly()
	while True:
		word = truth.listen()
		if word == "bye":
			break
		if word in pipes:
			os.write(pipes[word], b"x")
		else:
			start(word)
	for fd in pipes.values():
		os.close(fd)


if __name__ == "__main__":
	if MEMBER in os.environ:
		name, number = os.environ[MEMBER].rsplit(" ", 1)
		live(name, int(number))
	else:
		main()
