"""The seam between the C library's batches and Python: batches in, records out.

Everything that crosses does so for a whole batch at once: its events are unpacked into one list of
64-bit words, its fields into one list of 32-bit words, the text of all fields becomes one bytes
object that is sliced. Answers are packed into records and handed over in one call. A module in C
can take this one's place without any other noticing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from struct import Struct
from typing import Any, Final

from ._check import check
from ._ffi import ffi, lib

Headers = list[tuple[bytes, bytes]]

CONNECTED: Final = lib.QUICPRO_EVENT_CONNECTED
CLOSED: Final = lib.QUICPRO_EVENT_CLOSED
REQUEST: Final = lib.QUICPRO_EVENT_REQUEST
RESPONSE: Final = lib.QUICPRO_EVENT_RESPONSE
DATA: Final = lib.QUICPRO_EVENT_DATA
TRAILERS: Final = lib.QUICPRO_EVENT_TRAILERS
RESET: Final = lib.QUICPRO_EVENT_RESET
WRITABLE: Final = lib.QUICPRO_EVENT_WRITABLE
GOAWAY: Final = lib.QUICPRO_EVENT_GOAWAY
DRAINED: Final = lib.QUICPRO_EVENT_DRAINED
CERTIFICATES: Final = lib.QUICPRO_EVENT_CERTIFICATES

FIN: Final = lib.QUICPRO_FLAG_FIN
REMOTE: Final = lib.QUICPRO_FLAG_REMOTE
INFORMATIONAL: Final = lib.QUICPRO_FLAG_INFORMATIONAL
EARLY: Final = lib.QUICPRO_FLAG_EARLY

# An event is eight words: type | flags << 16 | error << 32, conn, stream, code, data, len, stream
# id, user. The layout is the library's ABI; these lines only make sure that this machine has it.
assert ffi.sizeof("quicpro_event") == 64 and ffi.sizeof("quicpro_field") == 16
assert ffi.offsetof("quicpro_event", "error") == 4 and ffi.offsetof("quicpro_event", "data") == 32
assert ffi.sizeof("quicpro_record") == 32


def _known_names() -> list[bytes]:
    names: list[bytes] = []
    while (name := lib.quicpro_known_name(len(names), ffi.NULL)) != ffi.NULL:
        names.append(ffi.string(name))
    return names


NAMES: Final = _known_names()
_COLON: Final = ord(":")
_HOST: Final = b"host"
_PROTOCOL: Final = b":protocol"

# Where the values of (:method, :scheme, :authority, :path) are when these four come in that order.
_FOUR: Final = (b":method", b":scheme", b":authority", b":path")
_ORDERS: Final = {order: tuple(map(order.index, _FOUR)) for order in permutations(_FOUR)}

# Method, scheme, path with query, fields, and whether it is an extended CONNECT.
Request = tuple[bytes, bytes, bytes, Headers, bool]
_unpack = ffi.unpack
_cast = ffi.cast
_buffer = ffi.buffer

_RECORD: Final = Struct("=IIQQII")
_NVS = [Struct("PNPN" * count) for count in range(33)]  # of quicpro_nv
_LENGTHS: Final = [Struct(f"={2 * n}I").pack for n in range(33)]
OP_RESPOND: Final = lib.QUICPRO_OP_RESPOND
OP_RESET: Final = lib.QUICPRO_OP_RESET
OP_PAUSE: Final = lib.QUICPRO_OP_PAUSE
OP_RESUME: Final = lib.QUICPRO_OP_RESUME


class Batch:
    """One batch of events, unpacked: all its fields at once, so that a section is only a slice."""

    __slots__ = ("_base", "_names", "_pairs", "_values", "words")

    def __init__(self, batch: Any) -> None:
        count = batch.field_count
        self.words: list[int] = _unpack(_cast("uint64_t *", batch.events), 8 * batch.event_count)
        if not count:
            return
        self._base = int(_cast("uintptr_t", batch.fields))
        fields = memoryview(_buffer(batch.fields, 16 * count)).cast("I")
        text = _buffer(batch.text, batch.text_len)[:]
        numbers, sizes = fields[0::4].tolist(), fields[1::4].tolist()
        if any(sizes):
            self._names = [
                text[number : number + size] if size else NAMES[number]
                for number, size in zip(numbers, sizes, strict=True)
            ]
            values = []
        else:
            self._names = [NAMES[number] for number in numbers]
            values = text.split(b"\0")  # one behind each value, none in it
            values.pop()
        if len(values) != count:  # names lie between them
            values = [
                text[at : at + size]
                for at, size in zip(fields[2::4].tolist(), fields[3::4].tolist(), strict=True)
            ]
        self._values = values
        self._pairs = list(zip(self._names, self._values, strict=True))

    def headers(self, address: int, count: int) -> Headers:
        """The fields of an event, pseudo-header fields first."""
        if not count:
            return []
        a = (address - self._base) >> 4
        return self._pairs[a : a + count]

    def request(self, address: int, count: int) -> Request:
        """A request's field section, with the authority as Host in front of the other fields.

        Applications look for the authority under its old name (RFC 9114 section 4.3.1).
        """
        a = (address - self._base) >> 4
        b = a + count
        names = self._names
        order = _ORDERS.get(tuple(names[a : a + 4])) if count >= 4 else None
        headers = self._pairs[a + 4 : b]
        if order is None or (headers and headers[0][0] == _PROTOCOL):
            return self._unusual_request(self._pairs[a:b])
        # The usual case: exactly the four that a request has, in whatever order.
        values = self._values
        method, scheme, authority, path = order
        if _HOST not in names[a + 4 : b]:
            headers.insert(0, (_HOST, values[a + authority]))
        return values[a + method], values[a + scheme], values[a + path], headers, False

    @staticmethod
    def _unusual_request(headers: Headers) -> Request:
        pseudo = {}
        while headers and headers[0][0][0] == _COLON:
            name, value = headers.pop(0)
            pseudo[name] = value
        authority = pseudo.get(b":authority")
        if authority is not None and not any(name == _HOST for name, _ in headers):
            headers.insert(0, (_HOST, authority))
        return (
            pseudo.get(b":method", b""),
            pseudo.get(b":scheme", b"https"),
            pseudo.get(b":path", b""),
            headers,
            _PROTOCOL in pseudo,
        )


def body(address: int, length: int) -> bytes:
    """A copy of the bytes of a DATA event, or of the text of CLOSED and RESET."""
    return _buffer(_cast("char *", address), length)[:] if length else b""


def text(address: int, length: int) -> str:
    return body(address, length).decode("utf-8", "replace")


def error_of(word: int) -> int:
    """The (negative) error in the first word of an event."""
    error = word >> 32
    return error - (1 << 32) if error >> 31 else error


def pack_fields(headers: Iterable[Sequence[bytes]]) -> tuple[int, bytes]:
    """Fields as a record wants them: how many, and their bytes."""
    lengths: list[int] = []
    parts: list[bytes] = []
    for name, value in headers:
        lengths += (len(name), len(value))
        parts += (name, value)
    count = len(lengths) >> 1
    pack = _LENGTHS[count] if count < 33 else Struct(f"={2 * count}I").pack
    return count, pack(*lengths) + b"".join(parts)


def respond(stream: int, status: int, fields: tuple[int, bytes], data: bytes, fin: bool) -> bytes:
    """A RESPOND record."""
    count, packed = fields
    return _RECORD.pack(OP_RESPOND, fin, stream, status, count, len(data)) + packed + data


def command(op: int, stream: int, code: int = 0) -> bytes:
    """A record without fields or body."""
    return _RECORD.pack(op, 0, stream, code, 0, 0)


def submit(loop: Any, records: list[bytes]) -> int:
    """Hand records over; returns how many their streams did not take (they ended meanwhile)."""
    refused = ffi.new("size_t *")
    joined = b"".join(records)
    records.clear()
    check(lib.quicpro_loop_submit(loop, ffi.from_buffer(joined), len(joined), refused))
    return int(refused[0])


def make_nv(headers: Sequence[Sequence[bytes]]) -> tuple[Any, list[Any]]:
    """An array of quicpro_nv, and what must be kept as long as it is used."""
    # All text in one piece, and the array as bytes: a cffi object for each part would cost more.
    text = ffi.from_buffer(b"".join([part for field in headers for part in field]))
    at = int(ffi.cast("uintptr_t", text))
    words: list[int] = []
    for name, value in headers:
        words += (at, n := len(name), at + n, v := len(value))
        at += n + v
    count = len(headers)
    pack = _NVS[count] if count < len(_NVS) else Struct("PNPN" * count)
    array = ffi.from_buffer("quicpro_nv[]", pack.pack(*words))
    return array, [text]
