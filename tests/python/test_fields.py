"""Fields that the server puts into responses: the date, and what it is told."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import testapp
from conftest import Starter
from live import WAIT
from quicpro import Client, Server

WAYS = [{"native": False}, {"tasks": "inline"}, {"tasks": "stock"}]


async def with_fields(scope: Any, receive: Any, send: Any) -> None:
    """Sends the fields that its path names."""
    if scope["type"] != "http":
        return
    names = [name for name in scope["path"].strip("/").split("/") if name]
    await testapp.start(send, 200, *((name.encode(), b"theirs") for name in names))
    await testapp.piece(send, b"", False)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_fields_of_the_server(start: Starter, certs: Path, way: dict[str, Any]) -> None:
    ours = [("Server", "ours"), ("x-a", "1"), ("X-Empty", "")]
    live = start(with_fields, headers=ours, **way)
    with Client(cafile=certs / "ca.pem") as client:
        plain = client.get(live.url())
        assert plain.headers.get_list("server") == ["ours"]
        assert (plain.headers["x-a"], plain.headers["x-empty"]) == ("1", "")
        when = parsedate_to_datetime(plain.headers["date"])
        assert abs((when - datetime.now(timezone.utc)).total_seconds()) < WAIT
        assert format_datetime(when, usegmt=True) == plain.headers["date"]
        other = client.get(live.url("/Server/date/x-a"))
        assert other.headers.get_list("server") == ["theirs"]
        assert other.headers.get_list("date") == other.headers.get_list("x-a") == ["theirs"]
        many = client.get(live.url("/" + "/".join(f"n{i}" for i in range(200))))
        assert len(many.headers) == 204


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_no_date(start: Starter, certs: Path, way: dict[str, Any]) -> None:
    live = start(with_fields, date_header=False, **way)
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(live.url()).headers.raw == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "a"), ("a b", "a"), (":status", "200"), ("Content-Length", "1"), ("connection", "x"),
        ("transfer-encoding", "chunked"), ("a", "b\nc"), ("a", "b\r"), ("a", "\0"), ("a", " b"),
    ],
)  # fmt: skip
def test_fields_that_no_message_can_have(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="cannot"):
        Server(testapp.app, headers=[(name, value)])
