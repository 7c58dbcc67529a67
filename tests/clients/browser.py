# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A headless Chromium driven through chromedriver, by its WebDriver protocol and no library.

	with Browser() as browser:
		browser.open("out.svg")
		browser.script("return document.title")

It must never look at the network (only loopback and files), never use a profile but its own,
and never end a process that it did not start.
"""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

REMEDY = "apt-get install chromium chromium-driver"
HANG_S = 120 		# a call that takes longer is a hang
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"escape": "\ue00c", "enter": "\ue007", "control": "\ue009", "backspace": "\ue003",
	"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "tab": "\ue004"}


def missing():
	"""Why there is no browser to test with, None when there is one."""
	for names in (("chromedriver",), ("chromium", "chromium-browser", "google-chrome")):
		if not any(shutil.which(name) for name in names):
			return f"no {names[0]}; {REMEDY}"
	return None


class WebDriverError(Exception):
	"""What chromedriver says is wrong: `.error` is WebDriver's own word for it."""

	def __init__(self, error, message):
		super().__init__(f"{error}: {message.splitlines()[0] if message else ''}")
		self.error = error


class Browser:
	"""One browser window. `width` x `height` is what the page gets, not the window's frame."""

	def __init__(self, width=1200, height=800, arguments=()):
		self.driver = self.session = None
		self.folder = tempfile.mkdtemp(prefix="asyncprof-browser-")
		try:
			self._start(width, height, arguments)
		except BaseException:
			self.quit()
			raise

	def _start(self, width, height, arguments):
		with open(os.path.join(self.folder, "chromedriver.log"), "wb") as log:
			# A group of its own, so that quit() ends the browser with it.
			self.driver = subprocess.Popen(
				[shutil.which("chromedriver"), "--port=0"], stdin=subprocess.DEVNULL,
				stdout=subprocess.PIPE, stderr=log, start_new_session=True)
		self.base = f"http://127.0.0.1:{self._read_port()}"
		chromium = next(filter(None, map(shutil.which, (
			"chromium", "chromium-browser", "google-chrome"))))
		options = {
			"binary": chromium,
			# As root Chromium has no sandbox; what we open are our own files.
			"args": ["--headless=new", "--no-sandbox", "--disable-gpu",
				"--disable-dev-shm-usage", "--no-first-run",
				"--disable-background-networking", "--disable-component-update",
				"--disable-sync", "--no-default-browser-check",
				"--allow-file-access-from-files", "--hide-scrollbars",
				f"--user-data-dir={self.folder}/profile", *arguments],
			"prefs": {"download.default_directory": self.folder},
		}
		answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
			"browserName": "chrome", "goog:chromeOptions": options,
			"goog:loggingPrefs": {"browser": "ALL"},
			"unhandledPromptBehavior": "ignore"}}})
		self.session = f"/session/{answer['sessionId']}"
		self.version = answer["capabilities"]["browserVersion"]
		self.resize(width, height)

	def _read_port(self):
		lines = []
		for line in self.driver.stdout:
			lines.append(line.decode(errors="replace"))
			found = re.search(r"started successfully on port (\d+)", lines[-1])
			if found:
				return int(found[1])
		raise WebDriverError("chromedriver ended", "".join(lines[-3:]))

	def _call(self, method, path, body=None):
		data = None if body is None else json.dumps(body).encode()
		request = urllib.request.Request(self.base + path, data, method=method,
						 headers={"Content-Type": "application/json"})
		# No proxy: chromedriver is on loopback.
		opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
		try:
			with opener.open(request, timeout=HANG_S) as answer:
				return json.load(answer)["value"]
		except urllib.error.HTTPError as error:
			value = json.load(error)["value"]
			raise WebDriverError(value["error"], value["message"]) from None

	def _do(self, method, path, body=None):
		if method == "POST" and body is None:
			body = {}
		return self._call(method, self.session + path, body)

	def open(self, where):
		"""A file's path, or an URL. Returns when it is loaded."""
		if not re.match(r"[a-z]+:", where):
			where = "file://" + urllib.request.pathname2url(os.path.abspath(where))
		self._do("POST", "/url", {"url": where})

	def script(self, source, *arguments):
		"""Runs the body of a function and returns what it returns; `arguments` is in JavaScript."""
		return self._do("POST", "/execute/sync", {"script": source, "args": list(arguments)})

	def wait(self, source, *arguments, what=None):
		"""Waits until the function's body returns something true, and returns that."""
		deadline = time.monotonic() + HANG_S
		while True:
			value = self.script(source, *arguments)
			if value:
				return value
			if time.monotonic() > deadline:
				raise WebDriverError("never came", what or source)
			time.sleep(0.05)

	def find(self, css):
		return self._do("POST", "/element", {"using": "css selector", "value": css})

	def _element(self, what):
		element = self.find(what) if isinstance(what, str) else what
		return "/element/" + element[ELEMENT]

	def click(self, what):
		"""A CSS selector, or an element that script() or find() returned."""
		self._do("POST", self._element(what) + "/click")

	def click_at(self, x, y, button=0):
		"""A click at a place of the window, wherever that lands."""
		self.pointer({"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0},
			     {"type": "pointerDown", "button": button},
			     {"type": "pointerUp", "button": button})

	def move_to(self, x, y):
		self.pointer({"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0})

	def pointer(self, *actions):
		self._do("POST", "/actions", {"actions": [{
			"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
			"actions": list(actions)}]})

	def type(self, text, into=None):
		"""Types into an element, or without one into whatever has the focus."""
		if into is not None:
			self._do("POST", self._element(into) + "/value", {"text": text})
		elif text:
			self.keys(*text)

	def keys(self, *names, hold=()):
		"""Presses keys one after the other: a character, or a name of KEYS; `hold`: meanwhile held."""
		held = [KEYS.get(name, name) for name in hold]
		actions = [{"type": "keyDown", "value": key} for key in held]
		for name in names:
			key = KEYS.get(name, name)
			actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
		actions += [{"type": "keyUp", "value": key} for key in reversed(held)]
		self._do("POST", "/actions", {"actions": [
			{"type": "key", "id": "keyboard", "actions": actions}]})

	def cdp(self, command, **parameters):
		"""A command of Chromium's own DevTools protocol."""
		return self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

	def resize(self, width, height):
		self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
			 deviceScaleFactor=1, mobile=False)

	def media(self, **features):
		"""Emulates media features: media(prefers_color_scheme="dark")."""
		self.cdp("Emulation.setEmulatedMedia", features=[
			{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

	def enable_scripts(self, enabled):
		"""Whether the pages that are opened from now on run their scripts."""
		self.cdp("Emulation.setScriptExecutionDisabled", value=not enabled)

	def screenshot(self, path):
		os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
		with open(path, "wb") as file:
			file.write(base64.b64decode(self._do("GET", "/screenshot")))

	def log(self):
		"""What came to the console since the last call: dicts with level, source, message."""
		return self._do("POST", "/se/log", {"type": "browser"})

	def dialog(self):
		"""The text of an open alert, None when there is none."""
		try:
			return self._do("GET", "/alert/text")
		except WebDriverError as error:
			if error.error == "no such alert":
				return None
			raise

	def quit(self):
		try:
			if self.session:
				self._do("DELETE", "")
		except (WebDriverError, OSError):
			pass
		self.session = None
		if self.driver:
			try:
				os.killpg(self.driver.pid, signal.SIGKILL)
			except ProcessLookupError:
				pass
			self.driver.stdout.close()
			self.driver.wait()
			self.driver = None
		shutil.rmtree(self.folder, ignore_errors=True)

	def __enter__(self):
		return self

	def __exit__(self, *exception):
		self.quit()
