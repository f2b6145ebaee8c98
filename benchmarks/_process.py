"""Processes that benchmarks start and measure: cores, CPU time, memory, ports."""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _place import HERE, Place

_libc = ctypes.CDLL(None, use_errno=True)

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


def pin_to(core: int, place: Place = HERE) -> Callable[[], None]:
    """What a child does before it becomes a program: stay on one core, go to its network."""

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        place.enter()

    return prepare


@dataclass
class Server:
    """A server that answers, pinned to one core."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    path: str = "/"
    log: Path | None = None
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

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
    for table in ("udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            column = line.split()
            if column[9] in inodes:
                return int(column[1].rpartition(":")[2], 16)
    return None


def answers_quic(port: int, host: str = "127.0.0.1") -> bool:
    """Whether an unknown version gets a Version Negotiation packet (RFC 9000 section 6)."""
    probe = b"\xc3\x1a\x2a\x3a\x4a" + b"\x08" + b"bench---" + b"\x04" + b"here"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((host, port))
        s.settimeout(0.1)
        try:
            s.send(probe.ljust(1200, b"\0"))
            return len(s.recv(2048)) > 0
        except (TimeoutError, ConnectionRefusedError):
            return False
