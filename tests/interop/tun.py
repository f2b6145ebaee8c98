"""A link of IP packets between two network namespaces: tools/linkemu, and how to get into them."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .link import Conditions, Packet, Way
from .procs import Process
from .servers import Missing, build_folder

if TYPE_CHECKING:
    from .servers import Running

T = TypeVar("T")

SERVER_IP4, SERVER_IP6 = "10.193.0.2", "fd93::2"  # of every linkemu
CLONE_NEWNET = 0x40000000


def inside(namespace: str, run: Callable[[], T]) -> T:
    """Runs something in a network namespace: in a thread, as only those can change theirs. What it
    starts, threads and processes, inherits the namespace."""
    result: list[T] = []
    error: list[BaseException] = []

    def body() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(fd, CLONE_NEWNET) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, f"entering {namespace}: {os.strerror(code)}")
            finally:
                os.close(fd)
            result.append(run())
        except BaseException as e:
            error.append(e)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if error:
        raise error[0]
    return result[0]


def arguments(conditions: Conditions) -> list[object]:
    """The command line of tools/linkemu."""
    c = conditions
    args: list[object] = ["--seed", c.seed]

    def one(switch: str, way: Way) -> None:
        args.extend(
            [
                switch, "--delay", way.delay_ms, "--bandwidth", way.bandwidth_mbps,
                "--queue", way.queue, "--drop", way.drop, "--drop-burst", way.drop_burst,
                "--corrupt", way.corrupt, "--corrupt-burst", way.corrupt_burst,
                "--duplicate", way.duplicate, "--reorder", way.reorder,
                "--reorder-delay", way.reorder_delay_ms,
            ]
        )  # fmt: skip
        if way.drop_list:
            args.extend(["--drop-list", ",".join(map(str, way.drop_list))])

    one("--to-server", c.to_server)
    one("--to-client", c.to_client)
    if c.blackhole_for:
        args += ["--blackhole", f"{c.blackhole_at}:{c.blackhole_for}"]
    args += ["--rebind-at", c.rebind_at, "--rebind-every", c.rebind_every]
    args += ["--rebind-after", c.rebind_after]
    return [*args, *(["--rebind-addr"] if c.rebind_addr else [])]


def parse(line: str) -> Packet:
    """A line of the trace."""
    at, way, fate, marks, size, source, destination, head = line.split()
    return Packet(
        int(at) / 1e9, way, fate, marks.strip("-"), int(size), int(source), int(destination),
        bytes.fromhex(head.strip("-")),
    )  # fmt: skip


class TunLink:
    """Raises Missing where the machine does not let us, with linkemu's reason."""

    means = "tun"

    def __init__(self, conditions: Conditions, folder: Path, ipv6: bool = False) -> None:
        program = build_folder() / "tools" / "linkemu"
        if not program.exists():
            raise FileNotFoundError(f"{program} is not built (make test builds it)")
        self._trace = folder / "link.trace"
        self.process = Process([program, *arguments(conditions), "--trace", self._trace])
        self.server_host = SERVER_IP6 if ipv6 else SERVER_IP4
        try:
            m = self.process.wait_for_line(r"^ready client=(\S+) server=(\S+)")
        except RuntimeError:
            if self.process.wait(5) == 3:
                raise Missing(self.process.said()) from None
            raise
        self._client, self._server = m[1], m[2]

    def at_server(self, run: Callable[[], T]) -> T:
        return inside(self._server, run)

    def at_client(self, run: Callable[[], T]) -> T:
        return inside(self._client, run)

    def between(self, server: Running) -> Running:
        return replace(server, host=self.server_host)

    def finish(self) -> list[Packet]:
        self.process.close()
        if not self._trace.exists():
            return []
        lines = self._trace.read_text(encoding="ascii").splitlines()
        self._trace.unlink()
        return [parse(line) for line in lines]
