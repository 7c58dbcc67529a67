#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Prepares the interpreters that the end-to-end tests run, under build/interpreters.

One noun: an interpreter (its version, how to start it, its extra modules). A stripped Debian
interpreter of another release is unpacked into a tree of its own and started by chroot, with a
private apt state: this script must never touch the system's apt sources, its packages, or an
installed interpreter. What is there already is not fetched again, so that a second run needs no
network. A missing stripped 3.11 or 3.13 is a failure, since those are what the profiler's users
run; any other missing interpreter is a counted skip with the command that would bring it.
"""
import glob
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE = os.path.join(ROOT, "build", "interpreters")
INDEX = os.path.join(BASE, "index.json")

# Minor version -> Debian suites that ship it, the calmest first: testing and unstable move on.
DEBIAN = {"3.9": ("bullseye",), "3.11": ("bookworm",), "3.13": ("trixie",), "3.14": ("forky", "sid"),
	  "3.15": ("forky", "sid")}
PYENV = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
MODULES = ("greenlet", "nest_asyncio", "anyio", "uvloop")
# What need not be tried on each of them: loops that are refused, Django's bridge.
ONCE = {"debian-3.11": ("gevent", "trio", "rloop", "asgiref"), "debian-3.13": ("asgiref",)}
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_24_x86_64",
	     "manylinux_2_28_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64")
REQUIRED = ("debian-3.11", "debian-3.13")
# Older wheels of uvloop beside the newest, and who runs them: 0.17 has no build for 3.12 and later.
UVLOOPS = {"0.21.0": ("debian-3.11", "debian-3.13", "pyenv-3.8"), "0.17.0": ("debian-3.11",)}
# Of Debian itself: 0.17, 0.21, 0.23.
UVLOOP_DEBIAN = ("debian-3.11", "debian-3.13", "debian-3.14")


class Missing(Exception):
	"""An interpreter that can't be had: why, and the remedy."""

	def __init__(self, why, remedy):
		super().__init__(why)
		self.why = why
		self.remedy = remedy


def output(argv, **more):
	return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
			      text=True, errors="replace", **more).stdout


def is_stripped(path):
	"""A file without .symtab; read from the section names, as `file` would say it."""
	with open(path, "rb") as file:
		data = file.read(64)
		if data[:4] != b"\x7fELF":
			raise Missing(f"{path} is no ELF file", "")
		shoff = int.from_bytes(data[0x28:0x30], "little")
		shentsize = int.from_bytes(data[0x3a:0x3c], "little")
		shnum = int.from_bytes(data[0x3c:0x3e], "little")
		file.seek(shoff)
		table = file.read(shentsize * shnum)
	kinds = [int.from_bytes(table[i * shentsize + 4:i * shentsize + 8], "little")
		 for i in range(shnum)]
	return 2 not in kinds  # SHT_SYMTAB


def libpython(python):
	"""The file that holds the interpreter: a libpython beside it, or the program itself."""
	root = os.path.dirname(os.path.dirname(os.path.realpath(python)))
	found = glob.glob(os.path.join(root, "lib", "libpython3.*.so.1.0"))
	return found[0] if found and root != "/usr" else os.path.realpath(python)


def describe(name, python, root=""):
	"""Ask the interpreter itself; `root` is the tree that it is chrooted into, or empty."""
	code = ("import sys, sysconfig, asyncio, ctypes; "
		"print('%d.%d.%d' % sys.version_info[:3]); print(sysconfig.get_paths()['include']); "
		"print(int('_asyncio' in sys.builtin_module_names))")
	argv = [python, "-c", code]
	if root:
		argv = ["chroot", root] + argv
	try:
		version, include, built_in = output(argv).split("\n")[:3]
	except (subprocess.CalledProcessError, OSError) as error:
		said = (getattr(error, "output", "") or str(error)).strip().split("\n")[-1]
		raise Missing(f"{python} does not start: {said}", f"rm -r {root}" if root else "")
	include = root + include
	minor = ".".join(version.split(".")[:2])
	return {"name": name, "python": python, "root": root, "version": version, "minor": minor,
		"stripped": is_stripped(libpython(root + python)), "modules": [], "site": "",
		"asyncio_built_in": built_in == "1",
		"include": include if os.path.exists(include + "/Python.h") else ""}


