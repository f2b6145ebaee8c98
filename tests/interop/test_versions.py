"""Versions that a peer does not know, and Retry (RFC 9000 sections 6, 17.2.1 and 8.1.2)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .clients import CLIENTS, Refused, Request, Response, Setup
from .content import HELLO
from .procs import long_header
from .relay import TO_SERVER, Relay, forward
from .servers import Running, aioquic_peer

Start = Callable[..., Running]

V1, V2 = 0x00000001, 0x6B3343CF
UNKNOWN = 0x1A2A3A4A

OUR_SERVERS = ["h3_server", pytest.param("quicpro-serve", marks=pytest.mark.full)]
OUR_CLIENTS = ["quicpro", "h3_get", pytest.param("quicpro-sync", marks=pytest.mark.full)]


def parse_negotiation(packet: bytes) -> tuple[bytes, bytes, list[int]]:
    """DCID, SCID and versions of a Version Negotiation packet."""
    assert packet[0] & 0x80, "header form"
    assert packet[1:5] == b"\0\0\0\0", "version"
    at = 5
    cids = []
    for _ in range(2):
        size = packet[at]
        cids.append(packet[at + 1 : at + 1 + size])
        assert len(cids[-1]) == size
        at += 1 + size
    rest = packet[at:]
    assert rest
    assert len(rest) % 4 == 0
    return (
        cids[0],
        cids[1],
        [int.from_bytes(rest[i : i + 4], "big") for i in range(0, len(rest), 4)],
    )


def negotiation(dcid: bytes, scid: bytes, *versions: int) -> bytes:
    head = b"\xc0\0\0\0\0" + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return head + b"".join(v.to_bytes(4, "big") for v in versions)


def ask(port: int, datagram: bytes, then: bytes = b"") -> list[bytes]:
    """All answers to a datagram. `then` is one that is answered, so silence needs no waiting."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(5)
        s.send(datagram)
        answers: list[bytes] = []
        if then:
            s.send(then)
        while True:
            answer = s.recv(65536)
            if then and parse_negotiation(answer)[0] == b"last":
                return answers
            answers.append(answer)
            if not then:
                return answers


LAST = long_header(UNKNOWN, b"any-dcid", b"last")


@pytest.mark.parametrize("server", OUR_SERVERS)
def test_unknown_version_is_answered_with_ours(server: str, start: Start) -> None:
    port = start(server).port
    for dcid_len, scid_len in [(8, 8), (20, 0), (0, 20), (1, 5), (18, 255), (255, 20)]:
        # "... a server SHOULD be able to read longer connection IDs from other QUIC versions"
        dcid, scid = b"d" * dcid_len, b"s" * scid_len
        (packet,) = ask(port, long_header(UNKNOWN, dcid, scid))
        got_dcid, got_scid, versions = parse_negotiation(packet)
        assert (got_dcid, got_scid) == (scid, dcid)
        assert V1 in versions
        assert UNKNOWN not in versions
        assert 0 not in versions


