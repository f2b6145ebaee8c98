"""A bad link between a client and a server: what it does, and how tests see it.

Two means, one interface: `tun.TunLink` runs tools/linkemu, a link of IP packets between two network
namespaces, where the machine lets us; `relay.RelayLink` relays UDP on loopback, anywhere. Both draw
their faults from the seed and the number of a datagram in its direction, in the same way.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from .servers import Running

T = TypeVar("T")

TO_SERVER, TO_CLIENT = "to-server", "to-client"
IP_HEADERS = 28  # bytes of IPv4 and UDP that a datagram of a relay would have on a link

PASSED, DROPPED, LISTED, QUEUE_FULL, BLACKHOLED, STALE = (
    "passed", "dropped", "listed", "queue-full", "blackholed", "stale",
)  # fmt: skip

DRAW_DROP, DRAW_CORRUPT, DRAW_DUPLICATE, DRAW_REORDER, DRAW_WHERE = range(5)


@dataclass(frozen=True)
class Way:
    """One direction. Percentages are of datagrams; a burst is how many in a row at most."""

    delay_ms: float = 0
    bandwidth_mbps: float = 0  # 0: no limit, and no queue
    queue: int = 25  # packets that may wait for the bottleneck
    drop: float = 0
    drop_burst: int = 0
    drop_list: tuple[int, ...] = ()  # counted from 1
    corrupt: float = 0
    corrupt_burst: int = 0
    duplicate: float = 0
    reorder: float = 0
    reorder_delay_ms: float = 5


@dataclass(frozen=True)
class Conditions:
    """Of a whole link. Times are in ms since the first datagram."""

    to_server: Way = Way()
    to_client: Way = Way()
    seed: int = 1
    blackhole_at: float = 0
    blackhole_for: float = 0
    rebind_at: float = 0
    rebind_every: float = 0
    rebind_after: int = 0  # datagrams to the server
    rebind_addr: bool = False

    @classmethod
    def both(cls, seed: int = 1, **way: object) -> Conditions:
        """The same in both directions."""
        one = Way(**way)  # type: ignore[arg-type]
        return cls(one, one, seed)

    def with_(self, **changes: object) -> Conditions:
        return replace(self, **changes)  # type: ignore[arg-type]


# simple-p2p --delay=15ms --bandwidth=10Mbps --queue=25
SIMPLE = Conditions.both(delay_ms=15, bandwidth_mbps=10, queue=25)


@dataclass(frozen=True)
class Packet:
    """A datagram that came to the link, and what became of it. Ports are those of the far side."""

    at: float  # seconds since the first one
    way: str
    fate: str
    marks: str  # of "cdr": changed, delivered twice, delivered late
    size: int
    source_port: int
    destination_port: int
    head: bytes  # the first 64 bytes as they leave the link

    @property
    def long_type(self) -> str:
        """What a long header of version 1 says it is (RFC 9000 section 17.2), or ""."""
        if len(self.head) < 5 or not self.head[0] & 0x80:
            return ""
        if self.head[1:5] == b"\0\0\0\0":
            return "negotiation"
        return ("initial", "0rtt", "handshake", "retry")[self.head[0] >> 4 & 3]


class Link(Protocol):
    """Given by `links.open_link()`."""

    means: str  # "tun" or "relay"
    server_host: str  # where a server binds

    def at_server(self, run: Callable[[], T]) -> T:
        """Runs something, such as the start of a process, at the server's end."""

    def at_client(self, run: Callable[[], T]) -> T:
        """The same at the client's end."""

    def between(self, server: Running) -> Running:
        """The server as clients reach it over this link; once for each link."""

    def finish(self) -> list[Packet]:
        """Ends the link and gives all that it saw."""


def _mix(x: int) -> int:
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ x >> 31


def draw(seed: int, way: str, number: int, purpose: int) -> int:
    """64 bits of chance; emu_draw() of tools/linkemu gives the same."""
    golden = 0x9E3779B97F4A7C15
    step = number * 16 + (way == TO_CLIENT) * 8 + purpose
    mask = 0xFFFFFFFFFFFFFFFF
    return _mix((_mix((seed + golden) & mask) + golden * step) & mask)


