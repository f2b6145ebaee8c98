"""The smallest ASGI application: one hundred bytes."""

from __future__ import annotations

from typing import Any

BODY = (
    b"Hello over HTTP/3. This answer is one hundred bytes long, so that "
    b"servers can be compared with it..\n"
)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"100")],
}
END = {"type": "http.response.body", "body": BODY}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send(START)
    await send(END)
