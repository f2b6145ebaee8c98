"""What benchmarks share: options, rounds of pinned processes, figures.

A figure is one line at the end of the output:

    figure <id> <ours> <unit> peer=<name> <theirs> ratio=<r> spread=<s>

Both values are medians over the rounds. The ratio is the median of each round's own ratio, since
the servers of one round ran next to each other on the same machine; above 1 is better for us. The
spread is the distance between the largest and the smallest of what the median was taken of, divided
by it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from _place import HERE, Place
from _process import Server, answers_quic, machine, pin_to, two_cores, udp_port_of

ROOT = Path(__file__).resolve().parent.parent

# glibc gives memory back and takes it again for every burst unless told not to; servers from
# packages lose up to half of their speed to that (M_TRIM_THRESHOLD and friends in mallopt(3)).
TUNED_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


class BenchError(Exception):
    """A run that does not count; the text says why."""


class Skipped(Exception):
    """Something of others that a figure needs is not here; the text names it."""


class Bench:
    """One run of a script: its options, its temporary files, its servers, its figures."""

    def __init__(self, description: str, figures: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("only", nargs="*", metavar="FIGURE", help="of: " + ", ".join(figures))
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--quick", action="store_true", help="3 rounds, only figures with a bar")
        kind.add_argument("--smoke", action="store_true", help="ours alone, 0.2 s, judges nothing")
        kind.add_argument("--full", action="store_true", help="7 rounds (this is the default)")
        parser.add_argument("--check", action="store_true", help="exit 1 if a bar is missed")
        parser.add_argument("--rounds", type=int, help="how many, whatever the kind of run")
        parser.add_argument("--seconds", type=float, help="of load for each server and round")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
        parser.add_argument(
            "--build-dir",
            type=Path,
            default=Path(os.environ.get("QUICPRO_BUILD_DIR") or ROOT / "build" / "gcc"),
            help="build folder with the C programs (build/gcc)",
        )
        self.options = parser.parse_args()
        for name in self.options.only:
            if name not in figures:
                parser.error(f"no figure {name}; known: {', '.join(figures)}")
        self.rounds = self.options.rounds or (
            1 if self.options.smoke else 3 if self.options.quick else 7
        )
        self.seconds = self.options.seconds or (
            0.2 if self.options.smoke else 1.5 if self.options.quick else 3.0
        )
        self.server_core, self.client_core = two_cores()
        self._folder = tempfile.TemporaryDirectory(prefix="quicpro-bench-")
        self.folder = Path(self._folder.name)
        self._servers: list[Server] = []
        self.figures: list[Figure] = []
        self.skipped: list[str] = []
        self.incomplete = False

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.stop()
        self._folder.cleanup()

    @property
    def smoke(self) -> bool:
        return bool(self.options.smoke)

    def wants(self, figure: str) -> bool:
        return not self.options.only or figure in self.options.only

    def program(self, name: str) -> Path:
        path: Path = self.options.build_dir / name
        if not path.exists():
            raise BenchError(f"{path} is not built: make test, or name a --build-dir")
        return path

    def certificates(self) -> tuple[str, str]:
        """Certificate and key, ECDSA P-256; QUICPRO_BENCH_CERTS names a folder of others."""
        given = os.environ.get("QUICPRO_BENCH_CERTS")
        folder = Path(given) if given else self.folder / "certs"
        if not folder.exists():
            command = [sys.executable, "-m", "quicpro", "devcert", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            if done.returncode != 0:
                raise BenchError(f"quicpro devcert failed: {done.stderr.strip()[-300:]}")
        return str(folder / "cert.pem"), str(folder / "key.pem")

    def start(
        self,
        name: str,
        args: Sequence[object],
        *,
        env: dict[str, str] | None = None,
        port: int | None = None,
        path: str = "/",
        cwd: Path | None = None,
        place: Place = HERE,
    ) -> Server:
        """Start a server on the server core and wait until it answers QUIC."""
        log = self.folder / f"{name}.{len(self._servers)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(a) for a in args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                preexec_fn=pin_to(self.server_core, place),
            )
        server = Server(name, process, 0, path, log, place.host)
        self._servers.append(server)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if process.poll() is not None:
                raise BenchError(f"{name} ended at its start: {server.said()[-300:]}")
            found = port or udp_port_of(process.pid)
            if found is not None and place.call(partial(answers_quic, found, place.host)):
                server.port = found
                return server
            time.sleep(0.02)
        raise BenchError(f"{name} did not answer within 20 s: {server.said()[-300:]}")

    def client(
        self,
        args: Sequence[object],
        timeout: float,
        env: dict[str, str] | None = None,
        place: Place = HERE,
    ) -> subprocess.CompletedProcess[str]:
        """Run a client program on the client core."""
        try:
            return subprocess.run(
                [str(a) for a in args],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                env={**os.environ, **(env or {})},
                preexec_fn=pin_to(self.client_core, place),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{args[0]} did not finish within {timeout:.0f} s") from None

    # --- comparisons ------------------------------------------------------------------------------

    def compare(
        self,
        figure: str,
        unit: str,
        ours: Callable[[Bench], Server],
        rivals: Sequence[Rival],
        load: Callable[[Bench, Server], float],
    ) -> None:
        """Rounds of ours and theirs in turn, a value of each; who begins changes from round to
        round. A figure for each rival: the first has the figure's name, others theirs behind it.
        """
        print(f"{figure}: {unit}", flush=True)
        started: list[Server] = []
        there: list[Rival] = []
        try:
            started.append(ours(self))
            for rival in [] if self.smoke else rivals:
                try:
                    started.append(rival.start(self))
                    there.append(rival)
                except Skipped as e:
                    self.skip(f"{figure}: {e}", matters=rival.bar is not None)
            values: list[list[float]] = [[] for _ in started]
            for n in range(self.rounds):
                order = list(range(len(started)))
                for i in order if n % 2 == 0 else reversed(order):
                    values[i].append(load(self, started[i]))
                said = ", ".join(
                    f"{s.name} {show(v[-1])}" for s, v in zip(started, values, strict=True)
                )
                print(f"  round {n + 1}: {said}", flush=True)
        finally:
            for server in started:
                server.stop()
        if not there:
            self.add(Figure(figure, unit, values[0]))
        for n, rival in enumerate(there):
            self.add(
                Figure(
                    figure if n == 0 else f"{figure}_{rival.peer}", unit, values[0],
                    rival.peer, values[n + 1], bar=rival.bar, judged=True,
                )
            )  # fmt: skip

    # --- results ----------------------------------------------------------------------------------

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)

    def skip(self, what: str, matters: bool = True) -> None:
        """Loudly: a comparison that was not made must not look like one that was. It matters if it
        has a bar."""
        line = f"skipped: {what}"
        self.skipped.append(line)
        self.incomplete = self.incomplete or matters
        print(f"\n*** {line}\n", flush=True)

    def finish(self) -> int:
        """Print the figures; the exit code."""
        about = machine()
        print()
        print(" ".join(f"{k}={v!r}" for k, v in about.items()))
        for line in self.skipped:
            print(line)
        missed = [f for f in self.figures if f.judged and not f.met]
        for f in self.figures:
            if f.judged:
                print(f"bar {f.id}: {'met' if f.met else 'MISSED'} ({f.bar_text})")
        for f in self.figures:
            print(f.line())
        if self.options.json:
            data = {"machine": about, "figures": [asdict(f) for f in self.figures]}
            self.options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        return 1 if self.options.check and (missed or self.incomplete) else 0


@dataclass(frozen=True)
class Rival:
    """A server of others to compare with."""

    peer: str
    start: Callable[[Bench], Server]  # raises Skipped if it is not here
    bar: float | None = None  # of the ratio


def show(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


@dataclass
class Figure:
    """A result: ours and, where there is one, a peer's, a value each for every round."""

    id: str
    unit: str
    ours: list[float]
    peer: str = "-"
    theirs: list[float] = field(default_factory=list)
    bar: float | None = None  # of the ratio, or where there is no peer of our value
    less_is_better: bool = False
    judged: bool = False

    def __post_init__(self) -> None:
        self.judged = self.judged and self.bar is not None

    @property
    def ratios(self) -> list[float]:
        pairs = zip(self.ours, self.theirs, strict=False)
        return [b / a if self.less_is_better else a / b for a, b in pairs]

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.theirs else None

    @property
    def spread(self) -> float:
        values = self.ratios or self.ours
        middle = statistics.median(values)
        return (max(values) - min(values)) / middle if middle else 0.0

    @property
    def met(self) -> bool:
        if self.bar is None:
            return True
        if self.ratio is not None:
            return self.ratio >= self.bar
        value = statistics.median(self.ours)
        return value <= self.bar if self.less_is_better else value >= self.bar

    @property
    def bar_text(self) -> str:
        if self.ratio is not None:
            return f"ratio {self.ratio:.2f}, bar {self.bar:g}"
        relation = "at most" if self.less_is_better else "at least"
        return f"{statistics.median(self.ours):.4g} {self.unit}, bar {relation} {self.bar:g}"

    def line(self) -> str:
        theirs = show(statistics.median(self.theirs)) if self.theirs else "-"
        ratio = "-" if self.ratio is None else f"{self.ratio:.3f}"
        return (
            f"figure {self.id} {show(statistics.median(self.ours))} {self.unit} "
            f"peer={self.peer} {theirs} ratio={ratio} spread={self.spread:.3f}"
        )


def peers() -> dict[str, Any]:
    """What tools/bench_peers has fetched so far."""
    command = [sys.executable, str(ROOT / "tools" / "bench_peers"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return {}
    known: dict[str, Any] = json.loads(done.stdout)
    return known


def which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