@dataclass
class _Direction:
    way: Way
    number: int = 0
    dropped: int = 0  # in a row
    corrupted: int = 0
    busy_until: float = 0.0
    sending: deque[float] = field(default_factory=deque)


@dataclass(order=True)
class Due:
    """A datagram on its way."""

    at: float
    order: int
    way: str = field(compare=False)
    data: bytes = field(compare=False)
    client: object = field(compare=False)


class Model:
    """The link of a relay: a function of datagrams and time (in seconds)."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.rebinds = 0
        self._ways = {
            TO_SERVER: _Direction(conditions.to_server),
            TO_CLIENT: _Direction(conditions.to_client),
        }
        self._begin: float | None = None
        self._next_rebind = conditions.rebind_at / 1000 or float("inf")
        self._due: list[Due] = []
        self._order = itertools.count()

    def take(
        self, way: str, data: bytes, client: object, now: float, *, stale: bool = False
    ) -> tuple[str, str, float, bytes]:
        """Fate, marks, time since the first one, and the bytes that go on. `stale`: it came to an
        address that the client no longer has; the relay knows."""
        c, d = self.conditions, self._ways[way]
        if self._begin is None:
            self._begin = now
        at = now - self._begin
        d.number += 1
        self._rebind_if_due(at)
        if c.blackhole_at <= at * 1000 < c.blackhole_at + c.blackhole_for:
            return BLACKHOLED, "", at, data
        if d.number in d.way.drop_list:
            return LISTED, "", at, data
        drop = self._hit(way, DRAW_DROP, d.way.drop, d.way.drop_burst, d.dropped)
        d.dropped = d.dropped + 1 if drop else 0
        if drop:
            return DROPPED, "", at, data
        if stale:
            return STALE, "", at, data
        marks = ""
        corrupt = self._hit(way, DRAW_CORRUPT, d.way.corrupt, d.way.corrupt_burst, d.corrupted)
        d.corrupted = d.corrupted + 1 if corrupt else 0
        if corrupt and data:
            where = draw(c.seed, way, d.number, DRAW_WHERE)
            changed = bytearray(data)
            changed[(where & 0xFFFFFFFF) % len(data)] ^= 1 + (where >> 32) % 255
            data, marks = bytes(changed), "c"
        twice = self._hit(way, DRAW_DUPLICATE, d.way.duplicate)
        late = self._hit(way, DRAW_REORDER, d.way.reorder)
        sent = self._transmit(d, len(data) + IP_HEADERS, now)
        if sent is None:
            return QUEUE_FULL, "", at, data
        due = sent + d.way.delay_ms / 1000 + (d.way.reorder_delay_ms / 1000 if late else 0)
        for _ in range(2 if twice else 1):
            heapq.heappush(self._due, Due(due, next(self._order), way, data, client))
        return PASSED, marks + "d" * twice + "r" * late, at, data

    def expiry(self) -> float | None:
        return self._due[0].at if self._due else None

    def next_due(self, now: float) -> Due | None:
        if not self._due or self._due[0].at > now:
            return None
        return heapq.heappop(self._due)

    def _hit(self, way: str, purpose: int, percent: float, burst: int = 0, row: int = 0) -> bool:
        chance = draw(self.conditions.seed, way, self._ways[way].number, purpose) % 1_000_000
        return chance < round(percent * 10_000) and not (burst and row >= burst)

    def _transmit(self, d: _Direction, size: int, now: float) -> float | None:
        """When the bottleneck has sent it, or None: the queue is full."""
        if not d.way.bandwidth_mbps:
            return now
        while d.sending and d.sending[0] <= now:
            d.sending.popleft()
        if len(d.sending) == d.way.queue + 1:  # and the one being sent
            return None
        d.busy_until = max(d.busy_until, now) + size * 8 / (d.way.bandwidth_mbps * 1e6)
        d.sending.append(d.busy_until)
        return d.busy_until

    def _rebind_if_due(self, at: float) -> None:
        c = self.conditions
        by_number = (
            c.rebind_after and not self.rebinds and self._ways[TO_SERVER].number > c.rebind_after
        )
        if at >= self._next_rebind or by_number:
            self.rebinds += 1
            self._next_rebind = at + c.rebind_every / 1000 if c.rebind_every else float("inf")
