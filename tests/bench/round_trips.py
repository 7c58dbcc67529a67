# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Asks an echo server line by line over one connection, and knows how long each round trip took.

Answers `count` on its stdin with how many there were, and the median of those since the last time.
"""
import json
import select
import socket
import statistics
import sys
import time


def main(port):
	sock = socket.create_connection(("127.0.0.1", port))
	sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
	trips, took = 0, []
	while True:
		begin = time.monotonic_ns()
		sock.sendall(b"line\n")
		if sock.recv(64) != b"line\n":
			sys.exit("wrong answer")
		took.append(time.monotonic_ns() - begin)
		trips += 1
		if trips % 64 == 0 and select.select([0], [], [], 0)[0]:
			if not sys.stdin.readline():
				return 0
			print(json.dumps({"t": "count", "lines": trips, "ns": statistics.median(took)}),
			      flush=True)
			took.clear()


if __name__ == "__main__":
	sys.exit(main(int(sys.argv[1])))
