"""quicpro._batch: what crosses between C and Python."""

from itertools import permutations
from struct import unpack_from
from typing import Any

import pytest
from quicpro import _batch
from quicpro._ffi import ffi, lib


def fields(packed: tuple[int, bytes]) -> list[tuple[bytes, bytes]]:
    """The inverse of pack_fields."""
    count, data = packed
    at = 8 * count
    result = []
    for name_len, value_len in (unpack_from("=II", data, 8 * i) for i in range(count)):
        result.append((data[at : at + name_len], data[at + name_len : at + name_len + value_len]))
        at += name_len + value_len
    assert at == len(data)
    return result


@pytest.mark.parametrize("count", [0, 1, 2, 32, 33, 100])
def test_pack_fields(count: int) -> None:
    given = [(b"name-%d" % i, b"v" * i) for i in range(count)]
    packed = _batch.pack_fields(given)
    assert packed[0] == count
    assert fields(packed) == given


def test_records_have_the_layout_of_the_library() -> None:
    packed = _batch.pack_fields([(b"a", b"bc")])
    record = _batch.respond(0x1122334455667788, 404, packed, b"body", True)
    head = ffi.from_buffer("quicpro_record *", record)
    assert head.op == lib.QUICPRO_OP_RESPOND
    assert head.flags == lib.QUICPRO_FLAG_FIN
    assert head.stream == 0x1122334455667788
    assert (head.code, head.field_count, head.body_len) == (404, 1, 4)
    assert record[32:] == packed[1] + b"body"

    head = ffi.from_buffer("quicpro_record *", _batch.command(_batch.OP_RESET, 5, 0x10C))
    assert (head.op, head.stream, head.code) == (lib.QUICPRO_OP_RESET, 5, 0x10C)


def batch_of(*sections: list[tuple[bytes, bytes]], events: int = 1) -> tuple[Any, list[int], Any]:
    """A batch that holds these field sections, where each begins, and what keeps it alive."""
    count = sum(map(len, sections))
    raw_fields = ffi.new("quicpro_field[]", max(count, 1))
    raw_events = ffi.new("quicpro_event[]", events)
    raw_events[0].type = lib.QUICPRO_EVENT_REQUEST
    text = b""
    at = 0
    starts = []
    for section in sections:
        starts.append(int(ffi.cast("uintptr_t", raw_fields + at)))
        for name, value in section:
            field = raw_fields[at]
            if name in _batch.NAMES:
                field.name, field.name_len = _batch.NAMES.index(name), 0
            else:
                field.name, field.name_len = len(text), len(name)
                text += name
            field.value, field.value_len = len(text), len(value)
            text += value + b"\0"
            at += 1
    raw_text = ffi.new("char[]", text)
    raw = ffi.new("quicpro_batch *")
    raw.events, raw.event_count = raw_events, events
    raw.fields, raw.field_count = raw_fields, count
    raw.text, raw.text_len = raw_text, len(text)
    return _batch.Batch(raw), starts, (raw_fields, raw_events, raw_text)


