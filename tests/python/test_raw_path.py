"""quicpro._raw_path: probes, moves and path events, on both event loops and in threads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from conftest import Pair
from quicpro import Config, Connection, ConnectionClosed, MigrationError, PathEvent, sync
from quicpro._raw_path import EVENTS_MAX, Address


async def confirmed(ours: Connection, theirs: Connection) -> None:
    """A round trip behind the handshake: by then the client knows that it is confirmed."""
    stream = await ours.open_stream()
    stream.write(b"x")
    its = await theirs.accept_stream()
    its.write(await its.read(1))
    assert await stream.read(1) == b"x"
    stream.close(), its.close()


def test_addresses() -> None:
    assert Address.of("127.0.0.1:4433") == ("127.0.0.1", 4433)
    assert Address.of("[::1]:443") == Address("::1", 443)
    assert Address.of("") == ("", 0)


def test_probe_and_migrate(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        before = ours.local
        assert await ours.probe() and ours.local == before
        after = await ours.migrate()
        assert ours.local == after != before and after.host == before.host
        seen = [await ours.receive_path_event() for _ in range(2)]
        assert seen == [PathEvent("usable", after), PathEvent("moved", after)]
        await confirmed(ours, theirs)
        assert await theirs.receive_path_event() == PathEvent("peer_moved", after)
        assert theirs.peer == after
        active = [path for path in theirs.stats.paths if path.active]
        assert [Address.of(path.peer) for path in active] == [after]

    pair(main)


def test_migrate_in_mid_transfer(pair: Pair) -> None:
    data = bytes(range(256)) * 8192

    async def main(ours: Connection, theirs: Connection) -> None:
        async def receive() -> bytes:
            return await (await theirs.accept_stream()).read()

        await confirmed(ours, theirs)
        receiving = asyncio.create_task(receive())
        stream = await ours.open_stream()
        places = {ours.local}
        for i in range(0, len(data), len(data) // 4):
            stream.write(data[i : i + len(data) // 4])
            await stream.drain()
            while True:
                try:
                    places.add(await ours.migrate())
                    break
                except MigrationError as e:  # the server's connection IDs are on their way
                    assert "connection ID" in str(e)
                    await asyncio.sleep(0)
        stream.write_eof()
        assert await receiving == data and len(places) == 5

    pair(main)


def test_another_probe_gives_the_last_one_up(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        first, second = await asyncio.gather(ours.probe(), ours.probe("127.0.0.2"))
        assert (first, second) == (False, True)
        assert (await ours.migrate()).host == "127.0.0.2"

    pair(main)


def test_a_probe_that_is_cancelled(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        probing = asyncio.create_task(ours.probe())
        await asyncio.sleep(0)
        probing.cancel()
        assert await ours.probe()
        assert ours._path.probing == []

    pair(main)


def test_what_cannot_be(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        with pytest.raises(MigrationError, match="only clients"):
            await theirs.migrate()
        with pytest.raises(ValueError, match="'::1' is not an address of the peer's family"):
            await ours.probe("::1")
        with pytest.raises(ValueError, match="port"):
            await ours.probe(port=65536)
        with pytest.raises(OSError, match=r"192\.0\.2\.1"):
            await ours.probe("192.0.2.1")
        ours.close()
        for call in (ours.probe, ours.migrate):
            with pytest.raises(ConnectionClosed):
                await call()
        await ours.wait_closed()
        with pytest.raises(ConnectionClosed):
            await ours.receive_path_event()

    pair(main)


def test_a_server_that_wants_nobody_to_move(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        with pytest.raises(MigrationError, match="server does not want"):
            await ours.migrate()

    pair(main, disable_active_migration=True)


def test_off(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        with pytest.raises(MigrationError, match="migration is off"):
            await ours.migrate()

    pair(main, migration="off")


def test_a_probe_ends_with_its_connection(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        await confirmed(ours, theirs)
        probing = asyncio.create_task(ours.probe())
        await asyncio.sleep(0)
        ours.close()
        with pytest.raises(ConnectionClosed):
            await probing

    pair(main)


def test_events_that_nobody_takes_do_not_pile_up(pair: Pair) -> None:
    async def main(ours: Connection, theirs: Connection) -> None:
        for i in range(EVENTS_MAX + 5):
            ours._path.on_event(4, f"127.0.0.1:{i + 1}")
        assert (await ours.receive_path_event()).address.port == 6
        assert len(ours._path._events) == EVENTS_MAX - 1

    pair(main)


def test_in_threads(certs: Path) -> None:
    files = {"certfile": certs / "cert.pem", "keyfile": certs / "key.pem"}
    with sync.listen("127.0.0.1", 0, alpn=["echo"], **files) as listener:  # type: ignore[arg-type]
        config = Config(migration="manual")
        ours = sync.connect(
            "127.0.0.1", listener.port, alpn=["echo"], cafile=certs / "ca.pem", config=config
        )
        with ours, listener.accept() as theirs:
            stream = ours.open_stream()
            stream.write(b"x")
            its = theirs.accept_stream()
            its.write(its.read(1))
            assert stream.read(1) == b"x"
            assert ours.probe("127.0.0.2")
            after = ours.migrate()
            assert after.host == "127.0.0.2" and ours.local == after
            stream.write(b"y")
            assert its.read(1) == b"y"
            assert theirs.receive_path_event() == PathEvent("peer_moved", after)
            assert ours.stats.paths and theirs.peer == after
