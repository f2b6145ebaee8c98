"""quicpro.httpx: transports for httpx and httpx2."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import importlib
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import WAIT, Live, python
from quicpro import Config, ConfigError
from quicpro._messages import Origin
from quicpro.httpx import AltSvc, AsyncHTTP3Transport, HTTP3Transport

LIBRARIES = [pytest.importorskip(name) for name in ("httpx", "httpx2")]


class Front:
    """The blocking and the asyncio client of a library, both awaited."""

    def __init__(self, library: Any, is_async: bool) -> None:
        self.h = library
        self.is_async = is_async

    def transport(self, certs: Path, **options: Any) -> Any:
        cls = AsyncHTTP3Transport if self.is_async else HTTP3Transport
        return cls(**{"mode": "h3only", "verify": certs / "ca.pem"} | options)

    def run(self, main: Callable[[Any], Awaitable[None]], transport: Any) -> None:
        async def limited() -> None:
            if self.is_async:
                async with self.h.AsyncClient(transport=transport, timeout=WAIT) as client:
                    await asyncio.wait_for(main(client), WAIT)
            else:
                with self.h.Client(transport=transport, timeout=WAIT) as client:
                    await main(client)

        asyncio.run(limited())

    async def get(self, client: Any, url: str, **options: Any) -> Any:
        return await self.send(client, "GET", url, **options)

    async def send(self, client: Any, method: str, url: str, **options: Any) -> Any:
        answer = client.request(method, url, **options)
        return await answer if self.is_async else answer

    @contextlib.asynccontextmanager
    async def stream(self, client: Any, url: str) -> AsyncIterator[Any]:
        """A response, and a function that gives its next piece."""
        if self.is_async:
            async with client.stream("GET", url) as response:
                pieces = response.aiter_raw()
                yield response, pieces.__anext__
                await pieces.aclose()
        else:
            with client.stream("GET", url) as response:
                iterator = response.iter_raw()

                async def following() -> Any:
                    return next(iterator)

                yield response, following
                iterator.close()

    def body(self, pieces: list[bytes]) -> Any:
        async def later() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return later() if self.is_async else iter(pieces)


@pytest.fixture(params=[(h, a) for h in LIBRARIES for a in (False, True)], ids=lambda p: (
    f"{p[0].__name__}-{'async' if p[1] else 'sync'}"
))  # fmt: skip
def front(request: pytest.FixtureRequest) -> Front:
    return Front(*request.param)


def test_requests(front: Front, server: Live, certs: Path) -> None:
    async def main(client: Any) -> None:
        answer = await front.get(client, server.url("/?a=%20b"))
        assert (answer.status_code, answer.text, answer.http_version) == (200, "hello", "HTTP/3")
        assert answer.headers["content-type"] == "text/plain"
        answer = await front.send(client, "POST", server.url("/echo"), content=b"a" * 100_000)
        assert answer.content == b"a" * 100_000
        pieces = [b"b" * 1000] * 300
        answer = await front.send(client, "PUT", server.url("/echo"), content=front.body(pieces))
        assert answer.content == b"b" * 300_000
        answer = await front.send(client, "HEAD", server.url("/"))
        assert (answer.status_code, answer.content) == (200, b"")
        answer = await front.get(client, server.url("/scope"), headers={"X-A": "1, 2"})
        sent = dict(map(tuple, answer.json()["headers"]))
        assert sent["x-a"] == "1, 2" and sent["user-agent"].startswith("python-httpx")
        assert "connection" not in sent and "transfer-encoding" not in sent

    front.run(main, front.transport(certs))


def test_streams(front: Front, server: Live, certs: Path) -> None:
    async def main(client: Any) -> None:
        async with front.stream(client, server.url("/forever")) as (response, following):
            assert response.status_code == 200
            for _ in range(5):
                assert len(await following()) > 0
            network = response.extensions["network_stream"]
            assert network.get_extra_info("server_addr") == ("127.0.0.1", server.port)
            assert network.get_extra_info("client_addr")[0] == "127.0.0.1"
            assert network.get_extra_info("connection").alpn == "h3"
            assert len(network.get_extra_info("peer_certificates")) >= 1
            assert network.get_extra_info("ssl_object") is None
        assert (await front.get(client, server.url())).text == "hello"

    front.run(main, front.transport(certs))


def test_failures(
    front: Front, server: Live, certs: Path, silent_port: int, closed_port: int
) -> None:
    h = front.h
    never, late = server.url("/never"), server.url("/raise-late")
    parts = {"connect": WAIT, "read": WAIT, "write": WAIT, "pool": WAIT}

    async def main(client: Any) -> None:
        for url, timeout, kind, text in (
            (f"https://127.0.0.1:{closed_port}/", {}, h.ConnectError, "refused"),
            (f"https://127.0.0.1:{silent_port}/", {"connect": 0.05}, h.ConnectTimeout, "not conn"),
            (never, {"read": 0.05}, h.ReadTimeout, "nothing came"),
            (late, {}, h.RemoteProtocolError, "reset"),
            ("http://127.0.0.1:1/", {}, h.UnsupportedProtocol, "use https://"),
            ("https://no-such-host.invalid/", {}, h.ConnectError, "cannot resolve"),
        ):
            with pytest.raises(kind, match=text) as caught:
                await front.get(client, url, timeout=h.Timeout(**parts | timeout))
            assert str(caught.value.request.url) == url
        with pytest.raises(h.WriteTimeout, match="nothing of the body"):
            await front.send(
                client, "POST", server.url("/unread"), timeout=h.Timeout(**parts | {"write": 0.05}),
                content=front.body([bytes(1 << 20)] * 100),
            )  # fmt: skip
        assert (await front.get(client, server.url())).text == "hello"

    front.run(main, front.transport(certs))


def test_certificates(front: Front, server: Live, other_certs: Path) -> None:
    async def refused(client: Any) -> None:
        with pytest.raises(front.h.ConnectError, match="unknown authority"):
            await front.get(client, server.url())

    async def accepted(client: Any) -> None:
        assert (await front.get(client, server.url())).text == "hello"

    front.run(refused, front.transport(other_certs))
    front.run(accepted, front.transport(other_certs, verify=False))


def test_traces(front: Front, server: Live, certs: Path) -> None:
    seen: list[tuple[str, Any]] = []

    def note(name: str, info: dict[str, Any]) -> None:
        seen.append((name, info.get("return_value")))

    async def note_later(name: str, info: dict[str, Any]) -> None:
        note(name, info)

    async def main(client: Any) -> None:
        extensions = {"trace": note_later if front.is_async else note}
        await front.get(client, server.url("/status/404"), extensions=extensions)
        with pytest.raises(front.h.ReadTimeout):
            await front.get(
                client, server.url("/never"), extensions=extensions,
                timeout=front.h.Timeout(WAIT, read=0.01),
            )  # fmt: skip

    front.run(main, front.transport(certs))
    send, receive = "http3.send_request_headers.", "http3.receive_response_headers."
    assert [name for name, _ in seen] == [
        send + "started", receive + "complete", "http3.response_closed.complete",
        send + "started", receive + "failed",
    ]  # fmt: skip
    assert seen[1][1][:3] == (b"HTTP/3", 404, b"")
    assert (b"content-type", b"text/plain") in seen[1][1][3]


class Tcp:
    """In the place of the stock transport: says where HTTP/3 is."""

    def __init__(self, front: Front, says: list[str]) -> None:
        self.says = says
        self.requests = 0
        self.transport = front.h.MockTransport(self._answer)
        self._h = front.h

    def _answer(self, request: Any) -> Any:
        self.requests += 1
        fields = [("alt-svc", value) for value in self.says]
        return self._h.Response(200, headers=fields, text="by TCP")


def test_alt_svc_is_followed(front: Front, server: Live, certs: Path, tmp_path: Path) -> None:
    path = tmp_path / "alt-svc.json"
    tcp = Tcp(front, [f'h3=":{server.port}"; ma=1000'])
    options: dict[str, Any] = {"mode": "auto", "head_start": WAIT, "fallback": tcp.transport}
    url = "https://127.0.0.1/"  # where nothing listens

    async def main(client: Any) -> None:
        assert (await front.get(client, url)).text == "by TCP"
        for _ in range(2):
            answer = await front.get(client, url)
            assert (answer.text, answer.http_version) == ("hello", "HTTP/3")
        assert (await front.get(client, "http://127.0.0.1/")).text == "by TCP"

    async def again(client: Any) -> None:
        assert (await front.get(client, url)).text == "hello"
        client._transport.alt_svc.learn(Origin("127.0.0.1", 443), ["clear"])
        assert (await front.get(client, url)).text == "by TCP"

    front.run(main, front.transport(certs, **options, alt_svc=path))
    assert tcp.requests == 2
    front.run(again, front.transport(certs, **options, alt_svc=path))


def test_udp_that_is_blocked(front: Front, certs: Path, silent_port: int) -> None:
    """Waits once, and not again for a while."""
    tcp = Tcp(front, [f'h3=":{silent_port}"'])
    transport = front.transport(certs, mode="auto", head_start=0.05, fallback=tcp.transport)
    place = Origin("127.0.0.1", silent_port)

    async def main(client: Any) -> None:
        url = "https://127.0.0.1/"
        assert (await front.get(client, url)).text == "by TCP"
        assert not transport.alt_svc.is_broken(place)
        assert (await front.send(client, "POST", url, content=b"once")).text == "by TCP"
        assert transport.alt_svc.is_broken(place)
        until = transport.alt_svc._broken[place]
        for _ in range(3):
            assert (await front.get(client, url)).text == "by TCP"
        assert transport.alt_svc._broken[place] == until  # was not tried again
        assert tcp.requests == 5

    front.run(main, transport)


def test_it_connects_after_all(front: Front, server: Live, certs: Path) -> None:
    """A connection that is there is used, though its head start was too short."""
    known = AltSvc()
    place = Origin("127.0.0.1", server.port)
    tcp = Tcp(front, [f'h3=":{server.port}"'])
    transport = front.transport(
        certs, mode="auto", head_start=WAIT, fallback=tcp.transport, alt_svc=known
    )

    async def main(client: Any) -> None:
        url = "https://127.0.0.1/"
        await front.get(client, url)
        assert (await front.get(client, url)).text == "hello"
        known.failed(place)
        assert (await front.get(client, url)).text == "hello"
        assert not known.is_broken(place)

    front.run(main, transport)


class Tls(http.server.BaseHTTPRequestHandler):
    alt_svc = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("alt-svc", self.alt_svc)
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b"by TCP")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tls_port(certs: Path, server: Live) -> Iterator[int]:
    """A TCP server that says where HTTP/3 is."""
    handler = type("Handler", (Tls,), {"alt_svc": f'h3=":{server.port}"'})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "cert.pem", certs / "key.pem")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as tcp:
        tcp.socket = context.wrap_socket(tcp.socket, server_side=True)
        thread = threading.Thread(target=tcp.serve_forever)
        thread.start()
        yield tcp.server_port
        tcp.shutdown()
        thread.join()


def test_the_stock_transport(front: Front, tls_port: int, certs: Path) -> None:
    async def main(client: Any) -> None:
        url = f"https://127.0.0.1:{tls_port}/"
        answer = await front.get(client, url)
        assert (answer.text, answer.http_version) == ("by TCP", "HTTP/1.0")
        answer = await front.get(client, url)
        assert (answer.text, answer.http_version) == ("hello", "HTTP/3")

    front.run(main, front.transport(certs, mode="auto", head_start=WAIT))


def test_threads_share_a_transport(server: Live, certs: Path) -> None:
    h = importlib.import_module("httpx")
    texts: list[str] = []
    with h.Client(transport=HTTP3Transport(mode="h3only", verify=certs / "ca.pem")) as client:
        threads = [
            threading.Thread(target=lambda: texts.append(client.get(server.url()).text))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["hello"] * 8


def test_many_at_once(server: Live, certs: Path) -> None:
    h = importlib.import_module("httpx2")

    async def main() -> None:
        transport = AsyncHTTP3Transport(mode="h3only", verify=certs / "ca.pem")
        async with h.AsyncClient(transport=transport) as client:
            answers = await asyncio.gather(*[client.get(server.url()) for _ in range(200)])
        assert {answer.text for answer in answers} == {"hello"}

    asyncio.run(asyncio.wait_for(main(), WAIT))


def test_arguments(certs: Path) -> None:
    with pytest.raises(ConfigError, match="mode is auto or h3only, not 'h2'"):
        HTTP3Transport(mode="h2")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="verify is a bool or a file"):
        HTTP3Transport(verify=ssl.create_default_context())  # type: ignore[arg-type]
    with HTTP3Transport(config=Config(gso=False)) as transport:
        assert transport.alt_svc.find(Origin("a", 1)) is None


def test_neither_library_is_needed() -> None:
    done = python("import sys, quicpro.httpx; print({'httpx', 'httpx2'} & set(sys.modules))")
    assert (done.stdout, done.stderr) == ("set()\n", "")
    assert isinstance(done, subprocess.CompletedProcess) and sys.version_info >= (3, 10)
