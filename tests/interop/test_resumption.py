"""Sessions that are resumed, and data that travels before the handshake is done."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import quicpro

from .content import HELLO
from .procs import Process
from .servers import Options, Running, aioquic_peer, find_program, gtlsserver, our_program

if TYPE_CHECKING:
    from .certs import Certs

full = pytest.mark.full
EARLY = {"early_data": "true"}


def aioquic_visit(
    port: int, ca: str, ticket: Any, early: bool, method: str = "GET", path: str = "/"
) -> tuple[bool, bool, Any, Any]:
    """One connection with a request: (resumed, early data accepted, a new ticket, the answer)."""
    peer = aioquic_peer()
    from aioquic.asyncio.client import connect
    from aioquic.quic.configuration import QuicConfiguration

    configuration = QuicConfiguration(
        alpn_protocols=["h3"],
        server_name="localhost",
        verify_mode=ssl.CERT_REQUIRED,
        session_ticket=ticket,
    )
    configuration.load_verify_locations(ca)

    async def run() -> tuple[bool, bool, Any, Any]:
        tickets: asyncio.Queue[Any] = asyncio.Queue()
        async with (
            asyncio.timeout(20),
            connect(
                "127.0.0.1",
                port,
                configuration=configuration,
                create_protocol=peer.Client,
                session_ticket_handler=tickets.put_nowait,
                wait_connected=not early,
            ) as client,
        ):
            answer = await client.request(method, path, b"body" if method == "POST" else b"")
            tls = client._quic.tls
            return tls.session_resumed, tls.early_data_accepted, await tickets.get(), answer

    return asyncio.run(run())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout()")
@pytest.mark.parametrize("name", ["h3_server", "quicpro-serve"])
def test_aioquic_to_us(start: Callable[..., Running], certs: Certs, name: str) -> None:
    server = start(name, ours=EARLY)
    resumed, early, ticket, answer = aioquic_visit(server.port, certs.ca, None, False)
    assert (resumed, early, answer.body) == (False, False, HELLO)
    assert ticket.max_early_data_size == 0xFFFFFFFF
    for _ in range(2):
        resumed, early, ticket, answer = aioquic_visit(server.port, certs.ca, ticket, True)
        assert (resumed, early, answer.status, answer.body) == (True, True, 200, HELLO)


# What our server does with an early request, and what a gateway took early: its option
# early_data_unsafe, the request, whether it is sent early; the status.
UNSAFE = [
    ("wait", "GET", True, 200),
    ("wait", "POST", True, 200),
    ("refuse", "GET", True, 200),
    ("refuse", "POST", True, 425),
    ("refuse", "POST", False, 200),
    ("show", "POST", True, 200),
]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout()")
@pytest.mark.parametrize("name", ["h3_server", pytest.param("quicpro-serve", marks=full)])
def test_unsafe_requests(start: Callable[..., Running], certs: Certs, name: str) -> None:
    for option in ("wait", "refuse", "show"):
        server = start(name, ours={**EARLY, "early_data_unsafe": option})
        _, _, ticket, _ = aioquic_visit(server.port, certs.ca, None, False)
        for method, early, status in [row[1:] for row in UNSAFE if row[0] == option]:
            path = "/echo" if method == "POST" else "/"
            *said, ticket, answer = aioquic_visit(
                server.port, certs.ca, ticket, early, method, path
            )
            assert said == [True, True]  # it offers early data in any case, and may send none
            assert answer.status == status, (option, method, early)
            assert answer.body == (b"" if status == 425 else b"body" if method == "POST" else HELLO)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout()")
def test_early_in_the_scope(start: Callable[..., Running], certs: Certs) -> None:
    server = start("quicpro-serve", ours=EARLY)
    ticket = None
    for early in (False, True, False):
        path = "/extensions"
        *_, ticket, answer = aioquic_visit(server.port, certs.ca, ticket, early, path=path)
        assert ("quicpro.early_data" in json.loads(answer.body)) == early


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout()")
def test_aioquic_to_us_without_early_data(start: Callable[..., Running], certs: Certs) -> None:
    server = start("h3_server")
    _, _, ticket, _ = aioquic_visit(server.port, certs.ca, None, False)
    assert not ticket.max_early_data_size
    resumed, early, _, _ = aioquic_visit(server.port, certs.ca, ticket, False)
    assert (resumed, early) == (True, False)


def gtlsclient_visit(port: int, folder: Path) -> str:
    done = subprocess.run(
        [
            find_program("gtlsclient", "apt install ngtcp2-client"),
            "--no-http-dump", "--exit-on-all-streams-close",
            f"--session-file={folder / 'session'}", f"--tp-file={folder / 'tp'}",
            "127.0.0.1", str(port), f"https://localhost:{port}/",
        ],
        capture_output=True,
        timeout=30,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    return said


def test_ngtcp2_to_us(start: Callable[..., Running], tmp_path: Path) -> None:
    server = start("h3_server", ours=EARLY)
    assert "type=0RTT" not in gtlsclient_visit(server.port, tmp_path)
    said = gtlsclient_visit(server.port, tmp_path)
    assert "0RTT STREAM" in said
    assert "rejected" not in said
    other = start("h3_server", ours=EARLY)  # has other keys
    said = gtlsclient_visit(other.port, tmp_path)
    assert "0RTT STREAM" in said
    assert "rejected" in said


@pytest.fixture
def aioquic(certs: Certs, processes: list[Process]) -> Callable[..., tuple[Process, int]]:
    def start_it(*options: str) -> tuple[Process, int]:
        aioquic_peer()
        process = Process(
            [
                sys.executable, "-m", "interop.aioquic_tickets",
                "--cert", certs.cert, "--key", certs.key, *options,
            ]
        )  # fmt: skip
        processes.append(process)
        return process, int(process.wait_for_line(r"listening on .*:(\d+)")[1])

    return start_it


def visit(port: int, ca: str, method: str = "GET", **options: object) -> quicpro.ConnectionInfo:
    """One of our connections, of a client that knows the others only by the session file."""
    config = quicpro.Config(**options)
    path = "/" if method == "GET" else "/echo"
    with quicpro.Client(cafile=ca, timeout=20, config=config) as client:
        answer = client.request(
            method, f"https://127.0.0.1:{port}{path}", body=None if method == "GET" else b"body"
        )
        assert answer.content == (HELLO if method == "GET" else b"body")
        assert answer.connection is not None
        # The answer to early data may be here before a ticket can be; that to this is not.
        client.get(f"https://127.0.0.1:{port}/")
        return answer.connection


def test_us_to_aioquic(
    aioquic: Callable[..., tuple[Process, int]], certs: Certs, tmp_path: Path
) -> None:
    process, port = aioquic()
    options: dict[str, object] = {"session_file": str(tmp_path / "s"), "early_data": True}
    info = visit(port, certs.ca, **options)
    assert (info.resumed, info.early_data) == (False, "none")
    process.wait_for_line("resumed False, early data False")
    info = visit(port, certs.ca, **options)
    assert (info.resumed, info.early_data) == (True, "accepted")
    process.wait_for_line("resumed True, early data True")
    info = visit(port, certs.ca, "POST", **options)  # resumed, but not early
    assert (info.resumed, info.early_data) == (True, "none")
    options["early_data"] = False
    info = visit(port, certs.ca, **options)
    assert (info.resumed, info.early_data) == (True, "none")
    process.wait_for_line("resumed True, early data False")


def test_us_to_aioquic_that_forgets(
    aioquic: Callable[..., tuple[Process, int]], certs: Certs, tmp_path: Path
) -> None:
    process, port = aioquic("--forget")
    options: dict[str, object] = {"session_file": str(tmp_path / "s"), "early_data": True}
    visit(port, certs.ca, **options)
    info = visit(port, certs.ca, **options)  # its request arrived, on a second connection
    assert (info.resumed, info.early_data) == (False, "rejected")
    process.wait_for_line("resumed False, early data False")


def test_us_to_aioquic_that_finds_it_too_early(
    aioquic: Callable[..., tuple[Process, int]], certs: Certs, tmp_path: Path
) -> None:
    """The same request comes a second time when the handshake is done; its sender sees one."""
    process, port = aioquic("--too-early")
    options: dict[str, object] = {"session_file": str(tmp_path / "s"), "early_data": True}
    visit(port, certs.ca, **options)
    info = visit(port, certs.ca, **options)  # asserts that the answer is 200
    assert (info.resumed, info.early_data) == (True, "accepted")
    process.wait_for_line("resumed True, early data True")
    assert process.output.count("425 for GET /") == 1


def test_h3_get_to_us(start: Callable[..., Running], certs: Certs, tmp_path: Path) -> None:
    """The C example, two processes that share a file."""
    server = start("quicpro-serve", ours=EARLY)
    for _ in range(2):
        done = subprocess.run(
            [
                our_program("h3_get"), "--cacert", certs.ca, "-o", "early_data=true",
                "-o", f"session_file={tmp_path / 'sessions'}", server.url(),
            ],
            capture_output=True,
            timeout=30,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, HELLO), done.stderr


@pytest.mark.full
def test_us_to_ngtcp2(certs: Certs, processes: list[Process], tmp_path: Path) -> None:
    process, port = gtlsserver(certs, Options(), tmp_path)
    processes.append(process)
    options: dict[str, object] = {"session_file": str(tmp_path / "s"), "early_data": True}
    assert not visit(port, certs.ca, **options).resumed
    assert visit(port, certs.ca, **options).resumed
