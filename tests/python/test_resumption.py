"""Sessions that outlive their client, from Python and on the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import quicpro as package
from conftest import Quicpro
from live import WAIT, Live, Starter
from quicpro import EarlyDataRejected, sync


@pytest.fixture
def server(start: Starter) -> Live:
    return start(config=package.Config(early_data=True))


def visit(server: Live, certs: Path, **options: object) -> package.Response:
    config = package.Config(**options)
    with package.Client(cafile=certs / "ca.pem", config=config, timeout=30) as client:
        return client.get(server.url("/"))


def test_blocking_client(server: Live, certs: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "sessions")
    seen = []
    for early in (True, True, False, True):
        answer = visit(server, certs, session_file=path, early_data=early)
        assert answer.status == 200 and answer.connection is not None
        seen.append((answer.connection.resumed, answer.connection.early_data))
    assert seen == [(False, "none"), (True, "accepted"), (True, "none"), (True, "accepted")]
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o600


def test_asyncio_client(server: Live, certs: Path, tmp_path: Path) -> None:
    config = package.Config(session_file=str(tmp_path / "sessions"), early_data=True)

    async def visit() -> package.ConnectionInfo:
        async with package.AsyncClient(cafile=certs / "ca.pem", config=config) as client:
            answer = await client.get(server.url("/"))
            assert answer.status == 200 and answer.connection is not None
            return answer.connection

    assert not asyncio.run(visit()).resumed
    info = asyncio.run(visit())
    assert (info.resumed, info.early_data) == (True, "accepted")


def test_off_by_default(server: Live, certs: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "sessions")
    visit(server, certs, session_file=path)
    answer = visit(server, certs, session_file=path)
    assert answer.connection is not None
    assert (answer.connection.resumed, answer.connection.early_data) == (True, "none")
    answer = visit(server, certs, session_file=path, session_tickets=False)
    assert answer.connection is not None and not answer.connection.resumed


def test_command_line(server: Live, certs: Path, tmp_path: Path, quicpro: Quicpro) -> None:
    path = tmp_path / "sessions"
    args = ("get", "--cacert", certs / "ca.pem", "--option", f"session_file={path}")
    for _ in range(2):
        done = quicpro(*args, server.url("/"))
        assert (done.returncode, done.stderr) == (0, b"")
    path.chmod(0o644)
    done = quicpro(*args, server.url("/"))
    said = done.stderr.decode()
    assert done.returncode != 0
    assert said.count("\n") == 1 and "others may read or write it" in said and str(path) in said


def test_file_that_cannot_be_used(certs: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for path, word in ((link, "a link"), (tmp_path / "none" / "s", "No such file")):
        with (
            pytest.raises(package.QuicproError, match=word),
            package.Client(cafile=certs / "ca.pem", config=package.Config(session_file=str(path))),
        ):
            package.Client(config=package.Config(session_file=str(path))).get("https://[::1]:1/")
    assert not (tmp_path / "elsewhere").exists()


def test_damaged_file_is_a_line_and_no_more(
    server: Live, certs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions"
    path.write_text(json.dumps({"not": "ours"}))
    path.chmod(0o600)
    answer = visit(server, certs, session_file=str(path))
    assert answer.status == 200
    again = visit(server, certs, session_file=str(path))
    assert again.connection is not None and again.connection.resumed


# Protocols of your own.


def raw_options(certs: Path, tmp_path: Path, unsafe: str = "show") -> dict[str, dict[str, Any]]:
    serving = package.Config(alpn=["echo"], early_data=True, early_data_unsafe=unsafe)
    return {
        "listen": {
            "config": serving, "certfile": certs / "cert.pem", "keyfile": certs / "key.pem",
        },
        "connect": {
            "config": package.Config(alpn=["echo"], session_file=tmp_path / "sessions"),
            "cafile": certs / "ca.pem", "early_data": True,
        },
    }  # fmt: skip


async def answer(conn: Any) -> None:
    async for stream in conn:
        words = b"early: " if stream.early_data else b"in time: "
        stream.write(words + await stream.read())
        stream.write_eof()


@contextlib.asynccontextmanager
async def answering(front: Any, port: int, options: dict[str, Any]) -> AsyncIterator[int]:
    """A listener's port."""
    async with front.listen("127.0.0.1", port, **options) as listener:
        if front is package:
            task = asyncio.ensure_future(serve(listener))
            yield listener.port
            listener.close()
            await task
        else:
            async with front.trio.open_nursery() as nursery:
                nursery.start_soon(listener.serve, answer)
                yield listener.port
                listener.close()


async def serve(listener: Any) -> None:
    async for conn in listener:
        await answer(conn)


async def ask(conn: Any) -> bytes:
    stream = await conn.open_stream()
    stream.write(b"question")
    stream.write_eof()
    return bytes(await stream.read())


class Gate:
    """Between clients and a server, one connection at a time: while it is shut, the server hears
    nothing."""

    def __init__(self, server_port: int) -> None:
        self._ours = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for ours in self._ours:
            ours.bind(("127.0.0.1", 0))
        self._wake, self._woken = socket.socketpair()
        self._client: tuple[str, int] | None = None
        self.server_port = server_port
        self._open = threading.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.port = self._ours[0].getsockname()[1]
        self.shut, self.open = self._open.clear, self._open.set

    def _run(self) -> None:
        front, back = self._ours
        while True:
            ready, _, _ = select.select([front, back, self._woken], [], [])
            if self._woken in ready:
                return
            if front in ready:
                self._open.wait()
                data, self._client = front.recvfrom(2048)
                back.sendto(data, ("127.0.0.1", self.server_port))
            if back in ready and self._client is not None:
                front.sendto(back.recv(2048), self._client)

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._wake.send(b"x")
        self._thread.join()
        for ours in (*self._ours, self._wake, self._woken):
            ours.close()


