"""aioquic as a client, in the tests' own process; as a server see aioquic_server.py."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    ProtocolNegotiated,
    QuicEvent,
    StreamReset,
)
from aioquic.quic.logger import QuicLogger
from aioquic.tls import CipherSuite, Epoch, SessionTicket

H3_NO_ERROR = 0x100
H3_INTERNAL_ERROR = 0x102
H3_REQUEST_CANCELLED = 0x10C
WINDOW = 8 * 1024 * 1024


class StreamWasReset(Exception):
    """The peer reset the stream; the argument is its code."""


class Terminated(Exception):
    """The connection ended; the argument is aioquic's event."""


def key_phase(quic: QuicConnection) -> int:
    """Which the last packets had that both sides could read (RFC 9001 section 6)."""
    return quic._cryptos[Epoch.ONE_RTT].key_phase


def facts(quic: QuicConnection, event: HandshakeCompleted) -> list[str]:
    """What a handshake agreed on, a line each."""
    schedule = quic.tls.key_schedule
    assert schedule is not None
    return [
        f"version {quic._version:#x}",
        f"cipher {schedule.cipher_suite.name}",
        f"resumed {event.session_resumed}",
        f"early data {event.early_data_accepted}",
    ]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class _Stream:
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    done: asyncio.Future[None] | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)


class Client(QuicConnectionProtocol):
    """One HTTP/3 connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._streams: dict[int, _Stream] = {}
        self.terminated: ConnectionTerminated | None = None
        self.alpn: str | None = None
        self.facts: list[str] = []
        self.tickets: asyncio.Queue[SessionTicket] = asyncio.Queue()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.alpn = event.alpn_protocol
        elif isinstance(event, HandshakeCompleted):
            self.facts += facts(self._quic, event)
        elif isinstance(event, StreamReset) and event.stream_id in self._streams:
            self._fail(event.stream_id, StreamWasReset(event.error_code))
        elif isinstance(event, ConnectionTerminated):
            self.terminated = event
            for stream_id in list(self._streams):
                self._fail(stream_id, Terminated(event))
        for http_event in self._http.handle_event(event):
            self._http_event(http_event)

    def _fail(self, stream_id: int, error: Exception) -> None:
        done = self._streams[stream_id].done
        if done is not None and not done.done():
            done.set_exception(error)

    def _http_event(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if isinstance(event, HeadersReceived):
            stream.headers += event.headers
        else:
            stream.body += event.data
            stream.started.set()
        if event.stream_ended and stream.done is not None and not stream.done.done():
            stream.done.set_result(None)

    def start(
        self, method: str, path: str, body: bytes = b"", end: bool = True, priority: str = ""
    ) -> int:
        """Send a request, whole or (with `end` false) with more body to come."""
        stream_id = self._quic.get_next_available_stream_id()
        stream = self._streams[stream_id] = _Stream(done=self._loop.create_future())
        headers = [
            (b":method", method.encode()),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path.encode()),
        ]
        if priority:
            headers.append((b"priority", priority.encode()))
        empty = end and not body
        self._http.send_headers(stream_id, headers, end_stream=empty)
        if not empty:
            self._http.send_data(stream_id, body, end_stream=end)
        self.transmit()
        assert stream.done is not None
        stream.done.add_done_callback(lambda f: f.cancelled() or f.exception())
        return stream_id

    def reprioritise(self, stream_id: int, priority: str) -> None:
        """A PRIORITY_UPDATE frame for a request (RFC 9218 section 7.2)."""
        payload = encode_uint_var(stream_id) + priority.encode()
        frame = encode_uint_var(0xF0700) + encode_uint_var(len(payload)) + payload
        assert self._http._local_control_stream_id is not None
        self._quic.send_stream_data(self._http._local_control_stream_id, frame)
        self.transmit()

    async def first_bytes(self, stream_id: int) -> None:
        await self._streams[stream_id].started.wait()

    def reset(self, stream_id: int, code: int = H3_REQUEST_CANCELLED) -> None:
        self._quic.reset_stream(stream_id, code)
        self.transmit()

    def stop(self, stream_id: int, code: int = H3_REQUEST_CANCELLED) -> None:
        self._quic.stop_stream(stream_id, code)
        self.transmit()

    async def next_ticket(self) -> SessionTicket:
        """One that the server gave, to resume with."""
        return await self.tickets.get()

    def update_keys(self) -> None:
        """With the next packet."""
        self._quic.request_key_update()

    def key_phase(self) -> int:
        return key_phase(self._quic)

    async def answer(self, stream_id: int) -> Answer:
        stream = self._streams[stream_id]
        assert stream.done is not None
        await stream.done
        del self._streams[stream_id]
        headers = {k.decode(): v.decode() for k, v in stream.headers}
        return Answer(int(headers.pop(":status")), headers, bytes(stream.body))

    async def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        return await self.answer(self.start(method, path, body))


@asynccontextmanager
async def client(
    port: int,
    ca: str,
    *,
    host: str = "127.0.0.1",
    alpn: list[str] | None = None,
    idle: float = 20.0,
    versions: list[int] | None = None,
    chacha20: bool = False,
    wait: bool = True,
    qlog: QuicLogger | None = None,
    ticket: SessionTicket | None = None,
    name: str = "localhost",
    cert: tuple[str, str] | None = None,
) -> AsyncIterator[Client]:
    """A connection, closed at the end; `versions`: the first one is tried first; `chacha20`: no
    other cipher is offered; `name`: who is asked for; `cert`: what to show, and its key."""
    configuration = QuicConfiguration(
        alpn_protocols=alpn or H3_ALPN,
        idle_timeout=idle,
        max_data=WINDOW,
        max_stream_data=WINDOW,
        server_name=name,
        verify_mode=ssl.CERT_REQUIRED,
        quic_logger=qlog,
        session_ticket=ticket,
    )
    tickets: asyncio.Queue[SessionTicket] = asyncio.Queue()
    configuration.load_verify_locations(ca)
    if cert is not None:
        configuration.load_cert_chain(*cert)
    if versions:
        configuration.supported_versions = versions
    if chacha20:
        configuration.cipher_suites = [CipherSuite.CHACHA20_POLY1305_SHA256]
    made: list[Client] = []

    def make(*args: Any, **kwargs: Any) -> Client:
        made.append(Client(*args, **kwargs))
        made[-1].tickets = tickets
        return made[-1]

    try:
        async with connect(
            host,
            port,
            configuration=configuration,
            create_protocol=make,
            session_ticket_handler=tickets.put_nowait,
            wait_connected=wait,
        ) as protocol:
            assert isinstance(protocol, Client)
            yield protocol
    except ConnectionError as e:
        if str(e) or not made or made[0].terminated is None:
            raise
        raise ConnectionError(str(Terminated(made[0].terminated))) from e  # aioquic's says nothing
    finally:
        for one in made:  # a client that was given up while it connected or closed is still open
            if one._transport is not None:
                one._transport.close()


async def refusal(port: int, ca: str, alpn: list[str]) -> int:
    """The code with which a server ends a handshake."""
    async with client(port, ca, alpn=alpn, idle=5, wait=False) as protocol:
        protocol.transmit()
        await protocol.wait_closed()
        assert protocol.terminated is not None
        return protocol.terminated.error_code
