"""quicpro._timeout: limits for the parts of a request, in both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import WAIT, Live
from quicpro import (
    AsyncClient,
    Client,
    HandshakeTimeout,
    ResponseTimeout,
    Timeout,
    WriteTimeout,
)
from quicpro._timeout import too_long

Fetch = Callable[..., Any]


def blocking(url: str, certs: Path, limits: Any, **options: Any) -> Any:
    with Client(cafile=certs / "ca.pem", timeout=limits) as client:
        return client.request(options.pop("method", "GET"), url, **options)


def on_asyncio(url: str, certs: Path, limits: Any, **options: Any) -> Any:
    async def main() -> Any:
        async with AsyncClient(cafile=certs / "ca.pem", timeout=limits) as client:
            return await client.request(options.pop("method", "GET"), url, **options)

    return asyncio.run(asyncio.wait_for(main(), WAIT))


@pytest.fixture(params=[blocking, on_asyncio])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    function: Fetch = request.param
    return function


def test_a_number_is_for_all_of_it() -> None:
    assert Timeout.of(3) == Timeout(total=3)
    assert Timeout.of(None) == Timeout()
    assert Timeout.of(Timeout(read=1)) == Timeout(None, None, 1, None)


def test_what_it_says() -> None:
    assert str(too_long("u", "connect", 1)) == "u: not connected in 1 s"
    assert str(too_long("u", "read", 0.5)) == "u: nothing came in 0.5 s"
    assert str(too_long("u", "total", None)) == "u: no complete answer in time"
    assert type(too_long("u", "write", 1)) is WriteTimeout
    assert isinstance(too_long("u", "connect", 1), TimeoutError)


def test_long_enough(server: Live, certs: Path, fetch: Fetch) -> None:
    assert fetch(server.url(), certs, Timeout(WAIT, WAIT, WAIT, WAIT)).text == "hello"
    assert fetch(server.url(), certs, Timeout()).text == "hello"
    assert fetch(server.url(), certs, None, timeout=Timeout(read=WAIT)).text == "hello"


def test_connect(silent_port: int, certs: Path, fetch: Fetch) -> None:
    url = f"https://127.0.0.1:{silent_port}/"
    with pytest.raises(HandshakeTimeout, match=r"not connected in 0\.05 s"):
        fetch(url, certs, Timeout(connect=0.05, read=WAIT))


def test_read(server: Live, certs: Path, fetch: Fetch) -> None:
    """It counts from the end of the handshake."""
    limits = Timeout(connect=WAIT, read=0.05)
    with pytest.raises(ResponseTimeout, match=r"nothing came in 0\.05 s"):
        fetch(server.url("/never"), certs, limits)
    with pytest.raises(ResponseTimeout, match=r"nothing came in 0\.05 s"):
        fetch(server.url("/never"), certs, 1, timeout=Timeout(read=0.05))
    with pytest.raises(ResponseTimeout, match=r"no complete answer in 0\.05 s"):
        fetch(server.url("/never"), certs, Timeout(total=0.05, connect=WAIT, read=WAIT))


def test_write(server: Live, certs: Path, fetch: Fetch) -> None:
    def pieces() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)  # more than the server takes unread

    with pytest.raises(WriteTimeout, match=r"nothing of the body was taken in 0\.1 s"):
        fetch(
            server.url("/unread"), certs, Timeout(connect=WAIT, write=0.1),
            method="POST", body=pieces(),
        )  # fmt: skip
