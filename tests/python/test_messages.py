"""quicpro._messages: URLs, fields, bodies, responses."""

import io
from pathlib import Path

import pytest
from quicpro import Config, errors
from quicpro._messages import (
    Headers,
    Origin,
    Response,
    client_config,
    failure_of,
    parse_url,
    request_fields,
    split_body,
)


@pytest.mark.parametrize(
    "url,origin,authority,target",
    [
        ("https://example.org", Origin("example.org", 443), b"example.org", b"/"),
        ("https://Example.ORG:4433/a?b=c#d", Origin("example.org", 4433), None, b"/a?b=c"),
        ("https://[::1]:1/%20", Origin("::1", 1), b"[::1]:1", b"/%20"),
        ("https://b\xfccher.example/", Origin("b\xfccher.example", 443), None, b"/"),
        ("https://h?q", Origin("h", 443), b"h", b"/?q"),
    ],
)
def test_parse_url(url: str, origin: Origin, authority: bytes | None, target: bytes) -> None:
    parsed = parse_url(url)
    assert parsed[0] == origin and parsed[2] == target
    assert parsed[1].isascii()
    if authority is not None:
        assert parsed[1] == authority


def test_an_international_name_is_sent_as_idna() -> None:
    assert parse_url("https://b\xfccher.example/")[1] == b"xn--bcher-kva.example"


@pytest.mark.parametrize(
    "url,says",
    [
        ("http://example.org/", "use https://"),
        ("example.org", "not a URL"),
        ("https://", "not a URL"),
        ("ftp://example.org/", "not a URL"),
        ("https://example.org:70000/", "[Pp]ort"),
        ("https://example.org:x/", "[Pp]ort"),
        ("https://[::1/", "IPv6"),
        ("https://example.org/\xe9", "percent-encoded"),
    ],
)
def test_parse_url_refuses(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_url(url)


def test_headers() -> None:
    headers = Headers([(b"set-cookie", b"a=1"), (b"etag", b"x"), (b"set-cookie", b"b=2")])
    assert headers["Set-Cookie"] == "a=1, b=2"
    assert headers.get_list("SET-COOKIE") == ["a=1", "b=2"]
    assert list(headers) == ["set-cookie", "etag"] and len(headers) == 2
    assert headers.get("none") is None and "etag" in headers and "none" not in headers
    with pytest.raises(KeyError):
        headers["none"]
    assert "etag" in repr(headers)


@pytest.mark.parametrize(
    "content_type,content,text",
    [
        (None, "gr\xfcn".encode(), "gr\xfcn"),
        ("text/plain; charset=latin-1", "gr\xfcn".encode("latin-1"), "gr\xfcn"),
        ('text/plain; Charset="utf-16-le"', "gr\xfcn".encode("utf-16-le"), "gr\xfcn"),
        ("text/plain; charset=no-such", "gr\xfcn".encode(), "gr\xfcn"),
        ("text/plain; charset=hex", b"abc", "abc"),
        ("text/plain", b"\xff", "\ufffd"),
    ],
)
def test_text_of_a_response(content_type: str | None, content: bytes, text: str) -> None:
    fields = [] if content_type is None else [(b"content-type", content_type.encode())]
    response = Response("https://h/", 200, Headers(fields))
    response.content = content
    assert response.text == text


def test_response() -> None:
    response = Response("https://h/", 200, Headers([]))
    response.content = b'{"a": [1]}'
    assert response.json() == {"a": [1]}
    assert "200" in repr(response) and response.http_version == "3"


def names(fields: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [name for name, _ in fields]


def test_request_fields() -> None:
    given = [("X-A", "1"), ("x-a", "2"), ("Host", "other"), ("User-Agent", "me")]
    fields = request_fields("PUT", b"h:1", b"/p", given, 3)
    assert fields[:4] == [
        (b":method", b"PUT"),
        (b":scheme", b"https"),
        (b":authority", b"other"),
        (b":path", b"/p"),
    ]
    assert fields[4:6] == [(b"x-a", b"1"), (b"x-a", b"2")]
    assert dict(fields)[b"content-length"] == b"3" and dict(fields)[b"user-agent"] == b"me"
    assert names(fields).count(b"user-agent") == 1 and b"host" not in names(fields)


def test_request_fields_by_default() -> None:
    fields = request_fields("GET", b"h", b"/", None, None)
    assert names(fields)[4:] == [b"user-agent"]
    assert fields[-1][1].startswith(b"quicpro/")
    assert dict(request_fields("GET", b"h", b"/", {"Accept": "x"}, None))[b"accept"] == b"x"


def test_request_fields_keep_a_given_length() -> None:
    fields = request_fields("PUT", b"h", b"/", {"Content-Length": "5"}, 5)
    assert names(fields).count(b"content-length") == 1


@pytest.mark.parametrize("method,headers", [("G\xcbT", None), ("GET", {"a": "\u20ac"})])
def test_request_fields_refuse(method: str, headers: dict[str, str] | None) -> None:
    with pytest.raises(ValueError):
        request_fields(method, b"h", b"/", headers, None)


def test_split_body(tmp_path: Path) -> None:
    assert split_body(None) == (b"", None)
    assert split_body("gr\xfcn") == ("gr\xfcn".encode(), None)
    for same in (b"ab", bytearray(b"ab"), memoryview(b"ab")):
        assert split_body(same) == (b"ab", None)
    data, pieces = split_body(io.BytesIO(b"x" * 100_000))
    assert data is None and b"".join(pieces) == b"x" * 100_000
    data, pieces = split_body([b"a", b"b"])
    assert data is None and list(pieces) == [b"a", b"b"]
    with pytest.raises(TypeError, match="not int"):
        split_body(5)  # type: ignore[arg-type]


def test_failure_of() -> None:
    assert isinstance(failure_of(0, "", 0x100, True), errors.ConnectionClosed)
    reset = failure_of(-1011, "why", 0x10C, True)
    assert isinstance(reset, errors.StreamReset) and reset.wire_code == 0x10C and reset.remote


def test_client_config() -> None:
    config = client_config("/x/ca.pem", False, 1.5, None)
    assert config["ca_file"] == "/x/ca.pem" and config["verify_peer"] is False
    assert config["handshake_timeout_ms"] == 1500
    kept = client_config(None, None, None, Config(verify_peer=False, handshake_timeout=2))
    assert kept["verify_peer"] is False and kept["handshake_timeout_ms"] == 2000
    assert client_config(None, True, None, Config(verify_peer=False))["verify_peer"] is True
    with pytest.raises(errors.InvalidValue):
        client_config(None, True, 1e6, None)
