# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What only some tests need and an interpreter does not bring: packages of PyPI, each group in a
folder of its own, and the unit tests of Debian's interpreters, which are in a package of theirs.

Kept under build/interpreters, so a second run needs no network. What can't be had is Missing, with
why and the remedy: a counted skip. It must never touch the system's packages.
"""
import glob
import os
import shutil
import subprocess
import tempfile

import harness
import interpreters
from interpreters import Missing

# As pip names them; without the version where that one can't be had.
PYPI = {
	"greenlet": ("greenlet==3.5.6",),
	"databases": ("sqlalchemy==2.1.9", "greenlet==3.5.6", "aiosqlite==0.22.1", "asyncpg==0.32.0"),
	"gevent": ("gevent==26.9.0",),
	"gunicorn": ("gunicorn==27.0.1", "uvicorn==0.54.0", "uvicorn-worker==0.4.0"),
}


def compile_all(interpreter, folder):
	"""Once, since the tests' programs run with -B."""
	argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", harness.SETUP, "sh",
		interpreter["python"], "-m", "compileall", "-q", folder]
	if interpreter["root"]:
		harness.prepare_tree(interpreter["root"])
	subprocess.run(argv, stdout=subprocess.DEVNULL,  # what it can't compile needs no compiling
		       env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TREE": interpreter["root"],
			    "BUILD": harness.BUILD, "CHECKOUT": harness.ROOT})


def make(folder, fill):
	"""A folder that is there whole or not at all."""
	if not os.path.exists(folder):
		new = folder + ".new"
		shutil.rmtree(new, ignore_errors=True)
		os.makedirs(new)
		fill(new)
		os.rename(new, folder)
	return folder


def pypi(interpreter, group):
	"""The folder with the packages of a group, for PYTHONPATH; one a minor version."""
	minor = interpreter["minor"]

	def fill(folder):
		pip = interpreters.pip_argv()
		if not pip:
			raise Missing("no pip", "apt-get install python3-pip")
		argv = pip + ["install", "-q", "--no-compile", "--target", folder, "--python-version", minor,
			      "--implementation", "cp", "--abi", "cp" + minor.replace(".", ""),
			      "--abi", "abi3", "--abi", "none", "--only-binary=:all:"]
		for platform in interpreters.PLATFORMS:
			argv += ["--platform", platform]
		names = PYPI[group]
		try:
			interpreters.output(argv + list(names))
		except subprocess.CalledProcessError:
			try:
				interpreters.output(argv + [name.split("==")[0] for name in names])
			except subprocess.CalledProcessError as error:
				raise Missing(error.output.strip().split("\n")[-1],
					      f"a package index with {' '.join(names)}")
		compile_all(interpreter, folder)

	return make(os.path.join(interpreters.BASE, f"{group}-{minor}"), fill)


def put_shell(tree, unpacked):
	"""A tree that has an interpreter and no shell: the tests start sh and sleep."""
	found = glob.glob(unpacked + "/bin/busybox") + glob.glob(unpacked + "/usr/bin/busybox")
	shutil.copy(found[0], tree + "/usr/bin/busybox")
	for name in ("sh", "sleep"):
		if not os.path.lexists(f"{tree}/usr/bin/{name}"):
			os.symlink("busybox", f"{tree}/usr/bin/{name}")


def download(state, minor, wanted):
	"""Debian packages, unpacked into a folder `all`; from the first suite that has them."""
	for suite in interpreters.DEBIAN[minor]:
		try:
			options = interpreters.private_apt(suite, state)
			interpreters.output(["apt-get"] + options + ["download"] + wanted, cwd=state)
			for package in glob.glob(state + "/*.deb"):
				interpreters.output(["dpkg", "-x", package, state + "/all"])
			return
		except subprocess.CalledProcessError as error:
			said = error.output.strip().splitlines()[-1]
	raise Missing(f"{' '.join(wanted)}: {said}", "run it again with the Debian archive reachable")


def debian_tests(interpreter, folder):
	"""libpython3.x-testsuite of the interpreter's suite, laid over what its -stdlib has."""
	minor, root = interpreter["minor"], interpreter["root"]
	wanted = [f"libpython{minor}-testsuite"] + (["busybox-static"] if root else [])
	stdlib = f"usr/lib/python{minor}/test"
	with tempfile.TemporaryDirectory() as state:
		os.chmod(state, 0o755)
		download(state, minor, wanted)
		for tree in (root or "/", state + "/all"):
			shutil.copytree(os.path.join(tree, stdlib), folder + "/test", dirs_exist_ok=True,
					ignore=shutil.ignore_patterns("__pycache__"))
		if root:
			put_shell(root, state + "/all")
	compile_all(interpreter, folder)


def unit_tests(interpreter):
	"""What PYTHONPATH needs for `import test.test_asyncio`."""
	if interpreter["name"].startswith("debian"):
		return make(os.path.join(interpreters.BASE, "tests-" + interpreter["name"]),
			    lambda folder: debian_tests(interpreter, folder))
	lib = os.path.join(os.path.dirname(os.path.dirname(interpreter["python"])), "lib")
	if not os.path.exists(f"{lib}/python{interpreter['minor']}/test/test_asyncio"):
		raise Missing("it ships no test.test_asyncio", "install the interpreter with its tests")
	return ""
