"""aioquic as a server that gives tickets and takes each once, a program of its own.

Usage: python -m interop.aioquic_tickets --cert FILE --key FILE [--forget] [--too-early]

Prints a line for each handshake: "resumed True, early data True".
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import HandshakeCompleted, QuicEvent
from aioquic.tls import SessionTicket

from .aioquic_peer import WINDOW
from .aioquic_server import Server, Service


class Protocol(Server):
    service = Service()
    too_early = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._early = True

    def _answer(self, stream_id: int, method: str, path: str, body: bytearray) -> None:
        if self._early and self.too_early:
            print(f"425 for {method} {path}", flush=True)
            self._send(stream_id, b"too early\n", 425)
        else:
            super()._answer(stream_id, method, path, body)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self._early = False
            early = event.early_data_accepted
            print(f"resumed {event.session_resumed}, early data {early}", flush=True)
        super().quic_event_received(event)


async def _serve(args: argparse.Namespace) -> None:
    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=["h3"], max_data=WINDOW, max_stream_data=WINDOW
    )
    configuration.load_cert_chain(args.cert, args.key)
    Protocol.too_early = args.too_early
    tickets: dict[bytes, SessionTicket] = {}

    def keep(ticket: SessionTicket) -> None:
        if not args.forget:
            tickets[ticket.ticket] = ticket

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: QuicServer(
            configuration=configuration,
            create_protocol=Protocol,
            session_ticket_handler=keep,
            session_ticket_fetcher=lambda label: tickets.pop(label, None),
        ),
        local_addr=("127.0.0.1", 0),
    )
    print(f"listening on 127.0.0.1:{transport.get_extra_info('sockname')[1]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--forget", action="store_true", help="know no ticket again")
    parser.add_argument("--too-early", action="store_true", help="answer early requests with 425")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
