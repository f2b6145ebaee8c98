"""quicpro._tcp: HTTP/1.1 beside HTTP/3, the same application on one port number."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testapp
from authority import Authority
from conftest import Quicpro, Spawn, Starter
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from live import HERE, WAIT, Live, python
from quicpro import CertificateError, Client, Config, ConfigError, Server
from quicpro._tcp import TcpServer, listen

pytest.importorskip("uvicorn")


@contextlib.contextmanager
def connected(port: int, certs: Path, **options: Any) -> Iterator[http.client.HTTPSConnection]:
    """Python's own client, on one connection."""
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    for pair in options.pop("pairs", ()):
        context.load_cert_chain(*pair)
    conn = http.client.HTTPSConnection("127.0.0.1", port, timeout=WAIT, context=context)
    with contextlib.closing(conn):
        yield conn


def fetch(live: Live, certs: Path, path: str = "/", **options: Any) -> tuple[int, bytes]:
    with connected(live.port, certs) as conn:
        conn.request(options.pop("method", "GET"), path, **options)
        answer = conn.getresponse()
        return answer.status, answer.read()


def subject_of(port: int, name: str | None) -> str:
    """The common name of what a server shows to a client that asks for a name."""
    context = ssl._create_unverified_context()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=WAIT) as raw,
        context.wrap_socket(raw, server_hostname=name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    names = x509.load_der_x509_certificate(der).subject
    return str(names.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.fixture
def both(start: Starter, loop: str) -> Live:
    return start(loop=loop, tcp=True)


def test_one_application_on_both(both: Live, certs: Path) -> None:
    with connected(both.port, certs) as conn:
        for _ in range(2):
            conn.request("GET", "/")
            answer = conn.getresponse()
            assert (answer.version, answer.status, answer.read()) == (11, 200, b"hello")
            assert answer.headers["alt-svc"] == f'h3=":{both.port}"; ma=86400'
            assert answer.headers["date"] and answer.headers.get_all("server") is None
        conn.request("POST", "/echo", body=b"a" * 300_000)
        assert conn.getresponse().read() == b"a" * 300_000
        conn.request("GET", "/scope?x=1", headers={"X-A": "b"})
        scope = json.loads(conn.getresponse().read())
        assert (scope["http_version"], scope["scheme"]) == ("1.1", "https")
        assert scope["query_string"] == "x=1" and ["x-a", "b"] in scope["headers"]
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(both.url()).text == "hello"


def test_one_lifespan_and_its_state(start: Starter, certs: Path) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                seen.append(message["type"])
                scope["state"]["it"] = "shared"
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await testapp.answer(send, scope["state"]["it"].encode())

    live = start(app, tcp=True)
    assert fetch(live, certs) == (200, b"shared")
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(live.url()).text == "shared"
    live.close()
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


def test_only_tcp(start: Starter, certs: Path) -> None:
    live = start(tcp=True, quic=False, headers=[("X-By", "us")], date_header=False)
    with connected(live.port, certs) as conn:
        conn.request("GET", "/")
        answer = conn.getresponse()
        assert answer.read() == b"hello" and "alt-svc" not in answer.headers
        assert answer.headers["x-by"] == "us" and "date" not in answer.headers
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", live.port))  # is free
    with pytest.raises(ConfigError, match="nothing to serve"):
        Server(testapp.app, quic=False)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_both_or_neither(start: Starter, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            start(tcp=True, bind=f"127.0.0.1:{port}")
        other = socket.SOCK_DGRAM if kind == socket.SOCK_STREAM else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, other) as free:
            free.bind(("127.0.0.1", port))


def test_every_address_has_the_same_port() -> None:
    sockets = listen(None, 0)
    try:
        ports = {opened.getsockname()[1] for opened in sockets}
        assert len(ports) == 1
        with pytest.raises(OSError):
            listen(None, ports.pop())
    finally:
        for opened in sockets:
            opened.close()
    with pytest.raises(socket.gaierror):
        listen("no-such-host.invalid", 1)


def test_certificates_by_name(start: Starter, certs: Path, tmp_path: Path) -> None:
    root = Authority()
    names = {
        "One.example": root.issue("one").write(tmp_path, "one"),
        "*.example": root.issue("star").write(tmp_path, "star"),
    }
    live = start(tcp=True, names=names)
    main = subject_of(live.port, None)
    assert subject_of(live.port, "one.example") == "one"
    assert subject_of(live.port, "two.example") == "star"
    assert subject_of(live.port, "three.two.example") == main
    assert subject_of(live.port, "localhost") == main
    pair = root.issue("late").write(tmp_path, "late")
    live.call(lambda: live.server.add_certificate("localhost", *pair))
    assert subject_of(live.port, "localhost") == "late"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ca.pem, cert.pem and key.pem of a server called "first"."""
    root = Authority()
    first = root.issue("first", "localhost", "127.0.0.1")
    (tmp_path / "ca.pem").write_bytes(root.pem)
    (tmp_path / "cert.pem").write_bytes(first.pem)
    (tmp_path / "key.pem").write_bytes(first.key_pem())
    return tmp_path


def replace(folder: Path, name: str) -> None:
    made = Authority().issue(name, "localhost")
    (folder / "new").write_bytes(made.key_pem())
    (folder / "new").replace(folder / "key.pem")
    (folder / "new").write_bytes(made.pem)
    (folder / "new").replace(folder / "cert.pem")


def test_certificates_are_reloaded(start: Starter, folder: Path) -> None:
    live = start(certs=folder, tcp=True)
    with connected(live.port, folder) as conn:
        conn.request("GET", "/")
        conn.getresponse().read()
        replace(folder, "second")
        live.call(live.server.reload_tls)
        assert subject_of(live.port, None) == "second"
        conn.request("GET", "/")  # this connection goes on
        assert conn.getresponse().read() == b"hello"
    (folder / "cert.pem").write_text("nothing")
    with pytest.raises(CertificateError):
        live.call(live.server.reload_tls)
    assert subject_of(live.port, None) == "second"


def test_files_are_watched(start: Starter, folder: Path) -> None:
    live = start(certs=folder, tcp=True, config=Config(tls_watch=0.01))
    replace(folder, "second")
    for _ in range(10_000):
        if subject_of(live.port, None) == "second":
            return
    raise AssertionError("it was not noticed")


def test_certificates_of_clients(start: Starter, folder: Path, tmp_path: Path) -> None:
    root = Authority("for clients")
    (tmp_path / "clients.pem").write_bytes(root.pem)
    pair = root.issue("client", client=True).write(tmp_path, "client")
    for how in ("required", "optional"):
        config = Config(client_auth=how, ca_file=tmp_path / "clients.pem")
        live = start(certs=folder, tcp=True, config=config)
        with connected(live.port, folder, pairs=[pair]) as conn:
            conn.request("GET", "/")
            assert conn.getresponse().read() == b"hello"
        with connected(live.port, folder) as conn:
            if how == "optional":
                conn.request("GET", "/")
                assert conn.getresponse().read() == b"hello"
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    conn.request("GET", "/")
                    conn.getresponse()


def test_what_only_quic_can_use(folder: Path) -> None:
    def make(config: Config) -> None:
        TcpServer(testapp.app, {}, config, {}, "")

    pem = (folder / "cert.pem").read_bytes()
    (folder / "cert.der").write_bytes(
        x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    )
    key = folder / "key.pem"
    with pytest.raises(CertificateError, match=r"cert\.der' .*must be PEM"):
        make(Config(cert_file=folder / "cert.der", key_file=key))
    with pytest.raises(CertificateError, match=r"cannot read .*No such file"):
        make(Config(cert_file=folder / "none", key_file=key))
    made = Authority().issue("locked")
    locked = {"cert_data": made.pem, "key_data": made.key_pem(b"secret")}
    make(Config(**locked, key_passphrase=b"secret"))
    for wrong in ({}, {"key_passphrase": b"wrong"}):
        with pytest.raises(CertificateError, match="cannot use"):
            make(Config(**locked, **wrong))
    good = {"cert_data": made.pem, "key_data": made.key_pem(), "client_auth": "required"}
    make(Config(**good))
    with pytest.raises(CertificateError, match="authorities for clients"):
        make(Config(**good, ca_data=b"x"))


def begin(live: Live, certs: Path, path: str) -> tuple[threading.Thread, list[Any]]:
    """A request in a thread, once the server has it; what came of it."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(fetch(live, certs, path))
        except Exception as e:
            got.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    while live.server.requests() == 0:
        assert thread.is_alive()
    return thread, got


def test_open_requests_finish(start: Starter, certs: Path) -> None:
    go = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        while not go.is_set():
            await asyncio.sleep(0.001)
        await testapp.answer(send, b"late")

    live = start(app, tcp=True)
    assert live.server.connections() == 0
    thread, got = begin(live, certs, "/")
    assert live.server.connections() == 1
    live.begin_close(WAIT)
    tcp = live.server._tcp
    assert tcp is not None
    while tcp._servers:
        assert thread.is_alive()
    with pytest.raises(OSError):  # no new ones
        socket.create_connection(("127.0.0.1", live.port), timeout=WAIT)
    go.set()
    thread.join()
    assert got == [(200, b"late")]
    assert live.close() is True


def test_open_requests_are_cut_off(start: Starter, certs: Path) -> None:
    live = start(tcp=True)
    thread, got = begin(live, certs, "/never")
    assert live.close(0.05) is False
    thread.join()
    assert isinstance(got[0], (OSError, http.client.HTTPException))


def test_garbage(both: Live, certs: Path) -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" * 100):
        with socket.create_connection(("127.0.0.1", both.port), timeout=WAIT) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while raw.recv(1000):
                    pass
    assert fetch(both, certs) == (200, b"hello")


def test_who_says_nothing_is_let_go(start: Starter, certs: Path) -> None:
    live = start(tcp=True, config=Config(handshake_timeout=0.1))
    with socket.create_connection(("127.0.0.1", live.port), timeout=WAIT) as raw:
        assert raw.recv(1) == b""


def test_nothing_ticks_without_connections(both: Live, certs: Path) -> None:
    tcp = both.server._tcp
    assert tcp is not None and tcp._ticking is None
    with connected(both.port, certs) as conn:
        conn.request("GET", "/")
        conn.getresponse().read()
        both.call(tcp._tick)
        assert tcp._ticking is not None
    while both.server.connections():
        pass
    both.call(tcp._tick)
    assert tcp._ticking is None


def test_httpx_goes_from_tcp_to_http3(both: Live, certs: Path) -> None:
    h = pytest.importorskip("httpx")
    from quicpro.httpx import HTTP3Transport

    transport = HTTP3Transport(verify=certs / "ca.pem", head_start=WAIT)
    with h.Client(transport=transport) as client:
        versions = [client.get(both.url()).http_version for _ in range(3)]
    assert versions == ["HTTP/1.1", "HTTP/3", "HTTP/3"]


# The command.


def serving(spawn: Spawn, certs: Path, *args: object) -> tuple[Any, str, str]:
    process = spawn(
        "serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0",
        "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem", *args,
    )  # fmt: skip
    line = process.wait_line("serving")
    return process, line.split(" on ")[1].split()[0], line


@pytest.mark.parametrize(
    ("flags", "says"),
    [((), "(HTTP/3 and HTTP/1.1)"), (("--no-tcp",), "(HTTP/3)"), (("--no-quic",), "(HTTP/1.1)")],
)
def test_command(spawn: Spawn, certs: Path, flags: tuple[str, ...], says: str) -> None:
    process, url, line = serving(spawn, certs, *flags)
    assert says in line
    port = int(url.rpartition(":")[2])
    if "--no-tcp" in flags:
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=WAIT)
    else:
        with connected(port, certs) as conn:
            conn.request("GET", "/")
            assert conn.getresponse().read() == b"hello"
    if "--no-quic" not in flags:
        with Client(cafile=certs / "ca.pem") as client:
            assert client.get(url).text == "hello"
    process.interrupt()
    assert process.wait() == 0


def test_command_with_nothing_to_serve(quicpro: Quicpro) -> None:
    done = quicpro("serve", "testapp:app", "--no-tcp", "--no-quic")
    assert done.returncode == 2 and b"nothing is left to serve" in done.stderr


def test_command_on_a_tcp_port_that_is_taken(quicpro: Quicpro, certs: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = quicpro(
            "serve", "testapp:app", "--app-dir", HERE, "--bind", where,
            "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem",
        )  # fmt: skip
    line = f"quicpro: cannot listen on {where} (TCP): Address already in use\n"
    assert (done.returncode, done.stderr.decode()) == (3, line)


CODE = """
import sys
sys.modules["uvicorn"] = None
from quicpro._tcp import TcpServer, is_available
from quicpro import Config, ConfigError
print(is_available())
try:
    TcpServer(print, {}, Config(), {}, "")
except ConfigError as e:
    print(e)
"""


def test_without_uvicorn() -> None:
    done = python(CODE)
    assert done.stdout.splitlines() == [
        "False",
        "the TCP side needs uvicorn: pip install 'quicpro[serve]'",
    ], done.stderr
