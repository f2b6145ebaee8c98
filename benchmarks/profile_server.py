#!/usr/bin/env python3
"""Where our HTTP/3 servers spend their CPU time: the top functions under load, by perf.

Usage: benchmarks/profile_server.py [--seconds S] [--top N] [--instructions] [c] [asgi]

Samples of cpu-clock, since virtual machines often have no hardware counters. The server and the
load are those of h3_server.py: 100-byte answers, 10 connections x 10 streams. --instructions counts
what the C server executes for a request, under valgrind: slow, but the same on a busy machine, so
it shows changes that the clock cannot.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from _bench import Bench, BenchError, Skipped, which
from _process import Server, pin_to
from _servers import our_asgi, our_c

SERVERS = {"c": our_c, "asgi": our_asgi}
FREQUENCY = 1999  # samples a second; odd, so as not to keep step with timers

# What a function belongs to: the first pattern that its name or its object matches.
GROUPS = {
    "kernel": r"\[kernel\]$",
    "Python": r"\[(libpython|python|_cffi_backend|_ffi|loop\.|_asyncio|_struct)",
    "allocator": r"^(_?_?(int_)?(malloc|free|calloc|realloc|cfree)|unlink_chunk|malloc_consol|mi_)",
    "copies": r"^_*(mem(move|cpy|set|cmp)|str)",
    "HTTP/3 and QPACK": r"^(nghttp3_|conn_writev|qpack)",
    "packets, streams, recovery": r"^(quiche|intrusive_|alloc|core|std|hashbrown|smallvec|octets)",
    "encryption, TLS": r"(?i)(aes|gcm|aead|ghash|bssl|evp_|ssl_|openssl|bn_|ec_|sha|x25519)",
    "engine's door": r"^qp_engine",
    "loop and HTTP/3 of ours": r"\[(libquicpro|h3_server)",
    "clock": r"(vdso|clock_gettime)",
}


def record(bench: Bench, server: Server, perf: str, seconds: float) -> list[tuple[float, str, str]]:
    """Share in per cent, function and object, largest first."""
    data = bench.folder / f"{server.name}.perf"
    load = subprocess.Popen(
        [
            str(bench.program("tools/loadgen")), "--insecure", "--connections", "10",
            "--streams", "10", "--seconds", str(seconds + 1), "--expect-length", "100",
            f"127.0.0.1:{server.port}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pin_to(bench.client_core),
    )  # fmt: skip
    try:
        subprocess.run(
            [
                perf, "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "-o", str(data),
                "-p", str(server.process.pid), "--", "sleep", str(seconds),
            ],
            check=True,
            capture_output=True,
            timeout=seconds + 60,
        )  # fmt: skip
    except subprocess.CalledProcessError as e:
        said = e.stderr.decode(errors="replace").strip().splitlines()
        raise BenchError(f"perf record: {said[0] if said else 'failed'}") from None
    finally:
        out, _ = load.communicate(timeout=seconds + 60)
    if load.returncode != 0:
        raise BenchError(f"the load failed: {out.strip()}")
    done = subprocess.run(
        [
            perf, "report", "-i", str(data), "--stdio", "-g", "none", "--no-children",
            "--sort", "symbol,dso", "--percent-limit", "0", "-t", "|",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )  # fmt: skip
    rows = []
    for line in done.stdout.splitlines():
        if m := re.match(r"\s*([\d.]+)%?\s*\|\[(.)\]\s+(.*?)\s*\|\s*(.*?)\s*(\||$)", line):
            where = "kernel" if m[2] == "k" else m[4]
            rows.append((float(m[1]), m[3], where))
    if not rows:
        raise BenchError("perf report gave no rows")
    return rows


def grouped(rows: list[tuple[float, str, str]]) -> dict[str, float]:
    groups: dict[str, float] = {}
    for share, function, where in rows:
        text = f"{function} [{where}]"
        name = next((g for g, pattern in GROUPS.items() if re.search(pattern, text)), "other")
        groups[name] = groups.get(name, 0.0) + share
    return groups


def instructions(bench: Bench) -> float:
    """Instructions of user space for one request, from the difference of two counts."""
    valgrind = which("valgrind")
    if valgrind is None:
        raise Skipped("valgrind is not installed (apt install valgrind)")

    def count(requests: int) -> int:
        cert, key = bench.certificates()
        tool = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        program = bench.program("examples/c/h3_server")
        args = [*tool, program, "--bind", "127.0.0.1:0", "--cert", cert, "--key", key]
        server = bench.start("callgrind", args)
        done = bench.client(
            [
                bench.program("tools/loadgen"), "--insecure", "--connections", "1",
                "--streams", "10", "--requests", requests, "--expect-length", "100",
                f"127.0.0.1:{server.port}",
            ],
            timeout=300,
        )  # fmt: skip
        if done.returncode != 0:
            raise BenchError(f"the load failed: {done.stdout.strip()}")
        server.stop()
        m = re.search(r"Collected : (\d+)", server.said())
        if m is None:
            raise BenchError(f"valgrind did not count: {server.said()[-200:]}")
        return int(m[1])

    few, many = 2000, 22000
    return (count(many) - count(few)) / (many - few)


def main() -> int:
    parser = argparse.ArgumentParser(description="Top functions of our servers under load.")
    parser.add_argument("servers", nargs="*", metavar="SERVER", help="c, asgi (both)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of sampling (5)")
    parser.add_argument("--top", type=int, default=15, help="functions to show (15)")
    parser.add_argument("--instructions", action="store_true", help="count by valgrind as well")
    parser.add_argument("--build-dir", help="build folder with the C programs (build/gcc)")
    args = parser.parse_args()
    for name in args.servers:
        if name not in SERVERS:
            parser.error(f"no server {name}; known: {', '.join(SERVERS)}")
    sys.argv[1:] = ["--build-dir", args.build_dir] if args.build_dir else []
    with Bench("Top functions of our servers under load.", ()) as bench:
        perf = which("perf")
        if perf is None:
            print("profile_server.py: perf is not installed (apt install linux-perf)")
            return 1
        try:
            for name in args.servers or SERVERS:
                server = SERVERS[name](bench)
                rows = record(bench, server, perf, args.seconds)
                server.stop()
                print(f"\n{name}: % of the server's CPU time")
                for share, function, where in rows[: args.top]:
                    print(f"{share:6.2f}  {function[:90]}  [{where}]")
                print("in groups:")
                for group, share in sorted(grouped(rows).items(), key=lambda item: -item[1]):
                    print(f"{share:6.2f}  {group}", flush=True)
            if args.instructions:
                print(f"\nc: {instructions(bench):.0f} instructions for a request")
        except (BenchError, Skipped) as e:
            print(f"profile_server.py: {e}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
