"""quicpro.server: addresses, graceful close, options."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testapp
from live import WAIT, Live, Starter
from quicpro import (
    CertificateError,
    Client,
    Config,
    ConfigFrozen,
    HandshakeTimeout,
    InvalidValue,
    PolicyViolation,
    ResolveError,
    Server,
)
from quicpro.server import parse_bind
from test_lifespan import lifespan_app
from testapp import Receive, Send, answer, piece
from testapp import start as begin


@pytest.mark.parametrize(
    "bind,host,port",
    [
        ("127.0.0.1:4433", "127.0.0.1", 4433),
        ("[::1]:0", "::1", 0),
        (":443", None, 443),
        ("443", None, 443),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_parse_bind(bind: str, host: str | None, port: int) -> None:
    assert parse_bind(bind) == (host, port)


@pytest.mark.parametrize("bind", ["", "host", "host:", "host:x", "host:65536", "::1:443", "h:-1"])
def test_parse_bind_refuses(bind: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_bind(bind)


# Starting.


def test_certificates_that_cannot_be_used(
    start: Starter, certs: Path, other_certs: Path, tmp_path: Path
) -> None:
    log: list[str] = []
    for cert in (tmp_path / "none.pem", other_certs / "cert.pem", certs / "key.pem"):
        with pytest.raises(CertificateError):
            start(lifespan_app(log), certfile=cert)
    assert log == []


def test_a_host_that_is_unknown(start: Starter) -> None:
    with pytest.raises(ResolveError):
        start(bind="no-such-host.invalid:0")


def test_before_and_after(certs: Path) -> None:
    async def main() -> None:
        server = Server(
            testapp.app, "127.0.0.1:0", certfile=certs / "cert.pem", keyfile=certs / "key.pem"
        )
        assert (server.port, server.connections(), server.requests()) == (0, 0, 0)
        assert await server.close() is True
        await server.start()
        assert server.port > 0
        assert await server.close() is True
        assert await server.close() is True
        await server.abort()
        assert server.connections() == 0

    asyncio.run(main())


def test_all_addresses(start: Starter, certs: Path) -> None:
    server = start(bind=":0")
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(server.url()).text == "hello"


def test_counts(start: Starter, certs: Path) -> None:
    server = start()
    with Client(cafile=certs / "ca.pem") as client:
        with client.stream("GET", server.url("/forever")) as stream:
            next(stream.iter_bytes())
            assert (server.server.connections(), server.server.requests()) == (1, 1)


# Closing.


class Held:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.here = threading.Semaphore(0)
        self.go = asyncio.Event()
        self.seen: queue.Queue[str] = queue.Queue()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await begin(send)
        await piece(send, b"first ")
        self.here.release()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.seen.put("cancelled")
            raise
        await piece(send, b"last", False)

    async def let_go(self) -> None:
        self.go.set()


def background(what: Callable[[], Any]) -> queue.Queue[Any]:
    """The result of a function that runs in a thread, or its exception."""
    result: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            result.put(what())
        except Exception as e:
            result.put(e)

    threading.Thread(target=run, daemon=True).start()
    return result


def test_open_requests_finish(start: Starter, loop: str, certs: Path) -> None:
    app = Held()
    server = start(app, loop)
    with Client(cafile=certs / "ca.pem") as client:
        results = [background(lambda: client.get(server.url()).text) for _ in range(3)]
        for _ in results:
            assert app.here.acquire(timeout=WAIT)
        server.begin_close(WAIT)
        server.run(app.let_go())
        assert [r.get(timeout=WAIT) for r in results] == ["first last"] * 3
    assert server.close() is True


def test_the_timeout_cuts_off(start: Starter, loop: str, certs: Path) -> None:
    app = Held()
    server = start(app, loop)
    with Client(cafile=certs / "ca.pem") as client:
        result = background(lambda: client.get(server.url()))
        assert app.here.acquire(timeout=WAIT)
        assert server.close(0.05) is False
        assert app.seen.get(timeout=WAIT) == "cancelled"
        assert isinstance(result.get(timeout=WAIT), ConnectionError | OSError)


def test_idle_connections_do_not_hold_it_up(start: Starter, loop: str, certs: Path) -> None:
    server = start(loop=loop)
    with Client(cafile=certs / "ca.pem") as client:
        client.get(server.url())
        assert server.close(WAIT) is True


def test_work_after_the_response_finishes(start: Starter, certs: Path) -> None:
    """Background tasks, as frameworks have them."""
    go, answered = asyncio.Event(), threading.Event()
    log: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, b"ok")
            answered.set()
            await go.wait()
            log.append("worked")

    async def let_go() -> None:
        go.set()

    server = start(app)
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(server.url()).text == "ok"
    assert answered.wait(WAIT)
    server.begin_close(WAIT)
    server.run(let_go())
    assert server.close() is True and log == ["worked"]


def test_an_app_that_will_not_be_cancelled_is_told(start: Starter, certs: Path) -> None:
    """abort() reaches those who wait for messages."""
    seen: queue.Queue[str] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send)
            await piece(send, b"x")
            await receive()
            try:
                seen.put((await receive())["type"])
            except asyncio.CancelledError:
                seen.put("cancelled")
                raise

    server = start(app)
    with Client(cafile=certs / "ca.pem") as client, client.stream("GET", server.url()) as stream:
        next(stream.iter_bytes())
        server.close()
        assert seen.get(timeout=WAIT) in ("http.disconnect", "cancelled")


def test_again_on_the_same_port(start: Starter, certs: Path) -> None:
    """A client notices, and connects anew."""
    server = start()
    with Client(cafile=certs / "ca.pem", timeout=WAIT) as client:
        url = server.url()
        assert client.get(url).text == "hello"
        server.close()
        other = start(bind=f"127.0.0.1:{server.port}")
        assert client.get(url).text == "hello"
        assert other.server.connections() == 1


def test_log_of_a_server_is_silent(
    server: Live, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), Client(cafile=certs / "ca.pem") as client:
        client.get(server.url())
        server.close(WAIT)
    assert caplog.records == []


def test_options_while_it_runs(start: Starter, certs: Path) -> None:
    live = start()

    def set_options(**options: object) -> None:
        async def change() -> None:
            live.server.set_options(**options)

        live.run(change())

    with Client(cafile=certs / "ca.pem") as first:
        assert first.get(live.url()).text == "hello"
        set_options(max_connections=1, handshake_timeout=2)
        with Client(cafile=certs / "ca.pem", handshake_timeout=0.1) as second:
            with pytest.raises(HandshakeTimeout):
                second.get(live.url())
            with pytest.raises(ConfigFrozen, match=r"gso.*fixed"):
                set_options(max_connections=2, gso=False)
            with pytest.raises(InvalidValue, match="max_connections"):
                set_options(max_connections=0)
            with pytest.raises(HandshakeTimeout):
                second.get(live.url())
            set_options(max_connections=2, gso=True)  # which it has already
            assert second.get(live.url()).text == "hello"


def test_options_before_it_runs(certs: Path) -> None:
    server = Server(testapp.app, certfile=certs / "cert.pem", keyfile=certs / "key.pem")
    server.set_options(gso=False)
    server.set_options(security_allow_config_override=False)
    with pytest.raises(PolicyViolation):
        server.set_options(gso=True)


def test_certificates_may_stand_in_the_configuration(certs: Path) -> None:
    config = Config(cert_file=certs / "cert.pem", key_file=certs / "key.pem")
    server = Server(testapp.app, config=config)
    assert server._config == config
    locked = config.replace(security_allow_config_override=False)
    with pytest.raises(PolicyViolation, match="cert_file"):
        Server(testapp.app, certfile="/other", config=locked)
