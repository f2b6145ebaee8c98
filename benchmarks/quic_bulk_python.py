#!/usr/bin/env python3
"""Goodput of a Python sender on a raw stream, for each second of its CPU.

    benchmarks/quic_bulk_python.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

A receiver of ours on one core, for all senders: it reads a unidirectional stream into one
buffer and closes the connection at its end. The sender, on another core, writes pieces of 1 MiB
with backpressure; its own CPU time counts, handshake excluded.

bulk_python           MB a CPU second, our blocking sender; peer aioquic. Bar: 40x.
bulk_python_qh3       the same; peer qh3. Bar: 10x.
bulk_python_asyncio   our sender on stock asyncio; peer aioquic. Bar: 40x.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys

from _bench import Bench, BenchError, Figure
from _process import Server

FIGURES = ("bulk_python", "bulk_python_qh3", "bulk_python_asyncio")

SINK = """
import asyncio, sys, quicpro
async def handler(conn):
    stream = await conn.accept_stream()
    room = bytearray(1 << 20)
    total = 0
    while n := await stream.readinto(room):
        total += n
    conn.close(0, str(total))
async def main():
    config = quicpro.Config(initial_max_data_bytes=32 << 20, initial_max_stream_data_bytes=16 << 20)
    serving = quicpro.listen("127.0.0.1", 0, handler, alpn=["sink"], certfile=sys.argv[1],
                             keyfile=sys.argv[2], config=config)
    async with serving:
        await asyncio.Event().wait()
asyncio.run(main())
"""

COMMON = """
import json, sys, time
port, pieces = int(sys.argv[1]), int(sys.argv[2])
PIECE = bytes(1 << 20)
def say(cpu, wall, said):
    print(json.dumps({"cpu": cpu, "wall": wall, "got": said}))
"""

BLOCKING = """
from quicpro.sync import connect
conn = connect("127.0.0.1", port, alpn=["sink"], verify=False)
stream = conn.open_stream(bidi=False)
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(pieces):
    stream.write(PIECE)
stream.write_eof()
conn.wait_closed()
say(time.process_time() - cpu, time.perf_counter() - wall, conn.reason)
"""

ASYNCIO = """
import asyncio, quicpro
async def main():
    conn = await quicpro.connect("127.0.0.1", port, alpn=["sink"], verify=False)
    stream = await conn.open_stream(bidi=False)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(pieces):
        stream.write(PIECE)
        await stream.drain()
    stream.write_eof()
    await conn.wait_closed()
    say(time.process_time() - cpu, time.perf_counter() - wall, conn.reason)
asyncio.run(main())
"""

# Of aioquic and of qh3, which has its interface. Their writers know no backpressure: of aioquic's
# stream one can ask what waits, so that it is at most two pieces; qh3 gets all of it at once.
OTHERS = """
import asyncio, ssl
from {0}.asyncio.client import connect
from {0}.asyncio.protocol import QuicConnectionProtocol
from {0}.quic.configuration import QuicConfiguration
from {0}.quic.events import ConnectionTerminated
class Sender(QuicConnectionProtocol):
    def quic_event_received(self, event):
        super().quic_event_received(event)
        if isinstance(event, ConnectionTerminated):
            self.said.set_result(event.reason_phrase)
async def main():
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["sink"], verify_mode=ssl.CERT_NONE
    )
    async with connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=Sender
    ) as conn:
        conn.said = asyncio.get_running_loop().create_future()
        cpu, wall = time.process_time(), time.perf_counter()
        quic = conn._quic
        number = quic.get_next_available_stream_id(is_unidirectional=True)
        for n in range(pieces):
            quic.send_stream_data(number, PIECE, n == pieces - 1)
            conn.transmit()
            if hasattr(quic, "_streams"):
                sender = quic._streams[number].sender
                while len(sender._buffer) > 2 << 20 and not conn.said.done():
                    await asyncio.sleep(0.002)
        said = await conn.said
        say(time.process_time() - cpu, time.perf_counter() - wall, said)
asyncio.run(main())
"""

SENDERS = {
    "blocking": BLOCKING,
    "asyncio": ASYNCIO,
    "aioquic": OTHERS.replace("{0}", "aioquic"),
    "qh3": OTHERS.replace("{0}", "qh3"),
}
SLOW = ("aioquic", "qh3")


def measure(bench: Bench, server: Server, name: str) -> tuple[float, float]:
    """Megabytes a CPU second and a second."""
    pieces = 2 if bench.smoke else 8 if name in SLOW else 128
    args = [sys.executable, "-c", COMMON + SENDERS[name], server.port, pieces]
    done = bench.client(args, timeout=120)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise BenchError(f"{name}: {done.stderr.strip()[-300:]}") from None
    if said["got"] != str(pieces << 20):
        raise BenchError(f"{name}: {pieces << 20} bytes were sent, {said['got']} came")
    size = (pieces << 20) / 1e6
    return size / said["cpu"], size / said["wall"]


def main() -> int:
    with Bench("Goodput of a Python sender for each second of its CPU.", FIGURES) as b:
        names = ["blocking", "asyncio"]
        if not b.smoke:
            for peer in SLOW:
                if importlib.util.find_spec(peer) is not None:
                    names.append(peer)
                else:
                    b.skip(f"{peer} is not installed: pip install {peer}")
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        try:
            args = [sys.executable, "-c", SINK, *b.certificates()]
            server = b.start("sink", args)
            for n in range(b.rounds):
                for name in names if n % 2 == 0 else reversed(names):
                    samples[name].append(measure(b, server, name))
                said = ", ".join(f"{name}: {samples[name][-1][0]:.1f}" for name in names)
                print(f"  round {n + 1}, MB a CPU second, {said}", flush=True)
        except BenchError as e:
            print(f"quic_bulk_python.py: {e}", file=sys.stderr)
            return 1
        print("\nsender    a CPU second   a second   MB")
        for name in names:
            cpu, wall = (statistics.median(s[i] for s in samples[name]) for i in (0, 1))
            print(f"{name:9} {cpu:12.1f} {wall:10.1f}")
        rows = (
            ("blocking", "aioquic", 40.0),
            ("blocking", "qh3", 10.0),
            ("asyncio", "aioquic", 40.0),
        )
        for figure, (name, peer, bar) in zip(FIGURES, rows, strict=True):
            if b.wants(figure):
                ours = [cpu for cpu, _ in samples[name]]
                theirs = [cpu for cpu, _ in samples.get(peer, [])]
                b.add(
                    Figure(
                        figure, "MB/CPU-s", ours, peer if theirs else "-", theirs, bar,
                        judged=bool(theirs),
                    )
                )  # fmt: skip
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
