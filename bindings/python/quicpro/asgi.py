"""ASGI 3 applications on batches of events.

One `Exchange` is one request and its response; the application gets its `receive` and `send`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote

from . import _batch
from ._batch import Batch
from ._exchange import ASGIApp, Exchange, ExchangeLogic, Message, Receive, Scope, Send
from ._ffi import ffi, lib
from ._loop import LoopDriver
from ._tls import asgi_extension

__all__ = ["ASGIApp", "ASGIServer", "Message", "Receive", "Scope", "Send"]

FIELDS_CACHE: Final = 512  # field sections kept packed

_REQUEST, _DATA, _TRAILERS = _batch.REQUEST, _batch.DATA, _batch.TRAILERS
_RESET, _WRITABLE = _batch.RESET, _batch.WRITABLE
_FIN, _EARLY = _batch.FIN, _batch.EARLY

_METHODS: Final = {
    m.encode(): m for m in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}
_TEXT_FIELDS: Final = _batch.pack_fields([(b"content-type", b"text/plain; charset=utf-8")])


class ASGIServer:
    """Turns batches of a loop into calls of an application, and its answers into records.

    Args:
        app: an ASGI 3 application.
        root_path: prefix under which it is mounted.
        client_certs: whether clients may have certificates; then scopes have the "tls" extension.
        fields: for responses that have none of that name.
        date: the same for "date" (RFC 9110 section 6.6.1).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        root_path: str = "",
        client_certs: bool = False,
        fields: Sequence[tuple[bytes, bytes]] = (),
        date: bool = True,
    ) -> None:
        self.app = app
        self.root_path = root_path
        self.client_certs = client_certs
        self.fields = list(fields)
        self.date = date
        self._second = 0  # the last one in which a response began
        self._tls: dict[int, dict[str, Any]] = {}
        self.state: dict[str, Any] = {}
        self.loop = asyncio.get_running_loop()
        self.driver: LoopDriver
        self.on_certificates: Callable[[], None] = lambda: None  # files of them have changed
        self.on_drained: Callable[[], None] = lambda: None
        self.requests: dict[int, ExchangeLogic] = {}
        self._peers: dict[int, dict[str, Any]] = {}  # by connection: what its scopes share
        self._fields: dict[Any, tuple[int, bytes]] = {}

    def bind(self, driver: LoopDriver) -> None:
        """Before the first batch."""
        self.driver = driver

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
            if self.date and (now := int(time.time())) != self._second:
                self._second = now
                self._fields.clear()
            try:
                known = self._fields.get(key)
            except TypeError:  # pairs that are lists
                key = tuple(map(tuple, key))
                known = self._fields.get(key)
            if known is None:
                theirs = [(bytes(n).lower(), bytes(v)) for n, v in key]
                known = _batch.pack_fields(theirs + self._ours({name for name, _ in theirs}))
                if len(self._fields) >= FIELDS_CACHE:
                    self._fields.clear()
                self._fields[key] = known
        except TypeError:
            raise TypeError("headers are an iterable of pairs of bytes") from None
        return known

    def _ours(self, given: set[bytes]) -> list[tuple[bytes, bytes]]:
        """The server's own fields of a response that has these."""
        fields = [field for field in self.fields if field[0] not in given]
        if self.date and not any(name == b"date" for name in (*given, *dict(fields))):
            fields.append((b"date", formatdate(self._second, usegmt=True).encode()))
        return fields

    def on_batch(self, raw: Any) -> bool:
        """Hand a batch out; whether nothing that it started goes on."""
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
            else:
                self.on_event(kind, words[i + 1])
        return False

    def on_event(self, kind: int, conn: int) -> None:
        """What is not about a request."""
        if kind == _batch.CLOSED:
            self._peers.pop(conn, None)
            self._tls.pop(conn, None)
        elif kind == _batch.DRAINED:
            self.on_drained()
        elif kind == _batch.CERTIFICATES:
            self.on_certificates()

    def scope_template(self, conn: int) -> dict[str, Any]:
        """What is the same in the scopes of all requests of a connection."""
        known = self._peers.get(conn)
        if known is None:
            client, server = self._addresses(conn)
            known = self._peers[conn] = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.5"},
                "http_version": "3",
                "root_path": self.root_path,
                "client": client,
                "server": server,
            }
        return known

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
        template = self.scope_template(conn)
        scope: Scope = {
            **template,
            "asgi": template["asgi"].copy(),
            "method": name_,
            "scheme": "https" if scheme == b"https" else scheme.decode("latin-1"),
            "path": decoded,
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "state": self.state.copy(),
            "extensions": {"tls": self.tls_extension(conn)} if self.client_certs else {},
        }
        if flags & _EARLY:
            scope["extensions"]["quicpro.early_data"] = {}  # a replay, maybe (RFC 8470)
        self.requests[stream] = exchange
        exchange.task = self.loop.create_task(
            self._serve(exchange, scope, exchange.receive, exchange.send)
        )

    def tls_extension(self, conn: int) -> dict[str, Any]:
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

    async def _serve(
        self, exchange: ExchangeLogic, scope: Scope, receive: Receive, send: Send
    ) -> None:
        error: BaseException | None = None
        try:
            await self.app(scope, receive, send)
        except Exception as e:
            error = e
        except BaseException as e:
            exchange.settle(e)
            self.requests.pop(exchange.stream, None)
            raise
        exchange.settle(error)
        self.requests.pop(exchange.stream, None)
