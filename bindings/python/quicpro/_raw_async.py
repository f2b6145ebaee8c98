"""Connections and streams to await, on asyncio and trio alike: they differ in how a task sleeps."""

from __future__ import annotations

import logging
import os
import warnings
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ._check import check_loop, error
from ._ffi import ffi, lib
from ._options import table
from ._raw import ConnectionCore, Core
from ._raw_path import Address, PathEvent
from ._raw_stream import LIMIT, WAIT, StreamCore
from .config import Config
from .errors import ConnectionClosed, StreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Connection", "Hub", "Listener", "Opening", "Stream", "answer", "until"]

logger = logging.getLogger("quicpro.raw")

T = TypeVar("T")


async def until(front: Hub, gate: list[Any], poll: Callable[..., Any], *args: Any) -> Any:
    """Poll until it returns something."""
    got = poll(*args)
    if got is not WAIT:
        if front.checkpoint is not None:
            await front.checkpoint()
        return got
    again = False
    while True:
        await front.sleep(gate, again)
        try:
            got = poll(*args)
        except BaseException:
            front.core.wake(gate)
            raise
        if got is not WAIT:
            front.core.wake(gate)  # who waits behind has a look as well
            return got
        again = True


class Stream(StreamCore):
    """A QUIC stream, with the methods of asyncio's streams.

    One task reads at a time, and any number writes. A wait that is cancelled loses no bytes. As an
    async context manager it ends what was not ended: well, or after an exception by a reset.

    Attributes:
        id: the stream's (RFC 9000 section 2.1).
        early_data: it was opened before the handshake was done.
    """

    __slots__ = ()
    _conn: Connection

    def _read(self, poll: Callable[..., Any], *args: Any) -> Coroutine[Any, Any, Any]:
        if self.readers:
            raise RuntimeError("another task waits for this stream's bytes already")
        return until(self._conn._front, self.readers, poll, *args)

    def read(self, n: int = -1) -> Coroutine[Any, Any, bytes]:
        """At most n bytes, as soon as there are any; b"" at the end. Without n: all to the end.

        Raises:
            StreamReset: the peer gave up sending.
            ConnectionError: the connection ended before.
        """
        return self._read(self.poll_read, n)

    def readinto(self, buffer: Any) -> Coroutine[Any, Any, int]:
        """Read into memory, without a copy between.

        Args:
            buffer: writable, 1-D, C-contiguous; borrowed until this returns.

        Returns:
            How many bytes; 0 at the end.
        """
        return self._read(self.poll_readinto, buffer)

    def readexactly(self, n: int) -> Coroutine[Any, Any, bytes]:
        """Exactly n bytes.

        Raises:
            IncompleteReadError: the stream ended before; `partial` is what there was.
        """
        return self._read(self.poll_readexactly, n)

    def readuntil(
        self, separator: bytes = b"\n", *, limit: int = LIMIT
    ) -> Coroutine[Any, Any, bytes]:
        """Up to and with a separator.

        Raises:
            IncompleteReadError: the stream ended before.
            LimitOverrunError: not within `limit` bytes; they can still be read.
        """
        return self._read(self.poll_readuntil, separator, limit)

    def readline(self, *, limit: int = LIMIT) -> Coroutine[Any, Any, bytes]:
        """A line with its b"\\n"; what there is at the end.

        Raises:
            ValueError: longer than `limit`; what was looked through is thrown away.
        """
        return self._read(self.poll_readline, limit)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Line by line."""
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        while (line := await self._read(self.poll_line)) is not None:
            yield line

    def drain(self) -> Coroutine[Any, Any, None]:
        """Wait until everything that was written is with the library, whose queue is bounded by
        `send_queue_bytes`: called after each write(), it makes a sender as fast as its receiver.

        Raises:
            StreamStopped: the peer wants no more.
            ConnectionError: the connection has ended.
        """
        return until(self._conn._front, self.writers, self.poll_drain)

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        if self.can_write_eof():
            self.reset()
        if not self._eof:
            self.stop()


class Connection(ConnectionCore):
    """A QUIC connection that speaks a protocol of your own.

    Any number of tasks may use it at once. Iterate over it for the streams that the peer opens. As
    an async context manager it is finished at the end: see finish().

    Attributes:
        error: why it ended, an exception; None while it is open.
        reason: the words of whoever closed it.
        is_server: whether it was accepted.
        datagrams_dropped: datagrams that came while `dgram_recv_queue_len` waited to be received.
    """

    @property
    def _front(self) -> Any:
        return self._core.front

    def open_stream(self, bidi: bool = True, *, wait: bool = True) -> Coroutine[Any, Any, Stream]:
        """Open a stream. The peer hears of it with its first byte or its end.

        Args:
            bidi: both sides send; False: only this one.
            wait: while the peer allows no more streams, wait until it does.

        Raises:
            StreamLimit: it allows no more, and `wait` is False.
            ConnectionError: the connection has ended.
        """
        return until(self._front, self.opening[not bidi], self.poll_open, bidi, wait)

    def accept_stream(self) -> Coroutine[Any, Any, Stream]:
        """The next stream that the peer opened.

        Raises:
            ConnectionError: the connection has ended.
        """
        return until(self._front, self.accepting, self.poll_accept)

    def __aiter__(self) -> AsyncIterator[Stream]:
        """The streams that the peer opens, until the connection is closed without an error."""
        return self._streams()

    async def _streams(self) -> AsyncIterator[Stream]:
        while (stream := await until(self._front, self.accepting, self.poll_next)) is not None:
            yield stream

    def wait_connected(self) -> Coroutine[Any, Any, Connection]:
        """Wait until the handshake is done, after `connect(early_data=True)`; `early_data` then
        says what became of it. Once it is rejected, streams that were opened before raise
        `EarlyDataRejected`; the connection is as good as any.

        Raises:
            ConnectionError: the handshake failed.
        """
        return until(self._front, self.connecting, self.poll_connected)

    def receive_datagram(self) -> Coroutine[Any, Any, bytes]:
        """The next datagram.

        Raises:
            ConnectionError: the connection has ended.
        """
        return until(self._front, self.receiving, self.poll_datagram)

    async def probe(self, local: str | None = None, port: int = 0) -> bool:
        """Client: find out whether another network path to the same peer works, without using it
        (RFC 9000 section 9.1). One at a time: another probe gives the last one up.

        Args:
            local: an address of this host, of the family in use; None: the one in use.
            port: 0: any other.

        Returns:
            Whether it works.

        Raises:
            MigrationError: not now (the handshake is not confirmed, the peer gave no connection ID
                to move with yet), or never: `migration="off"`, or the server does not want it.
            ValueError: no such address or port.
            OSError: it is not an address of this host, or the port is taken.
            ConnectionError: the connection has ended.
        """
        path = self._path
        return cast(bool, await until(
            self._front, path.probing, path.poll_probe, path.probe(local, port)
        ))  # fmt: skip

    async def migrate(self) -> Address:
        """Client: move to the path that was probed, as soon as it is known to work; without one, to
        another port of the address in use (RFC 9000 section 9.2).

        Returns:
            This side's new address.

        Raises:
            MigrationError: as of probe(), or that path does not work: the connection stays where
                it is.
            ConnectionError: the connection has ended.
        """
        path = self._path
        return cast(Address, await until(
            self._front, path.probing, path.poll_move, path.migrate()
        ))  # fmt: skip

    def receive_path_event(self) -> Coroutine[Any, Any, PathEvent]:
        """The next thing that happens to the connection's network paths, or the oldest of the last
        64.

        Raises:
            ConnectionError: the connection has ended.
        """
        return until(self._front, self._path.receiving, self._path.poll_event)

    def wait_closed(self) -> Coroutine[Any, Any, Exception]:
        """Wait until it has ended; returns why (see `error`)."""
        return until(self._front, self.ending, self.poll_closed)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.close()
        try:
            await self.wait_closed()
        except BaseException:
            self.close()
            raise


Connection.stream_class = Stream

Handler = Callable[[Connection], Awaitable[None]]


class Hub:
    """A loop of the library on an event loop, with what runs on it. An event loop makes it its own.

    One for each listener; one for all connections of an event loop whose sockets have the same
    options. That one ends with its last connection.
    """

    #: Lets others run, where every call must (trio); None where calls that need not wait do not.
    checkpoint: Callable[[], Coroutine[Any, Any, None]] | None = None
    connection_class: type[Connection]

    def __init__(self, config: Config, shared: bool) -> None:
        self.server: Any = None
        self.driver: Any = None
        self._clients: list[tuple[Config, Any]] = []
        self._shared = shared
        self._pid = os.getpid()
        self.driver = self.new_driver(config)
        self.core = Core(
            self.driver.ptr,
            config,
            self.connection_class,
            self.changed,
            self.wake,
        )
        self.core.front = self
        _alive.add(self)

    def new_driver(self, config: Config) -> Any:
        """A loop of the library that calls `on_batch`."""
        raise NotImplementedError

    def is_at(self, place: object) -> bool:
        """Whether it belongs to an event loop."""
        raise NotImplementedError

    def soon(self, what: Callable[[], None]) -> None:
        """Have something called after those that are ready now."""
        raise NotImplementedError

    async def sleep(self, gate: list[Any], first: bool) -> None:
        """Wait in a gate, as its last or its first. If the wait is cancelled, the token is taken
        out, or if somebody has taken it, the next one is woken."""
        raise NotImplementedError

    def wake(self, gate: list[Any]) -> None:
        """Resume the first that waits in a gate."""
        raise NotImplementedError

    def changed(self) -> None:
        """Have what was written flushed."""
        if self.driver is not None:
            self.driver.schedule_flush()

    def on_batch(self, raw: Any) -> object:
        """Take a batch in. True: what came of it can be sent at once."""
        self.core.feed(raw)
        if self._shared and not self.core.conns:
            self.soon(self.free_if_idle)
        return False

    def free_if_idle(self) -> None:
        if not self.core.conns:
            self.free()

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
        self.core.end(ConnectionClosed("the listener was closed"))
        driver.close()

    def forked(self) -> None:
        """This is a child: the sockets are the parent's, so leave all of it alone."""
        self.driver = None
        self.core.end(error(lib.QUICPRO_EFORK))

    def __del__(self) -> None:
        if self.driver is None:
            return
        if self.core.conns or self.server is not None:
            kind = "a listener" if self.server is not None else "connections"
            text = f"never closed: {kind} of quicpro ({len(self.core.conns)} open)"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        self.free()


