#!/usr/bin/env python3
"""Every header compiles alone, and has #pragma once.

usage: headers.py TOP [COMPILER [FLAG...]]"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

FOLDERS = ["base", "mmu", "cpu", "vmx", "devices", "machine", "include", "frontend", "tests"]


def check(top, compiler, header):
    name = header.relative_to(top).as_posix()
    if "#pragma once" not in header.read_text():
        return f"{name}: no #pragma once\n"
    run = subprocess.run(
        compiler + ["-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused-parameter",
                    "-Wno-unused-function", "-Werror", "-I", str(top), "-x", "c", "-"],
        input=f'#include "{name}"\n', text=True, capture_output=True, check=False)
    return f"{name} does not compile alone:\n{run.stderr}" if run.returncode else ""


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    compiler = sys.argv[2:] or ["cc"]
    headers = [h for f in FOLDERS for h in sorted((top / f).rglob("*.h"))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = "".join(pool.map(lambda h: check(top, compiler, h), headers))
    print(problems, end="")
    return problems != ""


sys.exit(main())
