"""Child processes that cannot outlive their test, and when they are ready."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def until(
    condition: Callable[[], object], seconds: float, what: str, every: float = 0.02
) -> object:
    """Ask again until the answer is true; `what` says in the failure what was waited for."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(every)


class Process:
    """A child with its output, killed by pid when its test is over."""

    def __init__(self, args: Sequence[object], env: dict[str, str] | None = None) -> None:
        self.args = [str(a) for a in args]
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        full_env = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._popen = subprocess.Popen(
            self.args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=full_env,
            cwd=TESTS,
            start_new_session=True,
        )
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for raw in self._popen.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(None)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def said(self) -> str:
        return "\n".join(self.output)

    def wait_for_line(self, regex: str, seconds: float = 20) -> re.Match[str]:
        """The first line of output, not asked for before, that matches."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(
                    f"{self.args[0]} did not say {regex!r} in {seconds} s:\n{self.said()}"
                ) from None
            if line is None:
                raise RuntimeError(
                    f"{' '.join(self.args)} ended with {self._popen.wait()}:\n{self.said()}"
                )
            if m := re.search(regex, line):
                return m

    def wait(self, seconds: float) -> int:
        """Exit code, once it ended and all output was read."""
        code = self._popen.wait(timeout=seconds)
        self._reader.join(timeout=5)
        return code

    def signal(self, number: int) -> None:
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Without a word to its peers."""
        self.signal(signal.SIGKILL)
        self._popen.wait(timeout=10)

    def close(self) -> None:
        """End it whatever it does."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self.kill()
        # Children of the child, if any are left in its session's process group.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._reader.join(timeout=5)
        if self._popen.stdout is not None:
            self._popen.stdout.close()


def udp_port_of(pid: int) -> int | None:
    """The local port of the first UDP socket that a process holds."""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if m := re.match(r"socket:\[(\d+)\]", target):
                inodes.add(m[1])
    except OSError:
        return None
    for table in (f"/proc/{pid}/net/udp", f"/proc/{pid}/net/udp6"):  # of its network namespace
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            column = line.split()
            if column[9] in inodes:
                return int(column[1].rpartition(":")[2], 16)
    return None


def long_header(version: int, dcid: bytes, scid: bytes, size: int = 1200) -> bytes:
    """A datagram that starts with a long header of some version (RFC 8999 section 5.1)."""
    head = b"\xc3" + version.to_bytes(4, "big")
    head += bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return head.ljust(size, b"\0")


def wait_for_quic(port: int, seconds: float = 20, host: str = "127.0.0.1") -> None:
    """Wait until somebody answers an unknown version with a Version Negotiation packet."""
    probe = long_header(0x1A2A3A4A, b"readiness", b"probe")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.connect((host, port))
        s.settimeout(0.05)

        def answered() -> bool:
            try:
                s.send(probe)
                return len(s.recv(2048)) > 0
            except (TimeoutError, ConnectionRefusedError):
                return False

        until(answered, seconds, f"a QUIC server on port {port}")
