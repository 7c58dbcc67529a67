# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""What a hostile program does to its own interpreter: forged objects, scribbled words, bad pages.

CPython 3.11 to 3.13, x86-64. Everything that is changed is put back before the interpreter itself
looks at it again; forged frames and code objects are only ever read from outside.
"""
import ctypes
import mmap
import sys

import late_page

PAGE = mmap.PAGESIZE
NEW = sys.version_info >= (3, 12)
# As in the table of user/target/layouts.c, whose sources are named there.
F_FRAME = 24				# PyFrameObject.f_frame (Include/internal/pycore_frame.h)
FRAME_CODE, FRAME_PREVIOUS = (0, 8) if NEW else (32, 48)
CODE_LINES, CODE_NAME, CODE_QUALNAME, CODE_FILE = 136, 120, 128, 112
CODE_FIRST = 68 if NEW else 72
STR_LENGTH, STR_STATE, BYTES_SIZE = 16, 32, 16
TASK_CORO, TASK_NAME = (120, 128) if sys.version_info >= (3, 13) else (136, 144)
FRAME_BYTES, CODE_BYTES, OBJECT_BYTES = 128, 256, 512
X, TABLE = "x" * 40, b"\x80" * 50
SHAPELESS = (0x10, 0xffffffff81000000, 1 << 47, (1 << 64) - 8)

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
kept = []				# memory that must live as long as the program


def peek(address):
	return ctypes.c_uint64.from_address(address).value


def poke(address, value):
	"""Returns what puts it back."""
	before = peek(address)
	ctypes.c_uint64.from_address(address).value = value & (1 << 64) - 1
	return address, before


def restore(undo):
	for address, value in reversed(undo):
		poke(address, value)


def room(size):
	buffer = ctypes.create_string_buffer(size + 16)
	kept.append(buffer)
	return (ctypes.addressof(buffer) + 15) & ~15


def copy(address, size):
	to = room(size)
	ctypes.memmove(to, address, size)
	return to


def frame_of(frame):
	"""The interpreter's own frame of a frame object."""
	return peek(id(frame) + F_FRAME)


def wall():
	"""The end of a page behind which nothing may be read."""
	memory = libc.mmap(None, ctypes.c_size_t(2 * PAGE), 3, 0x22, -1, ctypes.c_long(0))
	libc.mprotect(ctypes.c_void_p(memory + PAGE), ctypes.c_size_t(PAGE), 0)
	return memory + PAGE


class Silent:
	"""Pages that never come: a userfaultfd that nobody serves. Readers wait until they are killed."""

	def __init__(self, pages):
		self.size = pages * PAGE
		self.fd, self.memory = late_page.silent(pages)
		self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

	def page(self, n):
		return self.address + n * PAGE


def forged_str(length, state):
	"""Behind it lie zeros, whatever length it claims."""
	text = room(OBJECT_BYTES)
	ctypes.memmove(text, id(X), sys.getsizeof(X))
	poke(text + STR_LENGTH, length)
	ctypes.c_uint32.from_address(text + STR_STATE).value = state
	return text


def forged_bytes(size):
	data = room(OBJECT_BYTES)
	ctypes.memmove(data, id(TABLE), sys.getsizeof(TABLE))
	poke(data + BYTES_SIZE, size)
	return data


def forged_code(of, **fields):
	"""A copy of a code object with other words in it."""
	code = copy(id(of), CODE_BYTES)
	for name, value in fields.items():
		at = {"lines": CODE_LINES, "name": CODE_NAME, "qualname": CODE_QUALNAME,
		      "file": CODE_FILE}[name]
		poke(code + at, value)
	return code


def put_between(frame, codes):
	"""Forged frames between a frame and its caller, one a code object; what takes them out again."""
	previous = peek(frame + FRAME_PREVIOUS)
	for code in reversed(codes):
		one = copy(frame, FRAME_BYTES)
		poke(one + FRAME_CODE, code)
		poke(one + FRAME_PREVIOUS, previous)
		previous = one
	return [poke(frame + FRAME_PREVIOUS, previous)]
