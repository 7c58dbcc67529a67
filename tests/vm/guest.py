# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Runs in the machine, as its first process: asyncprof beside a program, and what it must say.

Each check is one line on the second serial port, "ok NAME" or "FAIL NAME: why", with what the
commands printed as lines that start with "#"; "end" comes last. It must never ask how long
something took: an emulated processor is slow by any factor.
"""
import collections
import json
import os
import re
import subprocess
import sys
import time

PORT = "/dev/ttyS1"
PROGRAM = "/mnt/program.py"
ASYNCPROF = "/mnt/asyncprof"
# Frames of a sleep that no kernel inlines: the timer's, whatever the entry is called.
KERNEL_SLEEP = re.compile(r"(hrtimer_nanosleep|do_nanosleep)_\[k\]")
KERNEL_TROUBLE = re.compile(r"\b(WARNING|BUG|Oops|general protection|Call Trace|Kernel panic)\b")


def say(line):
	with open(PORT, "w") as port:
		port.write(line.replace("\r", " ") + "\n")


def comment(text):
	for line in text.splitlines():
		say("# " + line[:300])


def check(name, problem):
	say(f"FAIL {name}: {problem}" if problem else f"ok {name}")


def line_of(mark):
	with open(PROGRAM) as file:
		for number, line in enumerate(file, 1):
			if f"# mark: {mark}" in line:
				return number
	raise ValueError(mark)


def asyncprof(*arguments):
	"""(exit code, standard output); what it says on standard error is passed on."""
	done = subprocess.run([ASYNCPROF, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
			      text=True, errors="replace")
	comment(f"asyncprof {' '.join(arguments)}: {done.returncode}\n" + done.stderr)
	return done.returncode, done.stdout


def check_doctor():
	code, out = asyncprof("doctor")
	comment(out)
	check("doctor", f"exit code {code}" if code else
	      not re.search(r"ok +BPF programs +everything", out) and "not all BPF programs load")


def causes_at(events, line):
	"""How often each cause was named; of what began before the profiler came it saw a part."""
	return collections.Counter(
		event["cause"] for event in events if event["type"] == "slow" and event["stack"]
		and not event["at_attach"]
		and (event["stack"][0]["file"], event["stack"][0]["line"]) == (PROGRAM, line))


def check_stalls(pid):
	code, out = asyncprof("-p", pid, "-d", "4", "-j")
	check("stalls: exit code", code and str(code))
	events = [json.loads(line) for line in out.splitlines()]
	for name, line, cause in (("sleep", line_of("nap"), "sleep"), ("burn", line_of("burn"), "cpu")):
		# Not each: a processor that waits for the other one to be emulated delays a wakeup.
		causes = causes_at(events, line)
		check(f"stalls: the {name} and its cause",
		      [one for one, _ in causes.most_common(1)] != [cause]
		      and f"at line {line} the causes are {dict(causes) or 'none'}")
	tiers = [event["tier"] for event in events if event["type"] == "start"]
	check("stalls: exact", tiers != ["exact"] and f"the tier is {tiers}")


def check_recording(pid):
	code, _ = asyncprof("record", "-p", pid, "-d", "4", "--threads", "--kernel", "--native",
			    "-o", "/tmp/r.apdb", "-o", "/tmp/r.folded")
	check("record: exit code", code and str(code))
	if code:
		return
	with open("/tmp/r.folded") as file:
		stacks = file.read().splitlines()
	for name, mark, after in (("sleep", "nap", ""), ("burn", "burn", ""), ("executor", "job", ";thread ")):
		frame = f";{mark} (program.py:{line_of(mark)})"
		check(f"record: the {name}'s line",
		      not any(frame in stack and after in stack for stack in stacks)
		      and f"no {frame[1:]} in {len(stacks)} stacks")
	frame = f";nap (program.py:{line_of('nap')});"
	check("record: the kernel's frames of the sleep",
	      not any(frame in stack and KERNEL_SLEEP.search(stack) for stack in stacks)
	      and "none in " + "; ".join(stack for stack in stacks if frame in stack)[:200])
	native = f";burn (program.py:{line_of('burn')});"
	check("record: native frames of the burn",
	      not any(re.search(re.escape(native) + r"[^;]*(\(|\[)python3", stack) for stack in stacks)
	      and "none")
	comment("\n".join(stacks))


def check_report():
	code, out = asyncprof("report", "/tmp/r.apdb")
	missing = [where for where in ("nap", "burn") if f"program.py:{line_of(where)}" not in out]
	check("report", f"exit code {code}" if code else missing and f"it does not name {missing}")
	if code or missing:
		comment(out)


def check_family():
	"""Python that a shell starts; both end by themselves, since asyncprof waits for what it started."""
	shell = f"env -u LD_LIBRARY_PATH {sys.executable} {PROGRAM} & sleep 60; kill $!"
	code, out = asyncprof("-s", "-d", "4", "-j", "--", "sh", "-c", shell)
	events = [json.loads(line) for line in out.splitlines()]
	causes = causes_at(events, line_of("nap"))
	check("children: the sleep and its cause", code and str(code) or
	      [one for one, _ in causes.most_common(1)] != ["sleep"]
	      and f"the causes are {dict(causes) or 'none'}")


def check_kernel():
	log = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace").stdout
	bad = [line for line in log.splitlines() if KERNEL_TROUBLE.search(line)]
	check("no kernel warning", not log and "the kernel's log is empty" or bad and bad[0])
	if bad:
		comment(log)


def main():
	for kind, where in (("tmpfs", "/tmp"), ("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf")):
		subprocess.run(["mount", "-t", kind, kind, where], check=True)
	say("# Linux " + os.uname().release + ", Python " + sys.version.split()[0])
	os.environ["LD_LIBRARY_PATH"] = "/mnt/lib"
	plain = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
	program = subprocess.Popen([sys.executable, PROGRAM], env=plain)
	pid = str(program.pid)
	check_doctor()
	# From the second task on, the loop runs: that is what has a thread.
	while len(os.listdir(f"/proc/{pid}/task")) < 2:
		if program.poll() is not None:
			raise RuntimeError("the program ended")
		time.sleep(0.1)
	check_stalls(pid)
	check_recording(pid)
	if os.path.exists("/tmp/r.apdb"):
		check_report()
	check_family()
	check("the program lives", program.poll() is not None and f"ended with {program.returncode}")
	program.kill()
	program.wait()
	check_kernel()
	say("end")


try:
	main()
except Exception as error:
	check("the machine", repr(error))
finally:
	with open("/proc/sysrq-trigger", "w") as trigger:
		trigger.write("o")
	time.sleep(60)
