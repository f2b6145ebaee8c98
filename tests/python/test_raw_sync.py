"""quicpro._raw_sync: connections and streams for callers that block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import quicpro
from live import WAIT, in_thread, python
from quicpro import (
    CertificateError,
    Config,
    ConnectionClosed,
    ConnectionRefused,
    IncompleteReadError,
    LimitOverrunError,
    StreamError,
    StreamLimit,
    StreamReset,
    StreamStopped,
)
from quicpro.sync import Connection, Listener, RawStream, connect, listen

Both = tuple[Connection, Connection]


@pytest.fixture
def make(certs: Path) -> Iterator[Callable[..., Both]]:
    """make(**options) gives both ends of a connection."""
    listeners: list[Listener] = []
    conns: list[Connection] = []

    def pair(**options: Any) -> Both:
        config = Config(datagrams_enable=True, **options)
        listener = listen(
            "127.0.0.1", 0, alpn=["echo"], config=config, timeout=WAIT,
            certfile=certs / "cert.pem", keyfile=certs / "key.pem",
        )  # fmt: skip
        listeners.append(listener)
        ours = connect(
            "127.0.0.1", listener.port, alpn=["echo"], config=config, timeout=WAIT,
            cafile=certs / "ca.pem",
        )  # fmt: skip
        conns.append(ours)
        return ours, listener.accept()

    yield pair
    for conn in conns:
        with conn:
            pass
    for listener in listeners:
        listener.close()


@pytest.fixture
def both(make: Callable[..., Both]) -> Both:
    return make()


def streams(both: Both, first: bytes = b"hello") -> tuple[RawStream, RawStream]:
    mine = both[0].open_stream()
    mine.write(first)
    return mine, both[1].accept_stream()


def test_facts(both: Both) -> None:
    ours, theirs = both
    assert ours.alpn == theirs.alpn == "echo" and ours.peer == theirs.local
    assert ours.local == theirs.peer and theirs.is_server and ours.peer_certificates
    assert ours.early_data == "none" and ours.datagram_max > 1000


def test_reading(both: Both) -> None:
    mine, its = streams(both, b"one\ntwo;three")
    assert its.readline() == b"one\n" and its.readuntil(b";") == b"two;"
    memory = bytearray(3)
    assert its.readinto(memory) == 3 and memory == b"thr"
    assert its.readexactly(1) == b"e" and its.read(9) == b"e"
    mine.write(b"a\nb\nc")
    with pytest.raises(LimitOverrunError):
        its.readuntil(b"!", limit=2)
    mine.write_eof()
    assert list(its) == [b"a\n", b"b\n", b"c"] and its.read() == b"" and its.at_eof()
    with pytest.raises(IncompleteReadError) as caught:
        its.readexactly(1)
    assert isinstance(caught.value, EOFError) and caught.value.partial == b""


def test_a_write_waits_for_the_reader(both: Both) -> None:
    data = os.urandom(3_000_000)
    mine = both[0].open_stream()

    def send() -> None:
        for at in range(0, len(data), 500_000):
            mine.write(memoryview(data)[at : at + 500_000])
        mine.write_eof()

    sent = in_thread(send)
    assert both[1].accept_stream().read() == data
    assert sent() is None


def test_timeouts(both: Both) -> None:
    mine, its = streams(both)
    its.timeout = 0.01
    assert its.read(5) == b"hello"
    with pytest.raises(quicpro.TimeoutError) as caught:
        its.read(1)
    assert isinstance(caught.value, TimeoutError)
    its.timeout = 0
    with pytest.raises(quicpro.TimeoutError):
        its.readexactly(3)
    mine.timeout = 0.05
    with pytest.raises(quicpro.TimeoutError):
        while True:
            mine.write(bytes(500_000))  # nobody reads
    both[0].timeout = 0.01
    for call in (both[0].accept_stream, both[0].receive_datagram, both[0].wait_closed):
        with pytest.raises(quicpro.TimeoutError):
            call()
    its.timeout = WAIT
    assert its.readexactly(500_000) == bytes(500_000)


def test_resets_and_stops(both: Both) -> None:
    mine, its = streams(both)
    mine.set_priority(1)
    waiting = in_thread(lambda: its.readexactly(100))
    mine.reset(77)
    failed = waiting()
    assert isinstance(failed, StreamReset) and (failed.wire_code, failed.remote) == (77, True)
    mine.stop(78)
    with pytest.raises(StreamStopped) as caught:
        while True:
            its.write(b"x")
    assert caught.value.wire_code == 78
    with pytest.raises(StreamError):
        mine.write(b"x")
    with pytest.raises(ZeroDivisionError):
        with both[0].open_stream() as stream:
            raise ZeroDivisionError
    assert stream._eof and stream._ended


def test_limits_of_streams(make: Callable[..., Both]) -> None:
    both = make(initial_max_streams_bidi=4)
    opened = [streams(both, b"x") for _ in range(4)]
    with pytest.raises(StreamLimit):
        both[0].open_stream(wait=False)
    waiting = in_thread(both[0].open_stream)
    for mine, its in opened:
        with mine, its:
            pass
    assert waiting().id == 16


def test_datagrams(both: Both) -> None:
    ours, theirs = both
    waiting = in_thread(theirs.receive_datagram)
    assert ours.send_datagram(b"ping") and waiting() == b"ping"
    with pytest.raises(ValueError):
        ours.send_datagram(bytes(65536))


def test_many_threads_on_one_connection(both: Both) -> None:
    ours, theirs = both

    def echo(stream: RawStream) -> None:
        with stream:
            while data := stream.read(1000):
                stream.write(data)

    def serve() -> int:
        threads = [in_thread(lambda s=s: echo(s)) for s in theirs]  # type: ignore[misc]
        return len([join() for join in threads])

    def ask(n: int) -> bool:
        for i in range(20):
            with ours.open_stream() as stream:
                stream.write(b"%d/%d\n" % (n, i))
                if stream.readline() != b"%d/%d\n" % (n, i):
                    return False
        return True

    serving = in_thread(serve)
    assert all(join() for join in [in_thread(lambda n=n: ask(n)) for n in range(4)])  # type: ignore[misc]
    ours.close()
    assert serving() == 80


def test_ends(both: Both) -> None:
    ours, theirs = both
    stream, its = streams(both)
    waiting = in_thread(theirs.accept_stream)
    ours.close(5, "enough")
    failed = waiting()
    assert isinstance(failed, ConnectionClosed) and (failed.wire_code, failed.remote) == (5, True)
    assert theirs.reason == "enough" and theirs.wait_closed() is theirs.error
    assert its.read(5) == b"hello"  # what came before is there
    for call in (lambda: its.read(1), lambda: stream.write(b"x"), ours.open_stream):
        with pytest.raises(ConnectionClosed):
            call()
    with pytest.raises(ConnectionClosed):
        list(theirs)


def test_a_listener_that_is_closed(certs: Path) -> None:
    files = {"certfile": certs / "cert.pem", "keyfile": certs / "key.pem"}
    names = {"*.example": (certs / "cert.pem", certs / "key.pem")}
    with listen("127.0.0.1", 0, alpn=["echo"], certs=names, **files) as listener:  # type: ignore[arg-type]
        waiting = in_thread(lambda: list(listener))
        listener.reload_tls()
    assert waiting() == []
    listener.close()
    with pytest.raises(ConnectionClosed):
        listener.accept()
    with pytest.raises(ConnectionClosed):
        listener.reload_tls()


def test_what_cannot_be(closed_port: int, tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefused):
        connect("127.0.0.1", closed_port, alpn=["echo"])
    with pytest.raises(ValueError, match="h3"):
        connect("127.0.0.1", 1)
    with pytest.raises(CertificateError):
        connect("127.0.0.1", 1, alpn=["echo"], cafile=tmp_path / "none.pem")
    with pytest.raises(CertificateError):
        listen("127.0.0.1", 0, alpn=["echo"], certfile=tmp_path / "none.pem")
    for port, why in ((-1, ValueError), ("1", TypeError)):
        with pytest.raises(why):
            listen("127.0.0.1", port, alpn=["echo"])  # type: ignore[arg-type]


FORK = """
import os, sys, quicpro
from quicpro.sync import connect, listen
certs = sys.argv[1]
listener = listen("127.0.0.1", 0, alpn=["echo"],
                  certfile=certs + "/cert.pem", keyfile=certs + "/key.pem")
with connect("127.0.0.1", listener.port, alpn=["echo"], cafile=certs + "/ca.pem") as conn:
    theirs = listener.accept()
    stream = conn.open_stream()
    pid = os.fork()
    if pid == 0:
        try:
            stream.write(b"from the child")
        except quicpro.QuicproError as e:
            assert "fork" in str(e)
            port = listener.port
            with connect("127.0.0.1", port, alpn=["echo"], cafile=certs + "/ca.pem") as mine:
                assert mine.alpn == "echo"
            os._exit(0)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, code
    stream.write(b"from the parent")
    assert theirs.accept_stream().read(100) == b"from the parent"
"""


def test_after_a_fork_and_at_exit(certs: Path) -> None:
    done = python(FORK, certs)
    assert (done.returncode, done.stderr) == (0, "")
