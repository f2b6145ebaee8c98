"""quicpro.raw and quicpro._raw: connecting, listening, and what cannot be."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import quicpro
from conftest import Pair
from live import WAIT, python
from quicpro import (
    CertificateError,
    Config,
    Connection,
    ConnectionClosed,
    ConnectionRefused,
    HandshakeTimeout,
    IdleTimeout,
    ProtocolError,
    ResolveError,
    TLSError,
    UnknownOption,
    VerificationError,
)
from quicpro._raw import Address, _reason
from quicpro._run import run_event_loop

Go = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture
def go(loop: str) -> Go:
    def run(main: Callable[[], Awaitable[None]]) -> None:
        async def limited() -> None:
            await asyncio.wait_for(main(), WAIT)

        run_event_loop(limited, loop)

    return run


def listening(folder: Path, /, **options: Any) -> Any:
    given = {"certfile": folder / "cert.pem", "keyfile": folder / "key.pem", "alpn": ["echo"]}
    return quicpro.listen("127.0.0.1", 0, **(given | options))


def test_facts(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        assert ours.alpn == theirs.alpn == "echo"
        assert ours.peer == theirs.local and ours.local == theirs.peer
        assert ours.peer.host == "127.0.0.1" and not ours.is_server and theirs.is_server
        assert ours.info.version == 1 and ours.info.cipher and ours.early_data == "none"
        assert repr(ours) == "<Connection open client>"

    pair(main)


def test_await_and_async_with(certs: Path, go: Go) -> None:
    async def main() -> None:
        listener = await listening(certs, handler=None)
        conn = await quicpro.connect(
            "127.0.0.1", listener.port, alpn=["none", "echo"], cafile=certs / "ca.pem"
        )
        assert conn.alpn == "echo"
        conn.close()
        await conn.wait_closed()
        listener.close()

    go(main)


def test_connections_share_a_loop_which_ends_with_the_last(certs: Path, go: Go) -> None:
    async def main() -> None:
        before = set(os.listdir("/proc/self/fd"))
        async with listening(certs) as listener:

            def connect(**options: Any) -> Any:
                return quicpro.connect(
                    "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem", **options
                )

            async with connect() as a, connect() as b, connect(config=Config(gso=False)) as c:
                assert a._core is b._core is not c._core
                assert len(a._front._clients) == 1
            resumed = await connect()
            async with connect() as again:
                await resumed.wait_closed() if resumed.error else None
                assert again._core is resumed._core
            resumed.close()
            await resumed.wait_closed()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert set(os.listdir("/proc/self/fd")) == before

    go(main)


def test_a_host_that_is_not_there(go: Go) -> None:
    async def main() -> None:
        with pytest.raises(ResolveError, match=r"no-such-host\.invalid"):
            await quicpro.connect("no-such-host.invalid", 4433, alpn=["echo"])

    go(main)


def test_nobody_listens_or_answers(closed_port: int, silent_port: int, go: Go) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefused):
            await quicpro.connect("127.0.0.1", closed_port, alpn=["echo"])
        with pytest.raises(HandshakeTimeout):
            await quicpro.connect("127.0.0.1", silent_port, alpn=["echo"], handshake_timeout=0.1)

    go(main)


def test_no_common_protocol(certs: Path, go: Go) -> None:
    async def main() -> None:
        async with listening(certs) as listener:
            with pytest.raises(TLSError, match=r"(?i)protocol"):
                await quicpro.connect(
                    "127.0.0.1", listener.port, alpn=["other"], cafile=certs / "ca.pem"
                )

    go(main)


def test_an_authority_that_is_not_trusted(certs: Path, other_certs: Path, go: Go) -> None:
    async def main() -> None:
        async with listening(certs) as listener:
            for file in (None, other_certs / "ca.pem"):
                with pytest.raises(VerificationError):
                    await quicpro.connect("127.0.0.1", listener.port, alpn=["echo"], cafile=file)
            conn = quicpro.connect("127.0.0.1", listener.port, alpn=["echo"], verify=False)
            async with conn as c:
                assert c.alpn == "echo"

    go(main)


def test_a_handshake_that_is_cancelled(silent_port: int, go: Go) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(
            quicpro.raw._connect("127.0.0.1", silent_port, Config(alpn=["echo"]), False)
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    go(main)


@pytest.mark.parametrize(
    "port,options,why,says",
    [
        (0, {"alpn": ["echo"]}, ValueError, "1 to 65535"),
        (70000, {"alpn": ["echo"]}, ValueError, "1 to 65535"),
        ("1", {"alpn": ["echo"]}, TypeError, "not str"),
        (1, {}, ValueError, "h3 is HTTP/3"),
        (1, {"alpn": []}, ValueError, "none is given"),
        (1, {"alpn": ["echo", "h3"]}, ValueError, "h3 is HTTP/3"),
        (1, {"alpn": "echo"}, TypeError, "list of names"),
        (1, {"alpn": ["echo"], "cafile": "/none.pem"}, CertificateError, r"none\.pem"),
    ],
)
def test_arguments_that_cannot_be(
    go: Go, port: Any, options: dict[str, Any], why: type[Exception], says: str
) -> None:
    async def main() -> None:
        with pytest.raises(why, match=says):
            await quicpro.connect("127.0.0.1", port, **options)

    go(main)


def test_listeners_that_cannot_be(certs: Path, tmp_path: Path, go: Go) -> None:
    async def main() -> None:
        before = set(os.listdir("/proc/self/fd"))
        with pytest.raises(CertificateError):
            await listening(certs, certfile=tmp_path / "none.pem")
        with pytest.raises(CertificateError):
            await listening(certs, certs={"a.test": (tmp_path / "none.pem", certs / "key.pem")})
        with pytest.raises(OSError):
            await quicpro.listen(
                "192.0.2.1", 0, alpn=["echo"],
                certfile=certs / "cert.pem", keyfile=certs / "key.pem",
            )  # fmt: skip
        for port, why in ((-1, ValueError), (65536, ValueError), ("0", TypeError)):
            with pytest.raises(why):
                quicpro.listen("127.0.0.1", port, alpn=["echo"])  # type: ignore[arg-type]
        with pytest.raises(UnknownOption):
            quicpro.listen("127.0.0.1", 0, alpn=["echo"], config=Config(no_such=1))
        assert set(os.listdir("/proc/self/fd")) == before

    go(main)


def test_certificates_by_name_and_anew(certs: Path, go: Go) -> None:
    async def main() -> None:
        names = {"*.example": (certs / "cert.pem", certs / "key.pem")}
        async with listening(certs, certs=names) as listener:
            listener.reload_tls()

    go(main)


def test_datagrams_that_were_not_agreed_on(certs: Path, go: Go) -> None:
    async def main() -> None:
        async with listening(certs) as listener:
            connecting = quicpro.connect(
                "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem"
            )
            async with connecting as conn:
                assert conn.datagram_max == 0
                with pytest.raises(ProtocolError, match="datagrams_enable"):
                    conn.send_datagram(b"x")

    go(main)


def test_a_peer_that_vanishes(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        reading = asyncio.ensure_future((await ours.open_stream()).read(1))
        theirs._front.driver._watcher.update({})  # it hears and says nothing from here on
        why = await ours.wait_closed()
        assert isinstance(why, IdleTimeout)
        with pytest.raises(IdleTimeout):
            await reading

    pair(main, max_idle_timeout_ms=200)


def test_ten_thousand_resets(pair: Pair) -> None:
    """A peer that opens streams only to reset them costs nothing that stays."""

    async def main(ours: Connection, theirs: Connection) -> None:
        for _ in range(20):
            for _ in range(100):
                stream = await ours.open_stream()
                stream.write(b"x")
                stream.reset(1)
                stream.stop(1)
            for _ in range(100):
                its = await theirs.accept_stream()
                its.reset()
                its.stop()
        assert len(ours._core.streams) == len(theirs._core.streams) == 0

    pair(main)


def test_an_event_loop_that_is_closed_with_open_connections(certs: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))

    async def main() -> None:
        listener = await listening(certs)
        await quicpro.connect("127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem")

    with pytest.warns(ResourceWarning, match="never closed"):
        asyncio.run(main())
        gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before


FORK = """
import asyncio, os, sys, quicpro
certs = sys.argv[1]

