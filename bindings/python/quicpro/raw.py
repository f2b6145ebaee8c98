"""Raw QUIC on asyncio: connections, streams and datagrams of a protocol of your own.

    async with quicpro.connect("example.org", 4433, alpn=["echo"]) as conn:
        stream = await conn.open_stream()
        stream.write(b"hello\\n")
        print(await stream.readline())

Connections that are open at the same time and have the same configuration share sockets, TLS
context and sessions; with `session_file` sessions outlast them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, cast

from . import errors
from ._loop import LoopDriver
from ._raw import by_name, check_port, client_options, server_options
from ._raw_async import Connection as _Connection
from ._raw_async import Handler, Hub, Opening, answer, open_connection, shared_hub
from ._raw_async import Listener as _Listener
from ._raw_async import Stream as _Stream
from ._waiter import Waiter, resume_all
from .config import Config

__all__ = ["Connection", "Listener", "Stream", "connect", "listen"]


class _IncompleteReadError(errors.IncompleteReadError, asyncio.IncompleteReadError):
    __doc__ = errors.IncompleteReadError.__doc__


class _LimitOverrunError(errors.LimitOverrunError, asyncio.LimitOverrunError):
    __doc__ = errors.LimitOverrunError.__doc__


class Stream(_Stream):
    __doc__ = _Stream.__doc__
    __slots__ = ()

    IncompleteReadError = _IncompleteReadError
    LimitOverrunError = _LimitOverrunError


class Connection(_Connection):
    __doc__ = _Connection.__doc__

    stream_class = Stream


class _Hub(Hub):
    """On asyncio."""

    connection_class = Connection
    _woken: list[Waiter] | None = None  # by the batch that is being taken in
    _written: bool | None = None  # by the tasks that are being resumed

    def new_driver(self, config: Config) -> LoopDriver:
        self.loop = asyncio.get_running_loop()
        return LoopDriver(config, self.on_batch)

    def is_at(self, place: object) -> bool:
        return self.loop is place

    def soon(self, what: Callable[[], None]) -> None:
        self.loop.call_soon(what)

    def on_batch(self, raw: Any) -> bool:
        """Take it in, then run the tasks that it woke. True: they wrote something."""
        woken: list[Waiter] = []
        self._woken = woken
        try:
            super().on_batch(raw)
        finally:
            self._woken, self._written = None, False
            try:
                resume_all(woken)
            finally:
                written, self._written = self._written, None
        return written

    def changed(self) -> None:
        if self._written is None:
            super().changed()
        else:
            self._written = True

    async def sleep(self, gate: list[Any], first: bool) -> None:
        waiter = Waiter(self.loop)
        gate.insert(0 if first else len(gate), waiter)
        try:
            await waiter
        except BaseException:
            if waiter in gate:
                gate.remove(waiter)
            else:
                self.wake(gate)
            raise

    def wake(self, gate: list[Any]) -> None:
        while gate:
            waiter = gate.pop(0)
            if waiter.finish():
                if self._woken is not None:
                    self._woken.append(waiter)
                else:
                    waiter.resume_soon()
                return


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

    Args:
        host: name or address; the certificate must name it.
        port: 1 to 65535.
        alpn: names of the protocol, best first (RFC 7301); None: as the configuration says.
        cafile: PEM file of the authorities to trust; the system's if not given.
        verify: check certificate and name; False only for tests.
        handshake_timeout: seconds for all of it; None: as the configuration says.
        early_data: with a session of an earlier connection, return before the handshake is done:
            streams that are opened now travel with the first packets, which somebody may record and
            send to the server again. See `Connection.wait_connected()`. Sessions are kept for
            connections with the same options, as long as one of them is open (blocking ones: as
            long as the process runs) or the option `session_file` names a file.
        config: further options, such as `datagrams_enable`.

    Returns:
        An open `Connection`.

    Raises:
        ConfigError: an option cannot have its value.
        ValueError: no such port, no protocol, or HTTP/3.
        ConnectionError: it failed: `ResolveError`, `ConnectionRefused`, `HandshakeTimeout`,
            `TLSError` (also for no common protocol), `VerificationError`.
    """
    options = client_options(alpn, config, cafile, verify, handshake_timeout, early_data)
    return Opening(_connect(host, port, options, early_data))


async def _connect(host: str, port: int, config: Config, early: bool) -> Connection:
    hub = shared_hub(_Hub, asyncio.get_running_loop(), config)
    return cast(Connection, await open_connection(hub, host, port, config, early))


class Listener(_Listener):
    __doc__ = _Listener.__doc__

    _task: asyncio.Task[None] | None = None

    def _start(self, handler: Handler) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._task = asyncio.get_running_loop().create_task(self._serve(handler))

    async def _serve(self, handler: Handler) -> None:
        async for conn in self:
            task = asyncio.get_running_loop().create_task(answer(handler, conn))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop, close every connection and cancel handlers. More than once does no harm."""
        super().close()
        for task in list(self._tasks) if self._task is not None else ():
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until handlers have ended, after close()."""
        if self._task is not None:
            await asyncio.gather(self._task, *self._tasks, return_exceptions=True)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()


def listen(
    host: str | None,
    port: int,
    handler: Handler | None = None,
    *,
    alpn: Sequence[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    certs: Mapping[str, tuple[Any, Any]] | None = None,
    config: Config | None = None,
) -> Opening[Listener]:
    """Listen for connections of a protocol of your own: `await` it, or `async with` it.

    Args:
        host: name or address; None: all addresses.
        port: 0 lets the kernel choose, see `Listener.port`.
        handler: called with each `Connection` in a task of its own; the connection is closed when
            it returns. None: take them by `Listener.accept()` or iteration.
        alpn: names of the protocol, best first (RFC 7301); None: as the configuration says.
        certfile: certificate chain, PEM or DER; None: as the configuration says.
        keyfile: private key, PEM or DER; None: as the configuration says.
        certs: other certificates by host name or "*.example": {host: (certfile, keyfile)}.
        config: further options, such as `datagrams_enable`.

    Returns:
        A `Listener`.

    Raises:
        CertificateError: certificate or key cannot be used.
        ConfigError: an option cannot have its value.
        ValueError: no protocol, or HTTP/3.
        OSError: the address cannot be listened on.
    """
    options = server_options(alpn, config, certfile, keyfile)
    check_port(port, 0)
    return Opening(_listen(host, port, handler, options, certs or {}))


async def _listen(
    host: str | None,
    port: int,
    handler: Handler | None,
    config: Config,
    certs: Mapping[str, tuple[Any, Any]],
) -> Listener:
    listener = Listener(_Hub(config, False), config, host, port, by_name(config, certs))
    if handler is not None:
        listener._start(handler)
    return listener
