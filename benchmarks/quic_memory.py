#!/usr/bin/env python3
"""KiB of memory of an idle QUIC connection at a server, ours and ngtcp2's.

    benchmarks/quic_memory.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

(RSS with 2,000 connections - RSS with none) / 2,000. Each round has servers of its own: memory that
an earlier one gave back would hide what the next takes. Every handshake is counted, and every
connection is still there when the memory is read.

idle_quic_kib  at examples/c/raw_echo.c, a protocol of its own that has no streams open; ngtcp2's
               gtlsserver speaks HTTP/3 only, so its connections have control streams and QPACK, but
               had no request either. The bar is ours alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from _bench import Bench, BenchError, Figure, Skipped, show
from _process import Server, pin_to, rss_kib
from _servers import ngtcp2, our_raw

FIGURES = ("idle_quic_kib",)
BAR = 30.0  # KiB; the goal is 24
CONNECTIONS = 2000
IDLE_MS = 600_000


def idle_kib(bench: Bench, server: Server, alpn: str) -> float:
    count = 50 if bench.smoke else CONNECTIONS
    before = rss_kib(server.process.pid)
    args = [bench.program("tools/loadgen"), "--idle", "--insecure", "--connections", count]
    args += ["-o", f"max_idle_timeout_ms={IDLE_MS}", "-o", f"alpn={alpn}", server.address]
    with subprocess.Popen(
        [str(a) for a in args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=pin_to(bench.client_core),
    ) as client:
        try:
            assert client.stdout is not None
            line = client.stdout.readline()
            said = json.loads(line) if line else {"connections": 0}
            if said["connections"] != count or client.stdout.readline() != f"idle {count}\n":
                client.kill()
                raise BenchError(f"{server.name}: {said} {client.communicate()[1].strip()}")
            after = rss_kib(server.process.pid)
        finally:
            client.kill()
    return (after - before) / count


def main() -> int:
    contestants: list[tuple[Callable[[Bench], Server], str, list[float]]] = [
        (lambda b: our_raw(b, f"max_idle_timeout_ms={IDLE_MS}"), "echo", []),
        (lambda b: ngtcp2(b, f"--timeout={IDLE_MS // 1000}s"), "h3", []),
    ]
    with Bench("Memory of idle QUIC connections.", FIGURES) as b:
        if b.smoke:
            del contestants[1]
        try:
            print("idle_quic_kib: KiB of each idle connection", flush=True)
            for n in range(min(b.rounds, 3)):
                for start, alpn, values in list(contestants):
                    try:
                        server = start(b)
                    except Skipped as e:
                        b.skip(f"idle_quic_kib: {e}", matters=False)
                        del contestants[1]
                        continue
                    try:
                        values.append(idle_kib(b, server, alpn))
                    finally:
                        server.stop()
                said = ", ".join(show(values[-1]) for _, _, values in contestants)
                print(f"  round {n + 1}: {said}", flush=True)
        except BenchError as e:
            print(f"quic_memory.py: {e}", file=sys.stderr)
            return 1
        # Few connections share the fixed costs of the first one: only the full number is judged.
        ours = contestants[0][2]
        b.add(
            Figure(
                "idle_quic_kib", "KiB", ours, bar=BAR, less_is_better=True, judged=not b.smoke
            )
        )  # fmt: skip
        for _, _, theirs in contestants[1:]:
            peer = Figure("idle_quic_kib_ngtcp2", "KiB", ours, "ngtcp2", theirs)
            peer.less_is_better = True
            b.add(peer)
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
