"""The end of a stream arrives, whatever is lost around it (the engine's patch 0019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from .servers import Running, judge

if TYPE_CHECKING:
    from .hostile import Peer

Start = Callable[..., Running]

# POST /echo of localhost by the static table and literals (RFC 9204 appendix A), then DATA frames.
FIELDS = b"\x00\x00\xd4\xd7\x50\x09localhost\x51\x05/echo"
HEADERS = b"\x01" + bytes([len(FIELDS)]) + FIELDS
DATA = b"\x00\x03"


def send(h: Any, peer: Peer, offset: int, data: bytes, fin: bool = False) -> int:
    """A piece of the request in a packet without acknowledgment; the offset after it."""
    peer.inject(h.ONE_RTT, h.stream(0, offset, data, fin))
    return offset + len(data)


def lose(peer: Peer) -> None:
    """The next datagram is never seen by aioquic, and so not acknowledged."""
    peer.socket.settimeout(5)
    peer.socket.recv(65536)


@pytest.mark.parametrize(
    ("what", "pieces_lost"),
    [("the end", (False, False)), ("the end and what is long before it", (True, False))],
    ids=lambda v: v if isinstance(v, str) else "",
)
@pytest.mark.parametrize(
    "server", ["h3_server", pytest.param("quicpro-serve", marks=pytest.mark.full)]
)
def test_a_lost_end_is_sent_again(
    what: str, pieces_lost: tuple[bool, ...], server: str, start: Start
) -> None:
    """The response is echoed piece by piece, and ended by a frame of its own, which is lost. All
    that was received is acknowledged after that."""
    h = judge("interop.hostile", "aioquic")
    running = start(server)
    with h.client(running.port, running.certs.ca) as peer:
        peer.handshake()
        peer.quic._get_or_create_stream_for_send(0)
        received = peer.quic._streams[0].receiver
        at = send(h, peer, 0, HEADERS)
        assert peer.until(lambda: received.highest_offset > 0, send=False)  # status and fields
        for piece, lost in zip((b"one", b"two"), pieces_lost, strict=True):
            before = received.highest_offset
            at = send(h, peer, at, DATA + piece)
            if lost:
                lose(peer)
            else:
                n = before
                assert peer.until(lambda n=n: received.highest_offset > n, send=False)
        send(h, peer, at, b"", fin=True)
        lose(peer)
        peer.events.clear()
        assert peer.until(lambda: received.is_finished), f"the stream has no end: {what} was lost"
        assert peer.closed is None
    assert running.process.running
