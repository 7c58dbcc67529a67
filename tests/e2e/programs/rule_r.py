# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Rule R's cases, one after the other in one process; names as arguments pick some of them.

Cases that change the process for good (rule_r_alone.ALONE) only run when they are named.
"""
import sys

import truth  # first: it may have to hide asyncio's accelerator
import rule_r_alone
import rule_r_callbacks
import rule_r_loops

assert rule_r_callbacks.case is rule_r_loops.case is rule_r_alone.case

if __name__ == "__main__":
	truth.run_cases(sys.argv[1:] or [n for n in truth.CASES if n not in rule_r_alone.ALONE])
