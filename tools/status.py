#!/usr/bin/env python3
"""Write README's status table: what works today, each line with the test that shows it.

Usage: status.py [--check]

A line whose test does not exist is an error. --check writes nothing, and fails on a stale table.
Exit codes: 0 fine, 1 stale or a test is missing, 2 wrong use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- status: begin -->", "<!-- status: end -->"

# What a user can do, and the test that would fail if he could not.
STATUS = [
    (
        "HTTP/3 server and client in C, streaming both ways with backpressure",
        "tests/c/test_commands.c",
    ),
    (
        "Verification of certificates, host names and addresses, on by default",
        "tests/c/test_client.c",
    ),
    ("Graceful shutdown: GOAWAY, open requests finish", "tests/c/test_server.c"),
    ("Segmentation and receive offload, with fallbacks", "tests/c/test_udp_epoll.c"),
    ("A thread for blocking callers, safe after fork", "tests/c/test_thread.c"),
    ("A panic in the engine ends one connection only", "tests/c/test_engine.c"),
    ("ASGI server: http and lifespan, on asyncio and uvloop", "tests/python/test_asgi.py"),
    ("Blocking client, shared by threads", "tests/python/test_sync.py"),
    ("asyncio client", "tests/python/test_aio.py"),
    ("Command line: serve, get, devcert, version", "tests/python/test_cli_serve.py"),
    ("aioquic, curl and ngtcp2 agree with us", "tests/interop"),
    ("Fuzzed: datagrams into an idle server", "tests/fuzz/server_datagrams.c"),
]


def table() -> tuple[str, list[str]]:
    missing = [test for _, test in STATUS if not (ROOT / test).exists()]
    rows = [f"| {what} | `{test}` |" for what, test in STATUS]
    return "\n".join(["| works today | shown by |", "|---|---|", *rows]), missing


def main() -> int:
    parser = argparse.ArgumentParser(description="Write README's status table.")
    parser.add_argument("--check", action="store_true", help="fail if the table is stale")
    args = parser.parse_args()
    text, missing = table()
    for test in missing:
        print(f"tools/status.py: {test} does not exist")
    readme = ROOT / "README.md"
    old = readme.read_text()
    if BEGIN not in old or END not in old:
        print(f"README.md: no lines '{BEGIN}' and '{END}'")
        return 1
    head, rest = old.split(BEGIN, 1)
    new = f"{head}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}"
    if args.check:
        if new != old:
            print("README.md: the status table is stale: run tools/status.py")
        return 1 if missing or new != old else 0
    readme.write_text(new)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
