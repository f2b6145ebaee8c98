#!/usr/bin/env python3
"""What a qlog costs: CPU of a server that sends responses of 1 MB, by how much is written.

    benchmarks/quic_qlog.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

Our C server on one core and our C client on another, one connection, four requests at a time. Logs
go to a folder below the system's temporary one, without a bound, and are deleted after each round.

qlog_ring   milliseconds of CPU a megabyte, the last 256 KiB kept in memory, level base
qlog_core   the same into a file, by level
qlog_base
qlog_extra
            The peer is ourselves without a qlog: a ratio of 0.25 is four times the CPU. No bar.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from _bench import Bench, BenchError, Figure
from _process import Server, cpu_seconds

BODY = 1_000_000
WAYS: dict[str, dict[str, str]] = {
    "off": {},
    "ring": {"qlog_ring_bytes": "262144"},
    "core": {"qlog_level": "core"},
    "base": {},
    "extra": {"qlog_level": "extra"},
}
FIGURES = tuple(f"qlog_{way}" for way in WAYS if way != "off")


def server_with(bench: Bench, way: str) -> tuple[Server, Path]:
    cert, key = bench.certificates()
    folder = bench.folder / f"qlog_{way}"
    folder.mkdir()
    log = {"qlog_dir": str(folder), "qlog_max_bytes": str(1 << 40)}
    options = WAYS[way] | (log if way != "off" else {"qlog_env": "false"})
    args = [bench.program("examples/c/h3_server"), "--bind", "127.0.0.1:0"]
    args += ["--cert", cert, "--key", key]
    args += [a for k, v in options.items() for a in ("-o", f"{k}={v}")]
    return bench.start(f"qlog_{way}", args), folder


def measure(bench: Bench, server: Server, folder: Path) -> tuple[float, float]:
    """Milliseconds of the server's CPU, and bytes of log, for a megabyte."""
    pid = server.process.pid
    before = cpu_seconds(pid)
    done = bench.client(
        [
            bench.program("tools/loadgen"), "--insecure", "--connections", 1, "--streams", 4,
            "--seconds", bench.seconds, "--path", f"/bytes/{BODY}", "--expect-length", BODY,
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
        raise BenchError(f"{server.name}: {said}")
    megabytes = said["ok"] * BODY / 1e6
    written = sum(f.stat().st_size for f in folder.iterdir())
    shutil.rmtree(folder)
    folder.mkdir()
    return cpu * 1e3 / megabytes, written / megabytes


def main() -> int:
    with Bench("CPU of a megabyte by what is logged of it.", FIGURES) as b:
        wanted = ["off", *(w for w in WAYS if w != "off" and b.wants(f"qlog_{w}"))]
        samples: dict[str, list[tuple[float, float]]] = {way: [] for way in wanted}
        try:
            servers = {way: server_with(b, way) for way in wanted}
            for n in range(b.rounds):
                for way in wanted if n % 2 == 0 else reversed(wanted):
                    samples[way].append(measure(b, *servers[way]))
                said = ", ".join(f"{w} {samples[w][-1][0]:.2f}" for w in wanted)
                print(f"  round {n + 1}, ms of CPU a megabyte: {said}", flush=True)
        except BenchError as e:
            print(f"quic_qlog.py: {e}", file=sys.stderr)
            return 1
        print("\nqlog    ms a megabyte   bytes of log a megabyte")
        for way in wanted:
            ms, size = (sorted(c)[len(c) // 2] for c in zip(*samples[way], strict=True))
            print(f"{way:7} {ms:13.2f} {size:25.0f}")
        base = [s[0] for s in samples["off"]]
        for way in wanted[1:]:
            ours = [s[0] for s in samples[way]]
            b.add(Figure(f"qlog_{way}", "ms", ours, "quicpro_without", base, less_is_better=True))
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
