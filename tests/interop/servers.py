"""Servers of the matrix, ours and the judges', each started for one test."""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .content import HELLO, body_of, pattern
from .procs import Process, udp_port_of, until, wait_for_quic

if TYPE_CHECKING:
    from .certs import Certs

ROOT = Path(__file__).resolve().parents[2]
# For GnuTLS, in its own words.
ONLY_CHACHA20 = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305"


class Missing(Exception):
    """A program of the matrix is not here; the text names it and how to get it."""


def option_arguments(options: dict[str, object]) -> list[str]:
    """`-o KEY=VALUE` for each option of our library."""
    texts = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in options.items()}
    return [a for key, text in texts.items() for a in ("-o", f"{key}={text}")]


@dataclass
class Options:
    """What a case asks of its server."""

    idle: float = 20.0  # seconds
    host: str = "127.0.0.1"
    cert: str = "cert"  # of certs.Certs
    alpn: str = "h3"
    version: list[str] = field(default_factory=list)  # hexadecimal; aioquic only, as is
    retry: bool = False
    chacha20: bool = False  # no other cipher; judges only
    key_update: bool = False  # at the first request; aioquic only
    paths: tuple[str, ...] = ()  # that gtlsserver, which serves files, will be asked for
    talkative: bool = False  # gtlsserver says all that it does
    ours: dict[str, object] = field(default_factory=dict)  # options of our library
    cert_for: list[tuple[str, Path]] = field(default_factory=list)  # quicpro-serve only

    def of_library(self) -> list[str]:
        """Arguments for our servers."""
        options = {"max_idle_timeout_ms": round(self.idle * 1000), **self.ours}
        return option_arguments(options)

    def bind(self) -> str:
        """Where our servers listen, at a port that the kernel chooses."""
        return f"[{self.host}]:0" if ":" in self.host else f"{self.host}:0"


@dataclass
class Running:
    name: str
    process: Process
    port: int
    certs: Certs
    host: str = "127.0.0.1"

    def url(self, path: str = "/", host: str = "") -> str:
        host = host or self.host
        return f"https://{f'[{host}]' if ':' in host else host}:{self.port}{path}"


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


@functools.cache
def fetched_ngtcp2() -> Any:
    """What tools/bench_peers fetched, if it did; QUICPRO_TEST_NGTCP2=system does without."""
    if os.environ.get("QUICPRO_TEST_NGTCP2") == "system":
        return None
    tool = [sys.executable, str(ROOT / "tools" / "bench_peers"), "--json", "ngtcp2"]
    found = subprocess.run(tool, capture_output=True, text=True, timeout=60, check=True).stdout
    return json.loads(found).get("ngtcp2")


@functools.cache
def ngtcp2(name: str) -> tuple[str, dict[str, str]]:
    """gtlsserver or gtlsclient with its environment: what was fetched, else the distribution's."""
    peer = fetched_ngtcp2()
    if peer is not None:
        return peer["server" if name == "gtlsserver" else "client"], peer["env"]
    return find_program(name, f"tools/bench_peers, or apt install ngtcp2-{name[4:]}"), {}


def build_folder() -> Path:
    """Where the C programs are."""
    return Path(os.environ.get("QUICPRO_BUILD_DIR") or ROOT / "build" / "gcc")


def our_program(name: str) -> str:
    """One of our C examples, in the build folder."""
    path = build_folder() / "examples" / "c" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (make test builds it)")
    return str(path)


def quicpro_serve(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    process = Process(
        [
            sys.executable, "-m", "quicpro", "serve", "interop.app:app",
            "--bind", options.bind(), "--graceful-timeout", "0.5",
            "--certfile", getattr(certs, options.cert), "--keyfile", certs.key,
            *(a for host, path in options.cert_for for a in ("--cert-for", host, path, certs.key)),
            *options.of_library(),
        ]
    )  # fmt: skip
    return process, int(process.wait_for_line(r"https://.*:(\d+)")[1])


def h3_server(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    process = Process(
        [
            our_program("h3_server"), "--bind", options.bind(),
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
            "--host", options.host, "--alpn", options.alpn, "--idle", options.idle,
            *(f"--version={v}" for v in options.version), *(["--retry"] if options.retry else []),
            *(["--chacha20"] if options.chacha20 else []),
            *(["--key-update"] if options.key_update else []),
        ]
    )  # fmt: skip
    return process, int(process.wait_for_line(r"listening on .*:(\d+)")[1])


def gtlsserver(certs: Certs, options: Options, folder: Path) -> tuple[Process, int]:
    """Serves files, so the paths that tests ask for are made; a POST gets the file of its path."""
    program, env = ngtcp2("gtlsserver")
    docs = folder / "htdocs"
    (docs / "bytes").mkdir(parents=True, exist_ok=True)
    (docs / "index.html").write_bytes(HELLO)
    (docs / "echo").write_bytes(HELLO)
    for size in (*range(1000, 1100), *range(100_000, 100_005), 20_000_000):
        (docs / "bytes" / str(size)).write_bytes(pattern(size))
    for path in options.paths:
        file = docs / (path.strip("/") or "index.html")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body_of(path))
    args = ["--no-quic-dump", "--no-http-dump"] if options.talkative else ["-q"]
    args += ["--validate-addr"] if options.retry else []
    args += [f"--ciphers={ONLY_CHACHA20}"] if options.chacha20 else []
    process = Process(
        [
            program, *args, "-d", docs, f"--timeout={options.idle * 1000:.0f}ms",
            options.host, "0", certs.key, getattr(certs, options.cert),
        ],
        env,
    )  # fmt: skip
    port = until(lambda: udp_port_of(process.pid), 20, "gtlsserver's socket")
    assert isinstance(port, int)
    wait_for_quic(port, host=options.host)
    return process, port


SERVERS: dict[str, Callable[[Certs, Options, Path], tuple[Process, int]]] = {
    "quicpro-serve": quicpro_serve,
    "h3_server": h3_server,
    "aioquic": aioquic,
    "gtlsserver": gtlsserver,
}
OURS = ("quicpro-serve", "h3_server")
