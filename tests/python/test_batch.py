"""quicpro._batch: what crosses between C and Python."""

from struct import unpack_from

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


def test_headers_of_a_batch() -> None:
    text = ffi.new("char[]", b"x-nameavalue")
    raw_fields = ffi.new("quicpro_field[]", 3)
    known = _batch.NAMES.index(b"content-type")
    raw_fields[0].name, raw_fields[0].name_len = known, 0
    raw_fields[0].value, raw_fields[0].value_len = 6, 6
    raw_fields[1].name, raw_fields[1].name_len = 0, 6
    raw_fields[1].value, raw_fields[1].value_len = 7, 5
    raw_fields[2].name, raw_fields[2].name_len = 6, 1
    raw_events = ffi.new("quicpro_event[]", 1)
    raw_events[0].type = lib.QUICPRO_EVENT_REQUEST
    raw = ffi.new("quicpro_batch *")
    raw.events, raw.event_count = raw_events, 1
    raw.fields, raw.field_count = raw_fields, 3
    raw.text, raw.text_len = text, 12

    batch = _batch.Batch(raw)
    assert len(batch.words) == 8 and batch.words[0] & 0xFFFF == _batch.REQUEST
    base = int(ffi.cast("uintptr_t", raw_fields))
    assert batch.headers(base, 1) == [(b"content-type", b"avalue")]
    assert batch.headers(base + 16, 2) == [(b"x-name", b"value"), (b"a", b"")]


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
    array, keep = _batch.make_nv([(b"name", b"value"), (b"", b"")])
    assert len(array) == 2 and len(keep) == 4
    assert ffi.unpack(array[0].name, array[0].name_len) == b"name"
    assert ffi.unpack(array[0].value, array[0].value_len) == b"value"


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
