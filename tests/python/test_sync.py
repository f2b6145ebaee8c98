"""quicpro.sync: the blocking client, used by one thread or many."""

from __future__ import annotations

import asyncio
import builtins
import gc
import io
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import quicpro
import testapp
from live import WAIT, Live, Starter, python
from quicpro import (
    CertificateError,
    Client,
    Config,
    ConnectionClosed,
    ConnectionRefused,
    HandshakeTimeout,
    IdleTimeout,
    ResolveError,
    ResponseTimeout,
    StreamReset,
    VerificationError,
)
from testapp import PIECE, Receive, Send, body_of, piece
from testapp import start as begin


@pytest.fixture
def client(certs: Path) -> Iterator[Client]:
    with Client(cafile=certs / "ca.pem", timeout=WAIT) as c:
        yield c


def test_get(server: Live, client: Client) -> None:
    response = client.get(server.url("/?a=b"))
    assert (response.status, response.text, response.url) == (200, "hello", server.url("/?a=b"))
    assert response.headers["Content-Length"] == "5"
    facts = response.connection
    assert facts is not None and facts.alpn == "h3"
    assert facts.peer == f"127.0.0.1:{server.port}" and facts.bytes_in > 0


def test_get_of_the_package(server: Live, certs: Path) -> None:
    assert quicpro.get(server.url(), cafile=certs / "ca.pem", headers={"a": "b"}).text == "hello"
    assert quicpro.get(server.url(), verify=False).text == "hello"


def test_bodies(server: Live, client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PIECE * 3)
    with open(tmp_path / "file", "rb") as file:
        bodies: list[Any] = [
            PIECE * 3,
            bytearray(PIECE * 3),
            memoryview(PIECE * 3),
            [PIECE] * 3,
            (PIECE for _ in range(3)),
            io.BytesIO(PIECE * 3),
            file,
        ]
        for body in bodies:
            assert client.post(server.url("/echo"), body).content == PIECE * 3
    assert client.post(server.url("/echo"), "gr\xfcn").text == "gr\xfcn"
    assert client.post(server.url("/echo"), b"").content == b""


def test_content_length(server: Live, client: Client) -> None:
    for body, length in ((b"abc", "3"), (b"", "0"), (None, None), ([b"abc"], None)):
        response = client.post(server.url("/scope"), body)
        assert dict(response.json()["headers"]).get("content-length") == length


