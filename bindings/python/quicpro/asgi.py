"""ASGI 3 applications on batches of events.

One `Exchange` is one request and its response; the application gets its `receive` and `send`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

from . import _batch
from ._batch import Batch
from ._ffi import ffi, lib
from ._loop import LoopDriver
from ._tls import asgi_extension
from .errors import StreamReset

__all__ = ["ASGIApp", "ASGIServer", "Message", "Scope"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("quicpro.asgi")

BODY_PAUSE: Final = 65536  # bytes of a body that wait for the application; then the peer waits
RECORD_MAX: Final = 16384  # larger bodies go by a call of their own, without a copy in between
FIELDS_CACHE: Final = 512  # field sections kept packed

H3_NO_ERROR: Final = 0x100
H3_INTERNAL_ERROR: Final = 0x102
H3_REQUEST_CANCELLED: Final = 0x10C

_EAGAIN: Final = lib.QUICPRO_EAGAIN
_REQUEST, _DATA, _TRAILERS = _batch.REQUEST, _batch.DATA, _batch.TRAILERS
_RESET, _WRITABLE = _batch.RESET, _batch.WRITABLE
_FIN, _EARLY = _batch.FIN, _batch.EARLY

_METHODS: Final = {
    m.encode(): m for m in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}
_EMPTY: Final = {"type": "http.request", "body": b"", "more_body": False}
_TEXT_FIELDS: Final = _batch.pack_fields([(b"content-type", b"text/plain; charset=utf-8")])


class Exchange:
    """One request and its response."""

    __slots__ = (
        "_bodyless",
        "_chunks",
        "_complete",
        "_reading",
        "_server",
        "_start",
        "_started",
        "_waiting",
        "_writing",
        "disconnected",
        "finished",
        "method",
        "path",
        "paused",
        "stream",
        "task",
    )

    def __init__(self, server: ASGIServer, stream: int, method: str, path: str, fin: bool) -> None:
        self._server = server
        self.stream = stream
        self.method = method
        self.path = path
        self.task: asyncio.Task[None] | None = None
        self.disconnected = False
        self._complete = fin  # the request was received to its end
        self._chunks: list[bytes] | None = None
        self._waiting = 0  # bytes in _chunks
        self.paused = False
        self._reading: tuple[asyncio.Future[None], ...] = ()
        self._writing: asyncio.Future[None] | None = None
        self._start: tuple[int, tuple[int, bytes]] | None = None  # status and fields, not sent yet
        self._started = False  # the application sent http.response.start
        self.finished = False  # and the end of its body
        self._bodyless = False

    # What the connection has to say.

    def on_data(self, data: bytes, fin: bool) -> None:
        if fin:
            self._complete = True
        if data and not self.finished:
            if self._chunks is None:
                self._chunks = []
            self._chunks.append(data)
            self._waiting += len(data)
            if self._waiting > BODY_PAUSE and not self.paused and not fin:
                self.paused = True
                self._server.record(_batch.command(_batch.OP_PAUSE, self.stream))
        self._wake_reader()

    def on_writable(self) -> None:
        if self._writing is not None and not self._writing.done():
            self._writing.set_result(None)

    def on_reset(self) -> None:
        self.disconnected = True
        self._wake_reader()
        self.on_writable()

    def _wake_reader(self) -> None:
        for reading in self._reading:
            if not reading.done():
                reading.set_result(None)

    # What the application calls.

    async def receive(self) -> Message:
        while True:
            if self._chunks:
                return self._take()
            if self._complete and not self.finished and self._chunks is None:
                self._chunks = []  # the end was told
                return dict(_EMPTY)
            if self.disconnected or self.finished:
                return {"type": "http.disconnect"}
            reading = self._server.loop.create_future()
            self._reading += (reading,)
            try:
                await reading
            finally:
                self._reading = tuple(r for r in self._reading if r is not reading)

    def _take(self) -> Message:
        chunks = self._chunks
        assert chunks is not None
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._waiting = 0
        if self.paused:
            self.paused = False
            self._server.record(_batch.command(_batch.OP_RESUME, self.stream))
        more = not self._complete
        if more:
            self._chunks = None  # so that an end without bytes is told
        return {"type": "http.request", "body": data, "more_body": more}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            if self.disconnected:
                raise self._gone()
            if self.finished or not self._started:
                raise RuntimeError(
                    "http.response.body after the response ended"
                    if self.finished
                    else "http.response.body before http.response.start"
                )
            data = message.get("body", b"")
            more = message.get("more_body", False)
            if self._bodyless:
                data = b""
            if self._start is not None and not more and len(data) <= RECORD_MAX:
                status, fields = self._start
                self._start = None
                self.finished = True
                self._server.record(_batch.respond(self.stream, status, fields, data, True))
                if self._reading:
                    self._wake_reader()
                return
            await self._write(data, not more)
        elif kind == "http.response.start":
            if self._started:
                raise RuntimeError("http.response.start was sent already")
            status = message["status"]
            headers = message.get("headers", ())
            if status == 204:  # has no body, so no length either (RFC 9110 section 8.6)
                headers = [h for h in headers if h[0].lower() != b"content-length"]
            self._start = status, self._server.pack(headers)
            self._started = True
            self._bodyless = self.method == "HEAD" or status in (204, 304)
        else:
            raise RuntimeError(f"an HTTP application cannot send {kind!r}")

    async def _write(self, data: bytes, fin: bool) -> None:
        """Bytes of a body, once the stream takes them."""
        server = self._server
        if self._start is not None:
            status, fields = self._start
            self._start = None
            server.record(_batch.respond(self.stream, status, fields, b"", False))
        server.driver.submit()
        if fin:
            self.finished = True
            self._wake_reader()
        while not self.disconnected:
            rc = lib.quicpro_stream_write(
                server.driver.ptr, self.stream, ffi.from_buffer(data), len(data), fin
            )
            if rc != _EAGAIN:
                server.driver.schedule_flush()
                return  # taken, or the stream ended: its RESET tells
            self._writing = server.loop.create_future()
            server.driver.schedule_flush()
            try:
                await self._writing
            finally:
                self._writing = None
        raise self._gone()

    @staticmethod
    def _gone() -> StreamReset:
        # An OSError, as "HTTP disconnect" of ASGI wants it: who only sends must hear of it, too.
        return StreamReset("the client has gone", remote=True)

    # When the application has returned.

    def leave(self) -> None:
        """What is left of the request is read and thrown away, so that its sender can finish."""
        if not self.disconnected:
            self.paused = False
            self._server.record(_batch.command(_batch.OP_RESUME, self.stream))

    def finish(self, error: BaseException | None) -> None:
        if self.disconnected:
            return
        if error is None and self.finished:
            return
        if error is not None and not isinstance(error, asyncio.CancelledError):
            logger.error("%s %s: the application raised", self.method, self.path, exc_info=error)
        if error is None:
            logger.error(
                "%s %s: the application returned without a complete response",
                self.method,
                self.path,
            )
        if self.finished:
            return
        server = self._server
        if not self._started or self._start is not None:
            text = b"" if self.method == "HEAD" else b"Internal Server Error"
            server.record(_batch.respond(self.stream, 500, _TEXT_FIELDS, text, True))
        else:
            server.record(_batch.command(_batch.OP_RESET, self.stream, H3_INTERNAL_ERROR))
        self.finished = True


class ASGIServer:
    """Turns batches of a loop into calls of an application, and its answers into records.

    Args:
        app: an ASGI 3 application.
        root_path: prefix under which it is mounted.
        client_certs: whether clients may have certificates; then scopes have the "tls" extension.
    """

    def __init__(self, app: ASGIApp, *, root_path: str = "", client_certs: bool = False) -> None:
        self.app = app
        self.root_path = root_path
        self.client_certs = client_certs
        self._tls: dict[int, dict[str, Any]] = {}
        self.state: dict[str, Any] = {}
        self.loop = asyncio.get_running_loop()
        self.driver: LoopDriver
        self.on_drained: Callable[[], None] = lambda: None
        self.on_certificates: Callable[[int, str], None] = lambda error, text: None
        self.requests: dict[int, Exchange] = {}
        self._peers: dict[int, tuple[tuple[str, int], tuple[str, int]]] = {}
        self._fields: dict[Any, tuple[int, bytes]] = {}

    def connections(self) -> list[int]:
        """Those that have made a request and are open."""
        return list(self._peers)

    def record(self, record: bytes) -> None:
        driver = self.driver
        if not driver.records:  # whoever puts the first one there has the flush scheduled
            driver.schedule_flush()
        driver.records.append(record)

    def pack(self, headers: Any) -> tuple[int, bytes]:
        """A field section, packed; the usual ones are kept."""
        key: tuple[Any, ...]
        try:
            key = tuple(headers)
            try:
                known = self._fields.get(key)
            except TypeError:  # pairs that are lists
                key = tuple(map(tuple, key))
                known = self._fields.get(key)
            if known is None:
                known = _batch.pack_fields([(bytes(n).lower(), bytes(v)) for n, v in key])
                if len(self._fields) >= FIELDS_CACHE:
                    self._fields.clear()
                self._fields[key] = known
        except TypeError:
            raise TypeError("headers are an iterable of pairs of bytes") from None
        return known

    def on_batch(self, raw: Any) -> None:
        batch = Batch(raw)
        words = batch.words
        requests = self.requests
        for i in range(0, len(words), 8):
            head = words[i]
            kind = head & 0xFFFF
            if kind == _REQUEST:
                self._on_request(
                    batch, words[i + 1], words[i + 2], words[i + 4], words[i + 5], head >> 16
                )
            elif kind == _DATA:
                exchange = requests.get(words[i + 2])
                if exchange is not None:
                    exchange.on_data(
                        _batch.body(words[i + 4], words[i + 5]), bool(head >> 16 & _FIN)
                    )
            elif kind == _WRITABLE:
                exchange = requests.get(words[i + 2])
                if exchange is not None:
                    exchange.on_writable()
            elif kind == _RESET:
                exchange = requests.pop(words[i + 2], None)
                if exchange is not None:
                    exchange.on_reset()
            elif kind == _TRAILERS:
                exchange = requests.get(words[i + 2])
                if exchange is not None:
                    exchange.on_data(b"", True)
            elif kind == _batch.CLOSED:
                self._peers.pop(words[i + 1], None)
                self._tls.pop(words[i + 1], None)
            elif kind == _batch.DRAINED:
                self.on_drained()
            elif kind == _batch.CERTIFICATES:
                self.on_certificates(_batch.error_of(head), _batch.text(words[i + 4], words[i + 5]))

    def _on_request(
        self, batch: Batch, conn: int, stream: int, address: int, count: int, flags: int
    ) -> None:
        method, scheme, raw, headers, protocol = batch.request(address, count)
        path, _, query = raw.partition(b"?")
        text = path.decode("latin-1")
        decoded = unquote(text) if "%" in text else text
        name_ = _METHODS.get(method) or method.decode("latin-1")
        exchange = Exchange(self, stream, name_, text, bool(flags & _FIN))
        if name_ == "CONNECT" or protocol:
            self.record(_batch.respond(stream, 501, _TEXT_FIELDS, b"Not Implemented", True))
            return
        addresses = self._peers.get(conn)
        if addresses is None:
            addresses = self._peers[conn] = self._addresses(conn)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "3",
            "method": name_,
            "scheme": "https" if scheme == b"https" else scheme.decode("latin-1"),
            "path": decoded,
            "raw_path": path,
            "query_string": query,
            "root_path": self.root_path,
            "headers": headers,
            "client": addresses[0],
            "server": addresses[1],
            "state": self.state.copy(),
            "extensions": {"tls": self._extension(conn)} if self.client_certs else {},
        }
        if flags & _EARLY:
            scope["extensions"]["quicpro.early_data"] = {}  # a replay, maybe (RFC 8470)
        self.requests[stream] = exchange
        exchange.task = self.loop.create_task(self._serve(exchange, scope))

    def _extension(self, conn: int) -> dict[str, Any]:
        known = self._tls.get(conn)
        if known is None:
            known = self._tls[conn] = asgi_extension(self.driver.ptr, conn)
        return {**known, "client_cert_chain": list(known["client_cert_chain"])}

    def _addresses(self, conn: int) -> tuple[tuple[str, int], tuple[str, int]]:
        info = ffi.new("quicpro_conn_info *", {"size": ffi.sizeof("quicpro_conn_info")})
        lib.quicpro_conn_get_info(self.driver.ptr, conn, info)

        def split(text: Any) -> tuple[str, int]:
            host, _, port = ffi.string(text).decode().rpartition(":")
            return host.strip("[]"), int(port or 0)

        return split(info.peer), split(info.local)

    async def _serve(self, exchange: Exchange, scope: Scope) -> None:
        error: BaseException | None = None
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as e:
            error = e
        except BaseException as e:
            exchange.finish(e)
            self.requests.pop(exchange.stream, None)
            raise
        if error is not None or not exchange.finished:
            exchange.finish(error)
        if exchange.paused:
            exchange.leave()
        self.requests.pop(exchange.stream, None)
