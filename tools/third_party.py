#!/usr/bin/env python3
"""Write THIRD_PARTY.md: what the library carries inside, with versions and licences.

Usage: third_party.py

Reads the locked crates from cargo. Exit codes: 0 written, 1 cargo failed, 2 wrong use.
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

and the C++ runtime libstdc++ (GPL-3.0 with the GCC Runtime Library Exception).

| crate | version | licence |
|---|---|---|
"""


def main() -> int:
    argparse.ArgumentParser(description="Write THIRD_PARTY.md.").parse_args()
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    command += ["--filter-platform", "x86_64-unknown-linux-gnu"]
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
    rows = sorted(
        (packages[i]["name"], packages[i]["version"], packages[i]["license"]) for i in linked
    )
    table = "".join(f"| {name} | {version} | {licence} |\n" for name, version, licence in rows)
    (ROOT / "THIRD_PARTY.md").write_text(HEAD + table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
