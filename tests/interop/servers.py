"""Servers of the matrix, ours and the judges', each started for one test."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .content import HELLO, pattern
from .procs import Process, udp_port_of, until, wait_for_quic

if TYPE_CHECKING:
    from .certs import Certs

ROOT = Path(__file__).resolve().parents[2]


class Missing(Exception):
    """A program of the matrix is not here; the text names it and how to get it."""


@dataclass
class Options:
    """What a case asks of its server."""

    idle: float = 20.0  # seconds
    cert: str = "cert"  # of certs.Certs
    alpn: str = "h3"
    version: list[str] = field(default_factory=list)  # hexadecimal; aioquic only, as is
    retry: bool = False
    ours: dict[str, object] = field(default_factory=dict)  # options of our library

    def of_library(self) -> list[str]:
        """Arguments for our servers."""
        options = {"max_idle_timeout_ms": round(self.idle * 1000), **self.ours}
        return [a for key, value in options.items() for a in ("-o", f"{key}={value}")]


@dataclass
class Running:
    name: str
    process: Process
    port: int
    certs: Certs

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"


def judge(module: str, package: str) -> Any:
    """A judge's Python module; `interop.aioquic_peer` is one too."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        raise Missing(f"{package} is not installed (pip install {package}): {e}") from None


def aioquic_peer() -> Any:
    return judge("interop.aioquic_peer", "aioquic")


def find_program(name: str, package: str, *also: Path) -> str:
    """Path of a program, in PATH or where the distribution puts daemons."""
    path = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
    found = shutil.which(name, path=path)
    for candidate in also:
        found = found or (str(candidate) if candidate.exists() else None)
    if found is None:
        raise Missing(f"{name} is not installed ({package})")
    return found


def our_program(name: str) -> str:
    """One of our C examples, in the build folder."""
    build = Path(os.environ.get("QUICPRO_BUILD_DIR") or ROOT / "build" / "gcc")
    path = build / "examples" / "c" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (make test builds it)")
    return str(path)


def quicpro_serve(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    process = Process(
        [
            sys.executable, "-m", "quicpro", "serve", "interop.app:app",
            "--bind", "127.0.0.1:0", "--graceful-timeout", "0.5",
            "--certfile", getattr(certs, options.cert), "--keyfile", certs.key,
            *options.of_library(),
        ]
    )  # fmt: skip
    return process, int(process.wait_for_line(r"https://127\.0\.0\.1:(\d+)")[1])


def h3_server(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    process = Process(
        [
            our_program("h3_server"), "--bind", "127.0.0.1:0",
            "--cert", getattr(certs, options.cert), "--key", certs.key,
            *options.of_library(),
        ]
    )  # fmt: skip
    return process, int(process.wait_for_line(r"listening on .*:(\d+)")[1])


def aioquic(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    aioquic_peer()
    process = Process(
        [
            sys.executable, "-m", "interop.aioquic_server",
            "--cert", getattr(certs, options.cert), "--key", certs.key,
            "--alpn", options.alpn, "--idle", options.idle,
            *(f"--version={v}" for v in options.version), *(["--retry"] if options.retry else []),
        ]
    )  # fmt: skip
    return process, int(process.wait_for_line(r"listening on .*:(\d+)")[1])


def gtlsserver(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    """Serves files, so the paths that tests ask for are made; a POST gets the file of its path."""
    program = find_program("gtlsserver", "apt install ngtcp2-server")
    docs = folder / "htdocs"
    (docs / "bytes").mkdir(parents=True)
    (docs / "index.html").write_bytes(HELLO)
    (docs / "echo").write_bytes(HELLO)
    for size in (*range(1000, 1100), *range(100_000, 100_005), 20_000_000):
        (docs / "bytes" / str(size)).write_bytes(pattern(size))
    process = Process(
        [
            program, "-q", "-d", docs, f"--timeout={options.idle * 1000:.0f}ms",
            "127.0.0.1", "0", certs.key, getattr(certs, options.cert),
        ]
    )  # fmt: skip
    port = until(lambda: udp_port_of(process.pid), 20, "gtlsserver's socket")
    assert isinstance(port, int)
    wait_for_quic(port)
    return process, port


SERVERS: dict[str, Callable[[Certs, Options, Path], tuple[Process, int]]] = {
    "quicpro-serve": quicpro_serve,
    "h3_server": h3_server,
    "aioquic": aioquic,
    "gtlsserver": gtlsserver,
}
OURS = ("quicpro-serve", "h3_server")
