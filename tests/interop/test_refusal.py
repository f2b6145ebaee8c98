"""Handshakes that must fail, and say why, while the server goes on serving others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from .clients import CLIENTS, Refused, Request, Response, Setup
from .content import HELLO
from .servers import Running, aioquic_peer

Start = Callable[..., Running]

# What is wrong: the server's certificate, the authority the client trusts.
BAD = {
    "untrusted": ("cert", "other_ca"),
    "expired": ("expired", "ca"),
    "wrong_name": ("elsewhere", "ca"),
}
# What each client must say then.
WORDS = {
    "quicpro": r"^VerificationError: .*certificate",
    "quicpro-sync": r"^VerificationError: .*certificate",
    "h3_get": r"^h3_get: .*certificate",
    "pycurl": r"(?i)curl error 60: .*(certificate|subject)",
    "aioquic": r"^ConnectionError",
}
PAIRS = [
    ("quicpro", "aioquic"),
    ("h3_get", "aioquic"),
    ("pycurl", "quicpro-serve"),
    ("aioquic", "h3_server"),
    ("quicpro-sync", "gtlsserver"),
    ("quicpro", "gtlsserver"),
    ("h3_get", "gtlsserver"),
    ("quicpro-sync", "aioquic"),
    ("pycurl", "h3_server"),
    ("aioquic", "quicpro-serve"),
]
QUICK = PAIRS[:4]


@pytest.mark.parametrize(
    ("what", "client", "server"),
    [
        pytest.param(what, *pair, marks=[] if pair in QUICK else [pytest.mark.full])
        for what in BAD
        for pair in PAIRS
    ],
)
def test_bad_certificate_is_refused(
    what: str, client: str, server: str, start: Start, tmp_path: Path
) -> None:
    cert, ca = BAD[what]
    running = start(server, cert=cert)
    setup = Setup(running, getattr(running.certs, ca), tmp_path, seconds=10)
    with pytest.raises(Refused, match=WORDS[client]):
        CLIENTS[client](setup, [Request()])
    assert running.process.running
    if cert == "cert":  # others are served
        good = Setup(running, running.certs.ca, tmp_path, seconds=10)
        assert CLIENTS[client](good, [Request()]) == [Response(200, HELLO)]


@pytest.mark.parametrize(
    "server", ["h3_server", pytest.param("quicpro-serve", marks=pytest.mark.full)]
)
def test_our_server_refuses_other_protocols(server: str, start: Start) -> None:
    """RFC 9001 section 8.1: no_application_protocol, TLS alert 120."""
    peer = aioquic_peer()
    running = start(server)

    async def run() -> None:
        ca = str(running.certs.ca)
        with pytest.raises(ConnectionError):
            async with peer.client(running.port, ca, alpn=["hq-interop"]) as client:
                pass
        async with peer.client(running.port, ca) as client:
            assert client.alpn == "h3"
            assert (await client.request("GET", "/")).body == HELLO

    asyncio.run(run())
    assert asyncio.run(peer.refusal(running.port, str(running.certs.ca), ["hq"])) == 0x178


@pytest.mark.parametrize(
    "client", ["quicpro", "h3_get", pytest.param("quicpro-sync", marks=pytest.mark.full)]
)
def test_our_client_names_a_protocol_mismatch(client: str, start: Start, tmp_path: Path) -> None:
    running = start("aioquic", alpn="hq-interop")
    setup = Setup(running, running.certs.ca, tmp_path, seconds=10)
    by = "h3_get" if client == "h3_get" else "TLSError"
    with pytest.raises(Refused, match=f"^{by}: .*(?i:application.protocol|alpn)"):
        CLIENTS[client](setup, [Request()])
