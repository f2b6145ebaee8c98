"""quicpro.asgi: what an application sees, and what becomes of what it does."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import WAIT, Live, Starter
from quicpro import Client, StreamError, StreamReset
from testapp import (
    PIECE,
    Message,
    Receive,
    Send,
    answer,
    body_of,
    gone,
    piece,
    read,
    shown,
)
from testapp import (
    start as begin,
)

WAYS: dict[str, dict[str, Any]] = {
    "inline": {"tasks": "inline"},
    "stock": {"tasks": "stock"},
    "records": {"native": False},
}


@pytest.fixture(params=WAYS)
def start(start: Starter, request: pytest.FixtureRequest) -> Starter:
    """Each way to call an application."""
    if request.param != "records":
        pytest.importorskip("quicpro._asgi")
    return functools.partial(start, **WAYS[request.param])


@pytest.fixture
def client(certs: Path) -> Iterator[Client]:
    with Client(cafile=certs / "ca.pem", timeout=WAIT) as c:
        yield c


# The scope.


def test_scope_has_every_key(start: Starter, loop: str, client: Client) -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scopes.append(scope)
            await answer(send, b"")

    server = start(app, loop, root_path="/under")
    fields = [("X-Mixed", "1"), ("cookie", "a=1"), ("x-mixed", "2"), ("user-agent", "me")]
    stream = client.stream("GET", server.url("/a%20b/%C3%A9?x=%20&y"), headers=fields)
    with stream:
        stream.read()
        local = stream.connection.local
    (scope,) = scopes
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "3",
        "method": "GET",
        "scheme": "https",
        "path": "/a b/\xe9",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"x=%20&y",
        "root_path": "/under",
        "headers": [
            (b"host", f"127.0.0.1:{server.port}".encode()),
            (b"x-mixed", b"1"),
            (b"cookie", b"a=1"),
            (b"x-mixed", b"2"),
            (b"user-agent", b"me"),
        ],
        "client": ("127.0.0.1", int(local.rpartition(":")[2])),
        "server": ("127.0.0.1", server.port),
        "state": {},
        "extensions": {},
    }


def test_what_a_gateway_took_early(server: Live, client: Client) -> None:
    """Safe requests are shown as early, others get 425 (RFC 8470 section 5.1)."""
    headers = {"early-data": "1"}
    scope = client.get(server.url("/scope"), headers=headers).json()
    assert scope["extensions"] == {"quicpro.early_data": {}}
    answer = client.post(server.url("/echo"), b"body", headers=headers)
    assert (answer.status, answer.content) == (425, b"")
    assert client.post(server.url("/echo"), b"body").content == b"body"


@pytest.mark.parametrize(
    "target,path,query",
    [
        ("/", "/", ""),
        ("", "/", ""),
        ("/%2F%25", "//%", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/%ff", "/\ufffd", ""),
        ("/%zz", "/%zz", ""),
        ("//x//", "//x//", ""),
    ],
)
def test_path_and_query(start: Starter, client: Client, target: str, path: str, query: str) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, shown(scope))

    got = client.get(start(app).url(target)).json()
    assert (got["path"], got["query_string"]) == (path, query)
    assert got["raw_path"] == (target.partition("?")[0] or "/")


def test_host_is_the_authority(server: Live, client: Client) -> None:
    scope = client.get(server.url("/scope"), headers={"Host": "shop.example"}).json()
    assert [h for h in scope["headers"] if h[0] == "host"] == [["host", "shop.example"]]


def test_ipv6_addresses(start: Starter, client: Client) -> None:
    try:
        server = start(bind="[::1]:0")
    except OSError:
        pytest.skip("no IPv6 here")
    scope = client.get(server.url("/scope", "[::1]")).json()
    assert scope["server"] == ["::1", server.port] and scope["client"][0] == "::1"


def test_state_of_the_lifespan_is_copied_for_each_request(start: Starter, client: Client) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"] |= {"shared": [], "name": "db"}
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scope["state"]["shared"].append(1)
        scope["state"]["mine"] = "mine" in scope["state"]
        await answer(send, json.dumps(scope["state"]).encode())

    server = start(app)
    client.get(server.url())
    assert client.get(server.url()).json() == {"shared": [1, 1], "name": "db", "mine": False}


# Request bodies.


def test_a_body_of_a_mebibyte(start: Starter, loop: str, client: Client) -> None:
    server = start(loop=loop)
    body = body_of(1 << 20)
    assert client.post(server.url("/echo"), body).content == body


def test_a_streamed_body(start: Starter, loop: str, client: Client) -> None:
    server = start(loop=loop)
    assert client.post(server.url("/echo"), (PIECE for _ in range(16))).content == PIECE * 16
    assert client.post(server.url("/echo"), iter(())).content == b""
    assert client.post(server.url("/echo"), iter((b"", b"a", b""))).content == b"a"


def test_messages_of_a_request_without_a_body(start: Starter, client: Client) -> None:
    seen: queue.Queue[Message] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.put(await receive())
            await answer(send, b"")
            seen.put(await receive())
            seen.put(await receive())

    client.get(start(app).url())
    assert seen.get(timeout=WAIT) == {"type": "http.request", "body": b"", "more_body": False}
    for _ in range(2):
        assert seen.get(timeout=WAIT) == {"type": "http.disconnect"}


def test_an_app_that_does_not_read_holds_the_sender_up(
    start: Starter, loop: str, client: Client
) -> None:
    """The body is larger than all windows and queues: it is not sent before the app reads it."""
    total, sent = 24 << 20, 0
    go = threading.Event()
    stopped = threading.Event()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.get_running_loop().run_in_executor(None, go.wait, WAIT)
            body = await read(receive)
            await answer(send, str(len(body)).encode())

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(total // len(PIECE)):
            sent += len(PIECE)
            if sent > 12 << 20:
                stopped.set()
            yield PIECE

    url = start(app, loop).url()
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(client.post(url, pieces()).text))
    thread.start()
    assert not stopped.wait(0.3)  # it would be through in less
    go.set()
    thread.join(WAIT)
    assert answers == [str(total)]


def test_an_app_that_reads_slowly_gets_all(start: Starter, client: Client) -> None:
    most = 0

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        nonlocal most
        if scope["type"] != "http":
            return
        total, more = 0, True
        while more:
            for _ in range(20):
                await asyncio.sleep(0)
            message = await receive()
            most = max(most, len(message["body"]))
            total += len(message["body"])
            more = message["more_body"]
        await answer(send, str(total).encode())

    assert client.post(start(app).url(), body_of(8 << 20)).text == str(8 << 20)
    assert most <= 2 << 20


@pytest.mark.parametrize("path,status", [("/early", 413), ("/silent", 500), ("/raise", 500)])
def test_a_body_that_the_app_does_not_want(
    server: Live, client: Client, path: str, status: int
) -> None:
    """The sender is not left hanging, whatever the size; and the connection goes on."""
    assert client.post(server.url(path), body_of(4 << 20)).status == status
    assert client.post(server.url(path), (PIECE for _ in range(64))).status == status
    assert client.get(server.url()).text == "hello"


# Responses.


def test_twenty_megabytes(start: Starter, loop: str, client: Client) -> None:
    size = 20_000_000
    server = start(loop=loop)
    response = client.get(server.url(f"/bytes/{size}"))
    assert len(response.content) == size and response.content == body_of(size)
    assert response.headers["content-length"] == str(size)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 65536, 65537])
def test_sizes_around_the_limits(server: Live, client: Client, size: int) -> None:
    assert client.get(server.url(f"/bytes/{size}")).content == body_of(size)
    assert client.post(server.url("/echo"), body_of(size)).content == body_of(size)


def test_a_response_comes_as_it_is_made(start: Starter, loop: str, client: Client) -> None:
    """Each piece reaches the client before the next is made."""
    go = threading.Semaphore(0)

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send)
            for i in range(5):
                await piece(send, b"%d" % i)
                await asyncio.get_running_loop().run_in_executor(None, go.acquire, True, WAIT)
            await piece(send, b"", False)

    with client.stream("GET", start(app, loop).url()) as stream:
        seen = []
        for data in stream.iter_bytes():
            seen.append(data)
            go.release()
    assert seen == [b"0", b"1", b"2", b"3", b"4"]


def test_send_waits_for_a_client_that_does_not_read(
    start: Starter, loop: str, client: Client
) -> None:
    sent = 0
    full = threading.Event()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "http":
            await begin(send)
            for _ in range(512):
                await piece(send, PIECE)
                sent += len(PIECE)
            full.set()
            await piece(send, b"", False)

    with client.stream("GET", start(app, loop).url()) as stream:
        first = next(stream.iter_bytes())
        assert not full.wait(0.3)  # it would be through in less
        assert len(first) + len(stream.read()) == 512 * len(PIECE)
    assert sent == 512 * len(PIECE)


@pytest.mark.parametrize("path", ["/", "/bytes/100000"])
def test_head_has_no_body(server: Live, client: Client, path: str) -> None:
    response = client.request("HEAD", server.url(path))
    assert (response.status, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(server: Live, client: Client, status: int) -> None:
    response = client.get(server.url(f"/status/{status}"))
    assert (response.status, response.content) == (status, b"")


def test_headers_of_a_response(start: Starter, client: Client) -> None:
    given = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")]
    given += [(b"x-empty", b""), (b"x-bytes", b"\xe9\xff")]

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": iter(given)})
            await send({"type": "http.response.body"})

    server = start(app, date_header=False)
    for _ in range(2):  # the second time from the cache
        assert client.get(server.url()).headers.raw == [(n.lower(), v) for n, v in given]


def test_start_without_headers(start: Starter, client: Client) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 202})
            await send({"type": "http.response.body", "body": b"ok"})

    response = client.get(start(app, date_header=False).url())
    assert (response.status, response.content, response.headers.raw) == (202, b"ok", [])


def test_many_header_sets(start: Starter, client: Client) -> None:
    """More than are kept packed."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send, 200, (b"x-path", scope["raw_path"]))
            await piece(send, b"", False)

    server = start(app)
    for i in range(600):
        assert client.get(server.url(f"/{i}")).headers["x-path"] == f"/{i}"