def debian_system(minor):
	"""The interpreter of this system, if it is Debian's own and as old as the suite's."""
	python = f"/usr/bin/python{minor}"
	if not os.path.exists(python):
		raise Missing(f"no {python}", "")
	try:
		owner = output(["dpkg-query", "-S", python])
		changed = subprocess.run(["dpkg", "-V", f"python{minor}-minimal"], text=True,
					 stdout=subprocess.PIPE).stdout
	except (subprocess.CalledProcessError, OSError):
		raise Missing(f"{python} does not come from a Debian package", "")
	if f"python{minor}-minimal" not in owner or python in changed:
		raise Missing(f"{python} is not Debian's", "")
	return describe(f"debian-{minor}", python)


def archive_uri():
	"""The archive that this system uses already, so that mirrors and proxies keep working."""
	lines = output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)",
			"Created-By: Packages"]).split("\n")
	for line in lines:
		uri, _, component = line.partition(" ")
		if component == "main" and "security" not in uri:
			return uri
	raise Missing("this system has no Debian archive configured",
		      "configure one in /etc/apt/sources.list.d")


def private_apt(suite, state):
	"""Options for an apt that knows one suite, has installed nothing, and keeps all in `state`."""
	for part in ("lists/partial", "archives/partial", "empty"):
		os.makedirs(os.path.join(state, part), exist_ok=True)
	source = os.path.join(state, "sources.list")
	with open(source, "w") as file:
		file.write("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
			   f"{archive_uri()} {suite} main\n")
	open(os.path.join(state, "status"), "w").close()
	options = ["-q", "-y",
		   "-o", f"Dir::Etc::SourceList={source}",
		   "-o", f"Dir::Etc::SourceParts={state}/empty",
		   "-o", f"Dir::Etc::PreferencesParts={state}/empty",
		   "-o", f"Dir::State::Lists={state}/lists",
		   "-o", f"Dir::State::status={state}/status",
		   "-o", f"Dir::Cache={state}", "-o", "Dir::Cache::archives=archives/",
		   "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
		   "-o", "APT::Get::List-Cleanup=0"]
	output(["apt-get"] + options + ["update"])
	return options


def unpack_debian(minor, suite):
	"""Fetch and unpack a suite's interpreter; apt resolves the whole closure from nothing."""
	name = f"debian-{minor}"
	tree = os.path.join(BASE, name)
	python = f"/usr/bin/python{minor}"
	if not os.path.exists(tree + "/.complete"):
		state = os.path.join(BASE, name + ".apt")
		shutil.rmtree(tree, ignore_errors=True)
		try:
			options = private_apt(suite, state)
			output(["apt-get"] + options + ["--download-only", "--no-install-recommends",
			       "install", f"python{minor}", f"libpython{minor}-dev", "libstdc++6",
			       f"libpython{minor}-stdlib"])
			for part in ("bin", "lib", "lib64"):  # merged /usr, as base-files has it
				os.makedirs(os.path.join(tree, "usr", part), exist_ok=True)
				os.symlink("usr/" + part, os.path.join(tree, part))
			for package in sorted(glob.glob(state + "/archives/*.deb")):
				output(["dpkg", "-x", package, tree])
		except subprocess.CalledProcessError as error:
			raise Missing(f"{suite}'s python{minor} could not be fetched: "
				      + error.output.strip().split("\n")[-1],
				      f"run {sys.argv[0]} again with the Debian archive reachable")
		shutil.rmtree(state)
		# As its postinst would: an import in a test is then no stall of its own.
		subprocess.run(["chroot", tree, python, "-m", "compileall", "-q", "-x",
				"test|idlelib|ensurepip|lib2to3|tkinter|config-",
				f"/usr/lib/python{minor}"], stdout=subprocess.DEVNULL)
		open(tree + "/.complete", "w").close()
	return describe(name, python, tree)


