"""The whole way through the C API from Python, without an event loop: two loops on loopback, driven
by one thread. What it takes beside test_fields.py is QUIC, HTTP/3 and the kernel, on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quicpro import Config, _batch
from quicpro._check import check
from quicpro._ffi import ffi, lib
from quicpro.devcert import write_devcert

COUNT = 64
FIELDS = [
    (b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/"),
]  # fmt: skip
ANSWER = _batch.pack_fields([(b"content-type", b"text/plain"), (b"content-length", b"100")])


class Pair:
    """A client that is connected to a server."""

    def __init__(self, folder: Path) -> None:
        write_devcert(folder)
        cert, key, ca = (str(folder / name) for name in ("cert.pem", "key.pem", "ca.pem"))
        self.loops = [ffi.new("quicpro_loop **") for _ in range(2)]
        for loop in self.loops:
            check(lib.quicpro_loop_new(loop, Config()._struct))
        self.server_loop, self.client_loop = (loop[0] for loop in self.loops)
        self.batch = ffi.new("const quicpro_batch **")
        self.server = ffi.new("quicpro_server **")
        config = Config(cert_file=cert, key_file=key)
        check(lib.quicpro_server_new(self.server, self.server_loop, config._struct))
        port = check(lib.quicpro_server_listen(self.server[0], b"127.0.0.1", 0))
        self.client = ffi.new("quicpro_client **")
        check(lib.quicpro_client_new(self.client, self.client_loop, Config(ca_file=ca)._struct))
        conn = ffi.new("quicpro_conn *")
        check(lib.quicpro_client_connect(self.client[0], b"127.0.0.1", port, ffi.NULL, conn))
        self.conn = conn[0]
        self.nv, self.keep = _batch.make_nv(FIELDS)
        self.stream = ffi.new("quicpro_stream *")
        while not any(kind == _batch.CONNECTED for kind, *_ in self.turn(self.client_loop)):
            self.turn(self.server_loop)

    def turn(self, loop: Any) -> list[tuple[int, int, bool]]:
        """Run and flush once: kind, stream and whether it ends there, of each event."""
        count = check(lib.quicpro_loop_run(loop, 0, self.batch))
        words = _batch.Batch(self.batch[0]).words if count else []
        found = [
            (words[i] & 0xFFFF, words[i + 2], bool(words[i] >> 16 & _batch.FIN))
            for i in range(0, len(words), 8)
        ]
        lib.quicpro_loop_flush(loop)
        return found

    def ask(self) -> int:
        """64 requests, and their answers of 100 bytes."""
        for _ in range(COUNT):
            check(
                lib.quicpro_request(
                    self.client_loop, self.conn, self.nv, len(FIELDS), ffi.NULL, 0, 1, ffi.NULL,
                    self.stream,
                )
            )  # fmt: skip
        lib.quicpro_loop_flush(self.client_loop)
        done, body = 0, bytes(100)
        while done < COUNT:
            records = [
                _batch.respond(stream, 200, ANSWER, body, True)
                for kind, stream, _ in self.turn(self.server_loop)
                if kind == _batch.REQUEST
            ]
            if records:
                _batch.submit(self.server_loop, records)
                lib.quicpro_loop_flush(self.server_loop)
            done += sum(fin for _, _, fin in self.turn(self.client_loop))
        return done

    def free(self) -> None:
        lib.quicpro_client_free(self.client[0])
        lib.quicpro_server_free(self.server[0])
        for loop in self.loops:
            lib.quicpro_loop_free(loop[0])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.free()


def test_64_requests_and_their_answers(benchmark: Any, pair: Pair) -> None:
    assert benchmark(pair.ask) == COUNT
