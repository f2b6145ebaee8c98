#!/usr/bin/env python3
"""Write README's status table: what works today, each line with the test that shows it.

Usage: status.py [--check] [--results FILE]

A line whose test does not exist is an error; with the results of a run (build/logs/results.json)
also one whose test failed or did not run. --check writes nothing, and fails on a stale table.
Exit codes: 0 fine, 1 stale or a line without its test, 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
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
    ("Certificates by name, reloaded while connections go on", "tests/c/test_certs.c"),
    ("Client certificates, pins, errors that say what is wrong", "tests/c/test_tls_verify.c"),
    ("Graceful shutdown: GOAWAY, open requests finish", "tests/c/test_server.c"),
    ("Both address families raced by real handshakes (RFC 8305)", "tests/c/test_dial.c"),
    ("Retry, stateless reset, limits by prefix: a guarded server", "tests/c/test_guard.c"),
    ("Streams and datagrams of a protocol of your own, in C", "tests/c/test_raw.c"),
    ("Sessions resumed; 0-RTT, at most once", "tests/c/test_zero_rtt.c"),
    ("Numbers of every connection and path, in C and Python", "tests/c/test_stats.c"),
    ("Metrics in memory given, and as Prometheus reads them", "tests/c/test_exposition.c"),
    ("Clients that move, told to or because their address is gone", "tests/c/test_migrate.c"),
    ("Clients that move, in Python", "tests/python/test_raw_path.py"),
    ("A peer that a NAT moves is followed", "tests/c/test_paths.c"),
    (
        "Connections logged as the qlog drafts say, judged by their CDDL",
        "tests/interop/test_qlog.py",
    ),
    ("Segmentation and receive offload, with fallbacks", "tests/c/test_udp_io.c"),
    ("A portable I/O backend: POSIX and nothing else", "tests/c/test_udp_poll.c"),
    ("Without I/O, in virtual time: for event loops and simulators", "tests/c/test_detached.c"),
    ("A thread for blocking callers, safe after fork", "tests/c/test_thread.c"),
    ("A panic in the engine ends one connection only", "tests/c/test_engine.c"),
    ("ASGI server: http and lifespan, on asyncio and uvloop", "tests/python/test_asgi.py"),
    (
        "Requests started at once, in what passes for a task of asyncio's",
        "tests/python/test_inline.py",
    ),
    ("Access log, limits, what is around an application", "tests/python/test_middleware.py"),
    ("HTTP/1.1 on the same port number, with Alt-Svc, by uvicorn", "tests/python/test_tcp.py"),
    ("Blocking client, shared by threads", "tests/python/test_sync.py"),
    ("asyncio client", "tests/python/test_aio.py"),
    ("httpx and httpx2 over HTTP/3, TCP where that does not work", "tests/python/test_httpx.py"),
    ("Streams and datagrams of a protocol of your own, on asyncio", "tests/python/test_raw.py"),
    ("The same for threads that block", "tests/python/test_raw_sync.py"),
    ("The same on trio", "tests/python/test_trio.py"),
    ("Command line: serve, get, config, devcert, version", "tests/python/test_cli_serve.py"),
    ("Options from files, environment, arguments; locked by policy", "tests/python/test_config.py"),
    ("aioquic, curl and ngtcp2 agree with us", "tests/interop"),
    ("Fuzzed: datagrams into an idle server", "tests/fuzz/server_datagrams.c"),
    ("Fuzzed: frames of a hostile server into a client", "tests/fuzz/client_datagrams.c"),
    ("Fuzzed: what two connections can meet, in any order", "tests/fuzz/conn_events.c"),
]


def table() -> str:
    rows = [f"| {what} | `{test}` |" for what, test in STATUS]
    return "\n".join(["| works today | shown by |", "|---|---|", *rows])


def not_shown(results: dict[str, dict[str, int]] | None) -> list[str]:
    """One line for each line of the table that no test shows."""
    found = []
    for what, test in STATUS:
        if not (ROOT / test).exists():
            found.append(f"tools/status.py: {test} does not exist ({what})")
        elif results is not None:
            mine = [count for file, count in results.items() if f"{file}/".startswith(f"{test}/")]
            passed, failed = (sum(count[k] for count in mine) for k in ("passed", "failed"))
            if failed or not passed:
                verdict = f"{failed} failed" if failed else "nothing ran"
                found.append(f"tools/status.py: {test}: {verdict} ({what})")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Write README's status table.",
        epilog="example: tools/status.py --check --results build/logs/results.json",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    parser.add_argument("--results", type=Path, help="build/logs/results.json of a test run")
    args = parser.parse_args()
    try:
        results = json.loads(args.results.read_text()) if args.results else None
    except (OSError, ValueError) as e:
        parser.error(f"{args.results}: {e}")
    text, missing = table(), not_shown(results)
    print("".join(f"{line}\n" for line in missing), end="")
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
