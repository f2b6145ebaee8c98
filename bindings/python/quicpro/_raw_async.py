"""Connections and streams to await, on asyncio and trio alike: they differ in how a task sleeps."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from ._check import check_loop
from ._ffi import ffi, lib
from ._raw import ConnectionCore, Core
from ._raw_stream import LIMIT, WAIT, StreamCore
from .config import Config
from .errors import ConnectionClosed, StreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Connection", "Listener", "Opening", "Stream", "answer", "until"]

logger = logging.getLogger("quicpro.raw")

T = TypeVar("T")


class Front(Protocol):
    """What an event loop provides."""

    core: Core
    #: Lets others run, where every call must (trio); None where calls that need not wait do not.
    checkpoint: Callable[[], Coroutine[Any, Any, None]] | None

    async def sleep(self, gate: list[Any], first: bool) -> None:
        """Wait in a gate, as its last or its first. If the wait is cancelled, the token is taken
        out, or if somebody has taken it, the next one is woken."""

    def free(self) -> None:
        """End the loop."""


async def until(front: Any, gate: list[Any], poll: Callable[..., Any], *args: Any) -> Any:
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
        early_data: it came before the handshake was done.
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
    an async context manager it is closed at the end.

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

    def receive_datagram(self) -> Coroutine[Any, Any, bytes]:
        """The next datagram.

        Raises:
            ConnectionError: the connection has ended.
        """
        return until(self._front, self.receiving, self.poll_datagram)

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
        self.close()
        await self.wait_closed()


Connection.stream_class = Stream

Handler = Callable[[Connection], Awaitable[None]]


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
    finally:
        conn.close()


class Listener:
    """Accepts connections: by `accept()`, by iteration, or with a handler."""

    def __init__(
        self,
        front: Any,
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
