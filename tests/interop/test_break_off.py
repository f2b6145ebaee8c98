"""Peers that break a request or a response off, or the whole connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .clients import CLIENTS, Refused, Request, Response, Setup, asyncio_timeout, gone_of, seen
from .content import HELLO, pattern
from .procs import until
from .servers import Running, aioquic_peer, judge

Start = Callable[..., Running]
full = pytest.mark.full


def test_server_resets_in_mid_body(start: Start) -> None:
    """The error names the code and whose it is, and the connection goes on."""
    import quicpro

    running = start("aioquic")

    async def run() -> None:
        async with quicpro.AsyncClient(cafile=str(running.certs.ca)) as client:
            for _ in range(3):
                with pytest.raises(quicpro.StreamError, match="H3_INTERNAL_ERROR") as e:
                    await client.get(running.url("/reset/50000"))
                assert (e.value.wire_code, e.value.remote) == (0x102, True)
                assert (await client.get(running.url("/"))).content == HELLO
            counted = json.loads((await client.get(running.url("/seen"))).content)
            assert counted["connections"] == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("what", "client"),
    [
        ("reset", "h3_get"),
        ("close", "quicpro"),
        pytest.param("reset", "quicpro-sync", marks=full),
        pytest.param("close", "quicpro-sync", marks=full),
        pytest.param("close", "h3_get", marks=full),
    ],
)
def test_server_breaks_off(what: str, client: str, start: Start, tmp_path: Path) -> None:
    running = start("aioquic")
    setup = Setup(running, running.certs.ca, tmp_path, seconds=10)
    by = "StreamReset" if what == "reset" else "ConnectionClosed"
    words = f"^{'h3_get' if client == 'h3_get' else by}: .*H3_INTERNAL_ERROR"
    with pytest.raises(Refused, match=words) as e:
        CLIENTS[client](setup, [Request(f"/{what}/50000")])
    assert "\n" not in str(e.value), "bytes of the peer are escaped"


def test_our_application_raises_in_mid_body(start: Start) -> None:
    """The client learns it by a reset (RFC 9114 section 4.1); the connection goes on."""
    peer = aioquic_peer()
    running = start("quicpro-serve")

    async def run() -> None:
        async with (
            asyncio_timeout(10),
            peer.client(running.port, str(running.certs.ca)) as client,
        ):
            for _ in range(3):
                with pytest.raises(peer.StreamWasReset) as e:
                    await client.request("GET", "/reset/50000")
                assert e.value.args == (peer.H3_INTERNAL_ERROR,)
                assert (await client.request("GET", "/")).body == HELLO

    asyncio.run(run())
    assert running.process.running


@pytest.mark.parametrize(
    ("server", "how", "path"),
    [
        ("quicpro-serve", "reset", "/echo"),
        ("quicpro-serve", "stop", "/trickle"),
        ("quicpro-serve", "stop", "/hold"),
        pytest.param("h3_server", "reset", "/echo", marks=full),
        pytest.param("h3_server", "stop", "/bytes/10000000000", marks=full),
    ],
)
def test_client_breaks_off(server: str, how: str, path: str, start: Start) -> None:
    """RESET_STREAM in mid-upload; STOP_SENDING in mid-download, or while nothing is sent."""
    peer = aioquic_peer()
    running = start(server)

    async def run() -> None:
        async with (
            asyncio_timeout(10),
            peer.client(running.port, str(running.certs.ca)) as client,
        ):
            for _ in range(3):
                if how == "reset":
                    stream_id = client.start("POST", path, pattern(50_000), end=False)
                    await client.first_bytes(stream_id)
                    client.reset(stream_id)
                else:
                    stream_id = client.start("GET", path)
                    await client.first_bytes(stream_id)
                    if server == "quicpro-serve":  # a round trip: what was sent is acknowledged
                        assert (await client.request("GET", "/")).body == HELLO
                    client.stop(stream_id)
                assert (await client.request("GET", "/")).body == HELLO
            while server == "quicpro-serve":
                counted = json.loads((await client.request("GET", "/seen")).body)
                if gone_of(counted) == 3:
                    break
                await asyncio.sleep(0.02)

    asyncio.run(run())
    assert running.process.running


def test_curl_gives_up_in_mid_body(start: Start) -> None:
    """A consumer that refuses bytes: curl closes, the application hears of it."""
    pycurl = judge("pycurl", "pycurl")
    running = start("quicpro-serve")
    c = pycurl.Curl()
    c.setopt(pycurl.URL, running.url("/trickle"))
    c.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_3ONLY)
    c.setopt(pycurl.CAINFO, str(running.certs.ca))
    c.setopt(pycurl.TIMEOUT, 20)
    c.setopt(pycurl.WRITEFUNCTION, lambda data: -1)
    with pytest.raises(pycurl.error) as e:
        c.perform()
    assert e.value.args[0] == pycurl.E_WRITE_ERROR
    c.close()
    until(lambda: gone_of(seen(running)), 10, "http.disconnect", 0.05)


@pytest.mark.parametrize("client", ["quicpro", "quicpro-sync", "h3_get"])
def test_server_answers_without_the_body(client: str, start: Start, tmp_path: Path) -> None:
    """It stops the upload with H3_NO_ERROR and responds in full: a client must not throw that
    response away (RFC 9114 section 4.1)."""
    running = start("aioquic")
    setup = Setup(running, running.certs.ca, tmp_path, seconds=10)
    answers = CLIENTS[client](setup, [Request("/early", "POST", pattern(20_000_000))])
    # The C program says the status only.
    assert answers == [Response(413, b"too much\n")]
    assert seen(running)["early"] == 1