SECTIONS = {
    "known names": [(b"content-type", b"a/b"), (b"accept", b""), (b"cookie", b"a=b")],
    "other names": [(b"content-type", b"avalue"), (b"x-name", b"value"), (b"a", b"")],
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_headers_of_a_batch(kind: str) -> None:
    section = SECTIONS[kind]
    batch, (start,), keep = batch_of(section)
    assert len(batch.words) == 8 and batch.words[0] & 0xFFFF == _batch.REQUEST
    assert batch.headers(start, 1) == section[:1]
    assert batch.headers(start + 16, 2) == section[1:]
    assert batch.headers(start, 3) == section
    assert batch.headers(0, 0) == []
    del keep


def test_a_batch_without_fields() -> None:
    batch, _, keep = batch_of([])
    assert batch.headers(0, 0) == [] and len(batch.words) == 8
    del keep


PSEUDO = {b":method": b"GET", b":scheme": b"https", b":authority": b"h:1", b":path": b"/p?q"}


@pytest.mark.parametrize("order", list(permutations(PSEUDO)), ids=lambda o: b"".join(o).decode())
def test_request_in_any_order(order: tuple[bytes, ...]) -> None:
    fields = [(name, PSEUDO[name]) for name in order]
    more = [(b"accept", b"*/*")]
    batch, starts, keep = batch_of(fields + more, fields, [*fields, (b"x-own", b"1")])
    for at, rest in zip(starts, (more, [], [(b"x-own", b"1")]), strict=True):
        assert batch.request(at, 4 + len(rest)) == (
            b"GET", b"https", b"/p?q", [(b"host", b"h:1"), *rest], False,
        )  # fmt: skip
    del keep


@pytest.mark.parametrize(
    "fields,expected",
    [
        (  # Host as well: the authority wins nothing, the field stays (RFC 9114 section 4.3.1)
            [*PSEUDO.items(), (b"host", b"other")],
            (b"GET", b"https", b"/p?q", [(b"host", b"other")], False),
        ),
        (  # no authority
            [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"host", b"h")],
            (b"GET", b"http", b"/", [(b"host", b"h")], False),
        ),
        (  # a plain CONNECT has neither scheme nor path (RFC 9114 section 4.4)
            [(b":method", b"CONNECT"), (b":authority", b"h:1")],
            (b"CONNECT", b"https", b"", [(b"host", b"h:1")], False),
        ),
        (  # extended CONNECT (RFC 9220), the new field behind the four or between them
            [*PSEUDO.items(), (b":protocol", b"websocket"), (b"accept", b"*")],
            (b"GET", b"https", b"/p?q", [(b"host", b"h:1"), (b"accept", b"*")], True),
        ),
        (
            [(b":protocol", b"websocket"), *PSEUDO.items()],
            (b"GET", b"https", b"/p?q", [(b"host", b"h:1")], True),
        ),
    ],
)
def test_unusual_requests(fields: list[tuple[bytes, bytes]], expected: _batch.Request) -> None:
    batch, (start,), keep = batch_of(fields)
    assert batch.request(start, len(fields)) == expected
    del keep


def test_error_of_a_word() -> None:
    event = ffi.new("quicpro_event *")
    for error in (0, -1011, -110):
        event.error = error
        word = int(ffi.cast("uint64_t *", event)[0])
        assert _batch.error_of(word) == error


def test_body_and_text_copy() -> None:
    data = ffi.new("char[]", b"caf\xc3\xa9\xff")
    address = int(ffi.cast("uintptr_t", data))
    assert _batch.body(address, 6) == b"caf\xc3\xa9\xff"
    assert _batch.text(address, 6) == "caf\xe9\ufffd"
    assert _batch.body(0, 0) == b""


def test_make_nv() -> None:
    for count in (0, 1, 2, 32, 33, 200):
        fields = [(b"name%d" % n, bytearray(b"v" * n)) for n in range(count)]
        array, keep = _batch.make_nv(fields)
        assert len(array) == count and keep
        for item, (name, value) in zip(array, fields, strict=True):
            assert ffi.unpack(item.name, item.name_len) == name
            assert bytes(ffi.buffer(item.value, item.value_len)) == value


def test_known_names() -> None:
    assert b":status" in _batch.NAMES
    assert all(_batch.NAMES)


def test_submit_counts_what_is_refused() -> None:
    ret = ffi.new("quicpro_loop **")
    assert lib.quicpro_loop_new(ret, ffi.NULL) == 0
    try:
        records = [_batch.command(_batch.OP_RESET, 12345, 1), _batch.command(_batch.OP_PAUSE, 9)]
        assert _batch.submit(ret[0], records) == 2
        assert records == []
        with pytest.raises(ValueError):
            _batch.submit(ret[0], [b"cut short"])
    finally:
        lib.quicpro_loop_free(ret[0])
