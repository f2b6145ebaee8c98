"""What `quicpro serve` can put around an application: limits and an access log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from ._exchange import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AccessLog", "LimitConcurrency", "LimitRequests"]

logger = logging.getLogger("quicpro.access")

_BUSY = b"Service Unavailable"


class LimitConcurrency:
    """Answers 503 (Service Unavailable) while this many requests are being answered.

    Args:
        app: what is limited.
        most: requests at a time.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if self._now >= self._most and scope["type"] == "http":
            fields = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(_BUSY)).encode()),
                (b"retry-after", b"1"),
            ]
            await send({"type": "http.response.start", "status": 503, "headers": fields})
            await send({"type": "http.response.body", "body": _BUSY})
            return
        self._now += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._now -= 1


class LimitRequests:
    """Calls a function once this many requests have begun.

    Args:
        app: what is counted.
        most: requests in all.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._left = most
        self.on_limit: Callable[[], object] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._left -= 1
            if self._left == 0:
                self.on_limit()
        await self._app(scope, receive, send)


class AccessLog:
    """A line for each request, in the logger "quicpro.access", when the application is through.

    Args:
        app: what is logged.
        form: "text", as `192.0.2.7:1234 "GET /path?query HTTP/3" 200 12345 B 1.234 ms`, or "json".
    """

    def __init__(self, app: ASGIApp, form: Literal["text", "json"]) -> None:
        self._app = app
        self._line = self._json if form == "json" else self._text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, size = 500, 0  # what becomes of an application that raises

        async def noting(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            logger.info("%s", self._line(scope, status, size, time.perf_counter() - began))

    @staticmethod
    def _target(scope: Scope) -> str:
        """As it was sent: bytes that end no line and need no escapes."""
        raw = scope.get("raw_path") or scope["path"].encode()
        query = scope["query_string"]
        whole = raw + b"?" + query if query else raw
        return "".join(
            chr(byte) if 0x20 < byte < 0x7F and byte not in b'"\\' else f"%{byte:02X}"
            for byte in whole
        )

    def _text(self, scope: Scope, status: int, size: int, seconds: float) -> str:
        client = "{}:{}".format(*scope["client"]) if scope.get("client") else "-"
        what = f"{scope['method']} {self._target(scope)} HTTP/{scope['http_version']}"
        return f'{client} "{what}" {status} {size} B {seconds * 1000:.3f} ms'

    def _json(self, scope: Scope, status: int, size: int, seconds: float) -> str:
        found: dict[str, Any] = {
            "client": "{}:{}".format(*scope["client"]) if scope.get("client") else None,
            "method": scope["method"],
            "target": self._target(scope),
            "http_version": scope["http_version"],
            "status": status,
            "bytes": size,
            "seconds": round(seconds, 6),
        }
        return json.dumps(found)
