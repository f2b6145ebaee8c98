"""The blocking client: safe to use from any number of threads.

`connect()` and `listen()` are the blocking twins of `quicpro.connect()` and `quicpro.listen()`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from . import _batch, _stats, errors
from ._check import check, check_loop, error
from ._ffi import ffi, lib
from ._finalize import finalize
from ._hooks import send_log
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
from ._raw_sync import Connection, Listener, RawStream, connect, listen
from ._timeout import Timeout, too_long
from ._tls import peer_certificates
from .config import Config
from .stats import ConnectionStats

__all__ = ["Client", "Connection", "Listener", "RawStream", "Stream", "connect", "get", "listen"]

_FOREVER = 0xFFFFFFFFFFFFFFFF
_CANCELLED = 0x10C  # H3_REQUEST_CANCELLED
_LOOK = 0.02  # seconds until a request looks again whether its connection is there


class _Engine:
    """The loop in a C thread that all blocking clients of a process share."""

    _shared: _Engine | None = None
    _guard = threading.Lock()

    def __init__(self) -> None:
        ret = ffi.new("quicpro_thread **")
        check(lib.quicpro_thread_new(ret, Config()._struct))
        self.pid = os.getpid()
        self.ptr = ret[0]
        self.owner = 0  # the thread that has entered it
        self.doomed: list[Any] = []  # clients that whoever leaves it frees
        # Clients must be freed before the thread; both finalizers run at exit, this one last.
        self._finalizer = finalize(self, lib.quicpro_thread_free, self.ptr)
        with self as loop:
            send_log(loop)

    @classmethod
    def get(cls) -> _Engine:
        """The engine of this process: a child of fork() gets one of its own."""
        with cls._guard:
            if cls._shared is None or cls._shared.pid != os.getpid():
                cls._shared = _Engine()
            return cls._shared

    def __enter__(self) -> Any:
        ret = ffi.new("quicpro_loop **")
        check(lib.quicpro_thread_enter(self.ptr, ret))
        self.owner = threading.get_ident()
        return ret[0]

    def __exit__(self, *_: object) -> None:
        while self.doomed:
            lib.quicpro_client_free(self.doomed.pop())
        self.owner = 0
        lib.quicpro_thread_leave(self.ptr)

    def wait(self, handle: int, deadline: float | None) -> list[Event] | None:
        """Events of a stream or connection; None if it has ended and all were taken."""
        timeout = _FOREVER
        if deadline is not None:
            timeout = max(0, round((deadline - time.monotonic()) * 1e9))
        ret = ffi.new("quicpro_batch **")
        # A signal handler must get its turn: C waits cannot be interrupted, so wait in slices.
        slice_ = min(timeout, 200_000_000)
        rc = lib.quicpro_thread_wait(self.ptr, handle, slice_, ret)
        if rc == lib.QUICPRO_ESTALE:
            return None
        if rc == lib.QUICPRO_ETIMEDOUT:
            if deadline is not None and time.monotonic() >= deadline:
                raise errors.ResponseTimeout("timed out")
            return []
        check(rc)
        try:
            return list(events(ret[0]))
        finally:
            lib.quicpro_thread_batch_free(ret[0])


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    # Another thread may have held them; engine and clients notice the new process themselves.
    _Engine._guard = threading.Lock()
    for client in list(_clients):
        client._lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _free_client(engine: _Engine, ptr: Any) -> None:
    if engine.pid != os.getpid():
        return
    engine.doomed.append(ptr)
    # A collector may call this anywhere, even in a thread that has entered already.
    if engine.owner != threading.get_ident():
        with engine:
            pass


class Stream:
    """A response as it comes in; use it in a `with` block. Iterate over `iter_bytes()`."""

    def __init__(
        self,
        client: Client,
        engine: _Engine,
        conn: int,
        handle: int,
        url: str,
        limits: Timeout,
    ) -> None:
        self._client = client
        self._limits = limits
        self._heard = time.monotonic()  # of the stream, or that its connection is there
        self._established = limits.connect is None and limits.read is None
        self._engine = engine
        self._conn = conn
        self._handle = handle
        self._deadline = None if limits.total is None else self._heard + limits.total
        self._events: deque[Event] = deque()
        self._ended = False
        self.response = Response(url, 0, Headers([]))

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
        with self._engine as loop:
            return connection_info(loop, self._conn)

    @property
    def stats(self) -> ConnectionStats | None:
        """Numbers of the connection and its paths; None if it has ended."""
        with self._engine as loop:
            return _stats.of(loop, self._conn)

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        """The chain that the server sent, in DER, its own first; empty once the connection ends."""
        with self._engine as loop:
            return peer_certificates(loop, self._conn)

    def iter_bytes(self) -> Iterator[bytes]:
        """The body, piece by piece as it arrives.

        Raises:
            QuicproError: the response broke off, or took too long.
        """
        while (event := self._next()) is not None:
            if event.kind == _batch.DATA and event.data:
                yield event.data
            elif event.kind == _batch.TRAILERS:
                self.response.trailers = Headers(event.headers)

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.iter_bytes())

    def close(self) -> None:
        """Give up what is left of it."""
        if self._ended or self._engine.pid != os.getpid():
            return
        self._ended = True
        with self._engine as loop:
            lib.quicpro_stream_reset(loop, self._handle, _CANCELLED)
        lib.quicpro_thread_ignore(self._engine.ptr, self._handle)

    def _fill(self, part: str = "read") -> None:
        """More events into the queue; a failure becomes an exception."""
        if not self._established:
            part = "connect"
        limit: float | None = getattr(self._limits, part)
        until = None if limit is None else self._heard + limit
        if until is None or (self._deadline is not None and self._deadline < until):
            until, part, limit = self._deadline, "total", self._limits.total
        connecting = not self._established
        pause = time.monotonic() + _LOOK
        try:
            more = self._engine.wait(
                self._handle, min(until or pause, pause) if connecting else until
            )
        except errors.ResponseTimeout:
            more = []
            if not connecting or (until is not None and time.monotonic() >= until):
                raise too_long(self.response.url, part, limit) from None
        if more is None:
            raise errors.ConnectionClosed("the connection has ended")
        if more or (connecting and self._client._is_established(self._conn)):
            self._established = True
            self._heard = time.monotonic()
        self._events.extend(more)

    def _next(self) -> Event | None:
        while True:
            while not self._events:
                if self._ended:
                    return None
                self._fill()
            event = self._events.popleft()
            if event.error is not None:
                self._ended = True
                raise event.error
            if event.kind != _batch.WRITABLE:  # it may come after the end of the response
                self._ended = event.fin
                return event

    def _start(self) -> None:
        while True:
            event = self._next()
            if event is None:
                raise errors.ConnectionClosed("the response has no field section")
            if event.kind == _batch.RESPONSE and not event.informational:
                self.response.status = event.code
                self.response.headers = Headers(event.headers[1:])  # without :status
                return

    def _send_body(self, pieces: Any) -> None:
        for piece in pieces:
            if not self._write(piece, False):
                return
        self._write(b"", True)

    def _write(self, data: bytes, fin: bool) -> bool:
        self._heard = time.monotonic()
        while True:
            with self._engine as loop:
                rc = lib.quicpro_stream_write(
                    loop, self._handle, ffi.from_buffer(data), len(data), fin
                )
            if rc != lib.QUICPRO_EAGAIN:
                return bool(rc == 0)
            while not any(e.kind == _batch.WRITABLE or e.error or e.fin for e in self._events):
                self._fill("write")
            if any(e.fin for e in self._events):  # answered already: nobody wants the rest
                with self._engine as loop:
                    lib.quicpro_stream_reset(loop, self._handle, _CANCELLED)
                return False
            self._events = deque(e for e in self._events if e.kind != _batch.WRITABLE)


class _Known:
    """What there is to say of a connection, or was when it had not ended."""

    __slots__ = ("_conn", "_engine", "_facts")

    def __init__(self, engine: _Engine, stream: Stream) -> None:
        self._engine = engine
        self._conn = stream._conn
        self._facts = stream.connection

    def __call__(self) -> ConnectionInfo | None:
        if self._engine.pid == os.getpid():
            with self._engine as loop:
                self._facts = connection_info(loop, self._conn) or self._facts
        return self._facts


class Client:
    """A blocking HTTP/3 client: one connection for each origin, shared by all threads that use it.

    Args:
        cafile: PEM file of the authorities to trust; the system's if not given.
        verify: check certificates and names; False only for tests. None: as the configuration
            says, which by default is to check.
        timeout: seconds from a request to the end of its response, or a `Timeout` for its parts;
            None for no limit.
        handshake_timeout: seconds for a handshake; None: as the configuration says.
        config: further options; None: those of files and environment (see `Config`).

    Raises:
        CertificateError: cafile cannot be used.
        ConfigError: an option cannot have its value.
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
        self._lock = threading.Lock()
        self._conns: dict[Origin, int] = {}
        self._known: dict[int, _Known] = {}  # by connection
        self._closed = False
        self._open()
        _clients.add(self)

    def _open(self) -> None:
        engine = self._engine = _Engine.get()
        ret = ffi.new("quicpro_client **")
        with engine as loop:
            check_loop(lib.quicpro_client_new(ret, loop, self._config._struct), loop)
        self._ptr = ret[0]
        self._finalizer = finalize(self, _free_client, engine, self._ptr)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def request(
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
            body: bytes, str, a binary file, or an iterable of bytes.
            timeout: seconds, or a `Timeout`; the client's if not given.

        Raises:
            ValueError: URL, method or a field is malformed.
            ConnectionError: the connection failed (its subclasses say how).
            ResponseTimeout: it took too long.
            StreamError: the response broke off.
        """
        with self.stream(method, url, headers=headers, body=body, timeout=timeout) as stream:
            response = stream.response
            response.content = stream.read()
            known = self._known.get(stream._conn)
            if known is None:
                known = self._known[stream._conn] = _Known(self._engine, stream)
            response._connection = known
            return response

    def get(self, url: str, **options: Any) -> Response:
        """`request("GET", ...)`."""
        return self.request("GET", url, **options)

    def post(self, url: str, body: Body | None = None, **options: Any) -> Response:
        """`request("POST", ...)`."""
        return self.request("POST", url, body=body, **options)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes | None = None,
        body: Body | None = None,
        timeout: float | Timeout | None = None,
    ) -> Stream:
        """Send a request and wait for the response's fields; the body follows as it is read."""
        limits = self._limits if timeout is None else Timeout.of(timeout)
        return self._stream(method, url, headers, body, limits)

    def _stream(
        self,
        method: str,
        url: str,
        headers: HeaderTypes | None,
        body: Body | None,
        limits: Timeout,
        at: Origin | None = None,
    ) -> Stream:
        """The same, maybe at another place of the origin's host."""
        origin, authority, target = parse_url(url)
        data, pieces = split_body(body)
        length = (
            len(data) if data or (body is not None and pieces is None and data == b"") else None
        )
        fields = request_fields(method, authority, target, headers, length)
        conn, handle = self._start(at or origin, fields, data)
        stream = Stream(self, self._engine, conn, handle, url, limits)
        try:
            if pieces is not None:
                stream._send_body(pieces)
            stream._start()
        except BaseException:
            stream.close()
            raise
        return stream

    def stats(self, url: str) -> ConnectionStats | None:
        """Numbers of the connection that requests for `url` go over; None if there is none now.

        Raises:
            ValueError: URL is malformed.
        """
        origin = parse_url(url)[0]
        with self._lock:
            conn = self._conns.get(origin)
            if conn is None or self._closed or self._engine.pid != os.getpid():
                return None
            with self._engine as loop:
                return _stats.of(loop, conn)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            self._closed = True
            for known in self._known.values():
                known()
            self._finalizer()

    def _start(
        self, origin: Origin, fields: list[tuple[bytes, bytes]], data: bytes | None
    ) -> tuple[int, int]:
        with self._lock:
            if self._closed:
                raise errors.ConnectionClosed("the client was closed")
            if self._engine.pid != os.getpid():
                self._conns.clear()
                self._known.clear()
                self._finalizer.detach()
                self._open()
            with self._engine as loop:
                conn = self._conns.get(origin)
                if conn is not None:
                    try:
                        return conn, start_request(loop, conn, fields, data)
                    except (errors.ConnectionClosed, errors.StreamError):
                        pass  # it ended, or goes away: a new one
                    except errors.QuicproError as e:
                        if e.code != lib.QUICPRO_ESTATE:
                            raise
                self._known.pop(self._conns.get(origin, 0), None)
                conn = self._conns[origin] = self._connect(loop, origin)
                handle = start_request(loop, conn, fields, data)
        # Streams tell what happens to a connection: its own events nobody waits for.
        lib.quicpro_thread_ignore(self._engine.ptr, conn)
        return conn, handle

    def _is_established(self, conn: int) -> bool | None:
        """Whether a connection's handshake is done; None: it has ended."""
        with self._engine as loop:
            info = connection_info(loop, conn)
        return info and info.alpn != ""

    def _reach(self, at: Origin, seconds: float) -> bool:
        """Whether there is a connection to a place, now or soon."""
        with self._lock:
            if self._closed or self._engine.pid != os.getpid():
                return False
            with self._engine as loop:
                conn = self._conns.get(at)
                if conn is None or connection_info(loop, conn) is None:
                    conn = self._conns[at] = self._connect(loop, at)
        deadline = time.monotonic() + seconds
        while not (there := self._is_established(conn)) and there is not None:
            now = time.monotonic()
            if now >= deadline:
                break
            with contextlib.suppress(errors.ResponseTimeout):  # others may take what it says
                self._engine.wait(conn, min(deadline, now + 0.01))
        lib.quicpro_thread_ignore(self._engine.ptr, conn)
        return bool(there)

    def _connect(self, loop: Any, origin: Origin) -> int:
        handle = ffi.new("quicpro_conn *")
        rc = lib.quicpro_client_connect(
            self._ptr, origin.host.encode("idna"), origin.port, ffi.NULL, handle
        )
        if rc < 0:
            raise error(rc, ffi.string(lib.quicpro_loop_error(loop)).decode())
        return int(handle[0])


def get(
    url: str,
    *,
    cafile: str | os.PathLike[str] | None = None,
    verify: bool | None = None,
    **options: Any,
) -> Response:
    """Fetch a URL over HTTP/3.

    Args:
        url: an https URL.
        cafile: PEM file of the authorities to trust.
        verify: check certificates and names; None: as the configuration says.
        **options: as for `Client.request`.
    """
    with Client(cafile=cafile, verify=verify) as client:
        return client.get(url, **options)
