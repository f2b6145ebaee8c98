"""One request and its response, without a connection: what goes out, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from quicpro import StreamReset, _batch
from quicpro._exchange import BODY_PAUSE, Exchange

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"A", b"1")]}


class Records:
    """Takes the place of a server: keeps the records that it would send."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.records: list[bytes] = []
        self.record = self.records.append

    @staticmethod
    def pack(headers: Any) -> Any:
        return _batch.pack_fields([(n.lower(), v) for n, v in headers])


def run(function: Any, method: str = "GET", fin: bool = True) -> list[bytes]:
    """What `function(exchange)` has sent."""

    async def main() -> list[bytes]:
        server: Any = Records()
        result = function(Exchange(server, 7, method, "/", fin))
        if isinstance(result, Coroutine):
            await asyncio.wait_for(result, 30)
        return server.records

    return asyncio.run(main())


def test_a_response_is_one_record() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(START)
        await exchange.send({"type": "http.response.body", "body": b"text"})

    want = _batch.respond(7, 200, _batch.pack_fields([(b"a", b"1")]), b"text", True)
    assert run(answer) == [want]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_without_a_body(method: str, status: int) -> None:
    async def answer(exchange: Exchange) -> None:
        headers = [(b"content-length", b"4")]
        await exchange.send(START | {"status": status, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b"text"})

    fields = [] if status == 204 else [(b"content-length", b"4")]
    assert run(answer, method) == [_batch.respond(7, status, _batch.pack_fields(fields), b"", True)]


def test_a_body_that_is_not_read_holds_the_peer_up() -> None:
    async def read(exchange: Exchange) -> None:
        exchange.on_data(bytes(BODY_PAUSE), False)
        assert not exchange.paused
        exchange.on_data(b"more", False)
        exchange.on_data(b"still more", True)
        message = await exchange.receive()
        assert len(message["body"]) == BODY_PAUSE + 14 and not message["more_body"]

    want = [_batch.command(op, 7) for op in (_batch.OP_PAUSE, _batch.OP_RESUME)]
    assert run(read, "POST", fin=False) == want


def test_an_end_without_bytes_is_told_once() -> None:
    async def read(exchange: Exchange) -> None:
        exchange.on_data(b"a", False)
        assert (await exchange.receive())["more_body"]
        exchange.on_data(b"", True)
        assert await exchange.receive() == {
            "type": "http.request", "body": b"", "more_body": False
        }  # fmt: skip
        exchange.on_reset()
        assert await exchange.receive() == {"type": "http.disconnect"}

    assert run(read, "POST", fin=False) == []


def test_who_sends_hears_that_the_client_has_gone() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(START)
        exchange.on_reset()
        with pytest.raises(StreamReset):
            await exchange.send({"type": "http.response.body", "body": b"text"})
        exchange.settle(None)

    assert run(answer) == []


def test_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def started(exchange: Exchange) -> None:
        await exchange.send(START)
        exchange.settle(ValueError("as wished"))

    assert b"Internal Server Error" in run(lambda exchange: exchange.settle(None))[0]
    assert b"Internal Server Error" in run(started)[0]
    assert [r.message for r in caplog.records] == [
        "GET /: the application returned without a complete response",
        "GET /: the application raised",
    ]
