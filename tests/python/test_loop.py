"""quicpro._loop: a quicpro loop on an asyncio loop."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from live import WAIT
from quicpro import _batch
from quicpro._ffi import ffi, lib
from quicpro._loop import LoopDriver
from quicpro.config import Config
from quicpro.server import run_event_loop


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


def test_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError):
        LoopDriver(Config(), print)
