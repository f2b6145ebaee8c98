"""The ASGI application that our server runs: the paths of content.py."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from .content import HELLO, pattern

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CHUNK = 256 * 1024
seen: Counter[str] = Counter()
waiting: list[asyncio.Event] = []


async def start(send: Send, status: int, length: int | None = None) -> None:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    await start(send, status, len(body))
    for at in range(0, len(body), CHUNK) or [0]:
        more = at + CHUNK < len(body)
        part = body[at : at + CHUNK]
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def pieces(send: Send, size: int) -> None:
    """The pattern, never more of it in memory than is being sent."""
    await start(send, 200, size)
    for at in range(0, size, CHUNK) or [0]:
        part = pattern(min(CHUNK, size - at), at)
        more = at + CHUNK < size
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def echo(receive: Receive, send: Send) -> None:
    """Sends each part of the body as it comes."""
    await start(send, 200)
    # ASGI lets a server keep the head until there is some body.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            seen["disconnects"] += 1
            return
        more = message.get("more_body", False)
        await send(
            {"type": "http.response.body", "body": message.get("body", b""), "more_body": more}
        )
        if not more:
            return


async def together(count: int, size: int, send: Send) -> None:
    """Answers only once `count` such requests are open."""
    here = asyncio.Event()
    waiting.append(here)
    if len(waiting) == count:
        for event in waiting:
            event.set()
        waiting.clear()
    await here.wait()
    await answer(send, pattern(size))


async def trickle(receive: Receive, send: Send) -> None:
    """Never ends by itself; counts the client's going."""
    await start(send, 200, 1_000_000_000)

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.ensure_future(until_gone())
    try:
        while not gone.done():
            body = {"type": "http.response.body", "body": pattern(1024), "more_body": True}
            await send(body)
            await asyncio.wait([gone], timeout=0.02)
        seen["disconnects"] += 1
    finally:
        gone.cancel()


async def hold(receive: Receive, send: Send) -> None:
    """Sends a little and then waits for the client's going."""
    await start(send, 200)
    await send({"type": "http.response.body", "body": pattern(1024), "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    seen["disconnects"] += 1


async def reset(size: int, send: Send) -> None:
    """Raises in mid-body, which our server turns into a reset."""
    await start(send, 200, 2 * size)
    await send({"type": "http.response.body", "body": pattern(size), "more_body": True})
    raise RuntimeError("on purpose")


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    seen["requests"] += 1
    try:
        await route(scope, receive, send)
    except OSError:  # send() to a client that is gone (ASGI, "Response Body")
        seen["send_errors"] += 1


async def route(scope: Message, receive: Receive, send: Send) -> None:
    path = scope["path"]
    word, *numbers = path.strip("/").split("/")
    if path == "/":
        await answer(send, HELLO)
    elif word == "bytes":
        await pieces(send, int(numbers[0]))
    elif word == "part":
        await answer(send, pattern(int(numbers[0]), int(numbers[1])))
    elif word == "echo" and scope["method"] == "POST":
        await echo(receive, send)
    elif word == "together":
        await together(int(numbers[0]), int(numbers[1]), send)
    elif word == "trickle":
        await trickle(receive, send)
    elif word == "hold":
        await hold(receive, send)
    elif word == "reset":
        await reset(int(numbers[0]), send)
    elif word == "tls":
        await answer(send, json.dumps(scope["extensions"].get("tls")).encode())
    elif word == "extensions":
        await answer(send, json.dumps(scope["extensions"]).encode())
    elif word == "seen":
        await answer(send, json.dumps(seen).encode())
    else:
        await answer(send, b"not found\n", 404)
