#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What asyncprof costs: figures, part by part, from windows that take turns.

Prints medians and intervals; it must never judge: there is no pass and no fail in a timing.
"""
import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e"), os.path.dirname(HERE)]

import callbacks  # noqa: E402
import disk  # noqa: E402
import figures  # noqa: E402
import harness  # noqa: E402
import interpreters  # noqa: E402
import recording_cost  # noqa: E402
import rendering  # noqa: E402

# Name, what runs it, and whether every interpreter is worth it.
PARTS = (
	("callbacks", callbacks.run, True),
	("recording", recording_cost.run, False),
	("waits", recording_cost.run_waits, False),
	("rendering", rendering.run, False),
	("disk", disk.run, False),
)


def main():
	parser = argparse.ArgumentParser(description=__doc__)
	parser.add_argument("parts", nargs="*", metavar="PART",
			    help="of " + ", ".join(name for name, _, _ in PARTS) + "; all unless given")
	parser.add_argument("--windows", type=int, default=9, help="of each kind")
	parser.add_argument("--seconds", type=float, default=1.0, help="of a window")
	parser.add_argument("--minutes", type=float, default=10.0, help="of the recording on disk")
	parser.add_argument("--interpreter", action="append")
	options = parser.parse_args()
	unknown = set(options.parts) - {name for name, _, _ in PARTS}
	if unknown:
		parser.error("no such part: " + ", ".join(sorted(unknown)))
	if os.geteuid():
		sys.exit("root is needed")
	interpreters.main()
	with open(interpreters.INDEX) as file:
		found = json.load(file)["found"]
	wanted = options.interpreter or ["debian-3.11", "debian-3.13"]
	chosen = [one for one in found if one["name"] in wanted]
	if not chosen:
		sys.exit("no interpreter of that name is there")
	mute = harness.prepare()
	figures.show_machine()
	for name, run, everywhere in PARTS:
		if options.parts and name not in options.parts:
			continue
		for interpreter in chosen if everywhere else chosen[:1]:
			run(interpreter, found, options)
	mute.close()
	return 0


if __name__ == "__main__":
	sys.exit(main())
