"""Drives a quicpro loop from an asyncio event loop, stock or uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ._batch import submit
from ._check import check
from ._ffi import ffi, lib
from .config import Config

_READABLE_ONLY = lib.QUICPRO_WANT_READABLE
_RUN = lib.QUICPRO_WANT_RUN
_WRITABLE = lib.QUICPRO_WANT_WRITABLE


class LoopDriver:
    """A quicpro loop that an asyncio loop runs when its descriptor is ready.

    Args:
        config: I/O options.
        on_batch: called with each quicpro_batch that holds events.
    """

    def __init__(self, config: Config, on_batch: Callable[[Any], None]) -> None:
        ret = ffi.new("quicpro_loop **")
        check(lib.quicpro_loop_new(ret, config._struct))
        self.ptr = ret[0]
        self.records: list[bytes] = []
        self._on_batch = on_batch
        self._batch = ffi.new("const quicpro_batch **")
        self._asyncio = asyncio.get_running_loop()
        self._fd = lib.quicpro_loop_fd(self.ptr)
        self._flush_scheduled = False
        self._writer = False
        self._timer: asyncio.TimerHandle | None = None
        self._asyncio.add_reader(self._fd, self.run)

    def run(self) -> None:
        """Receive, hand the batch over, and have a flush follow what it starts."""
        if self.ptr is None:
            return
        count = lib.quicpro_loop_run(self.ptr, 0, self._batch)
        if count < 0:
            check(count)
        if count:
            self._on_batch(self._batch[0])
        self.schedule_flush()

    def schedule_flush(self) -> None:
        """One flush, after everything that is ready to run now."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._asyncio.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self.ptr is None:
            return
        if self.records:
            submit(self.ptr, self.records)
        lib.quicpro_loop_flush(self.ptr)
        wants = lib.quicpro_loop_wants(self.ptr)
        if wants != _READABLE_ONLY or self._writer:
            self._watch(wants)
        expiry = lib.quicpro_loop_expiry(self.ptr)
        if expiry != 0xFFFFFFFFFFFFFFFF:
            self._arm(expiry)

    def _watch(self, wants: int) -> None:
        if wants & _RUN:
            self._asyncio.call_soon(self.run)
        if bool(wants & _WRITABLE) != self._writer:
            self._writer = not self._writer
            if self._writer:
                self._asyncio.add_writer(self._fd, self.run)
            else:
                self._asyncio.remove_writer(self._fd)

    def _arm(self, expiry: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0, expiry - lib.quicpro_now()) / 1e9
        self._timer = self._asyncio.call_later(delay, self.run)

    def submit(self) -> None:
        """Hand over the records collected so far, so that a direct command comes after them."""
        if self.records:
            submit(self.ptr, self.records)

    def close(self) -> None:
        """Free the loop; servers and clients on it must have been freed."""
        if self.ptr is None:
            return
        self._asyncio.remove_reader(self._fd)
        if self._writer:
            self._asyncio.remove_writer(self._fd)
        if self._timer is not None:
            self._timer.cancel()
        lib.quicpro_loop_free(self.ptr)
        self.ptr = None
