# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Compares what was reported with what happened.

Truth comes as brackets (programs/truth.py), so nothing here is a tolerance in milliseconds but
one: CLOCK_NS, between the target's reading of two clocks and asyncprof's. It must never drop a
record that fits nothing: that is a false stall, unless the machine itself took the CPU away for
that long, which the target measured on its own.
"""
CLOCK_NS = 1000000	# start_ts is wall time: the offset of the clocks is read twice, apart
ROUND_NS = 2000		# durations are printed in milliseconds with a few digits
KINDS = ("task", "callback")


def to_ns(ms):
	return None if ms is None else round(ms * 1e6)


class Report:
	"""A closed `slow` record in nanoseconds of the target's monotonic clock."""

	def __init__(self, record, offset):
		self.record = record
		self.kind, self.tid, self.pid = record["kind"], record["tid"], record["pid"]
		start = record["start_ts"]
		self.start = None if start is None else round(start * 1e9) - offset
		self.hi = to_ns(record["duration_ms"])
		self.lo = to_ns(record["duration_lo_ms"]) or 0
		self.used = []

	def overlap(self, a, b, length):
		"""How much of [a, b] lies within the first `length` ns of the callback."""
		if self.start is None or length is None:
			return 0
		return max(0, min(b, self.start + length) - max(a, self.start))

	def words(self):
		r = self.record
		who = r["task"] or r["callback"] or r["coro"]
		return (f"{r['kind']} {who} coro {r['coro']} lo {r['duration_lo_ms']} "
			f"hi {r['duration_ms']} ms cause {r['cause']} at {r['file']}:{r['line']} "
			f"budget { {k: v for k, v in (r['budget_ms'] or {}).items() if v} }")


