"""The asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from . import _batch, _stats, errors
from ._check import check_loop
from ._ffi import ffi, lib
from ._loop import LoopDriver
from ._messages import (
    Body,
    ConnectionInfo,
    Event,
    Headers,
    HeaderTypes,
    Origin,
    Response,
    client_config,
    connection_info,
    events,
    parse_url,
    request_fields,
    split_body,
    start_request,
)
from ._timeout import Timeout, too_long
from ._tls import peer_certificates
from .config import Config
from .stats import ConnectionStats

__all__ = ["AsyncClient", "AsyncStream"]

_KEPT_MAX = 1 << 20  # bytes of a response kept before its stream is paused
_CANCELLED = 0x10C  # H3_REQUEST_CANCELLED
_UNLIMITED = Timeout()


class _Conn:
    """A connection and the streams on it."""

    __slots__ = ("alive", "established", "facts", "handle", "reaching", "streams")

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.facts: ConnectionInfo | None = None  # the last known
        self.alive = True
        self.established = False
        self.streams: set[int] = set()
        self.reaching: asyncio.Event | None = None  # set once it is one or the other


def _resolve(future: asyncio.Future[bool] | None, too_late: bool = False) -> None:
    if future is not None and not future.done():
        future.set_result(too_late)


class AsyncStream:
    """A response as it comes in: `status` and `headers` are there, the body is iterated over."""

    def __init__(
        self, client: AsyncClient, conn: _Conn, handle: int, url: str, limits: Timeout
    ) -> None:
        self._client = client
        self._conn = conn
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        if limits.total is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(limits.total, self._too_late)
        self._handle = handle
        self._events: deque[Event] = deque()
        self._kept = 0
        self._paused = False
        self._changed: asyncio.Future[bool] | None = None
        self._writable: asyncio.Future[bool] | None = None
        self._ended = False
        self._uploading = False  # a body that is sent piece by piece has not ended yet
        self._failure: BaseException | None = None
        self.response = Response(url, 0, Headers([]))

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    @property
    def headers(self) -> Headers:
        """The response's fields."""
        return self.response.headers

    @property
    def connection(self) -> ConnectionInfo | None:
        """Facts about the connection; None if it has ended."""
        return connection_info(self._client._driver_ptr(), self._conn.handle)

    @property
    def stats(self) -> ConnectionStats | None:
        """Numbers of the connection and its paths; None if it has ended."""
        return _stats.of(self._client._driver_ptr(), self._conn.handle)

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        """The chain that the server sent, in DER, its own first; empty once the connection ends."""
        return peer_certificates(self._client._driver_ptr(), self._conn.handle)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, piece by piece as it arrives.

        Raises:
            QuicproError: the response broke off.
        """
        while (event := await self._next()) is not None:
            if event.kind == _batch.DATA and event.data:
                yield event.data
            elif event.kind == _batch.TRAILERS:
                self.response.trailers = Headers(event.headers)

    async def aread(self) -> bytes:
        """The whole body."""
        pieces = []
        while (event := await self._next()) is not None:
            if event.kind == _batch.DATA:
                pieces.append(event.data)
            elif event.kind == _batch.TRAILERS:
                self.response.trailers = Headers(event.headers)
        return b"".join(pieces)

    def _feed(self, event: Event) -> None:
        if event.kind == _batch.WRITABLE:
            _resolve(self._writable)
            return
        if event.error is not None:
            self._fail(event.error)
        else:
            self._events.append(event)
            self._kept += len(event.data)
            if self._kept > _KEPT_MAX and not self._paused:
                self._paused = True
                lib.quicpro_stream_pause(self._client._driver_ptr(), self._handle, 1)
        _resolve(self._changed)

    def _fail(self, failure: BaseException) -> None:
        """Whoever waits gets this."""
        if self._failure is None:
            self._failure = failure
        _resolve(self._changed)
        _resolve(self._writable)

    def _too_late(self) -> None:
        self._give_up()
        self._fail(too_long(self.response.url, "total", self._limits.total))

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self, future: asyncio.Future[bool], part: str) -> None:
        """Until something changes, or this part of the request took too long."""
        if part == "read" and not self._conn.established:
            part = "connect"
        limit: float | None = getattr(self._limits, part)
        timer = None
        if limit is not None:
            timer = asyncio.get_running_loop().call_later(limit, _resolve, future, True)
        try:
            if await future:
                raise too_long(self.response.url, part, limit)
        finally:
            if timer is not None:
                timer.cancel()

    async def _next(self) -> Event | None:
        """The next event; None after the last."""
        while not self._events:
            if self._ended:
                return None
            if self._failure is not None:
                raise self._failure
            self._changed = asyncio.get_running_loop().create_future()
            try:
                await self._wait(self._changed, "read")
            finally:
                self._changed = None
        event = self._events.popleft()
        self._kept -= len(event.data)
        if self._paused and self._kept < _KEPT_MAX // 2:
            self._paused = False
            self._client._command(lib.quicpro_stream_pause, self._handle, 0)
        self._ended = event.fin
        return event

    async def _start(self) -> None:
        """Wait for the final field section."""
        while True:
            event = await self._next()
            assert event is not None
            if event.kind == _batch.RESPONSE and not event.informational:
                self.response.status = event.code
                self.response.headers = Headers(event.headers[1:])  # without :status
                return

    async def _send_body(self, body: Any) -> None:
        self._uploading = True
        try:
            if hasattr(body, "__aiter__"):
                async for piece in body:
                    await self._write(piece, False)
            else:
                for piece in body:
                    await self._write(piece, False)
            await self._write(b"", True)
            self._uploading = False
        except Exception as e:
            self._give_up()
            self._fail(e)

    async def _write(self, data: bytes, fin: bool) -> None:
        while self._failure is None:
            rc = lib.quicpro_stream_write(
                self._client._driver_ptr(), self._handle, ffi.from_buffer(data), len(data), fin
            )
            self._client._flush()
            if rc != lib.QUICPRO_EAGAIN:
                return  # taken; or ended: the response or the failure tells
            self._writable = asyncio.get_running_loop().create_future()
            await self._wait(self._writable, "write")

    def _give_up(self) -> None:
        if self._failure is None and (self._uploading or not self._ended):
            self._client._command(lib.quicpro_stream_reset, self._handle, _CANCELLED)

    def _abandon(self) -> None:
        """Give up what is left of it."""
        self._end_timer()
        self._give_up()
        if not self._ended:
            self._fail(errors.StreamError(f"{self.response.url}: the response was given up"))
        self._client._forget(self._handle, self._conn)


class _StreamContext:
    """What `AsyncClient.stream()` returns: enter it for the response."""

    def __init__(self, client: AsyncClient, arguments: dict[str, Any], whole: bool = False) -> None:
        self._client = client
        self._arguments = arguments
        self._whole = whole  # the total is for the body, too
        self._stream: AsyncStream | None = None
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncStream:
        stream, body = self._client._request(**self._arguments)
        self._stream = stream
        try:
            if body is not None:
                self._sending = asyncio.get_running_loop().create_task(stream._send_body(body))
            await stream._start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        if not self._whole:
            stream._end_timer()
        return stream

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
        if self._stream is not None:
            self._stream._abandon()


class AsyncClient:
    """An HTTP/3 client for asyncio: one connection for each origin, any number of requests on it.

    Args:
        cafile: PEM file of the authorities to trust; the system's if not given.
        verify: check certificates and names; False only for tests. None: as the configuration
            says, which by default is to check.
        timeout: seconds from a request to the end of its response, or a `Timeout` for its parts;
            None for no limit.
        handshake_timeout: seconds for a handshake; None: as the configuration says.
        config: further options; None: those of files and environment (see `Config`).
    """

    def __init__(
        self,
        *,
        cafile: str | os.PathLike[str] | None = None,
        verify: bool | None = None,
        timeout: float | Timeout | None = 30.0,
        handshake_timeout: float | None = None,
        config: Config | None = None,
    ) -> None:
        self._config = client_config(cafile, verify, handshake_timeout, config)
        self._limits = Timeout.of(timeout)
        self._parts = self._limits._replace(total=None)
        self._driver: LoopDriver | None = None
        self._client: Any = None
        self._closed = False
        self._conns: dict[Origin, _Conn] = {}
        self._by_handle: dict[int, tuple[Origin, _Conn]] = {}
        self._streams: dict[int, AsyncStream] = {}
        if self._config["ca_file"] and not os.access(self._config["ca_file"], os.R_OK):
            raise errors.CertificateError(f"ca_file: cannot read '{self._config['ca_file']}'")

    async def __aenter__(self) -> AsyncClient:
        self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        body: Body | None = None,
        timeout: float | Timeout | None = None,
    ) -> Response:
        """Send a request and wait for the whole response.

        Args:
            method: "GET", "POST", ...
            url: an https URL.
            headers: further fields.
            body: bytes, str, a binary file, or an iterable or async iterable of bytes.
            timeout: seconds, or a `Timeout`; the client's if not given.

        Raises:
            ValueError: URL, method or a field is malformed.
            ConnectionError: the connection failed (its subclasses say how).
            ResponseTimeout: it took too long.
            StreamError: the response broke off.
        """

        limits = self._limits if timeout is None else Timeout.of(timeout)
        context = self._context(method, url, headers, body, limits, whole=True)
        async with context as stream:
            response = stream.response
            response.content = await stream.aread()
            conn = stream._conn
            if conn.facts is None:
                conn.facts = stream.connection
            response._connection = functools.partial(self._facts, conn)
            return response

    async def get(self, url: str, **options: Any) -> Response:
        """`request("GET", ...)`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, body: Body | None = None, **options: Any) -> Response:
        """`request("POST", ...)`."""
        return await self.request("POST", url, body=body, **options)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        body: Body | None = None,
        timeout: float | Timeout | None = None,
    ) -> _StreamContext:
        """A context whose value is an `AsyncStream`. The timeout, or its `total`, is for the
        response's field section; without one the client's limits for the other parts hold."""
        limits = self._parts if timeout is None else Timeout.of(timeout)
        return self._context(method, url, headers, body, limits)

    def _context(
        self,
        method: str,
        url: str,
        headers: HeaderTypes | None,
        body: Body | None,
        limits: Timeout,
        at: Origin | None = None,
        whole: bool = False,
    ) -> _StreamContext:
        """A request, maybe at another place of the origin's host."""
        arguments: dict[str, Any] = {"method": method, "url": url, "headers": headers}
        arguments |= {"body": body, "limits": limits, "at": at}
        return _StreamContext(self, arguments, whole)

    def stats(self, url: str) -> ConnectionStats | None:
        """Numbers of the connection that requests for `url` go over; None if there is none now.

        Raises:
            ValueError: URL is malformed.
        """
        conn = self._conns.get(parse_url(url)[0])
        if conn is None or self._driver is None:
            return None
        return _stats.of(self._driver.ptr, conn.handle)

    def _facts(self, conn: _Conn) -> ConnectionInfo | None:
        """What there is to say of a connection, or was when it had not ended."""
        if self._driver is not None:
            conn.facts = connection_info(self._driver.ptr, conn.handle) or conn.facts
        return conn.facts

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._driver is None:
            return
        for _, conn in self._by_handle.values():
            self._facts(conn)
        for stream in list(self._streams.values()):
            stream._fail(errors.ConnectionClosed("the client was closed"))
        lib.quicpro_client_free(self._client)
        self._driver.close()
        self._driver = None

    # Between the streams and the loop.

    def _open(self) -> LoopDriver:
        if self._closed:
            raise errors.ConnectionClosed("the client was closed")
        if self._driver is None:
            driver = LoopDriver(self._config, self._on_batch_raw)
            ret = ffi.new("quicpro_client **")
            try:
                check_loop(
                    lib.quicpro_client_new(ret, driver.ptr, self._config._struct), driver.ptr
                )
            except BaseException:
                driver.close()
                raise
            self._client = ret[0]
            self._driver = driver
        return self._driver

    def _driver_ptr(self) -> Any:
        if self._driver is None:
            raise errors.ConnectionClosed("the client was closed")
        return self._driver.ptr

    def _flush(self) -> None:
        if self._driver is not None:
            self._driver.schedule_flush()

    def _command(self, function: Any, handle: int, argument: int) -> None:
        if self._driver is not None:
            function(self._driver.ptr, handle, argument)
            self._driver.schedule_flush()

    def _on_batch_raw(self, raw: Any) -> None:
        for event in events(raw):
            if event.stream:
                stream = self._streams.get(event.stream)
                if stream is not None:
                    stream._feed(event)
            elif event.kind == _batch.CONNECTED:
                self._on_connected(event.conn)
            elif event.kind in (_batch.CLOSED, _batch.GOAWAY):
                # No new requests on it; on GOAWAY those under way go on.
                origin, conn = self._by_handle.get(event.conn, (None, None))
                if conn is not None and origin is not None:
                    conn.alive = False
                    if conn.reaching is not None:
                        conn.reaching.set()
                    if self._conns.get(origin) is conn:
                        del self._conns[origin]
                    if event.kind == _batch.CLOSED:
                        del self._by_handle[event.conn]

    def _on_connected(self, handle: int) -> None:
        _, conn = self._by_handle.get(handle, (None, None))
        if conn is None:
            return
        conn.established = True
        if conn.reaching is not None:
            conn.reaching.set()
        for number in conn.streams:  # they wait for an answer from now on
            stream = self._streams.get(number)
            if stream is not None and stream._limits != _UNLIMITED:
                _resolve(stream._changed)

    def _connect(self, origin: Origin) -> _Conn:
        conn = self._conns.get(origin)
        if conn is not None and conn.alive:
            return conn
        driver = self._open()
        handle = ffi.new("quicpro_conn *")
        check_loop(
            lib.quicpro_client_connect(
                self._client, origin.host.encode("idna"), origin.port, ffi.NULL, handle
            ),
            driver.ptr,
        )
        driver.schedule_flush()
        conn = self._conns[origin] = _Conn(int(handle[0]))
        self._by_handle[conn.handle] = origin, conn
        return conn

    async def _reach(self, at: Origin, seconds: float) -> bool:
        """Whether there is a connection to a place, now or soon."""
        conn = self._connect(at)
        if not conn.established and conn.alive:
            if conn.reaching is None:
                conn.reaching = asyncio.Event()
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(conn.reaching.wait(), seconds)
        return conn.established and conn.alive

    def _request(
        self,
        method: str,
        url: str,
        headers: HeaderTypes | None,
        body: Body | None,
        limits: Timeout,
        at: Origin | None = None,
    ) -> tuple[AsyncStream, Any]:
        """Begin a request, maybe at another place of the origin's host."""
        origin, authority, target = parse_url(url)
        data, pieces = split_body(body)
        length = len(data) if data else None
        if length is None and body is not None and pieces is None:
            length = 0
        fields = request_fields(method, authority, target, headers, length)
        driver = self._open()
        conn = self._connect(at or origin)
        handle = start_request(driver.ptr, conn.handle, fields, data)
        driver.schedule_flush()
        stream = self._streams[handle] = AsyncStream(self, conn, handle, url, limits)
        conn.streams.add(handle)
        return stream, pieces

    def _forget(self, handle: int, conn: _Conn) -> None:
        self._streams.pop(handle, None)
        conn.streams.discard(handle)
