"""What both transports for httpx share: the library that a request is of, and what is turned into
what. httpx and httpx2 have the same classes, and are told from each other by the request."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from . import errors
from ._messages import ConnectionInfo
from ._timeout import Timeout

__all__ = [
    "ANSWERED",
    "FAILED",
    "SENT",
    "Library",
    "NetworkStream",
    "answer_of",
    "body_of",
    "failure",
    "fields",
    "library_of",
    "limits",
    "no_async_trace",
    "no_trace",
    "translated",
]

# Of a connection, not of a message (RFC 9114 section 4.2); httpx sends them to any transport.
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)


class Library:
    """httpx or httpx2, with streams that are instances of its classes."""

    def __init__(self, name: str) -> None:
        self.module: Any = importlib.import_module(name)

        class SyncBody(self.module.SyncByteStream):  # type: ignore[misc, name-defined]
            """A response's body. `source` is a `quicpro.sync.Stream`."""

            def __init__(self, source: Any, request: Any, library: Library) -> None:
                self._source = source
                self._request = request
                self._library = library
                self._trace = request.extensions.get("trace", no_trace)

            def __iter__(self) -> Iterator[bytes]:
                with translated(self._library, self._request, "read"):
                    yield from self._source.iter_bytes()

            def close(self) -> None:
                self._source.close()
                self._trace(CLOSED, {"return_value": None})

        class AsyncBody(self.module.AsyncByteStream):  # type: ignore[misc, name-defined]
            """The same; `leave` ends a request."""

            def __init__(self, source: Any, leave: Any, request: Any, library: Library) -> None:
                self._source = source
                self._leave = leave
                self._request = request
                self._library = library
                self._trace = request.extensions.get("trace", no_async_trace)

            async def __aiter__(self) -> AsyncIterator[bytes]:
                with translated(self._library, self._request, "read"):
                    async for piece in self._source.aiter_bytes():
                        yield piece

            async def aclose(self) -> None:
                await self._leave(None, None, None)
                await self._trace(CLOSED, {"return_value": None})

        self.SyncBody = SyncBody
        self.AsyncBody = AsyncBody


_libraries: dict[str, Library] = {}
_guard = threading.Lock()


def library_of(request: Any) -> Library:
    """The library whose request it is."""
    name = type(request).__module__.partition(".")[0]
    library = _libraries.get(name)
    if library is None:
        with _guard:
            library = _libraries.setdefault(name, Library(name))
    return library


def failure(library: Library, e: BaseException, request: Any, during: str = "") -> BaseException:
    """An exception as the library's own; what is none of ours stays."""
    h = library.module
    kind: Any
    if isinstance(e, errors.HandshakeTimeout):
        kind = h.ConnectTimeout
    elif isinstance(e, errors.WriteTimeout):
        kind = h.WriteTimeout
    elif isinstance(e, errors.ResponseTimeout):
        kind = h.ReadTimeout
    elif isinstance(e, errors.StreamLimit):
        kind = h.PoolTimeout
    elif isinstance(e, (errors.StreamError, errors.ProtocolError)):
        kind = h.RemoteProtocolError
    elif isinstance(e, (errors.ConnectionClosed, errors.IdleTimeout)):
        kind = h.ReadError
    elif isinstance(e, errors.ConnectionError):
        kind = h.ReadError if during == "read" else h.ConnectError
    elif isinstance(e, errors.QuicproError):
        kind = h.TransportError
    elif isinstance(e, ValueError) and during == "":
        kind = h.LocalProtocolError
    else:
        return e
    found: BaseException = kind(str(e), request=request)
    return found


@contextlib.contextmanager
def translated(library: Library, request: Any, during: str = "") -> Iterator[None]:
    """Turns exceptions into the library's own."""
    try:
        yield
    except Exception as e:
        found = failure(library, e, request, during)
        if found is e:
            raise
        raise found from e


def limits(request: Any) -> Timeout:
    """The limits that a request came with. Streams are no pool: for one of those there is none."""
    given = request.extensions.get("timeout", {})
    return Timeout(None, given.get("connect"), given.get("read"), given.get("write"))


def fields(request: Any) -> list[tuple[str, str]]:
    """The fields of a request that belong into HTTP/3."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.lower() not in _CONNECTION_FIELDS
    ]


def body_of(library: Library, request: Any) -> Any:
    """Its body: bytes if they are there, else something to iterate over; None: it has none."""
    try:
        return request.content or None
    except library.module.RequestNotRead:
        return request.stream


# Events of the extension "trace", named and with what they bring as httpcore does it.
SENT = "http3.send_request_headers.started"
ANSWERED = "http3.receive_response_headers.complete"
FAILED = "http3.receive_response_headers.failed"
CLOSED = "http3.response_closed.complete"


def no_trace(name: str, info: dict[str, Any]) -> None:
    """Where nobody listens."""


async def no_async_trace(name: str, info: dict[str, Any]) -> None:
    """Where nobody listens."""


def answer_of(stream: Any) -> dict[str, Any]:
    """What the event ANSWERED brings."""
    return {"return_value": (b"HTTP/3", stream.status, b"", stream.headers.raw)}


class NetworkStream:
    """The extension "network_stream": facts about the connection by httpcore's names, and more."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def get_extra_info(self, info: str) -> Any:
        """client_addr, server_addr: (host, port); peer_certificates: in DER, the server's first;
        connection: a `quicpro.ConnectionInfo`. None: unknown, or the connection has ended."""
        if info == "peer_certificates":
            return self._stream.peer_certificates
        known: ConnectionInfo | None = self._stream.connection
        if info == "connection" or known is None:
            return known
        if info in ("client_addr", "server_addr"):
            host, _, port = (known.local if info == "client_addr" else known.peer).rpartition(":")
            return host.strip("[]"), int(port)
        return None
