#!/usr/bin/env python3
"""Write THIRD_PARTY.md: what the library carries inside, with versions, licences and their texts.

Usage: third_party.py [--check]

Reads the locked crates from cargo. --check writes nothing, and fails if the file is stale.
Exit codes: 0 fine, 1 stale, or cargo failed, 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Third-party software

Made by `tools/third_party.py` from `libquicpro/engine/Cargo.lock`.

`libquicpro.so` carries these inside. The three that matter most:

- **quiche** (BSD-2-Clause, Cloudflare): the QUIC transport, with the patches of
  `libquicpro/engine/patches`
- **BoringSSL** (ISC, Apache-2.0 and OpenSSL licences, Google), inside the crate boring-sys: TLS
- **nghttp3** with sfparse (MIT, Tatsuhiro Tsujikawa), inside the crate nghttp3-sys: HTTP/3, QPACK

and two runtime libraries: Rust's standard library (MIT OR Apache-2.0) and, from the compiler that
builds it, libstdc++ and libgcc (GPL-3.0 with the GCC Runtime Library Exception). mimalloc is inside
only with `-Dengine_allocator=mimalloc`.

| crate | version | licence |
|---|---|---|
"""


RUST = """Copyright (c) The Rust Project Contributors

Permission is hereby granted, free of charge, to any
person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the
Software without restriction, including without
limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice
shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF
ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A
PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT
SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION
OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE."""

# What crates carry beside their own code.
INSIDE = {
    "boring-sys": {"BoringSSL": "deps/boringssl/LICENSE"},
    "nghttp3-sys": {
        "nghttp3": "deps/nghttp3/COPYING",
        "sfparse": "deps/nghttp3/lib/sfparse/COPYING",
    },
}


def licence_file(folder: Path) -> Path | None:
    """The text that applies; of a choice of licences, MIT."""
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.name.lower().startswith(("licen", "copying", "unlicen"))
    ]
    mit = [path for path in found if "mit" in path.name.lower()]
    return next(iter(mit or found), None)


def texts(packages: list[dict[str, str]]) -> str:
    """Each text once, under the names of all that it is for."""
    users: dict[str, list[str]] = {RUST: ["Rust's standard library"]}
    for package in packages:
        folder = Path(package["manifest_path"]).parent
        path = licence_file(folder)
        names = {package["name"]: path} if path else {}
        names |= {k: folder / v for k, v in INSIDE.get(package["name"], {}).items()}
        for name, file in names.items():
            text = "\n".join(line.rstrip() for line in file.read_text().strip().splitlines())
            users.setdefault(text, []).append(name)
    parts = [f"### {', '.join(names)}\n\n```text\n{text}\n```\n" for text, names in users.items()]
    return "\n## Licence texts\n\n" + "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write THIRD_PARTY.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    args = parser.parse_args()
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    command += ["--filter-platform", "x86_64-unknown-linux-gnu", "--all-features"]
    result = subprocess.run(command, cwd=ROOT / "libquicpro/engine", text=True, capture_output=True)
    if result.returncode != 0:
        print(result.stderr, file=sys.stderr, end="")
        return 1
    meta = json.loads(result.stdout)
    nodes = {n["id"]: n for n in meta["resolve"]["nodes"]}
    packages = {p["id"]: p for p in meta["packages"]}
    # What is linked: dependencies proper, not those of build scripts.
    linked: set[str] = set()
    todo = [meta["resolve"]["root"]]
    while todo:
        node = todo.pop()
        for dep in nodes[node]["deps"]:
            kinds = {k["kind"] for k in dep["dep_kinds"]}
            if None in kinds and dep["pkg"] not in linked:
                linked.add(dep["pkg"])
                todo.append(dep["pkg"])
    used = sorted((packages[i] for i in linked), key=lambda p: (p["name"], p["version"]))
    table = "".join(f"| {p['name']} | {p['version']} | {p['license']} |\n" for p in used)
    text = HEAD + table + texts(used)
    page = ROOT / "THIRD_PARTY.md"
    if args.check:
        if page.read_text() != text:
            print("THIRD_PARTY.md: stale: run tools/third_party.py")
            return 1
        return 0
    page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
