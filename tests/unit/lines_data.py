# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
"""Prints rows of lines_data.h: line tables of the Python that runs this, and what it says they mean.

    for python in python3.8 ... python3.13; do $python lines_data.py; done

Before 3.10 the truth is dis.findlinestarts(), after it code.co_lines().
"""
import dis
import sys

SOURCE = """
def f(a,
      b):
    x = a
    if b:
        for i in range(
            3
        ):
            x += g(
                i,
                a)
    try:
        x = [y for y in
             range(3)]
    finally:
        x = 1

    pass
    while a:
        a -= 1
    return (x +
            b)
def g(i, a): return i
def h(a):
""" + "\n" * 300 + """    return a
async def k(a):
    async with a as b, b as c:
        async for d in c:
            await d
"""


def line_of(code, lasti):
    if sys.version_info >= (3, 10):
        for start, end, line in code.co_lines():
            if start <= lasti < end:
                return line or 0
        return 0
    found = code.co_firstlineno
    for start, line in dis.findlinestarts(code):
        if start <= lasti:
            found = line
    return found


names = {}
exec(compile(SOURCE, "f.py", "exec"), names)
for name in "fhk":
    code = names[name].__code__
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    lines = [line_of(code, lasti) for lasti in range(0, len(code.co_code), 2)]
    print("{0x%02x%02x, %d," % (*sys.version_info[:2], code.co_firstlineno))
    hexed = table.hex()
    for at in range(0, len(hexed), 80):
        print(' "%s"' % hexed[at:at + 80])
    print(" , {%s}, %d}," % (", ".join(map(str, lines)), len(lines)))
