# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""gunicorn with uvicorn workers that run asyncio's loop; an answer says which worker gave it.

SIGHUP to it is gunicorn's graceful reload, SIGTERM its graceful end.
"""
import asyncio
import ctypes
import os
import signal
import socket
import sys

from gunicorn.app.base import BaseApplication

import truth

WORKERS = 2
PR_SET_PDEATHSIG = 1
PATIENCE_S = 300		# of gunicorn with its workers, however busy the machine


async def app(scope, receive, send):
	"""Some steps for each request, so that some are always under way."""
	if scope["type"] != "http":
		return
	number = scope["query_string"].decode()
	await asyncio.sleep(0)
	await asyncio.sleep(int(number) % 3 / 1000)
	body = b"%d %s" % (os.getpid(), number.encode())
	await send({"type": "http.response.start", "status": 200,
		    "headers": [(b"content-length", b"%d" % len(body))]})
	await send({"type": "http.response.body", "body": body})


def die_with_it(arbiter, worker):
	"""No worker outlives a test that failed."""
	ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Application(BaseApplication):
	def __init__(self, fd):
		self.settings = {"bind": f"fd://{fd}", "workers": WORKERS, "loglevel": "error",
				 "worker_class": "uvicorn_worker.UvicornH11Worker",
				 "control_socket_disable": True, "post_fork": die_with_it, "timeout": PATIENCE_S,
				 "graceful_timeout": PATIENCE_S}
		super().__init__()

	def load_config(self):
		for key, value in self.settings.items():
			if key in self.cfg.settings:  # older ones know less
				self.cfg.set(key, value)

	def load(self):
		return app


if __name__ == "__main__":
	sock = socket.create_server(("127.0.0.1", 0), backlog=512)
	truth.hello(port=sock.getsockname()[1])
	assert truth.listen() == "go"
	sys.argv[1:] = []
	Application(sock.fileno()).run()
