# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Copies of an interpreter that lie about themselves: its version, its tables of offsets.

CPython itself reads none of what is changed here, so a copy runs as the original does. Nothing but
copies is ever written.
"""
import os
import shutil
import struct

import harness

FOLDER = os.path.join(harness.BUILD, "forged")
TASK_NAME, TASK_CORO = 1, 5


class Binary:
	"""An ELF file in memory whose words can be changed by the names of symbols and sections."""

	def __init__(self, path):
		with open(path, "rb") as file:
			self.data = bytearray(file.read())
		shoff, = struct.unpack_from("<Q", self.data, 0x28)
		shentsize, shnum, shstrndx = struct.unpack_from("<HHH", self.data, 0x3a)
		raw = [struct.unpack_from("<IIQQQQIIQQ", self.data, shoff + i * shentsize)
		       for i in range(shnum)]
		names = raw[shstrndx][4]
		self.sections = {self.text(names + one[0]): one for one in raw}

	def text(self, offset):
		return self.data[offset:self.data.index(0, offset)].decode()

	def section(self, name):
		"""Where its bytes lie in the file; KeyError when there is no such section."""
		return self.sections[name][4]

	def symbol(self, name):
		"""Where an exported symbol's bytes lie in the file."""
		_, _, _, _, offset, size, _, _, _, entry = self.sections[".dynsym"]
		strings = self.section(".dynstr")
		for at in range(offset, offset + size, entry):
			st_name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
			if self.text(strings + st_name) == name:
				return self.offset(value)
		raise KeyError(name)

	def offset(self, address):
		for _, kind, flags, start, offset, size, _, _, _, _ in self.sections.values():
			if flags & 2 and kind != 8 and start <= address < start + size:
				return address - start + offset
		raise KeyError(hex(address))

	def version(self):
		return struct.unpack_from("<I", self.data, self.symbol("Py_Version"))[0]

	def set_version(self, version):
		"""In Py_Version, and in the table of offsets where there is one."""
		struct.pack_into("<I", self.data, self.symbol("Py_Version"), version)
		if ".PyRuntime" in self.sections and self.debug(0) == 0x7967757065646278:
			self.set_debug(1, version)

	def debug(self, index):
		return struct.unpack_from("<Q", self.data, self.section(".PyRuntime") + index * 8)[0]

	def set_debug(self, index, value):
		struct.pack_into("<Q", self.data, self.section(".PyRuntime") + index * 8, value)

	def task(self, index):
		return struct.unpack_from("<Q", self.data, self.section(".AsyncioDebug") + index * 8)[0]

	def set_task(self, index, value):
		struct.pack_into("<Q", self.data, self.section(".AsyncioDebug") + index * 8, value)

	def write(self, path):
		os.makedirs(os.path.dirname(path), exist_ok=True)
		with open(path, "wb") as file:
			file.write(self.data)
		os.chmod(path, 0o755)


def clean():
	shutil.rmtree(FOLDER, ignore_errors=True)
