"""quicpro._lifespan: startup before the first request, shutdown after the last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testapp
from live import WAIT, Starter
from quicpro import (
    Client,
)
from quicpro.server import LifespanError
from testapp import Receive, Send, answer


def lifespan_app(log: list[str], **answers: Any) -> Callable[..., Any]:
    """An application that notes its lifespan."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            log.append("request")
            await answer(send, b"ok")
            return
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        for what in ("startup", "shutdown"):
            assert await receive() == {"type": f"lifespan.{what}"}
            log.append(what)
            message = answers.get(what, {"type": f"lifespan.{what}.complete"})
            if isinstance(message, Exception):
                raise message
            await send(message)
        log.append("returned")

    return app


def test_lifespan(start: Starter, loop: str, certs: Path) -> None:
    log: list[str] = []
    server = start(lifespan_app(log), loop)
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(server.url()).text == "ok"
        assert log == ["startup", "request"]
    assert server.close(WAIT) is True
    assert log == ["startup", "request", "shutdown", "returned"]


def test_startup_that_failed(start: Starter) -> None:
    log: list[str] = []
    failed = {"type": "lifespan.startup.failed", "message": "no database"}

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(failed)
        log.append("told")

    with pytest.raises(LifespanError, match="no database"):
        start(app)
    assert log == ["told"]


def test_shutdown_that_failed(start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    failed = {"type": "lifespan.shutdown.failed", "message": "disk full"}
    start(lifespan_app(log, shutdown=failed)).close()
    assert [r.getMessage() for r in caplog.records] == [
        "the application failed to shut down: disk full"
    ]


def test_shutdown_that_raises(start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    start(lifespan_app([], shutdown=ZeroDivisionError("x"))).close()
    (record,) = caplog.records
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError


def test_lifespan_that_is_not_supported(
    start: Starter, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An application that raises, and one that returns at once."""

    async def returns(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, b"hello")

    for app in (testapp.app, returns):
        server = start(app)
        with Client(cafile=certs / "ca.pem") as client:
            assert client.get(server.url()).text == "hello"
        assert server.close(WAIT) is True
    assert caplog.records == []


def test_an_app_that_started_is_shut_down_if_the_port_is_taken(start: Starter) -> None:
    log: list[str] = []
    port = start().port
    with pytest.raises(OSError, match="in use"):
        start(lifespan_app(log), bind=f"127.0.0.1:{port}")
    assert log == ["startup", "shutdown", "returned"]
