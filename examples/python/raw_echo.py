"""A protocol of its own, "echo": what comes on a stream goes back on it, what comes as a datagram
goes back as one. Both ends in one program, and each for itself:

    python raw_echo.py
    python raw_echo.py serve --cert cert.pem --key key.pem 127.0.0.1 4433
    python raw_echo.py send --cacert ca.pem 127.0.0.1 4433 "hello"
    python raw_echo.py roam --cacert ca.pem 127.0.0.1 4433

roam has 4 MiB echoed, and goes on from another local port in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile

import quicpro
from quicpro.devcert import write_devcert

ALPN = ["echo"]
CONFIG = quicpro.Config(datagrams_enable=True)


async def echo(stream: quicpro.Stream) -> None:
    if not stream.is_bidirectional:  # there is no way back
        stream.stop(1)
        return
    try:
        while data := await stream.read(65536):
            stream.write(data)
            await stream.drain()
        stream.write_eof()
    except quicpro.StreamReset as e:  # given up by the peer: so do we
        stream.reset(e.wire_code)
    except quicpro.StreamStopped as e:  # no need to read what nobody wants back
        stream.stop(e.wire_code)
    except quicpro.ConnectionError:
        pass


async def echo_datagrams(conn: quicpro.Connection) -> None:
    with contextlib.suppress(quicpro.ConnectionError):
        while True:
            conn.send_datagram(await conn.receive_datagram())  # or lost: as they are


async def serve(conn: quicpro.Connection) -> None:
    tasks = {asyncio.create_task(echo_datagrams(conn))}
    async for stream in conn:
        task = asyncio.create_task(echo(stream))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def send(host: str, port: int, ca: str, text: str) -> None:
    async with quicpro.connect(host, port, alpn=ALPN, cafile=ca, config=CONFIG) as conn:
        stream = await conn.open_stream()
        stream.write(text.encode())
        stream.write_eof()
        print((await stream.read()).decode(), flush=True)
        while True:  # it may be lost: send it until one comes back
            conn.send_datagram(text.encode())
            with contextlib.suppress(asyncio.TimeoutError):
                answer = await asyncio.wait_for(conn.receive_datagram(), 1.0)
                break
        print("as a datagram:", answer.decode(), flush=True)


async def roam(host: str, port: int, ca: str) -> None:
    data = os.urandom(4 << 20)

    async def write(stream: quicpro.Stream) -> None:
        for i in range(0, len(data), 65536):
            stream.write(data[i : i + 65536])
            await stream.drain()
        stream.write_eof()

    async with quicpro.connect(host, port, alpn=ALPN, cafile=ca, config=CONFIG) as conn:
        stream = await conn.open_stream()
        writing = asyncio.create_task(write(stream))
        before = conn.local
        received = await stream.readexactly(len(data) // 2)
        after = await conn.migrate()  # the same connection: neither side loses a byte
        received += await stream.read()
        await writing
        same = "the same" if received == data else "OTHER"
        print(f"{len(received)} bytes, {same}, from port {before.port}, then {after.port}")


async def serve_forever(host: str, port: int, cert: str, key: str) -> None:
    listening = quicpro.listen(
        host, port, serve, alpn=ALPN, certfile=cert, keyfile=key, config=CONFIG
    )
    async with listening as listener:
        print(f"raw_echo: listening on {host} port {listener.port}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


async def both() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_devcert(folder)
        listening = quicpro.listen(
            "127.0.0.1", 0, serve, alpn=ALPN, config=CONFIG,
            certfile=f"{folder}/cert.pem", keyfile=f"{folder}/key.pem",
        )  # fmt: skip
        async with listening as listener:
            await send("127.0.0.1", listener.port, f"{folder}/ca.pem", "hello")
            await roam("127.0.0.1", listener.port, f"{folder}/ca.pem")


def main() -> int:
    parser = argparse.ArgumentParser(description="Echo over raw QUIC.")
    command = parser.add_subparsers(dest="command")
    server = command.add_parser("serve")
    server.add_argument("--cert", required=True)
    server.add_argument("--key", required=True)
    client = command.add_parser("send")
    roamer = command.add_parser("roam")
    for sub in (client, roamer):
        sub.add_argument("--cacert", required=True)
    for sub in (server, client, roamer):
        sub.add_argument("host")
        sub.add_argument("port", type=int)
    client.add_argument("text")
    args = parser.parse_args()
    try:
        if args.command == "serve":
            asyncio.run(serve_forever(args.host, args.port, args.cert, args.key))
        elif args.command == "roam":
            asyncio.run(roam(args.host, args.port, args.cacert))
        elif args.command == "send":
            asyncio.run(send(args.host, args.port, args.cacert, args.text))
        else:
            asyncio.run(both())
    except (quicpro.QuicproError, OSError) as e:
        print(f"raw_echo: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
