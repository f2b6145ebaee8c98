"""Servers that more than one benchmark measures, ours and ngtcp2's, and ngtcp2's client.

tools/bench_peers fetches ngtcp2. QUICPRO_BENCH_GTLSSERVER and QUICPRO_BENCH_GTLSCLIENT name others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from _bench import TUNED_MALLOC, Bench, Skipped, peers
from _place import HERE, Place
from _process import Server

APPS = Path(__file__).parent / "apps"
BODY = 100  # bytes of the small answer of every server


def _options(options: Sequence[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def our_c(bench: Bench, *options: str, path: str = "/", place: Place = HERE) -> Server:
    """The example of an HTTP/3 server in C; `options` are KEY=VALUE."""
    cert, key = bench.certificates()
    args = [bench.program("examples/c/h3_server"), "--bind", f"{place.host}:0"]
    args += ["--cert", cert, "--key", key, *_options(options)]
    return bench.start("h3_server", args, path=path, place=place)


def our_asgi(bench: Bench) -> Server:
    """quicpro serve with apps/hello.py."""
    cert, key = bench.certificates()
    args = [
        sys.executable,
        "-m",
        "quicpro",
        "serve",
        "hello:app",
        "--no-tcp",
        "--bind",
        "127.0.0.1:0",
    ]
    return bench.start("asgi", [*args, "--certfile", cert, "--keyfile", key], cwd=APPS)


def our_raw(bench: Bench, *options: str) -> Server:
    """The example of a protocol of its own in C, which echoes."""
    cert, key = bench.certificates()
    args = [bench.program("examples/c/raw_echo"), "serve", "--cert", cert, "--key", key]
    return bench.start("raw_echo", [*args, *_options(options), "127.0.0.1", 0])


def ngtcp2(bench: Bench, *options: str, path: str = f"/{BODY}", place: Place = HERE) -> Server:
    """gtlsserver. It makes /N in memory: quicker than a file, so the better of its two ways."""
    known = peers().get("ngtcp2", {})
    program = os.environ.get("QUICPRO_BENCH_GTLSSERVER") or known.get("server")
    if program is None:
        raise Skipped("gtlsserver is not there: tools/bench_peers ngtcp2")
    cert, key = bench.certificates()
    docs = bench.folder / "htdocs"
    docs.mkdir(exist_ok=True)
    env = {**TUNED_MALLOC, **(known["env"] if program == known.get("server") else {})}
    args = [program, "-q", *options, "-d", docs, place.host, "0", key, cert]
    return bench.start("ngtcp2", args, env=env, path=path, place=place)


def gtlsclient() -> tuple[str, dict[str, str]]:
    """The program and what its environment needs."""
    known = peers().get("ngtcp2", {})
    program = os.environ.get("QUICPRO_BENCH_GTLSCLIENT") or known.get("client")
    if program is None:
        raise Skipped("gtlsclient is not there: tools/bench_peers ngtcp2")
    return program, known["env"] if program == known.get("client") else {}
