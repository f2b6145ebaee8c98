"""A protocol of its own on our streams and datagrams: raw_echo of examples/c and examples/python
against aioquic, in both roles."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import quicpro

from .procs import Process
from .servers import ROOT, Running, judge, our_program
from .test_hostile import MIB, flood, hostile_module, resident

if TYPE_CHECKING:
    from .certs import Certs

Serving = tuple[int, "Certs"]


Command = list[object]


@pytest.fixture(params=["c", "python"])
def program(request: pytest.FixtureRequest) -> Command:
    """The example, in C and in Python."""
    if request.param == "c":
        return [our_program("raw_echo")]
    return [sys.executable, ROOT / "examples/python/raw_echo.py"]


@pytest.fixture
def serving(program: Command, certs: Certs, processes: list[Process]) -> Serving:
    """The port of an echo server of ours."""
    process = Process(
        [*program, "serve", "--cert", certs.cert, "--key", certs.key, "127.0.0.1", "0"]
    )
    processes.append(process)
    return int(process.wait_for_line(r"listening on .* port (\d+)")[1]), certs


async def with_aioquic(serving: Serving, talk: Any) -> None:
    client = judge("aioquic.asyncio.client", "aioquic")
    configuration = judge("aioquic.quic.configuration", "aioquic").QuicConfiguration(
        is_client=True, alpn_protocols=["echo"], max_datagram_frame_size=65536
    )
    port, certs = serving
    configuration.load_verify_locations(str(certs.ca))
    events = judge("aioquic.quic.events", "aioquic")
    protocol = judge("aioquic.asyncio.protocol", "aioquic").QuicConnectionProtocol

    class Listener(protocol):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.heard: asyncio.Queue[Any] = asyncio.Queue()

        def quic_event_received(self, event: Any) -> None:
            super().quic_event_received(event)
            told = (events.DatagramFrameReceived, events.StopSendingReceived, events.StreamReset)
            if isinstance(event, told):
                self.heard.put_nowait(event)

    async with client.connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=Listener
    ) as connection:
        async with asyncio.timeout(30):
            await talk(connection)


def test_bytes_come_back_on_every_stream(serving: Serving) -> None:
    async def talk(connection: Any) -> None:
        async def one(size: int) -> None:
            reader, writer = await connection.create_stream()
            sent = bytes(range(251)) * (size // 251) + b"end"
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == sent

        await asyncio.gather(*(one(size) for size in (0, 1000, 100_000, 1_500_000)))

    asyncio.run(with_aioquic(serving, talk))


def test_datagrams_come_back(serving: Serving) -> None:
    async def talk(connection: Any) -> None:
        for data in (b"ping", b"", bytes(1000)):
            connection._quic.send_datagram_frame(data)
            connection.transmit()
            assert (await connection.heard.get()).data == data

    asyncio.run(with_aioquic(serving, talk))


def test_a_stream_without_a_way_back_is_stopped(serving: Serving) -> None:
    async def talk(connection: Any) -> None:
        connection._quic.send_stream_data(2, b"hello")
        connection.transmit()
        event = await connection.heard.get()
        assert (event.stream_id, event.error_code) == (2, 1)

    asyncio.run(with_aioquic(serving, talk))


def test_a_reset_is_answered_with_its_code(serving: Serving) -> None:
    async def talk(connection: Any) -> None:
        connection._quic.send_stream_data(0, b"hello")
        connection._quic.reset_stream(0, 77)
        connection.transmit()
        event = await connection.heard.get()
        assert (event.stream_id, event.error_code) == (0, 77)

    asyncio.run(with_aioquic(serving, talk))


def test_our_client(program: Command, serving: Serving, processes: list[Process]) -> None:
    port, certs = serving
    process = Process([*program, "send", "--cacert", certs.ca, "127.0.0.1", port, "a word\n"])
    processes.append(process)
    assert re.fullmatch("a word", process.wait_for_line(".*")[0])


def test_both_ends_in_one_program(processes: list[Process]) -> None:
    process = Process([sys.executable, ROOT / "examples/python/raw_echo.py"])
    processes.append(process)
    assert process.wait_for_line(".*")[0] == "hello"
    assert process.wait_for_line(".*")[0] == "as a datagram: hello"
    moved = process.wait_for_line(r"4194304 bytes, the same, from port (\d+), then (\d+)")
    assert moved[1] != moved[2]


async def with_aioquic_server(certs: Certs, talk: Any) -> None:
    """Run `await talk(connection)` with a connection of ours to an echo server of aioquic's."""
    server = judge("aioquic.asyncio.server", "aioquic")
    configuration = judge("aioquic.quic.configuration", "aioquic").QuicConfiguration(
        is_client=False, alpn_protocols=["echo"], max_datagram_frame_size=65536
    )
    configuration.load_cert_chain(str(certs.cert), str(certs.key))
    events = judge("aioquic.quic.events", "aioquic")
    protocol = judge("aioquic.asyncio.protocol", "aioquic").QuicConnectionProtocol

    class Echo(protocol):  # type: ignore[misc, valid-type]
        def quic_event_received(self, event: Any) -> None:
            quic = self._quic
            if isinstance(event, events.StreamDataReceived):
                quic.send_stream_data(event.stream_id, event.data, event.end_stream)
            elif isinstance(event, events.DatagramFrameReceived):
                quic.send_datagram_frame(event.data)
            elif isinstance(event, events.StreamReset):
                quic.reset_stream(event.stream_id, event.error_code + 1)
            elif isinstance(event, events.HandshakeCompleted):
                quic.send_stream_data(quic.get_next_available_stream_id(), b"welcome", False)
            self.transmit()

    listener = await server.serve("127.0.0.1", 0, configuration=configuration, create_protocol=Echo)
    try:
        port = listener._transport.get_extra_info("sockname")[1]
        connecting = quicpro.connect(
            "127.0.0.1", port, alpn=["echo"], cafile=certs.ca,
            config=quicpro.Config(datagrams_enable=True),
        )  # fmt: skip
        async with connecting as connection:
            async with asyncio.timeout(30):
                await talk(connection)
    finally:
        listener.close()


