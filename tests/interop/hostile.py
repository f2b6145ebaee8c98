"""aioquic as a peer that breaks rules: driven by hand, one connection on one socket, with packets
and transport parameters that aioquic itself would not send."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aioquic import tls
from aioquic.buffer import Buffer, encode_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, stream_is_client_initiated
from aioquic.quic.events import ConnectionTerminated, PingAcknowledged, QuicEvent
from aioquic.quic.packet import pull_quic_header
from aioquic.quic.stream import QuicStream, StreamFinishedError
from aioquic.tls import Epoch

INITIAL, ZERO_RTT, HANDSHAKE, ONE_RTT = (
    Epoch.INITIAL, Epoch.ZERO_RTT, Epoch.HANDSHAKE, Epoch.ONE_RTT,
)  # fmt: skip
LONG_TYPE = {INITIAL: 0, ZERO_RTT: 1, HANDSHAKE: 2}

# What a peer did: the code of its CONNECTION_CLOSE, or one of these.
GOES_ON = "goes on"  # as if nothing had come
SILENT = "silent"  # no close, no answer

Parameters = list[tuple[int, bytes]]  # transport parameters, in order


def varints(*values: int) -> bytes:
    return b"".join(encode_uint_var(v) for v in values)


def stream(stream_id: int, offset: int, data: bytes = b"x", fin: bool = False) -> bytes:
    """A STREAM frame with offset and length (RFC 9000 section 19.8)."""
    return varints(0x0E | fin, stream_id, offset, len(data)) + data


def crypto(data: bytes, offset: int = 0) -> bytes:
    return varints(0x06, offset, len(data)) + data


def new_connection_id(sequence: int, retire: int, cid: bytes, token: bytes = bytes(16)) -> bytes:
    return varints(0x18, sequence, retire) + bytes([len(cid)]) + cid + token


def with_parameter(number: int, value: bytes | None) -> Callable[[Parameters], Parameters]:
    """An edit: the parameter has this value, or with None is left out."""

    def edit(parameters: Parameters) -> Parameters:
        rest = [p for p in parameters if p[0] != number]
        return rest if value is None else [*rest, (number, value)]

    return edit


class Connection(QuicConnection):
    """aioquic's, with transport parameters to order (`edit`), or without any."""

    edit: Callable[[Parameters], Parameters] | None = None
    extensions = True
    keep_handshake_keys = False  # so that a close in a Handshake packet can be read to the end
    forgetful = False  # ignores what comes on streams that were opened by injected frames
    remote_close: tuple[int, bool] | None = None  # code; whether of the application

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if not self.extensions:
            self.tls.handshake_extensions = []

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        ours = stream_is_client_initiated(stream_id) == self._is_client
        if self.forgetful and ours and stream_id not in self._streams:
            raise StreamFinishedError
        return super()._get_or_create_stream(frame_type, stream_id)

    def _discard_epoch(self, epoch: Epoch) -> None:
        if epoch is not HANDSHAKE or not self.keep_handshake_keys:
            super()._discard_epoch(epoch)

    def _handle_connection_close_frame(self, context: Any, frame_type: int, buf: Buffer) -> None:
        at = buf.tell()
        self.remote_close = (buf.pull_uint_var(), frame_type == 0x1D)
        buf.seek(at)
        super()._handle_connection_close_frame(context, frame_type, buf)

    def _serialize_transport_parameters(self) -> bytes:
        whole = super()._serialize_transport_parameters()
        if self.edit is None:
            return whole
        buf = Buffer(data=whole)
        parameters = []
        while not buf.eof():
            number = buf.pull_uint_var()
            parameters.append((number, buf.pull_bytes(buf.pull_uint_var())))
        return b"".join(varints(n, len(value)) + value for n, value in self.edit(parameters))

    def keys(self, epoch: Epoch) -> bool:
        """Whether packets of an epoch can be sent."""
        return self._cryptos[epoch].send.is_valid()


