"""quicpro._hooks: log lines of the library, and qlogs for a function."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quicpro
from conftest import Starter
from live import WAIT, Live, python
from quicpro import AsyncClient, Client, Config
from quicpro._ffi import ffi, lib
from quicpro._hooks import Qlog, quicpro_py_on_qlog
from quicpro.sync import connect, listen

RAW = {"alpn": ["echo"]}
Make = Callable[[], Config]  # each call makes another, which nobody keeps


class Records:
    """Takes qlogs."""

    def __init__(self) -> None:
        self.of: dict[str, bytes] = {}
        self.ended: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, records: bytes) -> None:
        with self._changed:
            assert name not in self.ended
            self.of[name] = self.of.get(name, b"") + records
            if not records:
                self.ended.append(name)
            self._changed.notify_all()

    def check(self, *vantage_points: str) -> None:
        """One connection has ended at each of these, and each record is whole."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ended) == len(vantage_points), WAIT)
        assert sorted(name.split("_")[1] for name in self.ended) == sorted(vantage_points)
        assert len({name.split("_")[0] for name in self.ended}) == 1
        for text in self.of.values():
            first, *more = [json.loads(x) for x in text.split(b"\x1e")[1:]]
            assert first["file_schema"] == "urn:ietf:params:qlog:file:sequential"
            assert any(x["name"] == "quic:packet_sent" for x in more)


async def fetch(url: str, certs: Path, config: Config) -> None:
    async with AsyncClient(config=config, cafile=certs / "ca.pem") as client:
        assert (await client.get(url)).text == "hello"