@pytest.mark.parametrize("server", OUR_SERVERS)
@pytest.mark.parametrize(
    ("what", "datagram"),
    [
        ("small", long_header(UNKNOWN, b"any-dcid", b"s", size=1199)),
        ("negotiation", negotiation(b"any-dcid", b"s", UNKNOWN).ljust(1200, b"\0")),
        ("cut in the header", long_header(UNKNOWN, b"d" * 8, b"s", size=0)[:7]),
        ("cut in the dcid", long_header(UNKNOWN, b"d" * 20, b"s", size=0)[:12]),
        ("small initial", long_header(V1, b"d" * 8, b"s" * 8, size=1199)),
        ("cid of 21 bytes in version 1", long_header(V1, b"d" * 21, b"s" * 8)),
        ("short header", b"\x40" + bytes(1199)),
        ("empty", b""),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_no_answer_to(server: str, what: str, datagram: bytes, start: Start) -> None:
    running = start(server, ours={"stateless_resets_per_second": 0})
    assert ask(running.port, datagram, then=LAST) == []
    assert running.process.running


@pytest.mark.parametrize("server", OUR_SERVERS)
def test_unknown_connection_is_reset(server: str, start: Start) -> None:
    """RFC 9000 section 10.3: at least 21 bytes, smaller than what came, with its fixed bit set."""
    running = start(server)
    for size in (30, 1200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", running.port))
            s.settimeout(5)
            s.send(b"\x40" + bytes(size - 1))
            answer = s.recv(2048)
        assert 21 <= len(answer) < size
        assert answer[0] & 0xC0 == 0x40


@pytest.mark.parametrize("server", OUR_SERVERS)
@pytest.mark.parametrize("first", [UNKNOWN, V2], ids=["unknown", "v2"])
def test_client_that_offers_another_version_first(server: str, first: int, start: Start) -> None:
    peer = aioquic_peer()
    running = start(server)

    async def run() -> None:
        ca = str(running.certs.ca)
        async with peer.client(running.port, ca, versions=[first, V1]) as client:
            assert (await client.request("GET", "/")).body == HELLO

    asyncio.run(run())


@pytest.mark.parametrize("client", OUR_CLIENTS)
def test_server_without_our_version(client: str, start: Start, tmp_path: Path) -> None:
    running = start("aioquic", version=[f"{UNKNOWN:x}"])
    setup = Setup(running, running.certs.ca, tmp_path, seconds=10)
    with pytest.raises(Refused, match=r"(?i)version"):
        CLIENTS[client](setup, [Request()])


@pytest.mark.parametrize("client", OUR_CLIENTS)
@pytest.mark.parametrize("versions", [[V1], [UNKNOWN]], ids=["v1", "unknown"])
def test_forged_negotiation_is_ignored(
    client: str, versions: list[int], start: Start, tmp_path: Path
) -> None:
    """Once the server answered, a client must discard any Version Negotiation packet; before that,
    one that lists the version it chose (RFC 9000 section 6.2)."""
    running = start("aioquic")
    answered = False

    def rule(direction: str, data: bytes) -> tuple[list[bytes], list[bytes]]:
        nonlocal answered
        if direction != TO_SERVER:
            answered = True
            return [], [data]
        if not data[0] & 0x80 or (UNKNOWN in versions and not answered):
            return [data], []
        dcid_len = data[5]
        dcid = data[6 : 6 + dcid_len]
        scid = data[7 + dcid_len : 7 + dcid_len + data[6 + dcid_len]]
        return [data], [negotiation(scid, dcid, *versions)]

    with Relay(running.port, rule) as relay:
        setup = Setup(replace(running, port=relay.port), running.certs.ca, tmp_path, seconds=10)
        assert CLIENTS[client](setup, [Request()]) == [Response(200, HELLO)]


@pytest.mark.parametrize("client", OUR_CLIENTS)
def test_server_that_validates_by_retry(client: str, start: Start, tmp_path: Path) -> None:
    running = start("aioquic", retry=True)
    setup = Setup(running, running.certs.ca, tmp_path, seconds=10)
    assert CLIENTS[client](setup, [Request()]) == [Response(200, HELLO)]


@pytest.mark.parametrize(
    "client",
    [
        "aioquic",
        "pycurl",
        "gtlsclient",
        "h3_get",
        pytest.param("quicpro", marks=pytest.mark.full),
        pytest.param("quicpro-sync", marks=pytest.mark.full),
    ],
)
def test_our_server_validates_by_retry(client: str, start: Start, tmp_path: Path) -> None:
    running = start("h3_server", ours={"retry": "always"})
    retries: list[bytes] = []

    def watch(direction: str, data: bytes) -> tuple[list[bytes], list[bytes]]:
        if direction != TO_SERVER and data[0] & 0xF0 == 0xF0:
            retries.append(data)
        return forward(direction, data)

    with Relay(running.port, watch) as relay:
        setup = Setup(replace(running, port=relay.port), running.certs.ca, tmp_path, seconds=10)
        assert CLIENTS[client](setup, [Request()]) == [Response(200, HELLO)]
    assert retries
    assert len(retries[0]) < 200  # the client's Initial had 1,200 bytes at least
