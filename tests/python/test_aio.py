"""quicpro.aio: the asyncio client, on both kinds of event loop."""

from __future__ import annotations

import asyncio
import builtins
import gc
import io
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testapp
from live import WAIT, Live, Starter
from quicpro import (
    AsyncClient,
    CertificateError,
    Config,
    ConnectionClosed,
    ConnectionRefused,
    HandshakeTimeout,
    IdleTimeout,
    ResolveError,
    ResponseTimeout,
    StreamError,
    StreamReset,
    VerificationError,
)
from quicpro._run import run_event_loop
from testapp import PIECE, Receive, Send, body_of, piece
from testapp import start as begin

Go = Callable[..., Any]


@pytest.fixture
def go(loop: str, certs: Path) -> Go:
    """go(main, **options) runs `await main(client)` on an event loop."""

    def run(main: Callable[[AsyncClient], Awaitable[Any]], **options: Any) -> Any:
        async def limited() -> Any:
            async with AsyncClient(**({"cafile": certs / "ca.pem"} | options)) as client:
                return await asyncio.wait_for(main(client), WAIT)

        return run_event_loop(limited, loop)

    return run


def test_get(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        response = await client.get(server.url("/?a=b"))
        assert (response.status, response.text, response.url) == (
            200,
            "hello",
            server.url("/?a=b"),
        )
        assert response.headers["Content-Length"] == "5"
        assert response.headers.raw[0][0] == b"content-type"
        facts = response.connection
        assert facts is not None and facts.alpn == "h3" and facts.version == 1
        assert facts.peer == f"127.0.0.1:{server.port}" and facts.cipher and facts.group
        assert 0 < facts.rtt < WAIT and facts.bytes_in > 0 and facts.packets_out > 0

    go(main)


def test_methods_and_headers(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        response = await client.request("PATCH", server.url("/scope"), headers={"X-A": "1"})
        scope = response.json()
        assert scope["method"] == "PATCH" and ["x-a", "1"] in scope["headers"]
        assert (await client.request("HEAD", server.url())).content == b""
        assert (await client.get(server.url("/nowhere"))).status == 404

    go(main)


def test_two_hundred_at_once(server: Live, go: Go) -> None:
    """More than the streams that the server allows: the others wait."""

    async def main(client: AsyncClient) -> None:
        many = [client.get(server.url(f"/bytes/{i * 100}")) for i in range(200)]
        for i, response in enumerate(await asyncio.gather(*many)):
            assert response.content == body_of(i * 100)
        assert server.server.connections() == 1

    go(main)


def test_bodies(server: Live, go: Go, tmp_path: Path) -> None:
    size = 3 * len(PIECE)
    (tmp_path / "file").write_bytes(PIECE * 3)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield PIECE

    async def main(client: AsyncClient) -> None:
        url = server.url("/echo")
        with open(tmp_path / "file", "rb") as file:
            bodies: list[Any] = [
                PIECE * 3,
                bytearray(PIECE * 3),
                memoryview(PIECE * 3),
                [PIECE] * 3,
                (PIECE for _ in range(3)),
                pieces(),
                io.BytesIO(PIECE * 3),
                file,
            ]
            for body in bodies:
                response = await client.post(url, body)
                assert len(response.content) == size and response.content == PIECE * 3
        assert (await client.post(url, "gr\xfcn")).text == "gr\xfcn"
        assert (await client.post(url, b"")).content == b""
        assert (await client.post(url)).content == b""

    go(main)


def test_content_length(server: Live, go: Go) -> None:
    """Told where it is known."""

    async def main(client: AsyncClient) -> None:
        async def length(body: Any) -> Any:
            response = await client.post(server.url("/scope"), body)
            return dict(response.json()["headers"]).get("content-length")

        assert await length(b"abc") == "3"
        assert await length(b"") == "0"
        assert await length(None) is None
        assert await length([b"abc"]) is None

    go(main)


def test_a_large_upload(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        body = body_of(4 << 20)
        assert (await client.post(server.url("/echo"), body)).content == body
        many = (PIECE for _ in range(64))
        assert len((await client.post(server.url("/echo"), many)).content) == 4 << 20

    go(main)


@pytest.mark.parametrize("path,status", [("/early", 413), ("/raise", 500), ("/silent", 500)])
def test_an_answer_before_the_end_of_the_upload(
    server: Live, go: Go, path: str, status: int
) -> None:
    """The rest is not sent, and the server is told so."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield PIECE

    async def main(client: AsyncClient) -> None:
        for _ in range(3):
            assert (await client.post(server.url(path), endless())).status == status
        assert (await client.get(server.url())).text == "hello"

    go(main)
    assert server.close(WAIT) is True


def test_an_upload_that_breaks_off(start: Starter, go: Go) -> None:
    seen: queue.Queue[str] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await receive()
                seen.put("begun")
                await testapp.read(receive)
            except ConnectionError:
                seen.put("gone")

    async def pieces() -> AsyncIterator[bytes]:
        yield PIECE
        assert await asyncio.to_thread(seen.get, timeout=WAIT) == "begun"
        raise ZeroDivisionError

    def not_bytes() -> Iterator[Any]:
        yield "text"

    server = start(app)

    async def main(client: AsyncClient) -> None:
        with pytest.raises(ZeroDivisionError):
            await client.post(server.url(), pieces())
        assert await asyncio.to_thread(seen.get, timeout=WAIT) == "gone"
        with pytest.raises(TypeError):
            await client.post(server.url(), not_bytes())

    go(main)


def test_stream(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        async with client.stream("GET", server.url("/bytes/5000000")) as stream:
            assert stream.status == 200 and stream.headers["content-length"] == "5000000"
            assert stream.connection is not None
            parts = [part async for part in stream.aiter_bytes()]
        assert len(parts) > 1 and b"".join(parts) == body_of(5_000_000)
        async with client.stream("GET", server.url()) as stream:
            assert await stream.aread() == b"hello"
            assert await stream.aread() == b""

    go(main)


def test_a_stream_that_is_left_is_given_up(start: Starter, go: Go) -> None:
    seen: queue.Queue[str] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await testapp.app(scope, receive, send)
            seen.put("gone")

    server = start(app)

    async def main(client: AsyncClient) -> None:
        async with client.stream("GET", server.url("/forever")) as stream:
            async for _ in stream.aiter_bytes():
                break
        assert await asyncio.to_thread(seen.get, timeout=WAIT) == "gone"
        with pytest.raises(StreamError, match="given up"):
            await stream.aread()

    go(main)


def test_a_reader_that_is_slow_holds_the_server_up(start: Starter, go: Go) -> None:
    sent = 0

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "http":
            await begin(send)
            for _ in range(512):
                await piece(send, PIECE)
                sent += len(PIECE)
            await piece(send, b"", False)

    server = start(app)

    async def main(client: AsyncClient) -> int:
        total = 0
        async with client.stream("GET", server.url()) as stream:
            async for data in stream.aiter_bytes():
                total += len(data)
                for _ in range(10):
                    await asyncio.sleep(0)
                # Windows, queues and what was read: not the whole.
                assert sent - total < 16 << 20
        return total

    assert go(main) == 512 * len(PIECE) == sent


def test_reset_by_the_server(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(StreamReset) as caught:
            await client.get(server.url("/raise-late"))
        assert caught.value.wire_code == 0x102 and caught.value.remote

    go(main)


# Timeouts.


def test_response_timeout(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        url = server.url("/never")
        with pytest.raises(ResponseTimeout, match=r"/never: no complete answer in 0\.05 s"):
            await client.get(url, timeout=0.05)
        with pytest.raises(builtins.TimeoutError):
            await client.get(server.url("/forever"), timeout=0.05)
        with pytest.raises(ResponseTimeout):
            async with client.stream("GET", url, timeout=0.05):
                pass
        assert (await client.get(server.url())).text == "hello"

    go(main)


def test_response_timeout_of_the_client(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(ResponseTimeout):
            await client.get(server.url("/never"))
        assert (await client.get(server.url(), timeout=WAIT)).text == "hello"

    go(main, timeout=0.05)


def test_handshake_timeout(silent_port: int, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        url = f"https://127.0.0.1:{silent_port}/"
        got = await asyncio.gather(*[client.get(url) for _ in range(3)], return_exceptions=True)
        assert [type(e) for e in got] == [HandshakeTimeout] * 3

    go(main, handshake_timeout=0.1)


def test_idle_timeout(start: Starter, go: Go) -> None:
    server = start(config=Config(max_idle_timeout_ms=100))

    async def main(client: AsyncClient) -> None:
        with pytest.raises((IdleTimeout, ConnectionClosed)):
            await client.get(server.url("/never"))
        assert (await client.get(server.url())).text == "hello"

    go(main)


def test_cancelling(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        task = asyncio.ensure_future(client.get(server.url("/never")))
        assert (await client.get(server.url())).text == "hello"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.get(server.url())).text == "hello"
        assert client._streams == {}

    go(main)


# What cannot be.


@pytest.mark.parametrize(
    "url,says",
    [
        ("http://127.0.0.1/", "use https://"),
        ("nonsense", "is not a URL"),
        ("https://h:0/", "no port 0"),
    ],
)
def test_urls_that_are_refused(go: Go, url: str, says: str) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(ValueError, match=says):
            await client.get(url)

    go(main)


def test_an_unknown_host(go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(ResolveError, match=r"no-such-host\.invalid"):
            await client.get("https://no-such-host.invalid/")

    go(main)


def test_a_port_where_nothing_listens(closed_port: int, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(ConnectionRefused) as caught:
            await client.get(f"https://127.0.0.1:{closed_port}/")
        assert isinstance(caught.value, builtins.ConnectionRefusedError)

    go(main)


def test_an_authority_that_is_not_trusted(server: Live, other_certs: Path, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        for _ in range(2):
            with pytest.raises(VerificationError, match=r"issuer|self.signed|authority|trust"):
                await client.get(server.url())

    go(main, cafile=other_certs / "ca.pem")
    go(main, cafile=None)


def test_a_certificate_for_another_name(start: Starter, other_certs: Path, go: Go) -> None:
    server = start(certs=other_certs)

    async def main(client: AsyncClient) -> None:
        with pytest.raises(VerificationError, match=r"(?i)127\.0\.0\.1|name|address"):
            await client.get(server.url())

    go(main, cafile=other_certs / "ca.pem")


def test_without_verification(start: Starter, other_certs: Path, go: Go) -> None:
    server = start(certs=other_certs)

    async def main(client: AsyncClient) -> None:
        assert (await client.get(server.url())).text == "hello"

    go(main, cafile=None, verify=False)


def test_a_cafile_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"none\.pem"):
        AsyncClient(cafile=tmp_path / "none.pem")


def test_a_cafile_that_holds_none(server: Live, tmp_path: Path, go: Go) -> None:
    (tmp_path / "empty.pem").write_text("nothing")

    async def main(client: AsyncClient) -> None:
        raise AssertionError

    with pytest.raises(CertificateError):
        go(main, cafile=tmp_path / "empty.pem")


@pytest.mark.parametrize(
    "name,value", [("connection", "close"), ("a b", "c"), ("a", "b\r\nc: d"), (":path", "/x")]
)
def test_fields_that_http3_forbids(server: Live, go: Go, name: str, value: str) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(ValueError):
            await client.get(server.url(), headers={name: value})
        assert (await client.get(server.url())).text == "hello"

    go(main)


def test_a_body_of_another_type(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(TypeError, match="not int"):
            await client.post(server.url(), 5)  # type: ignore[arg-type]

    go(main)


# Ends.


def test_a_client_that_is_closed(server: Live, go: Go) -> None:
    async def main(client: AsyncClient) -> None:
        waiting = [asyncio.ensure_future(client.get(server.url("/never"))) for _ in range(3)]
        assert (await client.get(server.url())).text == "hello"
        await client.aclose()
        await client.aclose()
        for got in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(got, ConnectionClosed) and "client was closed" in str(got)
        with pytest.raises(ConnectionClosed, match="client was closed"):
            await client.get(server.url())

    go(main)


def test_closing_while_an_upload_waits(start: Starter, go: Go) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.Event().wait()

    server = start(app)

    async def main(client: AsyncClient) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield PIECE

        waiting = asyncio.ensure_future(client.post(server.url(), endless()))
        while server.server.requests() == 0:
            await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(ConnectionClosed):
            await waiting

    go(main)


def test_a_client_without_a_context(server: Live, certs: Path, loop: str) -> None:
    async def main() -> None:
        client = AsyncClient(cafile=certs / "ca.pem")
        await client.aclose()
        client = AsyncClient(cafile=certs / "ca.pem")
        assert (await client.get(server.url())).text == "hello"
        await client.aclose()

    run_event_loop(main, loop)
    gc.collect()


def test_the_server_goes_and_comes(start: Starter, go: Go) -> None:
    server = start()

    async def main(client: AsyncClient) -> None:
        url = server.url()
        assert (await client.get(url)).text == "hello"
        waiting = asyncio.ensure_future(client.get(server.url("/never")))
        while server.server.requests() == 0:
            await asyncio.sleep(0)
        await asyncio.to_thread(server.close)
        with pytest.raises((ConnectionClosed, StreamReset)):
            await waiting
        await asyncio.to_thread(start, bind=f"127.0.0.1:{server.port}")
        assert (await client.get(url)).text == "hello"

    go(main)


def test_many_clients(server: Live, certs: Path, loop: str) -> None:
    async def main() -> None:
        async def one() -> str:
            async with AsyncClient(cafile=certs / "ca.pem") as client:
                return (await client.get(server.url())).text

        assert await asyncio.gather(*[one() for _ in range(20)]) == ["hello"] * 20

    run_event_loop(main, loop)


def test_clients_in_threads(server: Live, certs: Path, loop: str) -> None:
    """Each with an event loop of its own."""
    texts: list[str] = []

    async def main() -> None:
        async with AsyncClient(cafile=certs / "ca.pem") as client:
            texts.extend([(await client.get(server.url())).text for _ in range(10)])

    threads = [threading.Thread(target=run_event_loop, args=(main, loop)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["hello"] * 40


def test_ipv6_and_names(start: Starter, go: Go) -> None:
    try:
        server = start(bind="[::1]:0")
    except OSError:
        pytest.skip("no IPv6 here")

    async def main(client: AsyncClient) -> None:
        assert (await client.get(server.url("/", "[::1]"))).text == "hello"

    go(main)
