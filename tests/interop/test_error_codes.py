"""A peer that breaks a rule is told which one: the transport and TLS cases of h3spec and those
beside them, against our server; and what applies of them against our client.

Each case sends what a rule forbids and names the code that the RFC asks for. Where we (mostly the
engine) do something else, KNOWN says exactly what, and docs/protocols.md lists it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .procs import Process
from .servers import Running, judge, our_program

if TYPE_CHECKING:
    from .certs import Certs
    from .hostile import Peer

Start = Callable[..., Running]

FLOW_CONTROL, STREAM_LIMIT, STREAM_STATE, FINAL_SIZE, FRAME_ENCODING = 3, 4, 5, 6, 7
TRANSPORT_PARAMETER, CID_LIMIT, PROTOCOL_VIOLATION, CRYPTO_BUFFER = 8, 9, 0xA, 0xD
UNEXPECTED_MESSAGE, MISSING_EXTENSION, NO_APPLICATION_PROTOCOL = 0x10A, 0x16D, 0x178
GOES_ON, SILENT = "goes on", "silent"


@dataclass(frozen=True)
class Case:
    section: str
    codes: tuple[int, ...]
    act: Callable[[Peer, Any], None] | None = None  # with the module hostile
    when: str = "open"  # or "handshake": as soon as there are keys; or "hello": before anything
    parameters: Callable[[Any], Any] | None = None  # gives an edit of the transport parameters
    alpn: tuple[str, ...] = ("h3",)
    extensions: bool = True  # false: no transport parameters at all


def frames(make: Callable[[Any], bytes], **how: Any) -> Callable[[Peer, Any], None]:
    """Frames in a packet of 1-RTT."""
    return lambda peer, h: peer.inject(h.ONE_RTT, make(h), **how)


def early(make: Callable[[Any], bytes], **how: Any) -> Callable[[Peer, Any], None]:
    """Frames in a Handshake packet."""
    return lambda peer, h: peer.inject(h.HANDSHAKE, make(h), **how)


def parameter(number: int, value: int | bytes | None) -> Callable[[Any], Any]:
    return lambda h: h.with_parameter(number, h.varints(value) if isinstance(value, int) else value)


TOO_MANY = 2**60 + 1
CLIENT_BIDI, SERVER_BIDI, CLIENT_UNI, SERVER_UNI = 0, 1, 2, 3
H3_CLIENT_CONTROL, H3_SERVER_CONTROL = 2, 3
NOT_YET = 4 * 5  # added to an id: a stream that nobody has opened

# Against either role. Names say what was sent.
COMMON: dict[str, Case] = {
    "stream data beyond the stream's window": Case(
        "9000 4.1", (FLOW_CONTROL,), frames(lambda h: h.stream(h.theirs, 2**30))
    ),
    "data in bits reserved in a short header": Case(
        "9000 17.3.1", (PROTOCOL_VIOLATION,), frames(lambda h: b"\1", reserved=1)
    ),
    "reserved bits in a Handshake packet": Case(
        "9000 17.2", (PROTOCOL_VIOLATION,), early(lambda h: b"\1", reserved=1), "handshake"
    ),
    "unknown frame type": Case("9000 12.4", (FRAME_ENCODING,), frames(lambda h: h.varints(0x21))),
    "packet without frames": Case("9000 12.4", (PROTOCOL_VIOLATION,), frames(lambda h: b"")),
    "PATH_CHALLENGE in a Handshake packet": Case(
        "9000 17.2.4", (PROTOCOL_VIOLATION,), early(lambda h: b"\x1a" + bytes(8)), "handshake"
    ),
    "STREAM in a Handshake packet": Case(
        "9000 17.2.4", (PROTOCOL_VIOLATION,), early(lambda h: h.stream(h.theirs, 0)), "handshake"
    ),
    "RESET_STREAM for a stream that only we send on": Case(
        "9000 19.4", (STREAM_STATE,), frames(lambda h: h.varints(0x04, h.our_uni, 0, 0))
    ),
    "STOP_SENDING for a stream of ours that does not exist": Case(
        "9000 19.5", (STREAM_STATE,), frames(lambda h: h.varints(0x05, h.our_bidi + NOT_YET, 0))
    ),
    "STOP_SENDING for a stream that we only receive on": Case(
        "9000 19.5", (STREAM_STATE,), frames(lambda h: h.varints(0x05, h.their_uni, 0))
    ),
    "STREAM for a stream that only we send on": Case(
        "9000 19.8", (STREAM_STATE,), frames(lambda h: h.stream(h.our_uni, 0))
    ),
    "STREAM for a stream of ours that does not exist": Case(
        "9000 19.8", (STREAM_STATE,), frames(lambda h: h.stream(h.our_bidi + NOT_YET, 0))
    ),
    "STREAM that ends beyond 2^62": Case(
        "9000 19.8", (FRAME_ENCODING, FLOW_CONTROL),
        frames(lambda h: h.stream(h.theirs, 2**62 - 1, b"ab")),
    ),
    "MAX_STREAM_DATA for a stream of ours that does not exist": Case(
        "9000 19.10", (STREAM_STATE,),
        frames(lambda h: h.varints(0x11, h.our_bidi + NOT_YET, 9)),
    ),
    "MAX_STREAM_DATA for a stream that we only receive on": Case(
        "9000 19.10", (STREAM_STATE,), frames(lambda h: h.varints(0x11, h.their_uni, 9))
    ),
    "STREAM_DATA_BLOCKED for a stream that only we send on": Case(
        "9000 19.13", (STREAM_STATE,), frames(lambda h: h.varints(0x15, h.our_uni, 9))
    ),
    "MAX_STREAMS above 2^60, bidirectional": Case(
        "9000 19.11", (FRAME_ENCODING,), frames(lambda h: h.varints(0x12, TOO_MANY))
    ),
    "MAX_STREAMS above 2^60, unidirectional": Case(
        "9000 19.11", (FRAME_ENCODING,), frames(lambda h: h.varints(0x13, TOO_MANY))
    ),
    "STREAMS_BLOCKED above 2^60": Case(
        "9000 19.14", (FRAME_ENCODING, STREAM_LIMIT),
        frames(lambda h: h.varints(0x16, TOO_MANY)),
    ),
    "NEW_CONNECTION_ID that retires what comes after it": Case(
        "9000 19.15", (FRAME_ENCODING,), frames(lambda h: h.new_connection_id(20, 21, bytes(8)))
    ),
    "NEW_CONNECTION_ID of 0 bytes": Case(
        "9000 19.15", (FRAME_ENCODING,), frames(lambda h: h.new_connection_id(20, 0, b""))
    ),
    "NEW_CONNECTION_ID of 21 bytes": Case(
        "9000 19.15", (FRAME_ENCODING,), frames(lambda h: h.new_connection_id(20, 0, bytes(21)))
    ),
    "more connection IDs than our limit": Case(
        "9000 5.1.1", (CID_LIMIT,),
        frames(
            lambda h: b"".join(h.new_connection_id(n, 0, bytes([n] * 8)) for n in range(20, 40))
        ),
    ),
    "RETIRE_CONNECTION_ID of one that we never gave": Case(
        "9000 19.16", (PROTOCOL_VIOLATION,), frames(lambda h: h.varints(0x19, 1000))
    ),
    "RETIRE_CONNECTION_ID of the one it is sent to": Case(
        "9000 19.16", (PROTOCOL_VIOLATION,), frames(lambda h: h.varints(0x19, 0))
    ),
    "ACK of packets that we never sent": Case(
        "9000 13.1", (PROTOCOL_VIOLATION,), frames(lambda h: h.varints(0x02, 100_000, 0, 0, 0))
    ),
    "ACK with a range below zero": Case(
        "9000 19.3.1", (FRAME_ENCODING,), frames(lambda h: h.varints(0x02, 1, 0, 0, 5))
    ),
    "frame cut short": Case(
        "9000 12.4", (FRAME_ENCODING,), frames(lambda h: h.stream(h.theirs, 0, b"abc")[:-1])
    ),
    "DATAGRAM although we offer none": Case(
        "9221 3", (PROTOCOL_VIOLATION,), frames(lambda h: b"\x31\x01x")
    ),
    "CRYPTO far beyond what was sent": Case(
        "9000 7.5", (CRYPTO_BUFFER,), frames(lambda h: h.crypto(b"x", 2**24))
    ),
    "KeyUpdate message in a Handshake packet": Case(
        "9001 6", (UNEXPECTED_MESSAGE,),
        early(lambda h: h.crypto(h.KEY_UPDATE, h.handshake_sent)), "handshake",
    ),
    "KeyUpdate message in a 1-RTT packet": Case(
        "9001 6", (UNEXPECTED_MESSAGE,),
        frames(lambda h: h.crypto(h.KEY_UPDATE, h.application_sent)),
    ),
    "no initial_source_connection_id": Case(
        "9000 7.3", (TRANSPORT_PARAMETER,), parameters=parameter(0x0F, None)
    ),
    "another initial_source_connection_id": Case(
        "9000 7.3", (TRANSPORT_PARAMETER, PROTOCOL_VIOLATION),
        parameters=parameter(0x0F, b"somebody"),
    ),
    "max_udp_payload_size below 1200": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x03, 1199)
    ),
    "ack_delay_exponent above 20": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x0A, 21)
    ),
    "max_ack_delay of 2^14": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x0B, 2**14)
    ),
    "active_connection_id_limit below 2": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x0E, 1)
    ),
    "initial_max_streams_bidi above 2^60": Case(
        "9000 4.6", (TRANSPORT_PARAMETER,), parameters=parameter(0x08, TOO_MANY)
    ),
    "a parameter with a value too long": Case(
        "9000 7.4", (TRANSPORT_PARAMETER,), parameters=parameter(0x04, b"\x01\x02\x03")
    ),
    "a parameter twice": Case(
        "9000 7.4", (TRANSPORT_PARAMETER,),
        parameters=lambda h: lambda all_: [*all_, all_[0]],
    ),
}  # fmt: skip

TO_SERVER: dict[str, Case] = {
    **COMMON,
    "original_destination_connection_id of a client": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x00, bytes(8))
    ),
    "preferred_address of a client": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,),
        parameters=parameter(0x0D, bytes(24) + b"\x08" + bytes(8) + bytes(16)),
    ),
    "retry_source_connection_id of a client": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x10, bytes(8))
    ),
    "stateless_reset_token of a client": Case(
        "9000 18.2", (TRANSPORT_PARAMETER,), parameters=parameter(0x02, bytes(16))
    ),
    "NEW_TOKEN of a client": Case(
        "9000 19.7", (PROTOCOL_VIOLATION,), frames(lambda h: h.varints(0x07, 4) + b"toke")
    ),
    "HANDSHAKE_DONE of a client": Case(
        "9000 19.20", (PROTOCOL_VIOLATION,), frames(lambda h: b"\x1e")
    ),
    "stream beyond the limit": Case(
        "9000 4.6", (STREAM_LIMIT,), frames(lambda h: h.stream(4 * 70_000, 0))
    ),
    "two final sizes": Case(
        "9000 4.5", (FINAL_SIZE,),
        frames(lambda h: h.stream(40, 5, b"", True) + h.stream(40, 9, b"", True)),
    ),
    "data beyond the final size": Case(
        "9000 4.5", (FINAL_SIZE,),
        frames(lambda h: h.stream(40, 5, b"", True) + h.stream(40, 7)),
    ),
    "EndOfEarlyData message": Case(
        "9001 8.3", (UNEXPECTED_MESSAGE,),
        early(lambda h: h.crypto(h.END_OF_EARLY_DATA, 0)), "handshake",
    ),
    "no common application protocol": Case(
        "9001 8.1", (NO_APPLICATION_PROTOCOL,), alpn=("something-else",)
    ),
    "no transport parameters": Case("9001 8.2", (MISSING_EXTENSION,), extensions=False),
}  # fmt: skip

TO_CLIENT: dict[str, Case] = {
    **COMMON,
    "no original_destination_connection_id": Case(
        "9000 7.3", (TRANSPORT_PARAMETER,), parameters=parameter(0x00, None)
    ),
    "another original_destination_connection_id": Case(
        "9000 7.3", (TRANSPORT_PARAMETER, PROTOCOL_VIOLATION),
        parameters=parameter(0x00, b"somebody"),
    ),
    "retry_source_connection_id without Retry": Case(
        "9000 7.3", (TRANSPORT_PARAMETER, PROTOCOL_VIOLATION), parameters=parameter(0x10, bytes(8))
    ),
    "NEW_TOKEN that is empty": Case(
        "9000 19.7", (FRAME_ENCODING,), frames(lambda h: h.varints(0x07, 0))
    ),
    "stream beyond the limit": Case(
        "9000 4.6", (STREAM_LIMIT,), frames(lambda h: h.stream(3 + 4 * 70_000, 0))
    ),
}  # fmt: skip

# What is done instead, and why; exactly that is asserted. (role, case): (observed, reason)
KNOWN: dict[tuple[str, str], tuple[int | str, str]] = {
    ("server", "a parameter with a value too long"): (GOES_ON, "quiche ignores the rest of it"),
    ("client", "a parameter with a value too long"): (GOES_ON, "quiche ignores the rest of it"),
    ("client", "KeyUpdate message in a Handshake packet"): (
        PROTOCOL_VIOLATION, "TLS takes nothing more there by then (RFC 9001 section 4.1.3)",
    ),
}  # fmt: skip


def hostile_module() -> Any:
    return judge("interop.hostile", "aioquic")


def ids(h: Any, peer: Peer, we_are: str) -> Any:
    """The module, with the stream ids and offsets that fit this connection."""

    class Here:
        def __getattr__(self, name: str) -> Any:
            return getattr(h, name)

    here: Any = Here()
    server = we_are == "server"
    here.theirs = CLIENT_BIDI if server else SERVER_UNI + NOT_YET
    here.their_uni = CLIENT_UNI + 4 * 3 if server else SERVER_UNI + 4 * 3
    here.our_bidi = SERVER_BIDI if server else CLIENT_BIDI
    here.our_uni = H3_SERVER_CONTROL if server else H3_CLIENT_CONTROL
    sent = {e: peer.quic._crypto_streams[e].sender for e in (h.HANDSHAKE, h.ONE_RTT)}
    here.handshake_sent = sent[h.HANDSHAKE]._buffer_stop
    here.application_sent = sent[h.ONE_RTT]._buffer_stop
    return here


def play(h: Any, case: Case, peer: Peer, we_are: str) -> int | str:
    if case.when == "handshake":
        # Our server knows the keys since its first flight; our client needs that flight first.
        assert peer.until(lambda: peer.quic.keys(h.HANDSHAKE), send=we_are == "server")
        if we_are == "client":
            peer.quic.keep_handshake_keys = True
            peer.send()
        assert case.act is not None
        case.act(peer, ids(h, peer, we_are))
    elif case.act is not None:
        peer.handshake()
        case.act(peer, ids(h, peer, we_are))
    verdict: int | str = peer.verdict()
    return verdict


def assert_as_known(role: str, name: str, case: Case, observed: int | str) -> None:
    if (role, name) in KNOWN:
        assert observed == KNOWN[role, name][0], "KNOWN, and docs/protocols.md, are out of date"
    else:
        assert observed in case.codes, f"RFC {case.section}: {observed!r}"


@pytest.mark.parametrize("name", TO_SERVER)
def test_our_server_names_the_error(name: str, shared_server: Running) -> None:
    h = hostile_module()
    case = TO_SERVER[name]
    edit = case.parameters(h) if case.parameters else None
    running = shared_server
    with h.client(
        running.port, running.certs.ca, edit=edit, alpn=case.alpn, extensions=case.extensions
    ) as peer:
        assert_as_known("server", name, case, play(h, case, peer, "server"))
    assert running.process.running


@pytest.mark.parametrize("name", TO_CLIENT)
def test_our_client_names_the_error(name: str, certs: Certs, processes: list[Process]) -> None:
    h = hostile_module()
    case = TO_CLIENT[name]
    edit = case.parameters(h) if case.parameters else None
    with h.ServerSocket() as server:
        url = f"https://localhost:{server.port}/"
        processes.append(Process([our_program("h3_get"), "--cacert", certs.ca, url]))
        peer = server.accept(certs.cert, certs.key, edit=edit)
        assert_as_known("client", name, case, play(h, case, peer, "client"))
        peer.quic.close()
        peer.send()
        assert processes[-1].wait(20) == 1


@pytest.fixture(scope="module")
def shared_server(certs: Certs, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from .servers import SERVERS, Options

    process, port = SERVERS["h3_server"](certs, Options(), tmp_path_factory.mktemp("server"))
    yield Running("h3_server", process, port, certs)
    process.close()
