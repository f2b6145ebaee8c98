#!/usr/bin/env python3
"""Requests per server CPU-second of HTTP/3 servers, ours and others; memory of idle connections.

    benchmarks/h3_server.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

Each server runs on one core and one client program on another; the servers take turns within a
round. What counts is the server's CPU time, so a client that is slower than the server does not
matter. Every answer is counted and checked: a server that gets one wrong ends the run.

asgi_hello          our ASGI server against peregrine, both with benchmarks/apps/hello.py; 10 x 10
c_server_100b       our C example server against ngtcp2's gtlsserver; 10 connections x 10 streams
c_server_100b_gtls  the same, by ngtcp2's gtlsclient: one connection x 100
idle_h3_kib         KiB of memory of an idle connection that has had one request
idle_h3_kib_fresh   the same, of one that has had none

tools/bench_peers fetches the peers.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable

from _bench import TUNED_MALLOC, Bench, BenchError, Figure, Rival, Skipped, peers
from _process import Server, cpu_seconds, free_port, pin_to, rss_kib
from _servers import APPS, BODY, gtlsclient, ngtcp2, our_asgi, our_c

FIGURES = ("asgi_hello", "c_server_100b", "c_server_100b_gtls", "idle_h3_kib", "idle_h3_kib_fresh")
BARS = {
    "asgi_hello": 5,
    "c_server_100b": 0.85,
    "c_server_100b_gtls": 0.85,
    "idle_h3_kib": 48.0,
    "idle_h3_kib_fresh": 48.0,
}
IDLE_CONNECTIONS = 2000

Load = Callable[[Bench, Server], float]  # requests answered per server CPU-second


# --- servers --------------------------------------------------------------------------------------


def peregrine(bench: Bench) -> Server:
    known = peers().get("peregrine")
    if known is None:
        raise Skipped("peregrine is not there: tools/bench_peers peregrine")
    cert, key = bench.certificates()
    port = free_port()
    args = [
        known["server"], "--http3", "--port", port, "--quic-port", port, "--no-lifespan",
        "--tls-cert", cert, "--tls-key", key, "hello:app",
    ]  # fmt: skip
    return bench.start("peregrine", args, env=TUNED_MALLOC, port=port, cwd=APPS)


# --- load -----------------------------------------------------------------------------------------


def by_loadgen(connections: int, streams: int) -> Load:
    def load(bench: Bench, server: Server) -> float:
        before = cpu_seconds(server.process.pid)
        done = bench.client(
            [
                bench.program("tools/loadgen"), "--insecure",
                "--connections", connections, "--streams", streams, "--seconds", bench.seconds,
                "--path", server.path, "--expect-length", BODY, f"127.0.0.1:{server.port}",
            ],
            timeout=bench.seconds + 30,
        )  # fmt: skip
        used = cpu_seconds(server.process.pid) - before
        if done.returncode not in (0, 1):
            raise BenchError(f"loadgen against {server.name}: {done.stderr.strip()}")
        said = json.loads(done.stdout)
        if said["failed"] or said["lost_connections"] or not said["ok"]:
            raise BenchError(
                f"{server.name} answered {said['ok']} of {said['requests']} requests right; "
                f"first error: {said['first_error']}"
            )
        return float(said["ok"] / used)

    return load


class ByGtlsclient:
    """One connection, up to a hundred requests open. Its quiet mode says nothing about answers, so
    a talkative run before the first round counts and checks them; a run that stalls or breaks says
    so.
    """

    def __init__(self) -> None:
        self.program, self.env = gtlsclient()
        self.rate: dict[str, float] = {}

    def _run(self, bench: Bench, server: Server, count: int, *more: str) -> str:
        done = bench.client(
            [
                self.program, *more, "-n", count, "--exit-on-all-streams-close", "--timeout=5s",
                "127.0.0.1", server.port, f"https://localhost:{server.port}{server.path}",
            ],
            timeout=60,
            env=self.env,
        )  # fmt: skip
        said = done.stderr + done.stdout
        if done.returncode != 0 or re.search(r"ERR_(?!DRAINING)", said):
            raise BenchError(f"gtlsclient against {server.name}: {said.strip()[-300:]}")
        return said

    def _check(self, bench: Bench, server: Server) -> None:
        count = 200
        said = self._run(bench, server, count, "--no-quic-dump", "--no-http-dump")
        good = len(re.findall(r"\[:status: 200\]", said))
        closed = len(re.findall(r"HTTP stream \d+ closed with error code 256", said))
        sized = len(re.findall(rf"\[content-length: {BODY}\]", said))
        if (good, closed) != (count, count) or sized not in (0, count):
            raise BenchError(f"{server.name} answered {min(good, closed)} of {count} right")

    def __call__(self, bench: Bench, server: Server) -> float:
        if server.name not in self.rate:
            self._check(bench, server)
            before = cpu_seconds(server.process.pid)
            self._run(bench, server, 2000, "-q")
            self.rate[server.name] = 2000 / (cpu_seconds(server.process.pid) - before)
        count = max(1000, round(self.rate[server.name] * bench.seconds))
        before = cpu_seconds(server.process.pid)
        self._run(bench, server, count, "-q")
        self.rate[server.name] = count / (cpu_seconds(server.process.pid) - before)
        return self.rate[server.name]


# --- figures --------------------------------------------------------------------------------------


def compare(
    bench: Bench, figure: str, ours: Callable[[Bench], Server], peer: str,
    theirs: Callable[[Bench], Server], make_load: Callable[[], Load],
) -> None:  # fmt: skip
    if not bench.wants(figure):
        return
    try:
        load = make_load()
    except Skipped as e:
        bench.skip(f"{figure}: {e}")
        return
    bench.compare(figure, "req/cpu-s", ours, [Rival(peer, theirs, BARS[figure])], load)


def idle_memory(bench: Bench, figure: str, requests: int) -> None:
    """What a connection costs that is open and silent. A new server for each round: memory that was
    given back by an earlier round would hide what the next one takes."""
    if not bench.wants(figure):
        return
    count = 50 if bench.smoke else IDLE_CONNECTIONS
    print(f"{figure}: KiB of each of {count} idle connections", flush=True)
    values = []
    try:
        for n in range(1 if bench.smoke else 3):
            server = our_c(bench)
            try:
                values.append(_idle_round(bench, server, count, requests))
            finally:
                server.stop()
            print(f"  round {n + 1}: {values[-1]:.1f}", flush=True)
    except Skipped as e:
        bench.skip(f"{figure}: {e}")
        return
    # Few connections share the fixed costs of the first one: only the full number is judged.
    bench.add(
        Figure(
            figure, "KiB", values, bar=BARS[figure], less_is_better=True, judged=not bench.smoke
        )
    )  # fmt: skip


def _idle_round(bench: Bench, server: Server, count: int, requests: int) -> float:
    before = rss_kib(server.process.pid)
    client = subprocess.Popen(
        [
            str(bench.program("tools/loadgen")), "--idle", "--insecure",
            "--connections", str(count), "--requests", str(requests),
            "--expect-length", str(BODY), "-o", "max_idle_timeout_ms=600000",
            f"127.0.0.1:{server.port}",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pin_to(bench.client_core),
    )  # fmt: skip
    try:
        assert client.stdout is not None
        line = client.stdout.readline()
        said = json.loads(line) if line else {"failed": 1, "first_error": "loadgen said nothing"}
        if said["failed"] or said["connections"] != count or said["ok"] != count * requests:
            raise BenchError(f"{server.name}: {said}")
        after = rss_kib(server.process.pid)
    finally:
        client.communicate(timeout=30)
    return (after - before) / count


def main() -> int:
    with Bench("Requests per CPU-second of HTTP/3 servers, memory of connections.", FIGURES) as b:
        ten_by_ten = lambda: by_loadgen(10, 10)  # noqa: E731
        try:
            compare(b, "asgi_hello", our_asgi, "peregrine", peregrine, ten_by_ten)
            compare(b, "c_server_100b", our_c, "ngtcp2", ngtcp2, ten_by_ten)
            if not b.smoke:
                compare(b, "c_server_100b_gtls", our_c, "ngtcp2", ngtcp2, ByGtlsclient)
            idle_memory(b, "idle_h3_kib", 1)
            if not b.options.quick:
                idle_memory(b, "idle_h3_kib_fresh", 0)
        except BenchError as e:
            print(f"h3_server.py: {e}", file=sys.stderr)
            return 1
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
