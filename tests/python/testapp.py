"""The ASGI application most tests talk to; `quicpro serve testapp:app` runs it, too."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = bytes(range(256)) * 256  # 64 KiB


def body_of(size: int) -> bytes:
    """What /bytes/SIZE sends."""
    return (PIECE * (size // len(PIECE) + 1))[:size]


async def start(send: Send, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def piece(send: Send, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    length = (b"content-length", str(len(body)).encode())
    await start(send, status, (b"content-type", b"text/plain"), length)
    await piece(send, body, False)


async def read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has gone")
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


def shown(scope: dict[str, Any]) -> bytes:
    """A scope as JSON; bytes as text."""
    return json.dumps(scope, default=lambda b: b.decode("latin-1")).encode()


async def gone(receive: Receive) -> None:
    """Return once the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError("http only")
    first, *rest = scope["path"].strip("/").split("/")
    match first:
        case "":
            await answer(send, b"hello")
        case "scope":
            await answer(send, shown(scope))
        case "echo":
            await answer(send, await read(receive))
        case "early":  # answers without a look at the body
            await answer(send, b"early", 413)
        case "bytes":
            size = int(rest[0])
            await start(send, 200, (b"content-length", rest[0].encode()))
            for at in range(0, size, len(PIECE)):
                await piece(send, PIECE[: size - at], at + len(PIECE) < size)
            if size == 0:
                await piece(send, b"", False)
        case "status":
            await answer(send, f"status {rest[0]}".encode(), int(rest[0]))
        case "gc":
            said = {"frozen": gc.get_freeze_count(), "threshold": gc.get_threshold()}
            await answer(send, json.dumps(said).encode())
        case "never":  # no answer until the client gives up
            await gone(receive)
        case "unread":  # nor a look at the body
            await asyncio.Event().wait()
        case "forever":  # an answer without an end
            await start(send)
            with contextlib.suppress(OSError):
                while True:
                    await piece(send, PIECE)
        case "raise":
            raise ZeroDivisionError("before the start")
        case "raise-late":
            await start(send)
            await piece(send, PIECE)
            raise ZeroDivisionError("after the start")
        case "silent":
            return
        case _:
            await answer(send, b"not found", 404)