_alive: weakref.WeakSet[Hub] = weakref.WeakSet()
_hubs: weakref.WeakValueDictionary[tuple[Any, ...], Hub] = weakref.WeakValueDictionary()


def _after_fork() -> None:
    for hub in list(_alive):
        hub.forked()


os.register_at_fork(after_in_child=_after_fork)


def shared_hub(kind: type[Hub], place: object, config: Config) -> Hub:
    """The hub of an event loop, or whatever stands for it, for sockets of these options."""
    sockets = tuple(config[key] for key, row in table().items() if row.group == "socket")
    key = (kind, id(place), sockets)
    hub = _hubs.get(key)
    if hub is None or hub.driver is None or not hub.is_at(place):
        hub = _hubs[key] = kind(config, True)
    return hub


async def open_connection(
    hub: Hub, host: str, port: int, config: Config, early: bool
) -> Connection:
    """Connect, and wait for it, or until early data may be sent."""
    try:
        conn = hub.core.connect(hub.client(config), host, port, config)
    except BaseException:
        hub.free_if_idle()
        raise
    try:
        await until(hub, conn.connecting, conn.poll_usable if early else conn.poll_connected)
    except BaseException:
        conn.close()
        raise
    return cast(Connection, conn)


def _is_of_the_peer(e: BaseException) -> bool:
    """Whether an exception, or all of a group, says no more than that a peer is gone."""
    inner = getattr(e, "exceptions", None)
    if inner is None:
        return isinstance(e, (ConnectionError, EOFError, StreamError))
    return all(map(_is_of_the_peer, inner))