def test_our_streams_to_aioquic(certs: Certs) -> None:
    async def talk(conn: quicpro.Connection) -> None:
        assert conn.alpn == "echo"
        welcome = await conn.accept_stream()
        assert welcome.id == 1 and await welcome.readexactly(7) == b"welcome"

        async def one(size: int) -> None:
            stream = await conn.open_stream()
            sent = os.urandom(size)

            async def send() -> None:
                for at in range(0, size, 50_000):
                    stream.write(memoryview(sent)[at : at + 50_000])
                    await stream.drain()
                stream.write_eof()

            sending = asyncio.ensure_future(send())
            assert await stream.read() == sent
            await sending

        await asyncio.gather(*(one(size) for size in (0, 1000, 100_000, 1_500_000)))

    asyncio.run(with_aioquic_server(certs, talk))


def test_our_clients_move_away_from_under_aioquic(certs: Certs) -> None:
    async def talk(conn: quicpro.Connection) -> None:
        stream = await conn.open_stream()
        sent = os.urandom(200_000)
        ports = {conn.local.port}
        for _ in range(3):
            stream.write(sent)
            assert await stream.readexactly(100_000) == sent[:100_000]
            assert await conn.probe()
            ports.add((await conn.migrate()).port)
            assert await stream.readexactly(100_000) == sent[100_000:]
        assert len(ports) == 4
        changes = [(await conn.receive_path_event()).change for _ in range(6)]
        assert changes == ["usable", "moved"] * 3

    asyncio.run(with_aioquic_server(certs, talk))


def test_our_datagrams_and_resets_to_aioquic(certs: Certs) -> None:
    async def talk(conn: quicpro.Connection) -> None:
        for data in (b"ping", b"", bytes(1000)):
            conn.send_datagram(data)
            assert await conn.receive_datagram() == data
        stream = await conn.open_stream()
        stream.write(b"x")
        assert await stream.readexactly(1) == b"x"
        stream.reset(41)
        with pytest.raises(quicpro.StreamReset) as caught:
            await stream.read(1)
        assert caught.value.wire_code == 42

    asyncio.run(with_aioquic_server(certs, talk))


@pytest.mark.parametrize("kind", ["reset", "stop", "unknown unidirectional"])
def test_ten_thousand_streams_leave_nothing(
    kind: str, serving: Serving, processes: list[Process]
) -> None:
    """As in test_hostile.py, where nothing of HTTP/3 bounds it: streams that are reset at once,
    echoes that are stopped, streams that the server wants to have no part in."""
    h = hostile_module()
    port, certs = serving
    running = Running("raw_echo", processes[-1], port, certs)
    with h.client(port, certs.ca, alpn=("echo",), max_data=1 << 30, max_datagram_size=1350) as peer:
        peer.handshake()
        assert flood(h, peer, kind, 0, 5000) == 5000
        before = resident(running)
        assert flood(h, peer, kind, 5000, 10_000) == 10_000
        peer.quic.send_ping(7)
        assert peer.until(lambda: peer.pong(7))
        print(f"{(resident(running) - before) / MIB:.2f} MiB more")
        assert resident(running) - before < 2 * MIB
    assert running.process.running
    again = subprocess.run(
        [our_program("raw_echo"), "send", "--cacert", certs.ca, "127.0.0.1", str(port), "still"],
        capture_output=True,
        timeout=30,
        check=True,
    )  # fmt: skip
    assert again.stdout == b"still"
