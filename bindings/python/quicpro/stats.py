"""Numbers of connections: what they counted, and the network paths they know.

`client.stats(url)`, `stream.stats` and `server.stats()` give them away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["ConnectionStats", "PathState", "PathStats"]

PathState: TypeAlias = Literal["failed", "unknown", "validating", "mtu unknown", "validated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStats:
    """One network path of a connection: two addresses, and all that depends on the way between.

    `_in` is received, `_out` sent. Times in seconds, rates in bytes a second.
    """

    local: str
    """Our address, such as "127.0.0.1:4433" or "[::1]:4433"."""
    peer: str
    """The peer's."""
    state: PathState
    """How far its validation has come (RFC 9000 section 8.2)."""
    active: bool
    """Whether what is not a probe is sent here."""
    packets_in: int
    packets_out: int
    packets_lost: int
    packets_retransmitted: int
    bytes_in: int
    bytes_out: int
    bytes_lost: int
    stream_bytes_retransmitted: int
    datagrams_in: int
    """DATAGRAM frames (RFC 9221)."""
    datagrams_out: int
    datagrams_lost: int
    ptos: int
    """Probe timeouts (RFC 9002 section 6.2)."""
    rtt: float
    """Smoothed round trip (RFC 9002 section 5.3)."""
    min_rtt: float
    """0: not measured, and so for `max_rtt`."""
    max_rtt: float
    rttvar: float
    cwnd_bytes: int
    mtu_bytes: int
    """Largest UDP payload sent now."""
    delivery_rate: int
    """As acknowledged."""
    max_bandwidth: int
    """Only `congestion_control="bbr2"` estimates it."""
    rtt_jumps: int
    """bbr2: how often the round trip grew and stayed so."""
    startup_exit_cwnd_bytes: int
    """The congestion window when slow start ended; 0: it has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStats:
    """What a connection counted since it began, over all its paths.

    `_in` is received, `_out` sent. Times in seconds.
    """

    packets_in: int
    packets_out: int
    packets_lost: int
    """Declared lost (RFC 9002 section 6.1)."""
    packets_spurious_lost: int
    """Of these, acknowledged later."""
    packets_retransmitted: int
    """With something that was lost before."""
    bytes_in: int
    """UDP payload."""
    bytes_out: int
    bytes_acked: int
    bytes_lost: int
    stream_bytes_retransmitted: int
    datagrams_in: int
    """DATAGRAM frames (RFC 9221)."""
    datagrams_out: int
    resets_in: int
    """RESET_STREAM frames."""
    resets_out: int
    stops_in: int
    """STOP_SENDING frames."""
    stops_out: int
    data_blocked_in: int
    """The peer could not send because of a limit of ours; `_out`: the other way (RFC 9000 4)."""
    data_blocked_out: int
    stream_data_blocked_in: int
    stream_data_blocked_out: int
    streams_blocked_bidi_in: int
    streams_blocked_uni_in: int
    path_challenges_in: int
    """PATH_CHALLENGE frames (RFC 9000 section 8.2)."""
    amplification_limited: int
    """How often a server waited for the client to prove its address."""
    in_flight: float
    """Time with bytes sent that were not acknowledged."""
    send_count_wrong: bool
    """The engine lost count of what waits to be sent: a fault to be reported."""
    ids_issued: int
    """Connection IDs of ours that the peer may use now."""
    ids_spare: int
    """Of the peer's, that no path uses: one is needed to move."""
    rtt: float
    """Of the path in use; 0: not measured, and so for `min_rtt`."""
    min_rtt: float
    cwnd_bytes: int
    """Of the path in use."""
    paths: tuple[PathStats, ...]
    """Those it knows now."""

    @property
    def path(self) -> PathStats | None:
        """The path in use."""
        return next((path for path in self.paths if path.active), None)
