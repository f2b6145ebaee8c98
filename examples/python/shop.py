"""An ordinary FastAPI application; nothing in it knows of QUIC."""

import hashlib
from collections.abc import Iterator

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

app = FastAPI()
DOWNLOAD = 50_000_000
PATTERN = bytes((i * 31 + (i >> 8)) & 255 for i in range(65536))  # repeats after 64 KiB


@app.get("/")
async def index() -> dict[str, str]:
    return {"message": "Hello over HTTP/3"}


@app.get("/items/{item_id}")
async def item(item_id: int, q: str = "") -> dict[str, object]:
    return {"item_id": item_id, "q": q}


@app.post("/upload")
async def upload(request: Request) -> dict[str, object]:
    digest = hashlib.sha256()
    size = 0
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


@app.get("/stream")
async def stream() -> StreamingResponse:
    def lines() -> Iterator[str]:
        for i in range(1000):
            yield f"line {i}\n"

    return StreamingResponse(lines(), media_type="text/plain")


def pieces(size: int) -> Iterator[bytes]:
    for at in range(0, size, len(PATTERN)):
        yield PATTERN[: size - at]


@app.get("/download")
async def download(size: int = DOWNLOAD) -> StreamingResponse:
    return StreamingResponse(
        pieces(size),
        media_type="application/octet-stream",
        headers={"content-length": str(size)},
    )
