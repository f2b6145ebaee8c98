"""What benchmarks share: pinned processes, their CPU time and memory, rounds, figures.

A figure is one line at the end of the output:

    figure <id> <ours> <unit> peer=<name> <theirs> ratio=<r> spread=<s>

Both values are medians over the rounds. The ratio is the median of each round's own ratio, since
the servers of one round ran next to each other on the same machine; above 1 is better for us. The
spread is the distance between the largest and the smallest of what the median was taken of, divided
by it.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import datetime
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_libc = ctypes.CDLL(None, use_errno=True)

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


# --- the machine ----------------------------------------------------------------------------------


def two_cores() -> tuple[int, int]:
    """Where servers run and where clients run."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        print("warning: one core only, server and client share it", file=sys.stderr)
    return cores[0], cores[-1 if len(cores) == 2 else min(1, len(cores) - 1)]


def machine() -> dict[str, str]:
    model = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model or platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


# --- processes ------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """A process and all its living children's children."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                path = f"/proc/{parent}/task/{task}/children"
                found += [int(p) for p in Path(path).read_text(encoding="ascii").split()]
        except OSError:
            continue
    return found


def _process_cpu(pid: int) -> float:
    """CPU seconds of all threads of a process, the ended ones too, by clock_getcpuclockid(3)."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(ctypes.c_int(pid), ctypes.byref(clock)) != 0:
        return 0.0
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return 0.0


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and its living descendants."""
    return sum(_process_cpu(p) for p in descendants(pid))


def rss_kib(pid: int) -> float:
    """Resident memory of a process and its descendants, in KiB, exact."""
    total = 0.0
    for p in descendants(pid):
        try:
            text = Path(f"/proc/{p}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        m = re.search(r"^Rss:\s+(\d+)", text, re.MULTILINE)
        total += float(m[1]) if m else 0.0
    return total


def pin_to(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


@dataclass
class Server:
    """A server that answers, pinned to one core."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    path: str = "/"
    log: Path | None = None

    def stop(self) -> None:
        if self.process.poll() is None:
            pids = descendants(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait(timeout=5)

    def said(self) -> str:
        try:
            return "" if self.log is None else self.log.read_text(errors="replace").strip()
        except OSError:
            return ""


def free_port() -> int:
    """A port that is free for TCP and UDP just now, for servers that cannot take port 0."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                try:
                    tcp.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port


def udp_port_of(pid: int) -> int | None:
    """The local port of the first UDP socket that a process holds."""
    inodes = set()
    for p in descendants(pid):
        try:
            for fd in os.listdir(f"/proc/{p}/fd"):
                m = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{p}/fd/{fd}"))
                if m:
                    inodes.add(m[1])
        except OSError:
            continue
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            column = line.split()
            if column[9] in inodes:
                return int(column[1].rpartition(":")[2], 16)
    return None


def answers_quic(port: int) -> bool:
    """Whether an unknown version gets a Version Negotiation packet (RFC 9000 section 6)."""
    probe = b"\xc3\x1a\x2a\x3a\x4a" + b"\x08" + b"bench---" + b"\x04" + b"here"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(0.1)
        try:
            s.send(probe.ljust(1200, b"\0"))
            return len(s.recv(2048)) > 0
        except (TimeoutError, ConnectionRefusedError):
            return False


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
                preexec_fn=pin_to(self.server_core),
            )
        server = Server(name, process, 0, path, log)
        self._servers.append(server)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if process.poll() is not None:
                raise BenchError(f"{name} ended at its start: {server.said()[-300:]}")
            found = port or udp_port_of(process.pid)
            if found is not None and answers_quic(found):
                server.port = found
                return server
            time.sleep(0.02)
        raise BenchError(f"{name} did not answer within 20 s: {server.said()[-300:]}")

    def client(
        self, args: Sequence[object], timeout: float, env: dict[str, str] | None = None
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
                preexec_fn=pin_to(self.client_core),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{args[0]} did not finish within {timeout:.0f} s") from None

    # --- results ----------------------------------------------------------------------------------

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)

    def skip(self, what: str) -> None:
        """Loudly: a comparison that was not made must not look like one that was."""
        line = f"skipped: {what}"
        self.skipped.append(line)
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
        return 1 if self.options.check and (missed or self.skipped) else 0


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
        def show(value: float) -> str:
            return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"

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
