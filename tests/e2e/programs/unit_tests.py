# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Runs unit tests of the interpreter's own, and says the outcome of each.

Usage: unit_tests.py NAME... with names as unittest takes them; a package is all of its modules.
"""
import importlib
import os
import sys
import tempfile
import unittest

import truth


class Outcomes(unittest.TestResult):
	"""What each test came to; one that has subtests is as bad as its worst."""

	def __init__(self):
		super().__init__()
		self.outcomes, self.why = {}, {}

	def note(self, test, outcome, why=""):
		name = test.id()
		if self.outcomes.get(name) in ("failure", "error"):
			return
		self.outcomes[name] = outcome
		if why:
			self.why[name] = why[-1500:]

	def addSuccess(self, test):
		if test.id() not in self.outcomes:
			self.note(test, "ok")

	def addFailure(self, test, err):
		self.note(test, "failure", self._exc_info_to_string(err, test))

	def addError(self, test, err):
		self.note(test, "error", self._exc_info_to_string(err, test))

	def addSkip(self, test, reason):
		self.note(test, "skip")

	def addExpectedFailure(self, test, err):
		self.note(test, "expected failure")

	def addUnexpectedSuccess(self, test):
		self.note(test, "unexpected success")

	def addSubTest(self, test, subtest, err):
		if err is not None:
			self.note(test, "failure", self._exc_info_to_string(err, subtest))


def modules(name):
	try:
		package = importlib.import_module(name)
	except ModuleNotFoundError:  # a class or a test
		return [name]
	if not hasattr(package, "__path__"):
		return [name]
	return sorted(name + "." + file[:-3] for file in os.listdir(os.path.dirname(package.__file__))
		      if file.startswith("test_") and file.endswith(".py"))


def load(name):
	try:
		return unittest.defaultTestLoader.loadTestsFromName(name)
	except unittest.SkipTest:  # for Windows, or it lacks a module
		return unittest.TestSuite()


def main(names):
	from test import support
	support.use_resources = {}  # as `python -m test` has it: no network, nothing large
	result = Outcomes()
	for name in names:
		for module in modules(name):
			load(module).run(result)
	bad = [name for name, what in result.outcomes.items()
	       if what in ("failure", "error", "unexpected success")]
	truth.say(t="result", outcomes=result.outcomes, why=result.why)
	return 1 if bad else 0


if __name__ == "__main__":
	truth.hello()
	assert truth.listen() == "go"
	with tempfile.TemporaryDirectory() as folder:
		os.chdir(folder)  # they leave files where they are
		status = main(sys.argv[1:])
		os.chdir("/")
	sys.exit(status)
