#!/usr/bin/env python3
"""A Python client's cost of a request: small GETs, a hundred in flight.

    benchmarks/h3_client.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

Our ASGI server on one core, for all clients, by HTTP/3 and, beside it, by HTTP/1.1 over TLS
(uvicorn's protocols); a Python client on another. Its CPU time counts.

client_get         CPU us a request of our AsyncClient; peer aioquic's client. Bar: 10x.
client_get_pycurl  the same; peer pycurl's multi interface, C and HTTP/3 by ngtcp2. Bar: 0.7x.
client_httpx       httpx over quicpro.httpx; peer httpx over HTTP/1.1 with keep-alive, whose pool
                   looks through all its connections for each request. Bar: 1.2x.
"""

from __future__ import annotations

import json
import statistics
import sys

from _bench import Bench, BenchError, Figure
from _process import Server
from _servers import APPS

FIGURES = ("client_get", "client_get_pycurl", "client_httpx")
PARALLEL = 100

COMMON = f"""
import asyncio, json, ssl, sys, time
port, seconds, PARALLEL = int(sys.argv[1]), float(sys.argv[2]), {PARALLEL}
url = f"https://127.0.0.1:{{port}}/"
def say(count, cpu):
    print(json.dumps({{"count": count, "cpu": cpu}}))
async def run(get):
    # Each of so many goes on by itself; what comes before half of the first second does not count.
    count = 0
    end = time.perf_counter() + seconds + 0.5
    async def one():
        nonlocal count
        while time.perf_counter() < end:
            await get()
            count += 1
    tasks = [asyncio.ensure_future(one()) for _ in range(PARALLEL)]
    await asyncio.sleep(0.5)
    begun, cpu = count, time.process_time()
    await asyncio.gather(*tasks)
    say(count - begun, time.process_time() - cpu)
"""

QUICPRO = """
import quicpro
async def main():
    async with quicpro.AsyncClient(verify=False, timeout=None) as client:
        async def get():
            answer = await client.get(url)
            assert answer.status == 200 and len(answer.content) == 100
        await run(get)
asyncio.run(main())
"""

HTTPX = """
import httpx, logging
async def main():
    async with httpx.AsyncClient(transport=TRANSPORT, timeout=None) as client:
        async def get():
            answer = await client.get(url)
            assert answer.status_code == 200 and len(answer.content) == 100
            assert answer.http_version == VERSION
        await run(get)
"""

HTTPX_H3 = (
    HTTPX.replace("TRANSPORT", "quicpro.httpx.AsyncHTTP3Transport(mode='h3only', verify=False)")
    .replace("VERSION", "'HTTP/3'")
    .replace("import httpx,", "import httpx, quicpro.httpx,")
    + "asyncio.run(main())\n"
)
HTTPX_H1 = (
    HTTPX.replace("TRANSPORT", "httpx.AsyncHTTPTransport(verify=False, limits=LIMITS)").replace(
        "VERSION", "'HTTP/1.1'"
    )
    + """
LIMITS = httpx.Limits(max_connections=PARALLEL, max_keepalive_connections=PARALLEL)
asyncio.run(main())
"""
)

AIOQUIC = """
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
class Protocol(QuicConnectionProtocol):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.http, self.waiting = H3Connection(self._quic), {}
    def quic_event_received(self, event):
        for e in self.http.handle_event(event):
            state = self.waiting.get(e.stream_id)
            if isinstance(e, HeadersReceived):
                state[1] = dict(e.headers)[b":status"]
            elif isinstance(e, DataReceived):
                state[2] += len(e.data)
            if getattr(e, "stream_ended", False):
                self.waiting.pop(e.stream_id)[0].set_result(state[1:])
    async def get(self):
        stream_id = self._quic.get_next_available_stream_id()
        done = asyncio.get_running_loop().create_future()
        self.waiting[stream_id] = [done, None, 0]
        self.http.send_headers(stream_id, [
            (b":method", b"GET"), (b":scheme", b"https"),
            (b":authority", b"127.0.0.1"), (b":path", b"/"),
        ], True)
        self.transmit()
        assert await done == [b"200", 100]
async def main():
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE
    )
    async with connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=Protocol
    ) as conn:
        await run(conn.get)
asyncio.run(main())
"""