def run_asyncio(main: Callable[[Any], Any]) -> None:
    asyncio.run(asyncio.wait_for(main(package), WAIT))


def run_trio(main: Callable[[Any], Any]) -> None:
    trio = pytest.importorskip("trio")
    import quicpro.trio

    async def limited() -> None:
        with trio.fail_after(WAIT):
            await main(quicpro.trio)

    trio.run(limited)


RUNS = [run_asyncio, run_trio]


@pytest.mark.parametrize("unsafe", ["show", "wait"])
@pytest.mark.parametrize("run", RUNS)
def test_raw_streams(run: Any, certs: Path, tmp_path: Path, unsafe: str) -> None:
    options = raw_options(certs, tmp_path, unsafe)

    async def main(front: Any) -> None:
        async with answering(front, 0, options["listen"]) as port:
            with Gate(port) as gate:
                async with front.connect("127.0.0.1", gate.port, **options["connect"]) as conn:
                    assert conn.established and conn.early_data == "none"
                    assert await ask(conn) == b"in time: question"
                gate.shut()
                async with front.connect("127.0.0.1", gate.port, **options["connect"]) as conn:
                    assert not conn.established
                    stream = await conn.open_stream()
                    assert stream.early_data
                    stream.write(b"question")
                    stream.write_eof()
                    gate.open()
                    words = b"early" if unsafe == "show" else b"in time"
                    assert await stream.read() == words + b": question"
                    assert await conn.wait_connected() is conn and conn.established
                    assert conn.early_data == "accepted"
                    assert await ask(conn) == b"in time: question"

    run(main)


@pytest.mark.parametrize("run", RUNS)
def test_raw_streams_are_rejected(run: Any, certs: Path, tmp_path: Path) -> None:
    options = raw_options(certs, tmp_path)

    async def main(front: Any) -> None:
        async with (
            answering(front, 0, options["listen"]) as port,
            answering(front, 0, options["listen"]) as other,  # has other keys
        ):
            with Gate(port) as gate:
                async with front.connect("127.0.0.1", gate.port, **options["connect"]) as conn:
                    assert await ask(conn) == b"in time: question"
                gate.shut()
                gate.server_port = other
                async with front.connect("127.0.0.1", gate.port, **options["connect"]) as conn:
                    assert not conn.established
                    stream = await conn.open_stream()
                    stream.write(b"question")
                    gate.open()
                    with pytest.raises(EarlyDataRejected, match="early data was rejected"):
                        await stream.read()
                    assert await ask(conn) == b"in time: question"  # once it is connected
                    assert conn.established and conn.early_data == "rejected"
                    assert (await conn.open_stream()).id == 4

    run(main)


def test_raw_streams_without_being_asked(certs: Path, tmp_path: Path) -> None:
    options = raw_options(certs, tmp_path)
    config = options["connect"]["config"].replace(early_data=True)
    options["connect"] |= {"config": config, "early_data": False}

    async def main(front: Any) -> None:
        async with answering(front, 0, options["listen"]) as port:
            for _ in range(2):
                connecting = front.connect("127.0.0.1", port, **options["connect"])
                async with connecting as conn:
                    assert conn.established
                    assert await ask(conn) == b"in time: question"

    run_asyncio(main)


@pytest.fixture
def blocking(certs: Path, tmp_path: Path) -> Iterator[Callable[[], sync.Listener]]:
    """blocking() listens and answers in a thread."""
    started: list[tuple[sync.Listener, threading.Thread]] = []

    def serve(listener: sync.Listener) -> None:
        with contextlib.suppress(package.ConnectionClosed):
            for conn in listener:
                for stream in conn:
                    words = b"early: " if stream.early_data else b"in time: "
                    stream.write(words + stream.read())
                    stream.write_eof()

    def start() -> sync.Listener:
        options = raw_options(certs, tmp_path)["listen"]
        listener = sync.listen("127.0.0.1", 0, timeout=WAIT, **options)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        started.append((listener, thread))
        return listener

    yield start
    for listener, thread in started:
        listener.close()
        thread.join()


def test_raw_streams_in_threads(
    blocking: Callable[[], sync.Listener], certs: Path, tmp_path: Path
) -> None:
    options = raw_options(certs, tmp_path)["connect"] | {"timeout": WAIT}

    def ask(conn: sync.Connection, gate: Gate) -> bytes:
        stream = conn.open_stream()
        stream.write(b"question")
        stream.write_eof()
        gate.open()
        return stream.read()

    ports = blocking().port, blocking().port
    with Gate(ports[0]) as gate:
        with sync.connect("127.0.0.1", gate.port, **options) as conn:
            assert ask(conn, gate) == b"in time: question"
        gate.shut()
        with sync.connect("127.0.0.1", gate.port, **options) as conn:
            assert not conn.established
            assert ask(conn, gate) == b"early: question"
            assert conn.wait_connected() is conn and conn.early_data == "accepted"
        gate.shut()
        gate.server_port = ports[1]
        with sync.connect("127.0.0.1", gate.port, **options) as conn:
            with pytest.raises(EarlyDataRejected):
                ask(conn, gate)
            assert conn.wait_connected().early_data == "rejected"
            assert ask(conn, gate) == b"in time: question"
