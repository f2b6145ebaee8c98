"""quicpro._raw_stream: reading and writing a stream of a protocol of one's own."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
import quicpro
from conftest import Pair
from quicpro import Connection, StreamError, StreamReset, StreamStopped
from quicpro._raw_stream import WAIT, check_code

BIG = 3_000_000


async def both(ours: Connection, theirs: Connection, first: bytes = b"hello") -> tuple[Any, Any]:
    """A stream, from both ends."""
    mine = await ours.open_stream()
    mine.write(first)
    return mine, await theirs.accept_stream()


def test_ids_and_directions(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        for conn, want in ((ours, (0, 4, 2, 6)), (theirs, (1, 5, 3, 7))):
            ids = []
            for bidi in (True, True, False, False):
                stream = await conn.open_stream(bidi)
                stream.write_eof()
                ids.append(stream.id)
                assert stream.is_bidirectional is bidi and not stream.early_data
            assert tuple(ids) == want
        assert sorted([(await theirs.accept_stream()).id for _ in range(4)]) == [0, 2, 4, 6]

    pair(main)


def test_read(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs)
        assert await its.read(0) == b"" and await its.read(2) == b"he"
        assert await its.read(100) == b"llo"
        waiting = asyncio.ensure_future(its.read(100))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await its.read(1)
        mine.write(b"more")
        assert await waiting == b"more"
        mine.writelines([b"a", bytearray(b"b"), memoryview(b"c"), b""])
        mine.write_eof()
        mine.write_eof()
        assert await its.read() == b"abc" and its.at_eof()
        assert await its.read() == await its.read(5) == b""
        with pytest.raises(StreamError, match=r"write_eof"):
            mine.write(b"x")

    pair(main)


def test_readinto_fills_the_caller_s_memory(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs, b"line\nhello")
        assert await its.readline() == b"line\n"  # the rest is in the stream's buffer
        memory = bytearray(8)
        assert await its.readinto(memory) == 5 and memory == b"hello\0\0\0"
        mine.write(b"12345678901")
        assert await its.readinto(memoryview(memory)[2:]) == 6 and memory == b"he123456"
        assert await its.readinto(bytearray()) == 0
        assert await its.readinto(memory) == 5 and memory[:5] == b"78901"
        mine.write_eof()
        assert await its.readinto(memory) == 0
        for wrong in (b"constant", "text", memoryview(memory)[::2]):
            with pytest.raises(TypeError):
                await its.readinto(wrong)

    pair(main)


def test_readexactly(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs)
        waiting = asyncio.ensure_future(its.readexactly(8))
        await asyncio.sleep(0)
        mine.write(b" world")
        assert await waiting == b"hello wo"
        assert await its.readexactly(0) == b""
        mine.write_eof()
        with pytest.raises(ValueError):
            await its.readexactly(-1)
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await its.readexactly(4)
        assert isinstance(caught.value, quicpro.IncompleteReadError)
        assert (caught.value.partial, caught.value.expected) == (b"rld", 4)

    pair(main)


def test_readuntil_and_lines(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs, b"one\ntwo\r")
        assert await its.readuntil(b"\n") == b"one\n"
        waiting = asyncio.ensure_future(its.readuntil(b"\r\n"))
        await asyncio.sleep(0)
        mine.write(b"\nthree\nfour\nlast")
        assert await waiting == b"two\r\n"
        assert await its.readline() == b"three\n"
        mine.write_eof()
        assert [line async for line in its] == [b"four\n", b"last"]
        with pytest.raises(asyncio.IncompleteReadError):
            await its.readuntil()
        with pytest.raises(ValueError):
            await its.readuntil(b"")

    pair(main)


def test_lines_that_are_too_long(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs, b"123456\nxy")
        with pytest.raises(asyncio.LimitOverrunError) as caught:
            await its.readuntil(b"\n", limit=4)
        assert caught.value.consumed == 6
        with pytest.raises(ValueError):
            await its.readline(limit=4)
        assert await its.read(2) == b"xy"
        mine.write(bytes(100_000))
        with pytest.raises(asyncio.LimitOverrunError):
            await its.readuntil(b"\n")
        assert len(await its.readexactly(100_000)) == 100_000

    pair(main)


def test_drain_waits_for_a_peer_that_does_not_read(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine = await ours.open_stream()
        data = os.urandom(BIG)
        for at in range(0, BIG, 100_000):
            mine.write(memoryview(data)[at : at + 100_000])
        mine.write_eof()
        draining = asyncio.ensure_future(mine.drain())
        its = await theirs.accept_stream()
        head = await its.readexactly(100)
        assert not draining.done()  # windows and queue are smaller
        assert head + await its.read() == data
        await draining
        await mine.drain()

    pair(main, max_stream_window_bytes=1 << 20)


def test_a_write_keeps_what_it_was_given(pair: Pair) -> None:
    """Memory that changes after write() does not change what is sent."""

    async def main(ours: Connection, theirs: Connection) -> None:
        mine = await ours.open_stream()
        memory = bytearray(b"a" * 500_000)
        for _ in range(4):
            mine.write(memory)
        memory[:] = b"b" * 500_000
        mine.write_eof()
        its = await theirs.accept_stream()
        assert await its.read() == b"a" * 2_000_000

    pair(main)


def test_reset(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs)
        waiting = asyncio.ensure_future(its.readexactly(100))
        await asyncio.sleep(0)
        mine.reset(77)
        with pytest.raises(StreamReset, match=r"by the peer .* 77") as caught:
            await waiting
        assert (caught.value.wire_code, caught.value.remote) == (77, True)
        assert isinstance(caught.value, ConnectionResetError)
        with pytest.raises(StreamError, match="by us") as own:
            mine.write(b"x")
        assert (own.value.wire_code, own.value.remote) == (77, False)
        with pytest.raises(StreamError):
            await mine.drain()
        its.write(b"the other direction")
        assert await mine.readexactly(5) == b"the o"

    pair(main)


def test_stop(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs)
        its.stop(78)
        its.stop(79)
        with pytest.raises(StreamError, match="by us"):
            await its.read(5)
        with pytest.raises(StreamStopped, match=r"by the peer .* 78") as caught:
            while True:
                mine.write(bytes(50_000))
                await mine.drain()
                await asyncio.sleep(0)
        assert (caught.value.wire_code, caught.value.remote) == (78, True)
        assert isinstance(caught.value, BrokenPipeError)
        its.write(b"still")
        assert await mine.read(10) == b"still"

    pair(main)


def test_directions_that_are_not_there(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine = await ours.open_stream(bidi=False)
        mine.write(b"x")
        its = await theirs.accept_stream()
        assert mine.can_write_eof() and not its.can_write_eof()
        for call in (its.write_eof, its.reset, mine.stop, lambda: its.write(b"y")):
            with pytest.raises(StreamError, match=r"only"):
                call()
        with pytest.raises(StreamError, match="sending only"):
            await mine.read()
        with pytest.raises(StreamError, match="receiving only"):
            its.set_priority(1)

    pair(main)


def test_priority(pair: Pair) -> None:
    """What is urgent comes first, though it was written last."""

    async def main(ours: Connection, theirs: Connection) -> None:
        bulk, urgent = await ours.open_stream(), await ours.open_stream()
        bulk.set_priority(7)
        urgent.set_priority(0, incremental=False)
        bulk.write(bytes(2_000_000))
        urgent.write(b"now")
        urgent.write_eof()
        first, second = await theirs.accept_stream(), await theirs.accept_stream()
        its = {s.id: s for s in (first, second)}
        assert await its[urgent.id].read() == b"now"
        assert not its[bulk.id].at_eof()
        for wrong, why in ((8, ValueError), (-1, ValueError), ("x", TypeError)):
            with pytest.raises(why):
                bulk.set_priority(wrong)
        ours.close()  # else the end of its block would wait until all of it was read

    pair(main)


@pytest.mark.parametrize("code,why", [(-1, ValueError), (1 << 62, ValueError), ("a", TypeError)])
def test_codes_that_do_not_fit(pair: Pair, code: Any, why: type[Exception]) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        stream = await ours.open_stream()
        for call in (stream.reset, stream.stop, ours.close):
            with pytest.raises(why):
                call(code)
        assert check_code((1 << 62) - 1) == (1 << 62) - 1

    pair(main)


def test_wrong_types(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        stream = await ours.open_stream()
        for wrong in ("text", 5, None, [1]):
            with pytest.raises(TypeError):
                stream.write(wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                ours.send_datagram(wrong)  # type: ignore[arg-type]
        stream.write(b"right")
        assert await (await theirs.accept_stream()).readexactly(5) == b"right"

    pair(main)


def test_a_cancelled_wait_loses_nothing(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        mine, its = await both(ours, theirs)
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(its.readexactly(10), 0.001)
        mine.write(b"world")
        assert await its.readexactly(10) == b"helloworld"
        reading = asyncio.ensure_future(its.read(5))
        await asyncio.sleep(0)
        mine.write(b"again")
        its._core.wake(its.readers)  # as if the bytes came in the same moment
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await its.readexactly(5) == b"again" and its.readers == []

    pair(main)


def test_streams_that_ended_are_forgotten(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        for n in range(300):  # three times what may be open at once
            mine, its = await both(ours, theirs, b"%d" % n)
            mine.write_eof()
            its.write(await its.read())
            its.write_eof()
            assert await mine.read() == b"%d" % n
        assert ours._core.streams == {} and theirs._core.streams == {}

    pair(main)


def test_close_of_a_stream(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        async with await ours.open_stream() as mine:
            mine.write(b"all of it")
        its = await theirs.accept_stream()
        assert await its.read() == b"all of it"
        with pytest.raises(ZeroDivisionError):
            async with await ours.open_stream() as mine:
                mine.write(b"x")
                raise ZeroDivisionError
        assert repr(mine) == "<Stream 4 done>" and ours._core.streams == {}

    pair(main)


def test_wait_says_what_it_is() -> None:
    assert repr(WAIT) == "WAIT"
