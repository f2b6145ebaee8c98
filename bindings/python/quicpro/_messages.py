"""Requests and responses, for the asyncio and the blocking client alike."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from . import _batch, errors
from ._batch import Batch
from ._check import error
from ._ffi import ffi, lib

__all__ = ["Body", "ConnectionInfo", "Event", "HeaderTypes", "Headers", "Origin", "Response"]

Body: TypeAlias = (
    bytes | bytearray | memoryview | str | Iterable[bytes] | AsyncIterable[bytes] | IO[bytes]
)
HeaderTypes: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

CHUNK = 65536  # bytes read at once from a file that is sent


class Origin(NamedTuple):
    """Where a URL points: host and port."""

    host: str
    port: int


@functools.lru_cache(maxsize=256)
def parse_url(url: str) -> tuple[Origin, bytes, bytes]:
    """Take a URL apart: origin, authority and path with query.

    Raises:
        ValueError: not a complete https URL.
    """
    parts = urlsplit(url)
    if parts.scheme == "http":
        raise ValueError(f"'{url}': HTTP/3 is always encrypted, use https://")
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"'{url}' is not a URL such as https://example.org/path")
    port = parts.port  # raises ValueError when out of range
    if port == 0:
        raise ValueError(f"'{url}': there is no port 0")
    host = parts.hostname
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    target = parts.path or "/"
    if parts.query:
        target += "?" + parts.query
    try:
        return Origin(host, port or 443), authority.encode("idna"), target.encode("ascii")
    except UnicodeError:
        raise ValueError(f"'{url}' holds characters that must be percent-encoded") from None


class Headers(Mapping[str, str]):
    """Fields of a message in order; case does not matter, repeated ones are joined by ", "."""

    __slots__ = ("raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def get_list(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        key = name.lower().encode("latin-1")
        return [v.decode("latin-1") for n, v in self.raw if n == key]

    def __getitem__(self, name: str) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(n.decode("latin-1") for n, _ in self.raw))

    def __len__(self) -> int:
        return len({n for n, _ in self.raw})

    def __repr__(self) -> str:
        return f"Headers({[(n.decode('latin-1'), v.decode('latin-1')) for n, v in self.raw]!r})"


class ConnectionInfo(NamedTuple):
    """Facts about a connection. Times in seconds, sizes in bytes."""

    local: str
    peer: str
    alpn: str
    cipher: str
    group: str
    version: int
    rtt: float
    min_rtt: float
    cwnd: int
    bytes_in: int
    bytes_out: int
    packets_in: int
    packets_out: int
    packets_lost: int
    resumed: bool = False  # from a session of an earlier connection
    early_data: Literal["none", "accepted", "rejected"] = "none"


_EARLY_DATA: Final = ("none", "accepted", "rejected")  # by enum quicpro_early_data


def connection_info(loop: Any, conn: int) -> ConnectionInfo | None:
    """The facts, or None if the connection has ended."""
    info = ffi.new("quicpro_conn_info *", {"size": ffi.sizeof("quicpro_conn_info")})
    if lib.quicpro_conn_get_info(loop, conn, info) < 0:
        return None
    return ConnectionInfo(
        local=ffi.string(info.local).decode(),
        peer=ffi.string(info.peer).decode(),
        alpn=ffi.string(info.alpn).decode(),
        cipher=ffi.string(info.cipher).decode(),
        group=ffi.string(info.group).decode(),
        version=info.version,
        rtt=info.rtt / 1e9,
        min_rtt=info.min_rtt / 1e9,
        cwnd=info.cwnd,
        bytes_in=info.bytes_in,
        bytes_out=info.bytes_out,
        packets_in=info.packets_in,
        packets_out=info.packets_out,
        packets_lost=info.packets_lost,
        resumed=bool(info.resumed),
        early_data=_EARLY_DATA[info.early_data],
    )


class Response:
    """A complete response.

    Attributes:
        status: the status code.
        headers: its fields.
        trailers: fields that came after the body; usually none.
        content: the body.
        url: what was asked for.
    """

    http_version = "3"

    def __init__(self, url: str, status: int, headers: Headers) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.trailers = Headers([])
        self.content = b""
        self._connection: ConnectionInfo | Callable[[], ConnectionInfo | None] | None = None

    @property
    def connection(self) -> ConnectionInfo | None:
        """Facts about the connection, as they are now; or as they were last known, if it ended."""
        return self._connection() if callable(self._connection) else self._connection

    @property
    def text(self) -> str:
        """The body, decoded as its content type says, UTF-8 if it does not say."""
        charset = "utf-8"
        for part in self.headers.get("content-type", "").split(";")[1:]:
            key, _, value = part.strip().partition("=")
            if key.lower() == "charset":
                charset = value.strip('"')
        try:
            return self.content.decode(charset, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<Response [{self.status}] {self.url}>"


class Event(NamedTuple):
    """One event of a client, for whoever waits for its stream or connection."""

    kind: int
    fin: bool
    informational: bool
    conn: int
    stream: int
    code: int
    data: bytes
    headers: list[tuple[bytes, bytes]]
    error: Exception | None


def events(raw: Any) -> Iterator[Event]:
    """The events of a quicpro_batch."""
    batch = Batch(raw)
    words = batch.words
    for i in range(0, len(words), 8):
        head, conn, stream, code, address, length = words[i : i + 6]
        kind = head & 0xFFFF
        flags = head >> 16 & 0xFFFF
        data = b""
        headers: list[tuple[bytes, bytes]] = []
        failure = None
        if kind in (_batch.RESPONSE, _batch.TRAILERS):
            headers = batch.headers(address, length)
        elif kind == _batch.DATA:
            data = _batch.body(address, length)
        elif kind in (_batch.RESET, _batch.CLOSED):
            failure = failure_of(
                _batch.error_of(head),
                _batch.text(address, length),
                code,
                bool(flags & _batch.REMOTE),
            )
        yield Event(
            kind,
            bool(flags & _batch.FIN),
            bool(flags & _batch.INFORMATIONAL),
            conn,
            stream,
            code,
            data,
            headers,
            failure,
        )


def failure_of(code: int, text: str, wire_code: int, remote: bool) -> Exception:
    if code == 0:
        return errors.ConnectionClosed(
            text or "the connection was closed", wire_code=wire_code, remote=remote
        )
    return error(code, text, wire_code=wire_code, remote=remote)


def request_fields(
    method: str, authority: bytes, target: bytes, headers: HeaderTypes | None, length: int | None
) -> list[tuple[bytes, bytes]]:
    """The field section of a request.

    Raises:
        ValueError: a name or value that no field can have.
    """
    fields = [
        (b":method", method.encode("ascii")),
        (b":scheme", b"https"),
        (b":authority", authority),
        (b":path", target),
    ]
    given = headers.items() if isinstance(headers, Mapping) else (headers or ())
    for name, value in given:
        key = name.lower().encode("latin-1")
        if key == b"host":
            fields[2] = (b":authority", value.encode("latin-1"))
            continue
        fields.append((key, value.encode("latin-1")))
    if length is not None and not any(n == b"content-length" for n, _ in fields):
        fields.append((b"content-length", str(length).encode()))
    if not any(n == b"user-agent" for n, _ in fields):
        fields.append((b"user-agent", USER_AGENT))
    return fields


USER_AGENT = b"quicpro/" + ffi.string(lib.quicpro_version())


def split_body(body: Body | None) -> tuple[bytes | None, Any]:
    """A body as bytes, if it is that, else as something to iterate over."""
    if body is None:
        return b"", None
    if isinstance(body, str):
        return body.encode(), None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), None
    if hasattr(body, "read"):
        return None, iter(lambda: body.read(CHUNK), b"")
    if isinstance(body, (AsyncIterable, Iterable)):
        return None, body
    raise TypeError(
        f"a body is bytes, str, a file or an iterable of bytes, not {type(body).__name__}"
    )


def start_request(
    loop: Any, conn: int, fields: list[tuple[bytes, bytes]], body: bytes | None
) -> int:
    """Send a request's fields, and its body if it is known; returns the stream.

    Raises:
        ValueError: a field that HTTP/3 forbids.
        QuicproError: the connection does not take it.
    """
    nv, keep = _batch.make_nv(fields)
    stream = ffi.new("quicpro_stream *")
    data = body or b""
    rc = lib.quicpro_request(
        loop,
        conn,
        nv,
        len(fields),
        ffi.from_buffer(data),
        len(data),
        body is not None,
        ffi.NULL,
        stream,
    )
    del keep
    if rc == lib.QUICPRO_ESTALE:
        raise errors.ConnectionClosed("the connection has ended", code=rc)
    if rc < 0:
        raise error(rc)
    return int(stream[0])


def client_config(
    cafile: Any, verify: bool | None, handshake_timeout: float | None, config: Any
) -> Any:
    """A client's options from its arguments; None leaves what the configuration says."""
    from .config import Config

    options = {"ca_file": cafile, "verify_peer": verify, "handshake_timeout": handshake_timeout}
    given = {key: value for key, value in options.items() if value is not None}
    return (config or Config()).replace(**given)
