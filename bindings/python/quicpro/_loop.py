"""Drives a quicpro loop from an asyncio event loop, stock or uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ._batch import submit
from ._check import check
from ._ffi import ffi, lib
from ._hooks import send_log
from .config import Config

_READABLE_ONLY = lib.QUICPRO_WANT_READABLE
_RUN = lib.QUICPRO_WANT_RUN
_WRITABLE = lib.QUICPRO_WANT_WRITABLE
_FOREVER = 0xFFFFFFFFFFFFFFFF


class _Watcher:
    """Watches descriptors in an asyncio loop; knows which, and for what.

    Args:
        loop: where.
        run: called when one of them is ready.
        sockets: whether they can have errors. libuv (uvloop) calls back once for a socket with an
            error, "connection refused" say, and then watches it no more; nobody is told.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, run: Callable[[], None], sockets: bool
    ) -> None:
        self._loop = loop
        self._run = run
        self._renews = sockets and not isinstance(loop, asyncio.SelectorEventLoop)
        self._wants: dict[int, int] = {}

    def update(self, wants: dict[int, int]) -> None:
        """Watch these, and nothing else."""
        for fd in self._wants.keys() - wants.keys():
            self._change(fd, self._wants[fd], 0)
        for fd, bits in wants.items():
            self._change(fd, self._wants.get(fd, 0), bits)
        self._wants = wants

    def _change(self, fd: int, old: int, new: int) -> None:
        try:
            self._set(fd, old ^ new, new)
        except RuntimeError:  # this watch has ended
            self._set(fd, old | new, 0)
            self._set(fd, new, new)

    def _set(self, fd: int, changed: int, new: int) -> None:
        call = (self._run_and_renew, fd) if self._renews else (self._run,)
        if changed & _READABLE_ONLY:
            if new & _READABLE_ONLY:
                self._loop.add_reader(fd, *call)
            else:
                self._loop.remove_reader(fd)
        if changed & _WRITABLE:
            if new & _WRITABLE:
                self._loop.add_writer(fd, *call)
            else:
                self._loop.remove_writer(fd)

    def _run_and_renew(self, fd: int) -> None:
        self._loop.call_soon(self._renew, fd)  # if it ends, then after this call
        self._run()

    def _renew(self, fd: int) -> None:
        self._change(fd, 0, self._wants.get(fd, 0))


class LoopDriver:
    """A quicpro loop that an asyncio loop runs when one of its descriptors is ready.

    Args:
        config: I/O options.
        on_batch: called with each quicpro_batch that holds events; true if nothing that it started
            goes on, so that what came of it can be sent at once.
    """

    def __init__(self, config: Config, on_batch: Callable[[Any], object]) -> None:
        ret = ffi.new("quicpro_loop **")
        check(lib.quicpro_loop_new(ret, config._struct))
        self.ptr = ret[0]
        send_log(self.ptr)
        self.records: list[bytes] = []
        self._on_batch = on_batch
        self._batch = ffi.new("const quicpro_batch **")
        self._asyncio = asyncio.get_running_loop()
        # Most backends have one descriptor for everything, and no timer beside it.
        self._single = lib.quicpro_loop_fd(self.ptr) >= 0
        self._watcher = _Watcher(self._asyncio, self.run, sockets=not self._single)
        self._version = ffi.new("uint64_t *")
        self._list = ffi.new("quicpro_watch[]", 8)
        self._flush_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._expiry = _FOREVER
        self._watch()

    def run(self) -> None:
        """Receive, hand the batch over, and have a flush follow what it starts."""
        if self.ptr is None:
            return
        count = lib.quicpro_loop_run(self.ptr, 0, self._batch)
        if count < 0:
            check(count)
        if count and self._on_batch(self._batch[0]):
            self._flush()
        else:
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
        again = lib.quicpro_loop_wants(self.ptr) & _RUN
        if again:
            self._asyncio.call_soon(self.run)
        if not self._single:
            self._watch()
            self._arm(_FOREVER if again else lib.quicpro_loop_expiry(self.ptr))

    def _watch(self) -> None:
        """Bring what asyncio watches up to date."""
        while True:
            count = check(
                lib.quicpro_loop_fds(self.ptr, self._list, len(self._list), self._version)
            )
            if count <= len(self._list):
                break
            self._list = ffi.new("quicpro_watch[]", 2 * count)
        if count:
            self._watcher.update({w.fd: w.wants for w in self._list[0:count]})

    def _arm(self, expiry: int) -> None:
        if expiry == self._expiry:
            return
        self._expiry = expiry
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if expiry != _FOREVER:
            delay_ms = -((lib.quicpro_now() - expiry) // 1_000_000)  # rounded up
            self._timer = self._asyncio.call_later(max(0, delay_ms) / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._expiry = _FOREVER
        self.run()

    def submit(self) -> None:
        """Hand over the records collected so far, so that a direct command comes after them."""
        if self.records:
            submit(self.ptr, self.records)

    def close(self) -> None:
        """Free the loop; servers and clients on it must have been freed."""
        if self.ptr is None:
            return
        if not self._asyncio.is_closed():  # else nothing is watched any more
            self._watcher.update({})
        self._arm(_FOREVER)
        lib.quicpro_loop_free(self.ptr)
        self.ptr = None