class Judge:
	def __init__(self, facts, records, offset, pid, threshold_ns):
		self.threshold = threshold_ns
		self.truths = [f for f in facts if f["t"] == "truth"]
		self.windows = [f for f in facts if f["t"] in ("silent", "iteration", "may", "signal")]
		self.cases = {f["case"]: f for f in facts if f["t"] == "case"}
		self.skips = {f["case"]: f["why"] for f in facts if f["t"] == "skip"}
		self.reports = [Report(r, offset) for r in records if r["pid"] == pid]
		self.problems = {name: [] for name in self.cases}
		self.pairs = []		# (truth, report)
		self.missed = []	# truths that had to be reported
		self.false = []		# reports of what did not happen
		self.notes = []

	def say(self, case, text):
		self.problems.setdefault(case, []).append(text)

	def say_false(self, case, what, report):
		self.false.append(report)
		self.say(case, f"{what}: {report.words()}")

	def fits(self, truth, report):
		"""Is it the report of that truth? By thread and start; names are judged later."""
		if report.tid != truth["tid"] or report.start is None or report.kind not in KINDS:
			return False
		earliest = truth["A"] if "A" in truth else self.cases.get(
			truth["case"], truth)["a"]
		latest = truth["B"] if truth.get("outer_only") else truth["a"]
		if not earliest - CLOCK_NS <= report.start <= latest + CLOCK_NS:
			return False
		# Without an outer bracket an earlier callback of the same case is in range too.
		return report.start + report.hi + CLOCK_NS >= truth["a"] + min(
			self.threshold, truth["b"] - truth["a"]) // 2

	def judge(self):
		for truth in self.truths:
			found = [r for r in self.reports if self.fits(truth, r)]
			exact = [r for r in found if self.names(truth, r)]
			needed = truth.get("need_ns", truth["b"] - truth["a"])
			if not found:
				if needed >= self.threshold:
					self.missed.append(truth)
					self.say(truth["case"], f"{truth['name']}: not reported, took "
						 f"{needed / 1e6:.1f} ms")
				continue
			report = (exact or found)[0]
			for extra in exact[1:]:
				if "A" in truth and extra.start > report.start:
					self.say(truth["case"], f"{truth['name']}: reported twice: "
						 + extra.words())
			report.used.append(truth)
			self.pairs.append((truth, report))
			for text in self.compare(truth, report, needed):
				self.say(truth["case"], f"{truth['name']}: {text}")
		for report in self.reports:
			if report.kind == "iteration":
				self.judge_iteration(report)
			elif report.kind == "signal":
				self.judge_signal(report)
			else:
				self.judge_silence(report)
				if not report.used:
					self.judge_unknown(report)
		for window in self.windows:
			self.judge_window(window)
		return self.problems

	@staticmethod
	def names(truth, report):
		r = report.record
		if truth.get("callback"):
			names = [truth["callback"]]
			if truth.get("by_stack"):
				# Known by its frame alone: if there was a sample, and before 3.11 in short.
				names += [] if r["stack"] else [None]
				names += [names[0].rsplit(".", 1)[-1]] if truth.get("short") else []
			return r["kind"] == "callback" and r["callback"] in names
		if not truth.get("task"):
			return True
		tasks, coros = [truth["task"]], [truth["coro"]]
		if not truth.get("in_c", True):
			# Of a Task in Python the coroutine is known by its frame, which has no qualified name
			# before 3.11; and like the name only if it was seen to run, which gives a stack.
			coros.append(truth["coro"].rsplit(".", 1)[-1])
			tasks += [] if r["stack"] else [None]
			coros += [] if r["stack"] else [None]
		return r["kind"] == "task" and r["task"] in tasks and r["coro"] in coros

	def compare(self, truth, report, needed):
		r, problems = report.record, []
		if not self.names(truth, report):
			problems.append(f"names: wanted {truth.get('task')} {truth.get('coro')} "
					f"{truth.get('callback')}, got {report.words()}")
		if report.hi + ROUND_NS < needed:
			problems.append(f"hi is {report.hi / 1e6:.3f} ms, it took {needed / 1e6:.3f}")
		if report.lo > report.hi + ROUND_NS:
			problems.append(f"lo > hi: {report.words()}")
		if "A" in truth and "B" in truth:
			outer = truth["B"] - truth["A"]
			if report.hi > outer + ROUND_NS:
				problems.append(f"hi is {report.hi / 1e6:.3f} ms, more than "
						f"{outer / 1e6:.3f} between its neighbours")
		if "B" in truth and report.start + report.lo > truth["B"] + CLOCK_NS:
			problems.append(f"lo reaches past the next callback: {report.words()}")
		if r.get("ongoing"):
			problems.append("still ongoing at the end")
		return problems

	def case_at(self, report):
		for case in self.cases.values():
			if report.overlap(case["a"], case["b"], report.hi) or \
					case["a"] <= (report.start or 0) <= case["b"]:
				return case
		return None

	def taken_at(self, report):
		"""What the machine itself took from the cases that it touches."""
		return sum(case["run_delay"] + case["steal"] for case in self.cases.values()
			   if report.overlap(case.get("since", case["a"]), case["b"], report.hi))

	def judge_silence(self, report):
		"""lo is proof, so it must not reach in at all; hi may, by less than half a window."""
		for window in self.windows:
			if window["t"] != "silent" or window["tid"] != report.tid:
				continue
			a, b = window["a"], window["b"]
			inside = window.get("in_iteration") or window.get("by_samples")
			limit = (b - a) // 2 if inside else CLOCK_NS
			if report.overlap(a, b, report.lo) > CLOCK_NS:
				self.say(window["case"], f"silent {window['name']}: lo reaches in: "
					 + report.words())
			elif report.overlap(a, b, report.hi) > limit:
				self.say(window["case"], f"silent {window['name']}: hi reaches in: "
					 + report.words())

	def judge_unknown(self, report):
		for window in self.windows:
			if window["t"] == "may" and report.overlap(window["a"], window["b"],
								    report.hi) > report.hi // 2:
				return
		case = self.case_at(report)
		if not case:
			return self.say_false("(outside)", "false stall", report)
		if self.taken_at(report) >= self.threshold // 2:
			return self.notes.append(f"{case['case']}: the machine took the CPU away: "
						 + report.words())
		self.say_false(case["case"], "false stall", report)

	def judge_iteration(self, report):
		"""Allowed where a loop ran something long; never over code outside a loop."""
		case, busy = self.case_at(report), 0
		for fact in self.truths + self.windows:
			if fact["tid"] != report.tid:
				continue
			seen = report.overlap(fact["a"], fact["b"], report.hi)
			if fact["t"] == "silent" and fact.get("loop_runs") is False:
				if seen > CLOCK_NS and not fact.get("by_samples"):
					self.say_false(fact["case"], "an iteration over code outside a loop, "
						       + fact["name"], report)
			elif not fact.get("idle"):
				busy = max(busy, seen)
		if busy < min(self.threshold, report.hi) // 2:
			name = case["case"] if case else "(outside)"
			if case and self.taken_at(report) >= self.threshold // 2:
				self.notes.append(f"{name}: the machine took the CPU away: " + report.words())
			else:
				self.say_false(name, "an iteration that nothing made long", report)

	def judge_signal(self, report):
		for window in self.windows:
			if window["t"] == "signal" and report.start <= window["a"] + CLOCK_NS and \
					report.overlap(window["a"], window["b"], report.hi):
				return
		case = self.case_at(report)
		self.say_false(case["case"] if case else "(outside)", "false signal", report)

	def judge_window(self, window):
		took = window["b"] - window["a"]
		if window["t"] == "signal" and took >= self.threshold:
			for report in self.reports:
				if report.kind == "signal" and report.tid == window["tid"] and \
						report.start <= window["a"] + CLOCK_NS and \
						report.hi + ROUND_NS >= took and \
						report.start + report.lo <= window["b"] + CLOCK_NS:
					return
			self.say(window["case"], f"{window['name']}: no signal of {took / 1e6:.1f} ms "
				 "reported")
		if window["t"] == "iteration" and window.get("must"):
			took = window["B"] - window["A"]
			for report in self.reports:
				if report.kind == "iteration" and report.start <= window["A"] + CLOCK_NS \
						and report.start >= window["a"] - CLOCK_NS and \
						report.hi + ROUND_NS >= took:
					return
			self.say(window["case"], f"{window['name']}: no iteration of {took / 1e6:.1f} ms "
				 "reported")


def account_problems(summary):
	"""hits == closed + ignored + open; sent == received; nothing dropped."""
	if not summary:
		return ["no summary"]
	problems = []
	account, records = summary["accounting"], summary["records"]
	ignored = sum(account["ignored"].values())
	if account["hits"] != account["closed"] + ignored + account["open"] or not account["holds"]:
		problems.append(f"accounts do not add up: {account}")
	if records["sent"] != records["received"] or not records["holds"] or \
			records["attempted"] != records["sent"] + records["dropped"]:
		problems.append(f"records do not add up: {records}")
	if summary["malformed"]:
		problems.append(f"{summary['malformed']} records made no sense")
	return problems