async def main():
    serving = quicpro.listen("127.0.0.1", 0, alpn=["echo"],
                             certfile=certs + "/cert.pem", keyfile=certs + "/key.pem")
    async with serving as listener:
        conn = await quicpro.connect("127.0.0.1", listener.port, alpn=["echo"],
                                     cafile=certs + "/ca.pem")
        theirs = await listener.accept()
        stream = await conn.open_stream()
        pid = os.fork()
        if pid == 0:
            try:
                stream.write(b"from the child")
            except quicpro.QuicproError as e:
                assert "fork" in str(e)
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        stream.write(b"from the parent")
        assert await (await theirs.accept_stream()).read(100) == b"from the parent"
        conn.close()
        await conn.wait_closed()

asyncio.run(main())
"""


def test_after_a_fork(certs: Path) -> None:
    done = python(FORK, certs)
    assert done.returncode == 0, done.stderr


def test_addresses_and_reasons() -> None:
    assert Address.of("127.0.0.1:80") == ("127.0.0.1", 80)
    assert Address.of("[::1]:80") == ("::1", 80)
    assert _reason("closed by the peer with application code 5 (a (b))") == "a (b)"
    assert _reason("closed by us with NO_ERROR") == _reason("timed out") == ""


def test_what_was_written_arrives_before_the_end(certs: Path, go: Go) -> None:
    """By whoever leaves first: a client at the end of its block, a handler that returns."""
    sent = os.urandom(3_000_000)  # more than the library and the peer take at once

    async def main() -> None:
        received = asyncio.get_running_loop().create_future()

        async def take(conn: Connection) -> None:
            stream = await conn.accept_stream()
            received.set_result(await stream.read())

        async def give(conn: Connection) -> None:
            stream = await conn.open_stream(bidi=False)
            stream.write(sent)
            stream.write_eof()

        where = {"alpn": ["echo"], "cafile": certs / "ca.pem"}
        async with listening(certs, handler=take) as listener:
            async with quicpro.connect("127.0.0.1", listener.port, **where) as conn:
                stream = await conn.open_stream()
                stream.write(sent)
                stream.write_eof()
            assert await received == sent
            assert isinstance(conn.error, ConnectionClosed) and conn.error.code == 0
        async with listening(certs, handler=give) as listener:
            async with quicpro.connect("127.0.0.1", listener.port, **where) as conn:
                assert await (await conn.accept_stream()).read() == sent

    go(main)


def test_finished_and_then_closed(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        stream = await ours.open_stream()
        stream.write(bytes(50_000_000))  # nobody reads
        ours.finish(1, "when you have it all")
        ours.finish(2)
        with pytest.raises(ConnectionClosed):
            await ours.open_stream()
        assert ours.error is None
        ours.close(7, "never mind")
        ours.close(8)
        await theirs.wait_closed()
        assert isinstance(theirs.error, ConnectionClosed) and theirs.error.wire_code == 7
        assert theirs.reason == "never mind"
        with pytest.raises(ValueError, match="reason"):
            ours.finish(0, "x" * 300)

    pair(main)


def test_a_block_that_fails_closes_at_once(certs: Path, go: Go) -> None:
    async def main() -> None:
        async with listening(certs) as listener:
            with pytest.raises(KeyError):
                async with quicpro.connect(
                    "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem"
                ) as conn:
                    (await conn.open_stream()).write(bytes(50_000_000))
                    raise KeyError
            assert conn.error is not None

    go(main)
