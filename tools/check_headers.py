#!/usr/bin/env python3
"""Compile each public header alone, as C11 and as C++17, with all warnings as errors.

Usage: check_headers.py

Exit codes: 0 all compile, 1 one does not, 2 wrong use.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parent.parent / "libquicpro" / "include"


def main() -> int:
    argparse.ArgumentParser(description="Compile each public header alone.").parse_args()
    failed = 0
    for header in sorted(INCLUDE.rglob("*.h")):
        name = header.relative_to(INCLUDE)
        for command in (("cc", "-std=c11", "-xc"), ("c++", "-std=c++17", "-xc++")):
            result = subprocess.run(
                [
                    *command,
                    "-Wall",
                    "-Wextra",
                    "-Wpedantic",
                    "-Werror",
                    "-fsyntax-only",
                    f"-I{INCLUDE}",
                    "-",
                ],
                input=f"#include <{name}>\n",
                text=True,
                capture_output=True,
            )
            if result.returncode != 0:
                failed = 1
                print(f"{name} as {command[1]}:\n{result.stderr}", end="")
    return failed


if __name__ == "__main__":
    sys.exit(main())
