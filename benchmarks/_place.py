"""Where a server and its client run: the machine's own loopback, or network namespaces made for it.

A namespace here has no name: it lives as long as the processes in it and the descriptor that keeps
it, so nothing of it is left when the script ends, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000  # CLONE_NEWNET


class NoPlace(Exception):
    """A namespace cannot be had; the text says why."""


@dataclass(frozen=True)
class Place:
    """A network that processes run in, and the address that servers there listen on."""

    host: str = "127.0.0.1"
    descriptor: int = -1  # of the namespace; -1: the one we are in

    def enter(self) -> None:
        """Moves the calling thread there; for a child between fork and exec."""
        if self.descriptor >= 0 and _libc.setns(self.descriptor, _NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"setns: {os.strerror(code)}")

    def call(self, function: Callable[[], T]) -> T:
        """Calls a function there, in a thread: a thread's namespace is its own."""
        if self.descriptor < 0:
            return function()
        result: list[T] = []
        error: list[BaseException] = []

        def body() -> None:
            try:
                self.enter()
                result.append(function())
            except BaseException as e:
                error.append(e)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join()
        if error:
            raise error[0]
        return result[0]

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


HERE = Place()


def _ip(place: Place, *args: object) -> None:
    command = ["ip", *(str(a) for a in args)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=10, check=False, preexec_fn=place.enter
    )
    if done.returncode != 0:
        raise NoPlace(f"{' '.join(command)}: {done.stderr.strip()}")


def _new(host: str) -> Place:
    """A namespace with nothing but a loopback that is down."""
    if shutil.which("ip") is None:
        raise NoPlace("ip (iproute2) is not installed")
    found: list[int] = []
    code: list[int] = []

    def body() -> None:
        if _libc.unshare(_NEWNET) != 0:
            code.append(ctypes.get_errno())
            return
        found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if code:
        raise NoPlace(f"no network namespace: {os.strerror(code[0])}")
    return Place(host, found[0])


def loopback(mtu: int) -> Place:
    """A namespace whose loopback has an MTU of our choice."""
    place = _new("127.0.0.1")
    _ip(place, "link", "set", "lo", "mtu", mtu, "up")
    return place


def veth() -> tuple[Place, Place]:
    """Two namespaces with a wire between: the server's, and the client's."""
    server, client = _new("10.194.0.1"), _new("10.194.0.2")
    peer = f"/proc/{os.getpid()}/fd/{client.descriptor}"
    for place in (server, client):
        _ip(place, "link", "set", "lo", "up")
    _ip(server, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", peer)
    for place in (server, client):
        _ip(place, "address", "add", f"{place.host}/24", "dev", "wire")
        _ip(place, "link", "set", "wire", "up")
    return server, client
