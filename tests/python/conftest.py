"""Certificates, servers and processes; all of them end with the test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import testapp
from live import HERE, WAIT, Live, Process, Starter
from quicpro.devcert import write_devcert

COMMAND = shutil.which("quicpro", path=str(Path(sys.executable).parent)) or "quicpro"


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, cert.pem and key.pem for localhost."""
    folder = tmp_path_factory.mktemp("certs")
    write_devcert(folder)
    return folder


@pytest.fixture(scope="session")
def other_certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of another authority, for another name."""
    folder = tmp_path_factory.mktemp("other")
    write_devcert(folder, ["elsewhere.test"])
    return folder


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """Each kind of event loop."""
    kind: str = request.param
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    return kind


@pytest.fixture
def start(certs: Path) -> Iterator[Starter]:
    """start(app, loop=..., **options of Server) gives a server in a thread."""
    started: list[Live] = []

    def start_server(
        app: object = testapp.app, loop: str = "asyncio", certs: Path = certs, **options: object
    ) -> Live:
        live = Live(app, certs, loop, **options)
        started.append(live)
        return live

    yield start_server
    for live in started:
        live.close()


@pytest.fixture
def server(start: Starter) -> Live:
    """testapp, served."""
    return start()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A UDP port where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A UDP port where nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
    return port


Spawn = Callable[..., Process]
Quicpro = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """spawn("get", URL, ...) starts the command."""
    started: list[Process] = []

    def spawn_process(*args: str | Path, **options: object) -> Process:
        process = Process(COMMAND, *args, **options)
        started.append(process)
        return process

    yield spawn_process
    for process in started:
        process.close()


@pytest.fixture
def quicpro() -> Quicpro:
    """quicpro("get", URL, ...) runs the command to its end; never a traceback."""

    def run(*args: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [COMMAND, *map(str, args)],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "timeout": WAIT,
                "cwd": HERE,
            }
            | options,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done

    return run


Pair = Callable[..., None]


@pytest.fixture
def pair(certs: Path, loop: str) -> Pair:
    """pair(main, **options) runs `await main(ours, theirs)` with both ends of a raw connection."""
    import asyncio

    import quicpro
    from quicpro._run import run_event_loop

    def run(main: Callable[..., object], **options: object) -> None:
        config = quicpro.Config(datagrams_enable=True, **options)

        async def limited() -> None:
            serving = quicpro.listen(
                "127.0.0.1", 0, alpn=["echo"], config=config,
                certfile=certs / "cert.pem", keyfile=certs / "key.pem",
            )  # fmt: skip
            async with serving as listener:
                connecting = quicpro.connect(
                    "127.0.0.1", listener.port, alpn=["echo"], config=config,
                    cafile=certs / "ca.pem",
                )  # fmt: skip
                async with connecting as ours:
                    theirs = await listener.accept()
                    await asyncio.wait_for(main(ours, theirs), WAIT)  # type: ignore[arg-type]

        run_event_loop(limited, loop)

    return run
