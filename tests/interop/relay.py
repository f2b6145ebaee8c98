"""A UDP relay between a client and a server that can add, change and hold back datagrams."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType

TO_SERVER, TO_CLIENT = "to server", "to client"

# Gets the direction and a datagram; returns what to send to the server and what to the client.
Rule = Callable[[str, bytes], tuple[list[bytes], list[bytes]]]


def forward(direction: str, data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The rule that changes nothing."""
    return ([data], []) if direction == TO_SERVER else ([], [data])


class Relay:
    """`port` is where clients connect to; each has a socket of its own towards the server."""

    def __init__(self, server_port: int, rule: Rule = forward) -> None:
        self._server_port = server_port
        self._rule = rule
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._wake, self._woken = socket.socketpair()
        self.port: int = self._front.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wake.send(b"x")
        self._thread.join(timeout=5)
        for s in (self._front, *self._backs.values(), self._wake, self._woken):
            s.close()

    def _back(self, client: tuple[str, int]) -> socket.socket:
        back = self._backs.get(client)
        if back is None:
            back = self._backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(("127.0.0.1", self._server_port))
        return back

    def _run(self) -> None:
        while True:
            watched = [self._front, self._woken, *self._backs.values()]
            ready, _, _ = select.select(watched, [], [])
            if self._woken in ready:
                return
            for s in ready:
                with contextlib.suppress(OSError):  # as in a network: what fails is lost
                    self._relay(s)

    def _relay(self, s: socket.socket) -> None:
        data, client = s.recvfrom(65536)
        if s is not self._front:
            client = next(c for c, back in self._backs.items() if back is s)
        direction = TO_SERVER if s is self._front else TO_CLIENT
        for_server, for_client = self._rule(direction, data)
        back = self._back(client)
        for out in for_server:
            back.send(out)
        for out in for_client:
            self._front.sendto(out, client)
