"""A protocol of its own on our streams and datagrams: examples/c/raw_echo.c against aioquic."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from .procs import Process
from .servers import judge, our_program

if TYPE_CHECKING:
    from .certs import Certs

Serving = tuple[int, "Certs"]


@pytest.fixture
def serving(certs: Certs, processes: list[Process]) -> Serving:
    """The port of an echo server of ours."""
    process = Process(
        [
            our_program("raw_echo"), "serve", "--cert", certs.cert, "--key", certs.key,
            "127.0.0.1", "0",
        ]
    )  # fmt: skip
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


def test_our_client(serving: Serving, processes: list[Process]) -> None:
    port, certs = serving
    process = Process(
        [our_program("raw_echo"), "send", "--cacert", certs.ca, "127.0.0.1", port, "a word\n"]
    )
    processes.append(process)
    assert re.fullmatch("a word", process.wait_for_line(".*")[0])
