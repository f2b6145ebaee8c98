"""Every lossless exchange between every pair of stacks of which at least one is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .clients import CLIENTS, Request, Response, Setup
from .content import HELLO, pattern
from .servers import Running

MIB = 1024 * 1024
BIG = 20_000_000

# Client and server. Ours against ours is here too: what both get wrong in the same way, the judges
# tell; what only they do together, nobody else would.
PAIRS = [
    ("aioquic", "quicpro-serve"),
    ("pycurl", "quicpro-serve"),
    ("gtlsclient", "quicpro-serve"),
    ("aioquic", "h3_server"),
    ("pycurl", "h3_server"),
    ("gtlsclient", "h3_server"),
    ("quicpro", "aioquic"),
    ("quicpro-sync", "aioquic"),
    ("h3_get", "aioquic"),
    ("quicpro", "gtlsserver"),
    ("quicpro-sync", "gtlsserver"),
    ("h3_get", "gtlsserver"),
    ("quicpro", "quicpro-serve"),
    ("quicpro-sync", "h3_server"),
    ("h3_get", "quicpro-serve"),
]

# Which pairs run a case in every `make test`; all the others are in `make test-full`.
QUICK = {
    "get": PAIRS,
    "post_1m": [("aioquic", "quicpro-serve"), ("quicpro", "aioquic"), ("h3_get", "gtlsserver")],
    "streams_100": [
        ("aioquic", "quicpro-serve"),
        ("gtlsclient", "h3_server"),
        ("quicpro", "aioquic"),
        ("quicpro-sync", "gtlsserver"),
    ],
    "download_20m": [("pycurl", "h3_server"), ("h3_get", "gtlsserver")],
    "upload_20m": [("pycurl", "quicpro-serve"), ("quicpro", "gtlsserver")],
}


def get(server: str) -> tuple[list[Request], list[Response]]:
    requests = [Request("/"), Request("/bytes/100000")]
    return requests, [Response(200, HELLO), Response(200, pattern(100_000))]


def post(server: str, size: int) -> tuple[list[Request], list[Response]]:
    # gtlsserver takes a body and answers with the file of the path.
    body = pattern(size)
    return [Request("/echo", "POST", body)], [
        Response(200, HELLO if server == "gtlsserver" else body)
    ]


def streams_100(server: str) -> tuple[list[Request], list[Response]]:
    """A hundred requests in flight; servers that can answer none before all are there."""
    sizes = range(1000, 1100)
    together = server in ("quicpro-serve", "aioquic")
    path = "/together/100/{}" if together else "/bytes/{}"
    return [Request(path.format(n)) for n in sizes], [Response(200, pattern(n)) for n in sizes]


CASES: dict[str, Callable[[str], tuple[list[Request], list[Response]]]] = {
    "get": get,
    "post_1m": lambda server: post(server, MIB),
    "streams_100": streams_100,
    "download_20m": lambda server: (
        [Request(f"/bytes/{BIG}")],
        [Response(200, pattern(BIG))],
    ),
    "upload_20m": lambda server: post(server, BIG),
}


def rows() -> Iterator[object]:
    for case in CASES:
        for client, server in PAIRS:
            marks = [] if (client, server) in QUICK[case] else [pytest.mark.full]
            if case == "streams_100" and client == "h3_get":
                continue  # one request a process
            yield pytest.param(case, client, server, marks=marks, id=f"{case}-{client}-{server}")


@pytest.mark.parametrize(("case", "client", "server"), list(rows()))
def test_exchange(
    case: str, client: str, server: str, start: Callable[..., Running], tmp_path: Path
) -> None:
    running = start(server)
    requests, expected = CASES[case](server)
    setup = Setup(running, running.certs.ca, tmp_path)
    assert CLIENTS[client](setup, requests) == expected
    assert running.process.running


@pytest.mark.parametrize(
    ("client", "server"),
    [("pycurl", "aioquic"), ("aioquic", "gtlsserver"), ("gtlsclient", "aioquic")],
)
def test_judges_agree_with_each_other(
    client: str, server: str, start: Callable[..., Running], tmp_path: Path
) -> None:
    """If this fails the judges are broken, not we."""
    running = start(server)
    setup = Setup(running, running.certs.ca, tmp_path)
    assert CLIENTS[client](setup, [Request("/bytes/1000")]) == [Response(200, pattern(1000))]
