"""quicpro._run: event loops of choice, signals."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live import python
from quicpro import (
    ConfigError,
)
from quicpro._run import run_event_loop


def test_run_event_loop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def kind() -> type:
        return type(asyncio.get_running_loop())

    assert run_event_loop(kind, "uvloop") is uvloop.Loop
    assert run_event_loop(kind, "auto") is uvloop.Loop
    assert run_event_loop(kind, "asyncio") is not uvloop.Loop
    with pytest.raises(ValueError, match="trio"):
        run_event_loop(kind, "trio")


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def kind() -> str:
        return type(asyncio.get_running_loop()).__module__

    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    assert run_event_loop(kind, "auto").startswith("asyncio")
    with pytest.raises(ConfigError, match="pip install"):
        run_event_loop(kind, "uvloop")


def test_serve_in_a_thread_needs_no_signals(certs: Path) -> None:
    """Only the main thread may handle them: elsewhere serve() serves without."""
    done = python(
        "import sys, threading, os, quicpro, queue\n"
        "from testapp import app\n"
        "ports = queue.Queue()\n"
        "t = threading.Thread(target=lambda: quicpro.serve(app, '127.0.0.1:0',\n"
        "    certfile=sys.argv[1] + '/cert.pem', keyfile=sys.argv[1] + '/key.pem',\n"
        "    on_start=lambda s: ports.put(s.port)), daemon=True)\n"
        "t.start()\n"
        "url = f'https://127.0.0.1:{ports.get(timeout=10)}/'\n"
        "print(quicpro.get(url, cafile=sys.argv[1] + '/ca.pem').text, flush=True)\n"
        "os._exit(0)",
        certs,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 0)


SERVE = """
import os, signal, sys, threading, asyncio, quicpro
certs, loop, busy = sys.argv[1:]
log = []
here = asyncio.Event()
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cut off")
def start(server):
    log.append("start")
    if busy == "idle":
        os.kill(os.getpid(), signal.SIGTERM)
        return
    def ask():
        with quicpro.Client(cafile=certs + "/ca.pem") as client:
            try:
                with client.stream("GET", f"https://127.0.0.1:{server.port}/") as stream:
                    pieces = stream.iter_bytes()
                    next(pieces)
                    os.kill(os.getpid(), signal.SIGINT)
                    next(pieces)
            except quicpro.QuicproError:
                log.append("client was told")
    global asking
    asking = threading.Thread(target=ask)
    asking.start()
def stop(server):
    log.append("stop")
    if busy == "busy":
        os.kill(os.getpid(), signal.SIGINT)
quicpro.serve(app, "127.0.0.1:0", certfile=certs + "/cert.pem", keyfile=certs + "/key.pem",
              loop=loop, on_start=start, on_stop=stop)
if busy == "busy":
    asking.join()
print(log)
"""


@pytest.mark.parametrize(
    "busy,log",
    [
        ("idle", ["start", "stop"]),
        ("busy", ["start", "stop", "cut off", "client was told"]),
    ],
)
def test_signals(loop: str, certs: Path, busy: str, log: list[str]) -> None:
    """One ends it, a second one cuts open requests off."""
    done = python(SERVE, certs, loop, busy)
    assert (done.stdout, done.stderr, done.returncode) == (f"{log}\n", "", 0)
