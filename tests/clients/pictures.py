#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Opens pictures in a headless browser, as their readers do: looks, clicks, zooms, searches.

usage: tests/clients/pictures.py [FILE.svg|FILE.html]...

Without files it has the unit test make some, whose content is known; files of one's own are
checked for what holds of any picture. Screenshots go to build/pictures. The last line counts;
the exit status is 0 when nothing failed.
"""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import browser

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
SHOTS = os.path.join(BUILD, "pictures")
MAKER = os.path.join(BUILD, "tests", "test_flamegraph")

# What the names in the unit test's hostile picture must read as.
HOSTILE = (
	"</script><script>window.pwned=1</script>",
	"</title></text></svg><img src=x onerror=window.pwned=1>",
	"\"' onload=\"window.pwned=1",
	"]]><x>",
	"&amp;&#x0;&lt;",
	"a\\x0ab\\x0d\\x09c\\x1b[31m\\x07",
	"\\xff\\xfe\\xc0\\x80\\xed\\xa0\\x80",
	"\\u202egnp.exe\\u2066\\u200b",
	"\\x41\\u0042",
	"<!-- <![CDATA[ -->",
	"javascript:window.pwned=1",
	"${window.pwned=1}",
	"\\uffff\N{SNAKE} \u86c7",
	"${jndi:x}{{7*7}}",
)

# Functions that the scripts below call. `label` is a frame's whole name, from its tooltip.
TOOLS = """
	const graph = document.getElementById('graph');
	const frames = () => Array.from(graph.querySelectorAll('.f'));
	const shown = () => frames().filter(f => f.getAttribute('display') !== 'none');
	const box = f => { const r = f.querySelector('rect').getBoundingClientRect();
		return {x: r.left, y: r.top, w: r.width, h: r.height}; };
	const tip = f => { const r = box(f);
		f.dispatchEvent(new MouseEvent('mousemove', {bubbles: true, clientX: r.x + 1, clientY: r.y + 1}));
		const lines = Array.from(document.getElementById('tip').children).map(e => e.textContent);
		return lines; };
	const label = f => tip(f)[0];
	const named = name => shown().find(f => label(f) === name);
	const path = () => Array.from(document.getElementById('path').querySelectorAll('button, b'))
		.map(e => e.textContent);
	const rgb = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
	const luminance = color => rgb(color).map(v => v / 255)
		.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
		return (x + 0.05) / (y + 0.05); };
