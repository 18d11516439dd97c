#!/usr/bin/env python3
"""Native code depends on nothing but what the key of blocks holds: the fields of struct cpu that
cpu/jit looks at, and the bits of the key, are those of the lists below. (What native code reads
while it runs, X64_FIELD(...), is another matter.) Prints each use that is not listed.

usage: jit_state.py [TOP]"""
import pathlib
import re
import sys

# Registers, time and wiring that the C code around native code handles, and the key.
FIELDS = {
    "r", "rip", "flags", "in", "block", "budget", "insn_count", "interpreted", "key", "native",
    "native_ops", "jit", "mmu.cost", "mmu.fetch_page", "block_hash",
}
# Who looks from outside, for a person.
OUTSIDE = {"dump.c": {"mmu"}}
# Who moves guest state to native registers and back, while native code runs.
MOVES = {"x64_x87.c": {"fpu", "seg"}}
# The bits of the key that something in cpu/jit depends on, or shows; each has its rows in
# tests/jit/test_key.c.
KEYS = {
    "KEY_CODE64", "KEY_CODE_MASK", "KEY_SINGLE", "KEY_NO_SSE", "KEY_NO_X87", "KEY_SSE_TRAPS",
    "KEY_X87_TRAPS", "KEY_USER", "KEY_NON_ROOT",
}
# These look at the processor's mode.
CALLS = re.compile(r"\b(cpu_64bit|cpu_long|cpu_protected|cpu_vm86|cpu_real|cpu_view|cpu_rflags|"
                   r"cpu_update_\w+|cpu_tsc)\b")
FIELD = re.compile(r"\bcpu->(\w+)(\.\w+)?")
KEY = re.compile(r"\bKEY_[A-Z0-9_]+\b")
COMMENT = re.compile(r"/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.S)


def uses(text, allowed):
    """(offset, what) of each use that is not listed."""
    for m in FIELD.finditer(text):
        if m[1] not in allowed and m[1] + (m[2] or "") not in allowed:
            yield m.start(), f"cpu->{m[1]}{m[2] or ''}"
    for m in KEY.finditer(text):
        if m[0] not in KEYS:
            yield m.start(), m[0]
    for m in CALLS.finditer(text):
        yield m.start(), m[0]


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    bad = 0
    for source in sorted((top / "cpu/jit").glob("*.[ch]")):
        # comments and strings go, lines stay
        text = COMMENT.sub(lambda m: "\n" * m[0].count("\n"), source.read_text())
        allowed = FIELDS | OUTSIDE.get(source.name, set()) | MOVES.get(source.name, set())
        for at, what in sorted(uses(text, allowed)):
            line = text.count("\n", 0, at) + 1
            print(f"{source.relative_to(top)}:{line}: {what}: does the key hold what it depends on?")
            bad += 1
    return bad != 0


sys.exit(main())
