#!/usr/bin/env python3
"""Time and CPU of one small request at a time, by the option spin_us.

    benchmarks/quic_latency.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

Our C server on one core and our C client on another, one connection, one request of 100 bytes after
the other; both spin as long as the option says. Spinning saves what it costs to wake a thread and
spends CPU while it waits, which shows when requests come now and then: the table has both, the
latter as share of a core that the server takes for 200 requests a second of a Python client.

spin_N_us   wall microseconds of a round trip with spin_us=N; the peer is ourselves without
            spinning, so a ratio above 1 is what it gains. Its price is in the table. No bar.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from _bench import Bench, BenchError, Figure
from _process import Server, cpu_seconds, pin_to

SPINS = (0, 50, 200, 1000)
FIGURES = tuple(f"spin_{spin}_us" for spin in SPINS)
BODY = 100
NOW_AND_THEN = """
import sys, time, quicpro
url, seconds = sys.argv[1], float(sys.argv[2])
with quicpro.Client(verify=False) as client:
    client.get(url)
    print(flush=True)
    sys.stdin.readline()
    due = end = time.monotonic()
    end += seconds
    while due < end:
        assert client.get(url).status == 200
        due += 0.005
        time.sleep(max(0, due - time.monotonic()))
"""


@dataclass
class Sample:
    """One run: microseconds of a round trip, and shares of a core."""

    wall_us: float
    server_us: float
    client_us: float
    percent: float


def server_with(bench: Bench, spin: int) -> Server:
    cert, key = bench.certificates()
    program = bench.program("examples/c/h3_server")
    args = [program, "--bind", "127.0.0.1:0", "--cert", cert, "--key", key]
    return bench.start(f"spin_{spin}", [*args, "-o", f"spin_us={spin}"])


def measure(bench: Bench, server: Server, spin: int) -> Sample:
    pid = server.process.pid
    before = cpu_seconds(pid)
    done = bench.client(
        [
            bench.program("tools/loadgen"), "--insecure", "--connections", 1, "--streams", 1,
            "--seconds", bench.seconds, "--expect-length", BODY, "-o", f"spin_us={spin}",
            f"127.0.0.1:{server.port}",
        ],
        timeout=bench.seconds + 30,
    )  # fmt: skip
    cpu = cpu_seconds(pid) - before
    try:
        said = json.loads(done.stdout.splitlines()[0])
    except (IndexError, ValueError):
        raise BenchError(f"loadgen: {done.stderr.strip()[-300:]}") from None
    if said["failed"] or said["lost_connections"] or not said["ok"]:
        raise BenchError(f"spin_us={spin}: {said}")
    count = said["ok"]
    return Sample(
        said["wall_seconds"] / count * 1e6,
        cpu / count * 1e6,
        said["cpu_seconds"] / count * 1e6,
        100 * now_and_then(bench, server),
    )


def now_and_then(bench: Bench, server: Server) -> float:
    """CPU seconds a second of a server that is asked 200 times in it."""
    seconds = 0.1 if bench.smoke else 0.5
    url = f"https://127.0.0.1:{server.port}/"
    pid = server.process.pid
    with subprocess.Popen(
        [sys.executable, "-c", NOW_AND_THEN, url, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=pin_to(bench.client_core),
    ) as client:
        assert client.stdin is not None and client.stdout is not None
        client.stdout.readline()
        before = cpu_seconds(pid)
        client.stdin.write(b"\n")
        client.stdin.close()
        if client.wait(timeout=30) != 0:
            raise BenchError(f"{server.name}: a Python client failed")
    return (cpu_seconds(pid) - before) / seconds


def main() -> int:
    with Bench("Time and CPU of a round trip by spin_us.", FIGURES) as b:
        wanted = [0, *(s for s in SPINS[1:] if b.wants(f"spin_{s}_us"))]
        if b.smoke:
            wanted = [0, 50]
        samples: dict[int, list[Sample]] = {spin: [] for spin in wanted}
        try:
            servers = {spin: server_with(b, spin) for spin in wanted}
            for n in range(b.rounds):
                for spin in wanted if n % 2 == 0 else reversed(wanted):
                    samples[spin].append(measure(b, servers[spin], spin))
                said = ", ".join(f"{s} us: {samples[s][-1].wall_us:.1f}" for s in wanted)
                print(f"  round {n + 1}, us a round trip with spin_us of {said}", flush=True)
        except BenchError as e:
            print(f"quic_latency.py: {e}", file=sys.stderr)
            return 1
        print("\nspin_us   round trip   CPU of it: server   client   200 a second")
        for spin in wanted:
            middle = [
                statistics.median(getattr(s, name) for s in samples[spin])
                for name in ("wall_us", "server_us", "client_us", "percent")
            ]
            print("{:7d} {:9.1f} us {:16.1f} us {:5.1f} us {:11.1f} %".format(spin, *middle))
        for spin in wanted:
            ours = [s.wall_us for s in samples[spin]]
            base = [s.wall_us for s in samples[0]] if spin else []
            peer = "quicpro_spin_0" if spin else "-"
            b.add(Figure(f"spin_{spin}_us", "us", ours, peer, base, less_is_better=True))
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
