"""aioquic as a server, a program of its own.

Usage: python -m interop.aioquic_server --cert FILE --key FILE [--host ADDRESS] [--alpn h3]
       [--idle SECONDS] [--version HEX]... [--retry] [--chacha20] [--key-update]

Says what was negotiated in each handshake.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StreamReset,
)
from aioquic.tls import CipherSuite, SessionTicket

from .aioquic_peer import H3_INTERNAL_ERROR, H3_NO_ERROR, WINDOW, facts, key_phase
from .content import HELLO, pattern


class Service:
    """What all connections of one server share."""

    def __init__(self) -> None:
        self.key_update = False
        self.seen: Counter[str] = Counter()
        self.waiting: list[Callable[[], None]] = []


class Server(QuicConnectionProtocol):
    """Answers at the paths of content.py."""

    service: Service

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._requests: dict[int, tuple[str, str, bytearray]] = {}
        self._gone: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.service.seen["connections"] += 1

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamReset):
            self.service.seen["resets"] += 1
            self._gone.add(event.stream_id)
        elif isinstance(event, HandshakeCompleted):
            print("\n".join(facts(self._quic, event)), flush=True)
        elif isinstance(event, ConnectionTerminated):
            self.service.seen["terminated"] += 1
            print(f"key phase {key_phase(self._quic)} at the end", flush=True)
            for task in self._tasks:
                task.cancel()
        for http_event in self._http.handle_event(event):
            if isinstance(http_event, HeadersReceived):
                headers = {k.decode(): v.decode() for k, v in http_event.headers}
                if ":method" in headers:
                    if headers[":path"] == "/early":
                        self._answer_early(http_event.stream_id)
                        continue
                    request = (headers[":method"], headers[":path"], bytearray())
                    self._requests[http_event.stream_id] = request
            elif isinstance(http_event, DataReceived):
                if http_event.stream_id not in self._requests:
                    continue  # bytes of an upload that was stopped
                self._requests[http_event.stream_id][2].extend(http_event.data)
            else:
                continue
            if http_event.stream_ended:
                self._answer(http_event.stream_id, *self._requests.pop(http_event.stream_id))

    def _send(self, stream_id: int, body: bytes, status: int = 200) -> None:
        if stream_id in self._gone:
            return
        length = str(len(body)).encode()
        self._http.send_headers(
            stream_id, [(b":status", str(status).encode()), (b"content-length", length)]
        )
        self._http.send_data(stream_id, body, end_stream=True)
        self.transmit()

    def _answer(self, stream_id: int, method: str, path: str, body: bytearray) -> None:
        self.service.seen["requests"] += 1
        if self.service.key_update and key_phase(self._quic) == 0:
            self._quic.request_key_update()
        word, *numbers = path.strip("/").split("/")
        if path == "/":
            self._send(stream_id, HELLO)
        elif word == "bytes":
            self._send(stream_id, pattern(int(numbers[0])))
        elif word == "part":
            self._send(stream_id, pattern(int(numbers[0]), int(numbers[1])))
        elif word == "echo" and method == "POST":
            self._send(stream_id, bytes(body))
        elif word == "together":
            waiting = self.service.waiting
            waiting.append(lambda: self._send(stream_id, pattern(int(numbers[1]))))
            if len(waiting) == int(numbers[0]):
                for send in waiting:
                    send()
                waiting.clear()
        elif word == "reset":
            size = int(numbers[0])
            self._http.send_headers(
                stream_id, [(b":status", b"200"), (b"content-length", str(2 * size).encode())]
            )
            self._http.send_data(stream_id, pattern(size), end_stream=False)
            self.transmit()
            # Only once the bytes are on their way: a reset may overtake what was not sent.
            self._loop.call_later(0.1, self._reset, stream_id)
        elif word == "close":
            self._http.send_headers(stream_id, [(b":status", b"200")])
            self._http.send_data(stream_id, pattern(int(numbers[0])), end_stream=False)
            self.transmit()
            self._loop.call_later(0.1, self.close, H3_INTERNAL_ERROR, "had\nenough")
        elif word == "trickle":
            task = self._loop.create_task(self._trickle(stream_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif word == "seen":
            self._send(stream_id, json.dumps(self.service.seen).encode())
        else:
            self._send(stream_id, b"not found\n", 404)

    def _answer_early(self, stream_id: int) -> None:
        self.service.seen["early"] += 1
        self._quic.stop_stream(stream_id, H3_NO_ERROR)
        self._send(stream_id, b"too much\n", 413)

    def _reset(self, stream_id: int) -> None:
        self._quic.reset_stream(stream_id, H3_INTERNAL_ERROR)
        self.transmit()

    async def _trickle(self, stream_id: int) -> None:
        self._http.send_headers(
            stream_id, [(b":status", b"200"), (b"content-length", b"1000000000")]
        )
        while stream_id not in self._gone:
            self._http.send_data(stream_id, pattern(1024), end_stream=False)
            self.transmit()
            await asyncio.sleep(0.02)


async def _serve(args: argparse.Namespace) -> None:
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=args.alpn.split(","),
        idle_timeout=args.idle,
        max_data=WINDOW,
        max_stream_data=WINDOW,
    )
    if args.version:
        configuration.supported_versions = [int(v, 16) for v in args.version]
    configuration.load_cert_chain(args.cert, args.key)
    if args.chacha20:
        configuration.cipher_suites = [CipherSuite.CHACHA20_POLY1305_SHA256]
    service = Service()
    service.key_update = args.key_update

    class Protocol(Server):
        pass

    Protocol.service = service
    tickets: dict[bytes, SessionTicket] = {}
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: QuicServer(
            configuration=configuration,
            create_protocol=Protocol,
            retry=args.retry,
            session_ticket_handler=lambda ticket: tickets.update({ticket.ticket: ticket}),
            session_ticket_fetcher=lambda label: tickets.pop(label, None),  # each once
        ),
        local_addr=(args.host, 0),
    )
    host, port = transport.get_extra_info("sockname")[:2]
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--alpn", default="h3")
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--version", action="append", metavar="HEX")
    parser.add_argument("--retry", action="store_true", help="validate addresses by Retry")
    parser.add_argument("--chacha20", action="store_true", help="accept no other cipher")
    parser.add_argument("--key-update", action="store_true", help="update keys at the 1st request")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
