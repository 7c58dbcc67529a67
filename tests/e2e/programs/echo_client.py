# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Keeps an echo server busy over some connections until its stdin ends; checks every answer.

Prints how many lines came back right; an answer that is wrong ends it with an error.
"""
import select
import socket
import sys


def main(port, connections):
	poll = select.epoll()
	by_fd = {}
	for i in range(connections):
		sock = socket.create_connection(("127.0.0.1", port))
		by_fd[sock.fileno()] = [sock, i, b""]
		poll.register(sock.fileno(), select.EPOLLIN)
		sock.sendall(b"line %d\n" % i)
	poll.register(0, select.EPOLLIN | select.EPOLLHUP)
	done = 0
	while True:
		for fd, _ in poll.poll():
			if fd == 0:
				print(done)
				return 0
			sock, number, got = by_fd[fd]
			data = sock.recv(4096)
			if not data:
				sys.exit("the server closed a connection")
			got += data
			if got.endswith(b"\n"):
				if got != b"line %d\n" % number:
					sys.exit(f"wrong answer: {got}")
				done += 1
				number, got = number + connections, b""
				sock.sendall(b"line %d\n" % number)
			by_fd[fd][1:] = number, got


if __name__ == "__main__":
	sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
