#!/usr/bin/env python3
"""Includes point one way: base <- mmu <- cpu <- vmx, base <- mmu <- devices, all <- machine, and
frontend sees include/nidus.h only. Prints each include that does not.

usage: layers.py [TOP]"""
import pathlib
import re
import sys

# What a folder may include beside the C library; an entry is a folder or one header.
ALLOWED = {
    "base": ["base"],
    "mmu": ["base", "mmu"],
    "cpu": ["base", "mmu", "cpu"],
    "cpu/jit": ["base", "mmu", "cpu", "cpu/jit"],
    "vmx": ["base", "mmu", "cpu", "vmx"],
    "devices": ["base", "mmu/bus.h", "mmu/ports.h", "mmu/io_ops.h", "devices"],
    "machine": ["base", "mmu", "cpu", "cpu/jit", "vmx", "devices", "machine", "roms",
                "include/nidus.h"],
    "include": [],
    "frontend": ["frontend", "include/nidus.h"],
    "roms": ["roms"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def folder_of(path):
    """The layer that a path belongs to: its longest prefix in the table."""
    parts = pathlib.PurePosixPath(path).parts
    for n in (2, 1):
        if "/".join(parts[:n]) in ALLOWED and len(parts) > n:
            return "/".join(parts[:n])
    return None


def resolve(top, includer, name):
    """Included path from the top, or None: a header that a build makes, or one of the system."""
    for base in (top, includer.parent, top / "include"):
        path = (base / name).resolve()
        if path.is_file() and path.is_relative_to(top):
            return path.relative_to(top).as_posix()
    return name if "/" in name and name.split("/")[0] in ALLOWED else None


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    bad = 0
    for top_folder in sorted({f.split("/")[0] for f in ALLOWED}):
        for source in sorted((top / top_folder).rglob("*.[chdS]*")):
            path = source.relative_to(top).as_posix()
            folder = folder_of(path)
            for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                target = match and resolve(top, source, match[1])
                if not target or target in ALLOWED[folder]:
                    continue
                if folder_of(target) not in ALLOWED[folder]:
                    print(f"{path}:{number}: {folder} may not include {target}")
                    bad += 1
    return bad != 0


sys.exit(main())
