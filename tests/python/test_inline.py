"""Applications see one and the same, whichever way their requests are started."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import WAIT, Live, Starter, python
from quicpro import Client, ConfigError, Response, StreamError
from quicpro.server import Server
from task_cases import ANSWERS, CASES, AsObject

inline = pytest.importorskip("quicpro._inline", reason="built without the module in C")


@pytest.fixture
def client(certs: Path) -> Iterator[Client]:
    with Client(cafile=certs / "ca.pem", timeout=WAIT) as client:
        yield client


@pytest.fixture
def ways(start: Starter, loop: str) -> tuple[Live, Live]:
    """The same applications, started inline and in stock tasks."""
    return start(AsObject(), loop, tasks="inline"), start(AsObject(), loop, tasks="stock")


def said(client: Client, live: Live, path: str) -> Any:
    try:
        response: Response = client.get(live.url(path))
    except StreamError as e:
        return type(e), e.wire_code
    fields = [(n, v) for n, v in response.headers.raw if n != b"date"]
    return response.status, fields, response.content


@pytest.mark.parametrize("prefix", ["/", "/future/"])
def test_cases(ways: tuple[Live, Live], client: Client, prefix: str) -> None:
    ours, stock = ways
    for name in CASES:
        for _ in range(2):  # the second may meet what the first left
            want = said(client, stock, prefix + name)
            got = said(client, ours, prefix + name)
            assert got == want, name
            assert want[0] == 200, (name, want)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(ways: tuple[Live, Live], client: Client, name: str) -> None:
    ours, stock = ways
    for _ in range(2):
        assert said(client, ours, f"/answer/{name}") == said(client, stock, f"/answer/{name}")


def test_a_task_that_nobody_noticed_serves_again(start: Starter, client: Client) -> None:
    seen: set[int] = set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.add(id(asyncio.current_task()))
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"ok"})

    live = start(app, tasks="inline")
    assert {client.get(live.url()).content for _ in range(20)} == {b"ok"}
    assert len(seen) < 20  # in one batch it is always the same


def test_nothing_stays_of_a_request(
    start: Starter, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Scopes, tasks and what the application hung on them go with the request."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    class Canary:
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        canary = Canary()
        scope["canary"] = canary
        alive.add(canary)
        if scope["path"] == "/wait":
            await asyncio.sleep(0)
        if scope["path"] == "/raise":
            raise ValueError("as wished")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})

    live = start(app, tasks="inline")
    caplog.set_level(logging.CRITICAL, "quicpro.asgi")  # a record would hold what was raised
    for path in ("/", "/wait", "/raise"):
        client.get(live.url(path))

    def left() -> int:
        gc.collect()
        return len(alive)

    assert live.call(left) == 0


def test_keyboard_interrupt_ends_the_event_loop(certs: Path) -> None:
    """It is not one request's affair."""
    code = """
import asyncio, sys, threading
from pathlib import Path
import quicpro
from quicpro._run import run_event_loop
from quicpro.server import Server

certs = Path(sys.argv[1])

async def app(scope, receive, send):
    if scope["type"] == "http":
        if scope["path"] == "/later":
            await asyncio.sleep(0)
        raise SystemExit(7)

def ask(port):
    try:
        with quicpro.Client(cafile=certs / "ca.pem", timeout=10) as client:
            client.get(f"https://127.0.0.1:{port}{sys.argv[2]}")
    except quicpro.QuicproError:
        pass

async def main():
    server = Server(app, "127.0.0.1:0", certfile=certs / "cert.pem", keyfile=certs / "key.pem",
                    tasks=sys.argv[3])
    await server.start()
    threading.Thread(target=ask, args=(server.port,), daemon=True).start()
    await asyncio.sleep(30)

run_event_loop(main, "asyncio")
"""
    for path in ("/", "/later"):
        for tasks in ("inline", "stock"):
            done = python(code, certs, path, tasks)
            assert done.returncode == 7, (path, tasks, done.stderr)


def test_a_way_that_there_is_not() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    with pytest.raises(ConfigError, match="tasks is auto, inline or stock, not 'eager'"):
        Server(app, tasks="eager")
    with pytest.raises(ConfigError, match="without the module"):
        Server(app, tasks="inline", native=False)


def test_core_takes_only_its_own_exchanges() -> None:
    options: dict[str, Any] = dict.fromkeys(
        ("server", "app", "event_loop", "make_task", "schedule_flush")
    )
    options |= {"loop": 0, "requests": {}, "state": {}, "client_certs": False, "date": True}
    with pytest.raises(TypeError, match="no subclass of Exchange"):
        inline._asgi.Core(exchange_type=dict, fields=(), **options)
    wrong: Any
    for wrong in ((b"name",), (b"name", "value")):
        with pytest.raises(TypeError, match="fields are bytes: name, value"):
            inline._asgi.Core(exchange_type=inline.NativeExchange, fields=wrong, **options)
    with pytest.raises(TypeError, match="cannot create"):
        inline._asgi.Exchange()
