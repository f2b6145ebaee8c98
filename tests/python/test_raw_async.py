"""quicpro._raw_async: connections and listeners to await."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import quicpro
from conftest import Pair
from live import WAIT
from quicpro import Connection, ConnectionClosed, StreamLimit
from quicpro._run import run_event_loop

Serve = Callable[..., Any]


@pytest.fixture
def serve(certs: Path, loop: str) -> Serve:
    """serve(handler, main) runs `await main(listener, connect)` with a listener for the handler."""

    def run(
        handler: Any, main: Callable[[quicpro.Listener, Any], Awaitable[None]], **options: Any
    ) -> None:
        async def limited() -> None:
            def connect() -> Any:
                return quicpro.connect(
                    "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem"
                )

            serving = quicpro.listen(
                "127.0.0.1", 0, handler, alpn=["echo"],
                certfile=certs / "cert.pem", keyfile=certs / "key.pem", **options,
            )  # fmt: skip
            async with serving as listener:
                await asyncio.wait_for(main(listener, connect), WAIT)

        run_event_loop(limited, loop)

    return run


async def echo(conn: Connection) -> None:
    async for stream in conn:
        while data := await stream.read(65536):
            stream.write(data)
            await stream.drain()
        stream.write_eof()


def test_many_tasks_on_one_connection(serve: Serve) -> None:
    async def main(listener: quicpro.Listener, connect: Any) -> None:
        async with connect() as conn:

            async def one(n: int) -> None:
                stream = await conn.open_stream()
                stream.write(b"%d" % n * n)
                stream.write_eof()
                assert await stream.read() == b"%d" % n * n

            # More than the peer allows at once: the others wait.
            await asyncio.gather(*(one(n) for n in range(300)))
            assert listener.connections() == 1
        assert conn._core.streams == {} and all(gate == [] for gate in conn.opening)

    serve(echo, main)


def test_accept_and_iteration(serve: Serve) -> None:
    async def main(listener: quicpro.Listener, connect: Any) -> None:
        waiting = asyncio.ensure_future(listener.accept())
        async with connect() as first, connect() as second:
            assert (await waiting).peer == first.local
            async for conn in listener:
                assert conn.peer == second.local and conn.is_server
                break
            waiting = asyncio.ensure_future(listener.accept())
            await asyncio.sleep(0)
            listener.close()
            listener.close()
            with pytest.raises(ConnectionClosed, match="listener was closed"):
                await waiting
            with pytest.raises(ConnectionClosed):
                await listener.accept()
            with pytest.raises(ConnectionClosed):
                listener.reload_tls()
            assert [c async for c in listener] == [] and listener.connections() == 0
            assert "closed by the peer" in str(await first.wait_closed())

    serve(None, main)


def test_handlers_that_fail(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(conn: Connection) -> None:
        stream = await conn.accept_stream()
        if await stream.readline() == b"fail\n":
            raise ZeroDivisionError
        await asyncio.gather(conn.accept_stream(), conn.receive_datagram())

    async def main(listener: quicpro.Listener, connect: Any) -> None:
        async with connect() as conn:
            (await conn.open_stream()).write(b"fail\n")
            why = await conn.wait_closed()
            assert isinstance(why, ConnectionClosed) and why.remote and why.wire_code == 1
            assert conn.reason == "internal error"
        async with connect() as conn:
            (await conn.open_stream()).write(b"wait\n")

    with caplog.at_level(logging.INFO, "quicpro.raw"):
        serve(handler, main)
    assert [r.message.split(" failed")[1] for r in caplog.records] == [""]


def test_the_iteration_ends_as_the_connection_does(pair: Pair) -> None:
    async def good(ours: Connection, theirs: Connection) -> None:
        (await ours.open_stream()).write_eof()
        seen = []
        async for stream in theirs:
            seen.append(await stream.read())
            ours.close()
        assert seen == [b""]

    async def bad(ours: Connection, theirs: Connection) -> None:
        ours.close(5, "no (thanks)")
        with pytest.raises(ConnectionClosed, match="code 5"):
            async for _ in theirs:
                raise AssertionError
        assert theirs.reason == "no (thanks)"
        assert theirs.error is not None and (theirs.error.wire_code, theirs.error.remote) == (
            5,
            True,
        )
        await ours.wait_closed()  # its own loop tells it
        assert ours.error is not None and ours.error.remote is False

    pair(good)
    pair(bad)


def test_limits_of_streams(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        streams = [await ours.open_stream(wait=False) for _ in range(4)]
        for stream in streams:
            stream.write(b"x")  # the peer gives no more before it has seen these
        uni = [await ours.open_stream(False, wait=False) for _ in range(4)]
        for bidi, word in ((True, "bidirectional"), (False, "unidirectional")):
            with pytest.raises(StreamLimit, match=word):
                await ours.open_stream(bidi, wait=False)
        waiting = [asyncio.ensure_future(ours.open_stream()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        for stream in streams[:2]:
            stream.write_eof()
            its = await theirs.accept_stream()
            its.write_eof()
            assert await its.read() == b"x" and await stream.read() == b""
        assert [(await w).id for w in waiting[1:]] == [16, 20]
        assert len(uni) == 4

    pair(main, initial_max_streams_bidi=4, initial_max_streams_uni=4)


def test_datagrams(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        for data in (b"ping", b"", bytearray(b"pong"), bytes(ours.datagram_max)):
            assert ours.send_datagram(data)
            assert await theirs.receive_datagram() == data
        with pytest.raises(ValueError, match="at most"):
            ours.send_datagram(bytes(ours.datagram_max + 1))
        waiting = [asyncio.ensure_future(theirs.receive_datagram()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        ours.send_datagram(b"a")
        ours.send_datagram(b"b")
        assert [await w for w in waiting[1:]] == [b"a", b"b"]
        ours.close()
        for call in (ours.receive_datagram(), theirs.receive_datagram()):
            with pytest.raises(ConnectionClosed):
                await call
        assert theirs.datagram_max == 0

    pair(main)


def test_datagrams_that_nobody_receives_are_dropped(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        sent = 0
        while theirs.datagrams_dropped == 0:
            sent += ours.send_datagram(b"x")
            await asyncio.sleep(0)
        assert len(theirs._datagrams) == 4 and sent > 4

    pair(main, dgram_recv_queue_len=4)


def test_cancelling_those_who_wait(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        calls = (
            ours.accept_stream, ours.receive_datagram, ours.wait_closed,
            lambda: anext(aiter(ours)),
        )  # fmt: skip
        for call in calls:
            task = asyncio.ensure_future(call())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ours.accepting == ours.receiving == ours.ending == []
        (await theirs.open_stream()).write(b"x")
        assert await (await ours.accept_stream()).read(1) == b"x"

    pair(main)


def test_after_a_close(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        stream = await ours.open_stream()
        stream.write(b"x")
        its = await theirs.accept_stream()
        facts = ours.info
        ours.close(7, "enough")
        ours.close()
        for call in (ours.open_stream, ours.accept_stream):
            with pytest.raises(ConnectionClosed, match="by us"):
                await call()
        why = await ours.wait_closed()
        assert await ours.wait_closed() is why
        with pytest.raises(ConnectionClosed, match="by us"):
            stream.write(b"y")
        with pytest.raises(ConnectionClosed):
            ours.send_datagram(b"y")
        assert ours.peer == theirs.local and ours.info.local == facts.local
        assert await its.read(5) == b"x"  # what came before is there
        with pytest.raises(ConnectionClosed, match=r"by the peer .* 7 \(enough\)"):
            await its.read(5)
        await theirs.wait_closed()
        assert theirs.alpn == "echo" and theirs.early_data == "none"
        for wrong in ("x" * 257, "a\0b"):
            with pytest.raises(ValueError):
                ours.close(0, wrong)

    pair(main)


def test_certificates_of_peers(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        chain = ours.peer_certificates
        assert chain and chain[0][:1] == b"\x30" and theirs.peer_certificates == ()
        ours.close()
        await ours.wait_closed()
        assert ours.peer_certificates == chain

    pair(main)