PYCURL = """
import pycurl
multi = pycurl.CurlMulti()
multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
sizes = {}
def add(easy):
    sizes[easy] = 0
    multi.add_handle(easy)
def make():
    easy = pycurl.Curl()
    easy.setopt(pycurl.URL, url)
    easy.setopt(pycurl.HTTP_VERSION, 31)  # HTTP/3 only
    easy.setopt(pycurl.SSL_VERIFYPEER, 0)
    easy.setopt(pycurl.SSL_VERIFYHOST, 0)
    easy.setopt(pycurl.PIPEWAIT, 1)
    def write(data):
        sizes[easy] += len(data)
    easy.setopt(pycurl.WRITEFUNCTION, write)
    return easy
for _ in range(PARALLEL):
    add(make())
count = begun = 0
start = time.perf_counter()
cpu = None
while (now := time.perf_counter()) < start + seconds + 0.5:
    if cpu is None and now > start + 0.5:
        begun, cpu = count, time.process_time()
    multi.perform()
    while True:
        left, done, failed = multi.info_read()
        assert not failed, failed
        for easy in done:
            assert easy.getinfo(pycurl.RESPONSE_CODE) == 200 and sizes[easy] == 100
            count += 1
            multi.remove_handle(easy)
            add(easy)
        if not left:
            break
    multi.select(0.1)
say(count - begun, time.process_time() - cpu)
"""

CLIENTS = {
    "AsyncClient": QUICPRO,
    "httpx h3": HTTPX_H3,
    "aioquic": AIOQUIC,
    "pycurl": PYCURL,
    "httpx h1": HTTPX_H1,
}
# Ours and the peer of each figure, and its bar.
COMPARED = {
    "client_get": ("AsyncClient", "aioquic", 10.0),
    "client_get_pycurl": ("AsyncClient", "pycurl", 0.7),
    "client_httpx": ("httpx h3", "httpx h1", 1.2),
}


def start(bench: Bench) -> Server:
    cert, key = bench.certificates()
    args = [sys.executable, "-m", "quicpro", "serve", "hello:app", "--tcp", "--bind", "127.0.0.1:0"]
    return bench.start("asgi", [*args, "--certfile", cert, "--keyfile", key], cwd=APPS)


def measure(bench: Bench, server: Server, name: str) -> float:
    """CPU in microseconds a request."""
    args = [sys.executable, "-c", COMMON + CLIENTS[name], server.port, bench.seconds]
    done = bench.client(args, timeout=bench.seconds + 30)
    try:
        said = json.loads(done.stdout)
        return float(said["cpu"] / said["count"] * 1e6)
    except (ValueError, ZeroDivisionError):
        raise BenchError(f"{name}: {done.stderr.strip()[-300:]}") from None


def main() -> int:
    with Bench("CPU of a Python client's request.", FIGURES) as b:
        names = list(CLIENTS)[: 2 if b.smoke else None]
        wanted = {n for f in FIGURES if b.wants(f) for n in COMPARED[f][:2]}
        names = [name for name in names if name in wanted]
        samples: dict[str, list[float]] = {name: [] for name in names}
        try:
            server = start(b)
            for n in range(b.rounds):
                for name in names if n % 2 == 0 else reversed(names):
                    samples[name].append(measure(b, server, name))
                said = ", ".join(f"{name}: {samples[name][-1]:.1f}" for name in names)
                print(f"  round {n + 1}, us of CPU a request, {said}", flush=True)
        except BenchError as e:
            print(f"h3_client.py: {e}", file=sys.stderr)
            return 1
        print("\nclient         CPU us a request")
        for name in names:
            print(f"{name:12} {statistics.median(samples[name]):8.1f}")
        for figure, (ours, peer, bar) in COMPARED.items():
            if b.wants(figure) and ours in samples:
                theirs = samples.get(peer, [])
                b.add(
                    Figure(
                        figure, "us", samples[ours], peer if theirs else "-", theirs, bar,
                        less_is_better=True, judged=bool(theirs),
                    )
                )  # fmt: skip
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