"""


class Report:
	def __init__(self):
		self.passed = self.failed = self.skipped = 0

	def check(self, what, holds, detail=""):
		if holds:
			self.passed += 1
			print(f"ok {what}")
		else:
			self.failed += 1
			print(f"FAIL {what}: {detail}")

	def equal(self, what, got, want):
		self.check(what, got == want, f"got {got!r}, want {want!r}")

	def skip(self, what, why):
		self.skipped += 1
		print(f"skip {what}: {why}")

	def end(self):
		print(f"pictures: {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
		return 1 if self.failed else 0


class Picture:
	"""One file, open in the browser, and what can be asked of it."""

	def __init__(self, window, report, file):
		self.window, self.report, self.file = window, report, file
		self.name = os.path.basename(file)

	def run(self, source, *arguments):
		return self.window.script(TOOLS + source, *arguments)

	def check(self, what, holds, detail=""):
		self.report.check(f"{self.name}: {what}", holds, detail)

	def equal(self, what, got, want):
		self.report.equal(f"{self.name}: {what}", got, want)

	def open(self):
		self.window.log()
		self.window.open(self.file)

	def resize(self, width):
		"""The window, and the picture in it: that is laid out anew in the frame after its event."""
		self.window.resize(width, 800)
		self.window.wait("return innerWidth === arguments[0]", width)
		self.window.script("return new Promise(done => requestAnimationFrame(() =>"
				   "requestAnimationFrame(() => done(1))))")

	def is_wide(self, what, label, want):
		share = self.width(label)
		self.check(what, share is not None and abs(share - want) < 0.001, f"{share}, want {want}")

	def click(self, label):
		x, y = self.run("const r = box(named(arguments[0]));"
				"return [r.x + Math.min(r.w / 2, 40), r.y + r.h / 2]", label)
		self.window.click_at(x, y)

	def width(self, label):
		"""Of a frame, as a share of the graph; None when it is not shown."""
		return self.run("const f = named(arguments[0]);"
				"return f ? box(f).w / graph.getBoundingClientRect().width : null", label)

	def search(self, text):
		self.window.script("const s = document.getElementById('search'); s.value = '';")
		self.window.click("#search")
		self.window.type(text)
		return self.window.script("return document.getElementById('found').textContent")

	def shot(self, what):
		self.window.screenshot(os.path.join(SHOTS, f"{self.name}.{what}.png"))

	# --- What holds of any picture -----------------------------------------------------

	def check_harmless(self):
		"""No name ran, opened, or loaded anything."""
		self.equal("no dialog", self.window.dialog(), None)
		self.equal("no script of a name ran", self.window.script("return typeof window.pwned"),
			   "undefined")
		self.equal("nothing on the console", [entry["message"] for entry in self.window.log()], [])
		self.equal("one script, no foreign elements", self.window.script("""
			return [document.querySelectorAll('script').length,
				document.querySelectorAll('img, iframe, object, embed, link, x').length]"""), [1, 0])
		self.equal("nothing was fetched", self.window.script(
			"return performance.getEntriesByType('resource').map(e => e.name)"), [])

	def check_document(self):
		if self.name.endswith(".svg"):
			try:
				xml.etree.ElementTree.parse(self.file)
				wrong = None
			except xml.etree.ElementTree.ParseError as error:
				wrong = error
			self.equal("is XML for Python", wrong, None)
			with open(self.file, encoding="utf-8") as file:
				text = file.read()
			self.equal("is XML for the browser", self.window.script("""
				const parsed = new DOMParser().parseFromString(arguments[0], 'image/svg+xml');
				const wrong = parsed.querySelector('parsererror');
				return wrong ? wrong.textContent : null""", text), None)
		self.equal("has a name for those who can't see", self.run(
			"return [graph.getAttribute('role'), graph.getAttribute('aria-label').length > 13]"),
			["img", True])

	def check_layout(self, when):
		"""Widths are times; children lie below their callers, side by side, and inside the window."""
		wrong = self.run("""
			const all = shown(), wrong = [], by = arguments[0];
			const value = f => Number(f.dataset[by]);
			const whole = graph.getBoundingClientRect(), scale = whole.width / value(all[0]);
			const at = f => Math.round((box(f).y - whole.top) / Number(graph.dataset.row));
			const open = [];
			let right = [];
			for (const f of all) {
				const r = box(f), depth = at(f);
				if (Math.abs(r.w - value(f) * scale) > 1)
					wrong.push('width ' + label(f) + ' ' + r.w + ' ' + value(f) * scale);
				open.length = depth;
				right.length = depth + 1;
				if (depth) {
					const p = box(open[depth - 1]);
					if (r.x < p.x - 1 || r.x + r.w > p.x + p.w + 1)
						wrong.push('outside its caller: ' + label(f));
				}
				if (right[depth] !== undefined && r.x < right[depth] - 1)
					wrong.push('overlaps: ' + label(f));
				right[depth] = r.x + r.w;
				open[depth] = f;
			}
			if (whole.left < 0 || whole.right > innerWidth + 1)
				wrong.push('not in the window: ' + whole.left + ' ' + whole.right);
			if (document.documentElement.scrollWidth > innerWidth + 1)
				wrong.push('scrolls sideways: ' + document.documentElement.scrollWidth);
			return wrong.slice(0, 5)""", "t")
		self.equal(f"widths are times ({when})", wrong, [])

	def check_text(self, when):
		"""A name is whole, or cut with dots, never longer than its frame; none is missing."""
		wrong = self.run("""
			const wrong = [];
			for (const f of shown()) {
				const text = f.querySelector('text'), r = box(f);
				if (!text) {
					if (r.w > 30)
						wrong.push('no text: ' + label(f));
					continue;
				}
				const name = label(f), shownName = text.textContent;
				if (shownName !== name && !(shownName.endsWith('\\u2026') &&
				    name.startsWith(shownName.slice(0, -1))))
					wrong.push('not its name: ' + shownName);
				if (/^[ -~\\u2026]*$/.test(shownName) && text.getComputedTextLength() > r.w)
					wrong.push('too long: ' + shownName);
			}
			return wrong.slice(0, 5)""")
		self.equal(f"names fit their frames ({when})", wrong, [])

	def check_colours(self):
		seen = {}
		for scheme in ("dark", "light"):
			self.window.media(prefers_color_scheme=scheme)
			seen[scheme] = self.run("""
				const poor = [];
				for (const f of shown()) {
					const text = f.querySelector('text');
					if (!text || f.classList.contains('above'))
						continue;
					const ratio = contrast(getComputedStyle(text).fill,
						getComputedStyle(f.querySelector('rect')).fill);
					if (ratio < 4.5)
						poor.push(f.getAttribute('class') + ' ' + ratio.toFixed(2));
				}
				const paper = getComputedStyle(document.querySelector('.asyncprof')).backgroundColor;
				const title = getComputedStyle(document.querySelector('.title'));
				return {poor: Array.from(new Set(poor)), paper: luminance(paper),
					title: contrast(title.color, paper),
					first: getComputedStyle(graph.querySelector('.f rect')).fill}""")
			self.equal(f"names can be read ({scheme})", seen[scheme]["poor"], [])
			self.check(f"the title can be read ({scheme})", seen[scheme]["title"] > 7, seen[scheme])
		self.check("dark is dark and light is light",
			   seen["dark"]["paper"] < 0.05 and seen["light"]["paper"] > 0.9, seen)
		self.check("frames change too", seen["dark"]["first"] != seen["light"]["first"], seen)

	def check_sizes(self):
		for width in (480, 1600):
			self.resize(width)
			self.check_layout(f"{width} wide")
			self.check_text(f"{width} wide")
			for scheme in ("dark", "light"):
				self.window.media(prefers_color_scheme=scheme)
				self.shot(f"{scheme}.{width}")
		self.resize(1200)

	def check_flip(self):
		tops = "const all = shown().map(f => box(f).y);" \
			"return [all[0] === Math.min(...all), all[0] === Math.max(...all), all.length > 1]"
		self.equal("the root is on top", self.run(tops)[0], True)
		self.window.click("#flip")
		top, bottom, more = self.run(tops)
		self.equal("the root is at the bottom of a flame", [top, bottom], [not more, True])
		self.window.click("#flip")
		self.equal("and on top again", self.run(tops)[0], True)

	def check_zoom(self):
		"""Zooms to each frame of a walk down the widest ones, and back."""
		way = self.run("""
			const way = [], total = f => Number(f.dataset.t), all = shown();
			let at = 0;
			const depth = f => Math.round((box(f).y - graph.getBoundingClientRect().top) / 20);
			for (;;) {
				way.push(label(all[at]));
				let best = -1;
				for (let i = at + 1; i < all.length && depth(all[i]) > depth(all[at]); i++)
					if (depth(all[i]) === depth(all[at]) + 1 && (best < 0 || total(all[i]) > total(all[best])))
						best = i;
				if (best < 0)
					return way;
				at = best;
			}""")
		if len(way) < 3 or len(set(way)) < len(way):
			return
		target = way[len(way) // 2 + 1]
		before = self.run("return shown().length")
		self.click(target)
		self.is_wide(f"a click zooms to {target}", target, 1)
		path = self.run("return path()")
		self.check("the way there is shown", path[0] == "all" and path[-1] == target, path)
		self.is_wide("with what is above it", way[1], 1)
		self.equal("widths are shares of it", self.run("""
			const all = shown(), at = all.findIndex(f => label(f) === arguments[0]);
			const scale = box(all[at]).w / Number(all[at].dataset.t);
			return all.slice(at).filter(f => Math.abs(box(f).w - Number(f.dataset.t) * scale) > 1)
				.map(label)""", target), [])
		self.check("and nothing beside it", self.run("return shown().length") <= before, "more frames")
		self.shot("zoomed")
		self.window.click("#path button:nth-of-type(2)")
		self.equal("a click on the way goes back", self.run("return path()").pop(), way[1])
		self.window.keys("escape")
		self.equal("Esc shows all", [self.run("return path()"), self.run("return shown().length")],
			   [[], before])

	def check_any(self):
		self.open()
		self.check_document()
		self.check_sizes()
		self.check_colours()
		self.check_flip()
		self.check_zoom()
		self.check_harmless()

	# --- What holds of those that the unit test made --------------------------------------

	def check_service(self):
		for label, ms in (("gunicorn", 13780), ("task orders", 6560), ("poll 10.0.0.7:5432", 2480),
				  ("fsync /var/log/shop/audit.log", 1720), ("coro handle_search", 2790),
				  ("run queue", 290)):
			self.is_wide(f"{label} is as wide as its time", label, ms / 13780)
		text = self.window.script("return document.documentElement.textContent")
		for words in ("gunicorn (4211), 30 s, wall", "13.78 s on CPU or blocked, by task",
			      "37 stalls; 12 events lost", "Python library", "waiting"):
			self.check(f"says {words}", words in text)
		self.equal("a tooltip", self.run("return tip(named('poll 10.0.0.7:5432'))"), [
			"poll 10.0.0.7:5432", "2.48 s, 18.0 % of all, 100.0 % of its caller",
			"2.48 s of its own, seen 31 times"])
		self.equal("a tooltip with file and line", self.run(
			"return tip(named('OrderService.run (orders.py:41)'))")[1], "/srv/shop/shop/orders.py:41")
		# At the window's corner it must still be in the window.
		self.equal("tooltips stay in the window", self.run("""
			return shown().filter(f => { tip(f);
				const r = document.getElementById('tip').getBoundingClientRect();
				return r.left < 0 || r.top < 0 || r.right > innerWidth || r.bottom > innerHeight;
			}).length"""), 0)
		self.window.move_to(2, 2)

	def check_search(self):
		share = 100 * (2480 + 1720 + 330) / 13780
		self.equal("a search says its share", self.search("poll|FSYNC|^read /"),
			   f"{share:.1f} % of all in 3 frames")
		self.equal("matches stand out", self.run("""
			const fills = hit => new Set(shown().filter(f => f.classList.contains('hit') === hit)
				.map(f => getComputedStyle(f.querySelector('rect')).fill));
			const hits = fills(true), others = fills(false);
			return [hits.size, others.has(Array.from(hits)[0])]"""), [1, False])
		self.shot("searched")
		# What matches inside a match counts once.
		self.equal("nested matches count once", self.search("orderservice"),
			   f"{100 * 6560 / 13780:.1f} % of all in 4 frames")
		self.equal("a name as it is written", self.search("OrderService.run (orders.py:41)"),
			   f"{100 * 6560 / 13780:.1f} % of all in 1 frame")
		self.equal("no regular expression", self.search("(orders.py:77"),
			   f"{100 * 3790 / 13780:.1f} % of all in 1 frame")
		self.equal("nothing found", self.search("no such name"), "0.0 % of all in 0 frames")
		self.window.keys("escape")
		self.equal("Esc ends a search", self.run(
			"return [document.getElementById('search').value, graph.classList.contains('searched')]"),
			["", False])
		self.search("poll")
		self.click("OrderService.load (orders.py:77)")
		self.equal("also of the frame zoomed to", self.window.script(
			"return document.getElementById('found').textContent"),
			f"{100 * 2480 / 13780:.1f} % of all, {100 * 2480 / 3790:.1f} % of this, in 1 frame")
		self.window.click("#reset")
		self.equal("Reset ends both", self.run(
			"return [path(), document.getElementById('search').value]"), [[], ""])

	def check_keys(self):
		focus = "return document.activeElement && document.activeElement.id"
		self.window.script("const a = document.activeElement; if (a && a.blur) a.blur()")
		self.window.keys("/")
		self.equal("/ leads to the search", self.window.script(focus), "search")
		self.window.keys("escape")
		self.window.script("document.activeElement.blur()")
		self.window.keys("f", hold=("control",))
		self.equal("Ctrl-F too", self.window.script(focus), "search")
		self.window.script("document.activeElement.blur(); document.getElementById('graph').focus()")
		picked = "const p = document.querySelector('.f.at'); return p ? label(p) : null"
		self.equal("the keyboard begins at the root", self.run(picked), "all")
		self.window.keys("down", "down", "down")
		self.equal("down goes to what is called", self.run(picked), "callback Cache.expire")
		self.window.keys("right", "right")
		self.equal("right goes on", self.run(picked), "coro handle_search")
		self.window.keys("left", "up", "down", "enter")
		self.equal("Enter zooms", self.run("return path()").pop(), "callback Cache.expire")
		self.window.keys("escape")
		self.equal("Esc shows all", self.run("return path()"), [])

	def check_copy(self):
		"""Names are text: they can be selected, and a cut one is copied whole."""
		self.resize(480)
		text = self.run("""
			window.copied = null;
			document.addEventListener('copy', e => { window.copied = e.clipboardData.getData('text/plain'); });
			const text = named('Cursor.execute (extras.py:236)').querySelector('text').firstChild;
			getSelection().setBaseAndExtent(text, 0, text, text.length);
			return text.data""")
		self.window.keys("c", hold=("control",))
		self.equal("a name that is cut is copied whole",
			   [text.endswith("\u2026"), self.window.script("return window.copied")],
			   [True, "Cursor.execute (extras.py:236)"])
		self.resize(1200)
		x, y, w = self.run("const r = named('Cursor.execute (extras.py:236)').querySelector('text')"
				   ".getBoundingClientRect(); return [r.left, r.top + r.height / 2, r.width]")
		self.window.script("getSelection().removeAllRanges()")
		self.window.pointer({"type": "pointerMove", "x": int(x + 1), "y": int(y), "duration": 0},
				    {"type": "pointerDown", "button": 0},
				    {"type": "pointerMove", "x": int(x + w / 2), "y": int(y), "duration": 50},
				    {"type": "pointerUp", "button": 0})
		selected, path = self.run("return [getSelection().toString(), path()]")
		self.check("the mouse selects text", len(selected) > 5 and
			   "Cursor.execute (extras.py:236)".startswith(selected), selected)
		self.equal("and does not zoom by that", path, [])
		self.window.script("getSelection().removeAllRanges()")

	def check_hostile(self):
		labels = self.run("return frames().map(label)")
		for name in HOSTILE:
			for words in (name, f"loop ({name})", f"task {name}", f"{name} {name}"):
				self.check(f"has {words!r}", words in labels)
		self.equal("no hidden characters anywhere", self.window.script("""
			return document.documentElement.textContent.match(
				/[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u202a-\\u202e\\u2066-\\u2069]/)"""),
			None)
		texts = self.run("return frames().map(f => f.querySelector('text')).filter(t => t)"
				 ".every(t => t.children.length === 0)")
		self.check("names are text, not elements", texts)

	def check_compared(self):
		self.equal("grown is red and shrunk is blue", self.run("""
			const fill = name => rgb(getComputedStyle(named(name).querySelector('rect')).fill);
			const hue = ([r, g, b]) => r > b + 20 ? 'red' : b > r + 20 ? 'blue' : 'grey';
			return ['poll 10.0.0.7:5432', 'spell_check (search.py)', 'OrderService.price (orders.py)',
				'coro RequestHandler.start', 'build_report (report.py)'].map(n => hue(fill(n)))"""),
			["red", "red", "blue", "blue", "grey"])
		self.equal("a tooltip has both", self.run("return tip(named('poll 10.0.0.7:5432'))").pop(),
			   "before: 2.48 s, now 900 ms more (+36.3 %)")
		gone = "sleep_politely (views.py)"
		self.equal("what is gone has no width", self.width(gone), None)
		self.window.click("#widths")
		self.is_wide("until widths are those of before", gone, 750 / 13780)
		self.equal("when what is new has none", self.width("spell_check (search.py)"), None)
		self.shot("before")
		self.window.click("#widths")
		self.is_wide("and back", "poll 10.0.0.7:5432", 3380 / 14830)

	def check_large(self):
		text = self.window.script("return document.getElementById('notes').textContent")
		self.check("says what is left out",
			   re.search(r"^\d+ frames too narrow to see are left out: \d+\.\d % of the time", text), text)

	def check_table(self):
		self.window.click("#table summary")
		rows = self.window.script("""
			return Array.from(document.querySelectorAll('#table tbody tr')).map(
				r => Array.from(r.cells).map(c => c.innerText))""")
		self.equal("the table begins with the most", rows[0],
			   ["2.48 s", "18.0 %", "2.48 s", "18.0 %", "poll 10.0.0.7:5432", "wait"])
		self.check("and goes on", 10 < len(rows) <= 30, len(rows))

	def check_without_scripts(self):
		"""Read as a picture: no script runs, all the same names, times and widths."""
		self.window.enable_scripts(False)
		try:
			self.window.open(self.file)
			seen = self.window.script("""
				const graph = document.getElementById('graph'), all = Array.from(graph.querySelectorAll('.f'));
				const f = all.find(e => e.querySelector('title').textContent.startsWith('poll 10'));
				const rect = e => e.querySelector('rect').getBoundingClientRect();
				return {bar: document.getElementById('bar') !== null, frames: all.length,
					title: f.querySelector('title').textContent, text: f.querySelector('text').textContent,
					share: rect(f).width / rect(all[0]).width,
					inside: rect(all[0]).right <= innerWidth + 1}""")
			self.shot("noscript")
		finally:
			self.window.enable_scripts(True)
		self.equal("without scripts: the names", [seen["bar"], seen["text"]], [False, "poll 10.0.0.7:5432"])
		self.check("without scripts: the times", "2.48 s, 18.0 % of all" in seen["title"], seen["title"])
		self.check("without scripts: the widths", abs(seen["share"] - 2480 / 13780) < 0.001, seen)
		self.check("without scripts: in the window", seen["inside"], seen)

	def check_image(self):
		"""As <img> of another page."""
		page = os.path.join(SHOTS, "image.html")
		with open(page, "w", encoding="utf-8") as file:
			file.write("<!DOCTYPE html><title>x</title><img style='width: 900px' src='"
				   + os.path.relpath(self.file, SHOTS) + "'>")
		self.window.log()
		self.window.open(page)
		seen = self.window.script("const i = document.images[0], r = i.getBoundingClientRect();"
					  "return [i.complete, i.naturalWidth, i.naturalHeight, r.width, r.height]")
		self.check("is an image", seen[0] and seen[1] == 1200 and seen[2] > 200 and
			   abs(seen[4] / seen[3] - seen[2] / seen[1]) < 0.01, seen)
		self.equal("without complaint", [entry["message"] for entry in self.window.log()], [])
		self.window.screenshot(os.path.join(SHOTS, f"{self.name}.image.png"))


def check_made(window, report, folder):
	subprocess.run([MAKER, folder], check=True)
	for suffix in ("svg", "html"):
		service = Picture(window, report, os.path.join(folder, f"service.{suffix}"))
		service.check_any()
		service.check_service()
		service.check_search()
		service.check_keys()
		service.check_copy()
		if suffix == "html":
			service.check_table()
		service.check_harmless()
		service.check_without_scripts()
		if suffix == "svg":
			service.check_image()

		for name, more in (("hostile", "check_hostile"), ("compared", "check_compared"),
				   ("large", "check_large")):
			picture = Picture(window, report, os.path.join(folder, f"{name}.{suffix}"))
			picture.check_any()
			getattr(picture, more)()
			picture.check_harmless()
		empty = Picture(window, report, os.path.join(folder, f"empty.{suffix}"))
		empty.open()
		empty.check_document()
		empty.check("says that there is nothing", "No time was recorded" in
			    window.script("return document.documentElement.textContent"))
		empty.check_harmless()


def main():
	report = Report()
	files = sys.argv[1:]
	why = browser.missing()
	if why:
		report.skip("all pictures", why)
		return report.end()
	os.makedirs(SHOTS, exist_ok=True)
	with browser.Browser(1200, 800) as window:
		if files:
			for file in files:
				Picture(window, report, file).check_any()
		elif os.path.exists(MAKER):
			check_made(window, report, SHOTS)
		else:
			report.check("pictures to look at", False, f"{MAKER} is not built: make check")
	return report.end()


if __name__ == "__main__":
	sys.exit(main())
