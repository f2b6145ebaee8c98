"""quicpro.trio: the same connections and streams on trio."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from live import WAIT, python
from quicpro import Config, ConnectionClosed, HandshakeTimeout, StreamReset

trio = pytest.importorskip("trio")
import quicpro.trio  # noqa: E402
from quicpro.trio import Connection, Listener, Stream  # noqa: E402

Go = Callable[[Callable[[Listener, Any], Awaitable[None]]], None]


@pytest.fixture
def go(certs: Path) -> Go:
    """go(main) runs `await main(listener, connect)`."""

    def run(main: Callable[[Listener, Any], Awaitable[None]]) -> None:
        config = Config(datagrams_enable=True)

        async def limited() -> None:
            def connect() -> Any:
                return quicpro.trio.connect(
                    "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem",
                    config=config,
                )  # fmt: skip

            listening = quicpro.trio.listen(
                "127.0.0.1", 0, alpn=["echo"], config=config,
                certfile=certs / "cert.pem", keyfile=certs / "key.pem",
            )  # fmt: skip
            with trio.fail_after(WAIT):
                async with listening as listener:
                    await main(listener, connect)

        trio.run(limited)

    return run


async def echo(conn: Connection) -> None:
    async def one(stream: Stream) -> None:
        while data := await stream.read(65536):
            stream.write(data)
            await stream.drain()
        stream.write_eof()

    async with trio.open_nursery() as nursery:
        async for stream in conn:
            nursery.start_soon(one, stream)


def test_many_tasks_on_one_connection(go: Go) -> None:
    async def main(listener: Listener, connect: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.serve, echo)
            async with connect() as conn:

                async def one(n: int) -> None:
                    stream = await conn.open_stream()
                    stream.write(b"%d" % n * n)
                    stream.write_eof()
                    assert await stream.read() == b"%d" % n * n

                async with trio.open_nursery() as tasks:
                    for n in range(150):  # more than the peer allows at once
                        tasks.start_soon(one, n)
                data = os.urandom(1_000_000)
                big = await conn.open_stream()

                async def send() -> None:
                    for at in range(0, len(data), 100_000):
                        big.write(data[at : at + 100_000])
                        await big.drain()
                    big.write_eof()

                async with trio.open_nursery() as tasks:
                    tasks.start_soon(send)
                    assert await big.readexactly(len(data)) == data
            assert conn._core.streams == {}
            nursery.cancel_scope.cancel()

    go(main)


def test_cancelled_waits_lose_nothing(go: Go) -> None:
    async def main(listener: Listener, connect: Any) -> None:
        async with connect() as ours:
            theirs = await listener.accept()
            mine = await ours.open_stream()
            mine.write(b"hello")
            its = await theirs.accept_stream()
            calls = (
                lambda: its.readexactly(10), theirs.accept_stream, theirs.receive_datagram,
                theirs.wait_closed, listener.accept,
            )  # fmt: skip
            for call in calls:
                with trio.move_on_after(0.001) as scope:
                    await call()
                assert scope.cancelled_caught
            mine.write(b"world")
            assert await its.readexactly(10) == b"helloworld"
            assert its.readers == theirs.accepting == theirs.receiving == theirs.ending == []
            ours.send_datagram(b"ping")
            assert await theirs.receive_datagram() == b"ping"
            mine.reset(7)
            with pytest.raises(StreamReset):
                await its.read(1)

    go(main)


def test_every_call_is_a_checkpoint(go: Go) -> None:
    async def main(listener: Listener, connect: Any) -> None:
        async with connect() as ours:
            stream = await ours.open_stream()
            for call in (stream.drain, lambda: stream.read(0), ours.open_stream):
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await call()
                assert scope.cancelled_caught

    go(main)


def test_ends(go: Go, silent_port: int) -> None:
    gc.collect()  # what other tests left has descriptors, too

    async def main(listener: Listener, connect: Any) -> None:
        async with connect() as ours, connect() as other:
            assert ours._core is other._core
            theirs = await listener.accept()
            ours.close(5, "enough")
            why = await theirs.wait_closed()
            assert isinstance(why, ConnectionClosed) and (why.wire_code, why.remote) == (5, True)
            listener.close()
            with pytest.raises(ConnectionClosed):
                await listener.accept()
            assert [c async for c in listener] == []
        with pytest.raises(HandshakeTimeout):
            await quicpro.trio.connect(
                "127.0.0.1", silent_port, alpn=["echo"], handshake_timeout=0.1
            )

    before = set(os.listdir("/proc/self/fd"))
    go(main)
    assert set(os.listdir("/proc/self/fd")) == before


def test_trio_that_ends_with_open_connections(certs: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))

    async def main() -> None:
        listener = await quicpro.trio.listen(
            "127.0.0.1", 0, alpn=["echo"],
            certfile=certs / "cert.pem", keyfile=certs / "key.pem",
        )  # fmt: skip
        await quicpro.trio.connect(
            "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem"
        )

    trio.run(main)
    assert set(os.listdir("/proc/self/fd")) == before


def test_without_trio() -> None:
    done = python("import sys; sys.modules['trio'] = None\nimport quicpro.trio")
    assert done.returncode != 0 and "pip install trio" in done.stderr


def test_the_package_loads_neither() -> None:
    done = python("import sys, quicpro.sync; print('trio' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", ""), sys.version
