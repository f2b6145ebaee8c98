"""Field sections, URLs and configurations: what every request, or every client, pays for in Python.

.venv/bin/python -m pytest benchmarks/micro                                # a table
.venv/bin/python -m pytest benchmarks/micro --benchmark-autosave           # and keep it
.venv/bin/python -m pytest benchmarks/micro --benchmark-compare            # with the last one
"""

from __future__ import annotations

from typing import Any

from quicpro import Config, Headers, _batch
from quicpro._ffi import ffi, lib
from quicpro._messages import parse_url, request_fields

REQUEST = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"example.org"),
    (b":path", b"/items/17?view=short"),
    (b"user-agent", b"curl/8.17.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, br"),
    (b"x-request-id", b"4f1d7f7c-6a1e-4f0b-9b56-1d0f6c3f0a11"),
]
RESPONSE = [(b"content-type", b"application/json"), (b"content-length", b"100"), (b"x-id", b"17")]
COUNT = 64


def batch_of_requests() -> tuple[Any, list[int], Any]:
    """A batch as the library hands it out, where each request's fields begin, what it lives on."""
    fields = ffi.new("quicpro_field[]", COUNT * len(REQUEST))
    events = ffi.new("quicpro_event[]", COUNT)
    text, starts = bytearray(), []
    for n in range(COUNT):
        starts.append(int(ffi.cast("uintptr_t", fields + n * len(REQUEST))))
        events[n].type = lib.QUICPRO_EVENT_REQUEST
        for i, (name, value) in enumerate(REQUEST):
            field = fields[n * len(REQUEST) + i]
            if name in _batch.NAMES:
                field.name = _batch.NAMES.index(name)
            else:
                field.name, field.name_len = len(text), len(name)
                text += name
            field.value, field.value_len = len(text), len(value)
            text += value + b"\0"
    room = ffi.new("char[]", bytes(text))
    raw = ffi.new("quicpro_batch *")
    raw.events, raw.event_count = events, COUNT
    raw.fields, raw.field_count = fields, COUNT * len(REQUEST)
    raw.text, raw.text_len = room, len(text)
    return raw, starts, (fields, events, room)


def test_64_requests_out_of_a_batch(benchmark: Any) -> None:
    raw, starts, keep = batch_of_requests()

    def decode() -> Any:
        batch = _batch.Batch(raw)
        return [batch.request(start, len(REQUEST)) for start in starts]

    first = benchmark(decode)[0]
    assert first[:3] == (b"GET", b"https", b"/items/17?view=short")
    assert first[3][0] == (b"host", b"example.org")
    del keep


def test_64_answers_into_records(benchmark: Any) -> None:
    body = bytes(100)

    def encode() -> list[bytes]:
        return [
            _batch.respond(n, 200, _batch.pack_fields(RESPONSE), body, True) for n in range(COUNT)
        ]

    assert len(benchmark(encode)) == COUNT


def test_a_url_taken_apart(benchmark: Any) -> None:
    origin = benchmark(parse_url, "https://example.org:8443/items/17?view=short#top")[0]
    assert (origin.host, origin.port) == ("example.org", 8443)


def test_fields_of_a_request(benchmark: Any) -> None:
    headers = {"Accept": "*/*", "X-Request-Id": "4f1d7f7c"}
    fields = benchmark(request_fields, "GET", b"example.org", b"/", headers, None)
    assert (b"x-request-id", b"4f1d7f7c") in fields


def test_a_header_looked_up(benchmark: Any) -> None:
    headers = Headers([*RESPONSE, (b"etag", b'"a"')])
    assert benchmark(headers.__getitem__, "ETag") == '"a"'


def test_a_configuration_changed(benchmark: Any) -> None:
    config = Config(alpn=["echo"])
    assert benchmark(config.replace, max_idle_timeout_ms=5000)["max_idle_timeout_ms"] == 5000
