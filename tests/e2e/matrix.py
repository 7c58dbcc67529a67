# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""A confusion matrix: the causes that were injected down, those that were reported across.

Also what was injected and not reported, and what was reported though nothing was injected.
It must never round, merge or leave out: all that is off the diagonal is wrong.
"""
NOTHING = "(nothing)"


class Matrix:
	def __init__(self, name):
		self.name = name
		self.cells = {}		# (injected, reported): how often

	def add(self, injected, reported):
		self.cells[injected, reported] = self.cells.get((injected, reported), 0) + 1

	@property
	def right(self):
		return sum(count for (injected, reported), count in self.cells.items()
			   if injected == reported)

	@property
	def total(self):
		return sum(self.cells.values())

	def problems(self):
		if not self.cells:
			return ["nothing was injected"]
		return [f"{injected} was reported as {reported}: {count}"
			for (injected, reported), count in sorted(self.cells.items())
			if injected != reported]

	def __str__(self):
		rows, columns = (sorted({cell[i] for cell in self.cells}) for i in range(2))
		lines = [f"{self.name}: injected down, reported across",
			 " ".join([" " * 9, *columns])]
		for row in rows:
			lines.append(" ".join([f"{row:9}"] + [
				f"{self.cells.get((row, column), '.'):>{len(column)}}" for column in columns]))
		return "\n".join([*lines, f"matrix: {self.right} right of {self.total}"])
