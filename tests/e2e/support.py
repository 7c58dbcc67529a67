# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""The README's support table: made of the ground-truth cases that ran, and held against them.

A cell is how many cases passed. It must never be better than what ran: a case that failed leaves
its cell empty, and a README that says more than a run can show is a failure.
"""
import os
import re

import harness

README = os.path.join(harness.ROOT, "README.md")
TABLE = re.compile(r"(?<=<!-- support: made by `make support` -->\n).*?(?=<!-- end -->)", re.S)
# Suite, what its cases are called after the interpreter's name, column.
COLUMNS = (("rule_r", "", "begin and end"), ("causes", "asyncio", "causes"),
	   ("causes", "uvloop", "causes on uvloop"), ("ongoing", "", "hangs"),
	   ("loops", "", "several loops"), ("kinds", "tasks", "kinds of tasks"),
	   ("kinds", "uvloop", "uvloop"))
SUITES = tuple(dict.fromkeys(suite for suite, _, _ in COLUMNS))


def cells(outcomes, name):
	"""(passed, failed, skipped) of an interpreter's cases, a column each."""
	found = []
	for suite, words, _ in COLUMNS:
		mine = [outcome for where, case, outcome in outcomes if where == suite and
			case.startswith(f"{name} {words}")]
		found.append(tuple(mine.count(outcome) for outcome in ("ok", "FAIL", "skip")))
	return found


def rows_of(text):
	"""{interpreter: cells}, of the table in that text."""
	rows = {}
	for line in text.splitlines()[2:]:
		columns = [column.strip() for column in line.strip()[1:-1].split("|")]
		rows[columns[0]] = columns[-len(COLUMNS):]
	return rows


def table(interpreters, outcomes):
	lines = ["| interpreter | version | " + " | ".join(words for _, _, words in COLUMNS) + " |",
		 "|---" * (2 + len(COLUMNS)) + "|"]
	for one in interpreters:
		kind = "stripped" if one["stripped"] else "with symbols"
		counts = [str(passed) if passed and not failed else ""
			  for passed, failed, _ in cells(outcomes, one["name"])]
		lines.append(f"| {one['name']} | {one['version']}, {kind} | " + " | ".join(counts) + " |")
	return "\n".join(lines) + "\n"


def problems(readme, interpreters, outcomes):
	"""What the README says and this run did not show. A skipped case may have passed elsewhere."""
	found = TABLE.search(readme)
	if not found:
		return ["the README has no support table: make support"]
	wrong, said = [], rows_of(found[0])
	for one in interpreters:
		if one["name"] not in said:
			wrong.append(f"the README lacks {one['name']}: make support")
			continue
		counts = zip(COLUMNS, said[one["name"]], cells(outcomes, one["name"]))
		for (_, _, words), cell, (passed, failed, skipped) in counts:
			if not failed and not passed <= int(cell or 0) <= passed + skipped:
				wrong.append(f"{one['name']}: the README says {cell or 'nothing'} of {words}, "
					     f"{passed} passed and {skipped} were skipped: make support")
	return wrong


def check(results, interpreters):
	with open(README) as file:
		results.check("the README's support table",
			      problems(file.read(), interpreters, results.outcomes))


def write(results, interpreters):
	with open(README) as file:
		text = file.read()
	with open(README, "w") as file:
		file.write(TABLE.sub(lambda _: table(interpreters, results.outcomes), text))
