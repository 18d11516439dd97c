#!/usr/bin/env python3
"""No C file is longer than 800 lines; tables (.def) are exempt.

usage: sizes.py [TOP]"""
import pathlib
import sys

LIMIT = 800
FOLDERS = ["base", "mmu", "cpu", "vmx", "devices", "machine", "include", "frontend", "roms", "tests"]

top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
bad = 0
for folder in FOLDERS:
    for source in sorted((top / folder).rglob("*")):
        if source.suffix in (".c", ".h", ".S"):
            lines = source.read_bytes().count(b"\n")
            if lines > LIMIT:
                print(f"{source.relative_to(top)}: {lines} lines, more than {LIMIT}")
                bad += 1
sys.exit(bad != 0)
