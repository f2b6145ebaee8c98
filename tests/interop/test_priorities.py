"""A hundred streams share packets, change priorities and lose 2 % of what is sent: no byte is lost.
(The engine's patch 0001 puts several STREAM frames into one packet.)"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .clients import CLIENTS, Request, Response, Setup, asyncio_timeout
from .content import pattern
from .link import DROPPED, TO_CLIENT, TO_SERVER, Conditions
from .links import open_link
from .servers import Running, aioquic_peer, judge

Start = Callable[..., Running]
full = pytest.mark.full

LOSSY = Conditions.both(delay_ms=5, bandwidth_mbps=10, drop=2, seed=4)


def shared_packets(qlog: Any) -> int:
    """How many packets came with STREAM frames of more than one request."""
    (trace,) = qlog.to_dict()["traces"]
    received = [e for e in trace["events"] if e["name"] == "transport:packet_received"]
    assert received
    ids = [
        {f["stream_id"] for f in e["data"]["frames"] if f["frame_type"] == "stream"}
        for e in received
    ]
    return sum(len(one) > 1 for one in ids)


@pytest.mark.parametrize(
    ("server", "size"),
    [
        ("h3_server", 4_000),
        pytest.param("quicpro-serve", 4_000, marks=full),
        pytest.param("h3_server", 50_000, marks=full),
        pytest.param("quicpro-serve", 50_000, marks=full),
    ],
)
def test_answers_survive_loss_and_new_priorities(
    server: str, size: int, start: Start, tmp_path: Path
) -> None:
    """Of three urgencies, half of them incremental; every answer that begins changes another's."""
    peer = aioquic_peer()
    qlog = judge("aioquic.quic.logger", "aioquic").QuicLogger()
    chance = random.Random(1)
    sizes = range(size, size + 100)

    def priority() -> str:
        return f"u={chance.randrange(3, 6)}{chance.choice(['', ', i'])}"

    async def run(port: int, host: str, ca: str) -> list[bytes]:
        async with asyncio_timeout(60), peer.client(port, ca, host=host, qlog=qlog) as client:
            streams = [client.start("GET", f"/bytes/{n}", priority=priority()) for n in sizes]

            async def one(stream_id: int) -> bytes:
                await client.first_bytes(stream_id)
                client.reprioritise(chance.choice(streams), priority())
                body: bytes = (await client.answer(stream_id)).body
                return body

            return await asyncio.gather(*(one(stream_id) for stream_id in streams))

    link = open_link(LOSSY, tmp_path)
    try:
        running = link.at_server(lambda: start(server, host=link.server_host))
        far = link.between(running)
        bodies = link.at_client(lambda: asyncio.run(run(far.port, far.host, str(running.certs.ca))))
    finally:
        packets = link.finish()
    assert bodies == [pattern(n) for n in sizes]
    assert shared_packets(qlog) > 0
    assert any(p.fate == DROPPED for p in packets if p.way == TO_CLIENT)
    assert running.process.running


@pytest.mark.parametrize(
    ("client", "server", "size"),
    [
        ("quicpro", "aioquic", 2_000),
        pytest.param("quicpro-sync", "aioquic", 20_000, marks=full),
        pytest.param("quicpro", "quicpro-serve", 20_000, marks=full),
    ],
)
def test_uploads_survive_loss(
    client: str, server: str, size: int, start: Start, tmp_path: Path
) -> None:
    """There and back."""
    bodies = [pattern(n) for n in range(size, size + 100)]
    link = open_link(LOSSY, tmp_path)
    try:
        running = link.at_server(lambda: start(server, host=link.server_host))
        setup = Setup(link.between(running), running.certs.ca, tmp_path)
        requests = [Request("/echo", "POST", body) for body in bodies]
        answers = link.at_client(lambda: CLIENTS[client](setup, requests))
        assert answers == [Response(200, body) for body in bodies]
    finally:
        packets = link.finish()
    assert any(p.fate == DROPPED for p in packets if p.way == TO_SERVER)