def test_an_async_iterable_is_not_for_this_client(server: Live, client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    with pytest.raises(TypeError):
        client.post(server.url("/echo"), pieces())
    with pytest.raises(TypeError, match="not int"):
        client.post(server.url("/echo"), 5)  # type: ignore[arg-type]


def test_stream(server: Live, client: Client) -> None:
    with client.stream("GET", server.url("/bytes/5000000")) as stream:
        assert stream.status == 200 and stream.headers["content-length"] == "5000000"
        parts = list(stream.iter_bytes())
    assert len(parts) > 1 and b"".join(parts) == body_of(5_000_000)
    assert stream.read() == b""


def test_a_stream_that_is_left(server: Live, client: Client) -> None:
    with client.stream("GET", server.url("/forever")) as stream:
        next(stream.iter_bytes())
    stream.close()
    assert client.get(server.url()).text == "hello"


def test_reset_by_the_server(server: Live, client: Client) -> None:
    with pytest.raises(StreamReset) as caught:
        client.get(server.url("/raise-late"))
    assert caught.value.wire_code == 0x102 and caught.value.remote


# Threads.


def test_twenty_threads(server: Live, client: Client) -> None:
    failed: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for i in range(20):
                size = n * 1000 + i
                assert client.get(server.url(f"/bytes/{size}")).content == body_of(size)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert failed == []
    assert server.server.connections() == 1


def test_clients_come_and_go_in_threads(server: Live, certs: Path) -> None:
    texts: list[str] = []

    def work() -> None:
        for _ in range(10):
            texts.append(quicpro.get(server.url(), cafile=certs / "ca.pem").text)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert texts == ["hello"] * 60


def test_closing_while_others_wait(server: Live, client: Client) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            client.get(server.url("/never"))
        except quicpro.QuicproError as e:
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert client.get(server.url()).text == "hello"
    client.close()
    for thread in threads:
        thread.join(WAIT)
    assert [isinstance(e, ConnectionClosed) for e in errors] == [True] * 5


def test_a_client_that_a_collector_finds(server: Live, certs: Path) -> None:
    """Even in a thread that commands the loop just then."""
    for _ in range(20):
        client: Any = Client(cafile=certs / "ca.pem")
        assert client.get(server.url()).text == "hello"
        client.itself = client
        with client._engine:
            del client
            gc.collect()


# Beside an event loop.


def test_inside_a_running_loop(server: Live, client: Client) -> None:
    async def main() -> None:
        assert client.get(server.url()).text == "hello"
        many = [asyncio.to_thread(client.get, server.url()) for _ in range(10)]
        assert [r.text for r in await asyncio.gather(*many)] == ["hello"] * 10

    asyncio.run(main())


# Timeouts.


def test_response_timeout(server: Live, client: Client) -> None:
    with pytest.raises(ResponseTimeout, match="/never: no complete answer"):
        client.get(server.url("/never"), timeout=0.05)
    with pytest.raises(builtins.TimeoutError):
        client.get(server.url("/forever"), timeout=0.05)
    assert client.get(server.url()).text == "hello"


def test_an_upload_that_nobody_reads_times_out(start: Starter, client: Client) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.Event().wait()

    def endless() -> Iterator[bytes]:
        while True:
            yield PIECE

    with pytest.raises(ResponseTimeout):
        client.post(start(app).url(), endless(), timeout=0.2)


def test_handshake_timeout(silent_port: int) -> None:
    with Client(handshake_timeout=0.1) as client, pytest.raises(HandshakeTimeout):
        client.get(f"https://127.0.0.1:{silent_port}/")


def test_idle_timeout(start: Starter, client: Client) -> None:
    server = start(config=Config(max_idle_timeout_ms=100))
    with pytest.raises((IdleTimeout, ConnectionClosed)):
        client.get(server.url("/never"))
    assert client.get(server.url()).text == "hello"


# What cannot be.


@pytest.mark.parametrize(
    "url,says", [("http://127.0.0.1/", "use https://"), ("nonsense", "is not a URL")]
)
def test_urls_that_are_refused(client: Client, url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        client.get(url)


def test_an_address_without_a_way_there(client: Client) -> None:
    with pytest.raises(OSError, match=r"cannot connect to 255\.255\.255\.255 port 1: "):
        client.get("https://255.255.255.255:1/")


def test_an_unknown_host(client: Client) -> None:
    with pytest.raises(ResolveError, match=r"no-such-host\.invalid"):
        client.get("https://no-such-host.invalid/")


def test_a_port_where_nothing_listens(client: Client, closed_port: int) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionRefused):
            client.get(f"https://127.0.0.1:{closed_port}/")


def test_certificates_that_are_not_accepted(
    server: Live, start: Starter, other_certs: Path
) -> None:
    with Client(cafile=other_certs / "ca.pem") as client:
        with pytest.raises(VerificationError, match=r"issuer|self.signed|authority|trust"):
            client.get(server.url())
        with pytest.raises(VerificationError, match=r"(?i)127\.0\.0\.1|name|address"):
            client.get(start(certs=other_certs).url())


def test_a_cafile_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"none\.pem"):
        Client(cafile=tmp_path / "none.pem")


@pytest.mark.parametrize(
    "name,value", [("connection", "close"), ("a b", "c"), ("a", "b\r\nc: d"), (":path", "/x")]
)
def test_fields_that_http3_forbids(server: Live, client: Client, name: str, value: str) -> None:
    with pytest.raises(ValueError):
        client.get(server.url(), headers={name: value})
    assert client.get(server.url()).text == "hello"


# Ends.


def test_a_client_that_is_closed(server: Live, client: Client) -> None:
    client.get(server.url())
    client.close()
    client.close()
    with pytest.raises(ConnectionClosed, match="client was closed"):
        client.get(server.url())


def test_a_stream_of_a_closed_client(server: Live, client: Client) -> None:
    with client.stream("GET", server.url("/forever")) as stream:
        client.close()
        with pytest.raises(quicpro.QuicproError):
            stream.read()
        assert stream.connection is None


