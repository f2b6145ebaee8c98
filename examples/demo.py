"""`make demo`: an unmodified FastAPI application over HTTP/3, fetched by four clients.

Starts `quicpro serve` with shop.py and a certificate made on the spot, fetches every route with
`quicpro get`, quicpro.AsyncClient, curl (pycurl) and aioquic, compares every byte, prints a table.
Exit code 0 if all was as expected, else 1 with the reasons.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))

DOWNLOAD, SHORT = 50_000_000, 5_000_000
PATTERN = bytes((i * 31 + (i >> 8)) & 255 for i in range(65536))
UPLOAD = PATTERN * 40
LINES = "".join(f"line {i}\n" for i in range(1000)).encode()
CONCURRENT = 200


def pattern(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


# Path, body to send, and what must come back: bytes, or a JSON value.
UPLOADED = {"size": len(UPLOAD), "sha256": hashlib.sha256(UPLOAD).hexdigest()}
ROUTES: list[tuple[str, bytes | None, object]] = [
    ("/", None, {"message": "Hello over HTTP/3"}),
    ("/items/42?q=caf%C3%A9", None, {"item_id": 42, "q": "café"}),
    ("/upload", UPLOAD, UPLOADED),
    ("/stream", None, LINES),
]
BIG = ("/download", None, DOWNLOAD)
BIG_SHORT = (f"/download?size={SHORT}", None, SHORT)


class Demo:
    def __init__(self, base: str, cafile: str) -> None:
        self.base = base
        self.cafile = cafile
        self.rows: list[tuple[str, int, int, float, str]] = []
        self.wrong: list[str] = []

    def note(
        self, client: str, path: str, status: int, body: bytes, want: object, begin: float
    ) -> None:
        self.rows.append((path, status, len(body), (time.perf_counter() - begin) * 1e3, client))
        if status != 200:
            self.wrong.append(f"{client} {path}: status {status}")
        elif isinstance(want, int):
            if body != pattern(want):
                self.wrong.append(f"{client} {path}: wrong bytes ({len(body)} of {want})")
        elif isinstance(want, bytes):
            if body != want:
                self.wrong.append(f"{client} {path}: wrong bytes ({len(body)} of {len(want)})")
        elif json.loads(body) != want:
            self.wrong.append(f"{client} {path}: {body[:200]!r} is not {want}")

    async def fetch(
        self,
        client: str,
        routes: list[tuple[str, bytes | None, object]],
        get: Callable[[str, bytes | None], Awaitable[tuple[int, bytes]]],
    ) -> None:
        for path, data, want in routes:
            begin = time.perf_counter()
            try:
                status, body = await get(self.base + path, data)
            except Exception as e:
                self.wrong.append(f"{client} {path}: {e!r}")
                continue
            self.note(client, path, status, body, want, begin)


def run_cli(demo: Demo) -> None:
    quicpro = [sys.executable, "-m", "quicpro", "get", "--cacert", demo.cafile]
    with tempfile.TemporaryDirectory() as tmp:
        upload = Path(tmp) / "upload"
        upload.write_bytes(UPLOAD)
        for path, data, want in [*ROUTES, BIG]:
            begin = time.perf_counter()
            extra = ["-d", f"@{upload}"] if data is not None else []
            result = subprocess.run([*quicpro, demo.base + path, *extra], capture_output=True)
            if result.returncode != 0:
                demo.wrong.append(f"quicpro get {path}: {result.stderr.decode().strip()}")
                continue
            demo.note("quicpro get", path, 200, result.stdout, want, begin)


async def run_async_client(demo: Demo) -> None:
    import quicpro

    async with quicpro.AsyncClient(cafile=demo.cafile) as client:

        async def get(url: str, data: bytes | None) -> tuple[int, bytes]:
            method = "GET" if data is None else "POST"
            response = await client.request(method, url, body=data)
            return response.status, response.content

        await demo.fetch("quicpro.AsyncClient", [*ROUTES, BIG], get)
        begin = time.perf_counter()
        many = await asyncio.gather(*(get(demo.base + "/", None) for _ in range(CONCURRENT)))
        if any(status != 200 or json.loads(body) != ROUTES[0][2] for status, body in many):
            demo.wrong.append(
                f"quicpro.AsyncClient: not all of {CONCURRENT} requests were answered"
            )
        size = sum(len(body) for _, body in many)
        took = (time.perf_counter() - begin) * 1e3
        demo.rows.append((f"/ ({CONCURRENT} at once)", 200, size, took, "quicpro.AsyncClient"))


async def run_curl(demo: Demo) -> None:
    import pycurl

    async def get(url: str, data: bytes | None) -> tuple[int, bytes]:
        out = io.BytesIO()
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.HTTP_VERSION, 31)  # HTTP/3 and nothing else
        curl.setopt(pycurl.CAINFO, demo.cafile)
        curl.setopt(pycurl.TIMEOUT, 30)
        curl.setopt(pycurl.WRITEDATA, out)
        if data is not None:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, len(data))
            curl.setopt(pycurl.READDATA, io.BytesIO(data))
        curl.perform()
        if curl.getinfo(pycurl.INFO_HTTP_VERSION) != 30:
            raise RuntimeError("not HTTP/3")
        return curl.getinfo(pycurl.RESPONSE_CODE), out.getvalue()

    await demo.fetch("curl", [*ROUTES, BIG], get)


async def run_aioquic(demo: Demo) -> None:
    from urllib.parse import urlsplit

    from aioquic.asyncio.client import connect
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import DataReceived, HeadersReceived
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import QuicEvent

    class Client(QuicConnectionProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.h3 = H3Connection(self._quic)  # from the first byte on: those of QPACK count
            self.waiting: dict[int, tuple[list[int], list[bytes], asyncio.Future[None]]] = {}

        def quic_event_received(self, event: QuicEvent) -> None:
            for e in self.h3.handle_event(event):
                if not isinstance(e, (DataReceived, HeadersReceived)):
                    continue
                status, body, done = self.waiting[e.stream_id]
                if isinstance(e, HeadersReceived):
                    status.append(int(dict(e.headers).get(b":status", b"0")))
                else:
                    body.append(e.data)
                if e.stream_ended and not done.done():
                    done.set_result(None)

        async def get(self, url: str, data: bytes | None) -> tuple[int, bytes]:
            parts = urlsplit(url)
            target = parts.path + ("?" + parts.query if parts.query else "")
            stream = self._quic.get_next_available_stream_id()
            done = asyncio.get_running_loop().create_future()
            self.waiting[stream] = [], [], done
            fields = [
                (b":method", b"GET" if data is None else b"POST"),
                (b":scheme", b"https"),
                (b":authority", parts.netloc.encode()),
                (b":path", target.encode()),
            ]
            self.h3.send_headers(stream, fields, end_stream=data is None)
            if data is not None:
                self.h3.send_data(stream, data, end_stream=True)
            self.transmit()
            await asyncio.wait_for(done, 30)
            status, body, _ = self.waiting.pop(stream)
            return status[0], b"".join(body)

    parts = urlsplit(demo.base)
    configuration = QuicConfiguration(alpn_protocols=["h3"])
    configuration.load_verify_locations(demo.cafile)
    assert parts.hostname is not None
    async with connect(
        parts.hostname, parts.port, configuration=configuration, create_protocol=Client
    ) as client:
        assert isinstance(client, Client)
        await demo.fetch("aioquic", [*ROUTES, BIG_SHORT], client.get)


def start_server(tmp: str) -> tuple[subprocess.Popen[str], str]:
    from quicpro.devcert import write_devcert

    write_devcert(tmp)
    command = [sys.executable, "-m", "quicpro", "serve", "shop:app", "--bind", "127.0.0.1:0"]
    command += ["--app-dir", str(HERE / "python"), "--certfile", f"{tmp}/cert.pem"]
    command += ["--keyfile", f"{tmp}/key.pem"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    line = server.stderr.readline()
    if "serving" not in line:
        server.wait(10)
        raise SystemExit(f"demo: the server did not start: {line.strip()}")
    return server, line.split(" on ")[1].split()[0]


def main() -> int:
    os.environ.pop("SSLKEYLOGFILE", None)
    with tempfile.TemporaryDirectory(prefix="quicpro-demo-") as tmp:
        server, base = start_server(tmp)
        demo = Demo(base, f"{tmp}/ca.pem")
        print(f"serving examples/python/shop.py (FastAPI) on {base}, HTTP/3\n")
        try:
            run_cli(demo)
            for run in (run_async_client, run_curl, run_aioquic):
                try:
                    asyncio.run(run(demo))
                except Exception as e:
                    demo.wrong.append(f"{run.__name__}: {e!r}")
        finally:
            server.terminate()
            try:
                code = server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                code = -9
        if code != 0:
            demo.wrong.append(f"the server ended with {code} instead of 0")
    print(f"{'request':24} {'status':>6} {'bytes':>10} {'ms':>9}  by")
    for path, status, size, took, client in demo.rows:
        print(f"{path:24} {status:6} {size:10} {took:9.1f}  {client}")
    for line in demo.wrong:
        print(f"demo: {line}", file=sys.stderr)
    print("\nevery byte as expected" if not demo.wrong else "\nnot as expected")
    return 1 if demo.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
