#!/usr/bin/env python3
"""A Python client's cost of one round trip on a raw stream, and of bytes that it sends.

    benchmarks/quic_pingpong.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

Our C server examples/c/raw_echo on one core, for all clients; a Python client on another: 64 bytes
there and back on one stream, one after the other. The client's CPU time counts; the table has the
median of wall time beside it.

pingpong_py          CPU us a round trip, our blocking client; peer aioquic (asyncio). Bar: 5x.
pingpong_py_asyncio  the same of our client on stock asyncio. Bar: 5x.
"""

from __future__ import annotations

import json
import statistics
import sys

from _bench import Bench, BenchError, Figure
from _process import Server

FIGURES = ("pingpong_py", "pingpong_py_asyncio")
BAR = 5.0

COMMON = """
import json, sys, time
port, seconds = int(sys.argv[1]), float(sys.argv[2])
PING = bytes(range(64))
walls = []
def say(cpu):
    walls.sort()
    print(json.dumps({"count": len(walls), "cpu": cpu, "p50": walls[len(walls) // 2]}))
"""

BLOCKING = """
from quicpro.sync import connect
with connect("127.0.0.1", port, alpn=["echo"], verify=False) as conn:
    stream = conn.open_stream()
    for n in range(1000000):
        if n == 200:
            begin, cpu = time.perf_counter(), time.process_time()
            walls.clear()
        at = time.perf_counter()
        stream.write(PING)
        assert stream.readexactly(64) == PING
        walls.append(time.perf_counter() - at)
        if n > 200 and at - begin > seconds:
            break
    say(time.process_time() - cpu)
"""

ASYNCIO = """
import asyncio, quicpro
async def main():
    async with quicpro.connect("127.0.0.1", port, alpn=["echo"], verify=False) as conn:
        stream = await conn.open_stream()
        for n in range(1000000):
            if n == 200:
                begin, cpu = time.perf_counter(), time.process_time()
                walls.clear()
            at = time.perf_counter()
            stream.write(PING)
            assert await stream.readexactly(64) == PING
            walls.append(time.perf_counter() - at)
            if n > 200 and at - begin > seconds:
                break
        say(time.process_time() - cpu)
asyncio.run(main())
"""

AIOQUIC = """
import asyncio, ssl
from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration
async def main():
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["echo"], verify_mode=ssl.CERT_NONE
    )
    async with connect("127.0.0.1", port, configuration=configuration) as conn:
        reader, writer = await conn.create_stream()
        for n in range(1000000):
            if n == 200:
                begin, cpu = time.perf_counter(), time.process_time()
                walls.clear()
            at = time.perf_counter()
            writer.write(PING)
            assert await reader.readexactly(64) == PING
            walls.append(time.perf_counter() - at)
            if n > 200 and at - begin > seconds:
                break
        say(time.process_time() - cpu)
asyncio.run(main())
"""

CLIENTS = {"blocking": BLOCKING, "asyncio": ASYNCIO, "aioquic": AIOQUIC}


def measure(bench: Bench, server: Server, name: str) -> tuple[float, float]:
    """CPU and the median of wall time, in microseconds a round trip."""
    args = [sys.executable, "-c", COMMON + CLIENTS[name], server.port, bench.seconds]
    done = bench.client(args, timeout=bench.seconds + 30)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise BenchError(f"{name}: {done.stderr.strip()[-300:]}") from None
    return said["cpu"] / said["count"] * 1e6, said["p50"] * 1e6


def main() -> int:
    with Bench("CPU of a Python client's round trip.", FIGURES) as b:
        names = list(CLIENTS)[: 2 if b.smoke else 3]
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        try:
            cert, key = b.certificates()
            program = b.program("examples/c/raw_echo")
            args = [program, "serve", "--cert", cert, "--key", key, "127.0.0.1", "0"]
            server = b.start("raw_echo", args)
            for n in range(b.rounds):
                for name in names if n % 2 == 0 else reversed(names):
                    samples[name].append(measure(b, server, name))
                said = ", ".join(f"{name}: {samples[name][-1][0]:.1f}" for name in names)
                print(f"  round {n + 1}, us of CPU a round trip, {said}", flush=True)
        except BenchError as e:
            print(f"quic_pingpong.py: {e}", file=sys.stderr)
            return 1
        print("\nclient        CPU   wall p50   us a round trip")
        for name in names:
            cpu, wall = (statistics.median(s[i] for s in samples[name]) for i in (0, 1))
            print(f"{name:9} {cpu:7.1f} {wall:10.1f}")
        theirs = [cpu for cpu, _ in samples.get("aioquic", [])]
        for figure, name in zip(FIGURES, ("blocking", "asyncio"), strict=True):
            if b.wants(figure):
                ours = [cpu for cpu, _ in samples[name]]
                peer = "aioquic" if theirs else "-"
                b.add(
                    Figure(
                        figure, "us", ours, peer, theirs, BAR,
                        less_is_better=True, judged=bool(theirs),
                    )
                )  # fmt: skip
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
