"""quicpro._loop: a quicpro loop on an asyncio loop."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from live import WAIT
from quicpro import _batch
from quicpro._ffi import ffi, lib
from quicpro._loop import LoopDriver, _Watcher
from quicpro._run import run_event_loop
from quicpro.config import Config
from quicpro.errors import InvalidValue


def drive(main: Callable[[], Coroutine[Any, Any, Any]], loop: str) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(main(), WAIT)

    return run_event_loop(limited, loop)


def test_timers_and_events_reach_python(loop: str, silent_port: int) -> None:
    """A handshake that nobody answers: it is sent, retried and given up by the loop's timers."""

    async def main() -> list[int]:
        closed = asyncio.get_running_loop().create_future()
        seen: list[int] = []

        def on_batch(raw: Any) -> None:
            words = _batch.Batch(raw).words
            seen.extend(word & 0xFFFF for word in words[::8])
            closed.set_result(_batch.error_of(words[0]))

        driver = LoopDriver(Config(), on_batch)
        config = Config(handshake_timeout_ms=100)
        client = ffi.new("quicpro_client **")
        assert lib.quicpro_client_new(client, driver.ptr, config._struct) == 0
        conn = ffi.new("quicpro_conn *")
        rc = lib.quicpro_client_connect(client[0], b"127.0.0.1", silent_port, ffi.NULL, conn)
        assert rc == 0
        driver.schedule_flush()
        assert await closed == lib.QUICPRO_EHANDSHAKE
        lib.quicpro_client_free(client[0])
        driver.close()
        return seen

    assert drive(main, loop) == [_batch.CLOSED]


def test_close_frees_descriptors_and_may_be_repeated(loop: str) -> None:
    async def main() -> None:
        before = set(os.listdir("/proc/self/fd"))
        drivers = [LoopDriver(Config(), print) for _ in range(5)]
        assert len(os.listdir("/proc/self/fd")) > len(before)
        for driver in drivers:
            driver.schedule_flush()  # comes after the close, and does nothing
            driver.close()
            driver.close()
            driver.run()
        assert len(os.listdir("/proc/self/fd")) == len(before)

    drive(main, loop)


def test_records_are_submitted_by_the_next_flush(loop: str) -> None:
    async def main() -> None:
        driver = LoopDriver(Config(), print)
        driver.records.append(_batch.command(_batch.OP_RESET, 1))
        driver.schedule_flush()
        driver.schedule_flush()
        flushed = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(flushed.set_result, None)
        await flushed
        assert driver.records == []
        driver.close()

    drive(main, loop)


def connect(driver: LoopDriver, port: int, config: Config) -> Any:
    """A client on the driver that has begun a handshake."""
    client = ffi.new("quicpro_client **")
    assert lib.quicpro_client_new(client, driver.ptr, config._struct) == 0
    conn = ffi.new("quicpro_conn *")
    assert lib.quicpro_client_connect(client[0], b"127.0.0.1", port, ffi.NULL, conn) == 0
    driver.schedule_flush()
    return client[0]


async def flushed() -> None:
    """Until what is scheduled now has run."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


def test_many_descriptors_come_and_go(loop: str, silent_port: int) -> None:
    """Each socket of the "poll" backend is watched, and nothing that is no longer its own."""

    async def main() -> None:
        driver = LoopDriver(Config(io="poll"), print)
        watched = driver._watcher._wants
        assert len(watched) == 1  # the one that wakes
        for _ in range(2):
            clients = [connect(driver, silent_port, Config()) for _ in range(20)]
            await flushed()
            assert len(driver._watcher._wants) == 21
            ours = driver._watcher._wants.keys() - watched.keys()
            for client in clients:
                lib.quicpro_client_free(client)
            # What else is opened now must not get a number that asyncio still watches for us.
            others = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
            assert not ours & {other.fileno() for other in others}
            driver.schedule_flush()
            await flushed()
            assert driver._watcher._wants == watched
            for other in others:
                asyncio.get_running_loop().add_reader(other.fileno(), print)
                asyncio.get_running_loop().remove_reader(other.fileno())
                other.close()
        driver.close()

    drive(main, loop)


def test_watcher_tells_reading_from_writing(loop: str) -> None:
    async def main() -> None:
        a, b = socket.socketpair()
        a.setblocking(False)
        ready = asyncio.Event()
        watcher = _Watcher(asyncio.get_running_loop(), ready.set, sockets=True)
        watcher.update({a.fileno(): lib.QUICPRO_WANT_READABLE})
        await flushed()
        assert not ready.is_set()
        both = lib.QUICPRO_WANT_READABLE | lib.QUICPRO_WANT_WRITABLE
        watcher.update({a.fileno(): both})  # there is room
        await ready.wait()
        watcher.update({a.fileno(): lib.QUICPRO_WANT_READABLE})
        await flushed()
        ready.clear()
        b.send(b"x")
        await ready.wait()
        watcher.update({})
        a.close()
        b.close()

    drive(main, loop)


def test_a_backend_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with pytest.raises(InvalidValue, match=r"QUICPRO_IO.*abacus.*auto\|epoll\|poll"):
            LoopDriver(Config(), print)
        monkeypatch.setenv("QUICPRO_IO", "epoll")
        driver = LoopDriver(Config(io="poll"), print)  # an argument is stronger
        assert b"poll" in ffi.string(lib.quicpro_loop_backend(driver.ptr))
        driver.close()

    monkeypatch.setenv("QUICPRO_IO", "abacus")
    drive(main, "asyncio")


def test_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError):
        LoopDriver(Config(), print)


@pytest.mark.parametrize("changed", [False, True])
def test_watches_outlive_errors_of_sockets(loop: str, changed: bool) -> None:
    """Which libuv ends without a word."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ours.setblocking(False)
            ours.connect(peer.getsockname())
        ready = asyncio.Event()
        seen: list[object] = []

        def read() -> None:
            try:
                seen.append(ours.recv(100))
            except OSError as e:
                seen.append(type(e))
            ready.set()

        watcher = _Watcher(asyncio.get_running_loop(), read, sockets=True)
        watcher.update({ours.fileno(): lib.QUICPRO_WANT_READABLE})
        ours.send(b"refused")
        await ready.wait()
        if changed:  # before it is renewed
            both = lib.QUICPRO_WANT_READABLE | lib.QUICPRO_WANT_WRITABLE
            watcher.update({ours.fileno(): both})
            watcher.update({ours.fileno(): lib.QUICPRO_WANT_READABLE})
        await flushed()
        await flushed()
        seen.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(ours.getpeername())
            peer.sendto(b"back", ours.getsockname())
            ready.clear()
            await ready.wait()
        assert seen == [b"back"]
        watcher.update({})
        ours.close()

    drive(main, loop)
