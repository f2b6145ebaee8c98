"""The QUIC interop runner's cases, between us and each judge, in both roles."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import quicpro

from .cases import CASES, MIB, Case, Outcome
from .clients import CLIENTS, Request, Response, Setup
from .clients import OURS as OUR_CLIENTS
from .content import pattern
from .link import SIMPLE, Link, Packet
from .links import open_link, why_no_tun
from .servers import OURS, Running

Start = Callable[..., Running]

SERVER_PAIRS = [
    ("aioquic", "quicpro-serve"),
    ("gtlsclient", "h3_server"),
    ("aioquic", "h3_server"),
    ("gtlsclient", "quicpro-serve"),
]
CLIENT_PAIRS = [
    ("quicpro", "aioquic"),
    ("quicpro", "gtlsserver"),
    ("h3_get", "aioquic"),
    ("h3_get", "gtlsserver"),
]

# The pair of a case in every `make test`: judges and roles take turns.
QUICK = {
    "handshake": ("gtlsclient", "h3_server"),
    "transfer": ("aioquic", "quicpro-serve"),
    "longrtt": ("h3_get", "gtlsserver"),
    "chacha20": ("quicpro", "aioquic"),
    "multiplexing": ("quicpro", "gtlsserver"),
    "retry": ("quicpro", "gtlsserver"),
    "resumption": ("aioquic", "quicpro-serve"),
    "zerortt": ("gtlsclient", "h3_server"),
    "blackhole": ("gtlsclient", "h3_server"),
    "keyupdate": ("aioquic", "quicpro-serve"),
    "amplificationlimit": ("aioquic", "h3_server"),
    "ipv6": ("quicpro", "aioquic"),
    "rebind-port": ("gtlsclient", "h3_server"),
    "rebind-addr": ("aioquic", "quicpro-serve"),
    "versionnegotiation": ("gtlsclient", "h3_server"),
}

# Why a pair has no part in a case.
APART = {
    ("multiplexing", "h3_get"): "one request a process",
    ("multiplexing", "h3_server"): "no /part in the C example",
    ("transfer", "h3_get"): "one request a process",
    ("keyupdate", "h3_get"): "one request a process",
    ("zerortt", "h3_get"): "one request a process",
    ("keyupdate", "gtlsserver"): "it never updates keys by itself",
    ("versionnegotiation", "quicpro"): "our clients offer what they know",
    ("versionnegotiation", "h3_get"): "our clients offer what they know",
}


OPTIONS = quicpro.Config().to_dict()


def waits_for(case: Case, client: str, server: str) -> str:
    """The option of ours that a case needs and that is not there yet, or ""."""
    needed = {**(case.ours if client in OUR_CLIENTS else {})}
    needed |= case.ours_server if server in OURS else {}
    return next((key for key in needed if key not in OPTIONS), "")


def rows() -> Iterator[object]:
    for name, case in CASES.items():
        for client, server in SERVER_PAIRS + CLIENT_PAIRS:
            if (name, client) in APART or (name, server) in APART:
                continue
            label = f"{name}-{client}-{server}"
            marks = []
            if option := waits_for(case, client, server):
                reason = f"{label}: our library has no option {option} yet"
                marks = [pytest.mark.skip(reason=reason)]
            full = [*marks, pytest.mark.full, pytest.mark.timeout(case.seconds + 60)]
            yield pytest.param(case, client, server, marks=full, id=label)
            if case.quick is not None and QUICK[name] == (client, server):
                quick = case.quick(case)
                yield pytest.param(quick, client, server, marks=marks, id=f"{label}-quick")


@pytest.mark.parametrize(("case", "client", "server"), list(rows()))
def test_case(case: Case, client: str, server: str, start: Start, tmp_path: Path) -> None:
    packets: list[Packet] = []
    tickets: list[object] = []
    link = open_link(case.conditions, tmp_path, ipv6=case.ipv6)
    try:
        options = case.of_server(judge=server not in OURS)
        running = link.at_server(
            lambda: start(server, host=link.server_host, paths=case.requests, **options)
        )
        far = link.between(running)
        requests = [Request(path) for path in case.requests]
        expected = [Response(200, body) for body in case.expected()]
        for n in range(case.connections):
            folder = tmp_path / str(n)
            folder.mkdir()
            setup = Setup(
                far, running.certs.ca, folder, case.idle, case.seconds, case.wish, case.ours
            )
            setup = replace(setup, tickets=tickets)
            answers = link.at_client(lambda s=setup: CLIENTS[client](s, requests))
            assert answers == expected
    finally:
        packets += link.finish()
        print(f"over a {link.means} link: {len(packets)} datagrams, the last of them")
        for p in packets[-60:]:
            print(f"{p.at * 1000:10.1f} ms {p.way} {p.size:5} bytes {p.fate} {p.marks}")
    case.judge(Outcome(client, server, setup, running, packets, case.conditions))
    assert running.process.running


# --- figures, not judgements ----------------------------------------------------------------------

FIGURE_PAIRS = [("gtlsclient", "h3_server"), ("quicpro", "gtlsserver")]


def fetch(link: Link, client: str, server: str, start: Start, folder: Path, size: int) -> float:
    """Fetches so many bytes and compares them; seconds that it took."""
    path = f"/bytes/{size}"
    running = link.at_server(lambda: start(server, host=link.server_host, paths=(path,)))
    setup = Setup(link.between(running), running.certs.ca, folder, seconds=300)
    begin = time.monotonic()
    answers = link.at_client(lambda: CLIENTS[client](setup, [Request(path)]))
    seconds = time.monotonic() - begin
    assert answers == [Response(200, pattern(size))]
    return seconds


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("client", "server"), FIGURE_PAIRS)
def test_goodput(client: str, server: str, start: Start, tmp_path: Path) -> None:
    """10 MB five times; the figure is printed (pytest -rP shows it)."""
    size, rates = 10 * MIB, []
    for n in range(5):
        folder = tmp_path / str(n)
        folder.mkdir()
        link = open_link(SIMPLE.with_(seed=n + 1), folder)
        try:
            seconds = fetch(link, client, server, start, folder, size)
        finally:
            link.finish()
        rates.append(size * 8 / seconds / 1e6)
    spread = ", ".join(f"{rate:.2f}" for rate in sorted(rates))
    print(f"goodput over 10 Mbit/s: median {sorted(rates)[2]:.2f} Mbit/s ({spread})")


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("client", "server"), FIGURE_PAIRS)
def test_crosstraffic(client: str, server: str, start: Start, tmp_path: Path) -> None:
    """25 MB beside a TCP connection (the kernel's CUBIC) over one bottleneck. Both get on; how
    they share is printed."""
    if reason := why_no_tun():
        pytest.skip(f"TCP goes over a TUN link only: {reason}")
    link = open_link(SIMPLE, tmp_path, means="tun")
    over = threading.Event()
    received = 0

    def listen() -> socket.socket:
        return socket.create_server((link.server_host, 0))

    def connect(port: int) -> socket.socket:
        return socket.create_connection((link.server_host, port), timeout=10)

    def send(s: socket.socket) -> None:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                s.send(bytes(65536))

    def receive(s: socket.socket) -> None:
        nonlocal received
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                received += len(s.recv(65536))

    try:
        with (
            link.at_server(listen) as listener,
            link.at_client(lambda: connect(listener.getsockname()[1])) as near,
            listener.accept()[0] as far,
        ):
            threads = [
                threading.Thread(target=work, args=[s], daemon=True)
                for work, s in ((send, far), (receive, near))
            ]
            for s in (near, far):
                s.settimeout(0.5)
            for thread in threads:
                thread.start()
            try:
                seconds = fetch(link, client, server, start, tmp_path, 25 * MIB)
            finally:
                over.set()
                for thread in threads:
                    thread.join(timeout=10)
    finally:
        link.finish()
    ours, theirs = 25 * MIB * 8 / seconds / 1e6, received * 8 / seconds / 1e6
    print(f"crosstraffic: QUIC {ours:.2f} Mbit/s, TCP {theirs:.2f} Mbit/s in {seconds:.1f} s")
    assert received > MIB
