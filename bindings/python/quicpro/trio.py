"""Raw QUIC on trio: `quicpro.trio.connect()` and `listen()`, as `quicpro.connect()` and `listen()`
are for asyncio.

    async with quicpro.trio.connect("example.org", 4433, alpn=["echo"]) as conn:
        stream = await conn.open_stream()

Every call that can be awaited is a checkpoint. Needs trio: pip install trio
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

try:
    import trio
except ImportError as e:  # pragma: no cover
    raise ImportError("quicpro.trio needs trio: pip install trio") from e

from ._check import check
from ._ffi import ffi, lib
from ._hooks import send_log
from ._raw import by_name, check_port, client_options, server_options
from ._raw_async import (
    Connection,
    Handler,
    Hub,
    Opening,
    Stream,
    answer,
    open_connection,
    shared_hub,
)
from ._raw_async import Listener as _Listener
from .config import Config

__all__ = ["Connection", "Listener", "Stream", "connect", "listen"]

_FOREVER = 0xFFFFFFFFFFFFFFFF


class _Driver:
    """A loop of the library that two system tasks of trio run: one watches, one flushes."""

    def __init__(self, config: Config, on_batch: Callable[[Any], object], over: Any) -> None:
        ret = ffi.new("quicpro_loop **")
        check(lib.quicpro_loop_new(ret, config._struct))
        self.ptr = ret[0]
        send_log(self.ptr)
        self._on_batch = on_batch
        self._over = over
        self._batch = ffi.new("const quicpro_batch **")
        self._single = lib.quicpro_loop_fd(self.ptr) >= 0
        self._dirty = trio.Event()
        self._scope = trio.CancelScope()
        self.soon: list[Callable[[], None]] = []
        trio.lowlevel.spawn_system_task(self._watch)
        trio.lowlevel.spawn_system_task(self._flush_when_dirty)

    def schedule_flush(self) -> None:
        """One flush, after everything that is ready to run now."""
        self._dirty.set()

    def _watched(self) -> list[tuple[int, int]]:
        version = ffi.new("uint64_t *")
        size = 8
        while True:
            found = ffi.new("quicpro_watch[]", size)
            count = check(lib.quicpro_loop_fds(self.ptr, found, size, version))
            if count <= size:
                return [(w.fd, w.wants) for w in found[0:count]]
            size = 2 * count

    async def _watch(self) -> None:
        try:
            while self.ptr is not None:
                with (
                    trio.CancelScope() as self._scope,
                    contextlib.suppress(trio.ClosedResourceError),
                ):
                    await self._ready(self._watched(), lib.quicpro_loop_expiry(self.ptr))
                if self.ptr is not None:
                    self._run()
        finally:
            self._over()

    async def _ready(self, watched: list[tuple[int, int]], expiry: int) -> None:
        if self._single:
            await trio.lowlevel.wait_readable(watched[0][0])
            return
        if expiry != _FOREVER:
            self._scope.deadline = trio.current_time() + (expiry - lib.quicpro_now()) / 1e9
        async with trio.open_nursery() as nursery:

            async def one(wait: Any, fd: int) -> None:
                with contextlib.suppress(trio.ClosedResourceError, OSError):
                    await wait(fd)
                nursery.cancel_scope.cancel()

            for fd, wants in watched:
                if wants & lib.QUICPRO_WANT_READABLE:
                    nursery.start_soon(one, trio.lowlevel.wait_readable, fd)
                if wants & lib.QUICPRO_WANT_WRITABLE:
                    nursery.start_soon(one, trio.lowlevel.wait_writable, fd)

    def _run(self) -> None:
        if check(lib.quicpro_loop_run(self.ptr, 0, self._batch)):
            self._on_batch(self._batch[0])
        self.schedule_flush()

    async def _flush_when_dirty(self) -> None:
        while self.ptr is not None:
            await self._dirty.wait()
            self._dirty = trio.Event()
            if self.ptr is None:
                return
            lib.quicpro_loop_flush(self.ptr)
            if lib.quicpro_loop_wants(self.ptr) & lib.QUICPRO_WANT_RUN:
                await trio.lowlevel.checkpoint()
                if self.ptr is not None:
                    self._run()
            elif not self._single:
                self._scope.cancel()  # there may be other descriptors, or another time
            soon, self.soon = self.soon, []
            for what in soon:
                what()

    def close(self) -> None:
        """Free the loop; servers and clients on it must have been freed."""
        with contextlib.suppress(RuntimeError):  # trio has ended
            for fd, _ in self._watched():
                trio.lowlevel.notify_closing(fd)
            self._scope.cancel()
        lib.quicpro_loop_free(self.ptr)
        self.ptr = None
        self._dirty.set()


class _Hub(Hub):
    """On trio."""

    connection_class = Connection
    checkpoint = staticmethod(trio.lowlevel.checkpoint)
    driver: _Driver | None

    def new_driver(self, config: Config) -> _Driver:
        self._place = trio.lowlevel.current_root_task()
        return _Driver(config, self.on_batch, self._end)

    def _end(self) -> None:
        """trio.run() is over, or this is."""
        if self.driver is not None:
            self.free()

    def is_at(self, place: object) -> bool:
        return self._place is place

    def soon(self, what: Callable[[], None]) -> None:
        if self.driver is not None:
            self.driver.soon.append(what)
            self.driver.schedule_flush()

    async def sleep(self, gate: list[Any], first: bool) -> None:
        task = trio.lowlevel.current_task()
        gate.insert(0 if first else len(gate), task)

        def abort(_: Any) -> trio.lowlevel.Abort:
            gate.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self, gate: list[Any]) -> None:
        if gate:
            trio.lowlevel.reschedule(gate.pop(0))


def connect(
    host: str,
    port: int,
    *,
    alpn: Sequence[str] | None = None,
    cafile: str | os.PathLike[str] | None = None,
    verify: bool | None = None,
    handshake_timeout: float | None = None,
    early_data: bool = False,
    config: Config | None = None,
) -> Opening[Connection]:
    """Connect to a server of a protocol of your own: `await` it, or `async with` it.

    Arguments and errors are those of `quicpro.connect()`.
    """
    options = client_options(alpn, config, cafile, verify, handshake_timeout, early_data)
    return Opening(_connect(host, port, options, early_data))


async def _connect(host: str, port: int, config: Config, early: bool) -> Connection:
    hub = shared_hub(_Hub, trio.lowlevel.current_root_task(), config)
    return await open_connection(hub, host, port, config, early)


class Listener(_Listener):
    __doc__ = _Listener.__doc__

    async def serve(self, handler: Handler) -> None:
        """Run a handler for each connection, until the listener is closed; a connection is closed
        when its handler returns."""
        async with trio.open_nursery() as nursery:
            async for conn in self:
                nursery.start_soon(answer, handler, conn)


def listen(
    host: str | None,
    port: int,
    *,
    alpn: Sequence[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    certs: Mapping[str, tuple[Any, Any]] | None = None,
    config: Config | None = None,
) -> Opening[Listener]:
    """Listen for connections of a protocol of your own: `await` it, or `async with` it.

    Arguments and errors are those of `quicpro.listen()`; in place of its handler there is
    `Listener.serve()`.
    """
    options = server_options(alpn, config, certfile, keyfile)
    check_port(port, 0)
    return Opening(_listen(host, port, options, certs or {}))


async def _listen(
    host: str | None, port: int, config: Config, certs: Mapping[str, tuple[Any, Any]]
) -> Listener:
    return Listener(_Hub(config, False), config, host, port, by_name(config, certs))