# Applications that misbehave.


def test_raising_before_the_start(
    server: Live, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get(server.url("/raise"))
    assert (response.status, response.text) == (500, "Internal Server Error")
    (record,) = caplog.records
    assert record.getMessage() == "GET /raise: the application raised"
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError
    assert client.request("HEAD", server.url("/raise")).content == b""


def test_raising_after_the_start(
    server: Live, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StreamReset) as caught:
        client.get(server.url("/raise-late"))
    assert caught.value.wire_code == 0x102 and caught.value.remote
    assert [r.getMessage() for r in caplog.records] == ["GET /raise-late: the application raised"]
    assert client.get(server.url()).text == "hello"


def test_returning_without_a_response(
    server: Live, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get(server.url("/silent")).status == 500
    assert [r.getMessage() for r in caplog.records] == [
        "GET /silent: the application returned without a complete response"
    ]


def test_returning_in_the_middle(
    start: Starter, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send)
            if scope["path"] == "/some":
                await piece(send, b"some")

    server = start(app)
    assert client.get(server.url("/start")).status == 500
    with pytest.raises(StreamReset):
        client.get(server.url("/some"))
    assert len(caplog.records) == 2


def test_raising_after_the_end(
    start: Starter, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, b"fine")
            raise ZeroDivisionError

    server = start(app)
    assert client.get(server.url()).text == "fine"
    server.close(WAIT)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "messages,says",
    [
        ([{"type": "http.response.body"}], "before http.response.start"),
        ([{"type": "http.response.start", "status": 200}] * 2, "sent already"),
        ([{"type": "websocket.accept"}], "cannot send 'websocket.accept'"),
        ([{"type": "http.response.start", "status": 200, "headers": [1]}], "pairs of bytes"),
        ([{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}], ""),
    ],
)
def test_messages_out_of_order(
    start: Starter,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    messages: list[Message],
    says: str,
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for message in messages:
                await send(message)

    assert client.get(start(app).url()).status == 500
    (record,) = caplog.records
    assert record.exc_info is not None and says in str(record.exc_info[1])


def test_a_body_after_the_end(
    start: Starter, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, b"all")
            await piece(send, b"more")

    server = start(app)
    assert client.get(server.url()).text == "all"
    server.close(WAIT)
    (record,) = caplog.records
    assert record.exc_info is not None and "after the response ended" in str(record.exc_info[1])


@pytest.mark.parametrize(
    "field", [(b"a\r\nb", b""), (b"a", b"b\r\nc"), (b":path", b"/"), (b"connection", b"close")]
)
def test_a_field_that_http3_forbids(
    start: Starter, client: Client, caplog: pytest.LogCaptureFixture, field: tuple[bytes, bytes]
) -> None:
    """It never travels; the client is told that the server failed."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == "/":
                await begin(send, 200, field)
            else:
                await begin(send)
            await piece(send, b"x", False)

    server = start(app)
    with pytest.raises(StreamReset):
        client.get(server.url())
    assert client.get(server.url("/good")).text == "x"


# Clients that go.


def test_disconnect_is_told_to_who_receives(start: Starter, loop: str, client: Client) -> None:
    seen: queue.Queue[str] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send)
            await piece(send, b"first")
            assert (await receive())["type"] == "http.request"
            seen.put((await receive())["type"])
            seen.put((await receive())["type"])
            for _ in range(2):
                with pytest.raises(StreamReset, match="the client has gone"):
                    await piece(send, b"nobody hears this")
            seen.put("raised")

    server = start(app, loop)
    with client.stream("GET", server.url()) as stream:
        assert next(stream.iter_bytes()) == b"first"
    for expected in ("http.disconnect", "http.disconnect", "raised"):
        assert seen.get(timeout=2) == expected
    assert server.run(drained(server)) == 0


async def drained(server: Live) -> int:
    """Requests of a server, once all that is ready has run."""
    for _ in range(10):
        await asyncio.sleep(0)
    return server.server.requests()


def test_disconnect_ends_a_send_that_waits(
    start: Starter, loop: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Also of an application that never calls receive; what it raises is no error."""
    done = threading.Event()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send)
            try:
                while True:
                    await piece(send, PIECE)
            except OSError:
                done.set()
                raise

    server = start(app, loop)
    with client.stream("GET", server.url()) as stream:
        next(stream.iter_bytes())
    assert done.wait(WAIT)
    assert server.run(drained(server)) == 0 and caplog.records == []


def test_disconnect_in_the_middle_of_a_body(start: Starter, client: Client) -> None:
    seen: queue.Queue[str] = queue.Queue()
    begun = threading.Event()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await receive()
                begun.set()
                await read(receive)
            except ConnectionError:
                seen.put("gone")

    def pieces() -> Iterator[bytes]:
        yield PIECE
        assert begun.wait(WAIT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.post(start(app).url(), pieces())
    assert seen.get(timeout=WAIT) == "gone"


def test_the_connection_goes_with_all_its_requests(start: Starter, loop: str, certs: Path) -> None:
    seen: queue.Queue[str] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await begin(send)
            await piece(send, b"x")
            await gone(receive)
            seen.put("gone")

    url = start(app, loop).url()
    with Client(cafile=certs / "ca.pem", timeout=WAIT) as client:
        for _ in range(10):
            client.stream("GET", url)
    for _ in range(10):
        assert seen.get(timeout=WAIT) == "gone"


def test_two_may_wait_for_messages_at_once(start: Starter, client: Client) -> None:
    """As middleware and what it wraps do."""
    seen: queue.Queue[str] = queue.Queue()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await receive()
            waiting = [asyncio.ensure_future(gone(receive)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting.pop().cancel()
            await begin(send)
            await piece(send, b"x")
            await asyncio.gather(*waiting)
            seen.put("both")

    with client.stream("GET", start(app).url()) as stream:
        next(stream.iter_bytes())
    assert seen.get(timeout=2) == "both"


def test_log_of_nothing_when_clients_go(
    server: Live, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), client.stream("GET", server.url("/forever")) as stream:
        next(stream.iter_bytes())
    assert client.get(server.url()).text == "hello"
    server.close()
    assert caplog.records == []


def test_a_stream_error_is_one(server: Live, client: Client) -> None:
    with pytest.raises(StreamError), client.stream("GET", server.url("/raise-late")) as stream:
        stream.read()