class Peer:
    """One end. `quic` is aioquic's connection; nothing happens but in the calls below."""

    def __init__(self, s: socket.socket, quic: Connection) -> None:
        self.socket = s
        self.quic = quic
        self.events: list[QuicEvent] = []
        self._address: Any = None

    def send(self) -> None:
        """Sends what aioquic wants sent."""
        for data, address in self.quic.datagrams_to_send(time.monotonic()):
            self.socket.sendto(data, address)

    def receive(self, seconds: float) -> bool:
        """Takes one datagram, or runs aioquic's timer; false: the time is over."""
        now = time.monotonic()
        end = now + seconds
        timer = self.quic.get_timer()
        at = end if timer is None else min(end, timer)
        self.socket.settimeout(max(0.0, at - now))
        try:
            data, self._address = self.socket.recvfrom(65536)
        except (TimeoutError, BlockingIOError, ConnectionRefusedError):
            if timer is not None and time.monotonic() >= timer:
                self.quic.handle_timer(time.monotonic())
            self._take_events()
            return time.monotonic() < end
        self.quic.receive_datagram(data, self._address, time.monotonic())
        self._take_events()
        return True

    def _take_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            self.events.append(event)

    def until(self, condition: Callable[[], object], seconds: float = 5, send: bool = True) -> bool:
        """Goes on until something is so; false: it did not become so."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            if send:
                self.send()
            if condition():
                return True
            self.receive(left)
        return True

    def has(self, kind: type[QuicEvent]) -> bool:
        return any(isinstance(e, kind) for e in self.events)

    @property
    def closed(self) -> int | None:
        """The code with which the other side closed the connection."""
        if self.has(ConnectionTerminated) and self.quic.remote_close is None:
            raise AssertionError(f"aioquic gave up by itself: {self.events[-1]}")
        return None if self.quic.remote_close is None else self.quic.remote_close[0]

    @property
    def ended(self) -> bool:
        return self.closed is not None

    def handshake(self) -> None:
        assert self.until(lambda: self.quic._handshake_confirmed or self.ended), "no handshake"
        assert self.closed is None, self.closed
        # What is on its way now, HANDSHAKE_DONE for one, comes before anything that is injected.
        self.quic.send_ping(0)
        assert self.until(lambda: self.ended or self.pong(0)), "no answer to a ping"

    def pong(self, uid: int) -> bool:
        return any(isinstance(e, PingAcknowledged) and e.uid == uid for e in self.events)

    def packet(
        self, epoch: Epoch, frames: bytes, *, reserved: int = 0, key_phase: int | None = None
    ) -> bytes:
        """A protected packet with these frames and reserved bits."""
        quic = self.quic
        pair = quic._cryptos[epoch]
        number = quic._packet_number
        quic._packet_number += 1
        if epoch in LONG_TYPE:
            first = 0xC0 | LONG_TYPE[epoch] << 4 | reserved << 2 | 3
            head = bytes([first]) + quic._version.to_bytes(4, "big")
            for cid in (quic._peer_cid.cid, quic.host_cid):
                head += bytes([len(cid)]) + cid
            head += b"\0" if epoch == INITIAL else b""
            length = 4 + len(frames) + pair.aead_tag_size
            head += (0x4000 | length).to_bytes(2, "big")
        else:
            phase = pair.key_phase if key_phase is None else key_phase
            head = bytes([0x40 | reserved << 3 | phase << 2 | 3]) + quic._peer_cid.cid
        head += (number & 0xFFFFFFFF).to_bytes(4, "big")
        return pair.encrypt_packet(head, frames, number)

    def inject(self, epoch: Epoch, frames: bytes, **how: Any) -> None:
        """Sends such a packet in a datagram of its own; an Initial fills it up."""
        if epoch == INITIAL:
            frames = frames.ljust(1150, b"\0")
        self.put(self.packet(epoch, frames, **how))

    def put(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.quic._network_paths[0].addr)

    def verdict(self) -> int | str:
        """What the other side made of it. A ping behind it is answered only by one that goes on."""
        if not self.until(lambda: self.ended or self.quic._handshake_confirmed):
            return SILENT
        if not self.ended:
            self.quic.send_ping(1)
            self.until(lambda: self.ended or self.pong(1))
        if self.closed is not None:
            return self.closed
        return GOES_ON if self.pong(1) else SILENT


@contextmanager
def client(
    port: int,
    ca: Path,
    *,
    edit: Callable[[Parameters], Parameters] | None = None,
    alpn: tuple[str, ...] = ("h3",),
    extensions: bool = True,
    host: str = "127.0.0.1",
    **configuration: Any,
) -> Iterator[Peer]:
    """A client whose first flight is ready, not sent."""
    c = QuicConfiguration(
        alpn_protocols=list(alpn),
        server_name="localhost",
        verify_mode=ssl.CERT_REQUIRED,
        **configuration,
    )
    c.load_verify_locations(str(ca))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        quic = Connection(configuration=c)
        quic.edit = edit
        quic.extensions = extensions
        quic.connect((host, port), time.monotonic())
        peer = Peer(s, quic)
        yield peer
        quic.close()
        peer.send()


class ServerSocket:
    """Where a client can be told to connect; `accept()` gives its connection."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    def __enter__(self) -> ServerSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def accept(
        self,
        cert: Path,
        key: Path,
        *,
        edit: Callable[[Parameters], Parameters] | None = None,
        alpn: tuple[str, ...] = ("h3",),
    ) -> Peer:
        """Takes a client's first datagram; the answer is ready, not sent."""
        c = QuicConfiguration(is_client=False, alpn_protocols=list(alpn))
        c.load_cert_chain(str(cert), str(key))
        self.socket.settimeout(10)
        data, address = self.socket.recvfrom(65536)
        header = pull_quic_header(Buffer(data=data), host_cid_length=8)
        quic = Connection(
            configuration=c, original_destination_connection_id=header.destination_cid
        )
        quic.edit = edit
        peer = Peer(self.socket, quic)
        quic.receive_datagram(data, address, time.monotonic())
        peer._take_events()
        return peer


def message(kind: int, body: bytes) -> bytes:
    """A TLS handshake message (RFC 8446 section 4)."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


KEY_UPDATE = message(tls.HandshakeType.KEY_UPDATE, b"\0")
END_OF_EARLY_DATA = message(5, b"")
