"""Peers that keep to the letter and mean harm: the server goes on serving others, within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .app import CHUNK
from .clients import CLIENTS, Request, Response, Setup
from .content import HELLO, pattern
from .link import Conditions
from .links import open_link
from .servers import Running, judge

if TYPE_CHECKING:
    from .hostile import Peer

Start = Callable[..., Running]
full = pytest.mark.full

MIB = 1024 * 1024
SERVERS = ["h3_server", pytest.param("quicpro-serve", marks=full)]


def get(path: bytes) -> bytes:
    """HEADERS of a request, by the static table and literals (RFC 9204 section 4.5)."""
    fields = b"\x00\x00\xd1\xd7\x50\x09localhost\x51" + bytes([len(path)]) + path
    return b"\x01" + bytes([len(fields)]) + fields


def hostile_module() -> Any:
    return judge("interop.hostile", "aioquic")


def resident(running: Running) -> int:
    """Bytes of memory that a server has now."""
    text = Path(f"/proc/{running.process.pid}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * 4096


def served(running: Running, tmp_path: Path) -> None:
    """An honest client gets an answer."""
    setup = Setup(running, running.certs.ca, tmp_path, seconds=10)
    assert CLIENTS["aioquic"](setup, [Request()]) == [Response(200, HELLO)]


def flood(h: Any, peer: Peer, kind: str, start: int, count: int) -> int:
    """Opens streams as fast as the server allows, thirty a packet; how many there were when it had
    enough and closed, or all."""
    quic = peer.quic
    uni = kind == "unknown unidirectional"
    quic.forgetful = True
    opened = start
    request = get(b"/")

    def limit() -> int:
        return quic._remote_max_streams_uni if uni else quic._remote_max_streams_bidi

    while opened < count and not peer.ended:
        end = min(limit(), count, opened + 30)
        if end <= opened:
            assert peer.until(lambda n=end: peer.ended or limit() > n), f"no more than {end}"
            continue
        frames = b""
        for n in range(opened, end):
            stream_id = 4 * n + (2 if uni else 0)
            if kind == "reset":
                frames += h.stream(stream_id, 0, request)
                frames += h.varints(0x04, stream_id, 0x10C, len(request))
            elif kind == "stop":
                frames += h.stream(stream_id, 0, request, True)
                frames += h.varints(0x05, stream_id, 0x10C)
            else:
                frames += h.stream(stream_id, 0, h.varints(0x21), True)
        peer.inject(h.ONE_RTT, frames)
        opened = end
        while peer.receive(0):
            pass
        peer.send()
    return opened


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", ["reset", "stop", "unknown unidirectional"])
def test_ten_thousand_streams_leave_nothing(
    kind: str, server: str, start: Start, tmp_path: Path
) -> None:
    """Requests that are reset at once, answers that are stopped, streams of no known type. A server
    may get tired of it and close; it may not keep a piece of each."""
    h = hostile_module()
    running = start(server)
    served(running, tmp_path)
    with h.client(running.port, running.certs.ca, max_data=1 << 30, max_datagram_size=1350) as peer:
        peer.handshake()
        flood(h, peer, kind, 0, 1000)  # tables grow to the size that such a peer needs
        before = resident(running)
        begin = time.monotonic()
        opened = flood(h, peer, kind, 1000, 10_000)
        print(f"{opened} streams in {time.monotonic() - begin:.2f} s, closed by {peer.closed}")
        served(running, tmp_path)
        assert resident(running) - before < 2 * MIB
    assert running.process.running


@pytest.mark.parametrize("server", SERVERS)
def test_a_peer_that_stops_reading_costs_a_bounded_share(
    server: str, start: Start, tmp_path: Path
) -> None:
    """A hundred endless answers, and no credit for any: each may fill its queue and no more."""
    h = hostile_module()
    queue = 64 * 1024
    running = start(server, ours={"send_queue_bytes": queue})
    served(running, tmp_path)
    before = resident(running)
    # The piece that fills the queue is taken whole, and the next one is with the application.
    share = queue if server == "h3_server" else queue + 2 * CHUNK
    with h.client(
        running.port, running.certs.ca, max_data=1 << 20, max_stream_data=1 << 14
    ) as peer:
        peer.handshake()
        peer.quic._write_connection_limits = lambda **_: None
        peer.quic._write_stream_limits = lambda **_: None
        for n in range(100):
            peer.quic.send_stream_data(4 * n, get(b"/bytes/10000000000"), end_stream=True)
        assert peer.until(lambda: peer.ended or peer.quic._local_max_data.used == 1 << 20, 10)
        assert not peer.ended
        served(running, tmp_path)
        grown = resident(running) - before
        print(f"{grown / MIB:.1f} MiB")
        assert grown < 100 * share + 16 * MIB
        served(running, tmp_path)


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ("gtlsclient", "h3_server"),
        ("quicpro", "gtlsserver"),
        pytest.param("aioquic", "quicpro-serve", marks=full),
        pytest.param("quicpro", "aioquic", marks=full),
        pytest.param("h3_get", "aioquic", marks=full),
    ],
)
def test_duplicated_and_reordered_datagrams(
    client: str, server: str, start: Start, tmp_path: Path
) -> None:
    conditions = Conditions.both(
        delay_ms=2, duplicate=20, reorder=20, reorder_delay_ms=4, drop=1, seed=3
    )
    sizes = range(100_000, 100_005)
    link = open_link(conditions, tmp_path)
    try:
        running = link.at_server(lambda: start(server, host=link.server_host))
        setup = Setup(link.between(running), running.certs.ca, tmp_path)
        requests = [Request(f"/bytes/{n}") for n in sizes]
        answers = link.at_client(lambda: CLIENTS[client](setup, requests))
        assert answers == [Response(200, pattern(n)) for n in sizes]
    finally:
        packets = link.finish()
    for mark in "dr":
        assert any(mark in p.marks for p in packets)
    assert running.process.running
