# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""speedscope's own page, opened in a headless browser as its command line opens it.

The page comes from the npm registry, one pinned version whose hash is checked, and is kept under
build/. The page's profile list and the table of its sandwich view are read from its DOM.

It must never run a page that is not the pinned one, and never let it reach the network.
"""
import base64
import hashlib
import io
import json
import os
import tarfile
import tempfile
import urllib.request

from browser import Browser

VERSION = "1.25.0"
SHA512 = "cpf9HWTZf1ijLXBJrk87Ve/54tnYx6rlf0gUThvn3ook6h63hLXVOQiMf44PT+XoV503cPfvfiT5gP5vojp6Ag=="
REGISTRY = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
URL = f"{REGISTRY}/speedscope/-/speedscope-{VERSION}.tgz"
PAGE = "package/dist/release/index.html"
SCHEMA = "package/dist/release/file-format-schema.json"
# A row of the sandwich view needs 20 pixels, and only rows in sight are in the DOM.
HEIGHT = 2400

ROWS = """
return [...document.querySelectorAll("table tr")].filter(row =>
	row.cells.length == 3 && /\\(.*%\\)$/.test(row.cells[0].textContent)).map(row => ({
	total: row.cells[0].textContent, self: row.cells[1].textContent,
	name: row.cells[2].textContent, file: row.cells[2].title}))
"""
PROFILES = """
return [...document.querySelectorAll("table tr[title]")].filter(row =>
	row.cells.length == 3 && /^\\d+$/.test(row.cells[0].textContent)).map(row => ({
	name: row.cells[1].textContent, total: row.cells[2].textContent}))
"""


def is_pinned(data):
	return base64.b64encode(hashlib.sha512(data).digest()).decode() == SHA512


def fetch(folder):
	"""The folder with the page's files: from the last time, else from the registry.

	Raises OSError when the registry can't be reached, ValueError when it has another file.
	"""
	kept = os.path.join(folder, f"speedscope-{VERSION}.tgz")
	where = os.path.join(folder, f"speedscope-{VERSION}")
	data = b""
	if os.path.exists(kept):
		with open(kept, "rb") as file:
			data = file.read()
	if not is_pinned(data):
		with urllib.request.urlopen(URL, timeout=120) as answer:
			data = answer.read()
	if not is_pinned(data):
		raise ValueError(f"{URL} is not the file that was pinned")
	os.makedirs(folder, exist_ok=True)
	with open(kept + ".new", "wb") as file:
		file.write(data)
	os.replace(kept + ".new", kept)
	with tarfile.open(fileobj=io.BytesIO(data)) as archive:
		for member in archive:
			if not member.isfile() or not member.name.startswith("package/dist/release/"):
				continue
			target = os.path.join(where, "package/dist/release",
					      os.path.basename(member.name))
			os.makedirs(os.path.dirname(target), exist_ok=True)
			with open(target, "wb") as file:
				file.write(archive.extractfile(member).read())
	return where


class Speedscope:
	"""The page in one browser, for several files one after the other."""

	def __init__(self, where):
		self.where = where
		self.browser = Browser(width=1400, height=HEIGHT)
		self.folder = tempfile.TemporaryDirectory(prefix="asyncprof-speedscope-")

	def show(self, path, screenshot=None):
		"""What the page shows of a file: its title, its profiles, and the rows of each."""
		name = os.path.basename(path)
		with open(path, "rb") as file:
			data = base64.b64encode(file.read()).decode()
		script = os.path.join(self.folder.name, "profile.js")
		# As its bin/cli does.
		with open(script, "w", encoding="utf-8") as file:
			file.write(f"speedscope.loadFileFromBase64({json.dumps(name)}, {json.dumps(data)})")
		browser = self.browser
		# Only another document makes the page start anew.
		browser.open("about:blank")
		browser.open("file://" + urllib.request.pathname2url(os.path.join(self.where, PAGE)) +
			     "#localProfilePath=" + urllib.request.pathname2url(script))
		browser.wait("return document.title.endsWith('- speedscope')", what="speedscope's title")
		shown = {"title": browser.script("return document.title")[:-len(" - speedscope")]}
		if screenshot:
			browser.screenshot(screenshot)
		browser.keys("3")
		browser.wait(ROWS, what="rows of the sandwich view")
		shown["profiles"] = browser.script(PROFILES)
		shown["active"] = browser.script(ROWS)
		return shown

	def quit(self):
		self.browser.quit()
		self.folder.cleanup()


def format_time(ns):
	"""As its TimeFormatter has it."""
	seconds = ns * 1e-9
	if seconds / 60 >= 1:
		return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
	for unit, word in ((1, "s"), (1e-3, "ms"), (1e-6, "\xb5s")):
		if seconds / unit >= 1:
			return f"{seconds / unit:.2f}{word}"
	return f"{seconds / 1e-9:.2f}ns"


def format_count(count):
	return f"{count:,}"
