#!/usr/bin/env python3
"""MiB that a server grows by for each million of connections or streams that came and went.

    benchmarks/soak.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

The figure is the slope of a line through the server's RSS, behind the first half of the load, in
which pools and caches fill. A leak of one byte for each connection is 1 MiB for each million.

connections     100,000 connections of a request each, 100 open at a time and all of them closed
                before RSS is read; examples/c/h3_server
streams         a million requests on one connection, 100 open at a time
connections_py  the same at quicpro serve, with benchmarks/apps/hello.py
streams_py

--quick: a fifth of it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from _bench import Bench, BenchError, Figure
from _process import Server, pin_to, rss_kib
from _servers import our_asgi, our_c

BAR = 1.0  # MiB for each million
MILLION = 1_000_000
AT_A_TIME = 100  # connections

Samples = list[tuple[float, float]]  # how many came and went, RSS in MiB


def loadgen(bench: Bench, server: Server, connections: int, requests: int) -> subprocess.Popen[str]:
    args = [
        bench.program("tools/loadgen"), "--insecure", "--connections", connections,
        "--streams", min(100, requests // connections), "--requests", requests, server.address,
    ]  # fmt: skip
    return subprocess.Popen(
        [str(a) for a in args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=pin_to(bench.client_core),
    )


def finish(client: subprocess.Popen[str], server: Server, requests: int) -> None:
    out, err = client.communicate(timeout=300)
    if client.returncode != 0 or json.loads(out)["ok"] != requests:
        raise BenchError(f"{server.name}: {out.strip()} {err.strip()}")


def mib(server: Server) -> float:
    return rss_kib(server.process.pid) / 1024


def connections(bench: Bench, server: Server, total: int) -> Samples:
    samples: Samples = []
    for n in range(0, total, AT_A_TIME):
        finish(loadgen(bench, server, AT_A_TIME, AT_A_TIME), server, AT_A_TIME)
        samples.append((n + AT_A_TIME, mib(server)))
    return samples


def streams(bench: Bench, server: Server, total: int) -> Samples:
    seen: Samples = []
    begin = time.monotonic()
    client = loadgen(bench, server, 1, total)
    try:
        while client.poll() is None:
            time.sleep(0.05)
            seen.append((time.monotonic() - begin, mib(server)))
        finish(client, server, total)
    finally:
        client.kill()
    return [(at / seen[-1][0] * total, size) for at, size in seen]


def slope(samples: Samples) -> float:
    """MiB for each million, behind the first half."""
    rest = samples[len(samples) // 2 :]
    return statistics.linear_regression(*zip(*rest, strict=True)).slope * MILLION


Soak = tuple[Callable[[Bench], Server], Callable[[Bench, Server, int], Samples], int]
SOAKS: dict[str, Soak] = {
    "connections": (our_c, connections, 100_000),
    "streams": (our_c, streams, MILLION),
    "connections_py": (our_asgi, connections, 100_000),
    "streams_py": (our_asgi, streams, MILLION),
}


def main() -> int:
    with Bench("Memory of what came and went.", list(SOAKS)) as b:
        part = 50 if b.smoke else 5 if b.options.quick else 1
        for name, (start, soak, total) in SOAKS.items():
            if not b.wants(name) or (b.smoke and name != "connections"):
                continue
            try:
                server = start(b)
                try:
                    samples = soak(b, server, total // part)
                finally:
                    server.stop()
            except BenchError as e:
                print(f"soak.py: {name}: {e}", file=sys.stderr)
                return 1
            first, last = samples[len(samples) // 2][1], samples[-1][1]
            print(f"{name}: {total // part}, {first:.2f} MiB then {last:.2f} MiB", flush=True)
            value = slope(samples) if len(samples) > 4 else last - first
            b.add(
                Figure(name, "MiB/1e6", [value], bar=BAR, less_is_better=True, judged=not b.smoke)
            )
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
