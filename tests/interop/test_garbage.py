"""Datagrams that mean nothing, from strangers and on the path, change nothing."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .clients import CLIENTS, Request, Response, Setup, seen
from .content import HELLO, pattern
from .relay import TO_CLIENT, TO_SERVER, Relay
from .servers import OURS, Running

Start = Callable[..., Running]
full = pytest.mark.full


def garbage(rng: random.Random) -> bytes:
    """Anything a stranger may send: noise, and noise behind plausible first bytes."""
    size = rng.choice([0, 1, 5, 20, 21, 43, 1199, 1200, 1350, 1472, rng.randrange(1472)])
    data = bytearray(rng.randbytes(size))
    if size > 30 and rng.random() < 0.8:
        data[0] = rng.choice([0x40, 0xC0, 0xD0, 0xE0, 0xF0, 0xC3, 0x80, 0x00])
        if data[0] & 0x80:
            data[1:5] = rng.choice([b"\0\0\0\0", b"\0\0\0\1", b"\x6b\x33\x43\xcf", b"\xff\0\0\x1d"])
            data[5] = rng.choice([0, 8, 20, 21, 255])
    return bytes(data)


@pytest.mark.parametrize("server", ["quicpro-serve", pytest.param("h3_server", marks=full)])
def test_garbage_from_strangers_changes_nothing(server: str, start: Start, tmp_path: Path) -> None:
    running = start(server)
    stop = threading.Event()
    sent = 0

    def noise() -> None:
        nonlocal sent
        rng = random.Random(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", running.port))
            while not stop.is_set() or sent < 2000:
                s.send(garbage(rng))
                sent += 1
                stop.wait(0.0001)

    thread = threading.Thread(target=noise, daemon=True)
    thread.start()
    try:
        setup = Setup(running, running.certs.ca, tmp_path, seconds=30)
        requests = [Request(f"/bytes/{n}") for n in range(50_000, 50_020)]
        expected = [Response(200, pattern(n)) for n in range(50_000, 50_020)]
        assert CLIENTS["aioquic"](setup, requests) == expected
    finally:
        stop.set()
        thread.join(timeout=30)
    assert sent >= 2000
    assert CLIENTS["aioquic"](setup, [Request()]) == [Response(200, HELLO)]
    if server == "quicpro-serve":
        # Twenty requests, one hello, and the question itself: noise made none.
        assert seen(running)["requests"] == 22
    assert running.process.running


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ("aioquic", "quicpro-serve"),
        ("quicpro", "aioquic"),
        pytest.param("aioquic", "h3_server", marks=full),
        pytest.param("pycurl", "quicpro-serve", marks=full),
        pytest.param("gtlsclient", "h3_server", marks=full),
        pytest.param("quicpro-sync", "aioquic", marks=full),
        pytest.param("quicpro", "gtlsserver", marks=full),
        pytest.param("h3_get", "gtlsserver", marks=full),
    ],
)
def test_garbage_on_the_path_changes_nothing(
    client: str, server: str, start: Start, tmp_path: Path
) -> None:
    """Beside every tenth datagram to us come noise, a cut copy and one with a bit changed."""
    running = start(server)
    rng = random.Random(2)
    us = TO_SERVER if server in OURS else TO_CLIENT

    def rule(direction: str, data: bytes) -> tuple[list[bytes], list[bytes]]:
        out = [data]
        if direction == us and rng.random() < 0.1:
            changed = bytearray(data)
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            out = [garbage(rng), data[: rng.randrange(len(data))], bytes(changed), data]
        return (out, []) if direction == TO_SERVER else ([], out)

    with Relay(running.port, rule) as relay:
        setup = Setup(replace(running, port=relay.port), running.certs.ca, tmp_path, seconds=30)
        sizes = range(100_000, 100_005)
        requests = [Request(f"/bytes/{n}") for n in sizes]
        assert CLIENTS[client](setup, requests) == [Response(200, pattern(n)) for n in sizes]
    assert running.process.running