def test_the_server_goes_and_comes(start: Starter, client: Client) -> None:
    server = start()
    url = server.url()
    for _ in range(3):
        assert client.get(url).text == "hello"
        server.close()
        server = start(bind=f"127.0.0.1:{server.port}")
    assert client.get(url).text == "hello"


# Processes.

FORK = """
import os, sys, threading, quicpro
from quicpro import Client
url, cafile, used = sys.argv[1:]
client = None
if used == "used":
    client = Client(cafile=cafile)
    assert client.get(url).text == "hello"
pid = os.fork()
if pid == 0:
    ok = quicpro.get(url, cafile=cafile).text == "hello"
    ok = ok and (client is None or client.get(url).text == "hello")
    os._exit(0 if ok else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
pid = os.fork()
if pid == 0:
    if client is not None:
        client.get(url)
    sys.exit(0)  # with all finalizers
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert (client or quicpro).get(url, **({} if client else {"cafile": cafile})).text == "hello"
print("fine")
"""


@pytest.mark.parametrize("used", ["imported", "used"])
def test_fork(server: Live, certs: Path, used: str) -> None:
    """A child has an engine of its own; the parent's goes on."""
    done = python(FORK, server.url(), certs / "ca.pem", used)
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_fork_while_another_thread_uses_the_client(server: Live, certs: Path) -> None:
    done = python(
        "import os, sys, threading, quicpro\n"
        "client = quicpro.Client(cafile=sys.argv[2])\n"
        "stop = False\n"
        "def work():\n"
        "    while not stop: client.get(sys.argv[1])\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "for t in threads: t.start()\n"
        "for _ in range(10):\n"
        "    client.get(sys.argv[1])\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(client.get(sys.argv[1]).status % 200)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "stop = True\n"
        "for t in threads: t.join()\n"
        "print('fine')",
        server.url(),
        certs / "ca.pem",
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_keyboard_interrupt_in_a_wait(server: Live, certs: Path) -> None:
    done = python(
        "import os, signal, sys, threading, quicpro\n"
        "client = quicpro.Client(cafile=sys.argv[2])\n"
        "client.get(sys.argv[1])\n"
        "main = threading.main_thread().ident\n"
        "threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()\n"
        "try: client.get(sys.argv[1] + 'never', timeout=None)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
        "print(client.get(sys.argv[1]).text)",
        server.url(),
        certs / "ca.pem",
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\nhello\n", "", 0)


def test_leaving_without_closing(server: Live, certs: Path) -> None:
    done = python(
        "import sys, quicpro\n"
        "client = quicpro.Client(cafile=sys.argv[2])\n"
        "stream = client.stream('GET', sys.argv[1] + 'forever')\n"
        "print(len(next(stream.iter_bytes())) > 0)",
        server.url(),
        certs / "ca.pem",
    )
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_response_larger_than_the_memory(server: Live, certs: Path) -> None:
    """MemoryError, and no hang."""
    done = python(
        "import resource, sys, quicpro\n"
        "client = quicpro.Client(cafile=sys.argv[2], timeout=60)\n"
        "client.get(sys.argv[1])\n"
        "with open('/proc/self/statm') as f: pages = int(f.read().split()[0])\n"
        "limit = pages * resource.getpagesize() + (48 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "try: client.get(sys.argv[1] + f'bytes/{160 << 20}')\n"
        "except MemoryError: print('no memory')\n",
        server.url(),
        certs / "ca.pem",
        env={"MALLOC_ARENA_MAX": "1"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("no memory\n", "", 0)


def test_send_to_who_reads_slowly(start: Starter, client: Client) -> None:
    """What nobody took yet does not pile up."""
    sent = 0

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "http":
            await begin(send)
            for _ in range(512):
                await piece(send, PIECE)
                sent += len(PIECE)
            await piece(send, b"", False)

    total = 0
    with client.stream("GET", start(app).url()) as stream:
        for data in stream.iter_bytes():
            total += len(data)
            assert sent - total < 16 << 20
    assert total == 512 * len(testapp.PIECE)
