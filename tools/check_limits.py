#!/usr/bin/env python3
"""Check the list of limits against the code, and write docs/reference/limits.md from it.

A row of tools/limits.toml must name an option or a constant that exists, a test that exists, a
counter that exists (or, in words, what the user sees instead), and every option of the chapter
"limits" must have a row. The page must be what this program would write.

Usage: check_limits.py [--write] [--root DIR]

--write writes the page instead of comparing it.
Exit codes: 0 fine, 1 not (one line for each mistake), 2 wrong use.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = "docs/reference/limits.md"
LIST = "tools/limits.toml"
OPTIONS = "libquicpro/src/base/options.h"
STATS = "libquicpro/include/quicpro/loop.h"

HEAD = """\
# Limits

<!-- Written by tools/check_limits.py --write from tools/limits.toml; do not edit. -->

Every buffer, queue, table and time that a peer, a network or a resolver can reach has a limit with
a name, a default, a reason and a test. Names in `code` are options (see [config.md](config.md)), or
constants of the source with their file. Counters are fields of `quicpro_loop_stats`
(`quicpro_loop_get_stats()`); where there is none, it says what the user sees instead.

Not here, because no test of ours reaches them: what the engine bounds by itself (path challenges
that wait for an answer: 3, cryptographic data out of order: 64 KiB, retired connection IDs: three
times those in use).
"""

Row = dict[str, Any]


def text_of(root: Path, name: str) -> str:
    path = root / name
    return path.read_text() if path.is_file() else ""


def options(root: Path) -> dict[str, tuple[str, str]]:
    """Each option of a number or a choice: its group, and its default with its unit."""
    text = re.sub(r"\s*\\\n\s*", " ", text_of(root, OPTIONS))
    found = {}
    for m in re.finditer(r'\bU\((\w+), (\w+), "(\w*)", \d+, \d+, (\d+),', text):
        found[m[1]] = (m[2], f"{int(m[4]):,} {m[3]}".strip())
    for m in re.finditer(r'\bC\((\w+), (\w+), "[^"]*", "([^"]*)",', text):
        found[m[1]] = (m[2], m[3])
    return found


def number(expression: str) -> str:
    """A constant as people read it: 262144 is 262,144; (10 * QUICPRO_SECOND) is 10 s."""
    value = 1
    for factor in re.findall(r"\d+", expression):
        value *= int(factor)
    return f"{value:,} s" if "QUICPRO_SECOND" in expression else f"{value:,}"


def constant(root: Path, name: str) -> str | None:
    """The value of FILE:NAME; "" if it is there and no number; None if it is not."""
    file, _, symbol = name.partition(":")
    text = text_of(root, file)
    found = re.search(rf"\b{symbol} = (\d+(?: \* \d+)*)\b|#define {symbol} (\([^)\n]*\)|\d+)", text)
    if found:
        return number(found[1] or found[2])
    return "" if re.search(rf"\b{symbol}\b", text) else None


def value_of(root: Path, row: Row, known: dict[str, tuple[str, str]]) -> tuple[str, str, str]:
    """Name and value of a limit as the page shows them, and what is wrong ("": nothing)."""
    kinds = [kind for kind in ("option", "constant", "rule") if kind in row]
    if len(kinds) != 1:
        return "", "", "names not one of option, constant and rule"
    if "option" in row:
        if row["option"] not in known:
            return "", "", f"there is no option {row['option']}"
        return f"`{row['option']}`", known[row["option"]][1], ""
    if "rule" in row:
        return "the protocol", str(row["rule"]), ""
    value = constant(root, row["constant"])
    if value is None:
        return "", "", f"there is no constant {row['constant']}"
    if value == "" and "shown" not in row:
        return "", "", f'{row["constant"]} is no number, and there is no "shown"'
    file, _, symbol = row["constant"].partition(":")
    shown = row.get("shown") or f"{value} {row.get('unit', '')}".strip()
    return f"`{symbol}` in `{file.removeprefix('libquicpro/src/')}`", shown, ""


def test_exists(root: Path, name: str) -> bool:
    file, _, function = name.partition(":")
    text = text_of(root, file)
    # Defined, and used: a test that is in no table never runs.
    return bool(function) and len(re.findall(rf"\b{re.escape(function)}\b", text)) >= (
        1 if file.endswith(".py") else 2
    )


def check_row(root: Path, row: Row, known: dict[str, tuple[str, str]]) -> list[str]:
    found = [
        f'"{key}" is missing'
        for key in ("chapter", "what", "reason", "counter", "test")
        if not row.get(key)
    ]
    wrong = value_of(root, row, known)[2]
    if wrong:
        found.append(wrong)
    if row.get("test") and not test_exists(root, row["test"]):
        found.append(f"there is no test {row['test']}")
    counter = row.get("counter", "")
    if re.fullmatch(r"[a-z]+(_[a-z]+)+", counter) and not re.search(
        rf"\buint64_t [^;]*\b{counter}\b", text_of(root, STATS)
    ):
        found.append(f"there is no counter {counter}")
    return [f"{LIST}: {row.get('what', '?')}: {what}" for what in found]


def page(root: Path, rows: list[Row], known: dict[str, tuple[str, str]]) -> str:
    out = HEAD
    for chapter in dict.fromkeys(row["chapter"] for row in rows):
        out += f"\n## {chapter}\n\n| what | limit | default | why | counter | test |\n"
        out += "|---|---|---|---|---|---|\n"
        for row in rows:
            if row["chapter"] != chapter:
                continue
            name, value, _ = value_of(root, row, known)
            counter = f"`{row['counter']}`" if "_" in row["counter"] else row["counter"]
            if " " in row["counter"]:
                counter = row["counter"]
            test = row["test"].partition(":")
            out += (
                f"| {row['what']} | {name} | {value} | {row['reason']} | {counter} "
                f"| `{test[0].removeprefix('tests/')}`: `{test[2]}` |\n"
            )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the list of limits against the code.")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    args = parser.parse_args()
    root: Path = args.root
    known = options(root)
    rows: list[Row] = tomllib.loads(text_of(root, LIST)).get("limit", [])
    found = [] if rows else [f"{LIST}: there are no rows"]
    for row in rows:
        found += check_row(root, row, known)
    listed = {row.get("option") for row in rows}
    for key, (group, default) in known.items():
        if group == "limits" and re.match(r"\d", default) and key not in listed:
            found.append(f"{LIST}: option {key} has no row")
    if not found:
        text = page(root, rows, known)
        if args.write:
            (root / PAGE).write_text(text)
        elif text_of(root, PAGE) != text:
            found.append(f"{PAGE} is stale: run tools/check_limits.py --write")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