def debian(minor):
	try:
		return debian_system(minor)
	except Missing:
		pass
	for suite in DEBIAN[minor][:-1]:
		try:
			return unpack_debian(minor, suite)
		except Missing:
			continue
	return unpack_debian(minor, DEBIAN[minor][-1])


def pyenv(minor):
	"""An interpreter with symbols and a shared libpython, as pyenv and conda make them."""
	base = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
	found = glob.glob(os.path.join(base, "versions", minor + ".*", "bin", "python" + minor))
	if not found:
		raise Missing(f"pyenv has no {minor}",
			      f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {minor}")
	return describe(f"pyenv-{minor}", sorted(found)[-1])


def standalone(_):
	"""python-build-standalone, all modules linked in, where uv has installed one: the newest."""
	base = os.environ.get("UV_PYTHON_INSTALL_DIR", os.path.expanduser("~/.local/share/uv/python"))
	found = glob.glob(base + "/cpython-3.*-linux-x86_64-gnu/bin/python3.[0-9]*[0-9]")
	if not found:
		raise Missing("PyPI, npm and crates.io have no package with python-build-standalone in it",
			      "uv python install 3.13")
	return describe("standalone", max(found, key=lambda path: int(path.rsplit(".", 1)[1])))


def pip_argv():
	for argv in ([sys.executable, "-m", "pip"], ["pip3"]):
		try:
			output(argv + ["--version"])
			return argv
		except (subprocess.CalledProcessError, OSError):
			continue
	return None


def install_argv(minor, site):
	"""pip's command for a folder of modules of one minor version, wheels only."""
	argv = ["install", "-q", "--no-compile", "--upgrade", "--target", site,
		"--python-version", minor, "--implementation", "cp",
		"--abi", "cp" + minor.replace(".", ""), "--abi", "abi3", "--abi", "none",
		"--only-binary=:all:"]
	for platform in PLATFORMS:
		argv += ["--platform", platform]
	return argv


def uvloop_wheel(version, minor):
	site = os.path.join(BASE, f"uvloop-{version}-{minor}")
	if not os.path.exists(site + "/.complete"):
		pip = pip_argv()
		if not pip:
			raise Missing("no pip", "apt-get install python3-pip")
		try:
			output(pip + install_argv(minor, site) + ["--no-deps", "uvloop==" + version])
		except subprocess.CalledProcessError as error:
			raise Missing(error.output.strip().split("\n")[-1], "")
		open(site + "/.complete", "w").close()
	return {"version": version, "site": site, "env": {}}


def uvloop_debian(minor):
	"""The suite's own build, which has libuv as a shared library."""
	tree = os.path.join(BASE, "uvloop-debian-" + minor)
	if not os.path.exists(tree + "/.complete"):
		state = tree + ".apt"
		shutil.rmtree(tree, ignore_errors=True)
		try:
			options = private_apt(DEBIAN[minor][0], state)
			libuv = "libuv1" if minor == "3.11" else "libuv1t64"
			output(["apt-get"] + options + ["download", "python3-uvloop", libuv],
			       cwd=state + "/archives")
			for package in sorted(glob.glob(state + "/archives/*.deb")):
				output(["dpkg", "-x", package, tree])
		except subprocess.CalledProcessError as error:
			raise Missing(error.output.strip().split("\n")[-1],
				      "run it again with the Debian archive reachable")
		shutil.rmtree(state)
		open(tree + "/.complete", "w").close()
	info = glob.glob(tree + "/usr/lib/python3/dist-packages/uvloop-*.*-info")[0]
	version = os.path.basename(info).split("-")[1].rsplit(".", 1)[0]
	return {"version": version + " of Debian", "site": tree + "/usr/lib/python3/dist-packages",
		"env": {"LD_LIBRARY_PATH": tree + "/usr/lib/x86_64-linux-gnu"}}


def add_uvloops(interpreter):
	name, minor = interpreter["name"], interpreter["minor"]
	wanted = [(version, uvloop_wheel, (version, minor)) for version in UVLOOPS
		  if name in UVLOOPS[version]]
	if name in UVLOOP_DEBIAN:
		wanted.append(("of Debian", uvloop_debian, (minor,)))
	interpreter["uvloops"], interpreter["no_uvloops"] = [], []
	for version, make, args in wanted:
		try:
			interpreter["uvloops"].append(make(*args))
		except Missing as missing:
			interpreter["no_uvloops"].append({"version": version, "why": missing.why})


def add_modules(interpreter):
	"""Third-party modules, one folder a minor version; what can't be had is left out."""
	minor = interpreter["minor"]
	site = os.path.join(BASE, "site-" + minor)
	interpreter["site"] = site
	pip = None
	# pip looks at its own interpreter for "python_version < 3.11": name what anyio needs there.
	backports = ("typing_extensions", "exceptiongroup") if int(minor[2:]) < 11 else ()
	for module in MODULES + backports + ONCE.get(interpreter["name"], ()):
		done = os.path.join(site, "." + module)
		if not os.path.exists(done):
			pip = pip or pip_argv()
			if not pip:
				interpreter["why"] = "no pip: apt-get install python3-pip"
				break
			try:
				output(pip + install_argv(minor, site) + [module])
			except subprocess.CalledProcessError as error:
				interpreter["why"] = error.output.strip().split("\n")[-1]
				continue
			open(done, "w").close()
		interpreter["modules"].append(module)


def find():
	"""(interpreters, skips): what is there, and what is not with the reason and the remedy."""
	found, skips = [], []
	os.makedirs(BASE, exist_ok=True)
	wanted = [(f"debian-{minor}", debian, minor) for minor in DEBIAN]
	wanted += [(f"pyenv-{minor}", pyenv, minor) for minor in PYENV]
	wanted += [("standalone", standalone, None)]
	for name, make, minor in wanted:
		try:
			interpreter = make(minor)
		except Missing as missing:
			skips.append({"name": name, "why": missing.why, "remedy": missing.remedy})
			continue
		add_modules(interpreter)
		add_uvloops(interpreter)
		found.append(interpreter)
	return found, skips


def main():
	found, skips = find()
	with open(INDEX + ".new", "w") as file:
		json.dump({"found": found, "skips": skips}, file, indent=1)
	os.rename(INDEX + ".new", INDEX)
	print(f"{'interpreter':14} {'version':9} {'symbols':9} {'headers':8} modules")
	for one in found:
		print(f"{one['name']:14} {one['version']:9} "
		      f"{'stripped' if one['stripped'] else 'symbols':9} "
		      f"{'yes' if one['include'] else 'no':8} "
		      + " ".join(one["modules"] + [f"uvloop-{more['version'].split()[0]}"
						   for more in one["uvloops"]]) + ("" if "why" not in one else f" ({one['why']})"))
	failed = 0
	for skip in skips:
		required = skip["name"] in REQUIRED
		failed += required
		print(f"{skip['name']:14} {'MISSING' if required else 'skip'}: {skip['why']}"
		      + (f"; remedy: {skip['remedy']}" if skip["remedy"] else ""))
	for name in REQUIRED:
		for one in found:
			if one["name"] == name and not one["stripped"]:
				print(f"{name}: not stripped, so the finder would not be tested")
				failed += 1
	return 1 if failed else 0


if __name__ == "__main__":
	sys.exit(main())
