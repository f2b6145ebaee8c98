"""The network paths of a raw connection: probes, moves, and what happened to them.

A front waits for a probe or an event as for everything else, see `_raw`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from . import errors
from ._check import error
from ._ffi import ffi, lib
from ._raw_stream import WAIT

if TYPE_CHECKING:
    from ._raw import ConnectionCore

__all__ = ["Address", "PathChange", "PathCore", "PathEvent"]

EVENTS_MAX: Final = 64  # that wait to be received; older ones give way

PathChange: TypeAlias = Literal["usable", "unusable", "moved", "peer_moved"]

_CHANGES: Final[dict[int, PathChange]] = {
    lib.QUICPRO_PATH_USABLE: "usable",
    lib.QUICPRO_PATH_UNUSABLE: "unusable",
    lib.QUICPRO_PATH_MOVED: "moved",
    lib.QUICPRO_PATH_PEER_MOVED: "peer_moved",
}


class Address(NamedTuple):
    """Host and port of one end."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Address:
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port or 0))


@dataclass(frozen=True, slots=True)
class PathEvent:
    """What happened to a network path of a connection."""

    change: PathChange
    """usable, unusable: the answer to a probe; moved: this side now sends from `address`;
    peer_moved: the peer does, of its own will or because a NAT gave it another address."""
    address: Address
    """A client's own on that path; at a server, the peer's."""


class PathCore:
    """State of the paths of one connection."""

    def __init__(self, conn: ConnectionCore) -> None:
        self._conn = conn
        self._core = conn._core
        self._events: deque[PathEvent] = deque(maxlen=EVENTS_MAX)
        self._probe: list[PathChange] = []  # how the latest one is: what happened to its path
        self._place: Address | None = None  # after the latest move
        self.probing: list[Any] = []
        self.receiving: list[Any] = []

    def _command(self, rc: int) -> None:
        if rc == 0:
            return
        self._conn._alive()
        text = ffi.string(lib.quicpro_loop_error(self._core.loop)).decode()
        if rc in (lib.QUICPRO_ESTATE, lib.QUICPRO_EAGAIN):
            raise errors.MigrationError(text, code=rc)
        raise error(rc, text)

    def _replace(self) -> list[PathChange]:
        """A new probe, whose outcome is awaited; the last one is given up."""
        if not self._probe:
            self._probe.append("unusable")
            self._core.wake(self.probing)
        self._probe = []
        return self._probe

    def probe(self, local: str | None, port: int) -> list[PathChange]:
        """Begin a probe. Returns what `poll_probe` looks at."""
        self._conn._alive()
        if not 0 <= port < 65536:
            raise ValueError(f"a port is 0 to 65535, not {port}")
        text = ffi.NULL if local is None else local.encode("ascii", "backslashreplace")
        self._command(lib.quicpro_conn_probe(self._core.loop, self._conn._handle, text, port))
        self._core.changed()
        return self._replace()

    def migrate(self) -> list[PathChange]:
        """Begin to move. Returns what `poll_move` looks at."""
        self._conn._alive()
        known = self._probe  # goes on, or is over: then another begins
        self._command(lib.quicpro_conn_migrate(self._core.loop, self._conn._handle))
        self._core.changed()
        return self._replace() if known and known[-1] != "usable" else known

    def poll_probe(self, probe: list[PathChange]) -> Any:
        if probe:
            return probe[0] == "usable"
        self._conn._alive()
        return WAIT

    def poll_move(self, probe: list[PathChange]) -> Any:
        if "moved" in probe:
            return self._place
        if "unusable" in probe:
            raise errors.MigrationError("the other path does not work", code=lib.QUICPRO_ETIMEDOUT)
        self._conn._alive()
        return WAIT

    def poll_event(self) -> Any:
        if self._events:
            return self._events.popleft()
        self._conn._alive()
        return WAIT

    def on_event(self, code: int, address: str) -> None:
        change = _CHANGES[code]
        event = PathEvent(change, Address.of(address))
        self._events.append(event)
        if change == "moved":
            self._place = event.address
        if change != "peer_moved":
            self._probe.append(change)
            self._core.wake(self.probing)
        self._core.wake(self.receiving)

    def on_closed(self) -> None:
        self._core.wake(self.probing)
        self._core.wake(self.receiving)
