"""quicpro._middleware: limits and the access log."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import testapp
from conftest import Starter
from live import WAIT
from quicpro import Client, StreamError
from quicpro._middleware import AccessLog, LimitConcurrency, LimitRequests


@pytest.mark.parametrize("tcp", [False, True])
def test_concurrency(start: Starter, certs: Path, tcp: bool) -> None:
    go = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while scope["type"] == "http" and not go.is_set():
            await asyncio.sleep(0.001)
        await testapp.app(scope, receive, send)

    live = start(LimitConcurrency(app, 2), tcp=tcp)
    with Client(cafile=certs / "ca.pem") as client, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(client.get, live.url()) for _ in range(2)]
        while live.server.requests() < 2:
            pass
        busy = client.get(live.url())
        assert (busy.status, busy.text) == (503, "Service Unavailable")
        assert busy.headers["retry-after"] == "1"
        go.set()
        assert [w.result(WAIT).text for w in waiting] == ["hello", "hello"]
        assert client.get(live.url()).text == "hello"


def test_requests(start: Starter, certs: Path) -> None:
    reached: list[int] = []
    limited = LimitRequests(testapp.app, 3)
    limited.on_limit = lambda: reached.append(1)
    live = start(limited)
    with Client(cafile=certs / "ca.pem") as client:
        for n in range(5):
            assert client.get(live.url()).text == "hello"
            assert len(reached) == (n >= 2)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "quicpro.access"]


def test_log_as_text(start: Starter, certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "quicpro.access")
    live = start(AccessLog(testapp.app, "text"))
    with Client(cafile=certs / "ca.pem") as client:
        client.get(live.url("/?a=1&b=%22%0A"))
        client.get(live.url("/status/404"))
        with pytest.raises(StreamError):
            client.get(live.url("/raise-late"))
        assert client.get(live.url("/raise")).status == 500
    live.close()
    lines = said(caplog)
    form = r'127\.0\.0\.1:\d+ "GET (\S+) HTTP/3" (\d+) (\d+) B \d+\.\d{3} ms'
    found = [m.groups() for line in lines if (m := re.fullmatch(form, line))]
    assert found[0] == ("/?a=1&b=%22%0A", "200", "5")
    assert found[1] == ("/status/404", "404", "10")
    assert found[2][:2] == ("/raise-late", "200") and found[3][:2] == ("/raise", "500")
    assert len(found) == len(lines)


def test_log_as_json(start: Starter, certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "quicpro.access")
    live = start(AccessLog(testapp.app, "json"))
    with Client(cafile=certs / "ca.pem") as client:
        client.post(live.url("/echo"), b"abc")
    live.close()
    (line,) = said(caplog)
    found = json.loads(line)
    assert found.pop("client").startswith("127.0.0.1:") and found.pop("seconds") >= 0
    assert found == {
        "method": "POST", "target": "/echo", "http_version": "3", "status": 200, "bytes": 3,
    }  # fmt: skip


def test_nothing_of_a_target_ends_a_line() -> None:
    scope = {"path": "/x", "raw_path": b'/a"\\\n\xff \x7f', "query_string": b"\r"}
    assert AccessLog._target(scope) == "/a%22%5C%0A%FF%20%7F?%0D"
    assert AccessLog._target({"path": "/x", "query_string": b""}) == "/x"
