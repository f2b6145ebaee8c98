"""Peers that vanish in mid-transfer: killed, or there and silent."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .clients import CLIENTS, Refused, Request, Response, Setup, gone_of, seen
from .content import HELLO, pattern
from .procs import Process, until
from .servers import Running, ngtcp2, our_program

if TYPE_CHECKING:
    from .certs import Certs

Start = Callable[..., Running]
full = pytest.mark.full

IDLE = 1.0  # seconds of max_idle_timeout_ms on our side
# The idle timer starts over with what is sent first after what was received last (RFC 9000 section
# 10.1) and is at least three probe timeouts; a shared machine needs some more.
MARGIN = 4.0


def vanish_async(running: Running, method: str, at_first_bytes: Callable[[], None]) -> str:
    import quicpro

    config = quicpro.Config(max_idle_timeout_ms=round(IDLE * 1000))

    async def run() -> None:
        async with quicpro.AsyncClient(
            cafile=str(running.certs.ca), timeout=30, config=config
        ) as client:
            if method == "GET":
                async with client.stream("GET", running.url("/trickle")) as stream:
                    async for _ in stream.aiter_bytes():
                        at_first_bytes()
            else:

                async def body() -> AsyncIterator[bytes]:
                    for n in range(1000):
                        yield pattern(100_000)
                        if n == 5:
                            at_first_bytes()

                await client.post(running.url("/echo"), body())

    with pytest.raises(quicpro.ConnectionError) as e:
        asyncio.run(run())
    return f"{type(e.value).__name__}: {e.value}"


def vanish_sync(running: Running, method: str, at_first_bytes: Callable[[], None]) -> str:
    import quicpro

    config = quicpro.Config(max_idle_timeout_ms=round(IDLE * 1000))
    with quicpro.Client(cafile=str(running.certs.ca), timeout=30, config=config) as client:

        def body() -> Iterator[bytes]:
            for n in range(1000):
                yield pattern(100_000)
                if n == 5:
                    at_first_bytes()

        with pytest.raises(quicpro.ConnectionError) as e:
            if method == "GET":
                with client.stream("GET", running.url("/trickle")) as stream:
                    for _ in stream.iter_bytes():
                        at_first_bytes()
            else:
                client.post(running.url("/echo"), body())
    return f"{type(e.value).__name__}: {e.value}"


def vanish_h3_get(running: Running, method: str, at_first_bytes: Callable[[], None]) -> str:
    import subprocess

    child = subprocess.Popen(
        [
            our_program("h3_get"), "--cacert", str(running.certs.ca),
            "-o", f"max_idle_timeout_ms={IDLE * 1000:.0f}", running.url("/trickle"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        # stdio hands out full buffers; the first one means that the transfer goes on.
        os.read(child.stdout.fileno(), 1)
        at_first_bytes()
        _, said = child.communicate(timeout=30)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 1
    return said.decode()


VANISH = {"quicpro": vanish_async, "quicpro-sync": vanish_sync, "h3_get": vanish_h3_get}


@pytest.mark.parametrize(
    ("client", "method", "how"),
    [
        ("quicpro", "GET", signal.SIGKILL),
        ("quicpro-sync", "GET", signal.SIGKILL),
        pytest.param("quicpro", "GET", signal.SIGSTOP, marks=full),
        pytest.param("quicpro-sync", "GET", signal.SIGSTOP, marks=full),
        pytest.param("quicpro", "POST", signal.SIGKILL, marks=full),
        pytest.param("quicpro", "POST", signal.SIGSTOP, marks=full),
        pytest.param("quicpro-sync", "POST", signal.SIGSTOP, marks=full),
        pytest.param("h3_get", "GET", signal.SIGKILL, marks=full),
        ("h3_get", "GET", signal.SIGSTOP),
    ],
)
def test_server_that_vanishes(client: str, method: str, how: int, start: Start) -> None:
    """SIGKILL takes its socket away, SIGSTOP leaves it there, silent."""
    running = start("aioquic")
    stopped_at = 0.0

    def vanish() -> None:
        nonlocal stopped_at
        if not stopped_at:
            running.process.signal(how)
            stopped_at = time.monotonic()

    said = VANISH[client](running, method, vanish)
    took = time.monotonic() - stopped_at
    assert stopped_at
    assert took < IDLE + MARGIN
    assert re.search(r"(?i)idle|refused" if how == signal.SIGKILL else r"(?i)idle", said), said
    assert "\n" not in said.strip()
    running.process.signal(signal.SIGCONT)


# --- a client that vanishes -----------------------------------------------------------------------


def download(port: int, path: str) -> Process:
    """A client in the midst of a response."""
    program, env = ngtcp2("gtlsclient")
    client = Process(
        [
            program, "--no-quic-dump", "--no-http-dump", "127.0.0.1", port, f"https://localhost:{port}{path}",
        ],
        env,
    )  # fmt: skip
    try:
        client.wait_for_line(r"\[:status: 200\]")
    except BaseException:
        client.close()
        raise
    return client


@pytest.mark.parametrize(
    ("server", "how"),
    [
        ("quicpro-serve", signal.SIGKILL),
        ("h3_server", signal.SIGKILL),
        pytest.param("quicpro-serve", signal.SIGSTOP, marks=full),
        pytest.param("h3_server", signal.SIGSTOP, marks=full),
    ],
)
def test_client_that_vanishes_leaves_nothing(
    server: str, how: int, start: Start, processes: list[Process], tmp_path: Path
) -> None:
    """The server has room for one connection: others get no answer until that one is forgotten."""
    running = start(server, idle=IDLE, ours={"max_connections": 1})
    client = download(
        running.port, "/trickle" if server == "quicpro-serve" else "/bytes/10000000000"
    )
    processes.append(client)
    setup = Setup(running, running.certs.ca, tmp_path, seconds=0.5)
    with pytest.raises(Refused):
        CLIENTS["aioquic"](setup, [Request()])
    client.signal(how)
    begin = time.monotonic()

    def served() -> bool:
        try:
            return CLIENTS["aioquic"](setup, [Request()]) == [Response(200, HELLO)]
        except Refused:
            return False

    until(served, IDLE + MARGIN, "the only connection's end", 0.1)
    assert time.monotonic() - begin > IDLE / 2, "the limit was none"
    if server == "quicpro-serve":
        assert until(lambda: gone_of(seen(running)), MARGIN, "http.disconnect", 0.1) == 1
    client.kill()
    assert running.process.running


def test_server_counts_down_to_zero(certs: Certs, processes: list[Process]) -> None:
    import quicpro

    from .app import app

    async def run() -> None:
        config = quicpro.Config(max_idle_timeout_ms=round(IDLE * 1000))
        server = quicpro.Server(
            app, "127.0.0.1:0", certfile=certs.cert, keyfile=certs.key, config=config
        )
        await server.start()
        try:
            for _ in range(5):
                processes.append(await asyncio.to_thread(download, server.port, "/trickle"))
            assert (server.connections(), server.requests()) == (5, 5)
            for client in processes:
                client.kill()
            end = time.monotonic() + IDLE + MARGIN
            while server.connections() or server.requests():
                assert time.monotonic() < end, (server.connections(), server.requests())
                await asyncio.sleep(0.02)
            async with quicpro.AsyncClient(cafile=certs.ca) as ours:
                answer = await ours.get(f"https://127.0.0.1:{server.port}/")
            assert answer.content == HELLO
        finally:
            await server.close(0.5)

    asyncio.run(run())
