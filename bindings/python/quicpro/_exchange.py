"""One request and its response: what the application's `receive` and `send` do.

`ExchangeLogic` decides; where the bytes go, its subclasses know: `Exchange` makes records of them
for the library (`_batch`), `_inline.NativeExchange` has it from a module in C, which does the usual
cases itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from . import _batch
from ._ffi import ffi, lib
from .errors import StreamReset

if TYPE_CHECKING:
    from .asgi import ASGIServer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("quicpro.asgi")

BODY_PAUSE: Final = 65536  # bytes of a body that wait for the application; then the peer waits
RECORD_MAX: Final = 16384  # larger bodies go by a call of their own, without a copy in between

H3_INTERNAL_ERROR: Final = 0x102

_EAGAIN: Final = lib.QUICPRO_EAGAIN
_EMPTY: Final = {"type": "http.request", "body": b"", "more_body": False}
_TEXT: Final = [(b"content-type", b"text/plain; charset=utf-8")]


class ExchangeLogic:
    """One request and its response, without the memory it needs."""

    if not TYPE_CHECKING:
        __slots__ = ()
    else:
        _server: ASGIServer
        stream: int
        method: str
        path: str
        task: asyncio.Task[None] | None
        disconnected: bool
        finished: bool  # the end of the response's body was sent
        paused: bool
        _complete: bool  # the request was received to its end
        _chunks: list[bytes] | None
        _waiting: int  # bytes in _chunks
        _reading: tuple[asyncio.Future[None], ...]
        _writing: asyncio.Future[None] | None
        _start: tuple[int, Any] | None  # status and packed fields, not sent yet
        _started: bool  # the application sent http.response.start
        _bodyless: bool

        def _pack(self, headers: Any) -> Any:
            """Fields of a response as `_respond` wants them."""

        def _respond(self, status: int, fields: Any, data: bytes, fin: bool) -> None:
            """Send a response, or its beginning."""

        def _stop(self, code: int) -> None:
            """Give the stream up."""

        def _hold(self, on: bool) -> None:
            """Have the peer send no more of the body, or go on."""

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
                self._hold(True)
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
            self._hold(False)
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
                self._respond(status, fields, data, True)
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
            self._start = status, self._pack(headers)
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
            self._respond(status, fields, b"", False)
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
            self._hold(False)

    def settle(self, error: BaseException | None) -> None:
        """What the end of the application leaves to be done; error: what it raised."""
        if error is not None or not self.finished:
            self.finish(error)
        if self.paused:
            self.leave()

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
        if not self._started or self._start is not None:
            text = b"" if self.method == "HEAD" else b"Internal Server Error"
            self._respond(500, self._pack(_TEXT), text, True)
        else:
            self._stop(H3_INTERNAL_ERROR)
        self.finished = True


class Exchange(ExchangeLogic):
    """One request and its response, by records."""

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
        self.task = None
        self.disconnected = False
        self._complete = fin
        self._chunks = None
        self._waiting = 0
        self.paused = False
        self._reading = ()
        self._writing = None
        self._start = None
        self._started = False
        self.finished = False
        self._bodyless = False

    def _pack(self, headers: Any) -> Any:
        return self._server.pack(headers)

    def _respond(self, status: int, fields: Any, data: bytes, fin: bool) -> None:
        self._server.record(_batch.respond(self.stream, status, fields, data, fin))

    def _stop(self, code: int) -> None:
        self._server.record(_batch.command(_batch.OP_RESET, self.stream, code))

    def _hold(self, on: bool) -> None:
        op = _batch.OP_PAUSE if on else _batch.OP_RESUME
        self._server.record(_batch.command(op, self.stream))
