"""A UDP relay between a client and a server that can add, change and hold back datagrams: by a rule
that a test writes, or as a bad link."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from .link import TO_CLIENT, TO_SERVER, Conditions, Model, Packet

if TYPE_CHECKING:
    from .servers import Running

T = TypeVar("T")

# Gets the direction and a datagram; returns what to send to the server and what to the client.
Rule = Callable[[str, bytes], tuple[list[bytes], list[bytes]]]


def forward(direction: str, data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The rule that changes nothing."""
    return ([data], []) if direction == TO_SERVER else ([], [data])


class Relay:
    """`port` is where clients connect to; each has a socket of its own towards the server. What the
    rule gives then goes over the link, if there is one."""

    def __init__(
        self,
        server_port: int,
        rule: Rule = forward,
        *,
        conditions: Conditions | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._server = (host, server_port)
        self._rule = rule
        self._model = None if conditions is None else Model(conditions)
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._front = socket.socket(self._family, socket.SOCK_DGRAM)
        self._front.bind((host, 0))
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._clients: dict[socket.socket, tuple[str, int]] = {}  # former backs, too
        self._rebinds = 0
        self._wake, self._woken = socket.socketpair()
        self.port: int = self._front.getsockname()[1]
        self.packets: list[Packet] = []
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
        for s in (self._front, *self._clients, self._wake, self._woken):
            s.close()

    def _back(self, client: tuple[str, int]) -> socket.socket:
        back = self._backs.get(client)
        if back is None:
            back = self._backs[client] = socket.socket(self._family, socket.SOCK_DGRAM)
            self._clients[back] = client
            if self._rebinds and self._model and self._model.conditions.rebind_addr:
                back.bind((f"127.0.0.{100 + (self._rebinds - 1) % 100}", 0))
            back.connect(self._server)
        return back

    def _run(self) -> None:
        ending = False
        while True:
            expiry = self._model.expiry() if self._model else None
            if ending and expiry is None:
                return
            wait = None if expiry is None else max(0.0, expiry - time.monotonic())
            # At the end nothing more comes in, but what is on its way arrives.
            watched = [] if ending else [self._front, self._woken, *self._clients]
            ready, _, _ = select.select(watched, [], [], wait)
            if self._woken in ready:
                ready, ending = [], True
            for s in ready:
                with contextlib.suppress(OSError):  # as in a network: what fails is lost
                    self._relay(s)
            self._deliver()

    def _relay(self, s: socket.socket) -> None:
        data, client = s.recvfrom(65536)
        if s is not self._front:
            client = self._clients[s]
        direction = TO_SERVER if s is self._front else TO_CLIENT
        stale = s is not self._front and s is not self._backs.get(client)
        for_server, for_client = self._rule(direction, data)
        for out in for_server:
            self._send(TO_SERVER, out, client, stale)
        for out in for_client:
            self._send(TO_CLIENT, out, client, stale)

    def _send(self, way: str, data: bytes, client: tuple[str, int], stale: bool) -> None:
        if self._model is None:
            self._put(way, data, client)
            return
        fate, marks, at, sent = self._model.take(way, data, client, time.monotonic(), stale=stale)
        if self._model.rebinds != self._rebinds:
            self._rebinds = self._model.rebinds
            self._backs.clear()
        ports = [self._back(client).getsockname()[1], self._server[1]]
        if way == TO_CLIENT:
            ports = [self._server[1], client[1]]
        self.packets.append(Packet(at, way, fate, marks, len(sent), *ports, sent[:64]))

    def _deliver(self) -> None:
        while self._model and (due := self._model.next_due(time.monotonic())):
            assert isinstance(due.client, tuple)
            with contextlib.suppress(OSError):
                self._put(due.way, due.data, due.client)

    def _put(self, way: str, data: bytes, client: tuple[str, int]) -> None:
        if way == TO_SERVER:
            self._back(client).send(data)
        else:
            self._front.sendto(data, client)


class RelayLink:
    """A link without privileges: the relay stands between two programs on loopback."""

    means = "relay"

    def __init__(self, conditions: Conditions, ipv6: bool = False) -> None:
        self._conditions = conditions
        self._relay: Relay | None = None
        self.server_host = "::1" if ipv6 else "127.0.0.1"

    def at_server(self, run: Callable[[], T]) -> T:
        return run()

    def at_client(self, run: Callable[[], T]) -> T:
        return run()

    def between(self, server: Running) -> Running:
        assert self._relay is None
        self._relay = Relay(server.port, conditions=self._conditions, host=self.server_host)
        self._relay.__enter__()
        return replace(server, port=self._relay.port)

    def finish(self) -> list[Packet]:
        relay, self._relay = self._relay, None
        if relay is None:
            return []
        relay.__exit__(None, None, None)
        return relay.packets
