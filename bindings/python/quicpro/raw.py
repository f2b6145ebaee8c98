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
import warnings
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from . import errors
from ._check import check_loop, error
from ._ffi import ffi, lib
from ._loop import LoopDriver
from ._options import table
from ._raw import Core, client_options, server_options
from ._raw_async import Connection as _Connection
from ._raw_async import Handler, Opening, answer, until
from ._raw_async import Listener as _Listener
from ._raw_async import Stream as _Stream
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


def _wake(gate: list[Any]) -> None:
    while gate:
        future = gate.pop(0)
        if not future.done():
            future.set_result(None)
            return


class _Hub:
    """A loop of the library on an asyncio loop, with what runs on it.

    One for each listener; one for all connections of an asyncio loop whose sockets have the same
    options. That one ends with its last connection.
    """

    checkpoint = None

    def __init__(self, config: Config, shared: bool) -> None:
        self.server: Any = None
        self._clients: list[tuple[Config, Any]] = []
        self._shared = shared
        self._pid = os.getpid()
        self.driver: LoopDriver | None = None
        self.loop = asyncio.get_running_loop()
        driver = LoopDriver(config, self._on_batch)
        self.driver = driver
        self.core = Core(driver.ptr, config, Connection, driver.schedule_flush, _wake)
        self.core.front = self
        _alive.add(self)

    def _on_batch(self, raw: Any) -> None:
        self.core.feed(raw)
        if self._shared and not self.core.conns:
            self.loop.call_soon(self._free_if_idle)

    def _free_if_idle(self) -> None:
        if not self.core.conns:
            self.free()

    async def sleep(self, gate: list[Any], first: bool) -> None:
        future = self.loop.create_future()
        gate.insert(0 if first else len(gate), future)
        try:
            await future
        except BaseException:
            if future in gate:
                gate.remove(future)
            else:
                _wake(gate)
            raise

    def client(self, config: Config) -> Any:
        """The library's client for a configuration."""
        for known, ptr in self._clients:
            if known is config or known._layers == config._layers:
                return ptr
        ret = ffi.new("quicpro_client **")
        loop = self.core.loop
        check_loop(lib.quicpro_client_new(ret, loop, config._struct), loop)
        self._clients.append((config, ret[0]))
        return ret[0]

    def free(self) -> None:
        driver, self.driver = self.driver, None
        if driver is None or self._pid != os.getpid():
            return
        if self.server is not None:
            lib.quicpro_server_free(self.server)
        for _, ptr in self._clients:
            lib.quicpro_client_free(ptr)
        self.core.end(errors.ConnectionClosed("the listener was closed"))
        driver.close()

    def forked(self) -> None:
        """This is a child: the sockets are the parent's, so leave all of it alone."""
        self.driver = None
        self.core.end(error(lib.QUICPRO_EFORK))

    def __del__(self) -> None:
        if self.driver is None:
            return
        if self.core.conns or self.server is not None:
            text = f"never closed: {self.what()}"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        self.loop = self.driver._asyncio
        self.free()

    def what(self) -> str:
        kind = "a listener" if self.server is not None else "connections"
        return f"{kind} of quicpro ({len(self.core.conns)} open)"


_alive: weakref.WeakSet[_Hub] = weakref.WeakSet()
_hubs: weakref.WeakValueDictionary[tuple[Any, ...], _Hub] = weakref.WeakValueDictionary()


def _after_fork() -> None:
    for hub in list(_alive):
        hub.forked()


os.register_at_fork(after_in_child=_after_fork)


def _shared_hub(config: Config) -> _Hub:
    loop = asyncio.get_running_loop()
    sockets = tuple(config[key] for key, row in table().items() if row.group == "socket")
    key = (id(loop), sockets)
    hub = _hubs.get(key)
    if hub is None or hub.driver is None or hub.loop is not loop:
        hub = _hubs[key] = _Hub(config, True)
    return hub


def connect(
    host: str,
    port: int,
    *,
    alpn: Sequence[str] | None = None,
    cafile: str | os.PathLike[str] | None = None,
    verify: bool | None = None,
    handshake_timeout: float | None = None,
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
        config: further options, such as `datagrams_enable`.

    Returns:
        An open `Connection`.

    Raises:
        ConfigError: an option cannot have its value.
        ValueError: no such port, no protocol, or HTTP/3.
        ConnectionError: it failed: `ResolveError`, `ConnectionRefused`, `HandshakeTimeout`,
            `TLSError` (also for no common protocol), `VerificationError`.
    """
    options = client_options(alpn, config, cafile, verify, handshake_timeout)
    return Opening(_connect(host, port, options))


async def _connect(host: str, port: int, config: Config) -> Connection:
    hub = _shared_hub(config)
    try:
        conn = hub.core.connect(hub.client(config), host, port, config)
    except BaseException:
        hub._free_if_idle()
        raise
    try:
        await until(hub, conn.connecting, conn.poll_connected)
    except BaseException:
        conn.close()
        raise
    assert isinstance(conn, Connection)
    return conn


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
    if not isinstance(port, int):
        raise TypeError(f"a port is an int, not {type(port).__name__}")
    if not 0 <= port < 65536:
        raise ValueError(f"a port is 0 to 65535, not {port}")
    return Opening(_listen(host, port, handler, options, certs or {}))


async def _listen(
    host: str | None,
    port: int,
    handler: Handler | None,
    config: Config,
    certs: Mapping[str, tuple[Any, Any]],
) -> Listener:
    names = [
        (name, config.replace(cert_file=c, key_file=k, cert_data=b"", key_data=b"", ocsp_file=""))
        for name, (c, k) in certs.items()
    ]
    listener = Listener(_Hub(config, False), config, host, port, names)
    if handler is not None:
        listener._start(handler)
    return listener
