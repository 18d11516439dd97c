#!/usr/bin/env python3
"""Every tracked C file is as clang-format has it (.clang-format; "clang-format off" is honoured).

usage: format.py [--fix] [TOP]"""
import pathlib
import shutil
import subprocess
import sys

FOLDERS = ["base", "mmu", "cpu", "vmx", "devices", "machine", "include", "frontend", "roms", "tests"]
SKIP = 77  # CTest's SKIP_RETURN_CODE


def sources(top):
    """Tracked files, or, outside a git work tree, all."""
    git = subprocess.run(["git", "-C", top, "ls-files", "--", *FOLDERS], text=True,
                         capture_output=True, check=False)
    names = git.stdout.splitlines() if git.returncode == 0 else [
        p.relative_to(top).as_posix() for f in FOLDERS for p in sorted((top / f).rglob("*"))]
    return [n for n in names if n.endswith((".c", ".h")) and (top / n).is_file()]


def main():
    args = [a for a in sys.argv[1:] if a != "--fix"]
    top = pathlib.Path(args[0] if args else ".").resolve()
    files = sources(top)
    if not shutil.which("clang-format"):
        print("no clang-format")
        return SKIP
    if not files:
        return 0
    how = ["-i"] if "--fix" in sys.argv else ["--dry-run", "-Werror"]
    return subprocess.run(["clang-format", *how, *files], cwd=top, check=False).returncode != 0


sys.exit(main())