async def answer(handler: Handler, conn: Connection) -> None:
    """Run a handler for a connection, which it need not close."""
    try:
        await handler(conn)
    except Exception as e:
        if _is_of_the_peer(e):
            logger.debug("%r: %s", conn, e)
        else:
            logger.exception("the handler of %r failed", conn)
            conn.close(1, "internal error")
    except BaseException:
        conn.close()
        raise
    finally:
        conn.finish()


class Listener:
    """Accepts connections: by `accept()`, by iteration, or with a handler."""

    def __init__(
        self,
        front: Hub,
        config: Config,
        host: str | None,
        port: int,
        certs: Iterable[tuple[str, Config]],
    ) -> None:
        self._front = front
        self._core: Core = front.core
        loop = self._core.loop
        ret = ffi.new("quicpro_server **")
        self._server: Any = None
        try:
            check_loop(lib.quicpro_server_new(ret, loop, config._struct), loop)
            self._server = front.server = ret[0]
            for name, its in certs:
                key = name.encode("ascii", "backslashreplace")
                rc = lib.quicpro_server_add_certificate(self._server, key, its._struct)
                check_loop(rc, loop)
            where = ffi.NULL if host is None else host.encode()
            #: Where it listens.
            self.port = check_loop(lib.quicpro_server_listen(self._server, where, port), loop)
        except BaseException:
            self.close()
            raise
        front.core.changed()  # the driver gets to know the new sockets

    def accept(self) -> Coroutine[Any, Any, Connection]:
        """The next connection whose handshake is done.

        Raises:
            ConnectionClosed: the listener was closed.
        """
        return until(self._front, self._core.accepting, self._core.poll_accept)

    async def __aiter__(self) -> AsyncIterator[Connection]:
        """Every connection, until the listener is closed."""
        while self._server is not None:
            try:
                conn = await self.accept()
            except ConnectionClosed:
                return
            yield conn

    def connections(self) -> int:
        """Connections open now."""
        return int(lib.quicpro_server_connections(self._server)) if self._server else 0

    def reload_tls(self) -> None:
        """Read all certificates, keys and authorities again, for handshakes from now on.

        Raises:
            CertificateError: something cannot be used; the old ones stay.
            ConnectionClosed: the listener was closed.
        """
        if self._server is None:
            raise ConnectionClosed("the listener was closed")
        check_loop(lib.quicpro_server_reload_tls(self._server), self._core.loop)

    def close(self) -> None:
        """Stop, and close every connection. More than once does no harm."""
        self._server = None
        self._front.free()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Opening(Generic[T]):
    """What `connect()` and `listen()` return: await it, or enter it with `async with`."""

    def __init__(self, what: Coroutine[Any, Any, T]) -> None:
        self._what = what
        self._value: T | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._what.__await__()

    async def __aenter__(self) -> T:
        self._value = await self._what
        return self._value

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await cast(Any, self._value).__aexit__(kind, value, trace)