def fetch_blocking(url: str, certs: Path, config: Config) -> None:
    with Client(config=config, cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "hello"


def test_qlogs_of_http(start: Starter, certs: Path) -> None:
    records = Records()
    config = Config(qlog=records)
    live = start(config=config)
    asyncio.run(fetch(live.url(), certs, config))
    records.check("client", "server")


def test_qlogs_of_blocking_clients(server: Live, certs: Path) -> None:
    records = Records()
    fetch_blocking(server.url(), certs, Config(qlog=records))
    records.check("client")


def talk_asyncio(make: Make, files: dict[str, Path], cafile: Path) -> None:
    async def main() -> None:
        listening = quicpro.listen("127.0.0.1", 0, config=make(), **RAW, **files)
        async with listening as listener:
            async with quicpro.connect(
                "127.0.0.1", listener.port, config=make(), cafile=cafile, **RAW
            ):
                await listener.accept()

    asyncio.run(main())


def talk_trio(make: Make, files: dict[str, Path], cafile: Path) -> None:
    trio = pytest.importorskip("trio")
    import quicpro.trio

    async def main() -> None:
        listening = quicpro.trio.listen("127.0.0.1", 0, config=make(), **RAW, **files)
        async with listening as listener:
            async with quicpro.trio.connect(
                "127.0.0.1", listener.port, config=make(), cafile=cafile, **RAW
            ):
                await listener.accept()

    trio.run(main)


def talk_blocking(make: Make, files: dict[str, Path], cafile: Path) -> None:
    with (
        listen("127.0.0.1", 0, config=make(), **RAW, **files) as listener,
        connect("127.0.0.1", listener.port, config=make(), cafile=cafile, **RAW),
    ):
        listener.accept().close()


TALKS = [talk_asyncio, talk_trio, talk_blocking]


@pytest.mark.parametrize("talk", TALKS)
def test_qlogs_of_raw_connections(talk: Callable[..., None], certs: Path) -> None:
    records = Records()
    files = {"certfile": certs / "cert.pem", "keyfile": certs / "key.pem"}
    talk(lambda: Config(qlog=records), files, certs / "ca.pem")
    records.check("client", "server")


@pytest.mark.parametrize("talk", TALKS)
def test_log_lines(
    talk: Callable[..., None], certs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"certfile": certs / "cert.pem", "keyfile": certs / "key.pem"}
    talk(lambda: Config(keylog_file=tmp_path / "keys"), files, certs / "ca.pem")
    lines = [r.getMessage() for r in caplog.records if r.name == "quicpro"]
    assert sum("secrets of all connections go to" in line for line in lines) == 2, lines
    assert {r.levelname for r in caplog.records if r.name == "quicpro"} == {"WARNING"}


def test_the_level_counts(certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with AsyncClient() as client:
            with pytest.raises(quicpro.ConnectionError):
                await client.get("https://127.0.0.1:1/")

    caplog.set_level(logging.DEBUG, "quicpro")
    asyncio.run(main())
    said = [r for r in caplog.records if r.name == "quicpro"]
    assert any(r.levelname == "INFO" and "I/O backend" in r.getMessage() for r in said)
    caplog.clear()
    caplog.set_level(logging.CRITICAL, "quicpro")
    asyncio.run(main())
    assert not caplog.records


def test_a_function_that_fails(server: Live, certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(name: str, records: bytes) -> None:
        raise RuntimeError("disk on fire")

    fetch_blocking(server.url(), certs, Config(qlog=fail))
    asyncio.run(fetch(server.url(), certs, Config(qlog=fail)))
    failed = [r for r in caplog.records if r.name == "quicpro"]
    assert len(failed) >= 2 and all("that takes qlogs" in r.getMessage() for r in failed)
    assert all(r.exc_info and "disk on fire" in str(r.exc_info[1]) for r in failed)


def test_interrupts_reach_the_main_thread() -> None:
    def interrupted(name: str, records: bytes) -> None:
        raise KeyboardInterrupt

    qlog = Qlog(interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(qlog)
        for _ in range(1000):  # it comes between two instructions
            pass


def call(qlog: Qlog) -> None:
    """What C code does."""
    lib.quicpro_py_qlog(ffi.cast("void *", qlog._number), 1, b"name", b"abc", 3)


def test_a_function_that_is_gone() -> None:
    seen: list[tuple[str, bytes]] = []
    qlog = Qlog(lambda *args: seen.append(args))
    call(qlog)
    assert seen == [("name", b"abc")]
    number = qlog._number
    del qlog
    gc.collect()
    quicpro_py_on_qlog(number, ffi.new("char[]", b"name"), ffi.NULL, 0)
    assert len(seen) == 1


CODE = """
import sys, threading
import quicpro
from pathlib import Path
from quicpro import Config
from quicpro.sync import connect, listen
certs = Path(sys.argv[1])
names = []
def took(name, records):
    if not records:
        print("ended", flush=True)
config = Config(qlog=took)
listener = listen("127.0.0.1", 0, alpn=["x"], config=config, certfile=certs / "cert.pem",
    keyfile=certs / "key.pem")
conn = connect("127.0.0.1", listener.port, alpn=["x"], config=config, cafile=certs / "ca.pem")
if sys.argv[2] == "daemon":
    threading.Thread(target=conn.accept_stream, daemon=True).start()
print("end of main", flush=True)
"""


def test_at_the_end_of_the_process(certs: Path) -> None:
    assert python(CODE, certs, "").stdout.splitlines().count("ended") == 2
    daemon = python(CODE, certs, "daemon")
    assert daemon.returncode == 0 and daemon.stdout.startswith("end of main"), daemon


def same(name: str, records: bytes) -> None:
    pass


def test_configurations() -> None:
    config = Config(qlog=same, gso=False)
    assert config.qlog is same and Config().qlog is None
    assert config.replace(gso=True).qlog is same
    assert config.replace(qlog=None).qlog is None
    assert config == Config(gso=False, qlog=same) != Config(gso=False)
    assert hash(config) == hash(Config(gso=False, qlog=same))
    assert "qlog" not in config.to_dict() and "qlog=<function same" in repr(config)
    assert Config.from_env({}, qlog=same).qlog is same
    locked = config.replace(security_allow_config_override=False)
    assert locked.qlog is same
    assert locked.replace(qlog=same) == locked
    other: Any
    for other in (None, print):
        with pytest.raises(quicpro.PolicyViolation, match="the function for qlogs stays"):
            locked.replace(qlog=other)
    with pytest.raises(TypeError, match="qlog is a function of a name and bytes, or None, not 5"):
        Config(qlog=5)
