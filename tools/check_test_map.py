#!/usr/bin/env python3
"""Check that each source file has a test file of its name, and that meson knows all of them.

Usage: check_test_map.py [--root DIR]

Exit codes: 0 yes, 1 no (one line each), 2 wrong use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Files that other tests cover, with the test that does.
ELSEWHERE = {
    "__main__": "test_cli_version.py",
    "cli": "test_cli_version.py",
}


def unlisted(
    root: Path, folder: str, pattern: str, form: str, prefix: str, listed_in: str = ""
) -> list[str]:
    """Files that the folder's meson.build does not name: they are not built, or not installed."""
    build = root / (listed_in or folder) / "meson.build"
    text = build.read_text() if build.exists() else ""
    return [
        f"{path.relative_to(root)}: {build.relative_to(root)} does not name it"
        for path in sorted((root / folder).rglob(pattern))
        if text and form.format(path.stem.removeprefix(prefix)) not in text
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Check that each source file has a test file.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    found = []
    for path in sorted((root / "libquicpro/src").rglob("*.c")):
        test = ELSEWHERE.get(path.stem, f"test_{path.stem}.c")
        if not (root / "tests/c" / test).exists():
            found.append(f"{path.relative_to(root)}: tests/c/{test} does not exist")
    found += unlisted(root, "tests/c", "test_*.c", "'{0}'", "test_")
    found += unlisted(root, "tests/fuzz", "*.c", "'{0}", "")
    found += unlisted(root, "libquicpro/src", "*.c", "'{0}'", "", "libquicpro")
    found += unlisted(root, "bindings/python/quicpro", "*.py", "/{0}.py'", "", "bindings/python")
    package = root / "bindings/python/quicpro"
    for path in sorted(package.rglob("*.py")):
        inner = path.relative_to(package)
        name = inner.parts[0] if path.stem == "__init__" and len(inner.parts) > 1 else path.stem
        name = "init" if name == "__init__" else name.lstrip("_") if name != "__main__" else name
        if len(inner.parts) > 1 and path.stem != "__init__":
            name = f"{inner.parts[0]}_{name}"
        test = ELSEWHERE.get(name, f"test_{name}.py")
        if not (root / "tests/python" / test).exists():
            found.append(f"{path.relative_to(root)}: tests/python/{test} does not exist")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
